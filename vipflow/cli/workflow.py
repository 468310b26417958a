"""`vipflow workflow …`: the state machines, as tables and as diagrams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from vipflow.cli.completing import workflows
from vipflow.cli.session import Session, command, group

Name = Annotated[
    str,
    typer.Argument(
        help="The workflow, such as purchase_authorization.", metavar="WORKFLOW", autocompletion=workflows()
    ),
]


def add_to(app: typer.Typer) -> None:
    workflow = group("workflow", "Look at the workflows: states, events, timers, mails.")
    command(workflow, "list", needs="files")(list_)
    command(workflow, "show", needs="files")(show)
    command(workflow, "graph", needs="files")(graph)
    app.add_typer(workflow)


def list_(session: Session) -> None:
    """Lists the workflows and the events that may be sent to them.

    The clock and follow-ups send others.
    """
    from vipflow.operations.workflows import workflows_known

    session.out.rows(
        workflows_known(session.files),
        {
            "Workflow": lambda each: each.name,
            "What it is": lambda each: each.title.en,
            "References": lambda each: f"{each.prefix}-…",
            "States": lambda each: len(each.states),
            "Requests (may be refused)": lambda each: ", ".join(each.requests),
            "Reports (always recorded)": lambda each: ", ".join(each.reports),
        },
    )


def show(session: Session, name: Name) -> None:
    """Shows the states, events, timers and mails of a workflow."""
    from vipflow.cli.output import table
    from vipflow.operations.workflows import workflow_told

    found = workflow_told(session.files, name)
    tables: list[tuple[Sequence[Any], dict[str, Callable[[Any], Any]]]] = [
        (
            found.states,
            {
                "State": lambda each: each.name,
                "People say": lambda each: each.label.en,
                "": lambda each: each.remark,
            },
        ),
        (
            found.events,
            {
                "Event": lambda each: each.name,
                "Kind": lambda each: each.kind,
                "From": lambda each: ", ".join(each.sources) or "(opens a case)",
                "To": lambda each: ", ".join(each.targets),
                "Takes": lambda each: ", ".join(each.takes),
            },
        ),
        (
            [each for each in found.events if each.guards or each.then],
            {
                "Event": lambda each: each.name,
                "Stopped by": lambda each: ", ".join(each.guards),
                "Then sends": lambda each: ", ".join(each.then),
            },
        ),
        (
            found.timers,
            {
                "While": lambda each: each.state,
                "Timer": lambda each: each.rule,
                "Sends": lambda each: each.sends,
            },
        ),
        (
            found.mails,
            {
                "Mail": lambda each: each.template,
                "To": lambda each: each.to,
                "When": lambda each: ", ".join(each.on),
            },
        ),
    ]
    shown: list[Any] = [f"{found.title.en}: {found.about}"]
    for items, columns in tables:
        if items:
            shown += ["", table(columns, items)]
    session.out.answer(found, *shown)


def graph(session: Session, name: Name) -> None:
    """Draws a workflow as a Mermaid state diagram."""
    from vipflow.operations.workflows import mermaid

    drawn = mermaid(session.files, name)
    if session.out.json:
        session.out.write_json({"workflow": name, "mermaid": drawn})
    else:
        typer.echo(drawn)
