"""The five lists of customers. A customer may stand in several; none is stored, all follow from the cases. [seed]"""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import msgspec

from vipflow.case import Case, View
from vipflow.vip.customers import invitation_state
from vipflow.vip.licences import LIVE_AUTHORIZATIONS, lines_of_the_term
from vipflow.workflow import Text

ListName: TypeAlias = Literal["no_products", "pending", "late", "upcoming", "ready"]


class Standing(msgspec.Struct, frozen=True):
    """What the lists go by, found in one walk through the customer's live cases."""

    invitation: str
    membership: Case | None
    pending: int
    """Authorizations for which no order was placed yet, in time."""
    late: int
    """Those that are late, or so late that their licences are deactivated."""
    live: int
    """Those that still ask for something."""
    licensed: bool
    """Adobe accepted licences that the term still holds."""


def standing_of(view: View) -> Standing:
    """Where the customer stands."""
    pending = late = live = 0
    for case in view.cases.values():
        if case.workflow == "purchase_authorization":
            pending += case.state == "pending"
            late += case.state in ("late", "suspended")
            live += case.state in LIVE_AUTHORIZATIONS
    membership = view.only("membership")
    return Standing(invitation_state(view), membership, pending, late, live, bool(lines_of_the_term(membership)))


def no_products(customer: Standing) -> bool:
    """No live authorization and no licences, whatever the past."""
    return not customer.live and not customer.licensed


def pending_requests(customer: Standing) -> bool:
    """An authorization for which no order was placed yet."""
    return customer.pending > 0


def late_requests(customer: Standing) -> bool:
    """An authorization that is late, or so late that its licences are deactivated."""
    return customer.late > 0


def upcoming_renewals(customer: Standing) -> bool:
    """The renewal window opens in 60 days at most."""
    return customer.membership is not None and customer.membership.state == "upcoming"


def ready_for_renewal(customer: Standing) -> bool:
    """In the renewal window, and something is left to renew."""
    return customer.membership is not None and customer.membership.state in ("ready", "partly_renewed")


class CustomerList(msgspec.Struct, frozen=True):
    """A list by its column in the summary, what people call it, and what puts a customer in it."""

    name: ListName
    label: Text
    holds: Callable[[Standing], bool]


LISTS: Final = (
    CustomerList("no_products", Text("Aucun produit", "No products"), no_products),
    CustomerList("pending", Text("Demandes en attente", "Pending requests"), pending_requests),
    CustomerList("late", Text("Demandes en retard", "Late requests"), late_requests),
    CustomerList("upcoming", Text("Renouvellements à venir", "Upcoming renewals"), upcoming_renewals),
    CustomerList("ready", Text("Prêts pour renouvellement", "Ready for renewal"), ready_for_renewal),
)


def lists_of(customer: Standing) -> frozenset[ListName]:
    """The lists in which the customer stands. A customer whose invitation was withdrawn stands in none."""
    if customer.invitation == "withdrawn":
        return frozenset()
    return frozenset([each.name for each in LISTS if each.holds(customer)])
