"""Child processes on loopback ports: Envoy, SDK servers, the REST stub."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

POLL = 0.02


class Port:
    """A port of 127.0.0.1 that is ours until the end. It is bound and never listens: a server can use it, nobody else
    gets it, and while the server is dead connections are refused."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.number: int = self.socket.getsockname()[1]

    def close(self) -> None:
        self.socket.close()

    async def is_served(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.number)
        except OSError:
            return False
        writer.close()
        return True


class Child:
    """A running program. Its input is a pipe, which tells it when we are gone; its output goes to a file."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log

    @classmethod
    async def start(cls, command: list[str], log: Path, env: Mapping[str, str]) -> "Child":
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, **env},
            )
        return cls(process, log)

    async def until(self, ready: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
        """Polls until the program is ready; fails with its output when it ends or takes too long."""
        if not await eventually(ready, seconds, lambda: self.process.returncode is not None):
            raise RuntimeError(f"{self.log.stem} did not start:\n{self.log.read_text()[-3000:]}")

    async def kill(self) -> None:
        """SIGKILL, and waits for the end."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


async def eventually(
    holds: Callable[[], Awaitable[bool]], seconds: float = 10, hopeless: Callable[[], bool] = lambda: False
) -> bool:
    """Whether it holds within that time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not await holds():
        if hopeless() or loop.time() > deadline:
            return False
        await asyncio.sleep(POLL)
    return True
