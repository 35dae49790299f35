"""An MCP client of the official Python SDK, 1.x or 2.x, driven by lines of JSON as typescript.mjs is: `python.py URL`."""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

try:
    from mcp.client.client import Client  # 2.x
except ImportError:
    Client = None
    from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


def say(tag: int, **what: Any) -> None:
    print(json.dumps({"tag": tag, **what}), flush=True)


def failure(error: BaseException) -> dict[str, Any]:
    while causes := getattr(error, "exceptions", None):  # a group, which Python 3.10 has from a package
        error = causes[0]
    inner = getattr(error, "error", error)
    return {"error": f"{type(error).__name__}: {error}", "code": getattr(inner, "code", None)}


async def connected(stack: AsyncExitStack, url: str) -> Any:
    """A session as an application has it, with the SDK's own defaults."""
    if Client is not None:
        return await stack.enter_async_context(Client(streamable_http_client(url), mode="legacy"))
    read, write, *_ = await stack.enter_async_context(streamable_http_client(url))
    session = await stack.enter_async_context(ClientSession(read, write))
    await session.initialize()
    return session


async def call(session: Any, tag: int, tool: str, arguments: dict[str, Any]) -> None:
    started = time.perf_counter()
    try:
        result = await session.call_tool(tool, arguments)
        failed = getattr(result, "is_error", None) or getattr(result, "isError", None) or False
        say(tag, text=result.model_dump_json(), failed=failed, ms=(time.perf_counter() - started) * 1000)
    except Exception as error:
        say(tag, **failure(error), ms=(time.perf_counter() - started) * 1000)


async def main(url: str) -> None:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        session = await connected(stack, url)
        await session.list_tools()
        say(0, text="connected")
        tasks = set()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            order = json.loads(line)
            task = asyncio.create_task(call(session, order["tag"], order["tool"], order.get("arguments", {})))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1]))
    except BaseException as error:  # noqa: BLE001 - the session is gone: everything that was asked for is told so
        say(-1, **failure(error))
