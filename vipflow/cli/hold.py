"""`vipflow hold …`: everything, a reseller or a customer stopped on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from vipflow.cli.completing import resellers
from vipflow.cli.options import After, Limit
from vipflow.cli.session import Session, command, group

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from zoneinfo import ZoneInfo

    from vipflow.operations.holds import Counts, Hold, Making
    from vipflow.operations.who import Who
    from vipflow.workflow import Reason

Reason_ = Annotated[str, typer.Option("--reason", help="Why: staff who are stopped read it.", metavar="TEXT")]
MailOnly = Annotated[bool, typer.Option("--mail-only", help="Stop only mails from leaving; the year goes on.")]
Until = Annotated[
    str | None,
    typer.Option("--until", help="At the beginning of this day all goes on by itself.", metavar="DATE"),
]


def add_to(app: typer.Typer) -> None:
    hold = group("hold", "Stop everything, a reseller or a customer, or only its mails; `vipflow release` lets it go.")
    command(hold, "everything", act="rehearsed")(everything)
    command(hold, "reseller", act="rehearsed")(reseller)
    command(hold, "customer", act="rehearsed")(customer)
    command(hold, "list", rows="vipflow.operations.holds.Hold")(list_)
    app.add_typer(hold)


def everything(session: Session, reason: Reason_, mail_only: MailOnly = False, until: Until = None) -> None:
    """Stops everything, of all resellers: timers keep their dates, events are kept, no mail leaves."""
    from vipflow.operations.holds import hold_everything

    _show(
        session,
        hold_everything(
            session.installation,
            asker(session),
            mail_only=mail_only,
            reason=reason,
            until=_day(until),
        ),
    )


def reseller(
    session: Session,
    reason: Reason_,
    key: Annotated[
        str | None,
        typer.Argument(
            help="The reseller; needless while there is only one.", metavar="KEY", autocompletion=resellers()
        ),
    ] = None,
    mail_only: MailOnly = False,
    until: Until = None,
) -> None:
    """Stops all customers of one reseller."""
    from vipflow.operations.holds import hold_reseller

    session.reseller = key or session.reseller
    _show(
        session,
        hold_reseller(
            session.installation,
            session.who,
            mail_only=mail_only,
            reason=reason,
            until=_day(until),
        ),
    )


def customer(
    session: Session,
    ref: Annotated[
        str,
        typer.Argument(help="The customer: its reference (C-7K3F-9QTD), VIP number or e-mail.", metavar="CUSTOMER"),
    ],
    reason: Reason_,
    mail_only: MailOnly = False,
    until: Until = None,
) -> None:
    """Stops one customer with all its authorizations, orders, returns and its membership."""
    from vipflow.operations.holds import hold_customer

    made = hold_customer(
        session.installation,
        session.who,
        ref,
        mail_only=mail_only,
        reason=reason,
        until=_day(until),
    )
    _show(session, made)


def list_(
    session: Session,
    all_: Annotated[bool, typer.Option("--all", help="Those that were released, too.")] = False,
    limit: Limit = 100,
    after: After = None,
) -> None:
    """Lists the holds in force, the oldest first."""
    from vipflow.cli.output import when
    from vipflow.operations.holds import holds_page, list_holds

    who = asker(session)
    zone = zone_for(session, who)
    columns = {
        "Hold": lambda each: each.id,
        "Of": lambda each: each.of,
        "Stops": lambda each: "mails" if each.mail_only else "all",
        "Since": lambda each: when(each.made_at, zone),
        "Until": lambda each: when(each.ends_at, zone) or "no end",
        "By": lambda each: each.made_by,
        "Why": lambda each: each.reason,
    }
    if all_:
        columns["Released"] = lambda each: when(each.released_at, zone)
        columns["By whom, and why"] = lambda each: ": ".join(filter(None, (each.released_by, each.remark)))
    page = holds_page(list_holds(session.installation, who, released=all_), after=after, most=limit)
    session.out.rows(page.items, columns, next=page.next, empty="Nothing is on hold.")


def asker(session: Session) -> Who | None:
    """Who asks; None: whoever runs the machine, of all resellers, where neither a reseller nor a person is named."""
    return None if session.reseller is None and session.as_ is None else session.who


def zone_for(session: Session, who: Who | None) -> ZoneInfo:
    """In which zone instants are shown."""
    from vipflow.operations.holds import zone_of
    from vipflow.store.tenants import all_tenants

    with session.installation.database.read() as connection:
        return zone_of(all_tenants(connection), who)


def refused(session: Session, reason: Reason) -> NoReturn:
    """Says why not, and ends the command with 3."""
    from vipflow.cli.acting import refusal_text
    from vipflow.cli.output import REFUSED

    if not session.out.json:
        session.out.problem(refusal_text(reason, zone_for(session, None)))
    raise typer.Exit(REFUSED)


def counted(counts: Counts, words: Mapping[str, tuple[str, str]]) -> str:
    """`3 customers, 12 timers`: what there is of each, in the order of `words`; nothing of what there is none."""
    found = [(getattr(counts, name), one, many) for name, (one, many) in words.items()]
    return ", ".join(f"{n:,} {one if n == 1 else many}" for n, one, many in found if n)


_STOPPED = {
    "customers": ("customer", "customers"),
    "timers": ("timer", "timers"),
    "mails": ("mail that waits", "mails that wait"),
    "events": ("event that waits", "events that wait"),
}


def _show(session: Session, made: Making) -> None:
    from vipflow.cli.output import when

    if session.out.json:
        session.out.write_json(made)
    if made.refused is not None:
        refused(session, made.refused)
    if session.out.json or made.hold is None or made.stops is None:
        return
    hold: Hold = made.hold
    zone = zone_for(session, asker(session))
    what = _what(hold)
    stops = counted(made.stops, _STOPPED) or "nothing yet"
    until = f"until {when(hold.ends_at, zone)}" if hold.ends_at is not None else "until released"
    say = session.out.console.print
    due = f" (timers due {until})" if made.stops.timers and hold.ends_at is not None else ""
    if made.outcome == "there already":
        say(f"{what} is on hold already, as {hold.id}, by {hold.made_by}: {hold.reason}", highlight=False)
        return
    if session.dry_run:
        say(f"{what} would be put on hold {until}.", highlight=False)
        say(f"  It would stop {stops}{due}.", highlight=False)
    else:
        say(f"{what} is on hold {until} ({hold.id}).", highlight=False)
        say(f"  It stops {stops}{due}.", highlight=False)
        session.out.note(f'To let it go: vipflow release {hold.id} --reason "…"')


def hold_text(hold: Hold, zone: ZoneInfo) -> str:
    """What is held, since when, by whom, why, until when, and what that means."""
    from vipflow.cli.output import when

    until = f"until {when(hold.ends_at, zone)}" if hold.ends_at is not None else "until it is released"
    means = (
        "The year goes on; its mails wait."
        if hold.mail_only
        else "Timers keep their dates and fire when it goes; staff are refused; what systems report is kept."
    )
    return (
        f"{_what(hold)} is on hold since {when(hold.made_at, zone)}, {until}, by {hold.made_by}: {hold.reason} "
        f"({hold.id}).\n  {means}"
    )


def _what(hold: Hold) -> str:
    """How a sentence begins that says what is held."""
    if hold.customer is not None:
        return f"The mail of {hold.customer}" if hold.mail_only else hold.customer
    if hold.reseller is not None:
        return f"{'The mail of the' if hold.mail_only else 'The'} reseller {hold.reseller}"
    return "All mail" if hold.mail_only else "Everything"


def _day(text: str | None) -> date | None:
    from vipflow.cli.acting import day_given

    return None if text is None else day_given(text, "--until")
