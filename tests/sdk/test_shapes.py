"""Answers in Snowflake's shape: results of tools without the `content` that MCP demands, `[DONE]` at a stream's end."""

from typing import Any

import httpx2

from driven import SDKS, driven
from world import OLDER_SERVER, World, world

# Those that check what they are given; the other two take what there is.
STRICT = [sdk for sdk in SDKS if sdk.startswith("Python")]
SEARCH = {"name": "search", "arguments": {"query": "snow"}}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": SEARCH}
HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}


def snowflake(*flags: str, **known: Any) -> Any:
    """A world whose server answers so, and which the registry takes for Snowflake's. It needs no token, so that clients
    can ask it without Envoy too."""
    return world(*flags, program=OLDER_SERVER, token="", known={"dialect": "snowflake", **known})


async def raw(url: str) -> str:
    async with httpx2.AsyncClient() as http:
        return (await http.post(url, json=CALL, headers=HEADERS)).text


async def is_refused(url: str) -> None:
    """An application with either SDK for Python gets an error where the answer should be."""
    for sdk in STRICT:
        async with driven(sdk, url) as client:
            answer = await client.call("search", query="snow")
            assert "content" in answer.get("error", ""), (sdk, answer)


async def both_framings(live: Any, **known: Any) -> None:
    for flags in ([], ["--json"]):
        async with snowflake(*flags, **known) as here:
            await live(here, "--json" in flags)


async def test_snowflakes_results_are_refused_by_both_python_sdks_without_envoy():
    async def live(here: World, is_json: bool) -> None:
        assert ("[DONE]" in await raw(here.server.url)) != is_json
        await is_refused(here.server.url)

    await both_framings(live)


async def test_snowflakes_results_are_refused_by_both_python_sdks_where_normalise_is_off():
    async def live(here: World, is_json: bool) -> None:
        assert await raw(here.envoy_url) == await raw(here.server.url), "the bytes are the server's"
        await is_refused(here.envoy_url)

    await both_framings(live, normalise=False)


async def test_snowflakes_results_are_read_by_every_client_where_normalise_is_on_as_it_is_by_default():
    async def live(here: World, is_json: bool) -> None:
        assert "[DONE]" not in await raw(here.envoy_url)
        for sdk in SDKS:
            async with driven(sdk, here.envoy_url) as client:
                answer = await client.text("search", query="snow")
                assert "about snow" in answer and "primary" in answer, (sdk, answer)
                assert '"type":"text"' in answer, "as text, for a model"
                assert '"results":[{' in answer, "and as structured content, for a program"
        assert await here.calls("direct") == 0, "the server was asked, and nobody else"

    await both_framings(live)
