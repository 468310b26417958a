"""Messages as people act on them: read and locked, moved, and the incidents that told of them closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, or_, select

from vipflow.store.tables import audit, incidents, messages, subjects, suppressions
from vipflow.store.types import any_of
from vipflow.store.work import Rows
from vipflow.store.writes import Update

_tenant: BindParameter[int] = bindparam("tenant")

MOVE = Update(
    messages,
    key=["tenant", "key", "state", "attempts"],
    set=["state", "not_before", "failures", "first_tried_at", "note"],
)
FORGET_BYTES = Update(messages, key=["tenant", "key"], set=["message_id", "content_hash", "body"])
NOTE = Update(messages, key=["tenant", "key"], set=["note"])
CLOSE_INCIDENTS = Update(incidents, key=["tenant", "id"], set=["closed_at", "closed_by", "outcome", "remark"])

_COLUMNS = [
    messages.c[name]
    for name in [
        *("key", "subject", "case_ref", "template", "audience", "person", "recipient", "digest", "state", "attempts"),
        *("copies", "failures", "first_tried_at", "not_before", "created_at", "sent_at", "note"),
    ]
] + [subjects.c.owner]
_with_owner = messages.join(subjects, (subjects.c.tenant == messages.c.tenant) & (subjects.c.ref == messages.c.subject))
_rows = select(*_COLUMNS).select_from(_with_owner).where(messages.c.tenant == _tenant).order_by(messages.c.key)
_by_key = _rows.where(any_of(messages.c.key, "keys"))
_of_digests = _rows.where(any_of(messages.c.digest, "digests"))
_open_incidents = select(incidents.c.id, incidents.c.cause).where(
    incidents.c.tenant == _tenant,
    incidents.c.closed_at.is_(None),
    any_of(incidents.c.kind, "kinds"),
    any_of(incidents.c.subject, "subjects"),
)
_named = select(messages.c.key, messages.c.subject, messages.c.case_ref, messages.c.template, messages.c.body).where(
    messages.c.tenant == _tenant,
    or_(messages.c.key == bindparam("name"), messages.c.message_id == bindparam("message_id")),
)
_acts = (
    select(audit)
    .where(audit.c.tenant == _tenant, any_of(audit.c.target, "targets"))
    .order_by(audit.c.position)
    .limit(bindparam("most"))
)
_suppressions = (
    select(suppressions)
    .where(suppressions.c.tenant == _tenant, suppressions.c.address > bindparam("after"))
    .order_by(suppressions.c.address)
    .limit(bindparam("most"))
)
_suppression = select(suppressions).where(
    suppressions.c.tenant == _tenant, suppressions.c.address == bindparam("address")
)


class Filter(NamedTuple):
    """Which messages: all that is given must hold."""

    states: tuple[str, ...]
    template: str | None = None
    subject: str | None = None
    case: str | None = None


def messages_by_key(connection: Connection, tenant: int, keys: Sequence[str], *, lock: bool) -> Rows:
    """These messages, with the owner of each one's customer; locked where they are to be moved."""
    return _read(connection, _by_key, {"tenant": tenant, "keys": list(keys)}, lock)


def messages_of_digests(connection: Connection, tenant: int, digests: Sequence[str], *, lock: bool) -> Rows:
    """All messages that are part of these digests."""
    return _read(connection, _of_digests, {"tenant": tenant, "digests": list(digests)}, lock)


def messages_matching(connection: Connection, tenant: int, wanted: Filter, *, lock: bool) -> Rows:
    """All messages that fit, with the owner of each one's customer."""
    statement = _rows.where(any_of(messages.c.state, "states"))
    asked: dict[str, Any] = {"tenant": tenant, "states": list(wanted.states)}
    for name, column, value in (
        ("template", messages.c.template, wanted.template),
        ("subject", messages.c.subject, wanted.subject),
        ("case", messages.c.case_ref, wanted.case),
    ):
        if value is not None:
            statement = statement.where(column == bindparam(name))
            asked[name] = value
    return _read(connection, statement, asked, lock)


def _read(connection: Connection, statement: Any, asked: dict[str, Any], lock: bool) -> Rows:
    return connection.execute(statement.with_for_update(of=messages) if lock else statement, asked).all()


def open_incidents(connection: Connection, tenant: int, of_subjects: Sequence[str], kinds: Sequence[str]) -> Rows:
    """(id, cause) of the open incidents of these kinds and subjects."""
    asked = {"tenant": tenant, "subjects": list(of_subjects), "kinds": list(kinds)}
    return connection.execute(_open_incidents, asked).all()


def message_named(connection: Connection, tenant: int, name: str) -> Any | None:
    """The message with this key, or this Message-ID, with its bytes. The latter is looked for in all of them."""
    message_id = name if name.startswith("<") else f"<{name}>"
    found = connection.execute(_named, {"tenant": tenant, "name": name, "message_id": message_id}).all()
    # The messages of a digest share its Message-ID; the one whose bytes they are speaks for all.
    return next((row for row in found if row.body is not None), found[0] if found else None)


def acts_on(connection: Connection, tenant: int, targets: Sequence[str], most: int = 100) -> Rows:
    """What the audit tells of these, the first first."""
    return connection.execute(_acts, {"tenant": tenant, "targets": list(targets), "most": most}).all()


def suppressions_page(connection: Connection, tenant: int, after: str, most: int) -> Rows:
    """Addresses that bounced for good, in their order."""
    return connection.execute(_suppressions, {"tenant": tenant, "after": after, "most": most}).all()


def suppression(connection: Connection, tenant: int, address: str) -> Any | None:
    """The one of this address."""
    return connection.execute(_suppression, {"tenant": tenant, "address": address}).one_or_none()
