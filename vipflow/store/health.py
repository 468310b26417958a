"""What a doctor asks of the rows: how much lies where something should have moved.

No answer costs more than an index read or a bounded count, however many customers there are: who counts stops one
after `MOST` and says "more than".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import BindParameter, ColumnElement, Connection, Select, bindparam, func, literal_column, select
from sqlalchemy import text as sql

from vipflow.store.holds import not_held
from vipflow.store.tables import (
    audit,
    cases,
    crashes,
    daemons,
    history,
    holds,
    inbox,
    incidents,
    messages,
    seals,
    subjects,
    suppressions,
    team,
    tenants,
    timers,
)

MOST = 1000
"""Nobody counts further."""
_LOOKED_AT = 10 * MOST  # of a queue of which some may be held

_most = MOST + 1
_until: BindParameter[datetime] = bindparam("until")


Counted: TypeAlias = Counter[tuple[str, int]]
"""How many there are of what, by reseller."""


class Waiting(NamedTuple):
    """What waits: how many (`MOST` + 1 stands for more), and since when the first of them."""

    number: int
    oldest: datetime | None


class DaemonRow(NamedTuple):
    """A daemon, as it was last heard of; `details` is JSON text."""

    id: str
    host: str
    pid: int
    version: str
    started_at: datetime
    beat_at: datetime
    stopped_at: datetime | None
    details: str


class HoldRow(NamedTuple):
    """A hold in force."""

    id: str
    reseller: str | None
    subject: str | None
    mail_only: bool
    kind: str
    reason: str
    made_by: str
    made_at: datetime
    ends_at: datetime | None


class SealRow(NamedTuple):
    """The newest seal."""

    number: int
    made_at: datetime
    history_to: int
    audit_to: int


class Stored(NamedTuple):
    """Which (workflow, state) of cases and (workflow, event) of timers are stored, and whether all rows were seen."""

    states: Mapping[tuple[str, str], int]
    events: Mapping[tuple[str, str], int]
    whole: bool


# --- queues --------------------------------------------------------------------------------------------------------


def timers_overdue(connection: Connection, until: datetime) -> Waiting:
    """Timers that should have fired by `until` and that no hold stops; of a long queue its longest waiting."""
    return _waiting(connection, timers, timers.c.wake_at, timers.c.wake_at <= _until, until, mail=False)


def mails_overdue(connection: Connection, until: datetime) -> Waiting:
    """Mails that might have left by `until` and that no hold stops."""
    due = (messages.c.state == "waiting") & (messages.c.not_before <= _until)
    return _waiting(connection, messages, messages.c.not_before, due, until, mail=True)


def mails_in_hand_since(connection: Connection, until: datetime) -> Waiting:
    """Mails that somebody took in hand by `until` and never put down."""
    in_hand = (messages.c.state == "sending") & (messages.c.claimed_at <= _until)
    return _some(connection, select(messages.c.claimed_at).where(in_hand).order_by(messages.c.claimed_at), until)


def parked_past(connection: Connection, until: datetime) -> Waiting:
    """Parked events whose time to wait was over by `until`."""
    past = (inbox.c.verdict == "parked") & (inbox.c.expires_at <= _until)  # what a hold keeps has no end
    return _some(connection, select(inbox.c.expires_at).where(past).order_by(inbox.c.expires_at), until)


def open_incidents(connection: Connection) -> tuple[Counted, datetime | None]:
    """Open incidents by kind and reseller, at most `MOST` and one of them, and when the oldest of all was opened."""
    counts = _counted(connection.execute(_INCIDENTS, {"most": _most}))
    return counts, connection.execute(_OLDEST_INCIDENT).scalar()


_is_open = incidents.c.closed_at.is_(None)
_INCIDENTS = select(incidents.c.kind, incidents.c.tenant).where(_is_open).limit(bindparam("most"))
_oldest_of_each = (
    select(incidents.c.opened_at)
    .where(incidents.c.tenant == tenants.c.id, _is_open)
    .order_by(incidents.c.opened_at)
    .limit(1)
    .scalar_subquery()
)
_OLDEST_INCIDENT = select(func.min(_oldest_of_each)).select_from(tenants)


def mails_in_trouble(connection: Connection) -> Counted:
    """Held, uncertain and dead mails by state and reseller, at most `MOST` and one of them."""
    return _counted(connection.execute(_TROUBLED, {"most": _most}))


# As the index's condition is written: SQLite looks for its very words.
_TROUBLED = (
    select(messages.c.state, messages.c.tenant)
    .where(sql("state IN ('held', 'uncertain', 'dead')"))
    .limit(bindparam("most"))
)


def suppressed_addresses(connection: Connection) -> Counted:
    """The addresses that get no more mail, by reseller, at most `MOST` and one of them."""
    return _counted(connection.execute(_SUPPRESSED, {"most": _most}))


_SUPPRESSED = select(literal_column("'suppressed'"), suppressions.c.tenant).limit(bindparam("most"))


def reseller_keys(connection: Connection) -> dict[int, str]:
    """What each reseller calls itself."""
    return {row.id: row.key for row in connection.execute(_KEYS)}


_KEYS = select(tenants.c.id, tenants.c.key)


def _counted(rows: Iterable[Any]) -> Counted:
    return Counter((row[0], row[1]) for row in rows)


def crashed_subjects(connection: Connection) -> list[tuple[str, str, int]]:
    """(reseller, subject, crashes) of those in hand when a process ended without a word, the most crashes first."""
    return [(row[0], row[1], row[2]) for row in connection.execute(_CRASHED, {"most": _most})]


_CRASHED = (
    select(tenants.c.key, crashes.c.subject, crashes.c.crashes)
    .join_from(crashes, tenants, tenants.c.id == crashes.c.tenant)
    .order_by(crashes.c.crashes.desc(), tenants.c.key, crashes.c.subject)
    .limit(bindparam("most"))
)


# --- who runs, what is held, what is sealed ------------------------------------------------------------------------


def latest_daemons(connection: Connection, most: int = 20) -> list[DaemonRow]:
    """The daemons last heard of, the newest beat first."""
    return [DaemonRow(*row) for row in connection.execute(_DAEMONS, {"most": most})]


_DAEMONS = (
    select(*(daemons.c[name] for name in DaemonRow._fields))
    .order_by(daemons.c.beat_at.desc(), daemons.c.id)
    .limit(bindparam("most"))
)


def holds_in_force(connection: Connection, most: int = 100) -> list[HoldRow]:
    """Holds that nobody has released, the oldest first."""
    return [HoldRow(*row) for row in connection.execute(_HOLDS, {"most": most})]


_HOLDS = (
    select(
        holds.c.id,
        tenants.c.key,
        *(holds.c[name] for name in HoldRow._fields if name not in ("id", "reseller")),
    )
    .outerjoin_from(holds, tenants, tenants.c.id == holds.c.tenant)
    .where(holds.c.released_at.is_(None))
    .order_by(holds.c.made_at, holds.c.id)
    .limit(bindparam("most"))
)


def latest_seal(connection: Connection) -> SealRow | None:
    """The newest seal over history and audit."""
    row = connection.execute(_SEAL).one_or_none()
    return None if row is None else SealRow(*row)


_SEAL = select(*(seals.c[name] for name in SealRow._fields)).order_by(seals.c.number.desc()).limit(1)


def not_sealed(connection: Connection, seal: SealRow | None) -> Waiting:
    """Rows of history that stand behind the newest seal, and when the first of them was written."""
    behind = select(history.c.recorded_at).where(history.c.position > bindparam("position"))
    asked = {"position": seal.history_to if seal is not None else 0}
    rows = connection.execute(behind.order_by(history.c.position).limit(_most), asked).scalars().all()
    return Waiting(len(rows), rows[0] if rows else None)


def acts_not_sealed(connection: Connection, seal: SealRow | None) -> int:
    """Acts of the audit that stand behind the newest seal."""
    return _count(connection, select(audit.c.position).where(audit.c.position > (seal.audit_to if seal else 0)))


# --- resellers -----------------------------------------------------------------------------------------------------


def team_roles(connection: Connection) -> dict[int, Counter[str]]:
    """Of each tenant how many active members have which role."""
    found: dict[int, Counter[str]] = {}
    for tenant, role, count in connection.execute(_ROLES):
        found.setdefault(tenant, Counter())[role] = count
    return found


_ROLES = select(team.c.tenant, team.c.role, func.count()).where(team.c.active).group_by(team.c.tenant, team.c.role)


def customers_of_those_who_left(connection: Connection, most: int = 20) -> list[tuple[str, str, int]]:
    """(reseller, e-mail, customers) of members who are active no more and still manage some."""
    found = []
    for tenant, key, email in connection.execute(_LEFT, {"most": most}).all():
        owned = select(subjects.c.ref).where(subjects.c.tenant == tenant, subjects.c.owner == email)
        found.append((key, email, _count(connection, owned)))
    return found


_LEFT = (
    select(team.c.tenant, tenants.c.key, team.c.email)
    .join_from(team, tenants, tenants.c.id == team.c.tenant)
    .where(
        team.c.active.is_(False),
        select(subjects.c.ref).where(subjects.c.tenant == team.c.tenant, subjects.c.owner == team.c.email).exists(),
    )
    .order_by(tenants.c.key, team.c.email)
    .limit(bindparam("most"))
)


# --- what files must still declare ---------------------------------------------------------------------------------


def stored_names(connection: Connection, most: int | None) -> Stored:
    """The states and timer events that rows speak of; with `most`, of so many cases and timers only."""
    states = _grouped(connection, select(cases.c.workflow, cases.c.state), most)
    events = _grouped(connection, select(timers.c.workflow, timers.c.event), most)
    whole = most is None or max(sum(states.values()), sum(events.values())) < most
    return Stored(states, events, whole)


def _grouped(connection: Connection, rows: Select[Any], most: int | None) -> dict[tuple[str, str], int]:
    inner = (rows if most is None else rows.limit(most)).subquery()
    first, second = inner.c
    grouped = select(first, second, func.count()).group_by(first, second)
    return {(row[0], row[1]): row[2] for row in connection.execute(grouped)}


# --- counting ------------------------------------------------------------------------------------------------------


def _waiting(
    connection: Connection, table: Any, at: Any, due: ColumnElement[bool], until: datetime, *, mail: bool
) -> Waiting:
    """Takes so many of the queue in its order, then leaves out what is held: one held whole is not walked through."""
    queue = select(table.c.tenant, table.c.subject, at.label("at")).where(due).order_by(at).limit(_LOOKED_AT).subquery()
    free = select(queue.c.at).where(not_held(queue.c.tenant, queue.c.subject, mail=mail)).order_by(queue.c.at)
    return _some(connection, free, until)


def _some(connection: Connection, instants: Select[Any], until: datetime) -> Waiting:
    rows: Sequence[datetime] = connection.execute(instants.limit(_most), {"until": until}).scalars().all()
    return Waiting(len(rows), rows[0] if rows else None)


def _count(connection: Connection, rows: Select[Any]) -> int:
    inner = rows.limit(_most).subquery()
    return connection.execute(select(func.count(literal_column("1"))).select_from(inner)).scalar_one()
