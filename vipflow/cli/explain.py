"""`vipflow explain`: what may be done with a record, and why something may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from vipflow.cli.options import Ref
from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from vipflow.foresight.explain import Possibility


def add_to(app: typer.Typer) -> None:
    command(app, "explain")(explain)


def explain(session: Session, ref: Ref) -> None:
    """Shows what may be done with a record now, and why the rest may not.

    Also when that changes by itself, because the clock moves on.
    """
    from rich.text import Text

    from vipflow.cli.hold import hold_text
    from vipflow.cli.output import table, when
    from vipflow.operations.outlook import explain_record

    found = explain_record(session.installation, session.who, ref)
    zone = session.who.zone
    state = found.label.en if found.label.en == found.state else f"{found.label.en} ({found.state})"
    possible = [each for each in found.possibilities if each.possible]
    others = [each for each in found.possibilities if not each.possible]
    shown: list[RenderableType] = [
        f"{found.case}: {state}, since {when(found.since, zone)}.",
        *(Text(hold_text(hold, zone)) for hold in found.holds),
    ]
    if possible:
        columns: dict[str, Callable[[Possibility], Any]] = {
            "Possible now": lambda each: each.event,
            "Leads to": lambda each: each.leads_to,
            "": _remarks,
        }
        shown += ["", table(columns, possible)]
    if others:
        columns = {"Not now": lambda each: each.event, "Why": _why}
        if any(each.opens_at for each in others):
            columns["Possible from"] = lambda each: when(each.opens_at, zone)
        shown += ["", table(columns, others)]
    session.out.answer(found, *shown)


def _remarks(possibility: Possibility) -> str:
    said = ["is always recorded"] if possibility.kind == "report" else []
    if possibility.depends_on_data:
        said.append("depends on what is asked for")
    return "; ".join(said)


def _why(possibility: Possibility) -> str:
    from vipflow.cli.output import reason_text

    held = [f"by {reason.facts['hold']}" for reason in possibility.reasons if reason.code == "on_hold"]
    said = " ".join(reason_text(reason) for reason in possibility.reasons if reason.code != "on_hold")
    is_report = possibility.kind == "report"
    if held:
        kept = "; what a system reports is kept till then" if is_report else ""
        return f"On hold {' and '.join(held)}{kept}. {said}".strip()
    return f"{said} (A report is recorded all the same, with an incident.)" if is_report else said
