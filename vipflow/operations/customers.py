"""Customers: invite, take over an existing member, and the few things of one that may change. [seed]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from vipflow.errors import BadInput
from vipflow.operations.allowed import not_allowed, refused
from vipflow.operations.customer_lists import CustomerRow, customer_row
from vipflow.operations.done import Done, check_words, perform
from vipflow.operations.forms import checked
from vipflow.operations.installation import Installation
from vipflow.operations.products import Buyer
from vipflow.operations.references import find_customer, own_reference
from vipflow.operations.rows import facts_of
from vipflow.operations.who import Who
from vipflow.store import reading
from vipflow.store.tenants import MemberRow, team_members
from vipflow.vip.customers import company_domain, folded, warnings_before_inviting
from vipflow.vip.records import Customer, Recipient
from vipflow.workflow import Reason, Text

FORM = "the customer"


class BeforeInviting(msgspec.Struct, frozen=True):
    """What to know before a company is invited; none of it forbids."""

    warnings: tuple[Text, ...]
    look_alikes: tuple[CustomerRow, ...]


def before_inviting(installation: Installation, who: Who, *, company: str, country: str, email: str) -> BeforeInviting:
    """Warns that nothing can be corrected, of a very short name, and of customers that look like this one."""
    with installation.database.read() as connection:
        rows = reading.look_alikes(connection, who.tenant, country, folded(company), company_domain(email))
        names = _names(team_members(connection, who.tenant))
    return BeforeInviting(
        warnings_before_inviting(company, len(rows)), tuple(customer_row(installation, row, names) for row in rows)
    )


def check_form(
    installation: Installation, event_type: str, form: Mapping[str, Any], reference: str | None, id: str | None
) -> None:
    """Raises BadInput where `invite` or `adopt` would, for what is wrong with what was typed alone."""
    checked(installation, event_type, form, FORM)
    check_words(None, id)
    _path(reference)


def invite(
    installation: Installation,
    who: Who,
    form: Mapping[str, Any],
    *,
    reference: str | None = None,
    id: str | None = None,
) -> Done:
    """Adds a customer and sends the invitation. `form` is the data of `customer.invite`.

    `reference` is the reseller's own number of the customer. Who invites is in charge unless `form["owner"]` says
    otherwise. The warnings of `before_inviting` come with the answer.
    """
    given = _with_owner(installation, who, form)
    contact = given.get("contact") or {}
    known = before_inviting(
        installation,
        who,
        company=str(given.get("company") or ""),
        country=str(given.get("country") or ""),
        email=str(contact.get("email") or ""),
    )
    return perform(
        installation,
        who,
        "customer.invite",
        _path(reference),
        given,
        customer=None,
        what=FORM,
        id=id,
        remarks=known.warnings,
    )


def adopt(
    installation: Installation,
    who: Who,
    form: Mapping[str, Any],
    *,
    reference: str | None = None,
    id: str | None = None,
) -> Done:
    """Takes over a customer that is already a member, silently. `form` is the data of `customer.adopt`."""
    given = _with_owner(installation, who, form)
    return perform(installation, who, "customer.adopt", _path(reference), given, customer=None, what=FORM, id=id)


def assign(installation: Installation, who: Who, customer: str, to: str, *, id: str | None = None) -> Done:
    """Puts a member of the team in charge, named by e-mail or name."""
    with installation.database.read() as connection:
        owner = member_named(team_members(connection, who.tenant), to)
    return _change(installation, who, customer, "assign", {"owner": owner}, id=id)


def set_recipients(
    installation: Installation,
    who: Who,
    customer: str,
    *,
    add: Sequence[Recipient] = (),
    remove: Sequence[str] = (),
    instead: Sequence[Recipient] | None = None,
    id: str | None = None,
) -> Done:
    """Changes who gets copies of the customer's mails: adds, removes by e-mail, or sets them all `instead`."""
    ref = find_customer(installation, who, customer)
    present = facts_of_customer(installation, who, ref).recipients if instead is None else tuple(instead)
    known = {each.email.lower(): each for each in present}
    for each in add:
        known[each.email.lower()] = each
    for email in remove:
        if known.pop(email.lower(), None) is None:
            there = ", ".join(each.email for each in present) or "nobody"
            raise BadInput("the notice recipients", f"{email} is none of them", f"there is {there}")
    wanted = [{"name": each.name, "email": each.email} for each in known.values()]
    return _change(installation, who, ref, "set_recipients", {"recipients": wanted}, id=id)


def note(installation: Installation, who: Who, customer: str, text: str, *, id: str | None = None) -> Done:
    """Writes a note about the customer into its history."""
    return _change(installation, who, customer, "note", {"text": text}, id=id)


def add_offer_type(
    installation: Installation, who: Who, customer: str, offer_type: str, *, id: str | None = None
) -> Done:
    """Shows the customer another type of offers. [seed]: any type may be added at any time."""
    return _change(installation, who, customer, "add_offer_type", {"offer_type": offer_type}, id=id)


