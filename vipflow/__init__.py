"""The words for workflow authors, and nothing else: what a file in `workflows/` imports.

They are fetched when first asked for: whoever wants only `vipflow --help` does not wait for python-statemachine.
"""

from importlib import import_module
from typing import TYPE_CHECKING

# Not fetched later: once the module vipflow.policy is imported, it would stand in the word's place.
from vipflow.days import local_day, midnight
from vipflow.policy import policy

if TYPE_CHECKING:
    from vipflow.case import Case, View
    from vipflow.workflow import (
        INTERNAL,
        REPORT,
        REQUEST,
        Audience,
        Change,
        Email,
        Facts,
        Name,
        NoData,
        Opening,
        Person,
        Reason,
        Redating,
        Send,
        State,
        Text,
        Timer,
        Workflow,
        after,
        always,
        before,
        day_after,
        every,
        on,
        planned,
    )

__all__ = [
    "INTERNAL",
    "REPORT",
    "REQUEST",
    "Audience",
    "Case",
    "Change",
    "Email",
    "Facts",
    "Name",
    "NoData",
    "Opening",
    "Person",
    "Reason",
    "Redating",
    "Send",
    "State",
    "Text",
    "Timer",
    "View",
    "Workflow",
    "after",
    "always",
    "before",
    "day_after",
    "every",
    "local_day",
    "midnight",
    "on",
    "planned",
    "policy",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    word: object = getattr(import_module("vipflow.case" if name in ("Case", "View") else "vipflow.workflow"), name)
    globals()[name] = word
    return word


def __dir__() -> list[str]:
    return [*globals(), *__all__]
