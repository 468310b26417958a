"""The daemons that work on a database: who they are, and when each was heard of last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select

from vipflow.store.tables import daemons
from vipflow.store.types import any_of
from vipflow.store.writes import Insert, Update

_ARRIVE = Insert(daemons, ["id", "host", "pid", "version", "started_at", "beat_at", "details"])
_BEAT = Update(daemons, key=["id"], set=["beat_at", "details"])
_LEAVE = Update(daemons, key=["id"], set=["beat_at", "stopped_at", "details"])
_all = select(daemons).order_by(daemons.c.started_at.desc(), daemons.c.id)
_called = select(daemons).where(any_of(daemons.c.id, "idents"))
_last_beat = select(func.max(daemons.c.beat_at))
_forget = delete(daemons).where(daemons.c.beat_at < bindparam("before"))


def arrive(connection: Connection, ident: str, host: str, pid: int, version: str, now: datetime, details: str) -> None:
    """A daemon that begins."""
    _ARRIVE.run(connection, [(ident, host, pid, version, now, now, details)])


def beat(connection: Connection, ident: str, now: datetime, details: str) -> bool:
    """That it lives; whether it is known at all."""
    return _BEAT.run(connection, [(ident, now, details)]) > 0


def leave(connection: Connection, ident: str, now: datetime, details: str) -> None:
    """That it stopped on purpose."""
    _LEAVE.run(connection, [(ident, now, now, details)])


def all_daemons(connection: Connection) -> Sequence[Any]:
    """Every daemon that is remembered, the latest first."""
    return connection.execute(_all).all()


def daemons_called(connection: Connection, idents: Sequence[str]) -> Sequence[Any]:
    """Those of these that are remembered."""
    return connection.execute(_called, {"idents": list(idents)}).all()


def last_beat(connection: Connection) -> datetime | None:
    """When any daemon was heard of last; None where none ever ran."""
    return connection.execute(_last_beat).scalar()


def forget_daemons(connection: Connection, before: datetime) -> int:
    """Drops those that were last heard of before then; how many."""
    return connection.execute(_forget, {"before": before}).rowcount