def record_number(
    installation: Installation, who: Who, customer: str, vip_number: str, *, id: str | None = None
) -> Done:
    """Records Adobe's VIP number in place of the provisional one, once."""
    return _change(installation, who, customer, "record_number", {"vip_number": vip_number}, id=id)


def override_policy(
    installation: Installation, who: Who, customer: str, numbers: Mapping[str, Any], *, id: str | None = None
) -> Done:
    """Gives the customer numbers of the policy that are its own; they hold for what begins from now on."""
    return _change(installation, who, customer, "override_policy", {"numbers": dict(numbers)}, id=id)


def resend_invitation(installation: Installation, who: Who, customer: str, *, id: str | None = None) -> Done:
    """Sends the invitation again; its reminders begin anew."""
    return _invitation(installation, who, customer, "resend", id=id)


def withdraw_invitation(
    installation: Installation, who: Who, customer: str, *, reason: str | None, id: str | None = None
) -> Done:
    """Withdraws the invitation, while nothing was ever bought."""
    return _invitation(installation, who, customer, "withdraw", reason=reason, id=id)


def remind_of_invitation(installation: Installation, who: Who, customer: str, *, id: str | None = None) -> Done:
    """Reminds the contact of the invitation now."""
    return _invitation(installation, who, customer, "remind", id=id)


def facts_of_customer(installation: Installation, who: Who, ref: str) -> Customer:
    """What we know of the customer with this reference."""
    with installation.database.read() as connection:
        row = reading.cases_by_ref(connection, who.tenant, [ref])[0]
    return cast(Customer, facts_of(installation, row))


def buyer_of(installation: Installation, who: Who, ref: str) -> Buyer:
    """The customer as somebody who names products: its segment, its offer types, what it holds."""
    with installation.database.read() as connection:
        rows = reading.cases_of_customer(connection, who.tenant, ref)
    facts = next(facts_of(installation, row) for row in rows if row.ref == ref)
    held = [facts_of(installation, row).licences for row in rows if row.workflow == "membership"]
    return Buyer(facts.segment, facts.offer_types, [line.sku for lines in held for line in lines])


def member_named(members: Sequence[MemberRow], wanted: str) -> str:
    """The e-mail of the active member with this address or name. Raises BadInput where there is none, or several."""
    active = [member for member in members if member.active]
    found = [member.email for member in active if member.email.lower() == wanted.strip().lower()]
    found = found or [member.email for member in active if folded(wanted) == folded(member.name)]
    found = found or [member.email for member in active if folded(wanted) in folded(member.name).split()]
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{member.name} <{member.email}>" for member in active) or "nobody yet"
    problem = f"{wanted!r} is several of them" if found else f"{wanted!r} is none of them, or no longer"
    raise BadInput("the team", problem, f"there is {there}")


def _change(
    installation: Installation, who: Who, customer: str, event: str, data: Mapping[str, Any], *, id: str | None
) -> Done:
    ref = find_customer(installation, who, customer)
    what = f"customer {ref}"
    return perform(installation, who, f"customer.{event}", f"customers/{ref}", data, customer=ref, what=what, id=id)


def _invitation(
    installation: Installation, who: Who, customer: str, event: str, *, reason: str | None = None, id: str | None = None
) -> Done:
    ref = find_customer(installation, who, customer)
    what = f"the invitation of {ref}"
    type = f"invitation.{event}"
    if facts_of_customer(installation, who, ref).adopted:
        return Done(refused(who, type, not_allowed(installation, who, type, ref) or _never_invited(ref)))
    return perform(installation, who, type, f"customers/{ref}", {}, customer=ref, what=what, reason=reason, id=id)


def _never_invited(ref: str) -> Reason:
    return Reason(
        "never_invited",
        Text(
            f"{ref} était déjà membre avant d’arriver ici ; il n’a jamais été invité.",
            f"{ref} was a member before it came here; it was never invited.",
        ),
        {"customer": ref},
    )


def _path(reference: str | None) -> str:
    return f"customers/{own_reference(reference)}" if reference else "customers"


def _with_owner(installation: Installation, who: Who, form: Mapping[str, Any]) -> dict[str, Any]:
    """The form with the manager's e-mail: whom it names, else who asks, else the first admin of the team."""
    with installation.database.read() as connection:
        members = team_members(connection, who.tenant)
    named = form.get("owner")
    if named is not None:
        owner: str | None = member_named(members, named) if members else named
    elif who.actor is not None:
        owner = who.actor
    else:
        active = [member for member in members if member.active]
        first = next((member for member in active if member.role == "admin"), active[0] if active else None)
        owner = first.email if first is not None else None
    return {**form, "owner": owner}


def _names(members: Sequence[MemberRow]) -> dict[str, str]:
    return {member.email: member.name for member in members}
