"""One customer on a still clock: events and due timers decided in memory, as the engine will do it.

A model, not a mock: it calls `decide` as the engine does, loads settled cases only when asked for, and keeps what
leaves: steps, messages, incidents. Time moves only by `go_to`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from vipflow.case import (
    Actor,
    Case,
    Decision,
    Event,
    Incident,
    Message,
    NotLoaded,
    Outcome,
    Refusal,
    Step,
    Tenant,
    View,
)
from vipflow.decide import decide, fire, next_timer, still_true, superseded, without_settled
from vipflow.facts import decode_facts, encode_facts
from vipflow.machine import Workflows, compile_workflows
from vipflow.references import reference
from vipflow.vip.catalogue import Catalogue, Product, load_catalogue
from vipflow.vip.customers import Member, Reseller
from vipflow.vip.lists import lists_of, standing_of
from vipflow.vip.numbers import load_policies
from vipflow.vip.trade import VipTrade
from workflows.customer import CustomerWorkflow
from workflows.invitation import InvitationWorkflow
from workflows.membership import MembershipWorkflow
from workflows.order import OrderWorkflow
from workflows.purchase_authorization import PurchaseAuthorization
from workflows.return_request import ReturnRequest

PHOTOSHOP = "65305156CA01A12"
ALL_APPS = "65304579CA01A12"
ILLUSTRATOR = "65305183CA01A12"
STOCK_CREDITS = "65327732CA01A12"
CC_ENTERPRISE = "65322443CA01A12"
ACROBAT_ENTERPRISE = "65322648CA01A12"
GOVERNMENT_ALL_APPS = "30002907CC01A12"
EDUCATION_ALL_APPS = "30001801CB01A12"
ACROBAT_DEVICE = "65399999CA01A12"
"""Invented: no product of the shipped list is an Acrobat enterprise device licence."""

SHIPPED = compile_workflows(
    [
        CustomerWorkflow,
        InvitationWorkflow,
        PurchaseAuthorization,
        OrderWorkflow,
        MembershipWorkflow,
        ReturnRequest,
    ]
)
POLICIES = load_policies()
CATALOGUE = Catalogue(
    [
        *load_catalogue(),
        Product(
            sku=ACROBAT_DEVICE,
            name="Acrobat Pro, enterprise device",
            segment="commercial",
            family="device",
            category="acrobat-enterprise-device",
        ),
    ]
)
TRADE = VipTrade(POLICIES, CATALOGUE)

MARIE = Actor("staff", "marie@north.example")
ADMIN = Actor("staff", "alice@north.example")
ADOBE = Actor("system", "adobe")
SHOP = Actor("system", "shop")
CUSTOMER = Actor("customer", "anna@elan.example")

TEAM = {
    "marie@north.example": Member("Marie Dupont", "marie@north.example", "account_manager", "fr", "+33 1 00 00 00 01"),
    "bob@north.example": Member("Bob Hill", "bob@north.example", "account_manager", "en"),
    "alice@north.example": Member("Alice Roy", "alice@north.example", "admin", "fr"),
    "gone@north.example": Member("Guy Parti", "gone@north.example", "account_manager", "fr", active=False),
}

ELAN: Mapping[str, Any] = {
    "company": "Élan Vert",
    "segment": "commercial",
    "country": "FR",
    "contact": {"name": "Anna Blanc", "email": "anna@elan.example"},
    "address": "1 rue de la Paix",
    "city": "Paris",
    "postal_code": "75002",
}
"""The form, as a shop would send it."""


def lines(*pairs: tuple[str, int]) -> list[dict[str, Any]]:
    """Lines as they come in: `lines((PHOTOSHOP, 5))`."""
    return [{"sku": sku, "quantity": quantity} for sku, quantity in pairs]


class World:
    """A reseller with one customer. `now` stands still until `go_to` moves it."""

    def __init__(
        self,
        *,
        policy: str = "vip-2024",
        start: str = "2024-03-04",
        zone: str = "Europe/Paris",
        overrides: dict[str, Any] | None = None,
        workflows: Workflows = SHIPPED,
    ) -> None:
        self.workflows = workflows
        self.zone = ZoneInfo(zone)
        settings = Reseller(
            policy=policy,
            overrides=overrides or {},
            sender="vip@north.example",
            phone="+33 1 00 00 00 00",
            signature="North Software",
            team=TEAM,
        )
        self.tenant = Tenant(1, "north", "North Software", self.zone, "fr", settings)
        self.now = self.moment(start)
        self.posted = 0
        self.view: View | None = None
        self.settled: dict[str, Case] = {}
        self.steps: list[Step] = []
        self.messages: list[Message] = []
        self.incidents: list[Incident] = []

    # --- time -----------------------------------------------------------------------------------------------------

    def moment(self, when: str | date | datetime) -> datetime:
        """An instant: `2024-03-04` means ten in the morning there, `2024-03-04T08:30` local time, with Z as it is."""
        if isinstance(when, datetime):
            return when.astimezone(UTC)
        if isinstance(when, date):
            return datetime.combine(when, time(10), self.zone).astimezone(UTC)
        if len(when) == 10:
            return self.moment(date.fromisoformat(when))
        parsed = datetime.fromisoformat(when)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=self.zone)).astimezone(UTC)

    def go_to(self, when: str | date | datetime) -> None:
        """Lets time pass, firing what falls due on the way."""
        until = self.moment(when)
        assert until >= self.now, (
            f"the clock stands at {self.now.isoformat()} and never goes back to {until.isoformat()}"
        )
        while self.view is not None:
            due = next_timer(self.view)
            if due is None or due[1].due_at > until:
                break
            self.now = max(self.now, due[1].due_at)
            self._fire(*due)
        self.now = until

    def sleep_until(self, when: str | date | datetime) -> None:
        """Time passes while we are not running: nothing fires until `wake`."""
        self.now = self.moment(when)

    def wake(self) -> None:
        """Fires everything that fell due while we slept."""
        self.go_to(self.now)

    def pass_days(self, days: int) -> None:
        self.go_to(self.now + timedelta(days=days))

    # --- events ---------------------------------------------------------------------------------------------------

    def invite(self, *, by: Actor = MARIE, **fields: Any) -> str:
        """Invites the customer of this world; `fields` replace those of the form. Gives its reference."""
        outcome = self.send("customer.invite", {**ELAN, **fields}, by=by)
        assert isinstance(outcome, Decision), outcome
        return self.customer

    def adopt(self, **fields: Any) -> str:
        outcome = self.send("customer.adopt", {**ELAN, "vip_number": "VIP-1000001", **fields})
        assert isinstance(outcome, Decision), outcome
        return self.customer

    def authorize(self, *pairs: tuple[str, int], by: Actor = MARIE, **more: Any) -> str:
        """Creates an authorization (five licences of Photoshop unless said otherwise); gives its reference."""
        data = {"lines": lines(*(pairs or ((PHOTOSHOP, 5),))), **more}
        outcome = self.send("purchase_authorization.create", data, by=by)
        assert isinstance(outcome, Decision), outcome
        return outcome.steps[0].after.ref

    def order(self, *authorizations: str, by: Actor = MARIE, at: Any = None, **more: Any) -> str:
        """Places an order, for authorizations unless `kind` says otherwise; gives its reference."""
        data = {**({"authorizations": list(authorizations)} if authorizations else {}), **more}
        outcome = self.send("order.place", data, by=by, at=at)
        assert isinstance(outcome, Decision), outcome
        return outcome.steps[0].after.ref

    def done(self, type_: str, data: Any = None, case: str | None = None, **more: Any) -> Decision:
        """`send`, and it must be carried out."""
        outcome = self.send(type_, data, case, **more)
        assert isinstance(outcome, Decision), outcome
        return outcome

    def refused(self, type_: str, data: Any = None, case: str | None = None, **more: Any) -> Refusal:
        """`send`, and it must be refused, with sentences in both languages."""
        outcome = self.send(type_, data, case, **more)
        assert isinstance(outcome, Refusal), outcome
        for reason in outcome.reasons:
            assert reason.says.fr, reason
            assert reason.says.en, reason
            assert reason.says.fr != reason.says.en, reason
        return outcome

    def send(
        self,
        type_: str,
        data: Any = None,
        case: str | None = None,
        *,
        by: Actor | None = None,
        at: Any = None,
        reason: str | None = None,
    ) -> Outcome:
        """Decides an event, and keeps what it does. `case` is found by itself where the workflow has but one; `by`
        defaults to a system for reports and to staff for the rest.
        """
        workflow, _, name = type_.partition(".")
        machine = self.workflows[workflow]
        kind = machine.kind_of(name)
        decoded: Any = msgspec.convert(data or {}, machine.data_of(name))
        if name not in machine.openings and case is None:
            case = self.ref_of(workflow)
        self.posted += 1
        cause = f"event:test/{self.posted}"
        occurred_at = self.moment(at) if at is not None else self.now
        actor = by if by is not None else (ADOBE if kind == "report" else MARIE)
        event = Event(workflow, name, occurred_at, decoded, actor, cause, case, reason)
        view = self.view
        if view is None:
            view = self._empty_view(reference("C", self.tenant.key, cause))
        outcome = self._decide(lambda v: decide(self.workflows, event, v), view)
        if isinstance(outcome, Decision):
            self._keep(outcome)
            self.wake()
        return outcome

    def _fire(self, case: Case, timer: Any) -> None:
        assert timer.due_at <= self.now, f"{timer.name} fired early"
        outcome = self._decide(lambda view: fire(self.workflows, case, timer, view), self.view)
        assert isinstance(outcome, Decision), (case.ref, timer, outcome)
        self._keep(outcome)

    def _decide(self, ask: Any, view: View | None) -> Outcome:
        assert view is not None
        view = replace(view, now=self.now)
        while True:
            try:
                outcome: Outcome = ask(view)
            except NotLoaded as wanted:
                found = self.settled.get(wanted.ref)
                if found is None:
                    view = replace(view, absent=view.absent | {wanted.ref})
                else:
                    view = replace(view, cases={**view.cases, wanted.ref: found})
            else:
                return outcome

    def _keep(self, decision: Decision) -> None:
        self.steps += decision.steps
        self.incidents += decision.incidents
        for step in decision.steps:
            self.messages += step.messages
            self._check(step)
        everything = {**self.settled, **{step.after.ref: step.after for step in decision.steps}}
        self.view = without_settled(self.workflows, decision.view)
        self.settled = {ref: case for ref, case in everything.items() if ref not in self.view.cases}
        TRADE.summary(self.view)

    def _check(self, step: Step) -> None:
        """What holds after every step: facts survive being stored, contexts are plain data, nothing settled ticks."""
        machine = self.workflows[step.after.workflow]
        stored = decode_facts(machine.facts, encode_facts(step.after.facts), machine.facts.facts_version)
        assert stored == step.after.facts, f"{step.event} of {step.after.ref} does not survive being stored"
        for message in step.messages:
            assert msgspec.json.decode(msgspec.json.encode(message.context)) == message.context, message.key
        if step.after.state in machine.settled:
            assert not step.after.timers, f"{step.after.ref} is {step.after.state} and has timers"

    def _empty_view(self, subject: str) -> View:
        return View(self.tenant, subject, "customer", {}, 0, {}, {}, TRADE, self.now, self.now)

    # --- what is seen ---------------------------------------------------------------------------------------------

    @property
    def customer(self) -> str:
        assert self.view is not None
        return self.view.subject

    @property
    def here(self) -> View:
        """The view as it stands now."""
        assert self.view is not None
        return replace(self.view, at=self.now, now=self.now)

    def case(self, ref: str) -> Case:
        """A case by its reference, or by its workflow where there is but one."""
        everything = {**self.settled, **(self.view.cases if self.view is not None else {})}
        return everything[ref if ref in everything else self.ref_of(ref)]

    def ref_of(self, workflow: str) -> str:
        everything = {**self.settled, **(self.view.cases if self.view is not None else {})}
        found = [case.ref for case in everything.values() if case.workflow == workflow]
        assert len(found) == 1, f"{workflow}: {found}"
        return found[0]

    def state(self, ref: str) -> str:
        return self.case(ref).state

    def facts(self, ref: str) -> Any:
        return self.case(ref).facts

    @property
    def membership(self) -> Case:
        return self.case("membership")

    @property
    def lists(self) -> frozenset[str]:
        return lists_of(standing_of(self.here))

    @property
    def summary(self) -> Mapping[str, Any]:
        return TRADE.summary(self.here)

    def mails(self, template: str) -> list[Message]:
        """Every mail of that template that was written, in order."""
        return [message for message in self.messages if message.template == template]

    def templates(self, since: int = 0) -> list[str]:
        """The templates of all mails written, in order; `since` leaves out that many."""
        return [message.template for message in self.messages[since:]]

    def forget_mails(self) -> None:
        self.messages.clear()

    def leaving(self, *, after: int = 0) -> list[Message]:
        """Of the mails written, those that would still leave now: true, and newest of their ladder."""
        waiting = self.messages[after:]
        old = superseded(waiting)
        return [message for message in waiting if message.key not in old and self.is_true(message)]

    def is_true(self, message: Message) -> bool:
        case = self.case(message.case)
        return still_true(self.workflows[message.workflow], message, case, replace(self.here, case=case))

    def events(self, workflow: str | None = None) -> list[str]:
        """The events of all steps, in order."""
        return [
            f"{step.after.workflow}.{step.event}" if workflow is None else step.event
            for step in self.steps
            if workflow is None or step.after.workflow == workflow
        ]

    def day_of(self, instant: datetime) -> str:
        return instant.astimezone(self.zone).date().isoformat()

    def days_of(self, template: str) -> list[str]:
        """The effective days of a template's mails."""
        return [self.day_of(message.effective_at) for message in self.mails(template)]


def invited_customer() -> World:
    """A customer invited on Monday, 4 March 2024, ten in the morning in Paris, under vip-2024."""
    world = World()
    world.invite()
    return world


def member_of_a_year() -> World:
    """A customer whose first order, of ten Photoshop, Adobe accepted on 16 January 2024: AD 16 January 2025."""
    world = World(start="2024-01-10")
    world.invite()
    world.go_to("2024-01-16")
    order = world.order(world.authorize((PHOTOSHOP, 10)))
    world.done("order.accept", case=order)
    return world


def codes(refusal: Refusal) -> list[str]:
    return [reason.code for reason in refusal.reasons]


VECTORS = Path(__file__).parents[1] / "vectors" / "calendar.json"
