"""Running cases whose pinned numbers are not those in force: found page by page, each with the policy that it would
have, and looked at as if it had it already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from vipflow.amending import Amended, Amendment, Moved
from vipflow.case import Case, Message, Step, View
from vipflow.days import local_day
from vipflow.decide import superseded
from vipflow.engine.amending import Answer, foresee
from vipflow.engine.batch import Batch, Work
from vipflow.errors import BadInput, NotFound, PolicyError, did_you_mean
from vipflow.operations.installation import Installation
from vipflow.operations.policies import known_policy, own_numbers, trade_of
from vipflow.operations.references import find_customer
from vipflow.operations.who import Who
from vipflow.operations.words import state_label
from vipflow.policy import Policy, PolicyBook, PolicyFile, differing, read_policy_file
from vipflow.store import pinned as store
from vipflow.store.policies import policies_by_id
from vipflow.vip.customers import customer_of, reseller_of
from vipflow.vip.numbers import SHIPPED_POLICIES, Numbers
from vipflow.workflow import Reason, Text

PAGE = 500
"""Customers looked at together."""
OWN_NUMBERS = '"overrides":{'
"""How the stored facts of a customer read that has numbers of its own."""


class Selection(msgspec.Struct, frozen=True):
    """Which running cases: all of the reseller, those of one customer, those of one workflow."""

    customer: str | None = None
    workflow: str | None = None


class WhatIf(msgspec.Struct, frozen=True):
    """What is not in force: another policy for the reseller (its name, or a file), numbers laid over everything."""

    policy: str | None = None
    numbers: Mapping[str, Any] = {}


class CaseChanged(msgspec.Struct, frozen=True):
    """One case with what would be otherwise: numbers and facts before and after, timers that move."""

    case: str
    customer: str
    workflow: str
    state: str
    label: Text
    pinned: str
    wanted: str
    numbers: Mapping[str, tuple[Any, Any]]
    facts: Mapping[str, tuple[Any, Any]]
    timers: Sequence[Moved]
    state_after: str
    label_after: Text

    @property
    def moves(self) -> bool:
        """Whether more would be otherwise than the numbers themselves."""
        return bool(self.facts or self.timers) or self.state_after != self.state


class Left(msgspec.Struct, frozen=True):
    """A case that stays as it is, and why."""

    case: str
    customer: str
    reason: Reason


class Wanted(NamedTuple):
    """The amendments of a page of customers, cases that cannot have any, and where the page ends."""

    batch: Batch
    amendments: list[Amendment]
    left: list[Left]
    last: str


class Foreseen(NamedTuple):
    """What the amendments of a page would do; the steps that would follow at once, and the mails of these."""

    changed: list[CaseChanged]
    left: list[Left]
    steps: list[Step]
    mails: list[Message]
    now: datetime


class Repinning:
    """Which numbers are wanted for whom, on one day. Raises NotFound, BadInput, PolicyError for what cannot be."""

    def __init__(
        self, installation: Installation, who: Who, selection: Selection, what_if: WhatIf, *, page: int = PAGE
    ) -> None:
        trade = trade_of(installation)
        self.installation = installation
        self.who = who
        self.numbers = what_if.numbers
        self.is_what_if = what_if.policy is not None or bool(what_if.numbers)
        self.workflow = _known_workflow(installation, selection.workflow)
        self.customer = find_customer(installation, who, selection.customer) if selection.customer else None
        self.name, overrides = own_numbers(installation, who)
        self.book: PolicyBook = trade.policies
        if what_if.policy is not None:
            self.book, self.name = _book_with(installation, what_if.policy)
        self.today = local_day(installation.clock.now(), who.zone)
        self.default = self.book.in_force(self.name, self.today, overrides, what_if.numbers)
        """What a customer without numbers of its own would have."""
        self._same: dict[str, bool] = {}
        self._page = page
        self._fitting: list[str] | None = None
        """Pinned policies with the wanted numbers, asked for once: what is amended lies behind us."""

    def wanted(self, connection: Connection, after: str = "") -> Wanted | None:
        """The page of customers behind `after`; None at the end."""
        refs = self._subjects(connection, after)
        if not refs:
            return None
        batch, left = self._batch(connection, refs), list[Left]()
        amendments = [
            Amendment(case.ref, policy)
            for ref in refs
            for case, policy in self._otherwise(batch, batch.works[ref], left)
        ]
        return Wanted(batch, amendments, left, refs[-1])

    def pages(self, connection: Connection) -> Iterator[Foreseen]:
        """Every page, looked at as if its cases were amended."""
        after = ""
        while (page := self.wanted(connection, after)) is not None:
            after = page.last
            yield self._foreseen(page)

    def count(self, connection: Connection) -> Counter[str]:
        """By workflow the cases that have other numbers pinned: a few statements, however many there are, beside those
        for customers with numbers of their own.
        """
        counts: Counter[str] = Counter()
        if self.customer is None:
            rows = store.count_pinned(connection, self.who.tenant, OWN_NUMBERS)
            same = self._with_wanted_numbers(connection, {row.policy for row in rows})
            for row in rows:
                if self._concerns(row.workflow) and row.policy not in same:
                    counts[row.workflow] += row.cases
        after = ""
        while refs := self._subjects_with_own_numbers(connection, after):
            after = refs[-1]
            batch = self._batch(connection, refs)
            for ref in refs:
                counts.update(case.workflow for case, _ in self._otherwise(batch, batch.works[ref], []))
        return counts

    # --- who has what ---------------------------------------------------------------------------------------------

    def _subjects(self, connection: Connection, after: str) -> Sequence[str]:
        if self.customer is not None:
            return [self.customer] if self.customer > after else []
        tenant = self.who.tenant
        if self._fitting is None:
            same = self._with_wanted_numbers(connection, store.policies_pinned(connection, tenant))
            self._fitting = sorted(same | {self.default.id})
        return store.subjects_otherwise(connection, tenant, self._fitting, OWN_NUMBERS, after, self._page)

    def _subjects_with_own_numbers(self, connection: Connection, after: str) -> Sequence[str]:
        if self.customer is not None:
            return [self.customer] if self.customer > after else []
        return store.subjects_marked(connection, self.who.tenant, OWN_NUMBERS, after, self._page)

    def _with_wanted_numbers(self, connection: Connection, policies: Iterable[str]) -> set[str]:
        """Those of these policies that have the numbers which are wanted of whoever has none of its own."""
        policies = set(policies)
        unknown = sorted(policies - self._same.keys())
        if unknown:
            kept = policies_by_id(connection, unknown)
            restore = self.installation.trade.restore_policy
            self._same |= {
                each: each in kept and not differing(restore(kept[each].body), self.default) for each in unknown
            }
        return {each for each in policies if self._same[each]}

    def _concerns(self, workflow: str) -> bool:
        return self.workflow is None or workflow == self.workflow

    def _batch(self, connection: Connection, refs: Sequence[str]) -> Batch:
        engine = self.installation.engine
        batch = engine.batch(connection, self.who.tenant, engine.read_now(connection))
        batch.look_at(refs)
        return batch

    def _otherwise(self, batch: Batch, work: Work, left: list[Left]) -> Iterator[tuple[Case, Policy]]:
        """The subject's running cases with other numbers, by reference, each with the policy that it would have."""
        cases = sorted((c for c in work.view.cases.values() if self._concerns(c.workflow)), key=lambda case: case.ref)
        try:
            policy = self._in_force(replace(work.view, at=batch.now, case=None))
        except PolicyError as wrong:  # its own numbers do not fit those that would be below them
            left += [Left(case.ref, work.ref, _cannot_hold(wrong)) for case in cases]
            return
        for case in cases:
            if differing(batch.policies[case.policy], policy):
                yield case, policy

    def _in_force(self, view: View) -> Policy:
        customer = customer_of(view)
        own = customer.overrides if customer is not None else {}
        if not own:
            return self.default
        return self.book.in_force(self.name, self.today, reseller_of(view).overrides, own, self.numbers)

    # --- what would be --------------------------------------------------------------------------------------------

    def _foreseen(self, page: Wanted) -> Foreseen:
        batch = page.batch
        answers = foresee(batch, page.amendments, self.who.as_actor, "what if")
        changed = [self._changed(a, a.amended, a.step) for a in answers if a.amended is not None and a.step is not None]
        steps: list[Step] = []
        mails: list[Message] = []
        for work in sorted((batch.works[each.customer] for each in changed), key=lambda work: work.ref):
            done = len(work.steps)
            while not batch.fire_due(work, batch.now):
                batch.load_missing()
            fresh = [step for step, _, _ in work.steps[done:]]
            written = [message for step in fresh for message in step.messages]
            needless = superseded(written)
            steps += fresh
            mails += [message for message in written if message.key not in needless]
        return Foreseen(changed, [*page.left, *left_as_they_are(answers)], steps, mails, batch.now)

    def _changed(self, answer: Answer, amended: Amended, step: Step) -> CaseChanged:
        before, after = step.before, step.after
        assert before is not None  # noqa: S101 - an amending opens nothing
        workflows = self.installation.workflows
        was, is_ = msgspec.to_builtins(before.facts), msgspec.to_builtins(after.facts)
        return CaseChanged(
            after.ref,
            str(answer.subject),
            after.workflow,
            before.state,
            state_label(workflows, before.workflow, before.state),
            before.policy,
            after.policy,
            amended.numbers,
            {name: (was.get(name), is_.get(name)) for name in {**is_, **was} if was.get(name) != is_.get(name)},
            amended.timers,
            after.state,
            state_label(workflows, after.workflow, after.state),
        )


