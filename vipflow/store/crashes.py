"""How often processes died with something in hand: a subject, or an event that would open one (by its cause)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from vipflow.store.meta import set_meta
from vipflow.store.tables import crashes
from vipflow.store.types import any_of, instant_text
from vipflow.store.writes import Delete, Upsert

Key = tuple[int, str]

_all = select(crashes.c.tenant, crashes.c.subject, crashes.c.crashes)
_some = select(crashes.c.subject, crashes.c.crashes).where(
    crashes.c.tenant == bindparam("tenant"), any_of(crashes.c.subject, "keys")
)
_keep = Upsert(crashes, key=["tenant", "subject"], set=["crashes", "last_at"])
_clear = Delete(crashes, key=["tenant", "subject"])


def all_crashes(connection: Connection) -> dict[Key, int]:
    """Everything that processes died with and that has not gone well since: a few rows, or none."""
    return {(row.tenant, row.subject): row.crashes for row in connection.execute(_all)}


def crashes_with(connection: Connection, tenant: int, keys: Sequence[str]) -> dict[str, int]:
    """Those of these that processes died with, and how often."""
    rows = connection.execute(_some, {"tenant": tenant, "keys": list(keys)})
    return {row.subject: row.crashes for row in rows}


def count_again(connection: Connection, keys: Iterable[Key], now: datetime) -> dict[Key, int]:
    """One crash more for each of these; how many there are then."""
    set_meta(connection, "crashes_counted_at", instant_text(now))  # two that start at once count one after the other
    known = all_crashes(connection)
    counted = {key: known.get(key, 0) + 1 for key in keys}
    _keep.run(connection, [(*key, times, now) for key, times in counted.items()])
    return counted


def clear_crashes(connection: Connection, tenant: int, keys: Iterable[str]) -> None:
    """These went well."""
    _clear.run(connection, [(tenant, key) for key in keys])
