"""A customer's licences: which products, how many, and how sure each is."""

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

from vipflow.case import Case, View
from vipflow.vip.calendar import DiscountLevel, discount_level
from vipflow.vip.records import Authorization, Line, Lines, Membership, together, total_of

Status: TypeAlias = Literal["paid", "at_disposal", "ordered", "late", "deactivated", "removed"]
"""`paid`: Adobe accepted them. `at_disposal`, `ordered`, `late`: usable, not paid. `deactivated`: expected so, or
reported. `removed`: the last closing removed them."""

LIVE_AUTHORIZATIONS = ("pending", "ordered", "late", "suspended")
_STATUS_OF: dict[str, Status] = {"pending": "at_disposal", "ordered": "ordered", "late": "late"}


class Holding(msgspec.Struct, frozen=True):
    """So many licences of a product that are in one way."""

    sku: str
    quantity: int
    status: Status
    usable: bool
    confirmed: bool
    """False where the clock concluded it and nobody reported it."""
    authorization: str | None = None


def holdings(view: View) -> tuple[Holding, ...]:
    """Every licence that the customer holds, paid ones first, then authorization by authorization."""
    return (*_of_the_membership(view), *_of_authorizations(view))


def usable_lines(view: View) -> Lines:
    """What the customer can use today, each product once."""
    return together(Line(holding.sku, holding.quantity) for holding in holdings(view) if holding.usable)


def licence_count(view: View) -> int:
    """How many licences the customer can use."""
    held = total_of(confirmed_lines(view))
    return held + sum([total_of(case.facts.lines) for case in live_authorizations(view) if _usable(case)])


def confirmed_lines(view: View) -> Lines:
    """What Adobe accepted and the term still holds."""
    return lines_of_the_term(view.only("membership"))


def lines_of_the_term(membership: Case | None) -> Lines:
    """The same, of the membership at hand."""
    if membership is None or membership.state == "expired":
        return ()
    facts: Membership = membership.facts
    return facts.licences


def current_discount_level(view: View) -> DiscountLevel:
    """The level that the usable licences reach, consumables apart."""
    catalogue = view.trade.catalogue
    counted = 0
    for line in usable_lines(view):
        product = catalogue.get(line.sku)
        if product is None or product.counts_for_discount:
            counted += line.quantity
    case = view.only("membership")
    policy = view.policies[case.policy] if case is not None else view.trade.policy_in_force(view)
    return discount_level(counted, policy)


def live_authorizations(view: View) -> Iterator[Case]:
    """The authorizations that still ask for something."""
    return (case for case in view.of("purchase_authorization") if case.state in LIVE_AUTHORIZATIONS)


def _usable(authorization: Case) -> bool:
    return authorization.state != "suspended" and authorization.facts.deactivated_on is None


def _of_the_membership(view: View) -> Iterator[Holding]:
    case = view.only("membership")
    if case is None:
        return
    membership: Membership = case.facts
    for line in lines_of_the_term(case):
        yield Holding(line.sku, line.quantity, "paid", True, True)
    if case.state == "expired":
        for line in membership.lapsed:
            yield Holding(line.sku, line.quantity, "removed", False, False)


def _of_authorizations(view: View) -> Iterator[Holding]:
    for case in live_authorizations(view):
        facts: Authorization = case.facts
        reported = facts.deactivated_on is not None
        usable = _usable(case)
        status: Status = _STATUS_OF[case.state] if usable else "deactivated"
        for line in facts.lines:
            yield Holding(line.sku, line.quantity, status, usable, usable or reported, case.ref)
