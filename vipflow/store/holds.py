"""What somebody stopped on purpose: the conditions that every queue asks, so that nothing held is taken from it, and
the rows of `holds` themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from vipflow.store.meta import set_meta
from vipflow.store.tables import holds, inbox, messages, subjects, timers
from vipflow.store.types import any_of, instant_text
from vipflow.store.writes import Insert, Update

Rows = Sequence[Any]

WAITS_FOR = "hold/"
"""What an event waits for that a hold keeps: this, and the hold's id."""

_id: BindParameter[str] = bindparam("id")


def not_held(
    tenant: ColumnElement[int], subject: ColumnElement[str], *, mail: bool, besides: str | None = None
) -> ColumnElement[bool]:
    """True of a row that no hold in force stops: one of everything, of its tenant, or of its subject.

    `mail`: of a mail, which those holds stop too that let the clock and events go on. A hold is in force until it is
    released, also past its end: a tick releases it then. `besides` names a parameter: as if the holds with its ids
    were not there.

    Three questions, each answered by the index of holds in force; the first is asked once for all rows. Not EXISTS:
    PostgreSQL makes a join of that, takes it for one that leaves one row, and sorts the whole queue to find it. Nor IS
    NULL, of which it thinks the same; that something is not known to be equal it takes for likely.
    """

    one: ColumnElement[int] = literal_column("1")

    def unheld(*of_it: ColumnElement[bool]) -> ColumnElement[bool]:
        asked = [holds.c.released_at.is_(None), *of_it]
        if not mail:
            asked.append(holds.c.mail_only.is_(False))
        if besides is not None:
            asked.append(not_(any_of(holds.c.id, besides)))
        found = select(one).where(*asked).limit(1).correlate_except(holds).scalar_subquery()
        return (found == one).is_not(true())

    return and_(
        unheld(holds.c.tenant.is_(None)),
        unheld(holds.c.tenant == tenant, holds.c.subject.is_(None)),
        unheld(holds.c.tenant == tenant, holds.c.subject == subject),
    )


def not_kept_back(waiting_for: ColumnElement[Any]) -> ColumnElement[bool]:
    """True of an event in the inbox that no hold in force keeps there."""
    in_force = select(literal(WAITS_FOR).concat(holds.c.id)).where(holds.c.released_at.is_(None))
    return or_(waiting_for.is_(None), waiting_for.not_in(in_force))


class Held(NamedTuple):
    """A hold in force, as far as whoever meets it wants to know. Without a subject it is of all the tenant's."""

    id: str
    subject: str | None
    reason: str
    made_by: str
    ends_at: datetime | None


class HoldRow(NamedTuple):
    """A row of `holds`; `details` is JSON text."""

    id: str
    tenant: int | None
    subject: str | None
    mail_only: bool
    kind: str
    reason: str
    details: str | None
    made_by: str
    made_at: datetime
    ends_at: datetime | None
    released_at: datetime | None = None
    released_by: str | None = None
    remark: str | None = None


_all = select(*(holds.c[name] for name in HoldRow._fields))
_in_force = _all.where(holds.c.released_at.is_(None)).order_by(holds.c.made_at, holds.c.id)
_every = _all.order_by(holds.c.made_at, holds.c.id)
_one = _all.where(holds.c.id == _id)
_stopping = (
    select(holds.c.id, holds.c.subject, holds.c.reason, holds.c.made_by, holds.c.ends_at)
    .where(
        holds.c.released_at.is_(None),
        holds.c.mail_only.is_(False),
        or_(holds.c.tenant.is_(None), holds.c.tenant == bindparam("tenant")),
        or_(holds.c.subject.is_(None), any_of(holds.c.subject, "subjects")),
    )
    .order_by(holds.c.made_at, holds.c.id)
)
_over = _all.where(holds.c.released_at.is_(None), holds.c.ends_at <= bindparam("now")).order_by(holds.c.ends_at)
_next_end = select(func.min(holds.c.ends_at)).where(holds.c.released_at.is_(None))
_left_behind = (
    select(inbox.c.waiting_for)
    .join(holds, inbox.c.waiting_for == literal(WAITS_FOR).concat(holds.c.id))
    .where(inbox.c.verdict == "parked", holds.c.released_at.is_not(None))
    .distinct()
)
_kept = (
    select(inbox)
    .where(inbox.c.verdict == "parked", inbox.c.waiting_for == bindparam("waiting_for"))
    .order_by(inbox.c.occurred_at)
    .limit(bindparam("most"))
)
_make = Insert(holds, HoldRow._fields)
_release = Update(holds, key=["id"], set=["released_at", "released_by", "remark"])


def holds_over(connection: Connection, tenant: int, of_subjects: Sequence[str]) -> list[Held]:
    """Holds in force that stop the clock and events of the tenant, or of one of these subjects; the oldest first."""
    asked = {"tenant": tenant, "subjects": list(of_subjects)}
    return [Held(*row) for row in connection.execute(_stopping, asked)]


def all_holds(connection: Connection, *, released: bool = False) -> list[HoldRow]:
    """The holds in force, the oldest first; with `released` those that were, too."""
    return [HoldRow(*row) for row in connection.execute(_every if released else _in_force)]


