"""The daemons of an installation, as people look at them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from vipflow.operations.installation import Installation
from vipflow.store import daemons

MISSED = 3
"""Who misses so many beats is stale."""
DEFAULT_BEAT = 10.0


class DaemonEntry(msgspec.Struct, frozen=True):
    """A daemon. `alive`: it beats. `stale`: it should, and does not: it was killed, stands still, or lost the database.
    `stopped`: it ended on purpose. `silent_for`: so many seconds ago it was last heard of; who was killed is only
    missed after three beats.
    """

    id: str
    host: str
    pid: int
    version: str
    state: Literal["alive", "stale", "stopped"]
    started_at: datetime
    beat_at: datetime
    silent_for: int
    stopped_at: datetime | None
    details: Mapping[str, Any]


def known_daemons(installation: Installation, *, everybody: bool) -> list[DaemonEntry]:
    """Those that work or should, the latest first; or `everybody` of the last month."""
    with installation.database.read() as connection:
        now = installation.engine.read_now(connection)
        rows = daemons.all_daemons(connection)
    found = [_entry(row, now) for row in rows]
    return found if everybody else [each for each in found if each.state != "stopped"]


def living(connection: Connection, now: datetime) -> list[DaemonEntry]:
    """Those that beat, the latest first."""
    return [found for row in daemons.all_daemons(connection) if (found := _entry(row, now)).state == "alive"]


def _entry(row: Any, now: datetime) -> DaemonEntry:
    details = msgspec.json.decode(row.details)
    silence = timedelta(seconds=MISSED * details.get("beats_every", DEFAULT_BEAT))
    alive: Literal["alive", "stale"] = "alive" if now - row.beat_at <= silence else "stale"
    return DaemonEntry(
        row.id,
        row.host,
        row.pid,
        row.version,
        "stopped" if row.stopped_at is not None else alive,
        row.started_at,
        row.beat_at,
        max(0, round((now - row.beat_at).total_seconds())),
        row.stopped_at,
        details,
    )
