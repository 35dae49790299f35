"""Spans of calls on the real Envoy, as a collector gets them (OTLP over gRPC), and what servers are told of the trace."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def until(what: str, look, seconds: float = 20):
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"in vain: {what}")


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """A receiver of OTLP."""

    def __init__(self):
        self.spans: list[tuple[str, Span]] = []
        self.server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def Export(self, request, context):
        for of in request.resource_spans:
            names = {item.key: item.value.string_value for item in of.resource.attributes}
            self.spans += [(names["service.name"], span) for scope in of.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    def of(self, kind: int, count: int = 1, trace: str | None = None) -> list[Span]:
        """So many spans of a kind, or more, as soon as they are there."""

        def look():
            found = [span for _, span in self.spans if span.kind == kind and trace in (None, span.trace_id.hex())]
            return found if len(found) >= count else None

        return until(f"{count} spans", look)


class Server:
    """An MCP server that notes what it is sent, and fails where it is told to."""

    def __init__(self, status: int = 200):
        outer, self.seen = self, []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.seen.append((dict((name.lower(), value) for name, value in self.headers.items()), body))
                answer = {"jsonrpc": "2.0", "id": body.get("id"), "result": {"content": [{"type": "text", "text": "ok"}]}}
                data = json.dumps(answer).encode() if status == 200 else b"{}"
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/mcp"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


class Envoy:
    """An Envoy before two servers."""

    def __init__(self, tracing: dict | None, servers: list[Server]):
        self.folder = Path(tempfile.mkdtemp(prefix="dualpath-traces-"))
        self.port, admin = free(), free()
        registry = {
            "version": 1,
            "listener": {"port": self.port, "query": "forward"},
            "envoy": {"wasm_file": os.environ["DUALPATH_WASM"], "admin_port": admin},
            "discovery": {"enabled": False},
            "servers": [
                {"id": f"server-{at}", "kind": "mcp", "url": server.url, "probe": {"enabled": False}}
                for at, server in enumerate(servers)
            ],
            "tools": [
                {"name": "search", "task": "search", "replayable": True, "description": "d", "input_schema": {"type": "object"}}
            ],
        }
        if tracing is not None:
            registry["tracing"] = tracing
        (self.folder / "registry.json").write_text(json.dumps(registry))
        bootstrap = self.folder / "bootstrap.yaml"
        subprocess.run([os.environ["DUALPATH"], "render", self.folder / "registry.json", "-o", bootstrap], check=True)
        command = [os.environ["ENVOY"], "-c", bootstrap, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
        self.process = subprocess.Popen(command)

        def ready():
            assert self.process.poll() is None, "Envoy has ended"
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{admin}/ready", timeout=2).status == 200
            except OSError:
                return False

        until("Envoy is ready", ready, 40)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder)

    def call(self, tool: str = "search", meta: dict | None = None, query: str = "", **headers: str):
        params = {"name": tool, "arguments": {"query": "a-secret-argument"}, "_meta": meta or {}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream", **headers}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/mcp{query}", body, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)


def tags(span: Span) -> dict[str, str]:
    return {item.key: item.value.string_value or str(item.value.int_value) for item in span.attributes}


def test_a_call_that_fails_over_is_one_span_with_one_for_each_attempt_in_the_client_s_trace():
    collector, servers = Collector(), [Server(503), Server()]
    with Envoy({"otlp": f"http://127.0.0.1:{collector.port}", "service_name": "sidecar"}, servers) as envoy:
        envoy.call(traceparent=PARENT, tracestate="a=1")
        attempts = collector.of(Span.SPAN_KIND_CLIENT, 2, TRACE)
        [call] = collector.of(Span.SPAN_KIND_SERVER, 1, TRACE)
        assert call.parent_span_id.hex() == SPAN
        assert {name for name, _ in collector.spans} == {"sidecar"}
        told = tags(call)
        expected = {
            **{"gen_ai.tool.name": "search", "dualpath.mode": "mcp", "dualpath.server": "server-1"},
            **{"dualpath.attempts": "2", "dualpath.breaker": "closed"},
        }
        assert {name: told.get(name) for name in expected} == expected, told
        assert "error.type" not in told, told
        assert [span.parent_span_id for span in attempts] == [call.span_id] * 2
        clusters = sorted(tags(span)["upstream_cluster.name"] for span in attempts)
        assert clusters == ["server-0", "server-1"], [tags(span) for span in attempts]
        seen = [server.seen[0][0]["traceparent"].split("-") for server in servers]
        assert [parts[1] for parts in seen] == [TRACE] * 2
        assert {parts[2] for parts in seen} == {span.span_id.hex() for span in attempts}, "each attempt has its own span"


def test_a_span_tells_nothing_of_a_client_but_the_tool_that_the_registry_names():
    collector, server = Collector(), Server()
    with Envoy({"otlp": f"http://127.0.0.1:{collector.port}"}, [server]) as envoy:
        envoy.call(tool="a-secret-tool", meta={"traceparent": OTHER}, query="?readonly=a-secret-query", authorization="a-secret-token")
        [call] = collector.of(Span.SPAN_KIND_SERVER)
        collector.of(Span.SPAN_KIND_CLIENT)
        assert "gen_ai.tool.name" not in tags(call)
        assert tags(call)["dualpath.client.traceparent"] == OTHER, "the trace that the message names"
        assert all("a-secret" not in str(span) for _, span in collector.spans), collector.spans


def test_what_failed_is_told_by_its_class():
    collector = Collector()
    with Envoy({"otlp": f"http://127.0.0.1:{collector.port}"}, [Server(503)]) as envoy:
        assert "error" in envoy.call()
        [call] = collector.of(Span.SPAN_KIND_SERVER)
        assert tags(call)["error.type"] == "server", tags(call)


def test_of_a_share_of_calls_is_told():
    collector, server = Collector(), Server()
    with Envoy({"otlp": f"http://127.0.0.1:{collector.port}", "sampling": 0.5}, [server]) as envoy:
        for _ in range(60):
            envoy.call()
        told = collector.of(Span.SPAN_KIND_SERVER, 10)
        assert len(told) <= 50, f"{len(told)} of 60"


def test_where_the_trace_is_not_to_leave_servers_get_none_of_it():
    collector, server = Collector(), Server()
    with Envoy({"otlp": f"http://127.0.0.1:{collector.port}", "propagate": False}, [server]) as envoy:
        envoy.call(traceparent=PARENT, tracestate="a=1", baggage="user=7")
        [call] = collector.of(Span.SPAN_KIND_SERVER, 1, TRACE)
        assert call.parent_span_id.hex() == SPAN
        assert not {"traceparent", "tracestate", "baggage"} & set(server.seen[0][0]), server.seen


def test_without_the_section_a_trace_passes_as_it_is_and_none_is_made():
    servers = [Server(503), Server()]
    with Envoy(None, servers) as envoy:
        envoy.call(traceparent=PARENT, tracestate="a=1", meta={"traceparent": OTHER})
        envoy.call(meta={"traceparent": OTHER})
        for server in servers:
            (first, body), (second, _) = server.seen[:2]
            assert (first["traceparent"], first["tracestate"]) == (PARENT, "a=1")
            assert body["params"]["_meta"]["traceparent"] == OTHER
            assert "traceparent" not in second


def test_a_trace_is_started_where_the_operator_wants_it():
    servers = [Server(503), Server()]
    with Envoy({"start": True}, servers) as envoy:
        envoy.call()
        envoy.call(meta={"traceparent": OTHER})
        first, second = ([headers["traceparent"] for headers, _ in server.seen[:2]] for server in servers)
        assert first == second and first[1] == OTHER and first[0].endswith("-01"), (first, second)


if __name__ == "__main__":
    found = [test for name, test in list(globals().items()) if name.startswith("test_")]
    for test in found:
        start = time.monotonic()
        test()
        print(f"test {test.__name__} ({time.monotonic() - start:.1f} s) ... ok", flush=True)
    print(f"{len(found)} passed, 0 failed")
