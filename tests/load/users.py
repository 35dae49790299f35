"""What calls: users that speak MCP over HTTP, one call a second each, and what they may call."""

import json
import random
from urllib.parse import urlsplit

from locust import FastHttpUser, constant_throughput, task

ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
VERSION = "2025-06-18"

# The tasks of the first users. They said which, not how often: most calls complete, few are for the analyst.
MIX = [
    (5, "complete", {"prompt": "In one sentence: what changed in the orders of last week?"}),
    (3, "search", {"query": "delivery times"}),
    (2, "analyst", {"message": "Which region sold most last month?"}),
]


class Trouble(Exception):
    """What keeps a run from beginning, in words for its user."""


def message(method: str, params: dict, number: int) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


def answer(response) -> dict:
    """The JSON-RPC answer in a body of JSON or of events; empty if there is none."""
    text = response.text or ""
    parts = [line[5:] for line in text.splitlines() if line.startswith("data:")] or [text]
    for part in parts:
        try:
            found = json.loads(part)
        except ValueError:
            continue
        if isinstance(found, dict) and ("result" in found or "error" in found):
            return found
    return {}


def checked(url: str) -> str:
    """The URL of a sidecar, if it is one that may be called."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Trouble(f"URL must be http://HOST[:PORT]/PATH, without name and password, and not {parts.scheme}:")
    return url


def example(schema: dict) -> dict | None:
    """Arguments that a schema's required properties take; nothing if one is of a kind that can't be made up."""
    made = {"string": "load test", "integer": 1, "number": 1, "boolean": False, "array": []}
    arguments = {}
    for name in schema.get("required", []):
        wanted = schema.get("properties", {}).get(name, {})
        if wanted.get("enum"):
            arguments[name] = wanted["enum"][0]
        elif wanted.get("type") in made:
            arguments[name] = made[wanted["type"]]
        else:
            return None
    return arguments


def read_only(listed: list[dict], named: str | None, arguments: str | None) -> list[tuple[int, str, dict]]:
    """Of the tools that a sidecar lists those that may be called: which it calls read-only, or the one that is named."""
    tools = {tool["name"]: tool for tool in listed}
    if named and named not in tools:
        raise Trouble(f"TOOL={named}: is not listed; there are {', '.join(tools) or 'none'}")
    may = [named] if named else [name for name, tool in tools.items() if (tool.get("annotations") or {}).get("readOnlyHint") is True]
    if not may:
        raise Trouble(f"no tool is listed as read-only (readOnlyHint); name one that changes nothing by TOOL=, of {', '.join(tools)}")
    mix = []
    for name in may:
        made = json.loads(arguments) if arguments else example(tools[name].get("inputSchema") or {})
        if made is not None:
            mix.append((1, name, made))
    if not mix:
        raise Trouble("arguments of these tools can't be made up: give them by ARGUMENTS='{...}'")
    return mix


class McpUser(FastHttpUser):
    """Opens a session if the server has some, then calls."""

    wait_time = constant_throughput(1)
    # A redirect would lead to a host that nobody has named.
    max_redirects = 0
    connection_timeout = 10.0
    network_timeout = 30.0
    mix = MIX
    path = "/mcp"

    def on_start(self):
        self.number = 0
        self.session = {}
        params = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "dualpath-load", "version": "1"}}
        response = self.post("initialize", params, "initialize")
        session = response.headers.get("mcp-session-id") if response is not None and response.headers else None
        if session:
            self.session = {"mcp-session-id": session}

    def post(self, method: str, params: dict, name: str):
        self.number += 1
        headers = {**ACCEPT, "mcp-protocol-version": VERSION, **self.session}
        data = message(method, params, self.number)
        with self.client.post(self.path, data=data, headers=headers, name=name, catch_response=True) as response:
            found = answer(response) if response.status_code == 200 else {}
            if response.status_code != 200:
                response.failure(f"HTTP {response.status_code}")
            elif "error" in found:
                response.failure(f"error {found['error'].get('code')}")
            elif "result" not in found:
                response.failure("no answer in the body")
            elif found["result"].get("isError"):
                response.failure("isError")
            else:
                response.success()
            seen = {key: response.headers.get(key) for key in ("x-dualpath-server", "x-dualpath-attempts")} if response.headers else {}
            response.request_meta["context"] = {**seen, "ok": "result" in found}
            return response

    @task
    def call(self):
        _, tool, arguments = random.choices(self.mix, weights=[weight for weight, _, _ in self.mix])[0]
        self.post("tools/call", {"name": tool, "arguments": arguments}, tool)
