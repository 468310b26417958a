"""`vipflow next`: what the clock will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.options import Ref
from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from vipflow.foresight.forecast import ForeseenMail
    from vipflow.operations.outlook import NextStep


def add_to(app: typer.Typer) -> None:
    command(app, "next")(next_)


def next_(
    session: Session,
    ref: Ref,
    until: Annotated[
        str | None, typer.Option("--until", help="Look ahead to the end of this day; else 400 days.", metavar="DATE")
    ] = None,
) -> None:
    """Shows what the clock will do to a customer, and with which mails.

    That is, if nobody does anything. Mails that would be overtaken by a newer one, or no longer be true, are left out.
    What is on hold is shown with its own date, and waits until the hold goes.
    """
    from rich.text import Text

    from vipflow.cli.hold import hold_text
    from vipflow.cli.output import change, table, when
    from vipflow.operations.outlook import forecast_record

    found = forecast_record(session.installation, session.who, ref, until)
    zone = session.who.zone
    columns = {
        "When": lambda step: when(step.at, zone),
        "Case": lambda step: step.case,
        "What": lambda step: step.label.en,
        "State": lambda step: change(step.from_state, step.to_state),
        "Mails": lambda step: "\n".join(_mail(mail, step.at, zone) for mail in step.mails),
    }
    if any(step.waits_for or step.mails_wait_for for step in found.steps):
        columns["On hold"] = _waits
    held = [Text(hold_text(hold, zone)) for hold in found.holds]
    if found.steps:
        shown = [*held, *([""] if held else []), table(columns, found.steps)]
    else:
        shown = [
            *held,
            f"The clock has nothing to do for {found.subject} until {found.until.astimezone(zone):%Y-%m-%d}.",
        ]
    session.out.answer(found, *shown)
    if not found.complete:
        session.out.note("There is more than can be told here: --until DATE looks less far.")


def _waits(step: NextStep) -> str:
    if step.waits_for is not None:
        return f"waits for {step.waits_for}"
    return f"mails wait for {step.mails_wait_for}" if step.mails_wait_for is not None else ""


def _mail(mail: ForeseenMail, at: datetime, zone: ZoneInfo) -> str:
    from vipflow.cli.output import when

    later = f", leaves {when(mail.leaves_at, zone)}" if mail.leaves_at > at else ""
    return f"{mail.template} to {mail.to}{later}"
