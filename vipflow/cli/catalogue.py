"""`vipflow catalogue …`: which products there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.options import After, Limit
from vipflow.cli.session import Session, command, group

if TYPE_CHECKING:
    from vipflow.operations.catalogue import CatalogueEntry

ForCustomer = Annotated[
    str | None,
    typer.Option("--customer", help="For this customer: reference, VIP number or e-mail.", metavar="REF"),
]


def add_to(app: typer.Typer) -> None:
    catalogue = group("catalogue", "See which products there are, who may buy them, and how.")
    command(catalogue, "list")(list_)
    command(catalogue, "show")(show)
    app.add_typer(catalogue)


def list_(
    session: Session,
    search: Annotated[
        str | None, typer.Option("--search", help="Words of the name, or the beginning of a SKU.", metavar="TEXT")
    ] = None,
    customer: ForCustomer = None,
    segment: Annotated[
        str | None, typer.Option("--segment", help="commercial, government or education.", metavar="SEGMENT")
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", help="teams, enterprise, device or consumable.", metavar="FAMILY")
    ] = None,
    category: Annotated[
        str | None, typer.Option("--category", help="Only those of this category.", metavar="NAME")
    ] = None,
    limit: Limit = 100,
    after: After = None,
) -> None:
    """Lists products by name: SKU, who may buy them, and whether by authorization or by direct order.

    A customer buys products of its own segment. Whether there are authorizations for a category is said by the policy
    of the reseller (or of the customer, with --customer). Products of your own stand in files that config.toml names
    under catalogues.
    """
    from vipflow.operations.catalogue import list_products

    page = list_products(
        session.installation,
        session.who,
        segment=segment,
        family=family,
        category=category,
        search=search,
        customer=customer,
        after=after,
        most=limit,
    )
    session.out.rows(
        page.items,
        {
            "SKU": lambda each: each.sku,
            "Product": lambda each: each.name,
            "Segment": lambda each: each.segment,
            "Family": lambda each: each.family,
            "Category": lambda each: each.category,
            "Bought by": _bought_by,
        },
        next=page.next,
        empty="No product fits.",
    )


def show(
    session: Session,
    product: Annotated[str, typer.Argument(help="SKU, the beginning of one, or part of the name.", metavar="PRODUCT")],
    customer: ForCustomer = None,
) -> None:
    """Shows a product: who may buy it, how, and how many at once."""
    from vipflow.cli.output import facts_table
    from vipflow.operations.catalogue import show_product

    found = show_product(session.installation, session.who, product, customer=customer)
    entry = found.product
    others = ", ".join(f"{segment} {sku}" for segment, sku in found.other_segments.items())
    session.out.answer(
        found,
        facts_table(
            {
                "Product": entry.name,
                "SKU": entry.sku,
                "Who may buy it": f"customers of the {entry.segment} segment",
                "For other segments": others or None,
                "Family": entry.family,
                "Category": entry.category,
                "Bought by": f"{_bought_by(entry)} (policy {found.policy} of {found.reseller})",
                "At most": f"{entry.at_most:,} licences in one line",
                "Counts for the discount level": entry.counts_for_discount,
            }
        ),
    )
    way = "authorization create CUSTOMER" if entry.by_authorization else "order place --direct CUSTOMER"
    session.out.note(f"\nTo buy: vipflow {way} --product {entry.sku}=QUANTITY")


def _bought_by(entry: CatalogueEntry) -> str:
    return "authorization, or direct order" if entry.by_authorization else "direct order only"
