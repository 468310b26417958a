"""The chain of one customer's history (I8): each row as it was written, behind the row that it was written behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vipflow.engine.verify.fold import Note
from vipflow.store.chain import SAYS, content_digest, row_hash
from vipflow.store.types import instant_text


def check_chain(what: str, head: str, history: Sequence[Any], note: Note) -> None:
    """Notes each row that was changed, put in or taken away, and an end that is not the one that was written last.

    `what` names the customer, `head` is the hash that it keeps. Rows begin with the columns of the table and come with
    their instants as stored.
    """
    previous, last = "", 0
    for row in history:
        says = row[1 : SAYS + 1]  # behind the position
        record = f"history {row.sequence}"
        if content_digest(row.salt, says) != row.digest:
            note("I8", record, "its facts, reason or note were changed after it was written")
        effective_at, recorded_at = _text(row.effective_at_stored), _text(row.recorded_at_stored)
        if row_hash(previous, says, effective_at, recorded_at, row.digest) != row.hash:
            if row.sequence > last + 1:
                gone = f"{last + 1}" if row.sequence == last + 2 else f"{last + 1} to {row.sequence - 1}"
                note("I8", record, f"history {gone} before it is gone")
            else:
                note("I8", record, "it, or its place in the chain, was changed after it was written, or it was put in")
        previous, last = row.hash, row.sequence
    if head != previous:
        if not history:
            note("I8", what, "all its history is gone")
        else:
            problem = "it is not the row that was written last: rows behind it are gone, or it was changed"
            note("I8", f"history {last}", problem)


def _text(instant: Any) -> str:
    return instant if isinstance(instant, str) else instant_text(instant)
