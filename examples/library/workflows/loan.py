"""A public library lends books: nothing here has to do with licences, and the engine runs it unchanged."""

from datetime import date, datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from vipflow import (
    REPORT,
    REQUEST,
    Audience,
    Change,
    Email,
    Facts,
    NoData,
    Opening,
    Person,
    Reason,
    State,
    Text,
    Timer,
    View,
    Workflow,
    before,
    day_after,
    every,
)

WEEKS_OF_A_LOAN = 3
RENEWALS_AT_MOST = 2


class Loan(Facts, frozen=True):
    """What is remembered of a loan."""

    title: str
    reader: str
    email: str
    due_on: date
    renewals: int = 0


class Lend(Struct, frozen=True, forbid_unknown_fields=True):
    """What `loan.lend` says."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    reader: Annotated[str, Meta(min_length=1, max_length=80)]
    email: Annotated[str, Meta(max_length=240, pattern=r"^[^@\s]+@[^@\s]+$")]


def lend(data: Lend, view: View) -> Loan:
    return Loan(data.title, data.reader, data.email, view.today + timedelta(weeks=WEEKS_OF_A_LOAN))


def for_three_more_weeks(loan: Loan, data: NoData, view: View) -> Loan:
    return replace(loan, due_on=view.today + timedelta(weeks=WEEKS_OF_A_LOAN), renewals=loan.renewals + 1)


def renewed_too_often(loan: Loan, data: NoData, view: View) -> Reason | None:
    if loan.renewals < RENEWALS_AT_MOST:
        return None
    return Reason(
        "renewed_too_often",
        Text(
            f"Ce prêt a déjà été prolongé {loan.renewals} fois.",
            f"This loan was renewed {loan.renewals} times already.",
        ),
        {"renewals": loan.renewals},
        Text("Rapportez le livre, puis empruntez-le de nouveau.", "Return the book, then borrow it again."),
    )


def whoever_reads(view: View) -> Person:
    loan = view.subject_facts
    return Person(loan.email, loan.reader, view.tenant.language)


def at_once(view: View) -> datetime:
    return view.now


reader = Audience("reader", person=whoever_reads, not_before=at_once)


def still_out(loan: Loan, view: View) -> bool:
    return view.case is not None and view.case.state in ("lent", "overdue")


def words(loan: Loan, view: View) -> dict[str, str]:
    return {"reader": loan.reader, "title": loan.title, "due_on": loan.due_on.isoformat()}


class LoanWorkflow(Workflow):
    """A book goes out, is renewed, comes back, or is missed."""

    name_in_events = "loan"
    collection = "loans"
    prefix = "L"
    title = Text("prêt", "loan")
    is_subject = True
    facts = Loan

    lent = State(initial=True)
    overdue = State()
    returned = State(final=True)
    lost = State(final=True)
    settled = [returned, lost]
    labels = {
        "lent": Text("prêté", "lent"),
        "overdue": Text("en retard", "overdue"),
        "returned": Text("rendu", "returned"),
        "lost": Text("perdu", "lost"),
    }

    renew = lent.to(lent, unless=renewed_too_often)
    fall_due = lent.to(overdue)
    remind = lent.to(lent) | overdue.to(overdue)
    give_back = returned.from_(lent, overdue)
    declare_lost = lost.from_(lent, overdue)

    openings = [Opening("lend", lent, data=Lend, build=lend)]
    changes = [
        Change(renew, record=for_three_more_weeks, kind=REQUEST),
        Change(give_back, kind=REPORT),
        Change(declare_lost, kind=REQUEST, reason_required=True),
    ]
    timers = [
        Timer(lent, before("due_on", days=2), send=remind),
        Timer(lent, day_after("due_on"), send=fall_due),
        Timer(overdue, every(days=7), send=remind),
    ]

    vocabulary = staticmethod(words)
    record_block = ["reader", "title", "due_on"]
    emails = [
        Email("loan_reminder", to=reader, on=lent.on(remind), while_=still_out, ladder="return"),
        Email("loan_overdue", to=reader, on=(overdue, overdue.on(remind)), while_=still_out, ladder="return"),
    ]
