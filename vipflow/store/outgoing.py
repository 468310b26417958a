"""Messages on their way out: what is due to leave, in whose hand it is, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, or_, select

from vipflow.store.holds import not_held
from vipflow.store.tables import messages, suppressions
from vipflow.store.types import any_of
from vipflow.store.work import Rows
from vipflow.store.writes import Delete, InsertAbsent, Update

LEASE = timedelta(minutes=10)
"""A message in hand for longer is taken up by somebody else; its bytes are kept, so a second copy is the same."""

# Whatever is written of a message names the state and the attempt in which it was read, and whose hand it is in where
# it is in one: whoever lost it changes nothing.
_STANDING = ["tenant", "key", "state", "attempts"]
_IN_HAND = [*_STANDING, "daemon"]
CLAIM = Update(messages, key=_STANDING, set=["state", "attempts", "daemon", "claimed_at"])
SET_ASIDE = Update(messages, key=_STANDING, set=["state", "not_before", "note"])
KEEP_BYTES = Update(messages, key=_IN_HAND, set=["message_id", "content_hash", "body", "digest"])
PUT_DOWN = Update(
    messages,
    key=_IN_HAND,
    set=["state", "attempts", "copies", "failures", "first_tried_at", "not_before", "sent_at", "stage", "note"],
)
TAKE_BACK = Update(messages, key=[*_STANDING, "claimed_at"], set=["state", "copies", "note"])
SUPPRESS = InsertAbsent(suppressions, ["tenant", "address", "since", "says", "message"])
LIFT_SUPPRESSION = Delete(suppressions, key=["tenant", "address"])

_COLUMNS = [
    messages.c[name]
    for name in [
        "tenant",
        "key",
        "subject",
        "case_ref",
        "workflow",
        "template",
        "audience",
        "ladder",
        "person",
        "language",
        "context",
        "created_at",
        "effective_at",
        "not_before",
        "state",
        "attempts",
        "copies",
        "failures",
        "first_tried_at",
        "recipient",
        "digest",
        "message_id",
        "content_hash",
        "body",
        "note",
    ]
]
_may_leave = not_held(messages.c.tenant, messages.c.subject, mail=True)
_due = (
    select(messages.c.tenant, messages.c.subject, messages.c.recipient, messages.c.digest)
    .where(messages.c.state == "waiting", messages.c.not_before <= bindparam("now"), _may_leave)
    .order_by(messages.c.not_before)
    .limit(bindparam("most"))
)
_due_for = (
    select(messages.c.subject)
    .where(
        messages.c.tenant == bindparam("tenant"),
        any_of(messages.c.recipient, "recipients"),
        messages.c.state == "waiting",
        messages.c.not_before <= bindparam("now"),
        _may_leave,
    )
    .distinct()
)
_waiting = (
    select(*_COLUMNS)
    .where(
        messages.c.tenant == bindparam("tenant"),
        any_of(messages.c.subject, "subjects"),
        messages.c.state == "waiting",
        _may_leave,
    )
    .with_for_update()
)
_parts = (
    select(messages.c.digest, func.count().label("parts"))
    .where(
        messages.c.tenant == bindparam("tenant"),
        any_of(messages.c.recipient, "recipients"),
        messages.c.state == "waiting",
        any_of(messages.c.digest, "digests"),
    )
    .group_by(messages.c.digest)
)
_next = (
    select(messages.c.not_before)
    .where(messages.c.state == "waiting", _may_leave)
    .order_by(messages.c.not_before)
    .limit(1)
)
_oldest_in_hand = select(func.min(messages.c.claimed_at)).where(messages.c.state == "sending")
_left_in_hand = select(
    *(
        messages.c[name]
        for name in (
            "tenant",
            "key",
            "subject",
            "case_ref",
            "template",
            "attempts",
            "copies",
            "claimed_at",
            "note",
            "daemon",
        )
    ),
    or_(messages.c.body.is_not(None), messages.c.digest.is_not(None)).label("has_bytes"),
).where(messages.c.state == "sending", messages.c.claimed_at <= bindparam("until"))
_hands = select(messages.c.daemon).where(messages.c.state == "sending").distinct()
_still_in_hand = (
    select(messages.c.tenant, messages.c.key, messages.c.attempts)
    .where(
        any_of(messages.c.tenant, "tenants"),
        any_of(messages.c.key, "keys"),
        messages.c.state == "sending",
        messages.c.daemon == bindparam("daemon"),
    )
    .with_for_update()
)
_kept = select(messages.c.key, messages.c.body, messages.c.message_id, messages.c.content_hash).where(
    messages.c.tenant == bindparam("tenant"), any_of(messages.c.key, "keys"), messages.c.body.is_not(None)
)
_suppressed = select(suppressions.c.address, suppressions.c.says).where(
    suppressions.c.tenant == bindparam("tenant"), any_of(suppressions.c.address, "addresses")
)


def due_messages(connection: Connection, now: datetime, most: int) -> Rows:
    """(tenant, subject, recipient, digest) of at most `most` messages that may leave, the longest waiting first."""
    return connection.execute(_due, {"now": now, "most": most}).all()


def subjects_with_mail_for(
    connection: Connection, tenant: int, recipients: Iterable[str], now: datetime
) -> Sequence[str]:
    """The subjects of all messages to these recipients that may leave: what a digest is made of."""
    asked = {"tenant": tenant, "recipients": sorted(recipients), "now": now}
    return connection.execute(_due_for, asked).scalars().all()


def waiting_messages(connection: Connection, tenant: int, subjects: Sequence[str]) -> Rows:
    """All waiting messages of these subjects, due or not (a ladder is judged whole), locked; in no order."""
    return connection.execute(_waiting, {"tenant": tenant, "subjects": list(subjects)}).all()


def hands(connection: Connection) -> set[str]:
    """The daemons that have messages in hand, or had when they ended."""
    return {daemon for daemon in connection.execute(_hands).scalars() if daemon is not None}


def parts_of_digests(
    connection: Connection, tenant: int, recipients: Iterable[str], digests: Iterable[str]
) -> Mapping[str, int]:
    """How many messages of each of these digests wait, on hold or not."""
    asked = {"tenant": tenant, "recipients": sorted(recipients), "digests": sorted(digests)}
    return {row.digest: row.parts for row in connection.execute(_parts, asked)}


def left_in_hand(connection: Connection, until: datetime) -> Rows:
    """Messages that somebody took in hand by `until` and never put down."""
    return connection.execute(_left_in_hand, {"until": until}).all()


def still_in_hand(connection: Connection, daemon: str, keys: Iterable[tuple[int, str]]) -> set[tuple[int, str, int]]:
    """(tenant, key, attempt) of those of the messages that this daemon still has in hand, locked."""
    keys = list(keys)
    if not keys:
        return set()
    asked = {"tenants": sorted({tenant for tenant, _ in keys}), "keys": [key for _, key in keys], "daemon": daemon}
    return {(row.tenant, row.key, row.attempts) for row in connection.execute(_still_in_hand, asked)}


def kept_mails(connection: Connection, tenant: int, keys: Iterable[str]) -> Rows:
    """(key, body, message_id, content_hash) of those of the messages whose bytes are kept."""
    return connection.execute(_kept, {"tenant": tenant, "keys": sorted(keys)}).all()


def suppressed(connection: Connection, tenant: int, addresses: Iterable[str]) -> dict[str, str]:
    """Those of the addresses (in small letters) that bounced for good, with what was said then."""
    asked = {"tenant": tenant, "addresses": sorted(addresses)}
    return {row.address: row.says for row in connection.execute(_suppressed, asked)}


def next_leaving(connection: Connection) -> datetime | None:
    """When the next message may leave, or the lease of one in hand is over."""
    waiting = connection.execute(_next).scalar()
    in_hand = connection.execute(_oldest_in_hand).scalar()
    over = in_hand + LEASE if in_hand is not None else None
    return min((at for at in (waiting, over) if at is not None), default=None)
