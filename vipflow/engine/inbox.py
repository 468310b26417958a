"""The inbox read back: the verdict that a row keeps, and the event of one that waits."""

from __future__ import annotations

from typing import Any

import msgspec

from vipflow.case import Actor
from vipflow.engine.envelope import Envelope, Verdict, decode_data
from vipflow.machine import Workflows
from vipflow.workflow import Reason

_decode_reasons = msgspec.json.Decoder(tuple[Reason, ...]).decode


def verdict_from_row(row: Any) -> Verdict:
    """The verdict that the inbox keeps."""
    reasons = _decode_reasons(row.reasons) if row.reasons else ()
    return Verdict(
        row.source,
        row.event_id,
        row.type,
        row.verdict,
        reasons,
        row.case_ref,
        row.subject_ref,
        row.sequence,
        waiting_for=row.waiting_for,
    )


def envelope_from_row(workflows: Workflows, row: Any) -> Envelope:
    """The event that an inbox row keeps while it waits."""
    kept = frame_from_row(row)
    plain = msgspec.json.decode(kept.body)
    workflow, _, name = row.type.partition(".")
    return msgspec.structs.replace(kept, data=decode_data(workflows[workflow], name, plain["data"]))


def frame_from_row(row: Any) -> Envelope:
    """The same without its data, which are not looked at."""
    kept = msgspec.json.decode(row.body, type=_Kept)
    return Envelope(
        row.type,
        row.source,
        row.event_id,
        row.subject,
        row.occurred_at,
        None,
        kept.actor,
        kept.reason,
        row.body_hash,
        kept.body,
    )


class _Kept(msgspec.Struct):
    body: str
    actor: Actor
    reason: str | None = None
