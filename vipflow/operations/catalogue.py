"""The catalogue as people look at it: what there is, who may buy it, and how, by the reseller's policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import get_args

import msgspec

from vipflow.days import local_day
from vipflow.errors import BadInput, NotFound, did_you_mean
from vipflow.operations.customers import facts_of_customer
from vipflow.operations.installation import Installation
from vipflow.operations.products import SKU_LENGTH, Buyer, find_product
from vipflow.operations.references import find_customer
from vipflow.operations.resellers import show_reseller
from vipflow.operations.rows import Page, page_of
from vipflow.operations.who import Who
from vipflow.policy import Policy
from vipflow.vip.catalogue import Family, Product
from vipflow.vip.customers import folded
from vipflow.vip.numbers import Segment


class CatalogueEntry(msgspec.Struct, frozen=True):
    """A product. `by_authorization`: licences of it may be put at a customer's disposal; else it is ordered from Adobe
    directly. `at_most`: licences in one line.
    """

    sku: str
    name: str
    segment: Segment
    family: Family
    category: str | None
    by_authorization: bool
    counts_for_discount: bool
    at_most: int


class ProductPage(msgspec.Struct, frozen=True):
    """A product, what it is called in other segments (SKU by segment), and whose policy counts."""

    product: CatalogueEntry
    other_segments: dict[Segment, str]
    policy: str
    reseller: str


def list_products(
    installation: Installation,
    who: Who,
    *,
    segment: str | None = None,
    family: str | None = None,
    category: str | None = None,
    search: str | None = None,
    customer: str | None = None,
    after: str | None = None,
    most: int = 100,
) -> Page:
    """Products (`CatalogueEntry`) by name, of all segments or of one; or those that a customer may buy, the types first
    that it is offered.

    `search` is words of the name or the beginning of a SKU. Raises BadInput for a segment, family or category that
    there is not, NotFound for a customer, and for a search that finds nothing, with what comes close.
    """
    _check(segment, get_args(Segment), "the segment")
    _check(family, get_args(Family), "the family")
    _check(category, sorted({p.category for p in installation.catalogue if p.category}), "the category")
    buyer, policy = _buyer(installation, who, customer)
    found = [
        product
        for product in installation.catalogue
        if segment in (None, product.segment)
        and buyer.segment in (None, product.segment)
        and family in (None, product.family)
        and category in (None, product.category)
    ]
    if search is not None:
        found = _searched(found, search.strip())

    def place(product: Product) -> tuple[str, ...]:
        return ("0" if product.family in buyer.offer_types else "1", folded(product.name), product.sku)

    page = page_of(found, place, after, most)
    return Page(tuple(_entry(product, policy) for product in page.items), page.next)


def show_product(installation: Installation, who: Who, name: str, *, customer: str | None = None) -> ProductPage:
    """The one product that `name` means, as in every command: SKU, a beginning of it, or a part of the name.

    Raises NotFound with what comes close, BadInput with the candidates where it fits several.
    """
    buyer, policy = _buyer(installation, who, customer)
    product = find_product(installation.catalogue, name, buyer)
    others = {
        each.segment: each.sku
        for each in installation.catalogue
        if each.name == product.name and each.segment != product.segment
    }
    return ProductPage(_entry(product, policy), others, policy.name, who.key)


def _buyer(installation: Installation, who: Who, customer: str | None) -> tuple[Buyer, Policy]:
    """For whom, and the policy in force: the reseller's, with its own numbers and the customer's."""
    reseller = show_reseller(installation, who.key)
    buyer, own = Buyer(), {}
    if customer is not None:
        facts = facts_of_customer(installation, who, find_customer(installation, who, customer))
        buyer, own = Buyer(facts.segment, facts.offer_types), facts.overrides
    today = local_day(who.on or installation.clock.now(), who.zone)
    return buyer, installation.policy_book.in_force(reseller.policy, today, reseller.overrides, own)


def _searched(products: Sequence[Product], text: str) -> list[Product]:
    words = folded(text).split()
    if not words:
        raise BadInput("the search", "it is empty", "give words of the name, or the beginning of a SKU")
    found = [
        product
        for product in products
        if product.sku.startswith(text.upper()) or all(word in folded(product.name) for word in words)
    ]
    if not found:
        raise NotFound("product like", text, _close(products, text))
    return found


def _close(products: Iterable[Product], text: str) -> str:
    """What was perhaps meant: a SKU, a name, or a word of one."""
    known = {folded(product.name): product.name for product in products}
    known |= {word: word for name in list(known) for word in name.split() if len(word) > 3}
    known |= {product.sku.lower(): f"{product.sku} ({product.name})" for product in products if len(text) <= SKU_LENGTH}
    near = dict.fromkeys(known[each] for each in get_close_matches(folded(text), known, n=3))
    return f"did you mean {' or '.join(near)}?" if near else "`vipflow catalogue list` shows what there is"


def _entry(product: Product, policy: Policy) -> CatalogueEntry:
    return CatalogueEntry(
        product.sku,
        product.name,
        product.segment,
        product.family,
        product.category,
        not product.needs_direct_order(policy),
        product.counts_for_discount,
        product.quantity_at_most(policy),
    )


def _check(given: str | None, valid: Sequence[str], what: str) -> None:
    if given is not None and given not in valid:
        raise BadInput(what, f"there is no {given!r}{did_you_mean(given, valid)}", f"choose {', '.join(valid)}")
