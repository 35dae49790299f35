"""Two servers of the SDK, each with sessions of its own."""

import asyncio

from test_outage import search
from world import connect, world

TWO = ("primary", "secondary")


async def test_without_a_session_the_second_server_takes_over_in_the_same_call():
    async with world(names=TWO) as here, connect(here.envoy_url) as client:
        assert await search(client) == "primary"
        await here.server.kill()
        assert await search(client) == "secondary"
        assert (await client.call_tool("whoami")).content[0].text == "secondary"
        await here.servers[1].kill()
        assert await search(client) == "rest"


async def test_servers_without_sessions_take_over_for_older_clients_too():
    async with world("--stateless", "--json", names=TWO) as here, connect(here.envoy_url, mode="legacy") as client:
        assert (await client.call_tool("whoami")).content[0].text == "primary"
        await here.server.kill()
        assert (await client.call_tool("whoami")).content[0].text == "secondary"
        assert await search(client) == "secondary"


async def test_a_client_does_not_notice_that_the_server_of_its_session_is_killed():
    async with world("--json", names=TWO) as here, connect(here.envoy_url, mode="legacy") as client:
        assert (await client.call_tool("whoami")).content[0].text == "primary"
        await here.server.kill()
        for _ in range(5):
            assert (await client.call_tool("whoami")).content[0].text == "secondary"
            assert await search(client) == "secondary"
        await client.send_ping()
        assert "whoami" in [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools]
        calls = [client.call_tool("whoami") for _ in range(20)]
        assert {call.content[0].text for call in await asyncio.gather(*calls)} == {"secondary"}
        # It stays there when the first is back, and goes on again when the second is killed.
        await here.server.start()
        assert await search(client) == "secondary"
        await here.servers[1].kill()
        assert (await client.call_tool("whoami")).content[0].text == "primary"


async def test_progress_comes_through_in_a_session_that_has_moved():
    async with world(names=TWO) as here, connect(here.envoy_url, mode="legacy") as client:
        await client.list_tools()
        await here.server.kill()
        steps = []

        async def note(step: float, total: float | None, message: str | None) -> None:
            steps.append(step)

        result = await client.call_tool("count", {"upto": 3}, progress_callback=note)
        assert result.content[0].text == "counted to 3"
        assert steps == [1, 2, 3]
