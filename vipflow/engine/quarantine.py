"""Crashes counted: what processes died with in hand runs alone, and after the third time not at all, until somebody
says so. One bad record stops only itself; whatever was in hand beside it is cleared once it went well by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vipflow.case import Incident
from vipflow.engine.in_hand import Key, leftovers
from vipflow.store import crashes
from vipflow.workflow import Text

if TYPE_CHECKING:
    from vipflow.engine import Engine

CRASHES_AT_MOST = 3
"""Then what was in hand is left alone."""


class Suspected(Exception):
    """Raised inside a batch with something that processes died with in hand: the batch is halved until that is alone,
    and where it happened too often it is not tried at all. No fault to be told: it never leaves the engine.
    """

    def __init__(self, what: str, times: int) -> None:
        super().__init__(f"{times} processes died with {what} in hand")
        self.what = what


def count_crashes(engine: Engine, folder: Path) -> dict[Key, int]:
    """Counts what processes that are gone left in hand in `folder`, and takes their notes away: each tenant and subject
    (or event) with how often that has happened to it. To be asked before anything is taken in hand.
    """
    found: dict[Key, int] = {}
    with leftovers(folder) as left:
        keys = list(dict.fromkeys(key for each in left for key in each.keys))
        if keys:
            with engine.database.write() as connection:
                found = crashes.count_again(connection, keys, engine.now(connection))
    return found


def crash_cause(subject: str) -> str:
    """The cause of the incident of a subject that processes died with in hand."""
    return f"crash:{subject}"


def given_up_after_crashes(subject: str, times: int, events: Sequence[str]) -> Incident:
    """What a person is told of a subject whose due timers (they send `events`) are not fired any more."""
    what = ", ".join(dict.fromkeys(events))
    says = Text(
        f"Traiter {subject} ({what}) a arrêté le programme {times} fois\u00a0; ses minuteurs échus attendent une "
        "personne.",
        f"To process {subject} ({what}) ended the program {times} times; its timers that are due wait for a person.",
    )
    return Incident("quarantined", None, events[0], says, crash_cause(subject))
