"""Clients of four official SDKs, each a program of its own that takes orders on its input."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

CLIENTS = Path(__file__).parent / "clients"
TYPESCRIPT = [os.environ.get("NODE", "node"), str(Path(os.environ.get("NODE_CLIENTS", CLIENTS)) / "typescript.mjs")]
# What each is called here, and how it is started.
SDKS: dict[str, list[str]] = {
    "Python SDK 1.x": [os.environ.get("PYTHON_1", sys.executable), str(CLIENTS / "python.py")],
    "Python SDK 2.x": [sys.executable, str(CLIENTS / "python.py")],
    "TypeScript SDK 1.x": [*TYPESCRIPT, "sdk"],
    "TypeScript client 2.x": [*TYPESCRIPT, "client"],
}


class Driven:
    """A client that is connected."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.tags = count(1)
        self.waiting: dict[int, asyncio.Future[dict[str, Any]]] = {0: asyncio.get_running_loop().create_future()}
        self.reader = asyncio.create_task(self.read())

    async def read(self) -> None:
        while line := await self.process.stdout.readline():
            answer = json.loads(line)
            if answer["tag"] in self.waiting:
                self.waiting.pop(answer["tag"]).set_result(answer)
            else:
                self.end(answer)
        self.end({"error": "the client has ended"})

    def end(self, answer: dict[str, Any]) -> None:
        """Whatever is still waiting gets this."""
        for waiting in self.waiting.values():
            waiting.set_result(answer)
        self.waiting.clear()

    def order(self, tool: str, **arguments: Any) -> "asyncio.Future[dict[str, Any]]":
        """Calls a tool. The answer has `text` and `failed`, or `error` and `code`."""
        tag = next(self.tags)
        self.waiting[tag] = asyncio.get_running_loop().create_future()
        self.process.stdin.write(json.dumps({"tag": tag, "tool": tool, "arguments": arguments}).encode() + b"\n")
        return self.waiting[tag]

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The same, and waits for the answer."""
        return await asyncio.wait_for(self.order(tool, **arguments), 20)

    async def text(self, tool: str, **arguments: Any) -> str:
        """The answer's text; anything else is a failure of the test."""
        answer = await self.call(tool, **arguments)
        assert "text" in answer and not answer["failed"], answer
        return answer["text"]


@asynccontextmanager
async def driven(sdk: str, url: str) -> AsyncIterator[Driven]:
    """Starts a client of that SDK and waits until it is connected."""
    process = await asyncio.create_subprocess_exec(
        *SDKS[sdk],
        url,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    client = Driven(process)
    try:
        connected = await asyncio.wait_for(client.waiting[0], 20)
        assert "text" in connected, connected
        yield client
    finally:
        client.reader.cancel()
        if process.returncode is None:
            process.kill()
        await process.wait()
