"""What a start after a silence asks: the last heartbeat, how far the database had come, and which mails are late."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import BindParameter, Connection, bindparam, func, or_, select

from vipflow.store.holds import not_held
from vipflow.store.meta import get_meta, set_meta
from vipflow.store.tables import daemons, history, messages
from vipflow.store.types import any_of, instant_text
from vipflow.store.writes import Update

Rows = Sequence[Any]

_GRACE = "grace_until"
_IDENTITY = "database_id"

_tenant: BindParameter[int] = bindparam("tenant")

_last_beat = select(func.max(daemons.c.beat_at)).where(
    or_(daemons.c.id != bindparam("me"), bindparam("me", type_=daemons.c.id.type).is_(None))
)
_position = select(func.max(history.c.position))
_may_leave = (messages.c.state == "waiting", messages.c.not_before <= bindparam("until"))
_free = not_held(messages.c.tenant, messages.c.subject, mail=True)
_late = select(func.count()).select_from(messages).where(*_may_leave, _free)
_subjects = (
    select(messages.c.tenant, messages.c.subject)
    .where(*_may_leave)
    .distinct()
    .order_by(messages.c.tenant, messages.c.subject)
)
_mails = select(
    messages.c.key,
    messages.c.subject,
    messages.c.case_ref,
    messages.c.template,
    messages.c.audience,
    messages.c.ladder,
    messages.c.not_before,
).where(messages.c.tenant == _tenant, any_of(messages.c.subject, "subjects"), messages.c.state == "waiting")
_too_old = (
    select(messages.c.tenant, messages.c.key)
    .where(messages.c.state == "waiting", messages.c.not_before < bindparam("before"))
    .with_for_update(skip_locked=True)
)
_DISCARD = Update(messages, key=["tenant", "key", "state"], set=["state", "note"])


def last_beat(connection: Connection, me: str | None) -> datetime | None:
    """When a daemon (other than `me`) was last known to live; None where there never was one."""
    return connection.execute(_last_beat, {"me": me}).scalar()


def last_position(connection: Connection) -> int:
    """How far history has come."""
    return connection.execute(_position).scalar() or 0


def database_id(connection: Connection) -> str:
    """What names this database and its backups, but no other; made at the first time, in a transaction that writes."""
    known = get_meta(connection, _IDENTITY)
    if known is None:
        known = uuid4().hex
        set_meta(connection, _IDENTITY, known)
    return known


def grace_until(connection: Connection, now: datetime) -> datetime | None:
    """Until when timers wait for events to arrive first; None where they do not."""
    kept = get_meta(connection, _GRACE)
    until = datetime.fromisoformat(kept) if kept else None
    return until if until is not None and until > now else None


def keep_grace(connection: Connection, until: datetime | None) -> None:
    """Lets timers wait until then; None: not any more."""
    set_meta(connection, _GRACE, instant_text(until) if until is not None else "")


def count_late_mails(connection: Connection, until: datetime) -> int:
    """Mails that nobody holds and that could leave by then: those that are true no more among them."""
    return connection.execute(_late, {"until": until}).scalar_one()


def subjects_with_due_mail(connection: Connection, now: datetime, *, held: bool) -> Rows:
    """(tenant, subject) of everybody for whom a mail could leave now; `held`: those on hold as well."""
    statement = _subjects if held else _subjects.where(_free)
    return connection.execute(statement, {"until": now}).all()


def mails_that_wait(connection: Connection, tenant: int, of_subjects: Sequence[str]) -> Rows:
    """The waiting mails of these subjects, due or not, as far as it needs to judge them."""
    return connection.execute(_mails, {"tenant": tenant, "subjects": list(of_subjects)}).all()


def discard_mails(connection: Connection, tenant: int | None, before: datetime, why: str) -> Rows:
    """Gives up the mails that wait and could have left before that instant: (tenant, key) of each."""
    statement = _too_old if tenant is None else _too_old.where(messages.c.tenant == tenant)
    found = connection.execute(statement, {"before": before}).all()
    _DISCARD.run(connection, [(row.tenant, row.key, "waiting", "discarded", why) for row in found])
    return found
