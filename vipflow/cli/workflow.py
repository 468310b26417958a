"""`vipflow workflow …`: the state machines, as tables and as diagrams; and what becomes of cases when they change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.completing import workflows
from vipflow.cli.session import Session, command, group
from vipflow.errors import BadInput

if TYPE_CHECKING:
    from vipflow.cli.output import Output
    from vipflow.operations.mapping import Applied, Plan

Name = Annotated[
    str,
    typer.Argument(
        help="The workflow, such as purchase_authorization.", metavar="WORKFLOW", autocompletion=workflows()
    ),
]


def add_to(app: typer.Typer) -> None:
    workflow = group("workflow", "Look at the workflows: states, events, timers, mails. Map cases when a file changed.")
    command(workflow, "list", needs="files", rows="vipflow.operations.workflows.WorkflowEntry")(list_)
    command(workflow, "show", needs="files")(show)
    command(workflow, "graph", needs="files")(graph)
    command(workflow, "apply", needs="database")(apply)
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


def apply(
    session: Session,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state", help="What a state becomes: loan.late=overdue. May be repeated.", metavar="WORKFLOW.OLD=NEW"
        ),
    ] = None,
    timer: Annotated[
        list[str] | None,
        typer.Option(
            "--timer",
            help="What a timer becomes, its day kept: loan.remind_7=remind. May be repeated.",
            metavar="WORKFLOW.OLD=NEW",
        ),
    ] = None,
    drop_timer: Annotated[
        list[str] | None,
        typer.Option("--drop-timer", help="A timer that ends: loan.remind. May be repeated.", metavar="WORKFLOW.TIMER"),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", help="Read what becomes of them from this TOML file.", metavar="FILE"),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", help="Why: it stays in the history of each case.", metavar="TEXT")
    ] = "the workflow file changed",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
) -> None:
    """Maps stored cases to a changed workflow file: shows what becomes of them, and does it.

    A state or timer that is stored and not declared any more stops the start until this is done. Near names are
    proposed; say the others. Each case keeps a row of history of it. Done twice it does nothing.
    """
    from vipflow.cli.output import BAD_INPUT, FAULT
    from vipflow.operations.mapping import apply as do_it
    from vipflow.operations.mapping import plan
    from vipflow.operations.mapping_wishes import wishes_of

    out = session.out
    wishes = wishes_of(state or (), timer or (), drop_timer or (), mapping)
    shown = plan(session.installation, wishes)
    doing = not dry_run and not shown.empty and not shown.open and bool(shown.states or shown.timers)
    if not (out.json and doing):
        out.answer(shown, *_plan_shown(shown))
    if shown.open or (shown.cannot and not doing):
        for problem in (*shown.open, *shown.cannot):
            out.problem(f"  - {problem}")
        raise typer.Exit(BAD_INPUT if shown.open else FAULT)
    if not doing:
        return
    if not yes:
        if out.json:
            raise BadInput("--json", "nobody can be asked", "add --yes to do it, or --dry-run to see it")
        typer.confirm(f"Amend {shown.cases:,} case{'' if shown.cases == 1 else 's'}?", abort=True, err=True)
    done = do_it(session.installation, wishes, reason=reason)
    out.answer(done, *_done_shown(done))
    _tell_left(out, done)
    if done.left or not done.fits:
        raise typer.Exit(FAULT)


def _plan_shown(shown: Plan) -> list[Any]:
    from vipflow.cli.output import table

    if shown.empty:
        return ["Everything stored fits the workflow files: nothing to do.", *_notes(shown)]
    told: list[Any] = []
    if shown.states:
        columns: dict[str, Callable[[Any], Any]] = {
            "Workflow": lambda each: each.workflow,
            "State": lambda each: each.state,
            "Becomes": lambda each: each.becomes or "?",
            "Cases": lambda each: each.cases,
            "": lambda each: "proposed" if each.proposed and each.becomes else "",
        }
        told += [table(columns, shown.states)]
    if shown.timers:
        of_timers: dict[str, Callable[[Any], Any]] = {
            "Workflow": lambda each: each.workflow,
            "In state": lambda each: each.state,
            "Timer": lambda each: each.timer,
            "Becomes": lambda each: _timer_becomes(each.how, each.becomes),
            "Timers": lambda each: each.timers,
            "": lambda each: "proposed" if each.proposed and each.how != "open" else "",
        }
        told += [*([""] if told else []), table(of_timers, shown.timers)]
    if shown.cases:
        told += ["", *_counts(shown)]
    return [*told, *_notes(shown)]


def _timer_becomes(how: str, becomes: str | None) -> str:
    match how:
        case "kept":
            return f"{becomes}, on the same day"
        case "counted anew":
            return f"{becomes}, counted anew" if becomes else "counted anew, as the file says"
        case "dropped":
            return "(dropped)"
        case _:
            return "?"


def _counts(shown: Plan) -> list[str]:
    cases = f"{shown.cases:,} case{'' if shown.cases == 1 else 's'} to amend"
    if shown.foreseen < shown.cases:
        cases += f"; of the first {shown.foreseen:,}"
    told = [f"{cases}: {_timers(shown.armed)} armed anew, {shown.dropped:,} dropped; {shown.at_once:,} due at once."]
    return told + [f"Would be left: {each}" for each in shown.held_back[:10]]


def _timers(count: int) -> str:
    return f"{count:,} timer{'' if count == 1 else 's'}"


def _notes(shown: Plan) -> list[str]:
    return [f"Note: {note}." for note in shown.notes]


def _done_shown(done: Applied) -> list[str]:
    amended = f"{done.amended:,} case{'' if done.amended == 1 else 's'} amended."
    return [amended, "Everything stored fits the workflow files."] if done.fits else [amended]


def _tell_left(out: Output, done: Applied) -> None:
    if out.json:
        return
    for each in done.left[:20]:
        out.problem(f"Left as it is: {each}")
    if done.left[20:]:
        out.problem(f"… and {len(done.left) - 20:,} more.")
    for problem in done.plan.cannot:
        out.problem(f"  - {problem}")
