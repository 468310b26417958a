"""`vipflow restore`: the whole database back from a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.backup import NoVerify, findings, progress, rows_told, verified_told
from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from vipflow.operations.restoring import Restored

Replace = Annotated[
    bool, typer.Option("--replace", help="Take the place of an SQLite database, which is kept under another name.")
]


def add_to(app: typer.Typer) -> None:
    command(app, "restore", needs="database")(restore)


def restore(
    session: Session,
    source: Annotated[Path, typer.Argument(help="A backup, or an export.", metavar="FILE")],
    replace: Replace = False,
    no_verify: NoVerify = False,
) -> None:
    """Brings a backup or an export into an empty database, and holds all mail until you approve it.

    The file is checked first, one of an older release is brought to this one's schema, and it comes in whole or not at
    all. No daemon may run meanwhile. Ends with 1 where the promises do not hold in it: it is there all the same.
    """
    bring_back(session, source, replace=replace, no_verify=no_verify, lines_only=False)


def bring_back(session: Session, source: Path, *, replace: bool, no_verify: bool, lines_only: bool) -> None:
    """Restores, and says what is held and what comes next."""
    from vipflow.cli.output import FAULT
    from vipflow.operations.restoring import restore

    with _nobody_serving(session), progress(session) as tell:
        made = restore(
            session.settings, source, replace=replace, check=not no_verify, lines_only=lines_only, progress=tell
        )
    if session.out.json:
        session.out.write_json(made)
    else:
        _say_restored(session, made)
    if made.verified is not None and not made.verified.ok:
        findings(session, made.verified)
        raise typer.Exit(FAULT)


@contextmanager
def _nobody_serving(session: Session) -> Iterator[None]:
    """SQLite: no daemon works on the database, and none begins before we are done."""
    from vipflow.daemon.sole import Sole
    from vipflow.operations.databases import sqlite_file

    file = sqlite_file(session.settings)
    if file is None or not file.resolve().parent.is_dir():
        yield
        return
    file = file.resolve()
    sole = Sole(file, f"the database {file}")
    try:
        yield
    finally:
        sole.give_up()


def _say_restored(session: Session, made: Restored) -> None:
    out = session.out
    older = f", brought from schema {made.schema_found} to {made.schema}" if made.schema_found != made.schema else ""
    as_of = f", as of {made.as_of:%Y-%m-%d %H:%M:%S} UTC" if made.as_of is not None else ""
    say = out.console.print
    database = made.database[:1].upper() + made.database[1:]
    say(f"{database}: {rows_told(made.rows)}{as_of}{older}.", highlight=False, markup=False, soft_wrap=True)
    if made.aside is not None:
        say(f"The one that was there is kept as {made.aside}.", highlight=False, markup=False, soft_wrap=True)
    say(verified_told(made.verified, made.not_verified), highlight=False, markup=False)
    mails = {0: "none waits", 1: "1 waits"}.get(made.mails_waiting, f"{made.mails_waiting:,} wait")
    say(f"All mail is held ({made.hold}; {mails} at present): some may have left since then.", highlight=False)
    if made.seals is not None:
        out.warn(f"nothing can be sealed. {made.seals[:1].upper()}{made.seals[1:]}")
    out.note("\nWhat comes next:")
    for line in (
        "post again what arrived since: vipflow event post FILE (what is known already counts once)",
        "let the clock go on:           vipflow serve",
        "see what would leave:          vipflow catchup show",
        'let it leave:                  vipflow catchup approve --reason "…"',
    ):
        out.note(f"  {line}")
