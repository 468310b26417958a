"""What the states of a customer ask of people, with a day: derived from its cases, never stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from vipflow.case import View
from vipflow.days import local_day
from vipflow.operations.customer_lists import whose
from vipflow.operations.installation import Installation
from vipflow.operations.rows import facts_of
from vipflow.operations.who import Who
from vipflow.store import reading
from vipflow.store.reading import CasePlace, WantedCases
from vipflow.vip.records import total_of
from vipflow.workflow import Text

TaskKind: TypeAlias = Literal["order_to_place", "late_customer", "renewal_to_prepare", "renewal_to_order"]


class Task(msgspec.Struct, frozen=True):
    """Something to do for a customer. `due_on`: the last day for it; None where it has none. `urgent`: do it today."""

    kind: TaskKind
    customer: str
    company: str
    case: str
    due_on: date | None
    urgent: bool
    says: Text


class _Known(NamedTuple):
    """A case as far as tasks look at it."""

    ref: str
    workflow: str
    state: str
    facts: Any


NOT_ORDERED = ("pending", "late", "suspended")
TO_RENEW = ("upcoming", "ready", "partly_renewed")


def list_tasks(
    installation: Installation, who: Who, *, mine: bool = False, kind: str | None = None
) -> tuple[Task, ...]:
    """Everything there is to do, the most pressing first."""
    owner = whose(who, mine, None)
    today = local_day(who.on or installation.clock.now(), who.zone)
    found: list[Task] = []
    for workflow, states, lists in (
        ("purchase_authorization", NOT_ORDERED, ("pending", "late")),
        ("membership", TO_RENEW, ("upcoming", "ready")),
    ):
        wanted = WantedCases(workflow, states, owner=owner, lists=lists)
        for row in _all_cases(installation, who, wanted):
            known = _Known(row.ref, row.workflow, row.state, facts_of(installation, row))
            found += _tasks(row.subject, row.name, (known,), today, who.zone)
    return tuple(sorted((task for task in found if kind in (None, task.kind)), key=_pressing))


def tasks_of(view: View, company: str) -> tuple[Task, ...]:
    """What one customer asks for, the most pressing first."""
    cases = (_Known(case.ref, case.workflow, case.state, case.facts) for case in view.cases.values())
    return tuple(sorted(_tasks(view.subject, company, cases, view.today, view.tenant.zone), key=_pressing))


def _all_cases(installation: Installation, who: Who, wanted: WantedCases) -> Iterator[Any]:
    after: CasePlace | None = None
    while True:
        with installation.database.read() as connection:
            rows = reading.cases_page(connection, who.tenant, wanted, 500, after)
        yield from rows
        if len(rows) < 500:
            return
        after = CasePlace(rows[-1].name_folded, rows[-1].subject, rows[-1].ref)


def _tasks(customer: str, company: str, cases: Iterable[_Known], today: date, zone: ZoneInfo) -> Iterator[Task]:
    for case in cases:
        if case.workflow == "purchase_authorization" and case.state in NOT_ORDERED:
            yield from _of_authorization(customer, company, case, today, zone)
        elif case.workflow == "membership" and case.state in TO_RENEW:
            yield _of_membership(customer, company, case, today)


def _of_authorization(customer: str, company: str, case: _Known, today: date, zone: ZoneInfo) -> Iterator[Task]:
    facts = case.facts
    count = total_of(facts.lines)
    last_day = facts.due_on
    if last_day is None and facts.expires_at is not None:
        last_day = local_day(facts.expires_at, zone)
    paid = facts.customer_paid_on is not None
    yield Task(
        "order_to_place",
        customer,
        company,
        case.ref,
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
    yield Task(
        "late_customer",
        customer,
        company,
        case.ref,
        facts.promised_until if promised else until,
        not promised,
        Text("Le client a promis de régulariser", "The customer promised to settle")
        if promised
        else Text("Inviter le client à régulariser son paiement", "Ask the customer to settle its payment"),
    )


def _of_membership(customer: str, company: str, case: _Known, today: date) -> Task:
    facts = case.facts
    count = total_of(facts.licences)
    licences = f"{count} licence{'s' if count != 1 else ''}"
    if case.state == "upcoming":
        says = Text(f"Préparer le renouvellement : {licences}", f"Prepare the renewal: {licences}")
        return Task("renewal_to_prepare", customer, company, case.ref, facts.window_opens, False, says)
    left = total_of(facts.licences) - total_of(facts.renewed)
    rest = f"{left} licence{'s' if left != 1 else ''}"
    says = Text(f"Commander le renouvellement : {rest}", f"Order the renewal: {rest}")
    soon = facts.window_closes is not None and facts.window_closes - today <= timedelta(days=7)  # the last week: ours
    return Task("renewal_to_order", customer, company, case.ref, facts.window_closes, soon, says)


_ONE_DAY = timedelta(days=1)


def _pressing(task: Task) -> tuple[bool, date, str, str]:
    return (not task.urgent, task.due_on or date.max, task.company, task.case)
