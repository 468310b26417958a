"""What waits in a database, counted for whoever watches over it: through small indexes, and never further than far."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select

from vipflow.store.tables import holds, incidents, messages, seals
from vipflow.store.work import next_wake

FAR = 100_000
"""Beyond this nobody counts: it is enough to know that it is much."""

# Written out: an index of some rows alone serves whoever says the very same.
_IN_TROUBLE: ColumnElement[bool] = literal_column("messages.state IN ('held', 'uncertain', 'dead')")


def _rows(condition: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).select_from(select(literal_column("1")).where(condition).limit(FAR).subquery())


_COUNTS = {
    "mails_waiting": _rows(messages.c.state == "waiting"),
    "mails_sending": _rows(messages.c.state == "sending"),
    "incidents_open": _rows(incidents.c.closed_at.is_(None)),
    "holds_in_force": _rows(holds.c.released_at.is_(None)),
}
_some_troubled = select(messages.c.state).where(_IN_TROUBLE).limit(FAR).subquery()
_TROUBLED = select(_some_troubled.c.state, func.count().label("many")).group_by(_some_troubled.c.state)
_OLDEST = {
    "mail_waiting": select(func.min(messages.c.not_before)).where(messages.c.state == "waiting"),
    "incident_open": select(func.min(incidents.c.opened_at)).where(incidents.c.closed_at.is_(None)),
    "seal": select(seals.c.made_at).order_by(seals.c.number.desc()).limit(1),
}


def standing(connection: Connection) -> dict[str, int]:
    """How many there are of what waits, by name; FAR means that many or more."""
    counts = {name: connection.execute(statement).scalar_one() for name, statement in _COUNTS.items()}
    found = {row.state: row.many for row in connection.execute(_TROUBLED)}
    return counts | {f"mails_{state}": found.get(state, 0) for state in ("held", "uncertain", "dead")}


def oldest(connection: Connection) -> dict[str, datetime | None]:
    """Since when the longest waiting of each kind waits, due or not; when the last seal was made."""
    found: dict[str, datetime | None] = {"timer_due": next_wake(connection)}  # what is held is nobody's alarm
    return found | {name: connection.execute(statement).scalar() for name, statement in _OLDEST.items()}
