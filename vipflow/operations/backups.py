"""A backup: the whole database at one moment, while others work; read back and verified before it is called one.

Of SQLite it is a database file, of PostgreSQL the JSON lines of an export: neither needs a tool beside vipflow, and
`restore` takes both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from time import monotonic

import msgspec

from vipflow.clock import HostClock
from vipflow.config import Settings, shipped
from vipflow.errors import SchemaError, VipflowError
from vipflow.operations.building import Built, Form, Progress, Verified, build, check_lines, opened, silence, verified
from vipflow.operations.databases import open_existing
from vipflow.operations.newfiles import new_file
from vipflow.operations.story import clock_of
from vipflow.store.database import Database, DatabaseUnusable
from vipflow.store.meta import get_meta, set_meta
from vipflow.store.moving import as_of, count_rows, write_all
from vipflow.store.pages import as_one_file, copy_pages, damage_of
from vipflow.store.schema import SchemaStatus, schema_status
from vipflow.store.types import instant_text

_LAST = "last_backup"


class Backup(msgspec.Struct, frozen=True):
    """A file that was made and read back. `as_of`: when the newest step of history, or act, in it was written.
    `verified`: whether the promises hold in it; None where that was not looked at, and `not_verified` says why.
    `not_in_it`: what else to keep.
    """

    file: str
    form: Form
    bytes: int
    schema: str
    as_of: datetime | None
    rows: dict[str, int]
    seconds: float
    verified: Verified | None
    not_verified: str | None
    not_in_it: tuple[str, ...]


def backup(settings: Settings, target: Path, *, check: bool, progress: Progress = silence) -> Backup:
    """Makes a backup under the name `target`, or under one of its own in the folder `target`. `check`: also look
    whether the promises hold in it. Raises BadInput for a name that is taken, CannotWrite, DatabaseUnusable; then
    nothing is left.
    """
    now = HostClock().now()
    with _reading(settings) as (database, status):
        form: Form = "sqlite" if database.dialect == "sqlite" else "json lines"
        if target.is_dir():
            target /= f"vipflow-{now:%Y%m%dT%H%M%SZ}{'.db' if form == 'sqlite' else '.jsonl'}"
        made = _made(settings, database, status, target, form, check, progress)
    if status.state == "current":
        with suppress(VipflowError):  # there is a backup, whether the database can be told or not
            _remember(settings, now)
    return made


def export(settings: Settings, target: Path, *, progress: Progress = silence) -> Backup:
    """Writes everything as JSON lines, and reads the file back. Raises as `backup` does."""
    with _reading(settings) as (database, status):
        return _made(settings, database, status, target, "json lines", False, progress)


def last_backup(database: Database) -> datetime | None:
    """When `backup` made one of this database last."""
    with database.read() as connection:
        kept = get_meta(connection, _LAST)
    return None if kept is None else datetime.fromisoformat(kept)


def _made(
    settings: Settings,
    database: Database,
    status: SchemaStatus,
    target: Path,
    form: Form,
    check: bool,
    tell: Progress,
) -> Backup:
    begun = monotonic()
    left_out = _not_in_it(settings)
    with new_file(target) as file:
        found, why = None, None if check else "not asked for"
        if form == "sqlite":
            known = _copied(database, status, file, f"the file {target}", tell)
        else:
            known = _written(database, status, file, tell)
        if check and status.state != "current":
            why = f"it has schema {status.current}, and this release looks into {status.head} only"
        elif check:
            found, why = _looked_at(settings, file, known, tell)
        if form == "sqlite":
            as_one_file(file, f"the file {target}")
        size = file.stat().st_size
    spent = round(monotonic() - begun, 2)
    return Backup(str(target), form, size, known.schema, known.as_of, known.rows, spent, found, why, left_out)


def _copied(database: Database, status: SchemaStatus, file: Path, what: str, tell: Progress) -> Built:
    """A copy of SQLite's pages, without damage."""
    copy_pages(database, file, what, lambda done, total: tell("Copying pages", done, total))
    tell("Looking for damage", 0, 0)
    damage = damage_of(file, what)
    if damage is not None:
        remedy = "no backup was made of it; look with `vipflow doctor --only integrity`, restore an earlier backup"
        raise DatabaseUnusable(database.label, f"it is damaged ({damage})", remedy)
    if status.state == "newer":
        return Built("sqlite", status.current or "", None, {})
    with opened(file, role="reader") as copy, copy.read() as connection:
        return Built("sqlite", status.current or "", as_of(connection), count_rows(connection, status.current or ""))


def _written(database: Database, status: SchemaStatus, file: Path, tell: Progress) -> Built:
    """JSON lines, read back from where they stand."""
    if status.state == "newer":
        remedy = f"a newer vipflow (revision {status.current}) wrote it: use that one or a later one"
        raise SchemaError(database.label, status.current or "", status.head, remedy)

    def done(rows: int) -> None:
        tell("Writing rows", rows, 0)

    with file.open("wb") as out, database.read() as connection:
        write_all(connection, out.write, schema=status.current or "", done=done)
    return check_lines(file, tell)


def _looked_at(settings: Settings, file: Path, known: Built, tell: Progress) -> tuple[Verified | None, str | None]:
    """Whether the promises hold in it: lines are brought into a database beside, which is gone afterwards."""
    place = file
    if known.form == "json lines":
        place = file.with_name(f"{file.name}.db")
        build(file, place, tell, known)
    with opened(place, role="reader") as database:
        return verified(settings, database, tell, clock_of(settings.clock, database).now())


def _remember(settings: Settings, now: datetime) -> None:
    database = open_existing(settings)
    try:
        with database.write() as connection:
            set_meta(connection, _LAST, instant_text(now))
    finally:
        database.dispose()


def _not_in_it(settings: Settings) -> tuple[str, ...]:
    """What an installation needs beside its database. The key last: it must not lie where a backup lies."""
    folders = settings.folders
    named = (
        settings.file,
        folders.workflows,
        *folders.email_templates,
        folders.reseller_templates,
        *folders.policies,
        *folders.catalogues,
        settings.audit.seals,
        settings.audit.key,
    )
    ours = {shipped("workflows"), shipped("email_templates")}  # they come with vipflow
    there = [each for each in named if each is not None and each not in ours and each.exists()]
    return tuple(dict.fromkeys(map(str, there)))


@contextmanager
def _reading(settings: Settings) -> Iterator[tuple[Database, SchemaStatus]]:
    """The database of these settings, with tables of ours of whatever release."""
    database = open_existing(settings, role="reader")
    try:
        status = schema_status(database)
        if status.state == "missing":
            remedy = "name another, or make it with `vipflow db migrate`"
            raise DatabaseUnusable(database.label, "there is nothing of vipflow in it", remedy)
        yield database, status
    finally:
        database.dispose()
