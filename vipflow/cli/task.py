"""`vipflow task …`: what there is to do for customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.acting import Mine, PerhapsCustomer, day_given, short_day
from vipflow.cli.options import After, Limit
from vipflow.cli.session import Session, command, group

if TYPE_CHECKING:
    from datetime import date

    from rich.text import Text

    from vipflow.operations.tasks import Task


def add_to(app: typer.Typer) -> None:
    task = group("task", "See what there is to do for customers, until when, and with which command.")
    command(task, "list")(list_)
    app.add_typer(task)


def list_(
    session: Session,
    customer: PerhapsCustomer = None,
    mine: Mine = False,
    manager: Annotated[
        str | None,
        typer.Option("--manager", help="Of customers managed by the member with this e-mail.", metavar="EMAIL"),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", help="order_to_place, late_customer, renewal_to_prepare or renewal_to_order.", metavar="KIND"
        ),
    ] = None,
    due_before: Annotated[
        str | None, typer.Option("--due-before", help="Only what is due before this day.", metavar="DATE")
    ] = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """Lists what there is to do: what is overdue first, then what is urgent, then by day.

    A task is what the state of a case asks of somebody. It is never written down: done, it is gone. What stopped, and
    needs a person for that, is an incident: vipflow incident list.
    """
    from vipflow.operations.tasks import list_tasks, tasks_page

    found = list_tasks(
        session.installation,
        session.who,
        customer=customer,
        mine=mine,
        managed_by=manager,
        kind=kind,
        due_before=day_given(due_before, "--due-before") if due_before else None,
    )
    page = tasks_page(found, after=after, most=limit)
    if session.out.json:
        session.out.write_json(page)
        return
    if page.counts:
        counts = "   ".join(f"{each.replace('_', ' ')} {count:,}" for each, count in page.counts.items())
        session.out.console.print(counts, style="dim", highlight=False)
    today = session.installation.clock.now().astimezone(session.who.zone).date()
    session.out.rows(
        page.items,
        {
            "Due": lambda task: _due(task, today),
            "What": lambda task: task.says.en,
            "Customer": lambda task: f"{task.company}\n{task.customer}",
            "Managed by": lambda task: task.manager,
            "With": lambda task: session.out.told(_command(task)),
        },
        next=page.next,
        empty="There is nothing to do." if not (customer or mine or manager or kind or due_before) else "No task fits.",
    )


def _due(task: Task, today: date) -> str | Text:
    from rich.text import Text

    said = short_day(task.due_on)
    if task.overdue and task.due_on is not None:
        days = (today - task.due_on).days
        return Text(f"{said}\n{days} day{'s' if days > 1 else ''} late", style="bold red")
    return Text(f"{said}\nurgent".strip(), style="yellow") if task.urgent else said


def _command(task: Task) -> str:
    """What settles it."""
    match task.kind:
        case "order_to_place":
            return f"vipflow order place --authorization {task.case}"
        case "late_customer":
            return f"vipflow authorization remind {task.case}"
        case "renewal_to_prepare":
            return f"vipflow renewal status {task.customer}"
        case "renewal_to_order":
            return f"vipflow renewal order {task.customer}"
