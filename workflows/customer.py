"""A customer: the organisation itself, whose data every case of it reads."""

from datetime import date
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from vipflow import (
    INTERNAL,
    REPORT,
    REQUEST,
    Change,
    Email,
    Name,
    Opening,
    Reason,
    Send,
    State,
    Text,
    View,
    Workflow,
    always,
)
from vipflow.decide import IncidentNotice
from vipflow.errors import PolicyError
from vipflow.vip.audiences import account_manager
from vipflow.vip.between import FoundMembership
from vipflow.vip.calendar import custom_anniversary_bounds
from vipflow.vip.customers import OFFER_TYPES, provisional_number, reseller_of
from vipflow.vip.events import EVENTS
from vipflow.vip.fields import (
    EmailAddress,
    ExternalNumber,
    PoNumber,
    Remark,
    problems_of_remark,
    problems_of_text,
    refuse,
)
from vipflow.vip.forms import CompanyFields, PerhapsLines, PersonField, SomeLines, lines_of
from vipflow.vip.records import Bounce, Customer, Happening
from vipflow.vip.wording import day, listed, plain_text, says

Recipients = Annotated[tuple[PersonField, ...], Meta(max_length=20)]  # 20: ours, far more than anybody copies
ShortText = Annotated[str, Meta(max_length=240)]
LongText = Annotated[str, Meta(max_length=2000)]
"""Free texts that nothing else limits: longer ones are refused."""
OfferTypes = Annotated[tuple[str, ...], Meta(min_length=1, max_length=20)]


class NewCustomer(CompanyFields, frozen=True, kw_only=True):
    """The form "Ajouter une société cliente"."""

    offer_types: OfferTypes = ("teams",)
    anniversary: date | None = None
    """A custom anniversary date, for a first term longer than 12 months."""
    vip_number: ExternalNumber | None = None
    owner: EmailAddress | None = None
    recipients: Recipients = ()

    def __post_init__(self) -> None:
        refuse((*self.problems(), *problems_of_text("vip_number", self.vip_number)))


