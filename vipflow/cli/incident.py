"""`vipflow incident …`: what needs a person, by cause or one by one; tried again, or dismissed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.options import After, Limit
from vipflow.cli.session import Session, command, group

if TYPE_CHECKING:
    from vipflow.operations.incidents import Settling

Named = Annotated[
    str | None, typer.Argument(help="The incident's reference, as the list shows it.", metavar="INCIDENT")
]
Cause = Annotated[
    str | None, typer.Option("--cause", help="All open incidents of this cause (G-7K3F-9QTD).", metavar="GROUP")
]
Kind = Annotated[str | None, typer.Option("--kind", help="Only those of this kind.", metavar="KIND")]


def add_to(app: typer.Typer) -> None:
    incident = group("incident", "See what stopped and needs a person; try it again, or dismiss it.")
    command(incident, "list", rows="vipflow.operations.inspection.IncidentEntry")(list_)
    command(incident, "show")(show)
    command(incident, "retry", act="rehearsed")(retry)
    command(incident, "dismiss", act="rehearsed")(dismiss)
    app.add_typer(incident)


def list_(
    session: Session,
    each: Annotated[bool, typer.Option("--each", help="One by one, instead of by cause.")] = False,
    customer: Annotated[
        str | None, typer.Option("--customer", help="Only those of this customer, one by one.", metavar="REF")
    ] = None,
    kind: Kind = None,
    all_: Annotated[bool, typer.Option("--all", help="Closed ones too, one by one.")] = False,
    limit: Limit = 100,
    after: After = None,
) -> None:
    """Lists what is open by cause, the most frequent first; with --each one by one, the oldest first; so as CSV too."""
    if each or all_ or customer is not None or after is not None or session.out.csv:
        _list_each(session, customer, kind, all_, limit, after)
        return
    from vipflow.cli.output import when
    from vipflow.operations.incidents import incident_groups

    zone = session.who.zone
    groups = incident_groups(session.installation, session.who, kind=kind)
    session.out.rows(
        groups,
        {
            "Cause": lambda row: row.group,
            "Open": lambda row: row.count,
            "Since": lambda row: when(row.first_at, zone),
            "Last": lambda row: when(row.last_at, zone),
            "Kind": lambda row: row.kind.replace("_", " "),
            "What they have in common": lambda row: row.fault,
            "What helps": lambda row: row.remedy.en,
        },
        empty="No incident is open.",
    )
    if groups:
        session.out.note("One cause with all its incidents: vipflow incident show CAUSE; all one by one: --each")


def _list_each(
    session: Session, customer: str | None, kind: str | None, all_: bool, limit: int, after: str | None
) -> None:
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
        columns["How"] = lambda each: ": ".join(filter(None, (each.outcome, each.remark)))
    session.out.rows(page.items, columns, next=page.next, empty="No incident is open.")


def show(
    session: Session,
    ident: Annotated[
        str,
        typer.Argument(help="An incident (N-7K3F-9QTD) or a cause (G-7K3F-9QTD), as lists show it.", metavar="REF"),
    ],
    limit: Limit = 100,
    after: After = None,
) -> None:
    """Shows one incident, or a cause with its open incidents, and what usually helps."""
    if ident.strip().upper().startswith("G-"):
        _show_group(session, ident, limit, after)
        return
    from vipflow.cli.output import facts_table, when
    from vipflow.operations.incidents import remedy_of
    from vipflow.operations.inspection import incident

    found = incident(session.installation, session.who, ident)
    zone = session.who.zone
    how = f", {found.outcome}" if found.outcome else ""
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
                "closed": f"{when(found.closed_at, zone)} by {found.closed_by}{how}" if found.closed_at else None,
                "why": found.remark,
                "cause": found.cause,
                "what helps": remedy_of(found.kind).en if found.closed_at is None else None,
            }
        ),
    )
    if found.case or found.subject:
        session.out.note(f"\nWhat went before: vipflow history {found.case or found.subject}")


def _show_group(session: Session, ident: str, limit: int, after: str | None) -> None:
    from vipflow.cli.output import table, when
    from vipflow.operations.incidents import incident_group

    found, page = incident_group(session.installation, session.who, ident, after=after, most=limit)
    zone = session.who.zone
    if session.out.json:
        session.out.write_json({"group": found, "incidents": page.items, "next": page.next})
        return
    say = session.out.console.print
    say(f"{found.kind.replace('_', ' ').capitalize()}: {found.fault}", highlight=False, markup=False)
    say(f"What helps: {found.remedy.en}\n", highlight=False, markup=False)
    columns = {
        "Incident": lambda each: each.id,
        "Opened": lambda each: when(each.opened_at, zone),
        "Case": lambda each: each.case or each.subject,
        "What happened": lambda each: each.says.en,
    }
    say(table(columns, page.items))
    if page.next is not None:
        session.out.note(f"There are more: --after {page.next}")
    session.out.note(f"All of them: vipflow incident retry --cause {found.group}")


def retry(
    session: Session,
    ident: Named = None,
    cause: Cause = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="What was mended: kept with the incident.", metavar="TEXT")
    ] = None,
) -> None:
    """Tries again what one incident stopped, or all of one cause."""
    from vipflow.operations.incidents import retry_incidents

    _show_settled(session, retry_incidents(session.installation, session.who, ident, group=cause, reason=reason))


def dismiss(
    session: Session,
    reason: Annotated[str, typer.Option("--reason", help="Why: kept with the incident.", metavar="TEXT")],
    ident: Named = None,
    cause: Cause = None,
) -> None:
    """Closes one incident, or all of one cause, and does nothing else: what it stopped stays stopped."""
    from vipflow.operations.incidents import dismiss_incidents

    _show_settled(session, dismiss_incidents(session.installation, session.who, ident, group=cause, reason=reason))


def _show_settled(session: Session, done: Settling) -> None:
    from vipflow.cli.hold import refused
    from vipflow.cli.output import REFUSED

    if session.out.json:
        session.out.write_json(done)
    if done.refused is not None:
        refused(session, done.refused)
    if not session.out.json:
        for each in done.settled:
            says = f"{each.id} {each.outcome.replace('_', ' ')}. {each.says}"
            session.out.console.print(says, highlight=False, markup=False, soft_wrap=True)
    if done.settled and all(each.outcome in ("nothing_to_retry", "still_waiting") for each in done.settled):
        raise typer.Exit(REFUSED)
