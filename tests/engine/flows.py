"""A club that hires out tools: workflows that use every ability of the language, for the engine's own stories.

A member (the subject) holds one card, rents tools, and is billed for damage. Nothing here has to do with licences.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from vipflow.case import Tenant, View
from vipflow.decide import IncidentNotice
from vipflow.machine import Workflows, compile_workflows
from vipflow.policy import Policy, policy
from vipflow.workflow import (
    INTERNAL,
    REPORT,
    REQUEST,
    Audience,
    Change,
    Email,
    Facts,
    Name,
    NoData,
    Opening,
    Person,
    Reason,
    Send,
    State,
    Text,
    Timer,
    Workflow,
    after,
    always,
    before,
    day_after,
    every,
    on,
    planned,
)

# --- the trade -----------------------------------------------------------------------------------------------------

OLD = Policy("club", date(2024, 1, 1), {"card_reminder_days": [30, 7, 1], "nag_days": 7, "rental_days": 14})
NEW = Policy("club", date(2025, 7, 1), {"card_reminder_days": [45, 10], "nag_days": 5, "rental_days": 14})


class ClubTrade:
    """Two policies, one after the other; a summary that counts what is out and what is late."""

    def policy_in_force(self, view: View) -> Policy:
        return NEW if view.today >= NEW.valid_from else OLD

    def restore_policy(self, body: str) -> Policy:
        return Policy.from_json(body)

    def summary(self, view: View) -> Mapping[str, Any]:
        facts = view.subject_facts
        return {
            "name": facts.name,
            "name_folded": facts.name.casefold(),
            "email": facts.email,
            "pending_count": sum(1 for rental in view.of("rental") if rental.state == "out"),
            "late_count": sum(1 for rental in view.of("rental") if rental.state in ("overdue", "missing")),
        }

    def common_words(self, view: View, person: Person) -> Mapping[str, Any]:
        return {"person": person.name}

    def settings(self, row: Mapping[str, Any], team: list[Mapping[str, Any]]) -> Any:
        return None

    def parked_for(self, tenant: Tenant) -> timedelta:
        return timedelta(hours=72)


def no(code: str, en: str, **facts: Any) -> Reason:
    return Reason(code, Text(f"fr: {en}", en), facts)


# --- who gets mail -------------------------------------------------------------------------------------------------


def _the_member(view: View) -> Person | None:
    facts = view.subject_facts
    return Person("member", facts.name, view.tenant.language) if facts.email else None


def _the_desk(view: View) -> Person:
    return Person("desk", "Desk", "en")


member = Audience("member", person=_the_member, not_before=lambda view: view.now)
desk = Audience("desk", person=_the_desk, not_before=lambda view: view.now + timedelta(hours=1))


# --- members -------------------------------------------------------------------------------------------------------


class Member(Facts, frozen=True):
    name: str
    email: str = ""
    card_number: str | None = None
    incident: str | None = None


class Join(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    email: str = ""
    card_number: str | None = None
    rents: str | None = None
    """A tool to take home at once."""


class Ongoing(Struct, frozen=True, forbid_unknown_fields=True):
    tool: str
    due_on: date
    ticket: str | None = None


class Adopt(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    card_until: date
    email: str = ""
    card_number: str | None = None
    rentals: tuple[Ongoing, ...] = ()


class Rename(Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class Numbered(Struct, frozen=True, forbid_unknown_fields=True):
    card_number: str


class CardFrom(Struct, frozen=True, forbid_unknown_fields=True):
    until: date


def banned(_facts: None, data: Join, _view: View) -> Reason | None:
    return no("banned", f"{data.name} is not welcome") if data.name.startswith("Banned") else None


def joined(data: Join, _view: View) -> Member:
    if data.name == "Builder breaks":
        raise LookupError("no such builder")
    return Member(data.name, data.email, data.card_number)


def adopted(data: Adopt, _view: View) -> Member:
    return Member(data.name, data.email, data.card_number)


def first_tool(_facts: Member, data: Join, _view: View) -> "Rent":
    return Rent(data.rents or "")


def wants_a_tool(_facts: Member, data: Join, _view: View) -> bool:
    return data.rents is not None


def card_so_far(_facts: Member, data: Adopt, _view: View) -> CardFrom:
    return CardFrom(data.card_until)


def rentals_so_far(_facts: Member, data: Adopt, _view: View) -> tuple[Ongoing, ...]:
    return data.rentals


def has_open_rentals(_facts: Member, _data: Any, view: View) -> Reason | None:
    open_still = [rental.ref for rental in view.of("rental")]
    return no("rentals_open", "bring everything back first", rentals=open_still) if open_still else None


def shouting(_facts: Member, data: Rename, _view: View) -> Reason | None:
    if data.name == "Guard breaks":
        raise ZeroDivisionError("a guard divided by zero")
    return no("shouting", "names are not written in capitals") if len(data.name) > 2 and data.name.isupper() else None


def renamed(facts: Member, data: Rename, _view: View) -> Member:
    if data.name == "Record breaks":
        raise KeyError("nothing there")
    return replace(facts, name=data.name)


def numbered(facts: Member, data: Numbered, _view: View) -> Member:
    return replace(facts, card_number=data.card_number)


def told(facts: Member, data: IncidentNotice, _view: View) -> Member:
    return replace(facts, incident=f"{data.kind}: {data.says.en}")


def about_member(facts: Member, _view: View) -> dict[str, Any]:
    return {"name": facts.name, "incident": facts.incident}


class MemberWorkflow(Workflow):
    name_in_events = "member"
    collection = "members"
    prefix = "M"
    title = Text("membre", "member")
    is_subject = True
    facts = Member
    vocabulary = staticmethod(about_member)

    active = State(initial=True)
    gone = State(final=True)
    labels = {"active": Text("actif", "active"), "gone": Text("parti", "gone")}

    rename = active.to(active, unless=shouting)
    record_number = active.to(active)
    learn_of_incident = active.to(active)
    leave = active.to(gone, unless=has_open_rentals)

    names = [Name("card_number", "card_number", exclusive=True), Name("email", "email")]
    openings = [
        Opening(
            "join",
            active,
            data=Join,
            build=joined,
            unless=[banned],
            then=[Send("card.issue"), Send("rental.rent", data=first_tool, if_=wants_a_tool)],
        ),
        Opening(
            "adopt",
            active,
            data=Adopt,
            build=adopted,
            kind=REPORT,
            silent=True,
            then=[Send("card.adopt", data=card_so_far), Send("rental.adopt", data=rentals_so_far)],
        ),
    ]
    changes = [
        Change(rename, data=Rename, record=renamed, kind=REQUEST),
        Change(record_number, data=Numbered, record=numbered, kind=REPORT),
        Change(learn_of_incident, data=IncidentNotice, record=told),
        Change(leave, kind=REQUEST, reason_required=True),
    ]
    on_incident = learn_of_incident
    emails = [
        Email("welcome", to=member, on="join", while_=always, says=["name"]),
        Email("incident_opened", to=desk, on=learn_of_incident, while_=always, says=["incident"]),
    ]


# --- cards: one each, renewed each year under the policy then in force ---------------------------------------------


class Card(Facts, frozen=True):
    valid_until: date
    rentals: int = 0
    last_checked: date | None = None


def issued(_data: NoData, view: View) -> Card:
    return Card(view.today + timedelta(days=365))


def taken_over(data: CardFrom, _view: View) -> Card:
    return Card(data.until)


def by_its_date(facts: Card, view: View) -> State:
    return CardWorkflow.valid if view.today <= facts.valid_until else CardWorkflow.expired


def too_early(facts: Card, _data: NoData, view: View) -> Reason | None:
    opens = facts.valid_until - timedelta(days=60)
    return (
        no("too_early", f"cards are renewed from {opens} on", opens_on=opens.isoformat())
        if view.today < opens
        else None
    )


def still_valid(facts: Card, _data: NoData, view: View) -> Reason | None:
    return no("still_valid", "the card is valid") if view.today <= facts.valid_until else None


def for_another_year(facts: Card, _data: NoData, _view: View) -> Card:
    return replace(facts, valid_until=facts.valid_until + timedelta(days=365))


def counted(facts: Card, _data: NoData, _view: View) -> Card:
    return replace(facts, rentals=facts.rentals + 1)


def counted_enough(facts: Card, _data: Any, _view: View) -> Reason | None:
    return no("counted_enough", "on a frozen card three rentals are counted") if facts.rentals >= 3 else None


def checked(facts: Card, _data: NoData, view: View) -> Card:
    return replace(facts, last_checked=view.today)


def quarters(facts: Card, _policy: Policy) -> list[date]:
    return [facts.valid_until - timedelta(days=n) for n in (90, 180, 270)]


class CardWorkflow(Workflow):
    name_in_events = "card"
    collection = "cards"
    prefix = "K"
    title = Text("carte", "card")
    one_per_subject = True
    facts = Card

    valid = State(initial=True)
    frozen = State()
    expired = State()
    settled = [expired]
    labels = {"valid": Text("valable", "valid"), "frozen": Text("gelée", "frozen"), "expired": Text("échue", "expired")}

    renew = valid.to(valid, unless=too_early) | expired.to(valid)
    refresh = valid.to(valid)
    expire = valid.to(expired, unless=still_valid)
    freeze = valid.to(frozen)
    thaw = frozen.to(valid)
    remind = valid.to(valid)
    check = valid.to(valid)
    count_rental = valid.to(valid) | frozen.to(frozen, unless=counted_enough)

    pins = [renew, refresh]
    openings = [
        Opening("issue", valid, build=issued, kind=INTERNAL),
        Opening("replace", valid, build=issued),
        Opening(
            "adopt", [valid, expired], data=CardFrom, build=taken_over, kind=INTERNAL, choose=by_its_date, silent=True
        ),
    ]
    changes = [
        Change(renew, record=for_another_year, kind=REQUEST),
        Change(refresh, kind=REQUEST),
        Change(freeze, kind=REQUEST),
        Change(thaw, kind=REQUEST),
        Change(check, record=checked),
        Change(count_rental, record=counted),
    ]
    timers = [
        Timer(valid, before("valid_until", days=policy.card_reminder_days), send=remind),
        Timer(valid, day_after("valid_until"), send=expire),
        Timer(valid, planned("quarterly", quarters), send=check),
    ]
    emails = [Email("card_reminder", to=member, on=remind, while_=always, ladder="card")]


# --- rentals -------------------------------------------------------------------------------------------------------


class Rental(Facts, frozen=True):
    tool: str
    due_on: date
    ticket: str | None = None
    missing_at: datetime | None = None
    extensions: int = 0
    reminders: int = 0
    bills_paid: int = 0
    promised_until: date | None = None


class Rent(Struct, frozen=True, forbid_unknown_fields=True):
    tool: str
    ticket: str | None = None


class Extend(Struct, frozen=True, forbid_unknown_fields=True):
    days: int = 7


class Promise(Struct, frozen=True, forbid_unknown_fields=True):
    until: date


class Return(Struct, frozen=True, forbid_unknown_fields=True):
    damages: tuple[int, ...] = ()


class Swap(Struct, frozen=True, forbid_unknown_fields=True):
    other: str
    """A rental that ends because of this one."""


class Damage(Struct, frozen=True):
    rental: str
    amount: int


def something_is_late(_facts: None, _data: Any, view: View) -> Reason | None:
    late = [rental.ref for rental in view.of("rental") if rental.state in ("overdue", "missing")]
    return no("something_is_late", "bring back what is late first", late=late) if late else None


def no_tool(_facts: None, data: Rent, _view: View) -> Reason | None:
    return no("no_tool", "say which tool") if not data.tool else None


def rented(data: Rent, view: View) -> Rental:
    due_on = view.today + timedelta(days=view.policy.rental_days)
    return Rental(data.tool, due_on, data.ticket, view.at + timedelta(days=view.policy.rental_days + 30, hours=6))


def found_out(data: Ongoing, view: View) -> Rental:
    return Rental(data.tool, data.due_on, data.ticket)


def out_or_overdue(facts: Rental, view: View) -> State:
    return RentalWorkflow.out if view.today <= facts.due_on else RentalWorkflow.overdue


def extended_too_often(facts: Rental, _data: Extend, _view: View) -> Reason | None:
    return no("extended_too_often", "twice is enough", extensions=facts.extensions) if facts.extensions >= 2 else None


def frozen_card(_facts: Rental, _data: Any, view: View) -> Reason | None:
    card = view.only("card")
    return no("frozen_card", "the card is frozen") if card is not None and card.state == "frozen" else None


def extended(facts: Rental, data: Extend, _view: View) -> Rental:
    return replace(facts, due_on=facts.due_on + timedelta(days=data.days), extensions=facts.extensions + 1)


def reminded(facts: Rental, _data: NoData, _view: View) -> Rental:
    if facts.tool == "cursed":
        raise RuntimeError("cursed tools cannot be reminded of")
    return replace(facts, reminders=facts.reminders + 1)


def promise_runs(facts: Rental, _data: Any, view: View) -> Reason | None:
    if facts.promised_until is None or view.today > facts.promised_until:
        return None
    return no("promise_runs", "they promised")


def promised(facts: Rental, data: Promise, _view: View) -> Rental:
    return replace(facts, promised_until=data.until)


def not_yet_late(facts: Rental, _data: Any, view: View) -> Reason | None:
    return no("not_yet_late", "it is not late by its date") if view.today <= facts.due_on else None


def why_not_cancelled(_facts: Rental, _data: NoData, view: View) -> Reason | None:
    state = view.case.state if view.case is not None else ""
    return no("too_late_to_cancel", "it is late") if state in ("overdue", "missing") else None


def bill_paid(facts: Rental, _data: NoData, _view: View) -> Rental:
    return replace(facts, bills_paid=facts.bills_paid + 1)


def the_card(_facts: Rental, _data: Any, view: View) -> str | None:
    card = view.only("card")
    return card.ref if card is not None else None


def damages(facts: Rental, data: Return, view: View) -> tuple[Damage, ...]:
    assert view.case is not None
    return tuple(Damage(view.case.ref, amount) for amount in data.damages)


def the_other(_facts: Rental, data: Swap, _view: View) -> str:
    return data.other


def about_rental(facts: Rental, _view: View) -> dict[str, Any]:
    return {"tool": facts.tool, "due_on": facts.due_on.isoformat(), "reminders": facts.reminders}


class RentalWorkflow(Workflow):
    name_in_events = "rental"
    collection = "rentals"
    prefix = "R"
    title = Text("location", "rental")
    facts = Rental
    vocabulary = staticmethod(about_rental)
    record_block = ["tool"]

    out = State(initial=True)
    overdue = State()
    missing = State()
    back = State()
    cancelled = State(final=True)
    lost = State(final=True)
    settled = [back, cancelled, lost]
    labels = {
        "out": Text("sortie", "out"),
        "overdue": Text("en retard", "overdue"),
        "missing": Text("introuvable", "missing"),
        "back": Text("rendue", "back"),
        "cancelled": Text("annulée", "cancelled"),
        "lost": Text("perdue", "lost"),
    }

    extend = out.to(out, unless=[extended_too_often, frozen_card]) | overdue.to(out, unless=extended_too_often)
    promise = overdue.to(overdue)
    remind = out.to(out) | overdue.to(overdue)
    fall_due = out.to(overdue)
    go_missing = overdue.to(missing, unless=promise_runs)
    give_back = back.from_(out, overdue, missing)
    take_again = back.to(overdue, unless=not_yet_late) | back.to(out)
    cancel = out.to(cancelled)
    declare_lost = lost.from_(overdue, missing)
    swap = out.to(out)
    swap_seen = out.to(out)
    settle_bill = out.to(out) | overdue.to(overdue) | missing.to(missing) | back.to(back)

    names = [Name("ticket", "ticket")]
    openings = [
        Opening(
            "rent",
            out,
            data=Rent,
            build=rented,
            unless=[something_is_late, no_tool],
            then=[Send("card.count_rental", to=the_card)],
        ),
        Opening("take", out, data=Rent, build=rented, unless=[something_is_late], kind=REPORT),
        Opening("adopt", [out, overdue], data=Ongoing, build=found_out, kind=INTERNAL, choose=out_or_overdue),
    ]
    changes = [
        Change(extend, data=Extend, record=extended, kind=REQUEST),
        Change(promise, data=Promise, record=promised, kind=REQUEST),
        Change(remind, record=reminded),
        Change(give_back, data=Return, kind=REPORT, then=[Send("bill.follow", data=damages)]),
        Change(take_again, kind=REPORT),
        Change(cancel, kind=REQUEST, otherwise=why_not_cancelled),
        Change(declare_lost, kind=REQUEST, reason_required=True),
        Change(swap, data=Swap, kind=REQUEST, then=[Send("rental.cancel", to=the_other)], refers={"other": "rentals"}),
        Change(
            swap_seen, data=Swap, kind=REPORT, then=[Send("rental.cancel", to=the_other)], refers={"other": "rentals"}
        ),
        Change(settle_bill, record=bill_paid),
    ]
    timers = [
        Timer(out, before("due_on", days=[3, 1]), send=remind),
        Timer(out, day_after("due_on"), send=fall_due),
        Timer(overdue, every(days=policy.nag_days, first=2), send=remind),
        Timer(overdue, on("missing_at"), send=go_missing),
    ]
    emails = [
        Email("rented", to=member, on=("rent", "take"), while_=always),
        Email("overdue", to=member, on=overdue, says=["due_on"]),
        Email(
            "reminder",
            to=member,
            on=(out.on(remind), overdue.on(remind)),
            says=["reminders"],
            while_=always,
            ladder="rental",
        ),
        Email("look_for_it", to=desk, on=missing),
    ]


# --- bills ---------------------------------------------------------------------------------------------------------


class Bill(Facts, frozen=True):
    rental: str
    amount: int
    billed_on: date
    number: str | None = None


class Charge(Struct, frozen=True, forbid_unknown_fields=True):
    rental: str
    amount: int
    number: str | None = None


class ChargeSeveral(Struct, frozen=True, forbid_unknown_fields=True):
    rentals: tuple[str, ...]
    amount: int


def nothing_owed(_facts: None, data: Charge, _view: View) -> Reason | None:
    return no("nothing_owed", "the amount is nothing") if data.amount <= 0 else None


def rental_is_lost(_facts: None, data: Charge, view: View) -> Reason | None:
    rental = view.named(data.rental)
    return no("rental_is_lost", "lost tools are insured") if rental is not None and rental.state == "lost" else None


def charged(data: Charge, view: View) -> Bill:
    return Bill(data.rental, data.amount, view.today, data.number)


def charged_for_damage(data: Damage, view: View) -> Bill:
    return Bill(data.rental, data.amount, view.today)


def charged_together(data: ChargeSeveral, view: View) -> Bill:
    return Bill(",".join(data.rentals), data.amount, view.today)


def its_rental(facts: Bill, _data: Any, view: View) -> str | None:
    rental = view.named(facts.rental)
    return rental.ref if rental is not None and rental.state != "cancelled" else None


class BillWorkflow(Workflow):
    name_in_events = "bill"
    collection = "bills"
    prefix = "B"
    title = Text("facture", "bill")
    facts = Bill

    owed = State(initial=True)
    paid = State(final=True)
    waived = State(final=True)
    settled = [paid, waived]
    labels = {"owed": Text("due", "owed"), "paid": Text("payée", "paid"), "waived": Text("annulée", "waived")}

    pay = owed.to(paid)
    waive = owed.to(waived)
    remind = owed.to(owed)

    names = [Name("number", "number", exclusive=True)]
    openings = [
        Opening(
            "charge",
            owed,
            data=Charge,
            build=charged,
            unless=[nothing_owed, rental_is_lost],
            refers={"rental": "rentals"},
        ),
        Opening("charge_several", owed, data=ChargeSeveral, build=charged_together, refers={"rentals": "rentals"}),
        Opening("follow", owed, data=Damage, build=charged_for_damage, kind=INTERNAL),
    ]
    changes = [
        Change(pay, kind=REPORT, then=[Send("rental.settle_bill", to=its_rental)]),
        Change(waive, kind=REQUEST, reason_required=True),
    ]
    timers = [Timer(owed, after("billed_on", days=[14, 28]), send=remind)]
    emails = [Email("please_pay", to=member, on=(owed, remind), while_=always, ladder="bill")]


CLASSES: list[type[Workflow]] = [MemberWorkflow, CardWorkflow, RentalWorkflow, BillWorkflow]
CLUB: Workflows = compile_workflows(CLASSES)
