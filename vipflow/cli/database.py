"""`vipflow db …`: the shape of the database."""

from __future__ import annotations

import typer

from vipflow.cli.session import Session, command, group


def add_to(app: typer.Typer) -> None:
    db = group("db", "Make, migrate and look at the database.")
    command(db, "migrate", needs="database", act="previewed")(migrate)
    command(db, "status", needs="database")(status)
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
