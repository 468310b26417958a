"""What the numbers in force would change for running cases that have others pinned, and letting these follow.

Nothing follows by itself: whoever changes a number is told whom it would concern (`count_concerned`), sees what would
move (`diff_policies`), and lets running cases follow (`apply_policies`).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from vipflow.engine.amending import amend_cases
from vipflow.errors import BadInput
from vipflow.operations.allowed import not_allowed_to
from vipflow.operations.installation import Installation
from vipflow.operations.repinning import (
    PAGE,
    CaseChanged,
    Foreseen,
    Left,
    Repinning,
    Selection,
    WhatIf,
    left_as_they_are,
)
from vipflow.operations.who import Who
from vipflow.operations.words import event_label
from vipflow.workflow import Reason, Text

EVERYTHING = Selection()
AS_IT_IS = WhatIf()
MOST_LEFT = 20
"""Cases that are told one by one of those that cannot follow."""

Progress = Callable[[int], None]
"""Told how many cases were looked at, or amended, so far."""


class NumberChanged(msgspec.Struct, frozen=True):
    """A number that so many running cases have pinned otherwise."""

    name: str
    pinned: Any
    wanted: Any
    cases: int


class Concerned(msgspec.Struct, frozen=True):
    """Running cases of one workflow with other numbers pinned; `moving`: those of them whose dates would move."""

    workflow: str
    title: Text
    cases: int
    moving: int = 0


class DeadlinesMoved(msgspec.Struct, frozen=True):
    """Timers that send one event: how many would come earlier, later, anew or not at all; `at_once`: how many of all
    would be due now.
    """

    event: str
    label: Text
    earlier: int
    later: int
    new: int
    dropped: int
    at_once: int


class Following(msgspec.Struct, frozen=True):
    """What would happen to so many cases: an event at once, or a state that they had left (`event` is then empty)."""

    event: str
    label: Text
    cases: int


class MailsFollowing(msgspec.Struct, frozen=True):
    """Mails that would be written at once; of a ladder only the newest is counted."""

    template: str
    audience: str
    mails: int


class PolicyDiff(msgspec.Struct, frozen=True):
    """What would change for running cases. `left`: the first of those that cannot follow, `left_in_all`: how many.

    `entries` are cases in full, where they were asked for; `next`: where to go on.
    """

    policy: str
    what_if: bool
    cases: int
    customers: int
    concerned: Sequence[Concerned]
    numbers: Sequence[NumberChanged]
    deadlines: Sequence[DeadlinesMoved]
    led_back: Sequence[Following]
    at_once: Sequence[Following]
    mails: Sequence[MailsFollowing]
    left_in_all: int
    left: Sequence[Left]
    entries: Sequence[CaseChanged] = ()
    next: str | None = None


class Applied(msgspec.Struct, frozen=True):
    """What became of an `apply`: so many cases amended, so many left as they are. Refused: why it may not be."""

    amended: int
    left_in_all: int
    left: Sequence[Left]
    refused: Reason | None = None


def diff_policies(
    installation: Installation,
    who: Who,
    selection: Selection = EVERYTHING,
    what_if: WhatIf = AS_IT_IS,
    *,
    cases: int = 0,
    after: str | None = None,
    progress: Progress | None = None,
) -> PolicyDiff:
    """What would change if running cases had the numbers pinned that are in force now; nothing is touched.

    `cases`: give so many in full, from behind the one that `after` names (`next` of the page before). Raises NotFound,
    BadInput, PolicyError.
    """
    repinning = Repinning(installation, who, selection, what_if)
    place = _place(after)
    sums = _Sums(installation)
    entries: list[CaseChanged] = []
    more = False
    with installation.database.read() as connection:
        for page in repinning.pages(connection):
            sums.add(page)
            for case in page.changed:
                if (case.customer, case.case) > place:
                    more = more or len(entries) == cases
                    entries += [case] if len(entries) < cases else []
            if progress is not None:
                progress(sum(sums.cases.values()))
    following = f"{entries[-1].customer}/{entries[-1].case}" if entries and more else None
    return sums.diff(repinning, entries, following)


def count_concerned(installation: Installation, who: Who, selection: Selection = EVERYTHING) -> tuple[Concerned, ...]:
    """How many running cases of which workflow have other numbers pinned than those in force now."""
    repinning = Repinning(installation, who, selection, AS_IT_IS)
    with installation.database.read() as connection:
        counts = repinning.count(connection)
    return tuple(
        Concerned(each.name, each.title, counts[each.name]) for each in installation.workflows if counts[each.name]
    )


def apply_policies(
    installation: Installation,
    who: Who,
    reason: str,
    selection: Selection = EVERYTHING,
    *,
    progress: Progress | None = None,
    page: int = PAGE,
) -> Applied:
    """Lets running cases follow the numbers in force now, some hundred customers at a time, each page on disk before
    the next. Stopped half way it goes on when asked again; a second time nothing changes.

    Raises BadInput without a reason, NotFound, PolicyError; Busy where no more was written.
    """
    refused = not_allowed_to(who, "administer")
    if refused is not None:
        return Applied(0, 0, (), refused)
    if not reason.strip():
        raise BadInput("--reason", "it is empty", "say why: it stays in the history of each case")
    repinning = Repinning(installation, who, selection, AS_IT_IS, page=page)
    what = f"customer/{repinning.customer}" if repinning.customer is not None else f"reseller/{who.key}"
    details = {"policy": repinning.default.id, "workflow": selection.workflow}
    amended, left_in_all, after = 0, 0, ""
    left: list[Left] = []
    while True:
        with installation.database.read() as connection:
            found = repinning.wanted(connection, after)
        if found is None:
            return Applied(amended, left_in_all, left)
        after = found.last
        answers = amend_cases(
            installation.engine,
            who.tenant,
            found.amendments,
            who.as_actor,
            reason,
            act="policy.apply",
            target=what,
            details=details,
        )
        stay = [*found.left, *left_as_they_are(answers)]
        amended += sum(answer.amended is not None for answer in answers)
        left_in_all += len(stay)
        left += stay[: MOST_LEFT - len(left)]
        if progress is not None:
            progress(amended)


class _Sums:
    """What all pages come to."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.cases: Counter[str] = Counter()
        self.moving: Counter[str] = Counter()
        self.customers: set[str] = set()
        self.numbers: Counter[tuple[str, str, str]] = Counter()
        self.deadlines: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.led_back: Counter[tuple[str, str]] = Counter()
        self.labels: dict[tuple[str, str], Text] = {}
        self.steps: Counter[str] = Counter()
        self.mails: Counter[tuple[str, str]] = Counter()
        self.left_in_all = 0
        self.left: list[Left] = []

    def add(self, page: Foreseen) -> None:
        for case in page.changed:
            self.cases[case.workflow] += 1
            self.moving[case.workflow] += case.moves
            self.customers.add(case.customer)
            self.numbers.update((name, _text(was), _text(is_)) for name, (was, is_) in case.numbers.items())
            for timer in case.timers:
                kinds = self.deadlines[f"{case.workflow}.{timer.event}"]
                kinds[_kind(timer.before, timer.after)] += 1
                kinds["at once"] += timer.after is not None and timer.after <= page.now
            if case.state_after != case.state:
                self.led_back[case.workflow, case.state_after] += 1
                self.labels[case.workflow, case.state_after] = case.label_after
        self.steps.update(f"{step.after.workflow}.{step.event}" for step in page.steps)
        self.mails.update((mail.template, mail.audience) for mail in page.mails)
        self.left_in_all += len(page.left)
        self.left += page.left[: MOST_LEFT - len(self.left)]

    def diff(self, repinning: Repinning, entries: Sequence[CaseChanged], following: str | None) -> PolicyDiff:
        machines = self.installation.workflows
        return PolicyDiff(
            repinning.default.id,
            repinning.is_what_if,
            sum(self.cases.values()),
            len(self.customers),
            [
                Concerned(each.name, each.title, self.cases[each.name], self.moving[each.name])
                for each in machines
                if self.cases[each.name]
            ],
            [
                NumberChanged(name, json.loads(was), json.loads(is_), count)
                for (name, was, is_), count in sorted(self.numbers.items())
            ],
            [
                DeadlinesMoved(event, event_label(event), *(kinds[kind] for kind in _KINDS))
                for event, kinds in sorted(self.deadlines.items())
                if any(kinds[kind] for kind in _KINDS)
            ],
            [Following("", self.labels[key], count) for key, count in sorted(self.led_back.items())],
            [Following(event, event_label(event), count) for event, count in sorted(self.steps.items())],
            [MailsFollowing(template, to, count) for (template, to), count in sorted(self.mails.items())],
            self.left_in_all,
            self.left,
            entries,
            following,
        )


_KINDS = ("earlier", "later", "new", "dropped", "at once")


def _kind(before: Any, after: Any) -> str:
    if before is None:
        return "new"
    if after is None:
        return "dropped"
    return "earlier" if after < before else "later" if after > before else "renamed"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _place(after: str | None) -> tuple[str, str]:
    if after is None:
        return ("", "")
    customer, slash, case = after.partition("/")
    if not slash:
        raise BadInput("--after", f"{after!r} is no place in this list", "give what the page before said")
    return customer, case
