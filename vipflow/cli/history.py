"""`vipflow history`: all that happened to a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.options import After, Limit, Ref
from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from vipflow.operations.inspection import HistoryEntry


def add_to(app: typer.Typer) -> None:
    command(app, "history")(history)


def history(
    session: Session,
    ref: Ref,
    facts: Annotated[bool, typer.Option("--facts", help="Also show which facts each step changed.")] = False,
    limit: Limit = 100,
    after: After = None,
) -> None:
    """Shows what happened to a customer and all its cases, or to one case: when, what, by whom and why.

    Times are when it happened, in the reseller's zone; where it was learned of on a later day, that day is told too.
    """
    from vipflow.operations.inspection import history

    page = history(session.installation, session.who, ref, limit=limit, after=after)
    zone = session.who.zone
    columns: dict[str, Any] = {
        "#": lambda entry: entry.sequence,
        "When": lambda entry: _when(entry, zone),
        "Case": lambda entry: entry.case,
        "What": lambda entry: entry.label.en,
        "State": _state,
        "By": _by,
        "Mails": lambda entry: ", ".join(key.split(":")[2] for key in entry.messages),
    }
    if facts:
        columns["Facts"] = _facts
    session.out.rows(page.items, columns, next=page.next, empty="Nothing happened yet.")


def _when(entry: HistoryEntry, zone: ZoneInfo) -> str:
    happened, learned = entry.effective_at.astimezone(zone), entry.recorded_at.astimezone(zone)
    said = f"{happened:%Y-%m-%d %H:%M}"
    return said if happened.date() == learned.date() else f"{said}\n(learned {learned:%Y-%m-%d})"


def _state(entry: HistoryEntry) -> str:
    note = (entry.note or {}).get("note")
    said = entry.to_state if entry.from_state in (None, entry.to_state) else f"{entry.from_state} → {entry.to_state}"
    return f"{said} ({note})" if note else said


def _by(entry: HistoryEntry) -> str:
    said = "the clock" if entry.actor.kind == "clock" else entry.actor.name
    return f"{said}: {entry.reason}" if entry.reason else said


def _facts(entry: HistoryEntry) -> str:
    from vipflow.cli.output import json_line

    lines = []
    for name, value in entry.facts_after.items():
        before = entry.facts_before.get(name)
        said = value if isinstance(value, str) else json_line(value)
        was = "" if before is None else f" (was {before if isinstance(before, str) else json_line(before)})"
        lines.append(f"{name}: {said}{was}")
    lines += [f"{name}: removed" for name in entry.facts_before if name not in entry.facts_after]
    return "\n".join(lines)
