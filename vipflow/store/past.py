"""What one customer's page tells of its past, and of what is on its way to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, Text, and_, bindparam, func, or_, select

from vipflow.store.tables import history, incidents, messages
from vipflow.store.types import any_of

Rows = Sequence[Any]

_tenant: BindParameter[int] = bindparam("tenant")


def recent_history(connection: Connection, tenant: int, subject: str, most: int, before: int | None = None) -> Rows:
    """The last `most` history rows of a customer, newest first; with `before`, those of lower sequence."""
    asked = {"tenant": tenant, "subject": subject, "most": most, "before": before if before is not None else 2**31 - 1}
    return connection.execute(_recent, asked).all()


def caused_by(connection: Connection, tenant: int, subject: str, source: str, event_id: str, first: int) -> Rows:
    """The history rows of one event and its follow-ups, in order; `first` is the sequence of the first of them."""
    asked = {"tenant": tenant, "subject": subject, "source": source, "event_id": event_id, "first": first}
    return connection.execute(_caused, asked).all()


def rows_between(connection: Connection, tenant: int, subject: str, first: int, last: int) -> Rows:
    """The history rows of a customer from sequence `first` to `last`, in order."""
    asked = {"tenant": tenant, "subject": subject, "first": first, "last": last}
    return connection.execute(_between, asked).all()


def timers_before(connection: Connection, tenant: int, subject: str, cases: Sequence[str], first: int) -> Rows:
    """What a customer's history says of the timers of some cases before sequence `first`, in order."""
    asked = {"tenant": tenant, "subject": subject, "cases": list(cases), "first": first}
    return connection.execute(_timers_before, asked).all()


def notes_of(connection: Connection, tenant: int, subject: str, event: str, most: int) -> Rows:
    """The last rows of one event of a customer itself, newest first: what was written down about it."""
    return connection.execute(_notes, {"tenant": tenant, "subject": subject, "event": event, "most": most}).all()


def messages_of(connection: Connection, tenant: int, keys: Sequence[str]) -> Rows:
    """The messages with these keys."""
    return connection.execute(_messages, {"tenant": tenant, "keys": list(keys)}).all()


def messages_waiting(connection: Connection, tenant: int, subject: str) -> Rows:
    """A customer's messages that have not left yet, earliest first."""
    return connection.execute(_waiting, {"tenant": tenant, "subject": subject}).all()


def incidents_of(connection: Connection, tenant: int, subject: str, cause: str) -> Rows:
    """A customer's incidents that one event or its follow-ups opened, closed ones too."""
    asked = {"tenant": tenant, "subject": subject, "cause": cause, "below": f"{cause}/"}
    return connection.execute(_incidents_of, asked).all()


def open_incidents(connection: Connection, tenant: int, subject: str) -> Rows:
    """A customer's open incidents, oldest first."""
    return connection.execute(_incidents, {"tenant": tenant, "subject": subject}).all()


_step = (
    history.c.sequence,
    history.c.case_ref,
    history.c.workflow,
    history.c.event,
    history.c.from_state,
    history.c.to_state,
    history.c.timers,
    history.c.messages,
    history.c.effective_at,
    history.c.recorded_at,
    history.c.actor_kind,
    history.c.actor,
    history.c.reason,
    history.c.cause,
    history.c.note,
)
_of_subject = and_(history.c.tenant == _tenant, history.c.subject == bindparam("subject"))
_recent = (
    select(*_step)
    .where(_of_subject, history.c.sequence < bindparam("before"))
    .order_by(history.c.sequence.desc())
    .limit(bindparam("most"))
)
_caused = (
    select(*_step)
    .where(
        _of_subject,
        history.c.sequence >= bindparam("first"),
        history.c.source == bindparam("source"),
        history.c.event_id == bindparam("event_id"),
    )
    .order_by(history.c.sequence)
)
_between = (
    select(*_step)
    .where(_of_subject, history.c.sequence.between(bindparam("first"), bindparam("last")))
    .order_by(history.c.sequence)
)
_timers_before = (
    select(history.c.case_ref, history.c.workflow, history.c.timers)
    .where(
        _of_subject,
        history.c.sequence < bindparam("first"),
        any_of(history.c.case_ref, "cases"),
        history.c.timers != "{}",
    )
    .order_by(history.c.sequence)
)
_notes = (
    select(*_step)
    .where(_of_subject, history.c.case_ref == bindparam("subject"), history.c.event == bindparam("event"))
    .order_by(history.c.sequence.desc())
    .limit(bindparam("most"))
)
_message = (
    messages.c.key,
    messages.c.case_ref,
    messages.c.template,
    messages.c.audience,
    messages.c.person,
    messages.c.language,
    messages.c.not_before,
    messages.c.state,
)
_messages = (
    select(*_message)
    .where(messages.c.tenant == _tenant, any_of(messages.c.key, "keys"))
    .order_by(messages.c.not_before, messages.c.key)
)
_waiting = (
    select(*_message)
    .where(
        messages.c.tenant == _tenant,
        messages.c.subject == bindparam("subject"),
        messages.c.state.in_(("waiting", "held", "sending", "uncertain")),
    )
    .order_by(messages.c.not_before, messages.c.key)
)
_incidents = (
    select(incidents.c.id, incidents.c.case_ref, incidents.c.kind, incidents.c.says, incidents.c.opened_at)
    .where(incidents.c.tenant == _tenant, incidents.c.subject == bindparam("subject"), incidents.c.closed_at.is_(None))
    .order_by(incidents.c.opened_at, incidents.c.id)
)
_incidents_of = (
    select(incidents.c.id, incidents.c.case_ref, incidents.c.kind, incidents.c.says)
    .where(
        incidents.c.tenant == _tenant,
        incidents.c.subject == bindparam("subject"),
        or_(
            incidents.c.cause == bindparam("cause"),
            func.substr(incidents.c.cause, 1, func.length(bindparam("below", type_=Text))) == bindparam("below"),
        ),
    )
    .order_by(incidents.c.opened_at, incidents.c.id)
)
