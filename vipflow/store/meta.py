"""What the database knows of itself, and whose clock counts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from vipflow.store.tables import meta
from vipflow.store.types import UtcDateTime, instant_text
from vipflow.store.writes import Upsert

_VALUE = select(meta.c.value).where(meta.c.key == bindparam("key"))
_SET = Upsert(meta, key=["key"], set=["value"])
_SERVER_CLOCK = select(func.clock_timestamp(type_=UtcDateTime))
_HIGH_WATER = "clock"


def get_meta(connection: Connection, key: str) -> str | None:
    """What `set_meta` kept under `key`, or None."""
    return connection.execute(_VALUE, {"key": key}).scalar()


def set_meta(connection: Connection, key: str, value: str) -> None:
    """Keeps `value` under `key`, in place of what was there."""
    _SET.run(connection, [(key, value)])


def database_now(connection: Connection, host_now: datetime) -> datetime:
    """The instant that counts for this unit of work.

    PostgreSQL's own clock, so that several machines agree. On SQLite `host_now`, the clock of this machine, but never
    before what `remember_now` kept: a clock that was set back does not make time repeat itself.
    """
    if connection.dialect.name == "postgresql":
        now = connection.execute(_SERVER_CLOCK).scalar()
        assert now is not None  # noqa: S101 - clock_timestamp() always tells
        return now
    kept = get_meta(connection, _HIGH_WATER)
    return host_now if kept is None else max(host_now, datetime.fromisoformat(kept))


def remember_now(connection: Connection, now: datetime) -> None:
    """Keeps `now`, which `database_now` gave in this transaction, as the instant before which time does not go back.

    Nothing on PostgreSQL: its clock is its own, and writers would wait for each other's mark.
    """
    if connection.dialect.name == "sqlite":
        set_meta(connection, _HIGH_WATER, instant_text(now))
