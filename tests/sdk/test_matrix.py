"""What the clients of four official SDKs live through: each test is run with every one of them."""

import asyncio
from collections.abc import Awaitable, Callable
from statistics import quantiles

from driven import SDKS, Driven, driven
from processes import eventually
from world import World, world

FAIL = "fail this request"


async def with_each(live: Callable[[World, Driven], Awaitable[None]], *flags: str, **options: object) -> None:
    """Each SDK in a world of its own, so that none meets what another has left."""
    for sdk in SDKS:
        try:
            async with world(*flags, **options) as here, driven(sdk, here.envoy_url) as client:
                await live(here, client)
        except Exception as error:
            error.add_note(f"with the {sdk}")
            raise


async def test_every_client_is_served_while_all_servers_are_down_and_when_they_are_back():
    async def live(here: World, client: Driven) -> None:
        assert "primary" in await client.text("search", query="snow")
        await here.server.kill()
        for _ in range(5):
            assert "rest" in await client.text("search", query="snow")
        failure = await client.call("whoami")
        assert failure.get("code") in (50301, 50303), failure
        assert "rest" in await client.text("search", query="snow"), "the session outlives an error"
        await here.server.start()

        async def is_back() -> bool:
            return "primary" in await client.text("search", query="snow")

        assert await eventually(is_back)

    await with_each(live, "--stateless")


async def test_one_failure_reaches_its_call_and_no_other():
    async def live(here: World, client: Driven) -> None:
        beside = client.order("hold")
        failure = await client.call("fail", note=FAIL)
        assert "error" in failure, failure
        assert "primary" in await client.text("whoami"), "the next call is answered"
        assert not beside.done(), beside.result()
        await client.text("release")
        assert "released" in (await asyncio.wait_for(beside, 10))["text"]

    await with_each(live)


async def test_a_slow_call_that_lives_is_not_cut_off():
    async def live(here: World, client: Driven) -> None:
        assert "done at last" in await client.text("slowly", seconds=3)

    await with_each(live, timeout="1s")


async def test_a_client_goes_on_with_the_next_server_when_that_of_its_session_has_died():
    async def live(here: World, client: Driven) -> None:
        assert "primary" in await client.text("whoami")
        await here.server.kill()
        for _ in range(3):
            assert "secondary" in await client.text("whoami")

    await with_each(live, names=("primary", "secondary"))


async def test_calls_beside_an_open_stream_are_as_quick_as_without_envoy():
    """With Istio 1.30 and Envoy 1.38 each took ten seconds (envoyproxy/envoy#45900, istio/istio#60275)."""

    async def p95(url: str, sdk: str) -> float:
        async with driven(sdk, url) as client:
            await client.text("whoami")
            calls = [await client.call("whoami") for _ in range(50)]
            assert all("primary" in call.get("text", "") for call in calls), calls
            return quantiles([call["ms"] for call in calls], n=20)[-1]

    # The server takes this token from Envoy only; for the comparison it must take calls without.
    async with world("--json", "--open") as here:
        for sdk in SDKS:
            direct, through = await p95(here.server.url, sdk), await p95(here.envoy_url, sdk)
            assert through < direct + 50, (sdk, direct, through)
