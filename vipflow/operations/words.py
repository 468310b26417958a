"""What people call states and events: the words of lists, timelines and tables."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from vipflow.machine import Workflows
from vipflow.vip.events import EVENTS
from vipflow.workflow import AMEND, Text

__all__ = [
    "EVENTS",
    "MAY_BE_DEACTIVATED",
    "amending_told",
    "case_label",
    "event_label",
    "happened_label",
    "state_label",
]

_SHOWN = 1
MAY_BE_DEACTIVATED = Text("licences peut-être désactivées (prévu)", "licences may be deactivated (expected)")
"""Of an authorization so late that Adobe may have deactivated its licences, and has not said so."""


def state_label(workflows: Workflows, workflow: str, state: str) -> Text:
    """What people call a state; its own name where nobody said."""
    machine = workflows.get(workflow)
    label = machine.labels.get(state) if machine is not None else None
    return label if label is not None else _plain(state)


def case_label(workflows: Workflows, workflow: str, state: str, facts: Any) -> Text:
    """What people call the state of a case of which more is known: what is only expected is not said as a fact."""
    if workflow == "purchase_authorization" and state == "suspended" and facts.deactivated_on is None:
        return MAY_BE_DEACTIVATED
    return state_label(workflows, workflow, state)


def event_label(event_type: str) -> Text:
    """What happens, in a few words. An event that is unknown here is called by its own name.

    >>> event_label("purchase_authorization.fall_due").en
    'authorization becomes late'
    """
    return EVENTS.get(event_type) or _plain(event_type.partition(".")[2] or event_type)


def happened_label(event_type: str, note: Any) -> Text:
    """`event_label` of what stands in history, where the note of an amending says what was amended."""
    if event_type.rpartition(".")[2] != AMEND:
        return event_label(event_type)
    told = note.get("data") if isinstance(note, dict) else None
    told = told if isinstance(told, dict) else {}
    if told.get("policy"):
        said = [
            f"{name} {_value(before)} → {_value(after)}" for name, (before, after) in told.get("numbers", {}).items()
        ]
        shown, more = ", ".join(said[:_SHOWN]), len(said) - _SHOWN
        return Text(
            f"autres nombres\u00a0: {shown}" + (f" et {more} de plus" if more > 0 else ""),
            f"other numbers: {shown}" + (f" and {more} more" if more > 0 else ""),
        )
    if told.get("renamed"):
        return Text("l’état porte un autre nom", "its state is called otherwise")
    return Text("minuteurs adaptés au fichier", "timers follow the workflow file")


def amending_told(note: Any, zone: ZoneInfo) -> list[Text]:
    """What an amending changed, line by line: numbers, the name of the state, timers. Nothing of another note."""
    told = note.get("data") if isinstance(note, dict) else None
    if not isinstance(told, dict):
        return []
    lines = []
    for name, (before, after) in told.get("numbers", {}).items():
        said = f"{name} {_value(before)} → {_value(after)}"
        lines.append(Text(said, said))
    if told.get("renamed"):
        before, after = told["renamed"]
        lines.append(Text(f"l’état {before} s’appelle {after}", f"the state {before} is called {after}"))
    for timer in told.get("timers", ()):
        before, after = (_when(timer.get(name), zone) for name in ("before", "after"))
        was = f" ({timer['was']})" if timer.get("was") else ""
        lines.append(
            Text(
                f"minuteur {timer['name']}{was}\u00a0: {before or 'aucun'} → {after or 'aucun'}",
                f"timer {timer['name']}{was}: {before or 'none'} → {after or 'none'}",
            )
        )
    return lines


def _value(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _when(instant: str | None, zone: ZoneInfo) -> str:
    if instant is None:
        return ""
    local = datetime.fromisoformat(instant).astimezone(zone)
    return f"{local:%Y-%m-%d}" if (local.hour, local.minute, local.second) == (0, 0, 0) else f"{local:%Y-%m-%d %H:%M}"


def _plain(name: str) -> Text:
    words = name.replace("_", " ")
    return Text(words, words)
