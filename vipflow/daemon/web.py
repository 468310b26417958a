"""The web server inside the daemon: uvicorn on a socket that is bound before anything else begins."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from litestar import Litestar

from vipflow.errors import BadInput


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. BadInput says what is wrong with the address."""
    where = f"the address {host}:{port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except socket.gaierror as wrong:
        raise BadInput(where, f"there is no such host ({wrong.strerror})", "set daemon.host") from wrong
    except PermissionError as wrong:
        raise BadInput(where, "this user may not listen there", "take a port from 1024 on: --port") from wrong
    except OSError as wrong:
        problem = (
            "another program listens there" if wrong.errno == errno.EADDRINUSE else str(wrong.strerror or wrong).lower()
        )
        raise BadInput(where, problem, "take another port (--port 0: a free one), or stop that program") from wrong


def url_of(listening: socket.socket) -> str:
    """Where people find it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Web:
    """Answers requests until it is told to stop. Signals are the daemon's."""

    def __init__(self, app: Litestar, listening: socket.socket) -> None:
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=1,
            )
        )
        self._listening = listening

    async def serve(self) -> None:
        """Until `stop`."""
        await self._server.serve(sockets=[self._listening])

    async def started(self) -> None:
        """Waits until requests are answered."""
        await self._server.answering.wait()

    def stop(self) -> None:
        """Takes no new requests, and answers those that it has."""
        self._server.should_exit = True
        self._server.asked_to_stop.set()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()
        self.asked_to_stop = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()

    async def main_loop(self) -> None:
        """Once a second, for the date in its answers; left to itself uvicorn wakes ten times as often."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.asked_to_stop.wait(), 1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: left to itself uvicorn takes the signals, and ends the process with 143."""
        yield
