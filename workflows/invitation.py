"""An invitation to the programme: sent, reminded of, accepted by the customer."""

from datetime import date
from typing import Any

from msgspec.structs import replace

from vipflow import (
    INTERNAL,
    REPORT,
    REQUEST,
    Change,
    Email,
    NoData,
    Opening,
    Reason,
    Redating,
    State,
    Text,
    Timer,
    View,
    Workflow,
    after,
    midnight,
    on,
    policy,
)
from vipflow.policy import Policy
from vipflow.vip.audiences import account_manager, contact
from vipflow.vip.between import state_of
from vipflow.vip.buying import SEGMENTS
from vipflow.vip.calendar import ONE_DAY, invitation_expires_from
from vipflow.vip.customers import OFFER_TYPES, ever, reseller_of
from vipflow.vip.licences import confirmed_lines
from vipflow.vip.records import Customer, Invitation
from vipflow.vip.wording import country_name, listed, plain_day, plain_text, says


def something_was_bought(_facts: Invitation, _data: NoData, view: View) -> Reason | None:
    """Withdrawn only while there was never an authorization, order or licence, cancelled ones apart. [seed]"""
    bought = (
        ever(view, "purchase_authorization", except_in=("cancelled",)) or ever(view, "order") or confirmed_lines(view)
    )
    if not bought:
        return None
    return Reason(
        "something_was_bought",
        says(
            "L'invitation ne peut plus être retirée : "
            "il y a déjà eu une autorisation d'achat, une commande ou une licence.",
            "The invitation cannot be withdrawn any more: "
            "there already was a purchase authorization, an order or a licence.",
        ),
        unblock=says(
            "Seules des autorisations annulées laissent cette possibilité.",
            "Only cancelled authorizations leave that possibility.",
        ),
    )


def not_the_customer(_facts: Invitation, _data: NoData, view: View) -> Reason | None:
    """Only the customer accepts, never staff in its place. [seed]"""
    if view.actor.kind != "staff":
        return None
    return Reason(
        "not_the_customer",
        says(
            "Seul le client accepte l'invitation ; personne ne peut le faire à sa place.",
            "Only the customer accepts the invitation; nobody can do so in its place.",
        ),
        unblock=says("Relancez le client.", "Remind the customer."),
    )


def issued(_data: NoData, view: View) -> Invitation:
    return Invitation(sent_on=view.today, expires_from=invitation_expires_from(view.at, view.policy, view.tenant.zone))


def sent_again(facts: Invitation, _data: NoData, view: View) -> Invitation:
    """A resend begins the ladder of reminders, and the life of the invitation, anew."""
    return replace(
        facts, sent_on=view.today, expires_from=invitation_expires_from(view.at, view.policy, view.tenant.zone)
    )


def redated(facts: Invitation, was: Policy, view: View) -> Invitation:
    """Its end by other numbers."""
    zone = view.tenant.zone
    sent_at = midnight(facts.sent_on, zone)
    if facts.expires_from != invitation_expires_from(sent_at, was, zone):
        return facts
    return replace(facts, expires_from=invitation_expires_from(sent_at, view.policy, zone))


def open_again(facts: Invitation, view: View) -> State | None:
    """Where its end lies ahead again, or there is none any more."""
    over = facts.expires_from is not None and facts.expires_from <= view.today
    return InvitationWorkflow.sent if state_of(view) == "expired" and not over else None


def accepted_today(facts: Invitation, _data: NoData, view: View) -> Invitation:
    return replace(facts, accepted_on=view.today)


def still_open(_facts: Invitation, view: View) -> bool:
    return view.case is not None and view.case.state == "sent"


def vocabulary(facts: Invitation, view: View) -> dict[str, Any]:
    customer: Customer = view.subject_facts
    last_day: date | None = facts.expires_from - ONE_DAY if facts.expires_from is not None else None
    offers = [OFFER_TYPES.get(each, Text(each, each)) for each in customer.offer_types]
    place = " ".join(part for part in (customer.postal_code, customer.city) if part)
    return {
        "reference": view.subject,
        "segment": plain_text(Text(*SEGMENTS[customer.segment])),
        "address_lines": [line for line in (customer.address, place, customer.region) if line],
        "country": plain_text(country_name(customer.country)),
        "offer_types": plain_text(Text(listed(each.fr for each in offers), listed(each.en for each in offers))),
        "anniversary": plain_day(customer.custom_anniversary),
        "invitation_link": reseller_of(view).invitation_link,
        "sent_on": plain_day(facts.sent_on),
        "expires_on": plain_day(last_day),
        "accepted_on": plain_day(facts.accepted_on),
    }


class InvitationWorkflow(Workflow):
    """An invitation to join the VIP programme (seed: Ajouter un client)."""

    name_in_events = "invitation"
    collection = "invitations"
    prefix = "I"
    title = Text("Invitation", "Invitation")
    one_per_subject = True
    facts = Invitation

    sent = State(initial=True)
    expired = State()
    accepted = State(final=True)
    withdrawn = State(final=True)
    settled = [accepted, withdrawn]
    redating = Redating(redated, choose=open_again)
    labels = {
        "sent": Text("envoyée", "sent"),
        "expired": Text("expirée", "expired"),
        "accepted": Text("acceptée", "accepted"),
        "withdrawn": Text("retirée", "withdrawn"),
    }

    remind = sent.to(sent)
    resend = sent.to(sent) | expired.to(sent)
    accept = sent.to(accepted, unless=not_the_customer) | expired.to(accepted, unless=not_the_customer)
    withdraw = sent.to(withdrawn, unless=something_was_bought) | expired.to(withdrawn, unless=something_was_bought)
    expire = sent.to(expired)

    openings = [Opening("issue", sent, build=issued, kind=INTERNAL)]
    changes = [
        Change(remind, kind=REQUEST),
        Change(resend, record=sent_again, kind=REQUEST),
        Change(accept, record=accepted_today, kind=REPORT),
        Change(withdraw, kind=REQUEST, reason_required=True),
    ]
    timers = [
        Timer(sent, after("sent_on", days=policy.invitation_reminder_days), send=remind),
        Timer(sent, on("expires_from"), send=expire),
    ]
    fixed_record = ["segment", "address_lines", "country", "offer_types", "anniversary"]
    emails = [
        Email(
            "invitation",
            to=contact,
            on=("issue", resend),
            while_=still_open,
            ladder="invitation/itself",
            says=[*fixed_record, "invitation_link", "expires_on"],
        ),
        Email(
            "invitation_reminder",
            to=contact,
            on=remind,
            while_=still_open,
            ladder="invitation",
            says=["sent_on", "invitation_link", "expires_on"],
        ),
        Email("invitation_accepted", to=account_manager, on=accepted, says=["accepted_on"]),
    ]
    record_block = ["reference"]
    vocabulary = staticmethod(vocabulary)
