"""`vipflow policy diff` and `apply`: what other numbers change for running cases, shown, and done when asked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.options import After
from vipflow.cli.output import REFUSED
from vipflow.cli.session import Session

if TYPE_CHECKING:
    from vipflow.operations.policy_changes import Applied, PolicyDiff
    from vipflow.operations.repinning import Selection

OfCustomer = Annotated[
    str | None,
    typer.Option("--customer", help="Only cases of this customer: reference, VIP number or e-mail.", metavar="REF"),
]
OfWorkflow = Annotated[
    str | None, typer.Option("--workflow", help="Only cases of this workflow, e.g. membership.", metavar="NAME")
]
Number = Annotated[
    list[str] | None,
    typer.Option("--number", help="As if this number were in force: order_due_days=10. Repeat.", metavar="N=V"),
]


def diff(
    session: Session,
    policy: Annotated[
        str | None,
        typer.Argument(help="As if the reseller followed this policy: a name, or a .toml file.", metavar="POLICY"),
    ] = None,
    number: Number = None,
    customer: OfCustomer = None,
    workflow: OfWorkflow = None,
    cases: Annotated[bool, typer.Option("--cases", help="List the cases, each with what would change.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="List at most so many.", metavar="N")] = 50,
    after: After = None,
) -> None:
    """Shows how the numbers in force differ from those that running cases have pinned; changes nothing.

    Which deadlines would move, what would be due at once, and which mails that would send. With a policy or --number:
    the same for what is not in force yet.
    """
    from vipflow.operations.policies import numbers_given
    from vipflow.operations.policy_changes import diff_policies
    from vipflow.operations.repinning import Selection, WhatIf

    selection = Selection(customer, workflow)
    what_if = WhatIf(policy, numbers_given(number or (), "--number"))
    with _progress(session, "Looking at cases") as progress:
        found = diff_policies(
            session.installation,
            session.who,
            selection,
            what_if,
            cases=limit if cases else 0,
            after=after,
            progress=progress,
        )
    if session.out.json:
        session.out.write_json(found)
        return
    if not (cases and after):
        show_diff(session, found)
    if cases:
        _show_cases(session, found)
    if found.cases and found.what_if:
        session.out.note("Nothing is changed, and these numbers are not in force: vipflow policy set, or your file.")
    elif found.cases:
        session.out.note(
            f"Nothing is changed. To let them follow: vipflow policy apply{_options(selection)} --reason TEXT"
        )


def apply(
    session: Session,
    reason: Annotated[str, typer.Option("--reason", help="Why: kept in the history of each case.", metavar="TEXT")],
    customer: OfCustomer = None,
    workflow: OfWorkflow = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and do nothing.")] = False,
) -> None:
    """Lets running cases follow the numbers that are in force now, after showing what that changes.

    Deadlines that then lie in the past fall due at once, with their own date; reminders that do are not sent. It may be
    stopped and asked again at any moment: a case follows whole or not at all, and once.
    """
    from vipflow.errors import BadInput
    from vipflow.operations.policy_changes import apply_policies, diff_policies
    from vipflow.operations.repinning import Selection

    out = session.out
    if out.json and not (yes or dry_run):
        raise BadInput("--json", "nobody can be asked", "say --yes, or --dry-run to see what it would do")
    selection = Selection(customer, workflow)
    if dry_run or not yes:
        with _progress(session, "Looking at cases") as progress:
            found = diff_policies(session.installation, session.who, selection, progress=progress)
        if dry_run and out.json:
            out.write_json(found)
            return
        show_diff(session, found)
        if dry_run or not found.cases:
            if found.cases:
                out.note("Nothing is changed. Without --dry-run it is.")
            return
        if not _agreed(session, found.cases):
            out.answer(None, "Nothing is changed.")
            return
    with _progress(session, "Cases that follow") as progress:
        applied = apply_policies(session.installation, session.who, reason, selection, progress=progress)
    _show_applied(session, applied)


def _agreed(session: Session, cases: int) -> bool:
    from vipflow.errors import BadInput

    if not sys.stdin.isatty():
        raise BadInput("--yes", "there is nobody to ask", "say --yes once you have seen the difference")
    return typer.confirm(f"\nLet {_counted(cases, 'running case')} follow?", default=False)


def _show_applied(session: Session, applied: Applied) -> None:
    from vipflow.cli.acting import refusal_text

    out = session.out
    if applied.refused is not None:
        if out.json:
            out.write_json(applied)
        else:
            out.problem(refusal_text(applied.refused, session.who.zone))
        raise typer.Exit(REFUSED)
    if not applied.amended and not applied.left_in_all:
        out.answer(applied, "All running cases have the numbers in force pinned: nothing changed.")
        return
    follow = "follow" if applied.amended != 1 else "follows"
    out.answer(applied, f"{_counted(applied.amended, 'running case')} {follow} the numbers in force.")
    if not out.json:
        _show_left(session, applied.left_in_all, applied.left)
        out.note("What falls due by them is done at the daemon's next tick.")


# --- the difference ------------------------------------------------------------------------------------------------


def show_diff(session: Session, found: PolicyDiff) -> None:
    """The sums of a difference, table by table; what there is none of is left out."""
    from vipflow.cli.output import table
    from vipflow.cli.policy_values import value_text

    out = session.out
    as_if = " would be" if found.what_if else " are"
    if not found.cases:
        out.answer(None, f"All running cases looked at have the numbers pinned that{as_if} in force ({found.policy}).")
        _show_left(session, found.left_in_all, found.left)
        return
    have = "has" if found.cases == 1 else "have"
    out.answer(
        None,
        f"{_counted(found.cases, 'running case')} of {_counted(found.customers, 'customer')} {have} other numbers "
        f"pinned than{as_if} in force ({found.policy}).\n",
    )
    tables: list[tuple[str, dict[str, Callable[[Any], Any]], Any]] = [
        (
            "Numbers",
            {
                "Number": lambda each: each.name,
                "Pinned": lambda each: value_text(each.pinned),
                "In force" if not found.what_if else "Would be": lambda each: value_text(each.wanted),
                "Cases": lambda each: each.cases,
            },
            found.numbers,
        ),
        (
            "Cases",
            {
                "What": lambda each: each.title.en,
                "Running": lambda each: each.cases,
                "Dates would move": lambda each: each.moving,
            },
            found.concerned,
        ),
        (
            "Deadlines",
            {
                "What falls due": lambda each: each.label.en,
                "Earlier": lambda each: each.earlier,
                "Later": lambda each: each.later,
                "New": lambda each: each.new,
                "No more": lambda each: each.dropped,
                "Due at once": lambda each: each.at_once,
            },
            found.deadlines,
        ),
        ("Led back", {"To": lambda each: each.label.en, "Cases": lambda each: each.cases}, found.led_back),
        ("Would happen at once", {"What": lambda each: each.label.en, "Times": lambda each: each.cases}, found.at_once),
        (
            "Mails that would follow at once",
            {
                "Mail": lambda each: each.template.replace("_", " "),
                "To": lambda each: each.audience.replace("_", " "),
                "Mails": lambda each: each.mails,
            },
            found.mails,
        ),
    ]
    for title, columns, rows in tables:
        if rows:
            out.answer(None, table(columns, rows, title=title), "")
    if not found.at_once:
        out.answer(None, "Nothing would happen at once, and no mail would leave because of it.")
    _show_left(session, found.left_in_all, found.left)


def _show_cases(session: Session, found: PolicyDiff) -> None:
    from vipflow.cli.output import change
    from vipflow.cli.policy_values import moved_text, value_text

    zone = session.who.zone
    session.out.rows(
        found.entries,
        {
            "Case": lambda each: each.case,
            "Customer": lambda each: each.customer,
            "State": lambda each: change(each.label.en, each.label_after.en),
            "Dates": lambda each: "\n".join(
                f"{name} {value_text(was)} → {value_text(is_)}" for name, (was, is_) in each.facts.items()
            ),
            "Timers": lambda each: "\n".join(moved_text(timer, zone) for timer in each.timers),
        },
        next=found.next,
        empty="No case would change.",
    )


def _show_left(session: Session, count: int, left: Any) -> None:
    if not count:
        return
    stay = "stays as it is" if count == 1 else "stay as they are"
    lines = [f"  {each.case} of {each.customer}: {each.reason.says.en}" for each in left]
    more = [f"  … and {count - len(left):,} more"] if count > len(left) else []
    session.out.warn("\n".join([f"{_counted(count, 'case')} {stay}:", *lines, *more]))


def _options(selection: Selection) -> str:
    given = (("customer", selection.customer), ("workflow", selection.workflow))
    return "".join(f" --{name} {value}" for name, value in given if value)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@contextmanager
def _progress(session: Session, what: str) -> Iterator[Callable[[int], None] | None]:
    """A count on a terminal; nothing elsewhere."""
    if session.out.json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done: bar.update(task, completed=done)
