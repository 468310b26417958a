"""What commands that do something share: their options, and how they say what they did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.completing import states
from vipflow.cli.output import FAULT, REFUSED
from vipflow.cli.session import Session
from vipflow.errors import BadInput

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from vipflow.operations.done import Done, IncidentOpened, MailToCome
    from vipflow.operations.products import ProductLine
    from vipflow.workflow import Reason

CustomerRef = Annotated[
    str, typer.Argument(help="The customer: its reference (C-7K3F-9QTD), VIP number or e-mail.", metavar="CUSTOMER")
]
PerhapsCustomer = Annotated[
    str | None,
    typer.Option("--customer", help="Only those of this customer: reference, VIP number or e-mail.", metavar="REF"),
]
Mine = Annotated[bool, typer.Option("--mine", help="Only customers that you manage (see --as).")]
SomeProducts = Annotated[
    list[str],
    typer.Option(
        "--product",
        help="A product and how many: SKU or part of the name, = and the quantity. Repeat for more.",
        metavar="PRODUCT=N",
    ),
]
PerhapsProducts = Annotated[
    list[str] | None,
    typer.Option(
        "--product",
        help="A product and how many, if not everything: SKU or part of the name, =, quantity. Repeat for more.",
        metavar="PRODUCT=N",
    ),
]
Why = Annotated[str | None, typer.Option("--reason", help="Why: kept in history.", metavar="TEXT")]
OwnRef = Annotated[
    str | None, typer.Option("--ref", help="Your own reference, beside the one that vipflow gives.", metavar="TEXT")
]
EventId = Annotated[
    str | None,
    typer.Option("--id", help="An id of your own: repeated with it, the command counts once.", metavar="ID"),
]
OrderNumber = Annotated[
    str | None, typer.Option("--order-number", help="Adobe's number of the order.", metavar="NUMBER")
]
States = Annotated[
    list[str] | None,
    typer.Option(
        "--state", help="Only those in this state. Repeat for more.", metavar="STATE", autocompletion=states()
    ),
]
AllStates = Annotated[bool, typer.Option("--all", help="Those in every state.")]


def day_given(text: str, option: str) -> date:
    """A day as an option holds it. Raises BadInput."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(option, f"{text!r} is no day", "write it as 2024-03-01") from None


def show_done(session: Session, done: Done, say: str, *hints: str) -> None:
    """What an act did: `say`, the mails that now wait, what to know, what to do next. Refused: ends with 3."""
    out = session.out
    if out.json:
        out.write_json(done)
    elif done.outcome == "applied":
        _show_applied(session, done, say, hints)
    elif done.outcome == "stale":
        out.console.print(f"Nothing to do: {done.verdict.case} has already passed this.", highlight=False)
    elif done.outcome == "refused":
        for reason in done.verdict.reasons:
            out.problem(refusal_text(reason, session.who.zone))
    else:
        for reason in done.verdict.reasons:
            out.problem(reason.says.en)
    if done.outcome == "refused":
        raise typer.Exit(REFUSED)
    if done.outcome == "quarantined":
        raise typer.Exit(FAULT)


def _show_applied(session: Session, done: Done, say: str, hints: Sequence[str]) -> None:
    out = session.out
    console = out.console
    if done.fits != "new":
        say, hints = unfitting_text(done), ()
    console.print(say + (" (done before; nothing happened now)" if done.verdict.replayed else ""), highlight=False)
    for remark in done.remarks:
        out.note(remark.en)
    if session.dry_run:  # the rehearsal tells of all that follows, at the end
        return
    now = session.installation.clock.now()
    for mail in done.mails:
        console.print(f"  mail: {mail_text(mail, session.who.zone, now)}", highlight=False, markup=False)
    if done.fits == "new":
        for incident in done.incidents:
            out.warn(f"{incident.says.en} {_incident_text(incident)}")
    for hint in hints:
        out.note(hint)


def unfitting_text(done: Done) -> str:
    """What to say of a report that changed nothing: it said again what is known, or what cannot be."""
    if done.fits == "repeated":
        return "This was known already; nothing changed."
    step = done.happened[0]
    # Whether licences are deactivated is often only expected: then no state is claimed.
    stays = "stays as it was" if step.to_state == "suspended" else f"is {step.label.en} and stays so"
    said = f"Recorded, but it contradicts what is known: {step.case} {stays}."
    return "\n  ".join([said, *map(_incident_text, done.incidents)])


def _incident_text(incident: IncidentOpened) -> str:
    return f"An incident was opened: {incident.id} (vipflow incident show {incident.id})."


def answer_hint(order: str | None, order_number: str | None) -> str:
    """What to do once Adobe answered an order; its number is asked for unless it is known already."""
    number = "" if order_number else " --order-number NUMBER"
    return f"When Adobe answers: vipflow order accept {order}{number}"


def refusal_text(reason: Reason, zone: ZoneInfo) -> str:
    """Why not, what would change that, and when it changes by itself."""
    lines = [f"Refused: {reason.says.en}"]
    if reason.unblock is not None:
        lines.append(f"  What helps: {reason.unblock.en}")
    if reason.opens_at is not None:
        lines.append(f"  By itself: from {moment_text(reason.opens_at, zone)}")
    return "\n".join(lines)


def mail_text(mail: MailToCome, zone: ZoneInfo, now: datetime) -> str:
    """`products added, to Zoé Roux, leaves on Monday 3 March 2025 at 08:00`."""
    leaves = "leaves at once" if mail.leaves_at <= now else f"leaves on {moment_text(mail.leaves_at, zone)}"
    return f"{mail.template.replace('_', ' ')}, to {mail.to}, {leaves}"


def moment_text(instant: datetime, zone: ZoneInfo) -> str:
    """`Monday 3 March 2025 at 08:00`; of a midnight, when days change, the day alone."""
    local = instant.astimezone(zone)
    time = "" if (local.hour, local.minute, local.second) == (0, 0, 0) else f" at {local:%H:%M}"
    return f"{_WEEKDAYS[local.weekday()]} {day_text(local.date())}{time}"


def day_text(on: date | None) -> str:
    """`3 March 2025`."""
    return "" if on is None else f"{on.day} {_MONTHS[on.month - 1]} {on.year}"


# Not strftime: the words do not depend on where the command runs.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def short_day(on: date | None) -> str:
    """`3 Mar 2025`: for tables."""
    return "" if on is None else f"{on.day} {_MONTHS[on.month - 1][:3]} {on.year}"


def order_by(row: Any, zone: ZoneInfo) -> date | None:
    """The last day to order an authorization: its due day, or the day in the zone on which it expires."""
    from vipflow.days import local_day

    due_on: date | None = row.due_on
    return local_day(row.expires_at, zone) if due_on is None and row.expires_at is not None else due_on


def lines_text(lines: Sequence[ProductLine]) -> str:
    """One product a line: `5 × Photoshop for Teams`."""
    return "\n".join(f"{line.quantity} × {line.product}" for line in lines)


def in_short(lines: Sequence[ProductLine]) -> str:
    """Products in a sentence."""
    return ", ".join(f"{line.quantity} × {line.product}" for line in lines)


def state_text(row: Any) -> str:
    """What people call the state of a row."""
    label: str = row.label.en
    return label
