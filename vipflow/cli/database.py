"""`vipflow db …`: the shape of the database, and all that is in it as JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vipflow.cli.backup import NoVerify, exported_told, progress
from vipflow.cli.restore import Replace, bring_back
from vipflow.cli.session import Session, command, group


def add_to(app: typer.Typer) -> None:
    db = group("db", "Make, migrate, look at, export and import the database.")
    command(db, "migrate", needs="database", act="previewed")(migrate)
    command(db, "status", needs="database")(status)
    command(db, "export", needs="database")(export)
    command(db, "import", needs="database")(import_)
    app.add_typer(db)


def migrate(session: Session) -> None:
    """Makes the database, or brings it to the schema of this release.

    Its data stay, and nothing happens where all is so already. Take a backup first, once there is something to lose.
    With --dry-run the data are really migrated, and then all is undone: so you know that it will work, and how long it
    takes.
    """
    from vipflow.operations.databases import migrate, rehearse_migration

    report = (rehearse_migration if session.dry_run else migrate)(session.settings)
    if report.before == report.schema:
        said = f"{report.database}: schema {report.schema} already, nothing to do."
    elif report.before is None:
        said = f"{report.database}: made, with schema {report.schema}."
    else:
        said = f"{report.database}: brought from schema {report.before} to {report.schema}."
    session.out.answer(report, said[0].upper() + said[1:])


def status(session: Session) -> None:
    """Shows whether this release can work with the database.

    Ends with 1 where it cannot, saying what to do.
    """
    from vipflow.cli.output import FAULT, facts_table
    from vipflow.operations.databases import status

    report = status(session.settings)
    session.out.answer(
        report,
        facts_table(
            {
                "database": report.database.removeprefix("the database "),
                "schema": report.schema or "none yet",
                "this release needs": report.needed,
                "resellers": report.resellers,
                "next timer": report.next_due,
            }
        ),
    )
    if report.remedy is not None:
        if not session.out.json:
            session.out.problem(report.remedy)
        raise typer.Exit(FAULT)


def export(
    session: Session,
    target: Annotated[Path, typer.Argument(help="The new file.", metavar="FILE")],
) -> None:
    """Writes everything into one file of JSON lines, while others work.

    A line for each row, table by table, with checksums: `vipflow db import` takes it into an empty database of either
    kind. What holds the same gives the same file, to the byte. `vipflow backup` verifies as well what it writes.
    """
    from vipflow.operations.backups import export

    with progress(session) as tell:
        made = export(session.settings, target, progress=tell)
    session.out.answer(made, exported_told(made))


def import_(
    session: Session,
    source: Annotated[Path, typer.Argument(help="What vipflow db export wrote.", metavar="FILE")],
    replace: Replace = False,
    no_verify: NoVerify = False,
) -> None:
    """Brings an export into an empty database of either kind, and holds all mail until you approve it.

    So SQLite is left for PostgreSQL, and back: export, name the new database in config.toml, import. A file that was
    cut or changed is refused with the line, and nothing is kept of it. No daemon may run meanwhile.
    """
    bring_back(session, source, replace=replace, no_verify=no_verify, lines_only=True)
