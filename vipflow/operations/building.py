"""A database made from a file: from a backup of SQLite, or from JSON lines; checked first, and brought to this
release's schema.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import msgspec
from sqlalchemy import URL, Connection

from vipflow.config import Settings
from vipflow.engine.verify import Finding, verify
from vipflow.errors import BadInput, SchemaError, VipflowError
from vipflow.operations.installation import load_files
from vipflow.store.archive import Archive, Written
from vipflow.store.database import Database, Role, open_database
from vipflow.store.moving import as_of, count_rows, fill
from vipflow.store.pages import MAGIC, damage_of
from vipflow.store.schema import SchemaStatus, head_revision, migrate, schema_status, standing_of, upgrade

Form = Literal["sqlite", "json lines"]
Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much; 0 where nobody knows."""
SHOWN = 20


class Built(msgspec.Struct, frozen=True):
    """What came of a file. `schema`: the one that it had."""

    form: Form
    schema: str
    as_of: datetime | None
    rows: dict[str, int]


class Verified(msgspec.Struct, frozen=True):
    """What `verify` found."""

    ok: bool
    seconds: float
    customers: int
    history: int
    found: int
    findings: tuple[Finding, ...]


def form_of(source: Path) -> Form:
    """What kind of file it is. Raises BadInput for one that is none of ours, or cannot be read."""
    what = f"the file {source}"
    try:
        with source.open("rb") as opened:
            begins = opened.read(len(MAGIC))
    except OSError as wrong:
        raise BadInput(what, f"it cannot be read ({wrong.strerror})", "name a backup or an export") from None
    if begins == MAGIC:
        return "sqlite"
    if begins.startswith(b'{"vipflow":'):
        return "json lines"
    problem = "it is empty" if not begins else "it is neither a backup nor an export of vipflow"
    raise BadInput(what, problem, "name a file that `vipflow backup` or `vipflow db export` wrote")


def build(source: Path, file: Path, tell: Progress, known: Built | None = None) -> Built:
    """Makes the new SQLite database `file`, with this release's schema, of whatever `source` is; `known` is what
    `check_lines` has said of it. Raises BadInput for a damaged one, SchemaError for one of a newer release.
    """
    if form_of(source) == "sqlite":
        return _build_of_pages(source, file, tell)
    known = known or check_lines(source, tell)
    with opened(file, role="writer") as database, database.write() as connection:
        upgrade(connection, known.schema)
        fill_from(connection, source, known, tell)
        upgrade(connection)
    return known


def check_lines(source: Path, tell: Progress) -> Built:
    """Reads JSON lines to their end. Raises BadInput with the line that is wrong, SchemaError for a newer release's."""
    with source.open("rb") as file:
        archive = Archive(file, str(source))
        check_standing(str(source), standing_of(archive.header.schema))
        written = archive.check(lambda done: tell("Checking the file", done, 0))
    return Built("json lines", archive.header.schema, archive.header.as_of, written.rows)


def fill_from(connection: Connection, source: Path, known: Built, tell: Progress) -> Written:
    """Puts the lines into tables of their schema that hold nothing."""
    total = sum(known.rows.values())
    with source.open("rb") as file:
        return fill(connection, Archive(file, str(source)), lambda done: tell("Bringing in rows", done, total))


def check_standing(what: str, status: SchemaStatus) -> None:
    """Raises where this release cannot read what has such a schema."""
    if status.state == "newer":
        remedy = f"a newer vipflow (revision {status.current}) wrote it: install that one or a later one"
        raise SchemaError(what, status.current or "", status.head, remedy)
    if status.state == "missing":
        problem = "it is a database, and there is nothing of vipflow in it"
        raise BadInput(f"the file {what}", problem, "name a file that `vipflow backup` wrote")


@contextmanager
def opened(file: Path, *, role: Role) -> Iterator[Database]:
    """An SQLite database that is being made: whoever makes it flushes it at the end."""
    database = open_database(URL.create("sqlite", database=str(file)), role=role, durability="off")
    try:
        yield database
    finally:
        database.dispose()


def verified(
    settings: Settings, database: Database, tell: Progress, now: datetime | None
) -> tuple[Verified | None, str | None]:
    """What `verify` finds in a database, or why it could not be asked. The seals' key and their file are left aside:
    they belong to the database that is in use.
    """
    begun = monotonic()
    try:
        files = load_files(settings)
    except VipflowError as fault:
        return None, f"what verify needs cannot be loaded: {fault}"

    def progress(done: int, total: int) -> None:
        tell("Verifying customers", done, total)

    report = verify(database, files.workflows, files.trade, now=now, most=SHOWN, progress=progress)
    found = sum(each.found for each in report.invariants)
    spent = round(monotonic() - begun, 2)
    return Verified(report.ok, spent, report.subjects, report.history, found, report.findings), None


def silence(*_: Any) -> None:
    """Tells nobody."""


def _build_of_pages(source: Path, file: Path, tell: Progress) -> Built:
    what = f"the file {source}"
    log = source.with_name(f"{source.name}-wal")
    if log.exists() and log.stat().st_size:
        problem = f"it is a database in use, with a part of its data in {log.name}"
        raise BadInput(what, problem, "make a backup of it with `vipflow backup`, and restore that")
    tell("Copying the file", 0, 0)
    shutil.copyfile(source, file)
    tell("Looking for damage", 0, 0)
    damage = damage_of(file, what)
    if damage is not None:
        raise BadInput(what, f"it is damaged ({damage})", "take an earlier backup")
    with opened(file, role="writer") as database:
        status = schema_status(database)
        check_standing(str(source), status)
        migrate(database)
        with database.read() as connection:
            return Built("sqlite", status.current or "", as_of(connection), count_rows(connection, head_revision()))
