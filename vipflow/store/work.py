"""What one batch of events or due timers asks the database: always for whole sets, never for one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select

from vipflow.store.holds import not_held, not_kept_back
from vipflow.store.tables import cases, inbox, names, subjects, team, tenants, timers
from vipflow.store.types import any_of

Rows = Sequence[Any]
"""Rows of a statement, read by the names of its columns."""

_tenant: BindParameter[int] = bindparam("tenant")

_received = select(inbox).where(
    inbox.c.tenant == _tenant, any_of(inbox.c.source, "sources"), any_of(inbox.c.event_id, "ids")
)
_named = select(names.c.collection, names.c.value, names.c.case_ref, names.c.subject, names.c.exclusive).where(
    names.c.tenant == _tenant, any_of(names.c.value, "values")
)
_referenced = select(cases.c.ref, cases.c.subject, cases.c.workflow).where(
    cases.c.tenant == _tenant, any_of(cases.c.ref, "refs")
)
_subjects = (
    select(subjects.c.ref, subjects.c.sequence, subjects.c.tally, subjects.c.head)
    .where(subjects.c.tenant == _tenant, any_of(subjects.c.ref, "refs"))
    .order_by(subjects.c.ref)
)
_locked = _subjects.with_for_update()
_locked_if_free = _subjects.with_for_update(skip_locked=True)
_case_columns = (
    cases.c.ref,
    cases.c.subject,
    cases.c.workflow,
    cases.c.state,
    cases.c.facts,
    cases.c.facts_version,
    cases.c.policy,
    cases.c.since,
    cases.c.opened_at,
    cases.c.version,
)
_live = select(*_case_columns).where(
    cases.c.tenant == _tenant, any_of(cases.c.subject, "subjects"), cases.c.settled.is_(False)
)
_cases = select(*_case_columns).where(cases.c.tenant == _tenant, any_of(cases.c.ref, "refs"))
_settled = select(*_case_columns).where(
    cases.c.tenant == _tenant, any_of(cases.c.subject, "subjects"), cases.c.settled.is_(True)
)
_timers = select(
    timers.c.case_ref, timers.c.name, timers.c.event, timers.c.due_at, timers.c.wake_at, timers.c.errors
).where(timers.c.tenant == _tenant, any_of(timers.c.subject, "subjects"))
_parked_for = select(inbox).where(
    inbox.c.tenant == _tenant, inbox.c.verdict == "parked", any_of(inbox.c.waiting_for, "waiting")
)
_parked = (
    select(inbox)
    .where(
        inbox.c.tenant == _tenant,
        inbox.c.verdict == "parked",
        inbox.c.received_at >= bindparam("since"),
        not_kept_back(inbox.c.waiting_for),
    )
    .order_by(inbox.c.occurred_at)
    .limit(bindparam("most"))
)
_parked_too_long = (
    select(inbox)
    .where(inbox.c.verdict == "parked", inbox.c.expires_at <= bindparam("now"))
    .order_by(inbox.c.expires_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_tenants_with_team = (
    select(tenants, *(column.label(f"member_{column.name}") for column in team.c))
    .select_from(tenants.outerjoin(team, team.c.tenant == tenants.c.id))
    .where(any_of(tenants.c.id, "ids"))
    .order_by(tenants.c.id, team.c.email)
)
_first_due = (
    select(timers.c.tenant, timers.c.subject, timers.c.wake_at)
    .where(timers.c.wake_at <= bindparam("now"), not_held(timers.c.tenant, timers.c.subject, mail=False))
    .order_by(timers.c.wake_at)
    .limit(bindparam("most"))
    .subquery()
)
_due = select(_first_due.c.tenant, _first_due.c.subject).distinct()
_due_of = select(
    timers.c.case_ref, timers.c.name, timers.c.workflow, timers.c.event, timers.c.due_at, timers.c.errors
).where(timers.c.tenant == _tenant, timers.c.subject == bindparam("subject"), timers.c.wake_at <= bindparam("now"))
_next_wake = (
    select(timers.c.wake_at)
    .where(timers.c.wake_at.is_not(None), not_held(timers.c.tenant, timers.c.subject, mail=False))
    .order_by(timers.c.wake_at)
    .limit(1)
)
_parked_tenants = (
    select(inbox.c.tenant)
    .where(inbox.c.verdict == "parked", inbox.c.received_at >= bindparam("since"), not_kept_back(inbox.c.waiting_for))
    .distinct()
)


def received(connection: Connection, tenant: int, sources: Sequence[str], ids: Sequence[str]) -> Rows:
    """Inbox rows of events with one of these sources and one of these ids."""
    return connection.execute(_received, {"tenant": tenant, "sources": list(sources), "ids": list(ids)}).all()


def named(connection: Connection, tenant: int, values: Sequence[str]) -> Rows:
    """(collection, value, case_ref, subject, exclusive) of every case that bears one of these names."""
    return connection.execute(_named, {"tenant": tenant, "values": list(values)}).all()


def referenced(connection: Connection, tenant: int, refs: Sequence[str]) -> Rows:
    """(ref, subject, workflow) of the cases with these references."""
    return connection.execute(_referenced, {"tenant": tenant, "refs": list(refs)}).all()


def lock_subjects(connection: Connection, tenant: int, refs: Sequence[str], *, skip_locked: bool = False) -> Rows:
    """(ref, sequence, tally, head) of these subjects, locked in key order until the transaction ends."""
    statement = _locked_if_free if skip_locked else _locked
    return connection.execute(statement, {"tenant": tenant, "refs": list(refs)}).all()


def subjects_of(connection: Connection, tenant: int, refs: Sequence[str]) -> Rows:
    """(ref, sequence, tally, head) of these subjects, not locked."""
    return connection.execute(_subjects, {"tenant": tenant, "refs": list(refs)}).all()


def live_cases(connection: Connection, tenant: int, of_subjects: Sequence[str]) -> Rows:
    """The cases of these subjects that are not settled, their columns in the order of `_case_columns`."""
    return connection.execute(_live, {"tenant": tenant, "subjects": list(of_subjects)}).all()


def cases_of(connection: Connection, tenant: int, refs: Sequence[str]) -> Rows:
    """The cases with these references, settled or not."""
    return connection.execute(_cases, {"tenant": tenant, "refs": list(refs)}).all()


def settled_cases(connection: Connection, tenant: int, of_subjects: Sequence[str]) -> Rows:
    """The settled cases of these subjects."""
    return connection.execute(_settled, {"tenant": tenant, "subjects": list(of_subjects)}).all()


def timers_of(connection: Connection, tenant: int, of_subjects: Sequence[str]) -> Rows:
    """The armed timers of these subjects."""
    return connection.execute(_timers, {"tenant": tenant, "subjects": list(of_subjects)}).all()


def parked_for(connection: Connection, tenant: int, waiting: Sequence[str]) -> Rows:
    """Events that wait for one of these names."""
    return connection.execute(_parked_for, {"tenant": tenant, "waiting": list(waiting)}).all()


def parked(connection: Connection, tenant: int, since: datetime, most: int) -> Rows:
    """Events received since then that wait for a case (not those that a hold keeps), earliest first."""
    return connection.execute(_parked, {"tenant": tenant, "since": since, "most": most}).all()


def parked_tenants(connection: Connection, since: datetime) -> Sequence[int]:
    """Tenants for whom an event waits that was received since then."""
    return connection.execute(_parked_tenants, {"since": since}).scalars().all()


def parked_too_long(connection: Connection, now: datetime, most: int) -> Rows:
    """Events whose wait is over, of all tenants."""
    return connection.execute(_parked_too_long, {"now": now, "most": most}).all()


def tenants_with_team(connection: Connection, ids: Sequence[int]) -> Rows:
    """These tenants, a row for each member of their teams (columns `member_…`), or one without where there is none."""
    return connection.execute(_tenants_with_team, {"ids": list(ids)}).all()


def due_subjects(connection: Connection, now: datetime, most: int) -> Rows:
    """(tenant, subject) of at most `most` timers that are due and that nobody holds, earliest first."""
    return connection.execute(_due, {"now": now, "most": most}).all()


def due_timers_of(connection: Connection, tenant: int, subject: str, now: datetime) -> Rows:
    """The timers of one subject that are due, as stored: nothing is decoded."""
    return connection.execute(_due_of, {"tenant": tenant, "subject": subject, "now": now}).all()


def next_wake(connection: Connection) -> datetime | None:
    """When the next timer that nobody holds wants to be looked at."""
    return connection.execute(_next_wake).scalar()
