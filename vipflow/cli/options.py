"""Options that several commands share."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from vipflow.errors import BadInput

Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Show at most so many.", metavar="N")]
After = Annotated[
    str | None, typer.Option("--after", help="Go on behind this place: the page before says it.", metavar="CURSOR")
]
Ref = Annotated[
    str,
    typer.Argument(help="A reference (C-7K3F-9QTD), VIP number, PO number, order number or e-mail.", metavar="REF"),
]
PerhapsRef = Annotated[
    str | None,
    typer.Argument(help="A reference, VIP number, PO number, order number or e-mail; all if left out.", metavar="REF"),
]
PolicyName = Annotated[str, typer.Option("--policy", help="The policy whose numbers count.", metavar="NAME")]
Zone = Annotated[str, typer.Option("--zone", help="The time zone in which days begin and end.", metavar="ZONE")]
Numbers = Annotated[
    list[str] | None,
    typer.Option("--number", help="A number of the policy that is its own: order_due_days=21. Repeat.", metavar="N=V"),
]
DropNumbers = Annotated[
    list[str] | None,
    typer.Option("--drop-number", help="A number that is the policy's again. Repeat.", metavar="NAME"),
]


def numbers_given(given: list[str] | None) -> dict[str, Any]:
    """`order_due_days=21`, `renews_by_itself=true`, `invitation_reminder_days=[7,21]`: values as JSON writes them."""
    found: dict[str, Any] = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not equals or not name.strip():
            raise BadInput("--number", f"{each!r} is no number of a policy", "write NAME=VALUE, e.g. order_due_days=21")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value
    return found
