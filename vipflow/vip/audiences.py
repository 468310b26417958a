"""Whom mails are written to, and when they may leave.

The contact is written to in its own language and in the reseller's office hours; the account manager at once, or each
office day's morning where it prefers one mail a day.
"""

from collections.abc import Sequence
from datetime import date, datetime

from vipflow.case import View
from vipflow.vip.calendar import adobe_mail_days, next_office_instant, next_office_opening
from vipflow.vip.customers import Member, Reseller, customer_of, reseller_of
from vipflow.vip.records import Customer, Membership
from vipflow.workflow import Audience, Person

CONTACT = "contact"
TEAM = "team:"


def addresses(person_key: str, customer: Customer, settings: Reseller) -> tuple[str | None, Sequence[str]]:
    """The address that a message goes to and those that get a copy: what delivery asks at first rendering.

    None where nobody is left to write to.
    """
    if person_key == CONTACT:
        copies = dict.fromkeys(recipient.email for recipient in customer.recipients)
        copies.pop(customer.contact.email, None)
        return customer.contact.email, tuple(copies)
    found = settings.responsible(person_key.removeprefix(TEAM))
    return (found.email if found is not None else None), ()


def wants_digest(person_key: str, settings: Reseller) -> bool:
    """Whether this member of the team, or who stands in for it, prefers one mail a day."""
    if not person_key.startswith(TEAM):
        return False
    found = settings.responsible(person_key.removeprefix(TEAM))
    return found is not None and found.mails == "daily"


def manager_of(view: View) -> Member | None:
    """The account manager, or who stands in for him."""
    customer = customer_of(view)
    return None if customer is None else reseller_of(view).responsible(customer.owner)


def _contact(view: View) -> Person | None:
    customer = customer_of(view)
    return None if customer is None else Person(CONTACT, customer.contact.name, customer.language)


def _account_manager(view: View) -> Person | None:
    found = manager_of(view)
    return None if found is None else Person(f"{TEAM}{found.email}", found.name, found.language)


def _in_office_hours(view: View) -> datetime:
    """Next office hours: mails of the year on no day on which Adobe mails."""
    facts = view.case.facts if view.case is not None else None
    avoid: frozenset[date] = frozenset()
    if isinstance(facts, Membership) and facts.anniversary is not None:
        avoid = adobe_mail_days(facts.anniversary, view.policy)
    return next_office_instant(view.now, view.policy, view.tenant.zone, avoid)


def _as_it_prefers(view: View) -> datetime:
    """At once, or with the mail of the next office morning."""
    if _prefers_daily(view):
        return next_office_opening(view.now, view.policy, view.tenant.zone)
    return view.now


def _when_it_reads(view: View) -> datetime:
    """A daily mail that could not leave in the morning still leaves within the office hours, not at night."""
    if _prefers_daily(view):
        return next_office_instant(view.now, view.policy, view.tenant.zone)
    return view.now


def _prefers_daily(view: View) -> bool:
    found = manager_of(view)
    return found is not None and found.mails == "daily"


contact = Audience("contact", _contact, _in_office_hours, when_due=_in_office_hours)
"""The customer's primary contact, with copies to its notice recipients."""

account_manager = Audience("account_manager", _account_manager, _as_it_prefers, when_due=_when_it_reads)
"""The member of the reseller's staff in charge of the customer."""
