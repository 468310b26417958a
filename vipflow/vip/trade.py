"""The trade as the engine meets it: policies, catalogue, the summary row and the words that every mail says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vipflow.case import View
from vipflow.policy import Policy, PolicyBook
from vipflow.vip.audiences import manager_of
from vipflow.vip.catalogue import Catalogue
from vipflow.vip.customers import customer_of, reseller_of
from vipflow.vip.summary import summary
from vipflow.workflow import Person


@dataclass(frozen=True)
class VipTrade:
    """What Adobe VIP supplies beside its workflows. Pure: all it knows is the book and the catalogue it was made with."""

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
        return words
