"""How a command tells what an act leads to: steps, timers, mails, incidents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vipflow.cli.session import Session

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from vipflow.operations.done import Followed, Happened, MailToCome, TimerChange

SHOWN = 50


def show_followed(session: Session, told: Followed) -> None:
    """Each kind as a table of its own; nothing where there is nothing."""
    from vipflow.cli.hold import asker, zone_for

    zone = zone_for(session, asker(session))
    now = session.installation.clock.now()
    _show(session, "Steps", told.happened, _steps(zone, now), more=told.more)
    if session.new_names and any(step.from_state is None for step in told.happened):
        session.out.note("New references are others each time; with --id ID they are these when it is done.")
    _show(session, "Timers", told.timers, _timers(zone))
    _show(session, "Mails", told.mails, _mails(zone, now))
    _show(
        session,
        "Incidents",
        told.incidents,
        {
            "Kind": lambda each: each.kind.replace("_", " "),
            "Case": lambda each: each.case,
            "What happened": lambda each: each.says.en,
        },
    )


def _steps(zone: ZoneInfo, now: datetime) -> dict[str, Callable[[Happened], Any]]:
    from vipflow.cli.output import change, when

    return {
        "Case": lambda step: step.case,
        "What": lambda step: step.says.en,
        "State": lambda step: change(step.from_state, step.to_state),
        "As of": lambda step: when(step.at, zone) if (now - step.at).total_seconds() >= 60 else "now",
        "By": lambda step: "the clock" if step.by_kind == "clock" else step.by,
    }


def _timers(zone: ZoneInfo) -> dict[str, Callable[[TimerChange], Any]]:
    from vipflow.cli.output import when

    def what(timer: TimerChange) -> str:
        return "dropped" if timer.due_at is None else "set" if timer.was_due_at is None else "moved"

    def due(timer: TimerChange) -> str:
        if timer.due_at is None:
            return f"was {when(timer.was_due_at, zone)}"
        was = f" (was {when(timer.was_due_at, zone)})" if timer.was_due_at is not None else ""
        return when(timer.due_at, zone) + was

    return {
        "Case": lambda timer: timer.case,
        "What it does": lambda timer: timer.says.en,
        "": what,
        "Due": due,
        "Timer": lambda timer: timer.name,
    }


def _mails(zone: ZoneInfo, now: datetime) -> dict[str, Callable[[MailToCome], Any]]:
    from vipflow.cli.output import when

    return {
        "Mail": lambda mail: mail.template.replace("_", " "),
        "To": lambda mail: f"{mail.to} ({mail.language})",
        "Leaves": lambda mail: "at once" if mail.leaves_at <= now else when(mail.leaves_at, zone),
        "About": lambda mail: mail.case,
    }


def _show(
    session: Session, title: str, items: Sequence[Any], columns: Mapping[str, Callable[[Any], Any]], *, more: int = 0
) -> None:
    from vipflow.cli.output import table

    if not items:
        return
    session.out.console.print()
    session.out.console.print(table(columns, items[:SHOWN], title=title))
    beyond = len(items) - SHOWN + more if len(items) > SHOWN else more
    if beyond:
        session.out.note(f"… and {beyond:,} more; --json tells of up to 500 steps.")
