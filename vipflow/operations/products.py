"""Products as people name them: a SKU, the beginning of one, or part of a name; and lines of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from vipflow.errors import BadInput, NotFound
from vipflow.misfits import short
from vipflow.vip.catalogue import Catalogue, Product
from vipflow.vip.customers import folded
from vipflow.vip.numbers import Segment
from vipflow.vip.records import Line

SKU_LENGTH = 15
MOST = 1_000_000_000
"""Of one product at once: what a line of an event may hold."""


class ProductLine(msgspec.Struct, frozen=True):
    """So many licences of a product, by name. A product that the catalogue does not know is called by its SKU."""

    sku: str
    product: str
    quantity: int


def named_lines(catalogue: Catalogue, lines: Sequence[Line]) -> tuple[ProductLine, ...]:
    """Lines with the names of their products."""
    found = ((line, catalogue.get(line.sku)) for line in lines)
    return tuple(ProductLine(line.sku, product.name if product else line.sku, line.quantity) for line, product in found)


class Buyer(NamedTuple):
    """For whom products are named: what fits several is looked for in `held` first, then in the types it is offered."""

    segment: Segment | None = None
    offer_types: Collection[str] = ()
    held: Collection[str] = ()
    """SKUs."""


ANYBODY = Buyer()


def asked_lines(catalogue: Catalogue, texts: Sequence[str], buyer: Buyer) -> list[dict[str, object]]:
    """`PRODUCT=QUANTITY` of each text, as the data of events hold lines; see `find_product`.

    Raises BadInput for what is no such pair or fits several products, NotFound for a product that does not exist.
    """
    return [_asked(catalogue, text, buyer) for text in texts]


def _asked(catalogue: Catalogue, text: str, buyer: Buyer) -> dict[str, object]:
    name, equals, quantity = text.rpartition("=")
    what, remedy = f"the product {short(text)}", "write PRODUCT=QUANTITY, for example Photoshop=5"
    if not equals or not name.strip() or not quantity.strip():
        raise BadInput(what, "it does not say how many" if name.strip() or not equals else "it names none", remedy)
    many = quantity.strip()
    if not many.isascii() or not many.isdigit():
        raise BadInput(what, f"{short(many)} is no quantity", "write a whole number in digits, for example Photoshop=5")
    if int(many[:20]) == 0:
        raise BadInput(what, "none is not a quantity", "write 1 or more")
    if int(many[:20]) > MOST:
        raise BadInput(what, "nobody has so many", f"write at most {MOST:,}")
    return {"sku": find_product(catalogue, name, buyer).sku, "quantity": int(many)}


def find_product(catalogue: Catalogue, name: str, buyer: Buyer = ANYBODY) -> Product:
    """The one product that `name` means: its SKU, a beginning of the SKU that fits no other, or a part of its name.

    A part of a name is looked for in the buyer's segment. Raises NotFound, or BadInput with the candidates.
    """
    wanted = name.strip()
    sku = wanted.upper()
    known = catalogue.get(sku)
    if known is not None:
        return known
    if len(sku) == SKU_LENGTH and sku[:8].isdigit():
        return catalogue.require(sku)
    here = catalogue.for_segment(buyer.segment) if buyer.segment is not None else tuple(catalogue)
    found = (
        [product for product in here if product.sku.startswith(sku)] if sku[:4].isdigit() else _by_name(here, wanted)
    )
    for narrower in (
        found,
        [product for product in found if product.sku in buyer.held],
        [product for product in found if product.family in buyer.offer_types],
    ):
        if len(narrower) == 1:
            return narrower[0]
    if found:
        several = ", ".join(f"{product.name} ({product.sku})" for product in found)
        remedy = "write more of the name, or the SKU"
        raise BadInput(f"the product {wanted!r}", f"it fits {len(found)}: {several}", remedy)
    among = f" of the {buyer.segment} segment" if buyer.segment is not None else ""
    raise NotFound(f"product{among} like", wanted, _offer(here))


def _by_name(products: Sequence[Product], wanted: str) -> list[Product]:
    """Products of exactly that name; else those whose name holds it as it is; else those that hold all its words."""
    text = folded(wanted)
    exact = [product for product in products if folded(product.name) == text]
    within = [product for product in products if text in folded(product.name)]
    words = [product for product in products if all(word in folded(product.name) for word in text.split())]
    return exact or within or words


def _offer(products: Sequence[Product]) -> str:
    return "there are: " + ", ".join(sorted({product.name for product in products}))
