"""Incidents written, found by what they have in common, and closed; and what is tried again when somebody says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, UpdateBase, bindparam, delete, func, null, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import FromClause

from vipflow.store.tables import crashes, inbox, incidents, timers
from vipflow.store.writes import InsertAbsent, Update

Rows = Sequence[Any]

_tenant: BindParameter[int] = bindparam("tenant")


class _Report(InsertAbsent):
    """Adds incidents; one that was closed is opened again, one that is open stays as it is."""

    def _again(self, insert: Any) -> UpdateBase:
        new = insert.excluded
        values = {"says": new.says, "fault": new.fault, "opened_at": new.opened_at}
        found: UpdateBase = insert.on_conflict_do_update(
            index_elements=["tenant", "id"],
            set_=values | dict.fromkeys(("closed_at", "closed_by", "outcome", "remark"), null()),
            where=incidents.c.closed_at.is_not(None),
        )
        return found

    def _on_sqlite(self, values: Sequence[ColumnElement[Any]]) -> UpdateBase:
        given = dict(zip(self.columns, values, strict=True))
        return self._again(sqlite.insert(self.table).values(given).inline())

    def _on_postgresql(self, values: Sequence[ColumnElement[Any]], rows: FromClause) -> UpdateBase:
        chosen = select(*values).select_from(rows)
        return self._again(postgresql.insert(self.table).from_select(list(self.columns), chosen))


REPORT = _Report(incidents, ["tenant", "id", "subject", "case_ref", "kind", "cause", "says", "opened_at", "fault"])
CLOSE = Update(incidents, key=["tenant", "id", "opened_at"], set=["closed_at", "closed_by", "outcome", "remark"])
WAKE_TIMERS = Update(timers, key=["tenant", "case_ref", "name", "due_at"], set=["errors", "wake_at"])
PARK_AGAIN = Update(
    inbox, key=["tenant", "source", "event_id", "verdict"], set=["verdict", "waiting_for", "expires_at"]
)

_groups = (
    select(
        incidents.c.fault,
        incidents.c.kind,
        func.count().label("count"),
        func.min(incidents.c.opened_at).label("first_at"),
        func.max(incidents.c.opened_at).label("last_at"),
        func.min(incidents.c.id).label("example"),
    )
    .where(incidents.c.tenant == _tenant, incidents.c.closed_at.is_(None))
    .group_by(incidents.c.fault, incidents.c.kind)
    .order_by(func.count().desc(), incidents.c.fault, incidents.c.kind)
)
_of_fault = (
    select(incidents)
    .where(
        incidents.c.tenant == _tenant,
        incidents.c.closed_at.is_(None),
        incidents.c.fault == bindparam("fault"),
        incidents.c.kind == bindparam("kind"),
    )
    .order_by(incidents.c.opened_at, incidents.c.id)
)
_event = select(inbox).where(
    inbox.c.tenant == _tenant, inbox.c.source == bindparam("source"), inbox.c.event_id == bindparam("event_id")
)
_stopped_timers = select(timers).where(
    timers.c.tenant == _tenant, timers.c.subject == bindparam("subject"), timers.c.wake_at.is_(None)
)
_forgive = delete(crashes).where(crashes.c.tenant == _tenant, crashes.c.subject == bindparam("subject"))


def groups(connection: Connection, tenant: int) -> Rows:
    """(fault, kind, count, first_at, last_at, example) of all open incidents, the most frequent fault first."""
    return connection.execute(_groups, {"tenant": tenant}).all()


def open_of_fault(connection: Connection, tenant: int, fault: str, kind: str) -> Rows:
    """The open incidents of one fault, the oldest first."""
    return connection.execute(_of_fault, {"tenant": tenant, "fault": fault, "kind": kind}).all()


def close(
    connection: Connection, tenant: int, row: Any, now: datetime, by: str, outcome: str, remark: str | None
) -> bool:
    """Closes an incident as it was read; False where somebody else did, or it happened again meanwhile."""
    return CLOSE.run(connection, [(tenant, row.id, row.opened_at, now, by, outcome, remark)]) == 1


def event_of(connection: Connection, tenant: int, source: str, event_id: str) -> Any | None:
    """An event as the inbox keeps it."""
    return connection.execute(_event, {"tenant": tenant, "source": source, "event_id": event_id}).one_or_none()


def stopped_timers(connection: Connection, tenant: int, subject: str) -> Rows:
    """The timers of a subject that nobody looks at any more."""
    return connection.execute(_stopped_timers, {"tenant": tenant, "subject": subject}).all()


def forgive_crashes(connection: Connection, tenant: int, subject: str) -> None:
    """Forgets that processes crashed with this in hand."""
    connection.execute(_forgive, {"tenant": tenant, "subject": subject})
