"""Return authorizations: what was ordered and is to go back, asked of Adobe. [seed]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vipflow.operations.case_lists import case_page, one_case
from vipflow.operations.customer_lists import PAGE
from vipflow.operations.customers import facts_of_customer
from vipflow.operations.done import Done, perform
from vipflow.operations.installation import Installation
from vipflow.operations.products import Buyer, asked_lines
from vipflow.operations.references import find, own_reference
from vipflow.operations.rows import Page, ReturnRow, facts_of, return_row
from vipflow.operations.who import Who
from vipflow.store import reading

UNDECIDED = ("requested",)
"""Those that wait for Adobe's answer: what the list shows unless other states are asked for."""


def open_return(
    installation: Installation,
    who: Who,
    ordered: str,
    products: Sequence[str] = (),
    *,
    reason: str | None = None,
    reference: str | None = None,
    id: str | None = None,
) -> Done:
    """Asks for a return of `ordered`: an order by reference or Adobe number, or an authorization.

    Of `products` (texts `PRODUCT=QUANTITY`), or of all that remains.
    """
    found = find(installation, who, ordered, "orders", "authorizations")
    facts = facts_of_customer(installation, who, found.subject)
    with installation.database.read() as connection:
        case = reading.cases_by_ref(connection, who.tenant, [found.ref])[0]
    held = [line.sku for line in facts_of(installation, case).lines]
    lines = asked_lines(installation.catalogue, products, Buyer(facts.segment, facts.offer_types, held))
    named = "order" if found.workflow == "order" else "authorization"
    path = f"customers/{found.subject}" + (f"/returns/{own_reference(reference)}" if reference else "")
    return perform(
        installation,
        who,
        "return_request.open",
        path,
        {named: found.ref, "lines": lines},
        customer=found.subject,
        what="the return",
        reason=reason,
        id=id,
    )


def approve(
    installation: Installation, who: Who, return_request: str, *, explanation: str | None = None, id: str | None = None
) -> Done:
    """Records that Adobe granted the return: the licences are removed."""
    return _answer(installation, who, return_request, "approve", {"explanation": explanation}, id)


def refuse(
    installation: Installation, who: Who, return_request: str, *, explanation: str | None = None, id: str | None = None
) -> Done:
    """Records that Adobe refused the return: nothing changes."""
    return _answer(installation, who, return_request, "refuse", {"explanation": explanation}, id)


def list_returns(
    installation: Installation,
    who: Who,
    *,
    states: Sequence[str] = UNDECIDED,
    customer: str | None = None,
    mine: bool = False,
    after: str | None = None,
    most: int = PAGE,
) -> Page:
    """Return requests in these states (all states: an empty sequence), customer by customer in order of name."""
    return case_page(
        installation,
        who,
        "return_request",
        return_row,
        states=states,
        customer=customer,
        mine=mine,
        after=after,
        most=most,
    )


def show_return(installation: Installation, who: Who, return_request: str) -> ReturnRow:
    """The return request of that reference. Raises NotFound."""
    return one_case(installation, who, return_request, "returns", return_row)


def _answer(
    installation: Installation, who: Who, return_request: str, event: str, data: Mapping[str, Any], id: str | None
) -> Done:
    found = find(installation, who, return_request, "returns")
    path = f"customers/{found.subject}/returns/{found.ref}"
    what = f"return {found.ref}"
    return perform(installation, who, f"return_request.{event}", path, data, customer=found.subject, what=what, id=id)
