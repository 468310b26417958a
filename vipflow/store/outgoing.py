"""Messages on their way out: what is due to leave, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, select

from vipflow.store.tables import incidents, messages
from vipflow.store.types import any_of
from vipflow.store.work import Rows
from vipflow.store.writes import InsertAbsent, Update

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
        "message_id",
        "content_hash",
        "body",
        "note",
    ]
]
_due = (
    select(messages.c.tenant, messages.c.subject)
    .where(messages.c.state == "waiting", messages.c.not_before <= bindparam("now"))
    .order_by(messages.c.not_before)
    .limit(bindparam("most"))
)
_waiting = (
    select(*_COLUMNS)
    .where(
        messages.c.tenant == bindparam("tenant"), any_of(messages.c.subject, "subjects"), messages.c.state == "waiting"
    )
    .with_for_update()
)
_next = select(messages.c.not_before).where(messages.c.state == "waiting").order_by(messages.c.not_before).limit(1)

_oldest_in_hand = select(func.min(messages.c.claimed_at)).where(messages.c.state == "sending")
_forgotten = (
    select(messages.c.tenant, messages.c.key, messages.c.claimed_at)
    .where(messages.c.state == "sending", messages.c.claimed_at <= bindparam("until"))
    .limit(bindparam("most"))
)

LEASE = timedelta(minutes=10)
"""A message in hand for longer is taken up by somebody else; its bytes are kept, so a second copy is the same."""

CLAIM = Update(messages, key=["tenant", "key"], set=["state", "attempts", "claimed_at"])
RELEASE = Update(messages, key=["tenant", "key", "state", "claimed_at"], set=["state", "claimed_at", "note"])
# Only of a message that is still in the hand that marks it: whoever lost his lease changes nothing.
KEEP_BYTES = Update(messages, key=["tenant", "key", "state", "attempts"], set=["message_id", "content_hash", "body"])
RETRY = Update(messages, key=["tenant", "key", "state", "attempts"], set=["state", "not_before", "note"])
FINISH = Update(messages, key=["tenant", "key", "state", "attempts"], set=["state", "copies", "sent_at", "note"])
OPEN_INCIDENT = InsertAbsent(incidents, ["tenant", "id", "subject", "case_ref", "kind", "cause", "says", "opened_at"])


def subjects_with_mail(connection: Connection, now: datetime, most: int) -> Rows:
    """(tenant, subject) of at most `most` messages that may leave, the longest waiting first; a subject may come
    twice.
    """
    return connection.execute(_due, {"now": now, "most": most}).all()


def waiting_messages(connection: Connection, tenant: int, subjects: Sequence[str]) -> Rows:
    """All waiting messages of these subjects, due or not (a ladder is judged whole), locked; in no order."""
    return connection.execute(_waiting, {"tenant": tenant, "subjects": list(subjects)}).all()


def left_in_hand(connection: Connection, until: datetime, most: int) -> Rows:
    """(tenant, key) of messages that somebody took in hand by `until` and never put down."""
    return connection.execute(_forgotten, {"until": until, "most": most}).all()


def next_leaving(connection: Connection) -> datetime | None:
    """When the next message may leave, or the lease of one in hand is over."""
    waiting = connection.execute(_next).scalar()
    in_hand = connection.execute(_oldest_in_hand).scalar()
    over = in_hand + LEASE if in_hand is not None else None
    return min((at for at in (waiting, over) if at is not None), default=None)
