"""What people call states and events: the words of lists, timelines and tables."""

from __future__ import annotations

from vipflow.machine import Workflows
from vipflow.vip.events import EVENTS
from vipflow.workflow import Text

__all__ = ["EVENTS", "event_label", "state_label"]


def state_label(workflows: Workflows, workflow: str, state: str) -> Text:
    """What people call a state; its own name where nobody said."""
    machine = workflows.get(workflow)
    label = machine.labels.get(state) if machine is not None else None
    return label if label is not None else _plain(state)


def event_label(event_type: str) -> Text:
    """What happens, in a few words. An event that is unknown here is called by its own name.

    >>> event_label("purchase_authorization.fall_due").en
    'authorization becomes late'
    """
    return EVENTS.get(event_type) or _plain(event_type.partition(".")[2] or event_type)


def _plain(name: str) -> Text:
    words = name.replace("_", " ")
    return Text(words, words)
