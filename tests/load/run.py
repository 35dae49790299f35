"""`make load`: calls in steps, at the laboratory's Envoy while its servers fail, or at a sidecar that runs already."""

# locust makes sockets cooperative as it is imported, which must come first.
from locust.env import Environment  # isort: skip

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import gevent
from envoy import Admin
from figures import TARGETS, of_step, table, targets, verdict
from picture import svg
from users import ACCEPT, MIX, VERSION, McpUser, Trouble, answer, checked, message, read_only

# New users come so fast; their first calls are not counted.
PER_SECOND = 50
SETTLING_S = 2.0


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def listed(url: str) -> list[dict]:
    """The tools that a sidecar lists, on its first page."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)
    session = {}
    for method, params in (
        ("initialize", {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "dualpath-load", "version": "1"}}),
        ("tools/list", {}),
    ):
        headers = {**ACCEPT, "mcp-protocol-version": VERSION, **session}
        request = urllib.request.Request(url, message(method, params, 1).encode(), headers)
        try:
            with opener.open(request, timeout=30) as response:
                response.text = response.read().decode(errors="replace")
                if response.headers.get("mcp-session-id"):
                    session = {"mcp-session-id": response.headers["mcp-session-id"]}
        except (urllib.error.URLError, OSError) as error:
            raise Trouble(f"{url}: {method}: {error}") from None
    return answer(response).get("result", {}).get("tools", [])


class Recorder:
    """Calls of the step that is under way."""

    def __init__(self, environment: Environment):
        self.calls: list[tuple] = []
        environment.events.request.add_listener(self.note)

    def note(self, name, response_time, exception, context, **_):
        if name != "initialize":
            attempts = (context or {}).get("x-dualpath-attempts")
            counted = int(attempts) if attempts and attempts.isdigit() else None
            self.calls.append((name, response_time, str(exception) if exception else None, bool((context or {}).get("ok")), counted))


def measure(environment: Environment, steps: list[int], seconds: float, admin: Admin, done: list[dict]):
    recorder = Recorder(environment)
    runner = environment.create_local_runner()
    watching = gevent.spawn(admin.watch)
    try:
        for users in steps:
            runner.start(users, spawn_rate=PER_SECOND)
            gevent.sleep(users / PER_SECOND + SETTLING_S)
            recorder.calls.clear()
            looks, waiting, before, begun = admin.looks, admin.waiting, admin.outcomes(), time.monotonic()
            gevent.sleep(seconds)
            took, calls, after = time.monotonic() - begun, list(recorder.calls), admin.outcomes()
            outcomes = {name: count - before.get(name, 0) for name, count in after.items()}
            done.append(of_step(users, took, calls, outcomes, admin.wait_ms(looks, waiting, len(calls) / took)))
            print(table(done) if len(done) == 1 else table(done).splitlines()[-1], flush=True)
    finally:
        watching.kill()
        runner.quit()


@contextlib.contextmanager
def laboratory(lab: str, seed: int, hang: bool):
    """The laboratory's Envoy and servers, which end with this."""
    command = [lab, "load-stage", "--seed", str(seed), *(["--hang"] if hang else [])]
    stage = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        line = stage.stdout.readline()
        if not line:
            raise Trouble("the laboratory did not start")
        yield json.loads(line)
    finally:
        # It stops when its input ends, and stops what it has started.
        stage.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            stage.wait(10)
        stage.kill()


def report(arguments, about: dict, steps: list[dict]) -> int:
    rows = targets(steps) if arguments.lab else []
    Path(arguments.json).write_text(json.dumps({**about, "steps": steps, "targets": rows}, indent=1) + "\n")
    if steps:
        picture = Path(arguments.json).with_suffix(".svg")
        picture.write_text(svg(steps, about["title"], TARGETS["p95_ms"] if arguments.lab else None))
        print(f"\nalso {arguments.json} and {picture}")
    errors = {}
    for step in steps:
        for error, count in step["errors"].items():
            errors[error] = errors.get(error, 0) + count
    for error, count in errors.items():
        print(f"{count} times: {error}")
    if rows:
        print("\n" + verdict(rows))
    return 0 if all(row["met"] for row in rows) else 1


def main() -> int:
    parser = argparse.ArgumentParser()
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--lab")
    where.add_argument("--url", type=checked)
    parser.add_argument("--tool")
    parser.add_argument("--arguments")
    parser.add_argument("--admin", type=checked)
    parser.add_argument("--steps", type=lambda text: [int(step) for step in text.split(",")])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--json", default="build/load.json")
    arguments = parser.parse_args()
    steps = arguments.steps or ([25, 50, 100, 150] if arguments.lab else [1, 2, 5])
    if not all(step > 0 for step in steps):
        raise Trouble("STEPS must be calls a second, such as 1,2,5")
    done: list[dict] = []
    stopped = False
    # A shell that starts this in the background has it ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with laboratory(arguments.lab, arguments.seed, arguments.hang) if arguments.lab else contextlib.nullcontext() as stage:
        url = stage["url"] if stage else arguments.url
        McpUser.mix = MIX if stage else read_only(listed(url), arguments.tool, arguments.arguments)
        parts = urlsplit(url)
        McpUser.path = parts.path + (f"?{parts.query}" if parts.query else "")
        tools = ", ".join(tool for _, tool, _ in McpUser.mix)
        title = "Dualpath, servers of 150 ms that fail at random" if stage else f"Calls of {tools}"
        print(f"{url}: {tools}; {', '.join(map(str, steps))} calls a second, {arguments.seconds:g} s each. Ctrl-C stops at once.", flush=True)
        environment = Environment(user_classes=[McpUser], host=f"{parts.scheme}://{parts.netloc}")
        try:
            measure(environment, steps, arguments.seconds, Admin(stage["admin"] if stage else arguments.admin), done)
        except KeyboardInterrupt:
            stopped = True
            print("stopped", flush=True)
    return max(report(arguments, {"title": title, "url": url, "seconds": arguments.seconds, "seed": arguments.seed}, done), 130 if stopped else 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Trouble, argparse.ArgumentTypeError) as trouble:
        sys.exit(f"error: {trouble}")
