"""`vipflow history`: all that happened to a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.options import After, Limit, Ref
from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from rich.console import RenderableType

    from vipflow.operations.inspection import HistoryEntry


def add_to(app: typer.Typer) -> None:
    command(app, "history", rows="vipflow.operations.inspection.HistoryEntry")(history)


def history(
    session: Session,
    ref: Ref,
    facts: Annotated[bool, typer.Option("--facts", help="Also show which facts each step changed.")] = False,
    limit: Limit = 100,
    after: After = None,
) -> None:
    """Shows what happened to a customer or a case, when, by whom and why.

    A customer is told with all its cases. Times are when it happened, in the reseller's zone; what was learned of an
    hour later or more says so.
    """
    from vipflow.cli.output import moment
    from vipflow.operations.inspection import history

    page = history(session.installation, session.who, ref, limit=limit, after=after)
    zone = session.who.zone
    columns: dict[str, Any] = {
        "#": lambda entry: entry.sequence,
        "When": lambda entry: moment(entry.effective_at, zone),
        "Case": lambda entry: entry.case,
        "What": lambda entry: entry.label.en,
        "State": _state,
        "By": _by,
        "Mails": lambda entry: ", ".join(key.split(":")[2] for key in entry.messages),
    }
    if any(map(_learned_later, page.items)):
        columns["Learned"] = lambda entry: moment(entry.recorded_at, zone) if _learned_later(entry) else ""
    if facts and not session.out.json and not session.out.csv:
        session.out.answer(None, *(piece for entry in page.items for piece in _told(entry, zone)))
    else:
        session.out.rows(page.items, columns, next=page.next, empty="Nothing happened yet.")


def _learned_later(entry: HistoryEntry) -> bool:
    return (entry.recorded_at - entry.effective_at).total_seconds() >= 3600


def _state(entry: HistoryEntry) -> str:
    from vipflow.cli.output import change

    note = (entry.note or {}).get("note")
    said = change(entry.from_state, entry.to_state)
    return f"{said} ({note})" if note else said


def _by(entry: HistoryEntry) -> str:
    said = "the clock" if entry.actor.kind == "clock" else entry.actor.name
    return f"{said}: {entry.reason}" if entry.reason else said


def _told(entry: HistoryEntry, zone: ZoneInfo) -> Iterator[RenderableType]:
    """An entry with its facts below; when a case opens, what is empty goes without saying."""
    from rich.padding import Padding
    from rich.text import Text

    from vipflow.cli.output import facts_table, json_line, moment
    from vipflow.operations.words import amending_told
    from vipflow.workflow import AMEND

    yield Text(
        f"{entry.sequence}  {moment(entry.effective_at, zone)}  {entry.case}  "
        f"{entry.label.en} ({_state(entry)}), by {_by(entry)}"
    )
    facts = {}
    if entry.event == AMEND:
        facts = {"": "\n".join(line.en for line in amending_told(entry.note, zone))}
    for name in dict.fromkeys([*entry.facts_after, *entry.facts_before]):
        before, after = (each.get(name) for each in (entry.facts_before, entry.facts_after))
        said = after if isinstance(after, str) else json_line(after)
        if before not in (None, [], {}):
            facts[name] = f"{said} (was {before if isinstance(before, str) else json_line(before)})"
        elif after not in (None, [], {}):
            facts[name] = said
    if facts:
        yield Padding(facts_table(facts), (0, 0, 0, 4))
