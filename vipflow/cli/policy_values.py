"""Numbers of a policy and timers, as people read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vipflow.cli.output import when

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from vipflow.amending import Moved


def value_text(value: Any) -> str:
    """A number as `vipflow policy set` takes it: JSON, but for words and for what is not there."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def moved_text(timer: Moved, zone: ZoneInfo) -> str:
    """`fall due 2024-03-15 → 2024-03-11`; of one armed anew or dropped one of the two alone."""
    event = timer.event.replace("_", " ")
    if timer.before is None:
        return f"{event} {when(timer.after, zone)} (new)"
    return f"{event} {when(timer.before, zone)} → {when(timer.after, zone) or 'no more'}"
