"""Acts that are no event of a subject (a mail retried, a hold, an incident dismissed): who, what, to what, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from vipflow.store.tables import audit
from vipflow.store.writes import Insert

_COLUMNS = ["tenant", "at", "actor_kind", "actor", "act", "target", "reason", "details", "hash"]
_REMEMBER = Insert(audit, _COLUMNS)
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
    """Writes acts into the audit, in the transaction that does them."""
    _REMEMBER.run(
        connection,
        [
            (a.tenant, now, a.actor_kind, a.actor, a.act, a.target, a.reason, _json(a.details).decode(), "")
            for a in acts
        ],
    )
