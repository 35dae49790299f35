"""Runs the tests one after the other: every coroutine function `test_*` of the modules named below."""

import asyncio
import importlib
import inspect
import logging
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Awaitable, Callable

MODULES = [
    *("test_servers", "test_streams", "test_outage", "test_failover", "test_credentials"),
    *("test_shapes", "test_matrix"),
]
# Seconds. A test takes about one, with each of four clients about ten; a machine that is busy otherwise gets time.
ONE_TEST = 120
ALL_TESTS = 600


def collect(words: list[str]) -> list[Callable[[], Awaitable[None]]]:
    """The tests in the order of their files, those whose name contains one of the words."""
    found = [
        test
        for module in MODULES
        for name, test in vars(importlib.import_module(module)).items()
        if name.startswith("test_") and inspect.iscoroutinefunction(test)
    ]
    return [test for test in found if not words or any(word in test.__name__ for word in words)]


async def run(tests: list[Callable[[], Awaitable[None]]]) -> int:
    """Prints a line for each test and the count at the end; returns how many failed."""
    # Cancelled, the tests stop their processes on the way out.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    end = time.monotonic() + ALL_TESTS
    failed = 0
    for test in tests:
        start = time.monotonic()
        try:
            await asyncio.wait_for(test(), max(0, min(ONE_TEST, end - start)))
            outcome = "ok"
        except Exception:
            failed += 1
            outcome = f"FAILED\n{traceback.format_exc()}"
        print(f"test {test.__module__}::{test.__name__} ({time.monotonic() - start:.1f} s) ... {outcome}", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    # The SDK logs the failures that are played here, and warns of methods that only the older versions have.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    sys.exit(1 if asyncio.run(run(collect(sys.argv[1:]))) else 0)
