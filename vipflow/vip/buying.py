"""What stands in the way of buying: obstacles that authorizations and direct orders share.

Each takes (facts, data, view) as every guard does; `data.lines` holds what is asked for.
"""

from collections.abc import Iterator
from typing import Any

from vipflow.case import View
from vipflow.vip.catalogue import Catalogue, Product
from vipflow.vip.customers import customer_of, invitation_state
from vipflow.vip.forms import lines_of
from vipflow.vip.records import Line
from vipflow.vip.wording import listed, says
from vipflow.workflow import Reason

SEGMENTS = {
    "commercial": ("commercial", "commercial"),
    "government": ("secteur public", "government"),
    "education": ("éducation", "education"),
}


def invitation_withdrawn(_facts: Any, _data: Any, view: View) -> Reason | None:
    """Somebody whose invitation was withdrawn is no customer."""
    if invitation_state(view) != "withdrawn":
        return None
    return Reason(
        "invitation_withdrawn",
        says(
            "L'invitation de ce client a été retirée : rien ne peut plus être commandé pour lui.",
            "This customer's invitation was withdrawn: nothing can be ordered for it any more.",
        ),
        unblock=says("Invitez de nouveau la société.", "Invite the company again."),
    )


def late_payment(_facts: Any, _data: Any, view: View) -> Reason | None:
    """Late blocks buying, until everything is settled. [seed]"""
    late = [case.ref for case in view.of("purchase_authorization") if case.state in ("late", "suspended")]
    if not late:
        return None
    return Reason(
        "late_payment",
        says(
            f"Le client accuse un retard de paiement ({listed(late)}) : l'achat de nouveaux produits est suspendu "
            "tant que tous les paiements n'ont pas été régularisés.",
            f"The customer is late in paying ({listed(late)}): "
            "buying new products is suspended until all payments are settled.",
        ),
        {"late": late},
        says(
            "Passez commande auprès d'Adobe pour ces autorisations.",
            "Order from Adobe for these authorizations.",
        ),
    )


def unknown_product(_facts: Any, data: Any, view: View) -> Reason | None:
    """Only what stands in the catalogue can be bought."""
    catalogue = _catalogue(view)
    unknown = [line.sku for line in _asked(data) if line.sku not in catalogue]
    if not unknown:
        return None
    near = [f"{product.sku} ({product.name})" for sku in unknown for product in catalogue.close_to(sku)]
    return Reason(
        "unknown_product",
        says(
            f"Référence absente du catalogue : {listed(unknown)}.",
            f"Not in the catalogue: {listed(unknown)}.",
        ),
        {"unknown": unknown},
        says(f"Produits proches : {listed(near)}.", f"Products close to it: {listed(near)}.")
        if near
        else says(
            "Donnez la référence comme Adobe l'écrit, par exemple 65304579CA01A12.",
            "Give the SKU as Adobe writes it, such as 65304579CA01A12.",
        ),
    )


def wrong_segment(_facts: Any, data: Any, view: View) -> Reason | None:
    """A customer buys only its segment's products. [adobe]"""
    customer = customer_of(view)
    if customer is None:
        return None
    wrong = [product for _, product in _products(data, view) if product.segment != customer.segment]
    if not wrong:
        return None
    names = listed(product.name for product in wrong)
    fr, en = SEGMENTS[customer.segment]
    return Reason(
        "wrong_segment",
        says(
            f"Le client relève du segment « {fr} » ; ces produits sont d'un autre : {names}.",
            f"The customer is of the {en} segment; these products are of another: {names}.",
        ),
        {"segment": customer.segment, "products": [product.sku for product in wrong]},
        says(f"Choisissez des produits du segment « {fr} ».", f"Choose products of the {en} segment."),
    )


def product_without_authorization(_facts: Any, data: Any, view: View) -> Reason | None:
    """There is no authorization for some categories: they are ordered from Adobe directly. [seed]"""
    direct = [product for _, product in _products(data, view) if product.needs_direct_order(view.policy)]
    if not direct:
        return None
    names = listed(product.name for product in direct)
    return Reason(
        "product_without_authorization",
        says(
            f"Pas d'autorisation d'achat pour : {names}. Commandez ces licences directement auprès d'Adobe.",
            f"No purchase authorization for: {names}. Order these licences directly from Adobe.",
        ),
        {"products": [product.sku for product in direct], "instead": "order.place", "kind": "direct"},
        says("Enregistrez une commande directe.", "Record a direct order."),
    )


def too_many_licences(_facts: Any, data: Any, view: View) -> Reason | None:
    """So many licences of a product, so many lines, and no more. [adobe]"""
    policy = view.policy
    if len(data.lines) > policy.lines_at_most:
        return Reason(
            "too_many_lines",
            says(
                f"{len(data.lines)} lignes : {policy.lines_at_most} au plus.",
                f"{len(data.lines)} lines: {policy.lines_at_most} at most.",
            ),
            {"lines": len(data.lines), "at_most": policy.lines_at_most},
            says("Répartissez-les sur plusieurs demandes.", "Spread them over several requests."),
        )
    for line, product in _products(data, view):
        most = product.quantity_at_most(policy)
        if line.quantity > most:
            return Reason(
                "too_many_licences",
                says(
                    f"{product.name} : {line.quantity} licences demandées, {most} au plus.",
                    f"{product.name}: {line.quantity} licences asked for, {most} at most.",
                ),
                {"sku": line.sku, "quantity": line.quantity, "at_most": most},
                says("Diminuez la quantité.", "Lower the quantity."),
            )
    return None


NEW_PRODUCTS = [invitation_withdrawn, late_payment, unknown_product, wrong_segment, too_many_licences]
"""What stands in the way of any new products, however they are bought."""


def _asked(data: Any) -> tuple[Line, ...]:
    return lines_of(data.lines)


def _products(data: Any, view: View) -> Iterator[tuple[Line, Product]]:
    """What is asked for, as far as the catalogue knows it."""
    catalogue = _catalogue(view)
    for line in _asked(data):
        product = catalogue.get(line.sku)
        if product is not None:
            yield line, product


def _catalogue(view: View) -> Catalogue:
    catalogue: Catalogue = view.trade.catalogue
    return catalogue
