"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from vipflow.cli.completing import policies, zones

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
PolicyName = Annotated[
    str, typer.Option("--policy", help="The policy whose numbers count.", metavar="NAME", autocompletion=policies())
]
Zone = Annotated[
    str,
    typer.Option("--zone", help="The time zone in which days begin and end.", metavar="ZONE", autocompletion=zones()),
]
Numbers = Annotated[
    list[str] | None,
    typer.Option("--number", help="A number of the policy that is its own: order_due_days=21. Repeat.", metavar="N=V"),
]
