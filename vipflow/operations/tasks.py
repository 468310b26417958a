"""What the states of a customer ask of people, with a day: derived from its cases, never stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias, get_args
from zoneinfo import ZoneInfo

import msgspec

from vipflow.case import View
from vipflow.days import local_day
from vipflow.errors import BadInput, did_you_mean
from vipflow.operations.customer_lists import whose
from vipflow.operations.installation import Installation
from vipflow.operations.references import find_customer
from vipflow.operations.rows import facts_of, page_of
from vipflow.operations.who import Who
from vipflow.store import reading
from vipflow.store.reading import CasePlace, WantedCases
from vipflow.vip.records import total_of
from vipflow.workflow import Text

TaskKind: TypeAlias = Literal["order_to_place", "late_customer", "renewal_to_prepare", "renewal_to_order"]


class Task(msgspec.Struct, frozen=True):
    """Something to do for a customer. `due_on`: the last day for it; None where it has none. `urgent`: do it today;
    `overdue`: that day is over. `manager`: the address of who is in charge.
    """

    kind: TaskKind
    customer: str
    company: str
    manager: str
    case: str
    due_on: date | None
    urgent: bool
    overdue: bool
    says: Text


class Tasks(msgspec.Struct, frozen=True):
    """A page of tasks; `counts`: how many of each kind there are on all pages, `next` the cursor to go on with."""

    items: tuple[Task, ...]
    counts: dict[TaskKind, int]
    next: str | None = None


class _Known(NamedTuple):
    """A case as far as tasks look at it."""

    ref: str
    workflow: str
    state: str
    facts: Any


class _Whose(NamedTuple):
    """The customer that a case is of."""

    customer: str
    company: str
    manager: str


KINDS: tuple[TaskKind, ...] = get_args(TaskKind)
NOT_ORDERED = ("pending", "late", "suspended")
TO_RENEW = ("upcoming", "ready", "partly_renewed")


def list_tasks(
    installation: Installation,
    who: Who,
    *,
    mine: bool = False,
    managed_by: str | None = None,
    customer: str | None = None,
    kind: str | None = None,
    due_before: date | None = None,
) -> tuple[Task, ...]:
    """Everything there is to do: what is overdue first, then what is urgent, then by day.

    `due_before`: only what is due before that day. Raises BadInput for a kind that there is not, NotFound for a
    customer.
    """
    if kind is not None and kind not in KINDS:
        near = did_you_mean(kind, KINDS)
        raise BadInput("the kind", f"there is no {kind!r}{near}", f"choose {', '.join(KINDS)}")
    subject = find_customer(installation, who, customer) if customer is not None else None
    owner = whose(who, mine, managed_by)
    today = local_day(who.on or installation.clock.now(), who.zone)
    found: list[Task] = []
    for workflow, states, lists in (
        ("purchase_authorization", NOT_ORDERED, ("pending", "late")),
        ("membership", TO_RENEW, ("upcoming", "ready")),
    ):
        wanted = WantedCases(workflow, states, subject, owner, lists)
        for row in _all_cases(installation, who, wanted):
            known = _Known(row.ref, row.workflow, row.state, facts_of(installation, row))
            found += _tasks(_Whose(row.subject, row.name, row.owner or ""), (known,), today, who.zone)
    return tuple(
        sorted(
            (
                task
                for task in found
                if kind in (None, task.kind)
                and (due_before is None or (task.due_on is not None and task.due_on < due_before))
            ),
            key=_pressing,
        )
    )


def tasks_page(tasks: Sequence[Task], *, after: str | None = None, most: int = 50) -> Tasks:
    """The first `most` of what `list_tasks` gave, or those behind the cursor. Raises BadInput."""
    page = page_of(tasks, _pressing, after, most)
    counts = Counter(task.kind for task in tasks)
    return Tasks(page.items, {kind: counts[kind] for kind in KINDS if counts[kind]}, page.next)


def tasks_of(view: View, company: str, manager: str) -> tuple[Task, ...]:
    """What one customer asks for, the most pressing first."""
    cases = (_Known(case.ref, case.workflow, case.state, case.facts) for case in view.cases.values())
    whose_ = _Whose(view.subject, company, manager)
    return tuple(sorted(_tasks(whose_, cases, view.today, view.tenant.zone), key=_pressing))


def _all_cases(installation: Installation, who: Who, wanted: WantedCases) -> Iterator[Any]:
    after: CasePlace | None = None
    while True:
        with installation.database.read() as connection:
            rows = reading.cases_page(connection, who.tenant, wanted, 500, after)
        yield from rows
        if len(rows) < 500:
            return
        after = CasePlace(rows[-1].name_folded, rows[-1].subject, rows[-1].ref)


def _tasks(whose_: _Whose, cases: Iterable[_Known], today: date, zone: ZoneInfo) -> Iterator[Task]:
    for case in cases:
        if case.workflow == "purchase_authorization" and case.state in NOT_ORDERED:
            yield from _of_authorization(whose_, case, today, zone)
        elif case.workflow == "membership" and case.state in TO_RENEW:
            yield _of_membership(whose_, case, today)


def _of_authorization(whose_: _Whose, case: _Known, today: date, zone: ZoneInfo) -> Iterator[Task]:
    facts = case.facts
    count = total_of(facts.lines)
    last_day = facts.due_on
    if last_day is None and facts.expires_at is not None:
        last_day = local_day(facts.expires_at, zone)
    paid = facts.customer_paid_on is not None
    yield _task(
        "order_to_place",
        whose_,
        case,
        today,
        last_day,
        paid or case.state != "pending" or (last_day is not None and last_day <= today),
        Text(
            f"Passer commande auprès d’Adobe : {count} licence{'s' if count > 1 else ''}"
            + (", le client vous a payé" if paid else ""),
            f"Place the order with Adobe: {count} licence{'s' if count > 1 else ''}"
            + (", the customer has paid you" if paid else ""),
        ),
    )
    if case.state not in ("late", "suspended") or paid:
        return
    promised = facts.promised_until is not None and facts.promised_until >= today
    until = None if case.state == "suspended" or facts.suspended_from is None else facts.suspended_from - _ONE_DAY
    yield _task(
        "late_customer",
        whose_,
        case,
        today,
        facts.promised_until if promised else until,
        not promised,
        Text("Le client a promis de régulariser", "The customer promised to settle")
        if promised
        else Text("Inviter le client à régulariser son paiement", "Ask the customer to settle its payment"),
    )


def _of_membership(whose_: _Whose, case: _Known, today: date) -> Task:
    facts = case.facts
    count = total_of(facts.licences)
    licences = f"{count} licence{'s' if count != 1 else ''}"
    if case.state == "upcoming":
        says = Text(f"Préparer le renouvellement : {licences}", f"Prepare the renewal: {licences}")
        return _task("renewal_to_prepare", whose_, case, today, facts.window_opens, False, says)
    left = total_of(facts.licences) - total_of(facts.renewed)
    rest = f"{left} licence{'s' if left != 1 else ''}"
    says = Text(f"Commander le renouvellement : {rest}", f"Order the renewal: {rest}")
    soon = facts.window_closes is not None and facts.window_closes - today <= timedelta(days=7)  # the last week: ours
    return _task("renewal_to_order", whose_, case, today, facts.window_closes, soon, says)


def _task(
    kind: TaskKind, whose_: _Whose, case: _Known, today: date, due_on: date | None, urgent: bool, says: Text
) -> Task:
    overdue = due_on is not None and due_on < today
    return Task(kind, whose_.customer, whose_.company, whose_.manager, case.ref, due_on, urgent, overdue, says)


_ONE_DAY = timedelta(days=1)


def _pressing(task: Task) -> tuple[str, ...]:
    """Its place among all, as a cursor holds it."""
    first = "0" if task.overdue else "1" if task.urgent else "2"
    return (first, (task.due_on or date.max).isoformat(), task.company, task.case, task.kind)
