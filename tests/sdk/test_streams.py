"""Messages that are no answers: they reach the other side when they are sent, and only there."""

import asyncio

from mcp.types import ElicitResult, ToolListChangedNotification

from processes import eventually
from world import connect, world

TWO = ("primary", "secondary")


async def test_progress_arrives_while_the_call_is_under_way():
    await progress_arrives("legacy")
    await progress_arrives("auto")


async def progress_arrives(mode: str) -> None:
    async with world() as here, connect(here.envoy_url, mode=mode) as client:
        heard = asyncio.Event()

        async def on_progress(done: float, total: float | None, message: str | None) -> None:
            heard.set()

        call = asyncio.create_task(client.call_tool("hold", progress_callback=on_progress))
        await asyncio.wait_for(heard.wait(), 5)
        assert not call.done()
        await client.call_tool("release")
        assert (await call).content[0].text == "released", mode


async def test_an_interrupted_event_stream_is_resumed_with_the_server_that_began_it():
    async with world("--resumable", names=("primary", "secondary")) as here:
        async with connect(here.envoy_url, mode="legacy") as client:
            assert (await client.call_tool("interrupted")).content[0].text == "resumed"

            async def is_fetched() -> bool:
                # One for the client's own stream, one for the rest of the answer.
                return here.server.output().count('"GET /mcp HTTP/1.1" 200') == 2

            assert await eventually(is_fetched)


async def answer_colour(context: object, params: object) -> ElicitResult:
    return ElicitResult(action="accept", content={"colour": "blue"})


async def test_a_server_asks_the_user_in_the_middle_of_a_call():
    async with world(names=TWO) as here:
        for mode in ("legacy", "auto"):
            async with connect(here.envoy_url, mode=mode, elicitation_callback=answer_colour) as client:
                assert (await client.call_tool("ask")).content[0].text == "primary likes blue too", mode
        assert await here.calls("direct") == 0


async def test_in_a_session_a_server_speaks_first_on_the_clients_get_stream():
    heard = asyncio.Event()

    async def note(message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            heard.set()

    async with world(names=TWO) as here, connect(here.envoy_url, mode="legacy", message_handler=note) as client:

        async def is_heard() -> bool:
            # Again until the client has opened its stream, which it does in the background.
            await client.call_tool("announce")
            return heard.is_set()

        assert await eventually(is_heard)


async def test_in_the_newest_version_a_client_subscribes_to_a_server():
    async with world() as here, connect(here.envoy_url) as client:
        async with client.listen(tools_list_changed=True) as subscription:
            await client.call_tool("announce")
            await asyncio.wait_for(anext(subscription), 5)


async def test_a_call_that_the_client_gives_up_is_cancelled_at_the_server():
    for mode in ("legacy", "auto"):
        async with world() as here, connect(here.envoy_url, mode=mode) as client:
            call = asyncio.create_task(client.call_tool("wait"))
            assert await eventually(lambda: here.server.has_said("WAITING"))
            call.cancel()
            assert await eventually(lambda: here.server.has_said("CANCELLED")), mode
            assert (await client.call_tool("whoami")).content[0].text == "primary"