def left_as_they_are(answers: Sequence[Answer]) -> list[Left]:
    """The cases that could not be amended, each with its first reason."""
    return [Left(answer.case, answer.subject or "", answer.left[0]) for answer in answers if answer.left]


def _cannot_hold(wrong: PolicyError) -> Reason:
    return Reason(
        "numbers_cannot_hold",
        Text(
            f"Les nombres propres à ce client ne s’accordent pas avec les autres\u00a0: {wrong.problem}",
            f"This customer's own numbers cannot hold together with the others: {wrong.problem}",
        ),
    )


def _known_workflow(installation: Installation, name: str | None) -> str | None:
    names = list(installation.workflows.machines)
    if name is not None and name not in names:
        raise NotFound("workflow", name, f"there are {', '.join(names)}{did_you_mean(name, names)}")
    return name


def _book_with(installation: Installation, policy: str) -> tuple[PolicyBook, str]:
    """The policies as they would be with that of a file, or as they are, and the name that is meant."""
    path = Path(policy)
    if path.suffix != ".toml":
        known_policy(installation, policy)
        return installation.policy_book, policy
    if not path.is_file():
        raise BadInput("the policy file", f"{policy} is not there", "name a policy, or a file that ends in .toml")
    new = read_policy_file(path)
    return PolicyBook(Numbers, [*_others(installation, new.name), new]), new.name


def _others(installation: Installation, name: str) -> list[PolicyFile]:
    folders = (SHIPPED_POLICIES, *installation.settings.folders.policies)
    files = [read_policy_file(path) for folder in folders for path in sorted(folder.glob("*.toml"))]
    return [file for file in files if file.name != name]
