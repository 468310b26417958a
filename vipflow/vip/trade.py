"""The trade as the engine meets it: policies, catalogue, the summary row and the words that every mail says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec

from vipflow.case import Addressing, Mailbox, Tenant, View
from vipflow.policy import Policy, PolicyBook
from vipflow.vip.audiences import addresses, manager_of, wants_digest
from vipflow.vip.catalogue import Catalogue
from vipflow.vip.customers import Member, Reseller, customer_of, reseller_of
from vipflow.vip.summary import summary
from vipflow.workflow import Person


@dataclass(frozen=True)
class VipTrade:
    """What Adobe VIP supplies beside its workflows. Pure: it knows its book and its catalogue."""

    policies: PolicyBook
    catalogue: Catalogue

    def policy_in_force(self, view: View) -> Policy:
        """The policy that a case opened at `view.at` pins: the reseller's, with its own numbers and the customer's."""
        reseller = reseller_of(view)
        customer = customer_of(view)
        own: Mapping[str, object] = customer.overrides if customer is not None else {}
        return self.policies.in_force(reseller.policy, view.today, reseller.overrides, own)

    def summary(self, view: View) -> Mapping[str, Any]:
        """What lists need to know of the customer, by column."""
        return summary(view)

    def common_words(self, view: View, person: Person) -> Mapping[str, Any]:
        """What every mail says: of which customer, to whom, from whom, and whom to ask."""
        customer = customer_of(view)
        reseller = reseller_of(view)
        manager = manager_of(view)
        words: dict[str, Any] = {
            "person": {"name": person.name},
            "reseller": {"name": view.tenant.name, "phone": reseller.phone, "signature": reseller.signature},
            "manager": {
                "name": manager.name if manager is not None else view.tenant.name,
                "email": manager.email if manager is not None else reseller.sender,
                "phone": (manager.phone if manager is not None else None) or reseller.phone,
            },
        }
        if customer is not None:
            words["customer"] = {
                "company": customer.company,
                "reference": view.subject,
                "vip_number": customer.vip_number,
                "vip_number_provisional": customer.vip_number_provisional,
            }
            words["contact"] = {"name": customer.contact.name, "email": customer.contact.email}
        return words

    def addressing(self, view: View, person: Person) -> Addressing | None:
        """From the reseller, to the person and its copies. A customer's answers go to the account manager, the team's
        own to the reseller.
        """
        reseller = reseller_of(view)
        customer = customer_of(view)
        manager = manager_of(view)
        if customer is None:
            return None
        to, copies = addresses(person.key, customer, reseller)
        if to is None:
            return None
        names = {recipient.email: recipient.name for recipient in customer.recipients}
        sender = Mailbox(view.tenant.name, reseller.sender)
        asked = manager if manager is not None and manager.email != to else None
        reply_to = Mailbox(asked.name, asked.email) if asked is not None else sender
        return Addressing(sender, reply_to, (Mailbox(person.name, to),), tuple(Mailbox(names[c], c) for c in copies))

    def wants_digest(self, tenant: Tenant, recipient: str) -> bool:
        """Whether the person whose key that is gets one mail of all that is due, in place of many."""
        return isinstance(tenant.settings, Reseller) and wants_digest(recipient, tenant.settings)

    def restore_policy(self, body: str) -> Policy:
        """A policy as it was stored when it was pinned; numbers added since have their defaults."""
        return self.policies.restore(body)

    def settings(self, row: Mapping[str, Any], team: Sequence[Mapping[str, Any]]) -> Reseller:
        """The reseller's settings, of its row (policy, and JSON) and its team's rows."""
        stored: dict[str, Any] = msgspec.json.decode(row["settings"])
        members = {
            each["email"]: Member(
                each["name"],
                each["email"],
                each["role"],
                each["language"] or row["language"],
                each["phone"],
                each["active"],
                each["mails"],
            )
            for each in team
        }
        return msgspec.convert({**stored, "policy": row["policy"], "team": members}, Reseller, from_attributes=True)

    def parked_for(self, tenant: Tenant) -> timedelta:
        """How long an event waits for its case: a number of the reseller's policy."""
        reseller: Reseller = tenant.settings
        hours: int = self.policies.in_force(reseller.policy, date.max, reseller.overrides).parked_hours
        return timedelta(hours=hours)
