"""What every test starts from: SDK servers, the REST stub, and an Envoy with the filter in front of them."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from processes import Child, Port

HERE = Path(__file__).parent
# What the servers accept; Envoy knows it, clients of Envoy do not.
PAT = "pat-of-the-servers-7d20c4"
CLIENTS_OWN = "token-of-the-client-51be09"
# Environment variable in which a stub finds the token that it accepts.
STUB_TOKEN = "DUALPATH_LAB_STUB_TOKEN"


SDK_SERVER = [sys.executable, str(HERE / "server.py")]
# A server of 2025-11-25 without sessions, as Snowflake's.
OLDER_SERVER = [os.environ["DUALPATH_LAB"], "stub", "--kind", "mcp"]


class Server:
    """An MCP server that can die and come back on its port."""

    def __init__(self, name: str, port: Port, command: list[str], scratch: Path, token: str) -> None:
        self.name, self.port = name, port
        self.url = f"http://127.0.0.1:{port.number}/mcp"
        self.command = [*command, "--name", name, "--port", str(port.number)]
        self.log = scratch / f"{name}.log"
        self.env = {"SERVER_TOKEN": token, STUB_TOKEN: token}
        self.child: Child | None = None

    async def start(self) -> None:
        self.child = await Child.start(self.command, self.log, self.env)
        await self.child.until(self.port.is_served)

    async def kill(self) -> None:
        if self.child:
            await self.child.kill()

    def output(self) -> str:
        return self.log.read_text()

    async def has_said(self, words: str) -> bool:
        return words in self.output()


class World:
    """Everything that runs. `envoy_url` is what a client connects to."""

    def __init__(self, servers: list[Server], listener: Port, admin: Port) -> None:
        self.servers = servers
        self.server = servers[0]
        self.envoy_url = f"http://127.0.0.1:{listener.number}/mcp"
        self.admin_url = f"http://127.0.0.1:{admin.number}"

    async def calls(self, mode: str) -> int:
        """How many tool calls were answered so: mcp, direct or gate. The filter tells five times a second what it has
        counted, so two readings further apart than that are the same."""
        before, now = -1, await self.counted(mode)
        while now != before:
            await asyncio.sleep(0.4)
            before, now = now, await self.counted(mode)
        return now

    async def counted(self, mode: str) -> int:
        """How many of them Envoy knows of."""
        async with httpx2.AsyncClient() as http:
            text = (await http.get(f"{self.admin_url}/stats/prometheus")).text
        lines = [line for line in text.splitlines() if line.startswith("cortex_calls_total{")]
        wanted = [line for line in lines if f'mode="{mode}"' in line and 'task="protocol"' not in line]
        return sum(int(line.rsplit(" ", 1)[1]) for line in wanted)


@asynccontextmanager
async def world(
    *flags: str,
    names: tuple[str, ...] = ("primary",),
    program: list[str] = SDK_SERVER,
    up: bool = True,
    token: str = PAT,
    timeout: str = "10s",
    known: Mapping[str, Any] | None = None,
) -> AsyncIterator[World]:
    """Starts one server for each of `names`, with `flags`; `up=False` leaves them dead. `token` is what they accept, an
    empty one whatever comes; `timeout` is what Envoy gives them, and `known` what else the registry says of them."""
    async with AsyncExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dualpath-sdk-")))

        def port() -> Port:
            port = Port()
            stack.callback(port.close)
            return port

        servers = [Server(name, port(), [*program, *flags], scratch, token) for name in names]
        for server in servers:
            stack.push_async_callback(server.kill)
        rest, listener, admin = port(), port(), port()
        stub = [os.environ["DUALPATH_LAB"], "stub", "--kind", "rest", "--name", "rest", "--port", str(rest.number)]
        here = World(servers, listener, admin)
        tree = registry(servers, rest, listener, admin, {"timeout": timeout, **(known or {})})
        starts = [
            serve_rest(stack, stub, rest, scratch),
            serve_envoy(stack, tree, here.admin_url, scratch),
            *(server.start() for server in servers if up),
        ]
        await asyncio.gather(*starts)
        yield here


def registry(
    servers: list[Server], rest: Port, listener: Port, admin: Port, known: Mapping[str, Any]
) -> dict[str, Any]:
    """`search` has a direct path; the servers' other tools are not known to the registry."""
    tiers = ["primary", "secondary"]
    return {
        "version": 1,
        "listener": {"port": listener.number},
        "envoy": {"wasm_file": str(Path(os.environ["DUALPATH_WASM"]).resolve()), "admin_port": admin.number},
        "breaker": {"consecutive": 3, "base_open": "1s", "max_open": "1s"},
        "credentials": [{"id": "pat", "slots": {"a": {"env": "SDK_TEST_PAT"}}}],
        "servers": [
            {"id": server.name, "kind": "mcp", "tier": tier, "url": server.url, "credential": "pat", **known}
            for server, tier in zip(servers, tiers, strict=False)
        ]
        + [{"id": "rest", "kind": "rest", "url": f"http://127.0.0.1:{rest.number}", "credential": "pat"}],
        "tools": [
            {
                "name": "search",
                "task": "search",
                "replayable": True,
                "description": "Searches the documentation.",
                "input_schema": {
                    "type": "object",
                    "properties": {"query": {"type": "string"}},
                    "required": ["query"],
                },
                "rest": {
                    "server": "rest",
                    "preset": "snowflake.search",
                    "with": {"database": "D", "schema": "S", "service": "V"},
                },
            },
            {"name": "slowly", "task": "slowly", "replayable": True, "input_schema": {"type": "object"}},
        ],
    }


async def serve_rest(stack: AsyncExitStack, command: list[str], port: Port, scratch: Path) -> None:
    child = await Child.start(command, scratch / "rest.log", {STUB_TOKEN: PAT})
    stack.push_async_callback(child.kill)
    await child.until(port.is_served)


async def serve_envoy(stack: AsyncExitStack, tree: dict[str, Any], admin_url: str, scratch: Path) -> None:
    (scratch / "registry.yaml").write_text(json.dumps(tree))  # JSON is YAML
    bootstrap = scratch / "bootstrap.yaml"
    render = [os.environ["DUALPATH"], "render", str(scratch / "registry.yaml"), "-o", str(bootstrap)]
    rendering = await Child.start(render, scratch / "render.log", {})
    if await rendering.process.wait() != 0:
        raise RuntimeError(rendering.log.read_text())
    command = [os.environ["ENVOY"], "--config-path", str(bootstrap), "--disable-hot-restart", "--concurrency", "2"]
    child = await Child.start(command, scratch / "envoy.log", {"SDK_TEST_PAT": PAT})
    stack.push_async_callback(child.kill)

    async def is_ready() -> bool:
        try:
            return (await http.get(f"{admin_url}/ready")).status_code == 200
        except httpx2.TransportError:
            return False

    async with httpx2.AsyncClient() as http:
        await child.until(is_ready)


@asynccontextmanager
async def connect(url: str, token: str = CLIENTS_OWN, **options: Any) -> AsyncIterator[Client]:
    """A client of the SDK with its default settings."""
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=10) as http:
        async with Client(streamable_http_client(url, http_client=http), read_timeout_seconds=10, **options) as client:
            yield client
