"""`vipflow release`: what a hold stopped goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.hold import asker, counted, refused
from vipflow.cli.session import Session, command
from vipflow.errors import BadInput

if TYPE_CHECKING:
    from vipflow.operations.holds import Releasing


def add_to(app: typer.Typer) -> None:
    command(app, "release", act="rehearsed")(release)


def release(
    session: Session,
    reason: Annotated[str, typer.Option("--reason", help="Why: kept in the audit.", metavar="TEXT")],
    ident: Annotated[
        str | None, typer.Argument(help="The hold (H-7K3F-9QTD), as `vipflow hold list` shows it.", metavar="HOLD")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every hold that somebody asked for.")] = False,
) -> None:
    """Lets go what a hold stopped: events that it kept are applied in the order in which they happened."""
    from vipflow.operations.holds import release_all, release_hold

    who = asker(session)
    if all_ == (ident is not None):
        raise BadInput("the hold", "none was named, or one and --all", "name one (see `vipflow hold list`), or --all")
    if ident is not None:
        done = release_hold(session.installation, who, ident, reason=reason)
    else:
        done = release_all(session.installation, who, reason=reason)
    show_released(session, done)


def show_released(session: Session, done: Releasing) -> None:
    """What went, and what follows at once."""
    if session.out.json:
        session.out.write_json(done)
    if done.refused is not None:
        refused(session, done.refused)
    if session.out.json:
        return
    say = session.out.console.print
    if not done.holds:
        say("Nothing is on hold.")
        return
    for hold in done.holds:
        say(f"{hold.id} ({hold.of}) {'would be' if session.dry_run else 'is'} released.", highlight=False)
    if done.follows.events:
        waits = done.follows.events - done.applied
        rest = f"; {waits:,} wait for something else" if waits > 0 else ""
        say(
            f"  Events that were kept, applied{'' if session.dry_run else ' now'}: {done.applied:,}{rest}.",
            highlight=False,
        )
    coming = {
        "timers": ("timer that is due", "timers that are due"),
        "mails": ("mail that is still true", "mails, those still true"),
    }
    follows = counted(done.follows, coming)
    if follows:
        say(f"  What follows at once: {follows}.", highlight=False)