def hold_by_id(connection: Connection, ident: str) -> HoldRow | None:
    """One hold, in force or not."""
    row = connection.execute(_one, {"id": ident}).one_or_none()
    return None if row is None else HoldRow(*row)


def holds_at_their_end(connection: Connection, now: datetime) -> list[HoldRow]:
    """Holds in force whose end has come."""
    return [HoldRow(*row) for row in connection.execute(_over, {"now": now})]


def next_end_of_a_hold(connection: Connection) -> datetime | None:
    """When the next hold ends by itself."""
    return connection.execute(_next_end).scalar()


def take_turns(connection: Connection, now: datetime) -> None:
    """Whoever makes or releases holds does so alone until his transaction ends."""
    set_meta(connection, "holds_changed_at", instant_text(now))


def make_hold(connection: Connection, row: HoldRow) -> None:
    """Puts a hold in force."""
    _make.run(connection, [row])


def end_hold(connection: Connection, ident: str, now: datetime, by: str, remark: str | None) -> None:
    """Lets go what a hold stopped."""
    _release.run(connection, [(ident, now, by, remark)])


def kept_by(connection: Connection, waiting_for: str, most: int) -> Rows:
    """At most `most` rows of the inbox, of all tenants, that wait for this; those that happened first."""
    return connection.execute(_kept, {"waiting_for": waiting_for, "most": most}).all()


def left_behind(connection: Connection) -> list[str]:
    """What events wait for although the hold is released: on PostgreSQL one may be kept while the hold goes."""
    return [str(waiting_for) for waiting_for in connection.execute(_left_behind).scalars()]


# --- counting ------------------------------------------------------------------------------------------------------


class Scope(NamedTuple):
    """What a hold is of: one subject, all of a tenant (`subject` None), or everything (both None)."""

    tenant: int | None
    subject: str | None = None


class Stopped(NamedTuple):
    """What lies within a scope."""

    subjects: int
    timers: int
    mails: int
    events: int


def count_stopped(connection: Connection, scope: Scope, until: datetime | None) -> Stopped:
    """What a hold of this scope stops: subjects, timers due by `until` (all, where it is None), mails that wait, and
    events that wait for a case.
    """
    due = [timers.c.wake_at.is_not(None)] + ([timers.c.wake_at <= until] if until is not None else [])
    customers = select(func.count()).select_from(subjects)
    of_subject: ColumnElement[str] = subjects.c.ref
    counts = [
        customers.where(*_within(scope, subjects.c.tenant, of_subject)),
        select(func.count()).select_from(timers).where(*due, *_within(scope, timers.c.tenant, timers.c.subject)),
        select(func.count())
        .select_from(messages)
        .where(messages.c.state == "waiting", *_within(scope, messages.c.tenant, messages.c.subject)),
    ]
    found = [connection.execute(count).scalar_one() for count in counts]
    events = 0
    if scope.subject is None:
        waiting = select(func.count()).select_from(inbox).where(inbox.c.verdict == "parked")
        events = connection.execute(waiting.where(*_within(scope, inbox.c.tenant, inbox.c.subject))).scalar_one()
    return Stopped(found[0], found[1], found[2], events)


def count_let_go(connection: Connection, rows: Sequence[HoldRow], now: datetime) -> Stopped:
    """What follows at once when these holds go: timers and mails that are due and that no other hold stops, and the
    events that they kept.
    """
    if not rows:
        return Stopped(0, 0, 0, 0)
    asked = {"ids": [row.id for row in rows], "now": now, "kept": [WAITS_FOR + row.id for row in rows]}

    def of_them(only_mail: bool, tenant: ColumnElement[int], subject: ColumnElement[str]) -> ColumnElement[bool]:
        scopes = [Scope(row.tenant, row.subject) for row in rows if only_mail or not row.mail_only]
        return or_(false(), *(and_(true(), *_within(scope, tenant, subject)) for scope in scopes))

    due_timers = (
        select(func.count())
        .select_from(timers)
        .where(
            timers.c.wake_at <= bindparam("now", type_=timers.c.wake_at.type),
            of_them(False, timers.c.tenant, timers.c.subject),
            not_held(timers.c.tenant, timers.c.subject, mail=False, besides="ids"),
        )
    )
    due_mails = (
        select(func.count())
        .select_from(messages)
        .where(
            messages.c.state == "waiting",
            messages.c.not_before <= bindparam("now", type_=messages.c.not_before.type),
            of_them(True, messages.c.tenant, messages.c.subject),
            not_held(messages.c.tenant, messages.c.subject, mail=True, besides="ids"),
        )
    )
    kept = (
        select(func.count()).select_from(inbox).where(inbox.c.verdict == "parked", any_of(inbox.c.waiting_for, "kept"))
    )
    found = [connection.execute(count, asked).scalar_one() for count in (due_timers, due_mails, kept)]
    return Stopped(0, *found)


def _within(scope: Scope, tenant: ColumnElement[int], subject: ColumnElement[str]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if scope.tenant is not None:
        found.append(tenant == scope.tenant)
    if scope.subject is not None:
        found.append(subject == scope.subject)
    return found