class OpenAuthorization(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An authorization that is open while its customer is adopted."""

    lines: SomeLines
    created_on: date
    po_number: PoNumber | None = None
    due_on: date | None = None
    """Where Adobe granted another day than the policy says."""
    ordered: bool = False
    order_number: ExternalNumber | None = None

    def __post_init__(self) -> None:
        refuse((*problems_of_text("po_number", self.po_number), *problems_of_text("order_number", self.order_number)))


class ExistingMember(CompanyFields, frozen=True, kw_only=True):
    """A customer that was a member before we knew it."""

    vip_number: ExternalNumber
    offer_types: OfferTypes = ("teams",)
    anniversary: date | None = None
    """None where nothing was ordered yet."""
    anchor_day: Annotated[int, Meta(ge=1, le=31)] | None = None
    licences: PerhapsLines = ()
    renewed: PerhapsLines = ()
    """What was already ordered for the term after the anniversary date."""
    authorizations: Annotated[tuple[OpenAuthorization, ...], Meta(max_length=1000)] = ()
    owner: EmailAddress | None = None
    recipients: Recipients = ()

    def __post_init__(self) -> None:
        problems = [*self.problems(), *problems_of_text("vip_number", self.vip_number)]
        if self.anniversary is None and (self.licences or self.renewed or self.anchor_day):
            problems.append("anniversary: is missing, and there are licences")
        refuse(iter(problems))


class Correction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What somebody would like to put right in the fixed record."""

    company: ShortText | None = None
    segment: ShortText | None = None
    country: ShortText | None = None
    region: ShortText | None = None
    address: ShortText | None = None
    city: ShortText | None = None
    postal_code: ShortText | None = None
    language: ShortText | None = None
    contact: PersonField | None = None
    anniversary: date | None = None


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to be in charge."""

    owner: EmailAddress


class NoticeRecipients(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who gets copies from now on."""

    recipients: Recipients = ()


class OfferType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What else the customer is shown from now on."""

    offer_type: Annotated[str, Meta(max_length=40)]


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wishes to be remembered."""

    text: Remark

    def __post_init__(self) -> None:
        refuse(problems_of_remark("text", self.text))


class VipNumber(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Adobe's number of the membership, in the place of a provisional one of ours."""

    vip_number: ExternalNumber

    def __post_init__(self) -> None:
        refuse(problems_of_text("vip_number", self.vip_number))


class OwnNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers of the policy for this customer alone; they hold for what begins from now on."""

    numbers: dict[str, Any] = {}


class BouncedMail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mail came back: of which address, and what the server said."""

    address: Annotated[str, Meta(max_length=500)]
    subject_line: LongText = ""
    diagnosis: LongText = ""
    message: Annotated[str, Meta(max_length=200)] | None = None
    """Which of our messages it was, where that is known."""


# --- what stands in the way ----------------------------------------------------------------------------------------


def anniversary_out_of_bounds(_facts: Customer | None, data: NewCustomer, view: View) -> Reason | None:
    """A custom anniversary date lies more than 12 months ahead and within the longest first term. [seed, adobe]"""
    if data.anniversary is None:
        return None
    bounds = custom_anniversary_bounds(view.today, data.segment, view.policy)
    if bounds.earliest <= data.anniversary <= bounds.latest:
        return None
    earliest, latest = day(bounds.earliest), day(bounds.latest)
    return Reason(
        "anniversary_out_of_bounds",
        says(
            f"La date anniversaire choisie doit se situer entre le {earliest.fr} et le {latest.fr}.",
            f"The anniversary date chosen must lie between {earliest.en} and {latest.en}.",
        ),
        {"earliest": bounds.earliest.isoformat(), "latest": bounds.latest.isoformat()},
        says("Choisissez une date entre ces deux jours, ou aucune.", "Choose a date between these days, or none."),
    )


def unknown_owner(_facts: Customer | None, data: Any, view: View) -> Reason | None:
    """Somebody of the reseller's team must be in charge."""
    reseller = reseller_of(view)
    owner = _owner(data.owner, view)
    if not reseller.team or reseller.member(owner) is not None:
        return None
    return Reason(
        "unknown_owner",
        says(
            f"{owner or 'Personne'} ne fait pas partie de votre équipe, ou plus.",
            f"{owner or 'Nobody'} is not, or no longer, a member of your team.",
        ),
        {"owner": owner},
        says("Choisissez un membre actif de l'équipe.", "Choose an active member of the team."),
    )


def unknown_offer_type(_facts: Customer | None, data: Any, _view: View) -> Reason | None:
    """Teams, enterprise and what else there is."""
    given = (data.offer_type,) if isinstance(data, OfferType) else data.offer_types
    unknown = [each for each in given if each not in OFFER_TYPES]
    if not unknown:
        return None
    return Reason(
        "unknown_offer_type",
        says(
            f"Type d'offre inconnu : {listed(unknown)}. Il y a : {listed(OFFER_TYPES)}.",
            f"Unknown offer type: {listed(unknown)}. There are: {listed(OFFER_TYPES)}.",
        ),
        {"unknown": unknown, "known": list(OFFER_TYPES)},
    )


def fixed_after_sending(facts: Customer, data: Correction, _view: View) -> Reason | None:
    """Company, segment, region, address, contact and custom anniversary cannot change after sending. [seed]"""
    changed = []
    for field in data.__struct_fields__:
        wanted = getattr(data, field)
        if wanted is None:
            continue
        present = facts.custom_anniversary if field == "anniversary" else getattr(facts, field)
        if (wanted.contact if isinstance(wanted, PersonField) else wanted) != present:
            changed.append(field)
    if not changed:
        return None
    return Reason(
        "fixed_after_sending",
        says(
            "Les informations du client ne peuvent pas être modifiées après l'envoi de l'invitation "
            "(règle du programme VIP).",
            "The customer's information cannot be changed after the invitation was sent (a rule of the VIP programme).",
        ),
        {"fields": changed},
        says(
            "Pour une nouvelle personne, ajoutez un destinataire en copie ; tant que rien n'a été demandé, "
            "l'invitation peut être retirée puis envoyée de nouveau.",
            "For a new person add a notice recipient; while nothing was asked for, "
            "the invitation can be withdrawn and sent anew.",
        ),
    )


def number_already_recorded(facts: Customer, data: VipNumber, _view: View) -> Reason | None:
    """Adobe's number is recorded once."""
    if facts.vip_number_provisional or data.vip_number == facts.vip_number:
        return None
    return Reason(
        "number_already_recorded",
        says(
            f"Le numéro VIP {facts.vip_number} est déjà enregistré ; {data.vip_number} le contredit.",
            f"The VIP number {facts.vip_number} is already recorded; {data.vip_number} contradicts it.",
        ),
        {"recorded": facts.vip_number, "given": data.vip_number},
    )


def impossible_numbers(facts: Customer, data: OwnNumbers, view: View) -> Reason | None:
    """The policy must hold together with them."""
    reseller = reseller_of(view)
    try:
        view.trade.policies.in_force(reseller.policy, view.today, reseller.overrides, data.numbers)
    except PolicyError as wrong:
        return Reason(
            "impossible_numbers",
            says(f"Ces nombres sont impossibles : {wrong.problem}", f"These numbers cannot hold: {wrong.problem}"),
            {"numbers": sorted(data.numbers)},
        )
    return None


# --- what is remembered --------------------------------------------------------------------------------------------


def invited(data: NewCustomer, view: View) -> Customer:
    """The VIP number is there at once: Adobe's where it is given, one of ours until then. [seed]"""
    return _customer(
        data,
        view,
        vip_number=data.vip_number or provisional_number(view.opening),
        vip_number_provisional=data.vip_number is None,
        custom_anniversary=data.anniversary,
    )


def adopted(data: ExistingMember, view: View) -> Customer:
    return _customer(data, view, vip_number=data.vip_number, adopted=True)


def _customer(data: NewCustomer | ExistingMember, view: View, **more: Any) -> Customer:
    return Customer(
        company=data.company.strip(),
        segment=data.segment,
        country=data.country,
        contact=data.contact.contact,
        language=data.language,
        address=data.address,
        city=data.city,
        postal_code=data.postal_code,
        region=data.region,
        offer_types=tuple(dict.fromkeys(data.offer_types)),
        recipients=tuple(each.recipient for each in data.recipients),
        owner=_owner(data.owner, view),
        known_since=view.today,
        **more,
    )


def _owner(given: str | None, view: View) -> str:
    """Who invites is in charge, unless somebody else is named; for a system's customer an admin."""
    if given is not None:
        return given
    if view.actor.kind == "staff":
        return view.actor.name
    member = reseller_of(view).responsible("")
    return member.email if member is not None else ""


def assigned(facts: Customer, data: Assignment, _view: View) -> Customer:
    return replace(facts, owner=data.owner)


def copied_to(facts: Customer, data: NoticeRecipients, _view: View) -> Customer:
    return replace(facts, recipients=tuple(each.recipient for each in data.recipients))


def offered(facts: Customer, data: OfferType, _view: View) -> Customer:
    return replace(facts, offer_types=tuple(dict.fromkeys((*facts.offer_types, data.offer_type))))


def numbered(facts: Customer, data: VipNumber, _view: View) -> Customer:
    return replace(facts, vip_number=data.vip_number, vip_number_provisional=False)


def with_own_numbers(facts: Customer, data: OwnNumbers, _view: View) -> Customer:
    return replace(facts, overrides=data.numbers)


def of_an_incident(facts: Customer, data: IncidentNotice, view: View) -> Customer:
    return replace(facts, incident=Happening(data.kind, data.case, data.event, data.says, view.today))


def of_a_bounce(facts: Customer, data: BouncedMail, _view: View) -> Customer:
    return replace(facts, bounce=Bounce(data.address, data.subject_line, data.diagnosis, data.message))


# --- what is sent on and said --------------------------------------------------------------------------------------


def their_membership(_facts: Customer, data: ExistingMember, _view: View) -> FoundMembership:
    return FoundMembership(data.anniversary, data.anchor_day, lines_of(data.licences), lines_of(data.renewed))


def their_authorizations(_facts: Customer, data: ExistingMember, _view: View) -> tuple[OpenAuthorization, ...]:
    return data.authorizations


def vocabulary(facts: Customer, view: View) -> dict[str, Any]:
    bounce = facts.bounce or Bounce("")
    incident = facts.incident or Happening("", None, "", Text("", ""), view.today)
    happened = EVENTS.get(incident.event)
    return {
        "address": bounce.address,
        "subject_line": bounce.subject_line or None,
        "diagnosis": bounce.diagnosis or None,
        "reference": incident.case or view.subject,
        "says": plain_text(says(incident.says.fr, incident.says.en)),
        "happened": plain_text(happened) if happened is not None else None,
        "happened_on": incident.on.isoformat(),
    }


class CustomerWorkflow(Workflow):
    """The subject of all else: its facts are the customer's data, its events leave it where it is (seed: Clients)."""

    name_in_events = "customer"
    collection = "customers"
    prefix = "C"
    title = Text("Client", "Customer")
    is_subject = True
    trade = "vip"
    facts = Customer

    known = State(initial=True)
    labels = {"known": Text("connu", "known")}

    assign = known.to(known, unless=unknown_owner)
    set_recipients = known.to(known)
    add_offer_type = known.to(known, unless=unknown_offer_type)
    note = known.to(known)
    correct = known.to(known, unless=fixed_after_sending)
    record_number = known.to(known, unless=number_already_recorded)
    override_policy = known.to(known, unless=impossible_numbers)
    learn_of_incident = known.to(known)
    learn_of_bounce = known.to(known)

    names = [Name("vip_number", "vip_number", exclusive=True), Name("email", "email")]

    openings = [
        Opening(
            "invite",
            known,
            data=NewCustomer,
            build=invited,
            unless=[anniversary_out_of_bounds, unknown_owner, unknown_offer_type],
            then=[Send("invitation.issue"), Send("membership.open")],
        ),
        Opening(
            "adopt",
            known,
            data=ExistingMember,
            build=adopted,
            unless=[unknown_owner, unknown_offer_type],
            silent=True,
            then=[
                Send("membership.adopt", data=their_membership),
                Send("purchase_authorization.adopt", data=their_authorizations),
            ],
        ),
    ]
    changes = [
        Change(assign, data=Assignment, record=assigned, kind=REQUEST),
        Change(set_recipients, data=NoticeRecipients, record=copied_to, kind=REQUEST),
        Change(add_offer_type, data=OfferType, record=offered, kind=REQUEST),
        Change(note, data=Note, kind=REQUEST),
        Change(correct, data=Correction, kind=REQUEST),
        Change(record_number, data=VipNumber, record=numbered, kind=REPORT),
        Change(override_policy, data=OwnNumbers, record=with_own_numbers, kind=REQUEST),
        Change(learn_of_incident, data=IncidentNotice, record=of_an_incident, kind=INTERNAL),
        Change(learn_of_bounce, data=BouncedMail, record=of_a_bounce, kind=REPORT),
    ]
    on_incident = "learn_of_incident"
    on_bounce = "learn_of_bounce"

    emails = [
        Email(
            "incident_opened",
            to=account_manager,
            on=learn_of_incident,
            while_=always,
            says=["reference", "says", "happened", "happened_on"],
        ),
        Email(
            "mail_bounced",
            to=account_manager,
            on=learn_of_bounce,
            while_=always,
            says=["address", "subject_line", "diagnosis"],
        ),
    ]
    vocabulary = staticmethod(vocabulary)
