"""Purchase authorizations: licences at a customer's disposal before they are ordered. [seed]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from msgspec.structs import replace

from vipflow.engine.addresses import Found
from vipflow.operations.case_lists import case_page, one_case
from vipflow.operations.customer_lists import PAGE
from vipflow.operations.customers import facts_of_customer
from vipflow.operations.done import Done, perform
from vipflow.operations.installation import Installation
from vipflow.operations.products import Buyer, asked_lines
from vipflow.operations.references import find, find_customer, own_reference
from vipflow.operations.rows import AuthorizationRow, Page, authorization_row
from vipflow.operations.who import Who
from vipflow.workflow import Text

OPEN = ("pending", "late", "suspended")
"""Those that ask for an order: what the list shows unless other states are asked for."""

REMEMBER_TO_ORDER = Text(
    "Pensez à passer commande auprès d’Adobe via la procédure habituelle.",
    "Remember to place the order with Adobe in the usual way.",
)


def create(
    installation: Installation,
    who: Who,
    customer: str,
    products: Sequence[str],
    *,
    po_number: str | None = None,
    reference: str | None = None,
    by_customer: bool = False,
    id: str | None = None,
) -> Done:
    """Puts licences at the customer's disposal: `products` are texts `PRODUCT=QUANTITY`.

    The product is a SKU or part of a name; `reference` is the reseller's own. With `by_customer` it is recorded that
    the customer did so itself, in the Admin Console: never refused. Where it was created, the answer's remarks hold the
    reminder to place the order. [seed]
    """
    ref = find_customer(installation, who, customer)
    facts = facts_of_customer(installation, who, ref)
    lines = asked_lines(installation.catalogue, products, Buyer(facts.segment, facts.offer_types))
    path = f"customers/{ref}" + (f"/authorizations/{own_reference(reference)}" if reference else "")
    made = perform(
        installation,
        who,
        "purchase_authorization.add" if by_customer else "purchase_authorization.create",
        path,
        {"lines": lines, "po_number": po_number},
        customer=ref,
        what="the authorization",
        id=id,
    )
    return _reminded(made) if made.outcome == "applied" else made


def list_authorizations(
    installation: Installation,
    who: Who,
    *,
    states: Sequence[str] = OPEN,
    customer: str | None = None,
    mine: bool = False,
    after: str | None = None,
    most: int = PAGE,
) -> Page:
    """Authorizations in these states (all states: an empty sequence), customer by customer in order of name."""
    lists = ("pending", "late") if states and set(states) <= set(OPEN) else ()
    return case_page(
        installation,
        who,
        "purchase_authorization",
        authorization_row,
        states=states,
        customer=customer,
        mine=mine,
        after=after,
        most=most,
        lists=lists,
    )


def show_authorization(installation: Installation, who: Who, authorization: str) -> AuthorizationRow:
    """The authorization of that reference or PO number. Raises NotFound; BadInput where a PO number fits several."""
    return one_case(installation, who, authorization, "authorizations", authorization_row)


def cancel(
    installation: Installation, who: Who, authorization: str, *, reason: str | None = None, id: str | None = None
) -> Done:
    """Takes the licences back; only while it is pending. [seed]"""
    return _change(installation, who, authorization, "cancel", {}, reason=reason, id=id)


def promise(
    installation: Installation, who: Who, authorization: str, until: date, *, reason: str | None, id: str | None = None
) -> Done:
    """Notes that the customer promised to settle by a day: our mails to it are held until then, nothing else."""
    return _change(installation, who, authorization, "extend", {"until": until.isoformat()}, reason=reason, id=id)


def grant_extension(
    installation: Installation,
    who: Who,
    authorization: str,
    due_on: date,
    *,
    reason: str | None = None,
    id: str | None = None,
) -> Done:
    """Records that Adobe granted another due day: it and all that hangs on it move."""
    data = {"due_on": due_on.isoformat()}
    return _change(installation, who, authorization, "grant_extension", data, reason=reason, id=id)


def write_off(
    installation: Installation, who: Who, authorization: str, *, reason: str | None, id: str | None = None
) -> Done:
    """Gives up a late authorization: its licences are removed, the customer may buy again. Needs a reason."""
    return _change(installation, who, authorization, "write_off", {}, reason=reason, id=id)


def customer_paid(
    installation: Installation, who: Who, authorization: str, *, reason: str | None = None, id: str | None = None
) -> Done:
    """Records that the customer paid the reseller: mails to it about payment stop, the order becomes urgent."""
    return _change(installation, who, authorization, "customer_paid", {}, reason=reason, id=id)


def paid(
    installation: Installation,
    who: Who,
    authorization: str,
    *,
    order_number: str | None = None,
    reason: str | None = None,
    id: str | None = None,
) -> Done:
    """Records that Adobe accepted an order for it, of which nothing else is known here."""
    data = {"order_number": order_number}
    return _change(installation, who, authorization, "pay", data, reason=reason, id=id)


def payment_reversed(
    installation: Installation, who: Who, authorization: str, *, reason: str | None = None, id: str | None = None
) -> Done:
    """Records that Adobe took back that it is paid."""
    return _change(installation, who, authorization, "reverse_payment", {}, reason=reason, id=id)


def deactivated(
    installation: Installation, who: Who, authorization: str, *, reason: str | None = None, id: str | None = None
) -> Done:
    """Records that Adobe deactivated its licences."""
    return _change(installation, who, authorization, "deactivate", {}, reason=reason, id=id)


def restored(
    installation: Installation, who: Who, authorization: str, *, reason: str | None = None, id: str | None = None
) -> Done:
    """Records that Adobe restored its licences."""
    return _change(installation, who, authorization, "restore", {}, reason=reason, id=id)


def remind(
    installation: Installation, who: Who, authorization: str, *, reason: str | None = None, id: str | None = None
) -> Done:
    """Reminds the customer now."""
    return _change(installation, who, authorization, "remind", {}, reason=reason, id=id)


def _change(
    installation: Installation,
    who: Who,
    authorization: str,
    event: str,
    data: Mapping[str, Any],
    *,
    reason: str | None,
    id: str | None,
) -> Done:
    found = _found(installation, who, authorization)
    return perform(
        installation,
        who,
        f"purchase_authorization.{event}",
        f"customers/{found.subject}/authorizations/{found.ref}",
        data,
        customer=found.subject,
        what=f"authorization {found.ref}",
        reason=reason,
        id=id,
    )


def _found(installation: Installation, who: Who, authorization: str) -> Found:
    return find(installation, who, authorization, "authorizations")


def _reminded(made: Done) -> Done:
    return replace(made, remarks=(*made.remarks, REMEMBER_TO_ORDER))
