"""While its server is well, a client sees through Envoy exactly what it sees without it."""

from typing import Any

from mcp import MCPError
from mcp.client.client import Client

from world import PAT, World, connect, world


async def everything(client: Client) -> dict[str, Any]:
    """All that a client can see of the server."""
    steps = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        steps.append((done, total, message))

    negotiated = client.session.initialize_result or client.session.discover_result
    seen = {
        "version": client.protocol_version,
        "negotiated": negotiated.model_dump(),
        "tools": (await client.list_tools()).model_dump(),
        "search": (await client.call_tool("search", {"query": "snow"})).model_dump(),
        "whoami": (await client.call_tool("whoami")).model_dump(),
        "count": (await client.call_tool("count", {"upto": 3}, progress_callback=progress)).model_dump(),
        "progress": steps,
        "fail": (await client.call_tool("fail")).model_dump(),
        "bad arguments": (await client.call_tool("search", {"query": ["no", "string"]})).model_dump(),
        "resources": (await client.list_resources()).model_dump(),
    }
    for name, call in {"no tool": client.call_tool("nothing"), "no prompt": client.get_prompt("nothing")}.items():
        try:
            seen[name] = (await call).model_dump()
        except MCPError as error:
            seen[name] = (error.code, error.message, error.data)
    return seen


async def same_with_and_without(here: World, **options: Any) -> dict[str, Any]:
    async with connect(here.server.url, token=PAT, **options) as client:
        directly = await everything(client)
    assert await here.calls("mcp") == 0
    async with connect(here.envoy_url, **options) as client:
        proxied = await everything(client)
    assert await here.calls("mcp") >= 5
    for part, value in directly.items():
        assert proxied[part] == value, f"{part}\ndirectly: {value}\nproxied:  {proxied[part]}"
    assert await here.calls("direct") == 0, "the server was well: nothing went to the direct path"
    assert proxied["search"]["structured_content"]["results"][0]["SERVED_BY"] == "primary"
    return proxied


async def test_with_sessions_and_json_a_client_sees_no_difference():
    async with world("--json") as here:
        seen = await same_with_and_without(here, mode="legacy")
        assert seen["version"] == "2025-11-25"


async def test_with_sessions_and_event_streams_a_client_sees_no_difference():
    async with world() as here:
        seen = await same_with_and_without(here, mode="legacy")
        assert [step[0] for step in seen["progress"]] == [1, 2, 3]


async def test_without_sessions_a_client_sees_no_difference():
    async with world("--stateless") as here:
        await same_with_and_without(here, mode="legacy")


async def test_a_client_of_both_eras_negotiates_the_newest_version_through_envoy_too():
    async with world() as here:
        seen = await same_with_and_without(here, mode="auto")
        assert seen["version"] == "2026-07-28"
        assert [step[0] for step in seen["progress"]] == [1, 2, 3]


async def test_a_client_that_insists_on_the_newest_version_gets_it():
    async with world("--json") as here:
        await same_with_and_without(here, mode="2026-07-28")


async def test_a_session_is_ended_at_its_server_when_the_client_leaves():
    async with world() as here:
        async with connect(here.envoy_url, mode="legacy") as client:
            await client.call_tool("whoami")
        assert '"DELETE /mcp HTTP/1.1" 200' in here.server.output()
