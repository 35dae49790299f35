"""A refused PAT is the proxy's trouble: no client is sent to log in anywhere."""

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata, OAuthToken

from test_outage import error_of, search
from world import PAT, connect, world


class Store:
    """Has this token at the start, and keeps nothing."""

    def __init__(self, token: str | None) -> None:
        self.token = token

    async def get_tokens(self) -> OAuthToken | None:
        return OAuthToken(access_token=self.token) if self.token else None

    async def set_tokens(self, tokens: object) -> None:
        pass

    async def get_client_info(self) -> None:
        return None

    async def set_client_info(self, client_info: object) -> None:
        pass


async def with_oauth(url: str, token: str | None = None) -> tuple[list[str], object]:
    """Connects with the SDK's OAuth provider, which has `token` at the start. Returns the paths that it asked for
    besides the endpoint, and who answered or the error."""
    asked = []

    async def note(request: httpx2.Request) -> None:
        asked.append(request.url.path)

    metadata = OAuthClientMetadata(redirect_uris=["http://127.0.0.1:1/callback"])
    provider = OAuthClientProvider(url, metadata, Store(token))
    hooks = {"request": [note]}
    end: object = None
    try:
        async with httpx2.AsyncClient(auth=provider, event_hooks=hooks, timeout=10) as http:
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode="legacy", read_timeout_seconds=10) as client:
                end = await search(client)
    except Exception as error:
        end = error
    return [path for path in asked if path != "/mcp"], end


async def test_a_refused_pat_starts_no_oauth_flow_in_the_client():
    async with world("--json", token="another-pat") as here:
        asked, _ = await with_oauth(here.server.url)
        assert any("oauth" in path for path in asked), f"directly, the refusal does start one: {asked}"
        asked, answered = await with_oauth(here.envoy_url)
        assert asked == []
        assert answered == "rest"


async def test_a_pat_that_may_too_little_starts_no_oauth_flow_in_the_client():
    async with world("--json", "--scope", "search") as here:
        asked, _ = await with_oauth(here.server.url, PAT)
        assert any("oauth" in path for path in asked), f"directly, the refusal does start one: {asked}"
        asked, answered = await with_oauth(here.envoy_url)
        assert asked == []
        assert isinstance(answered, Exception), "what the PAT may not do is not done on another path"


async def test_without_a_direct_path_a_refused_pat_is_named_as_the_cause():
    async with world(token="another-pat") as here, connect(here.envoy_url) as client:
        error = await error_of(client.call_tool("whoami"))
        assert error.data["reason"] == "CREDENTIAL_UNAVAILABLE", error
        assert PAT not in str(error.error)
