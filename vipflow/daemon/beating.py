"""The heart: that a daemon lives is written down every ten seconds, for people and for whoever starts next.

Each beat compares the wall clock with the monotonic one, too: a clock that was set, or a machine that slept, shows.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
from sqlalchemy import Connection

from vipflow.clock import HostClock
from vipflow.engine import Engine
from vipflow.operations.ticks import Ticked
from vipflow.store import daemons, outgoing

VERSION = version("vipflow")
EVERY = 10.0
REMEMBERED = timedelta(days=31)
"""Daemons that were last heard of before are forgotten."""
JUMP = timedelta(seconds=1)
"""Between two looks clocks drift apart by less."""

_json = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True)
class Before:
    """What a daemon finds when it starts: `now`, and when any daemon was heard of last (None: never), both by the clock
    that counts; and of whom that has mails in hand it is sure that he is `gone`.
    """

    now: datetime
    last_beat: datetime | None
    gone: frozenset[str] = frozenset()


class Heart:
    """One daemon's row in the table of daemons."""

    def __init__(self, engine: Engine, details: Callable[[], Mapping[str, Any]]) -> None:
        host = socket.gethostname()
        self.ident = f"{host}:{os.getpid()}:{secrets.token_hex(4)}"
        self._host = host
        self._engine = engine
        self._details = details

    def look(self) -> Before:
        """What it finds, before anything of it is written down."""
        with self._engine.database.read() as connection:
            now = self._engine.read_now(connection)
            return Before(now, daemons.last_beat(connection), frozenset(self._gone(connection)))

    def arrive(self) -> None:
        """Writes down that it begins."""
        with self._engine.database.write() as connection:
            now = self._engine.now(connection)
            daemons.arrive(connection, self.ident, self._host, os.getpid(), VERSION, now, self._told())

    def beat(self) -> Ticked:
        """Writes down that it lives."""
        with self._engine.database.write() as connection:
            now = self._engine.now(connection)
            if not daemons.beat(connection, self.ident, now, self._told()):  # the database was restored, say
                daemons.arrive(connection, self.ident, self._host, os.getpid(), VERSION, now, self._told())
        return Ticked(0, 0, None)

    def leave(self) -> None:
        """Writes down that it stopped on purpose."""
        with self._engine.database.write() as connection:
            daemons.leave(connection, self.ident, self._engine.now(connection), self._told())

    def forget_old(self) -> Ticked:
        """Forgets daemons of long ago."""
        with self._engine.database.write() as connection:
            daemons.forget_daemons(connection, self._engine.now(connection) - REMEMBERED)
        return Ticked(0, 0, None)

    def _gone(self, connection: Connection) -> Iterator[str]:
        """Who has mails in hand and cannot send them any more: on SQLite everybody else, since there is one daemon;
        else who stopped, or ran on this very machine as a process that is no longer there. Of others nobody can tell
        before their lease is over.
        """
        hands = outgoing.hands(connection) - {self.ident}
        if connection.dialect.name == "sqlite":
            yield from hands
            return
        for row in daemons.daemons_called(connection, sorted(hands)) if hands else ():
            here = msgspec.json.decode(row.details).get("machine") == MACHINE
            if row.stopped_at is not None or (here and not _runs(row.pid)):
                yield row.id

    def _told(self) -> str:
        return _json({**self._details(), "machine": MACHINE}).decode()


def _machine() -> str:
    """What tells this machine, since it was started, and this space of process numbers from every other."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:  # no such thing here: then nobody is taken for gone before his lease is over
        return secrets.token_hex(16)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


MACHINE = _machine()


class ClockWatch:
    """Notices that this machine's clock was set, or that the machine slept."""

    def __init__(self) -> None:
        self._ahead = self._look()

    def jumped(self) -> timedelta | None:
        """By how much the wall clock went further than the monotonic one since the last look (negative: it was set
        back); None for what is only drift.
        """
        before, self._ahead = self._ahead, self._look()
        jump = timedelta(seconds=self._ahead - before)
        return jump if abs(jump) > JUMP else None

    @staticmethod
    def _look() -> float:
        return HostClock().now().timestamp() - monotonic()
