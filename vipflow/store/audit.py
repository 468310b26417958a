"""Acts that are no event of a subject (a mail retried, a hold, an incident dismissed): who, what, to what, and why.

They are numbered 1 to n without a gap and chained one to the other, so that one that is changed or taken away is
missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Text, bindparam, select, text, type_coerce

from vipflow.store.chain import act_hash
from vipflow.store.tables import audit
from vipflow.store.types import instant_text
from vipflow.store.waking import notify
from vipflow.store.writes import Insert

_SAYS = ("tenant", "actor_kind", "actor", "act", "target", "reason", "details")
_REMEMBER = Insert(audit, ["position", "at", *_SAYS, "hash"])
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('vipflow audit', 0))")
_LAST = select(audit.c.position, audit.c.hash).order_by(audit.c.position.desc()).limit(1)
STREAMED = 500
"""Rows held at once of a table that is read whole."""
_json = msgspec.json.Encoder(order="sorted").encode


class Act(msgspec.Struct, frozen=True):
    """One act. `tenant` is None for what concerns the whole installation; `details` is plain data."""

    tenant: int | None
    actor_kind: str
    actor: str
    act: str
    target: str
    reason: str | None = None
    details: Mapping[str, Any] = {}


def remember_acts(connection: Connection, acts: Sequence[Act], now: datetime) -> None:
    """Writes acts into the audit, in the transaction that does them: a few statements, however many acts. Daemons are
    woken, since an act may let something go.

    Until that transaction ends nobody else can do so. Call it last, when everything else is locked that the
    transaction wants: so no two wait for each other.
    """
    if not acts:
        return
    if connection.dialect.name == "postgresql":  # on SQLite there is one writer
        connection.execute(_ONE_AT_A_TIME)
    last = connection.execute(_LAST).one_or_none()
    position, previous = (last.position, last.hash) if last is not None else (0, "")
    at = instant_text(now)
    rows = []
    for act in acts:
        position += 1
        said = (act.tenant, act.actor_kind, act.actor, act.act, act.target, act.reason, _json(act.details).decode())
        previous = act_hash(previous, position, at, said)
        rows.append((position, now, *said, previous))
    _REMEMBER.run(connection, rows)
    notify(connection)


def acts_page(
    connection: Connection,
    tenant: int,
    most: int,
    *,
    before: int | None = None,
    target: str | None = None,
    act: str | None = None,
    actor: str | None = None,
) -> Sequence[Row[Any]]:
    """Acts of a tenant and of the installation, the newest first, from before the position `before`.

    `act` may be a whole one (`mail.retry`) or what it begins with before the dot (`mail`).
    """
    asked: dict[str, Any] = {"tenant": tenant, "most": most}
    conditions: list[ColumnElement[bool]] = [_seen_by_tenant]
    for column, value in (("target", target), ("actor", actor)):
        if value is not None:
            asked[column] = value
            conditions.append(audit.c[column] == bindparam(column))
    if act is not None:
        asked |= {"act": act, "acts": f"{act}.", "acts_end": f"{act}/"}  # "/" follows "."
        of_noun = (audit.c.act >= bindparam("acts")) & (audit.c.act < bindparam("acts_end"))
        conditions.append((audit.c.act == bindparam("act")) | of_noun)
    if before is not None:
        asked["before"] = before
        conditions.append(audit.c.position < bindparam("before"))
    statement = select(audit).where(*conditions).order_by(audit.c.position.desc()).limit(bindparam("most"))
    return connection.execute(statement, asked).all()


def act_at(connection: Connection, tenant: int, position: int) -> Row[Any] | None:
    """One act that the tenant may see."""
    return connection.execute(_one, {"tenant": tenant, "position": position}).one_or_none()


_seen_by_tenant = audit.c.tenant.is_(None) | (audit.c.tenant == bindparam("tenant"))
_one = select(audit).where(_seen_by_tenant, audit.c.position == bindparam("position"))

_all = select(
    audit.c.position,
    type_coerce(audit.c.at, Text).label("at"),  # as stored: another spelling of the same instant is a change too
    *(audit.c[name] for name in _SAYS),
    audit.c.hash,
).order_by(audit.c.position)


def all_acts(connection: Connection) -> Iterator[Row[Any]]:
    """Every act in order of position, for `hash_of`."""
    found = connection.execute(_all, execution_options={"yield_per": STREAMED})
    try:
        yield from found
    finally:
        found.close()


def hash_of(row: Sequence[Any], previous: str) -> str:
    """The hash that a row of `all_acts` must have behind the one of hash `previous`."""
    at = row[1] if isinstance(row[1], str) else instant_text(row[1])
    return act_hash(previous, row[0], at, row[2:9])
