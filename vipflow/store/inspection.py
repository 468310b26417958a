"""What somebody who looks into a database asks: history, timers, messages and incidents, page by page.

A page begins after the last row of the one before: `after` is what `place` made of that row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, select, tuple_

from vipflow.store.tables import history, incidents, messages, timers
from vipflow.store.types import UtcDateTime, any_of

Rows = Sequence[Any]

_tenant: BindParameter[int] = bindparam("tenant")


class Place(NamedTuple):
    """Where a page ended: the instant that it is sorted by, and the key of its last row."""

    at: datetime
    key: str


def history_page(
    connection: Connection, tenant: int, subject: str, most: int, *, after: int = 0, case: str | None = None
) -> Rows:
    """A subject's history in order, from behind the sequence `after`; with `case`, only that case's rows."""
    asked = {"tenant": tenant, "subject": subject, "after": after, "most": most, "case": case}
    return connection.execute(_history if case is None else _history_of_case, asked).all()


_history = (
    select(history)
    .where(
        history.c.tenant == _tenant,
        history.c.subject == bindparam("subject"),
        history.c.sequence > bindparam("after"),
    )
    .order_by(history.c.sequence)
    .limit(bindparam("most"))
)
_history_of_case = (
    select(history)
    .where(
        history.c.tenant == _tenant,
        history.c.case_ref == bindparam("case"),
        history.c.sequence > bindparam("after"),
    )
    .order_by(history.c.sequence)
    .limit(bindparam("most"))
)


def timers_page(
    connection: Connection,
    tenant: int,
    most: int,
    *,
    after: Place | None = None,
    subject: str | None = None,
    case: str | None = None,
) -> Rows:
    """Armed timers, the earliest first: of all, of one subject, or of one case. A place's key is `<case>/<name>`."""
    asked: dict[str, Any] = {"tenant": tenant, "most": most}
    key = timers.c.case_ref + "/" + timers.c.name
    conditions = [timers.c.tenant == _tenant]
    if subject is not None:
        asked["subject"] = subject
        conditions.append(timers.c.subject == bindparam("subject"))
    if case is not None:
        asked["case"] = case
        conditions.append(timers.c.case_ref == bindparam("case"))
    if after is not None:
        conditions.append(_behind(timers.c.due_at, key, after, asked))
    statement = select(timers).where(*conditions).order_by(timers.c.due_at, key).limit(bindparam("most"))
    return connection.execute(statement, asked).all()


def messages_page(
    connection: Connection,
    tenant: int,
    most: int,
    *,
    after: Place | None = None,
    subject: str | None = None,
    case: str | None = None,
    states: Sequence[str] = (),
    template: str | None = None,
) -> Rows:
    """Messages in the order in which they were written, without their bytes."""
    asked: dict[str, Any] = {"tenant": tenant, "most": most}
    conditions = [messages.c.tenant == _tenant]
    for column, value in (("subject", subject), ("case_ref", case), ("template", template)):
        if value is not None:
            asked[column] = value
            conditions.append(messages.c[column] == bindparam(column))
    if states:
        asked["states"] = list(states)
        conditions.append(any_of(messages.c.state, "states"))
    if after is not None:
        conditions.append(_behind(messages.c.created_at, messages.c.key, after, asked))
    statement = (
        select(*(column for column in messages.c if column.name not in ("body", "context")))
        .where(*conditions)
        .order_by(messages.c.created_at, messages.c.key)
        .limit(bindparam("most"))
    )
    return connection.execute(statement, asked).all()


def message(connection: Connection, tenant: int, key: str) -> Any | None:
    """One message, whole."""
    return connection.execute(_message, {"tenant": tenant, "key": key}).one_or_none()


def message_keys_like(connection: Connection, tenant: int, begins: str, most: int = 10) -> list[str]:
    """Keys of messages that begin so: what somebody may have meant."""
    asked = {"tenant": tenant, "begins": begins, "before": begins + "\U0010ffff", "most": most}
    return list(connection.execute(_keys_like, asked).scalars())


_message = select(messages).where(messages.c.tenant == _tenant, messages.c.key == bindparam("key"))
_keys_like = (
    select(messages.c.key)
    .where(messages.c.tenant == _tenant, messages.c.key >= bindparam("begins"), messages.c.key < bindparam("before"))
    .order_by(messages.c.key)
    .limit(bindparam("most"))
)


def incidents_page(
    connection: Connection,
    tenant: int,
    most: int,
    *,
    after: Place | None = None,
    subject: str | None = None,
    kind: str | None = None,
    closed: bool = False,
) -> Rows:
    """Incidents, the oldest first: open ones, or with `closed` all."""
    asked: dict[str, Any] = {"tenant": tenant, "most": most}
    conditions = [incidents.c.tenant == _tenant]
    if not closed:
        conditions.append(incidents.c.closed_at.is_(None))
    for column, value in (("subject", subject), ("kind", kind)):
        if value is not None:
            asked[column] = value
            conditions.append(incidents.c[column] == bindparam(column))
    if after is not None:
        conditions.append(_behind(incidents.c.opened_at, incidents.c.id, after, asked))
    statement = (
        select(incidents).where(*conditions).order_by(incidents.c.opened_at, incidents.c.id).limit(bindparam("most"))
    )
    return connection.execute(statement, asked).all()


def incident(connection: Connection, tenant: int, ident: str) -> Any | None:
    """One incident."""
    return connection.execute(_incident, {"tenant": tenant, "id": ident}).one_or_none()


_incident = select(incidents).where(incidents.c.tenant == _tenant, incidents.c.id == bindparam("id"))


def _behind(at: Any, key: Any, place: Place, asked: dict[str, Any]) -> ColumnElement[bool]:
    asked |= {"after_at": place.at, "after_key": place.key}
    return tuple_(at, key) > tuple_(bindparam("after_at", type_=UtcDateTime), bindparam("after_key"))
