"""Two servers of the SDK, each with sessions of its own."""

from test_outage import error_of, search
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


async def test_a_session_of_a_dead_server_keeps_its_direct_path_and_ends_where_only_a_server_can_answer():
    async with world("--json", names=TWO) as here:
        async with connect(here.envoy_url, mode="legacy") as client:
            assert (await client.call_tool("whoami")).content[0].text == "primary"
            await here.server.kill()
            for _ in range(5):
                assert await search(client) == "rest", "the second server does not know this session"
            error = await error_of(client.call_tool("whoami"))
            assert error.data["reason"] == "SESSION_ENDED", error
        async with connect(here.envoy_url, mode="legacy") as client:
            assert (await client.call_tool("whoami")).content[0].text == "secondary"
            assert await search(client) == "secondary"
