"""`vipflow timers`: what the clock will do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from vipflow.cli.options import After, Limit, PerhapsRef
from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from vipflow.operations.inspection import ArmedTimer


def add_to(app: typer.Typer) -> None:
    command(app, "timers", rows="vipflow.operations.inspection.ArmedTimer")(timers)


def timers(session: Session, ref: PerhapsRef = None, limit: Limit = 100, after: After = None) -> None:
    """Shows the timers that are armed, the earliest first.

    Of a customer with all its cases, of one case, or of everybody. `vipflow next REF` says what they will lead to.
    """
    from vipflow.cli.output import when
    from vipflow.operations.inspection import armed_timers

    page = armed_timers(session.installation, session.who, ref, limit=limit, after=after)
    zone = session.who.zone
    columns = {
        "Due": lambda timer: when(timer.due_at, zone),
        "Case": lambda timer: timer.case,
        "What": lambda timer: timer.label.en,
        "Timer": lambda timer: timer.name,
    }
    if any(timer.wake_at != timer.due_at for timer in page.items):
        columns["Trouble"] = lambda timer: _trouble(timer, when(timer.wake_at, zone))
    session.out.rows(page.items, columns, next=page.next, empty="No timer is armed.")


def _trouble(timer: ArmedTimer, wakes: str) -> str:
    if timer.wake_at is None:
        return f"held after {timer.errors} errors" if timer.errors else "held"
    return f"{timer.errors} errors, tried again {wakes}" if timer.errors else ""
