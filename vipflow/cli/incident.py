"""`vipflow incident …`: what needs a person."""

from __future__ import annotations

from typing import Annotated

import typer

from vipflow.cli.options import After, Limit
from vipflow.cli.session import Session, command, group


def add_to(app: typer.Typer) -> None:
    incident = group("incident", "See what stopped and needs a person.")
    command(incident, "list")(list_)
    command(incident, "show")(show)
    app.add_typer(incident)


def list_(
    session: Session,
    customer: Annotated[
        str | None, typer.Option("--customer", help="Only those of this customer.", metavar="REF")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only those of this kind.", metavar="KIND")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    limit: Limit = 100,
    after: After = None,
) -> None:
    """Lists the incidents that are open, the oldest first."""
    from vipflow.cli.output import when
    from vipflow.operations.inspection import incidents

    page = incidents(
        session.installation, session.who, customer=customer, kind=kind, closed=all_, limit=limit, after=after
    )
    zone = session.who.zone
    columns = {
        "Incident": lambda each: each.id,
        "Opened": lambda each: when(each.opened_at, zone),
        "Kind": lambda each: each.kind.replace("_", " "),
        "Case": lambda each: each.case or each.subject,
        "What happened": lambda each: each.says.en,
    }
    if all_:
        columns["Closed"] = lambda each: when(each.closed_at, zone)
    session.out.rows(page.items, columns, next=page.next, empty="No incident is open.")


def show(
    session: Session,
    ident: Annotated[str, typer.Argument(help="The incident's reference, as the list shows it.", metavar="INCIDENT")],
) -> None:
    """Shows one incident: what happened, when, to which record, and what caused it."""
    from vipflow.cli.output import facts_table, when
    from vipflow.operations.inspection import incident

    found = incident(session.installation, session.who, ident)
    zone = session.who.zone
    session.out.answer(
        found,
        f"{found.says.en}\n",
        facts_table(
            {
                "incident": found.id,
                "kind": found.kind.replace("_", " "),
                "event": found.event or None,
                "case": found.case,
                "customer": found.subject,
                "opened": when(found.opened_at, zone),
                "closed": f"{when(found.closed_at, zone)} by {found.closed_by}" if found.closed_at else None,
                "cause": found.cause,
            }
        ),
    )
    if found.case or found.subject:
        session.out.note(f"\nWhat went before: vipflow history {found.case or found.subject}")
