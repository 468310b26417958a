"""Orders: what the reseller places with Adobe, and what Adobe answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vipflow.errors import BadInput
from vipflow.operations.case_lists import case_page, one_case
from vipflow.operations.customer_lists import PAGE
from vipflow.operations.customers import buyer_of
from vipflow.operations.done import Done, perform
from vipflow.operations.installation import Installation
from vipflow.operations.products import asked_lines
from vipflow.operations.references import find, find_customer, own_reference
from vipflow.operations.rows import OrderRow, Page, order_row
from vipflow.operations.who import Who

RUNNING = ("placed",)
"""Those that wait for Adobe's answer: what the list shows unless other states are asked for."""


def place_for_authorizations(
    installation: Installation,
    who: Who,
    authorizations: Sequence[str],
    *,
    order_number: str | None = None,
    reference: str | None = None,
    id: str | None = None,
) -> Done:
    """Records the order that was placed for one or several authorizations of one customer, each as a whole."""
    if not authorizations:
        raise BadInput("the order", "it names no authorization", "name those that were ordered")
    found = [find(installation, who, each, "authorizations") for each in authorizations]
    customers = sorted({each.subject for each in found})
    if len(customers) > 1:
        raise BadInput(
            "the order", f"its authorizations belong to {', '.join(customers)}", "record one order per customer"
        )
    data = {"kind": "authorization", "authorizations": [each.ref for each in found], "order_number": order_number}
    return _place(installation, who, customers[0], data, reference, id)


def place_renewal(
    installation: Installation,
    who: Who,
    customer: str,
    products: Sequence[str] = (),
    *,
    order_number: str | None = None,
    reference: str | None = None,
    id: str | None = None,
) -> Done:
    """Records a renewal order: of `products` (texts `PRODUCT=QUANTITY`), or of all that is left to renew."""
    ref = find_customer(installation, who, customer)
    data = {"kind": "renewal", "lines": _lines(installation, who, ref, products), "order_number": order_number}
    return _place(installation, who, ref, data, reference, id)


def place_direct(
    installation: Installation,
    who: Who,
    customer: str,
    products: Sequence[str],
    *,
    order_number: str | None = None,
    reference: str | None = None,
    id: str | None = None,
) -> Done:
    """Records an order without authorization: the way for products that need none. [seed]"""
    ref = find_customer(installation, who, customer)
    data = {"kind": "direct", "lines": _lines(installation, who, ref, products), "order_number": order_number}
    return _place(installation, who, ref, data, reference, id)


def accept(
    installation: Installation, who: Who, order: str, *, order_number: str | None = None, id: str | None = None
) -> Done:
    """Records that Adobe accepted the order: its authorizations are paid, the renewal or the term begins."""
    return _answer(installation, who, order, "accept", {"order_number": order_number}, id)


def refuse(
    installation: Installation, who: Who, order: str, *, explanation: str | None = None, id: str | None = None
) -> Done:
    """Records that Adobe refused the order: its authorizations go back to where their dates say."""
    return _answer(installation, who, order, "refuse", {"explanation": explanation}, id)


def list_orders(
    installation: Installation,
    who: Who,
    *,
    states: Sequence[str] = RUNNING,
    customer: str | None = None,
    mine: bool = False,
    after: str | None = None,
    most: int = PAGE,
) -> Page:
    """Orders in these states (all states: an empty sequence), customer by customer in order of name."""
    return case_page(
        installation, who, "order", order_row, states=states, customer=customer, mine=mine, after=after, most=most
    )


def show_order(installation: Installation, who: Who, order: str) -> OrderRow:
    """The order of that reference or Adobe order number. Raises NotFound."""
    return one_case(installation, who, order, "orders", order_row)


def _lines(installation: Installation, who: Who, customer: str, products: Sequence[str]) -> list[dict[str, object]]:
    if not products:
        return []
    return asked_lines(installation.catalogue, products, buyer_of(installation, who, customer))


def _place(
    installation: Installation, who: Who, customer: str, data: Mapping[str, Any], reference: str | None, id: str | None
) -> Done:
    path = f"customers/{customer}" + (f"/orders/{own_reference(reference)}" if reference else "")
    return perform(installation, who, "order.place", path, data, customer=customer, what="the order", id=id)


def _answer(
    installation: Installation, who: Who, order: str, event: str, data: Mapping[str, Any], id: str | None
) -> Done:
    found = find(installation, who, order, "orders")
    path = f"customers/{found.subject}/orders/{found.ref}"
    what = f"order {found.ref}"
    return perform(installation, who, f"order.{event}", path, data, customer=found.subject, what=what, id=id)
