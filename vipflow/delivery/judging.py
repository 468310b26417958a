"""Just before sending: which of the waiting messages still tell the truth, may leave now, and which need not any more.

Pure over what a batch has loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from vipflow.case import Addressing, Case, View
from vipflow.decide import may_leave_at, still_true, superseded
from vipflow.engine.batch import Batch, Work, told
from vipflow.machine import Workflows
from vipflow.workflow import Person

NO_LONGER_TRUE = "no longer true"
OVERTAKEN = "a newer one of its ladder leaves"


class Waiting(msgspec.Struct, frozen=True):
    """A message as it waits: the names that `decide.still_true` and `decide.superseded` read, and its stored row."""

    key: str
    case: str
    template: str
    audience: str
    ladder: str | None
    row: Any


@dataclass
class Judgement:
    """What is to become of waiting messages; those that are not due and still true are in no list."""

    leaving: list[tuple[Waiting, Addressing | None]] = field(default_factory=list)
    """With whom they go to, where they were not written yet; None there too where nobody is left to write to."""
    gone: list[tuple[Waiting, str]] = field(default_factory=list)
    unclear: list[tuple[Waiting, str]] = field(default_factory=list)
    """Of which nobody can tell: what they stand on cannot be read."""
    postponed: list[tuple[Waiting, datetime]] = field(default_factory=list)


def judge(batch: Batch, rows: Sequence[Any], workflows: Workflows, trade: Any, now: datetime) -> Judgement:
    """Judges the waiting messages of a batch's subjects. Those whose bytes hold one digest share one fate: it leaves
    while one of them is still true.
    """
    judging = _Judging(batch, workflows, trade, now)
    by_subject: dict[str, list[Waiting]] = {}
    for row in rows:
        message = Waiting(row.key, row.case_ref, row.template, row.audience, row.ladder, row)
        by_subject.setdefault(row.subject, []).append(message)
    for subject in sorted(by_subject):
        judging.judge_subject(batch.works[subject], sorted(by_subject[subject], key=lambda each: each.key))
    return judging.concluded()


@dataclass
class _Fate:
    """What is known of a message on the way."""

    message: Waiting
    view: View | None = None
    gone: str | None = None
    unclear: str | None = None


class _Judging:
    def __init__(self, batch: Batch, workflows: Workflows, trade: Any, now: datetime) -> None:
        self.batch = batch
        self.workflows = workflows
        self.trade = trade
        self.now = now
        self.fates: list[_Fate] = []

    def judge_subject(self, work: Work, messages: Sequence[Waiting]) -> None:
        fates = [self._truth(work, message) for message in messages]
        old = superseded([fate.message for fate in fates if fate.gone is None and fate.unclear is None])
        for fate in fates:
            if fate.message.key in old:
                fate.gone = OVERTAKEN
        self.fates += fates

    def _truth(self, work: Work, message: Waiting) -> _Fate:
        try:
            case = work.seen.get(message.case)
            if case is None:
                return _Fate(message, gone=NO_LONGER_TRUE)
            view = self._view(work, case)
            if still_true(self.workflows[case.workflow], message, case, view):
                return _Fate(message, view)
            return _Fate(message, view, gone=NO_LONGER_TRUE)
        except Exception as fault:  # one bad record stops only itself
            return _Fate(message, unclear=told(fault))

    def _view(self, work: Work, case: Case) -> View:
        return replace(work.view, case=case, at=self.now)

    def concluded(self) -> Judgement:
        judgement = Judgement()
        digests: dict[str, list[_Fate]] = {}
        for fate in self.fates:
            if fate.message.row.digest is not None:
                digests.setdefault(fate.message.row.digest, []).append(fate)
            else:
                self._conclude(fate, judgement)
        for fates in digests.values():
            self._conclude_digest(fates, judgement)
        return judgement

    def _conclude(self, fate: _Fate, judgement: Judgement) -> None:
        message = fate.message
        if fate.gone is not None:
            judgement.gone.append((message, fate.gone))
        elif fate.unclear is not None:
            judgement.unclear.append((message, fate.unclear))
        elif message.row.not_before <= self.now:
            try:
                at = self._may_leave_at(fate)
                addressing = None if message.row.body is not None else self._addressing(fate)
            except Exception as fault:  # one bad record stops only itself
                judgement.unclear.append((message, told(fault)))
                return
            if at > self.now:
                judgement.postponed.append((message, at))
            else:
                judgement.leaving.append((message, addressing))

    def _conclude_digest(self, fates: Sequence[_Fate], judgement: Judgement) -> None:
        """They were written into one mail: all of them leave, wait or are superseded together."""
        true = [fate for fate in fates if fate.gone is None and fate.unclear is None]
        if not true and all(fate.unclear is None for fate in fates):
            judgement.gone += [(fate.message, str(fate.gone)) for fate in fates]
        elif not true:
            problem = next(fate.unclear for fate in fates if fate.unclear is not None)
            judgement.unclear += [(fate.message, problem) for fate in fates]
        elif all(fate.message.row.not_before <= self.now for fate in fates):
            try:
                at = max(self._may_leave_at(fate) for fate in true)
            except Exception as fault:  # one bad record stops only itself
                judgement.unclear += [(fate.message, told(fault)) for fate in fates]
                return
            if at > self.now:
                judgement.postponed += [(fate.message, at) for fate in fates]
            else:
                judgement.leaving += [(fate.message, None) for fate in fates]

    def _may_leave_at(self, fate: _Fate) -> datetime:
        view = fate.view
        if view is None or view.case is None:  # what is true was seen
            return self.now
        return may_leave_at(self.workflows[view.case.workflow], fate.message, view)

    def _addressing(self, fate: _Fate) -> Addressing | None:
        person = msgspec.json.decode(fate.message.row.person, type=Person)
        found: Addressing | None = self.trade.addressing(fate.view, person)
        return found
