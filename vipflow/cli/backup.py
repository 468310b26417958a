"""`vipflow backup`: the whole database into a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from vipflow.operations.backups import Backup
    from vipflow.operations.building import Verified

Progress = Callable[[str, int, int], None]

NoVerify = Annotated[
    bool, typer.Option("--no-verify", help="Leave out whether all is as promised in it: that reads every customer.")
]


def add_to(app: typer.Typer) -> None:
    command(app, "backup", needs="database")(backup)


def backup(
    session: Session,
    target: Annotated[
        Path, typer.Argument(help="The new file; or a folder, in which it is named by the time.", metavar="FILE|FOLDER")
    ],
    no_verify: NoVerify = False,
) -> None:
    """Makes a backup of the whole database while others work, and verifies it.

    Of SQLite it is a database file, of PostgreSQL JSON lines: restore takes both. It is read back from the disk and
    looked through before it gets its name; where anything goes wrong nothing is left. Ends with 1 where the promises do
    not hold in it: it is kept, as it is what there is.
    """
    from vipflow.cli.output import FAULT
    from vipflow.operations.backups import backup

    with progress(session) as tell:
        made = backup(session.settings, target, check=not no_verify, progress=tell)
    if session.out.json:
        session.out.write_json(made)
    else:
        session.out.answer(None, _told(made, "Backup"))
        session.out.answer(None, verified_told(made.verified, made.not_verified))
        if made.not_in_it:
            session.out.note("Not in it, so keep a copy: " + ", ".join(made.not_in_it) + ".")
        if str(session.settings.audit.key) in made.not_in_it:
            session.out.note("Keep the key of the seals away from your backups: who has both can forge history.")
    if made.verified is not None and not made.verified.ok:
        findings(session, made.verified)
        raise typer.Exit(FAULT)


# --- shared with `vipflow db` and `vipflow restore` ------------------------------------------------------------------


def exported_told(made: Backup) -> Any:
    """What `db export` says of its file."""
    return _told(made, "Export")


def verified_told(found: Verified | None, why_not: str | None) -> str:
    """What was found, in a sentence."""
    if found is None:
        return f"Not verified: {why_not}."
    customers = f"{found.customers:,} customer{'' if found.customers == 1 else 's'}"
    looked = f"{customers} and {found.history:,} steps of history in {found.seconds:.1f} s"
    if found.ok:
        return f"Verified: {looked}, all as promised."
    return f"Verified: {looked}, and {found.found:,} {'thing is' if found.found == 1 else 'things are'} wrong:"


def findings(session: Session, found: Verified) -> None:
    """The first of what is wrong."""
    if session.out.json:
        return
    for each in found.findings:
        where = " ".join(part for part in (each.tenant, each.subject, each.record) if part)
        session.out.problem(f"{each.invariant} {where}: {each.problem}{'; ' + each.remedy if each.remedy else ''}")
    if found.found > len(found.findings):
        session.out.problem(f"… and {found.found - len(found.findings):,} more; vipflow verify says all.")


@contextmanager
def progress(session: Session) -> Iterator[Progress]:
    """A bar for what is being done, on a terminal only."""
    if session.out.json or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total or None)


def _told(made: Backup, what: str) -> Any:
    from vipflow.cli.output import facts_table
    from vipflow.operations.doctor.findings import size

    rows = made.rows
    return facts_table(
        {
            what.lower(): made.file,
            "size": f"{size(made.bytes)}, {'a database of SQLite' if made.form == 'sqlite' else 'JSON lines'}",
            "read back": rows_told(rows) if rows else "no page is damaged; a newer release wrote what is in them",
            "newest in it": f"{made.as_of:%Y-%m-%d %H:%M:%S} UTC" if made.as_of is not None else "nothing yet",
            "schema": made.schema,
            "made in": f"{made.seconds:.1f} s",
        }
    )


def rows_told(rows: dict[str, int]) -> str:
    customers = rows.get("subjects", 0)
    total = sum(rows.values())
    return f"{total:,} row{'' if total == 1 else 's'}, of {customers:,} customer{'' if customers == 1 else 's'}"
