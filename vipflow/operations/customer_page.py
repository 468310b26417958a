"""Everything about one customer on one page: what it holds and owes, what happened, what comes next. [seed]"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from vipflow.case import View
from vipflow.foresight.forecast import forecast
from vipflow.foresight.sight import Sight, sight
from vipflow.operations.customer_lists import CustomerRow, customer_row
from vipflow.operations.done import Happened, MailToCome, mail_of, step_of
from vipflow.operations.holds import Hold, holds_of_customer
from vipflow.operations.installation import Installation
from vipflow.operations.products import ProductLine, named_lines
from vipflow.operations.references import find_customer
from vipflow.operations.rows import (
    AuthorizationRow,
    OrderRow,
    ReturnRow,
    authorization_row,
    facts_of,
    order_row,
    return_row,
)
from vipflow.operations.tasks import Task, tasks_of
from vipflow.operations.who import Who
from vipflow.operations.words import event_label, state_label
from vipflow.store import past, reading
from vipflow.vip.calendar import next_anniversary, seat_duration
from vipflow.vip.customers import Reseller
from vipflow.vip.licences import LIVE_AUTHORIZATIONS, Status, current_discount_level, holdings, usable_lines
from vipflow.vip.records import Customer, Membership, Recipient, less, total_of
from vipflow.workflow import Text

STATUSES: dict[str, Text] = {
    "paid": Text("payées", "paid"),
    "at_disposal": Text("à disposition, à commander", "at disposal, to be ordered"),
    "ordered": Text("commandées", "ordered"),
    "late": Text("en retard", "late"),
    "deactivated": Text("désactivées", "deactivated"),
    "removed": Text("retirées", "removed"),
}
EXPECTED = Text("peuvent être désactivées", "may be deactivated")


class InvitationFacts(msgspec.Struct, frozen=True):
    """Where the invitation stands."""

    state: str
    label: Text
    sent_on: date | None
    accepted_on: date | None
    expires_from: date | None


class MembershipFacts(msgspec.Struct, frozen=True):
    """The customer's year. `left_to_renew` is told while there is a window to renew in."""

    ref: str
    state: str
    label: Text
    anniversary: date | None
    window_opens: date | None
    window_closes: date | None
    renewed: tuple[ProductLine, ...]
    left_to_renew: tuple[ProductLine, ...]
    renewal_declined: bool
    policy: str


class HeldProduct(msgspec.Struct, frozen=True):
    """So many licences of a product that are in one way."""

    sku: str
    product: str
    quantity: int
    status: Status
    label: Text
    usable: bool
    confirmed: bool
    authorization: str | None


class SeatDurationToOrder(msgspec.Struct, frozen=True):
    """How long seats last that are ordered today: up to the anniversary date."""

    amount: int
    unit: str
    until: date


class Discount(msgspec.Struct, frozen=True):
    """The level that the usable licences reach, consumables apart."""

    level: int
    percent: int


class Coming(msgspec.Struct, frozen=True):
    """Something that will happen if nobody does anything, and the mails that will then leave."""

    at: datetime
    case: str
    event: str
    says: Text
    from_state: str | None
    to_state: str
    label: Text
    mails: tuple[ComingMail, ...]


class ComingMail(msgspec.Struct, frozen=True):
    template: str
    audience: str
    to: str
    leaves_at: datetime


class OpenIncident(msgspec.Struct, frozen=True):
    """Something that needs a person."""

    id: str
    kind: str
    case: str | None
    says: Text
    opened_at: datetime


class CustomerPage(msgspec.Struct, frozen=True):
    """One customer, whole."""

    summary: CustomerRow
    facts: Customer
    invitation: InvitationFacts
    membership: MembershipFacts | None
    tasks: tuple[Task, ...]
    open_authorizations: tuple[AuthorizationRow, ...]
    """Pending and late ones, and those under order."""
    products: tuple[HeldProduct, ...]
    licences: int
    discount: Discount
    seat_duration: SeatDurationToOrder | None
    authorizations: tuple[AuthorizationRow, ...]
    """All of them, newest first."""
    orders: tuple[OrderRow, ...]
    returns: tuple[ReturnRow, ...]
    notes: tuple[Happened, ...]
    incidents: tuple[OpenIncident, ...]
    mails: tuple[MailToCome, ...]
    """Written down, not gone yet."""
    next: tuple[Coming, ...]
    complete: bool
    """False where there is more to come than is told."""
    history: tuple[Happened, ...]
    """The newest first."""
    holds: tuple[Hold, ...] = ()
    """What stops the customer, or its mails: its own holds, its reseller's, and those of everything."""

    @property
    def notice_recipients(self) -> Sequence[Recipient]:
        return self.facts.recipients


