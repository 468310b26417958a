"""A bicycle workshop: a trade of its own for tests of the engine, with all that a workflow file may say.

Owners have names that are exclusive, repairs open and close beside each other, the club is one per owner; events send
others, reports contradict what is known, timers remind, move and repeat.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from vipflow import (
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
    View,
    Workflow,
    after,
    always,
    every,
    on,
)
from vipflow.engine.plain import PlainTrade
from vipflow.machine import compile_workflows
from vipflow.policy import Policy


def label(word: str) -> Text:
    return Text(word, word)


# --- owners --------------------------------------------------------------------------------------------------------


class Owner(Facts, frozen=True):
    name: str
    phone: str | None = None
    card: str | None = None
    visits: int = 0
    incidents: int = 0

    @property
    def initial(self) -> str:
        """What the shop calls a box by; not a fact of its own."""
        return self.name[0]


class Register(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    phone: str | None = None


class Phone(Struct, frozen=True, forbid_unknown_fields=True):
    phone: str


class Card(Struct, frozen=True, forbid_unknown_fields=True):
    number: str


def live_repairs(owner: Owner, data: Any, view: View) -> list[str]:
    return [case.ref for case in view.of("repair")]


def has_repairs_to_collect(owner: Owner, data: NoData, view: View) -> Reason | None:
    ready = sum(case.state == "ready" for case in view.of("repair"))
    return Reason("to_collect", label(f"{ready} repairs wait to be collected.")) if ready else None


class OwnerWorkflow(Workflow):
    name_in_events = "owner"
    collection = "owners"
    prefix = "W"
    title = Text("propriétaire", "owner")
    is_subject = True
    facts = Owner
    on_incident = "note_incident"
    names: ClassVar = [
        Name("phone", "phone", exclusive=True),
        Name("card", "card", exclusive=True),
        Name("initial", "initial"),
    ]

    active = State(initial=True)
    gone = State()
    settled: ClassVar = [gone]
    labels: ClassVar = {"active": label("active"), "gone": label("gone")}

    change_phone = active.to(active)
    give_card = active.to(active)
    count_visit = active.to(active)
    note_incident = active.to(active) | gone.to(gone)
    leave = active.to(gone, unless=has_repairs_to_collect)

    openings: ClassVar = [
        Opening(
            "register",
            active,
            data=Register,
            build=lambda data, view: Owner(data.name, data.phone),
            kind=REPORT,
            then=[Send("club.invite")],
        )
    ]
    changes: ClassVar = [
        Change(
            change_phone, data=Phone, record=lambda owner, data, view: replace(owner, phone=data.phone), kind=REPORT
        ),
        Change(give_card, data=Card, record=lambda owner, data, view: replace(owner, card=data.number)),
        Change(count_visit, record=lambda owner, data, view: replace(owner, visits=owner.visits + 1)),
        Change(note_incident, record=lambda owner, data, view: replace(owner, incidents=owner.incidents + 1)),
        Change(leave, kind=REQUEST, then=[Send("repair.cancel", to=live_repairs)]),
    ]


# --- repairs -------------------------------------------------------------------------------------------------------


class Repair(Facts, frozen=True):
    bicycle: str
    frame: str | None = None
    tag: str | None = None
    ready_on: date | None = None
    reminders: int = 0


class Bring(Struct, frozen=True, forbid_unknown_fields=True):
    bicycle: str
    frame: str | None = None
    tag: str | None = None


def taken_in(data: Bring, view: View) -> Repair:
    if data.bicycle == "cursed":
        raise RuntimeError("nobody knows how to take this in")
    return Repair(data.bicycle, data.frame, data.tag)


def too_many(repair: None, data: Bring, view: View) -> Reason | None:
    live = sum(1 for _ in view.of("repair"))
    return Reason("too_many", label(f"There are {live} repairs already.")) if live >= 4 else None


def the_owner(view: View) -> Person:
    return Person("owner", view.subject_facts.name, view.tenant.language)


owner = Audience("owner", person=the_owner, not_before=lambda view: view.now)


class RepairWorkflow(Workflow):
    name_in_events = "repair"
    collection = "repairs"
    prefix = "R"
    title = Text("réparation", "repair")
    facts = Repair
    names: ClassVar = [Name("frame", "frame"), Name("tag", "tag", exclusive=True)]
    vocabulary = staticmethod(lambda repair, view: {"bicycle": repair.bicycle})

    brought = State(initial=True)
    ready = State()
    collected = State()
    sold = State(final=True)
    cancelled = State(final=True)
    settled: ClassVar = [collected, sold, cancelled]
    labels: ClassVar = {name: label(name) for name in ("brought", "ready", "collected", "sold", "cancelled")}

    finish = brought.to(ready)
    remind = ready.to(ready)
    collect = collected.from_(brought, ready)
    bring_back = collected.to(brought)
    sell = ready.to(sold)
    cancel = cancelled.from_(brought, ready)

    openings: ClassVar = [
        Opening(
            "bring",
            brought,
            data=Bring,
            build=taken_in,
            unless=[too_many],
        )
    ]
    changes: ClassVar = [
        Change(finish, record=lambda repair, data, view: replace(repair, ready_on=view.today), kind=REPORT),
        Change(remind, record=lambda repair, data, view: replace(repair, reminders=repair.reminders + 1)),
        Change(collect, kind=REPORT, then=[Send("owner.count_visit", to=lambda repair, data, view: view.subject)]),
        Change(bring_back, record=lambda repair, data, view: replace(repair, ready_on=None, reminders=0), kind=REQUEST),
        Change(sell, kind=REQUEST),
        Change(cancel, kind=REQUEST),
    ]
    timers: ClassVar = [
        Timer(ready, after("ready_on", days=[3, 7, 14]), send=remind),
        Timer(ready, after("ready_on", days=30), send=sell),
    ]
    emails: ClassVar = [
        Email("repair_ready", to=owner, on=ready, says=("bicycle",), ladder="collect"),
        Email("repair_waits", to=owner, on=ready.on(remind), says=("bicycle",), while_=always, ladder="collect"),
        Email("repair_sold", to=owner, on=sell, while_=always),
    ]


# --- the club ------------------------------------------------------------------------------------------------------


class Club(Facts, frozen=True):
    until: datetime | None = None
    terms: int = 0


class Join(Struct, frozen=True, forbid_unknown_fields=True):
    card: str | None = None


class ClubWorkflow(Workflow):
    name_in_events = "club"
    collection = "clubs"
    prefix = "K"
    title = Text("club", "club")
    one_per_subject = True
    facts = Club

    invited = State(initial=True)
    member = State()
    labels: ClassVar = {"invited": label("invited"), "member": label("member")}

    ask = invited.to(invited)
    join = invited.to(member) | member.to(member)
    renew = member.to(member)
    lapse = member.to(invited)
    pins: ClassVar = [join, renew]

    openings: ClassVar = [Opening("invite", invited, build=lambda data, view: Club())]
    changes: ClassVar = [
        Change(ask),
        Change(
            join,
            data=Join,
            record=lambda club, data, view: replace(club, until=view.at + timedelta(days=60), terms=club.terms + 1),
            kind=REPORT,
            then=[
                Send(
                    "owner.give_card",
                    to=lambda club, data, view: view.subject,
                    data=lambda club, data, view: Card(data.card),
                    if_=lambda club, data, view: data.card is not None,
                )
            ],
        ),
        Change(renew, record=lambda club, data, view: replace(club, until=view.at + timedelta(days=60)), kind=REQUEST),
    ]
    timers: ClassVar = [
        Timer(invited, every(days=20), send=ask),
        Timer(member, on("until"), send=lapse),
    ]


# --- the trade -----------------------------------------------------------------------------------------------------


class WorkshopTrade(PlainTrade):
    """Its policy changes with the years, and its summary tells of every case."""

    def policy_in_force(self, view: View) -> Policy:
        return Policy("workshop", date(view.at.year, 1, 1), {"year": view.at.year})

    def summary(self, view: View) -> Mapping[str, Any]:
        facts = view.subject_facts if view.subject in view.cases else None
        club = view.only("club")
        return {
            "name": facts.name if facts is not None else "",
            "name_folded": facts.name.casefold() if facts is not None else "",
            "membership_state": club.state if club is not None else None,
            "anniversary": club.facts.until.date() if club is not None and club.facts.until is not None else None,
            "pending_count": sum(case.state == "brought" for case in view.of("repair")),
            "late_count": sum(case.state == "ready" for case in view.of("repair")),
            "licence_count": view.tally.get("repair.collected", 0),
            "in_ready": any(case.state == "ready" for case in view.of("repair")),
        }


WORKSHOP = compile_workflows([OwnerWorkflow, RepairWorkflow, ClubWorkflow])
