"""How daemons hear that something was written which is due soon: on SQLite they look, PostgreSQL tells them.

Nothing depends on it: a daemon looks every minute anyway. So what is due later than that is not worth a word, and
neither is a second word in the same moment: who was woken looks once more shortly after.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, closing
from datetime import datetime, timedelta
from time import monotonic
from urllib.parse import quote

from sqlalchemy import URL, Connection, make_url, text

CHANNEL = "vipflow"
SOON = timedelta(seconds=60)
"""Daemons look at least as often."""
QUIET = 0.1
"""Seconds of silence after a word: at most ten a second come from one process."""

GLANCE = 0.25
"""Seconds between two looks at an SQLite database."""

_NOTIFY = text("SELECT pg_notify(:channel, '')")


class Bell:
    """What a writer rings. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung_at = float("-inf")

    def ring(self, connection: Connection, due_at: datetime | None, now: datetime) -> bool:
        """In a transaction on PostgreSQL that wrote something due at `due_at`: tells the daemons, once it is committed,
        if that is worth it. Whether it did; then `rang` is due after the commit.
        """
        if due_at is None or due_at - now > SOON:
            return False
        with self._lock:
            if monotonic() - self._rung_at < QUIET:
                return False
        notify(connection)
        return True

    def rang(self) -> None:
        """What `ring` said is committed."""
        with self._lock:
            self._rung_at = monotonic()


def notify(connection: Connection) -> None:
    """Wakes every daemon when this transaction is committed; nothing on SQLite, where they see it themselves."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY, {"channel": CHANNEL})


async def heard(url: str) -> AsyncIterator[None]:
    """Gives something each time that somebody else may have written what is due soon, and once at the start.

    Raises the driver's errors where the database cannot be asked any more: then begin anew.
    """
    address = make_url(url)
    words = _changes(address) if address.drivername.startswith("sqlite") else _told(address)
    async with aclosing(words):
        async for _ in words:
            yield


async def _changes(address: URL) -> AsyncGenerator[None]:
    """SQLite tells a connection whether others have committed since it last asked: a matter of microseconds."""
    with closing(sqlite3.connect(f"file:{quote(str(address.database))}?mode=ro", uri=True, timeout=0)) as connection:
        before = None
        while True:
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if version != before:
                yield
            before = version
            await asyncio.sleep(GLANCE)  # why: SQLite rings no bell, so it is looked at


async def _told(address: URL) -> AsyncGenerator[None]:
    from psycopg import AsyncConnection

    plain = address.set(drivername="postgresql").render_as_string(hide_password=False)
    async with await AsyncConnection.connect(
        plain, autocommit=True, connect_timeout=10, application_name="vipflow listening"
    ) as connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        yield
        while True:
            # Read to its end each time: a listening that is not finished keeps the connection to itself.
            if [word async for word in connection.notifies(timeout=SOON.total_seconds(), stop_after=1)]:
                yield
                # Whoever wrote while the bell was quiet did not ring: look once more.
                await asyncio.sleep(1.5 * QUIET)  # why: a bell is quiet for so long
                _ = [word async for word in connection.notifies(timeout=0)]
                yield
            else:
                await connection.execute("SELECT 1")  # is anybody there?