def show_customer(
    installation: Installation, who: Who, customer: str, *, until: datetime | None = None, most_history: int = 10
) -> CustomerPage:
    """The page of the customer that `customer` names: a reference, VIP number or e-mail. Raises NotFound, BadInput.

    `until`: how far to look ahead (a year and its renewal, if not said); `most_history`: how many rows of the past.
    """
    ref = find_customer(installation, who, customer)
    with sight(installation.engine, who.tenant, ref) as (seen, _):
        connection = seen.batch.connection
        view = seen.view
        ahead = forecast(installation.workflows, seen, until)
        row = reading.customers_by_ref(connection, who.tenant, [ref])[0]
        cases = reading.cases_of_customer(connection, who.tenant, ref)
        history = past.recent_history(connection, who.tenant, ref, most_history)
        notes = past.notes_of(connection, who.tenant, ref, "note", 20)
        mails = past.messages_waiting(connection, who.tenant, ref)
        incidents = past.open_incidents(connection, who.tenant, ref)
        company = row.name
        by_workflow: dict[str, list[Any]] = {}
        for case in reversed(cases):
            by_workflow.setdefault(case.workflow, []).append(case)
        made = {case.ref: case for case in cases}
        authorizations = tuple(
            authorization_row(installation, case, company) for case in by_workflow.get("purchase_authorization", ())
        )
        customer_facts: Customer = facts_of(installation, made[ref])
        return CustomerPage(
            summary=customer_row(installation, row, _names(view)),
            facts=customer_facts,
            invitation=_invitation(installation, by_workflow.get("invitation", ()), row.invitation_state),
            membership=_membership(installation, view),
            tasks=tasks_of(view, company, customer_facts.owner or ""),
            open_authorizations=tuple(each for each in authorizations if each.state in LIVE_AUTHORIZATIONS),
            products=_products(installation, view),
            licences=total_of(usable_lines(view)),
            discount=Discount(*current_discount_level(view)),
            seat_duration=_seat_duration(seen),
            authorizations=authorizations,
            orders=tuple(order_row(installation, case, company) for case in by_workflow.get("order", ())),
            returns=tuple(return_row(installation, case, company) for case in by_workflow.get("return_request", ())),
            notes=tuple(step_of(installation, each) for each in notes),
            incidents=tuple(_incident(each) for each in incidents),
            mails=tuple(mail_of(each) for each in mails),
            next=tuple(_coming(installation, each) for each in ahead.steps),
            complete=ahead.complete,
            history=tuple(step_of(installation, each) for each in history),
            holds=holds_of_customer(connection, who, ref),
        )


def _names(view: View) -> dict[str, str]:
    settings = view.tenant.settings
    team = settings.team if isinstance(settings, Reseller) else {}
    return {email: member.name for email, member in team.items()}


def _invitation(installation: Installation, cases: Sequence[Any], state: str) -> InvitationFacts:
    """An adopted member has accepted and never had an invitation of ours."""
    label = state_label(installation.workflows, "invitation", state)
    if not cases:
        return InvitationFacts(state, label, None, None, None)
    facts = facts_of(installation, cases[0])
    return InvitationFacts(state, label, facts.sent_on, facts.accepted_on, facts.expires_from)


def _membership(installation: Installation, view: View) -> MembershipFacts | None:
    case = view.only("membership")
    if case is None:
        return None
    facts: Membership = case.facts
    left = less(facts.licences, facts.renewed) if case.state in ("upcoming", "ready", "partly_renewed") else ()
    return MembershipFacts(
        case.ref,
        case.state,
        state_label(installation.workflows, "membership", case.state),
        facts.anniversary,
        facts.window_opens,
        facts.window_closes,
        named_lines(installation.catalogue, facts.renewed),
        named_lines(installation.catalogue, left),
        facts.renewal_declined,
        case.policy.partition("@")[0],
    )


def _products(installation: Installation, view: View) -> tuple[HeldProduct, ...]:
    found = []
    for each in holdings(view):
        product = installation.catalogue.get(each.sku)
        label = STATUSES[each.status] if each.status != "deactivated" or each.confirmed else EXPECTED
        name = product.name if product is not None else each.sku
        found.append(
            HeldProduct(
                each.sku, name, each.quantity, each.status, label, each.usable, each.confirmed, each.authorization
            )
        )
    return tuple(found)


def _seat_duration(seen: Sight) -> SeatDurationToOrder | None:
    """None while no anniversary date is known: then the first order starts the term."""
    view = seen.view
    case = view.only("membership")
    if case is None or case.facts.anniversary is None or case.state == "expired":
        return None
    anniversary, anchor_day = case.facts.anniversary, case.facts.anchor_day
    if view.today >= anniversary:
        anniversary = next_anniversary(anniversary, anchor_day)
    lasts = seat_duration(anniversary, anchor_day, view.today, view.trade.policy_in_force(view))
    return SeatDurationToOrder(lasts.amount, lasts.unit, anniversary)


def _coming(installation: Installation, step: Any) -> Coming:
    event = f"{step.workflow}.{step.event}"
    return Coming(
        step.at,
        step.case,
        event,
        event_label(event),
        step.from_state,
        step.to_state,
        state_label(installation.workflows, step.workflow, step.to_state),
        tuple(ComingMail(mail.template, mail.audience, mail.to, mail.leaves_at) for mail in step.mails),
    )


def _incident(row: Any) -> OpenIncident:
    says = msgspec.json.decode(row.says)
    return OpenIncident(row.id, row.kind, row.case_ref, Text(says["fr"], says["en"]), row.opened_at)
