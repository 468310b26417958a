"""What people call states and events: the words of lists, timelines and tables."""

from __future__ import annotations

from typing import Any

from vipflow.machine import Workflows
from vipflow.vip.events import EVENTS
from vipflow.workflow import Text

__all__ = ["EVENTS", "MAY_BE_DEACTIVATED", "case_label", "event_label", "state_label"]

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


def _plain(name: str) -> Text:
    words = name.replace("_", " ")
    return Text(words, words)
