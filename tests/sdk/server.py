"""An MCP server made with the official SDK, as a process of its own. It ends when its input closes."""

import argparse
import asyncio
import os
import sys
import threading
import time
from typing import Annotated, Any, TypedDict

import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import Context, Elicit, MCPServer, Resolve
from mcp.server.streamable_http import EventMessage, EventStore
from mcp_types import ToolAnnotations
from pydantic import BaseModel


class SearchResults(TypedDict):
    """The shape of a Cortex search, so that the client holds the direct path to the schema that this server lists."""

    results: list[dict[str, Any]]


class Colour(BaseModel):
    """What `ask` wants to know from the user."""

    colour: str


async def ask_colour() -> Elicit[Colour]:
    return Elicit("Which colour?", Colour)


class Verifier:
    """Knows one token, which may not do anything in particular."""

    def __init__(self, token: str) -> None:
        self.token = token

    async def verify_token(self, token: str) -> AccessToken | None:
        known = AccessToken(token=token, client_id="dualpath", scopes=[])
        return known if token == self.token else None


class Memory(EventStore):
    """Keeps every event, so that an interrupted stream can be resumed."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self.events.append((stream_id, message))
        return str(len(self.events) - 1)

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        last = int(last_event_id)
        stream = self.events[last][0]
        for number, (owner, message) in enumerate(self.events):
            if number > last and owner == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def build(name: str, port: int, token: str | None, scopes: list[str]) -> MCPServer:
    """The server with its tools; without a token everybody may use it. Its refusals name itself as the place to log in:
    nothing leaves the machine."""
    here = f"http://127.0.0.1:{port}"
    auth = AuthSettings(
        issuer_url=here,
        resource_server_url=f"{here}/mcp",
        required_scopes=scopes,
        validate_token_resource=False,
    )
    protected = {"auth": auth, "token_verifier": Verifier(token)} if token else {}
    server = MCPServer(name, version="1.0", log_level="INFO", **protected)

    @server.tool()
    async def search(query: str) -> SearchResults:
        """Searches the documentation."""
        return {"results": [{"CHUNK": f"about {query}", "SERVED_BY": name}]}

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def whoami() -> str:
        """Says which server this is."""
        return name

    @server.tool()
    async def fail() -> str:
        """Fails."""
        raise ValueError("this tool always fails")

    @server.tool()
    async def count(upto: int, ctx: Context) -> str:
        """Counts and reports each step."""
        for step in range(1, upto + 1):
            await ctx.report_progress(step, upto, f"step {step}")
        return f"counted to {upto}"

    released = asyncio.Event()

    @server.tool()
    async def hold(ctx: Context) -> str:
        """Reports progress, and ends when `release` is called."""
        await ctx.report_progress(1, 2, "holding")
        await released.wait()
        return "released"

    @server.tool()
    async def release() -> str:
        """Ends `hold`."""
        released.set()
        return "done"

    @server.tool()
    async def slowly(seconds: float, ctx: Context) -> str:
        """Takes its time, and shows in the meantime that it is at work."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await ctx.info("still at work")
            await asyncio.sleep(0.2)
        return "done at last"

    @server.tool()
    async def interrupted(ctx: Context) -> str:
        """Closes the connection of its own answer: the client has to come back for the rest."""
        await ctx.report_progress(1, 2, "before")
        await ctx.close_sse_stream()
        await asyncio.sleep(0.1)
        return "resumed"

    @server.tool()
    async def ask(colour: Annotated[Colour, Resolve(ask_colour)]) -> str:
        """Asks the user before it answers."""
        return f"{name} likes {colour.colour} too"

    @server.tool()
    async def announce(ctx: Context) -> str:
        """Tells everybody who listens that the tools have changed."""
        await ctx.notify_tools_changed()
        await ctx.session.send_tool_list_changed()
        return "announced"

    @server.tool()
    async def wait() -> str:
        """Waits until it is cancelled."""
        print("WAITING", flush=True)
        try:
            await asyncio.sleep(60)
        finally:
            print("CANCELLED", flush=True)
        return "never"

    return server


# A request with these words gets a 500 of the web server instead of an answer.
FAIL = b"fail this request"


class Failing:
    """The application, but for requests that are to fail."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        message = await receive()
        if FAIL in message.get("body", b""):
            await send({"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"Internal Server Error"})
            return
        first = [message]

        async def again() -> Any:
            return first.pop() if first else await receive()

        await self.app(scope, again, send)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--json", action="store_true", help="answer as JSON instead of event streams")
    parser.add_argument("--stateless", action="store_true", help="no sessions")
    parser.add_argument("--resumable", action="store_true", help="keep events")
    parser.add_argument("--open", action="store_true", help="needs no token")
    parser.add_argument("--tls", help="a folder with certificate.pem and key.pem: https instead of http")
    parser.add_argument("--scope", action="append", help="what a token must be good for; none is")
    options = parser.parse_args()
    token = None if options.open else os.environ["SERVER_TOKEN"]
    server = build(options.name, options.port, token, options.scope or [])
    app = server.streamable_http_app(
        json_response=options.json,
        stateless_http=options.stateless,
        event_store=Memory() if options.resumable else None,
        retry_interval=50 if options.resumable else None,
    )
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    tls = {"ssl_certfile": f"{options.tls}/certificate.pem", "ssl_keyfile": f"{options.tls}/key.pem"} if options.tls else {}
    uvicorn.run(Failing(app), host="127.0.0.1", port=options.port, log_level="info", **tls)


if __name__ == "__main__":
    main()
