"""`vipflow catchup …`: after an outage, what waits for somebody's word."""

from __future__ import annotations

from typing import Annotated

import typer

from vipflow.cli.hold import asker, refused, zone_for
from vipflow.cli.session import Session, command, group


def add_to(app: typer.Typer) -> None:
    catchup = group("catchup", "After an outage: see the mails that wait for your word, and let them leave.")
    command(catchup, "show")(show)
    command(catchup, "approve", act="rehearsed")(approve)
    command(catchup, "skip-grace", act="rehearsed")(skip_grace)
    app.add_typer(catchup)


def show(session: Session) -> None:
    """Shows whether timers wait for events, why mail is held, and what would leave."""
    from vipflow.cli.output import table, when
    from vipflow.operations import catchup

    who = asker(session)
    standing = catchup.show(session.installation, who)
    if session.out.json:
        session.out.write_json(standing)
        return
    zone = zone_for(session, who)
    say = session.out.console.print
    if standing.grace_until is not None:
        until = when(standing.grace_until, zone)
        say(f"Timers wait until {until} for events to arrive first (vipflow catchup skip-grace).", highlight=False)
    for hold in standing.holds:
        say(f"Mail of {hold.of} waits for an approval ({hold.id}): {hold.reason}", highlight=False, markup=False)
    if not standing.holds:
        say("No mail waits for an approval.")
    leaving = standing.leaving
    if leaving.groups:
        columns = {
            "Reseller": lambda each: each.reseller,
            "Template": lambda each: each.template,
            "Mails": lambda each: each.mails,
            "Over a day late": lambda each: each.late,
            "Oldest": lambda each: when(each.oldest, zone),
            "For example": lambda each: each.samples[0],
        }
        say("\nWould leave now:" if standing.holds else "\nDue to leave:")
        say(table(columns, leaving.groups))
    if leaving.superseded:
        gone = ", ".join(f"{count:,} {template}" for template, count in leaving.superseded.items())
        say(f"\nWould not leave, true no more or overtaken: {gone}.", highlight=False)
    if leaving.unclear:
        say(f"Of {leaving.unclear:,} nobody can tell: they will be held, each with an incident.", highlight=False)
    if standing.holds:
        session.out.note('\nRead one: vipflow mail show KEY. Let them leave: vipflow catchup approve --reason "…"')


def approve(
    session: Session,
    reason: Annotated[str, typer.Option("--reason", help="Why they may leave: kept in the audit.", metavar="TEXT")],
    discard_older_than: Annotated[
        int | None,
        typer.Option(
            "--discard-older-than", min=0, help="Give up mails that could have left so long ago.", metavar="DAYS"
        ),
    ] = None,
) -> None:
    """Lets mails leave that were held while catching up: of all resellers, or of the one named with --reseller."""
    from vipflow.operations import catchup

    done = catchup.approve(session.installation, asker(session), reason=reason, discard_older_than=discard_older_than)
    if session.out.json:
        session.out.write_json(done)
    if done.refused is not None:
        refused(session, done.refused)
    if session.out.json:
        return
    say = session.out.console.print
    if done.discarded:
        say(f"Discarded: {done.discarded:,} {'mail' if done.discarded == 1 else 'mails'}.", highlight=False)
    if not done.released:
        say("No mail waited for an approval.")
        return
    say(f"Mails may leave ({', '.join(done.released)}); the daemon sends those that are still true.", highlight=False)
    if done.still_held:
        say(f"Other resellers' mails still wait: {', '.join(done.still_held)}.", highlight=False)


def skip_grace(
    session: Session,
    reason: Annotated[str | None, typer.Option("--reason", help="Why: kept in the audit.", metavar="TEXT")] = None,
) -> None:
    """Lets timers fire at once that wait for events after an outage."""
    from vipflow.cli.output import when
    from vipflow.operations import catchup
    from vipflow.workflow import Reason

    who = asker(session)
    until = catchup.skip_grace(session.installation, who, reason=reason)
    if isinstance(until, Reason):
        if session.out.json:
            session.out.write_json({"refused": until})
        refused(session, until)
    if until is None:
        session.out.answer({"waited_until": None}, "No timer waits.")
    else:
        shown = f"Timers fire at once; they would have waited until {when(until, zone_for(session, who))}."
        session.out.answer({"waited_until": until}, shown)
