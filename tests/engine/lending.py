"""A library in two editions of its workflow file: what a running case meets when numbers or the file change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from vipflow import (
    REPORT,
    Audience,
    Change,
    Email,
    Facts,
    Opening,
    Person,
    Redating,
    State,
    Text,
    Timer,
    View,
    Workflow,
    always,
    before,
    day_after,
    every,
    policy,
)
from vipflow.engine.plain import PlainTrade
from vipflow.machine import Workflows, compile_workflows
from vipflow.policy import Policy

YEAR = date(2025, 1, 1)


def numbers(**more: Any) -> Policy:
    """The library's policy, some numbers otherwise."""
    return Policy("library", YEAR, {"loan_days": 14, "recall_days": [7, 2], "nag_days": 7, "nag_first": 1, **more})


LENT = numbers()


class LibraryTrade(PlainTrade):
    def policy_in_force(self, view: View) -> Policy:
        return LENT

    def summary(self, view: View) -> Mapping[str, Any]:
        late = sum(1 for loan in view.of("loan") if loan.state in ("late", "overdue"))
        return {**super().summary(view), "late_count": late}


reader = Audience("reader", person=lambda view: Person("r@x.org", "R", "en"), not_before=lambda view: view.now)


def label(word: str) -> Text:
    return Text(f"{word} (fr)", word)


class Reader(Facts, frozen=True):
    name: str = "R"


class ReaderWorkflow(Workflow):
    name_in_events = "reader"
    collection = "readers"
    prefix = "R"
    title = Text("lecteur", "reader")
    is_subject = True
    facts = Reader
    known = State(initial=True)
    labels: ClassVar = {"known": label("known")}
    note = known.to(known)
    openings: ClassVar = [Opening("enrol", known, kind=REPORT, build=lambda data, view: Reader())]
    changes: ClassVar = [Change(note, kind=REPORT)]


class Loan(Facts, frozen=True):
    book: str
    lent_on: date
    due_on: date


class Lend(Struct, frozen=True, forbid_unknown_fields=True):
    book: str = "Emma"


class Extension(Struct, frozen=True, forbid_unknown_fields=True):
    due_on: date


def lent(data: Lend, view: View) -> Loan:
    return Loan(data.book, view.today, view.today + timedelta(days=view.policy.loan_days))


def extended(facts: Loan, data: Extension, _view: View) -> Loan:
    return replace(facts, due_on=data.due_on)


def redated(facts: Loan, was: Policy, view: View) -> Loan:
    if facts.book == "cursed":
        raise RuntimeError("nobody can say when this is due")
    if facts.due_on != facts.lent_on + timedelta(days=was.loan_days):
        return facts
    return replace(facts, due_on=facts.lent_on + timedelta(days=view.policy.loan_days))


def still_out(facts: Loan, view: View) -> State | None:
    late = view.case is not None and view.case.state == "late"
    return LoanWorkflow.out if late and view.today <= facts.due_on else None


class LoanWorkflow(Workflow):
    """As it was at first."""

    name_in_events = "loan"
    collection = "loans"
    prefix = "L"
    title = Text("prêt", "loan")
    facts = Loan
    out = State(initial=True)
    late = State()
    back = State(final=True)
    settled: ClassVar = [back]
    labels: ClassVar = {"out": label("out"), "late": label("late"), "back": label("back")}
    remind = out.to(out) | late.to(late)
    fall_due = out.to(late)
    extend = out.to(out)
    give_back = back.from_(out, late)
    redating = Redating(redated, choose=still_out)
    openings: ClassVar = [Opening("lend", out, data=Lend, build=lent, kind=REPORT)]
    changes: ClassVar = [
        Change(extend, data=Extension, record=extended, kind=REPORT),
        Change(give_back, kind=REPORT),
    ]
    timers: ClassVar = [
        Timer(out, before("due_on", days=policy.recall_days), send=remind),
        Timer(out, day_after("due_on"), send=fall_due),
        Timer(late, every(days=policy.nag_days, first=policy.nag_first), send=remind),
    ]
    emails: ClassVar = [
        Email("recall", to=reader, on=(out.on(remind), late.on(remind)), while_=always, ladder="loan"),
        Email("overdue", to=reader, on=late, ladder="loan"),
    ]


class LaterLoanWorkflow(Workflow):
    """As it is after an evening's work: `late` is called overdue, `back` is home, `remind` has become nag there."""

    name_in_events = "loan"
    collection = "loans"
    prefix = "L"
    title = Text("prêt", "loan")
    facts = Loan
    out = State(initial=True)
    overdue = State()
    home = State(final=True)
    settled: ClassVar = [home]
    labels: ClassVar = {"out": label("out"), "overdue": label("overdue"), "home": label("home")}
    remind = out.to(out)
    nag = overdue.to(overdue)
    give_up = overdue.to(home)
    fall_due = out.to(overdue)
    give_back = home.from_(out, overdue)
    openings: ClassVar = [Opening("lend", out, data=Lend, build=lent, kind=REPORT)]
    changes: ClassVar = [Change(give_back, kind=REPORT)]
    timers: ClassVar = [
        Timer(out, before("due_on", days=policy.recall_days), send=remind),
        Timer(out, day_after("due_on"), send=fall_due),
        Timer(overdue, every(days=policy.nag_days, first=policy.nag_first), send=nag),
        Timer(overdue, every(days=100), send=give_up),
    ]
    emails: ClassVar = [Email("recall", to=reader, on=(remind, nag), while_=always, ladder="loan")]


LIBRARY: Workflows = compile_workflows([ReaderWorkflow, LoanWorkflow])
LATER: Workflows = compile_workflows([ReaderWorkflow, LaterLoanWorkflow])
