"""The five lists of customers. A customer may stand in several; none is stored, all follow from the cases. [seed]"""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import msgspec

from vipflow.case import View
from vipflow.vip.customers import invitation_state
from vipflow.vip.licences import confirmed_lines, live_authorizations
from vipflow.workflow import Text

ListName: TypeAlias = Literal["no_products", "pending", "late", "upcoming", "ready"]


def no_products(view: View) -> bool:
    """No live authorization and no licences, whatever the past."""
    return next(live_authorizations(view), None) is None and not confirmed_lines(view)


def pending_requests(view: View) -> bool:
    """An authorization for which no order was placed yet."""
    return pending_count(view) > 0


def late_requests(view: View) -> bool:
    """An authorization that is late, or so late that its licences are deactivated."""
    return late_count(view) > 0


def upcoming_renewals(view: View) -> bool:
    """The renewal window opens in 60 days at most."""
    return _membership_in(view, "upcoming")


def ready_for_renewal(view: View) -> bool:
    """In the renewal window, and something is left to renew."""
    return _membership_in(view, "ready", "partly_renewed")


def pending_count(view: View) -> int:
    return sum(case.state == "pending" for case in view.of("purchase_authorization"))


def late_count(view: View) -> int:
    return sum(case.state in ("late", "suspended") for case in view.of("purchase_authorization"))


class CustomerList(msgspec.Struct, frozen=True):
    """A list by its column in the summary, what people call it, and what puts a customer in it."""

    name: ListName
    label: Text
    holds: Callable[[View], bool]


LISTS: Final = (
    CustomerList("no_products", Text("Aucun produit", "No products"), no_products),
    CustomerList("pending", Text("Demandes en attente", "Pending requests"), pending_requests),
    CustomerList("late", Text("Demandes en retard", "Late requests"), late_requests),
    CustomerList("upcoming", Text("Renouvellements à venir", "Upcoming renewals"), upcoming_renewals),
    CustomerList("ready", Text("Prêts pour renouvellement", "Ready for renewal"), ready_for_renewal),
)


def lists_of(view: View) -> frozenset[ListName]:
    """The lists in which the customer stands. A customer whose invitation was withdrawn stands in none."""
    if invitation_state(view) == "withdrawn":
        return frozenset()
    return frozenset(each.name for each in LISTS if each.holds(view))


def _membership_in(view: View, *states: str) -> bool:
    case = view.only("membership")
    return case is not None and case.state in states
