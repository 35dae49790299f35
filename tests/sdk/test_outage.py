"""The server dies, or was never there: calls with a direct path are answered all the same, in the same session."""

import asyncio

from mcp import MCPError
from mcp.client.client import Client

from processes import eventually
from world import OLDER_SERVER, World, connect, world


async def search(client: Client, query: str = "snow") -> str:
    """Calls `search` and returns who answered. The SDK itself holds the result to the schema that the server listed."""
    result = await client.call_tool("search", {"query": query})
    assert not result.is_error, result
    (found,) = result.structured_content["results"]
    assert found["CHUNK"] == f"about {query}"
    return found["SERVED_BY"]


async def error_of(call) -> MCPError:
    try:
        result = await call
    except MCPError as error:
        return error
    raise AssertionError(f"an error was expected, not {result}")


async def the_next_call_is_answered_directly(here: World, mode: str) -> None:
    async with connect(here.envoy_url, mode=mode) as client:
        tools = await client.list_tools()
        assert await search(client) == "primary"
        await here.server.kill()
        for number in range(5):
            assert await search(client, f"query {number}") == "rest"
        assert await here.calls("direct") == 5

        error = await error_of(client.call_tool("whoami"))
        assert (error.data["source"], error.data["reason"]) == ("dualpath", "UPSTREAM_FAILED"), error.data
        assert "primary" in error.message, error.message

        listed = await client.list_tools(cache_mode="bypass")
        assert [tool.name for tool in listed.tools] == ["search"]
        assert listed.tools[0].input_schema["required"] == tools.tools[0].input_schema["required"] == ["query"]
        if mode == "legacy":
            await client.send_ping()
        assert await search(client) == "rest"


async def test_in_a_session_the_next_call_after_the_servers_death_is_answered_directly():
    async with world("--json") as here:
        await the_next_call_is_answered_directly(here, "legacy")


async def test_with_event_streams_the_next_call_after_the_servers_death_is_answered_directly():
    async with world() as here:
        await the_next_call_is_answered_directly(here, "legacy")


async def test_without_sessions_the_next_call_after_the_servers_death_is_answered_directly():
    async with world("--stateless") as here:
        await the_next_call_is_answered_directly(here, "legacy")


async def test_in_the_newest_version_the_next_call_after_the_servers_death_is_answered_directly():
    async with world() as here:
        await the_next_call_is_answered_directly(here, "auto")


async def test_calls_in_flight_while_the_server_dies_are_all_answered():
    async with world("--json") as here, connect(here.envoy_url, mode="legacy") as client:
        calls = [asyncio.create_task(search(client, f"query {number}")) for number in range(40)]
        await calls[0]
        await here.server.kill()
        assert set(await asyncio.gather(*calls)) <= {"primary", "rest"}
        assert await search(client) == "rest"


async def test_a_client_that_comes_while_the_server_is_down_is_served_and_goes_on_with_it_when_it_is_back():
    async with world("--json", up=False) as here, connect(here.envoy_url, mode="legacy") as client:
        assert client.server_info.name == "dualpath"
        assert [tool.name for tool in (await client.list_tools()).tools] == ["search"]
        assert await search(client) == "rest"

        await here.server.start()

        async def is_back() -> bool:
            return await search(client) == "primary"

        assert await eventually(is_back)
        assert (await client.call_tool("whoami")).content[0].text == "primary"


async def test_a_server_of_the_older_versions_is_used_when_it_returns_by_a_client_of_both_eras():
    async with world(program=OLDER_SERVER, up=False) as here, connect(here.envoy_url) as client:
        # What the gate negotiates must be something that every server can keep up.
        assert client.protocol_version == "2025-11-25"
        assert await search(client) == "rest"
        await here.server.start()

        async def is_back() -> bool:
            try:
                return not (await client.call_tool("sql", {"sql": "select 1"})).is_error
            except MCPError:
                return False

        assert await eventually(is_back)


async def test_in_the_newest_version_a_returned_server_is_used_without_a_new_beginning():
    async with world(up=False) as here, connect(here.envoy_url, mode="2026-07-28") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["search"]
        assert await search(client) == "rest"
        await here.server.start()

        async def is_back() -> bool:
            return await search(client) == "primary"

        assert await eventually(is_back)
        assert (await client.call_tool("whoami")).content[0].text == "primary"


async def test_a_client_does_not_notice_that_its_server_has_been_restarted():
    async with world("--json") as here, connect(here.envoy_url, mode="legacy") as client:
        assert await search(client) == "primary"
        await here.server.kill()
        await here.server.start()
        for _ in range(3):
            assert (await client.call_tool("whoami")).content[0].text == "primary"
        assert await search(client) == "primary"
