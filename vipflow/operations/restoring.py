"""A backup or an export, brought back: into a database that holds nothing, and so that no mail leaves by itself.

What is in the file is checked before anything is kept, and comes in whole or not at all. In the same transaction all
mail is held, as catching up holds it: since the backup mails have left, and events have arrived, of which it knows
nothing.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from vipflow.case import Actor
from vipflow.clock import HostClock
from vipflow.config import Settings
from vipflow.engine.sealfile import SealPlace
from vipflow.engine.seals import seal_state
from vipflow.errors import BadInput, Busy, VipflowError
from vipflow.operations import holds
from vipflow.operations.building import (
    Built,
    Form,
    Progress,
    Verified,
    build,
    check_lines,
    fill_from,
    form_of,
    opened,
    silence,
    verified,
)
from vipflow.operations.catchup import note_progress
from vipflow.operations.daemons import living
from vipflow.operations.databases import sqlite_file
from vipflow.operations.newfiles import cannot_write, folder_beside
from vipflow.operations.who import OPERATOR
from vipflow.store.database import Database, DatabaseUnusable, open_database
from vipflow.store.holds import Scope, count_stopped
from vipflow.store.meta import database_now, remember_now
from vipflow.store.moving import holds_nothing, write_all
from vipflow.store.pages import is_sqlite, put_in_place, sync_file, with_log
from vipflow.store.schema import head_revision, schema_status, upgrade


class Restored(msgspec.Struct, frozen=True):
    """What came in. `hold` is the id of the hold on all mail, `mails_waiting` how many it stops; `aside` is where the
    database that was there is kept. `seals`: why no seal can be made as things stand, and what to do.
    """

    source: str
    form: Form
    database: str
    as_of: datetime | None
    schema_found: str
    schema: str
    rows: dict[str, int]
    hold: str
    mails_waiting: int
    aside: str | None
    verified: Verified | None
    not_verified: str | None
    seals: str | None


def restore(
    settings: Settings,
    source: Path,
    *,
    replace: bool = False,
    check: bool = True,
    lines_only: bool = False,
    progress: Progress = silence,
) -> Restored:
    """Brings a backup or an export into the database of these settings, which must hold nothing, and holds all mail.

    `replace`: an SQLite database that holds something is kept under another name. `check`: also look whether the
    promises hold in it; where they do not it is there all the same, and held. `lines_only`: take no SQLite file.
    Nobody may serve the database meanwhile. Raises BadInput for a file or a database that will not do, SchemaError for
    what a newer release wrote, Busy where somebody uses the database; then nothing was changed.
    """
    form = form_of(source)
    if lines_only and form != "json lines":
        problem = "it is a backup of SQLite, and no export"
        raise BadInput(f"the file {source}", problem, "bring it back with `vipflow restore`")
    file = sqlite_file(settings)
    if file is None:
        made = _into_postgresql(settings, source, form, replace, check, progress)
    else:
        made = _into_sqlite(settings, source, file.resolve(), replace, check, progress)
    return _with_what_comes_next(settings, made)


# --- SQLite --------------------------------------------------------------------------------------------------------


def _into_sqlite(settings: Settings, source: Path, file: Path, replace: bool, check: bool, tell: Progress) -> Restored:
    """A new file is made beside, and takes the name when all is done."""
    label = f"the database {file}"
    _check_free(file, label, replace)
    if file.exists() and file.samefile(source):
        raise BadInput(f"the file {source}", "it is the database itself", "name a backup")
    try:
        file.parent.mkdir(mode=0o770, parents=True, exist_ok=True)
    except OSError as wrong:
        raise cannot_write(label, wrong) from wrong
    with folder_beside(file) as folder:
        made = folder / file.name
        try:
            built = build(source, made, tell)
            with opened(made, role="writer") as database:
                with database.write() as connection:
                    held = _hold(connection, settings, source, built)
                looked = verified(settings, database, tell, None) if check else (None, "not asked for")
            with_log(made, label)
            _belongs_as(file if file.exists() else file.parent, made)
            sync_file(made)
            found_there = _check_free(file, label, replace)  # nobody was kept from writing meanwhile
            aside = None if found_there is None else _name_aside(file)
            put_in_place(made, file, aside)
        except OSError as wrong:
            raise cannot_write(label, wrong) from wrong
    return _restored(source, label, built, held, aside, looked)


def _check_free(file: Path, label: str, replace: bool) -> str | None:
    """Raises BadInput for a database in the way, unless it is to be replaced: then what stands in the way."""
    problem = _what_is_there(file)
    if problem is not None and not replace:
        remedy = "name another in config.toml; or take its place with --replace, which keeps it under another name"
        raise BadInput(label, problem, remedy)
    return problem


def _what_is_there(file: Path) -> str | None:
    try:
        if not file.exists() or file.stat().st_size == 0:
            return None
        if is_sqlite(file):
            with opened(file, role="reader") as database, database.read() as connection:
                return None if holds_nothing(connection) else "it holds somebody's data"
    except (VipflowError, OSError):
        pass
    return "there is a file that cannot be read as a database"


def _name_aside(file: Path) -> Path:
    """By the second, and further where that is taken."""
    name = f"{file.name}.until-{HostClock().now():%Y%m%dT%H%M%SZ}"
    taken = 0
    while (aside := file.with_name(f"{name}{f'-{taken}' if taken else ''}")).exists():
        taken += 1
    return aside


def _belongs_as(model: Path, made: Path) -> None:
    """Whoever may use the database that was there may use this one, also where an administrator restores it."""
    there = model.stat()
    made.chmod(there.st_mode & 0o666 if model.is_file() else 0o600 | there.st_mode & 0o060)
    if os.geteuid() == 0:
        os.chown(made, there.st_uid, there.st_gid)


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


def _into_postgresql(
    settings: Settings, source: Path, form: Form, replace: bool, check: bool, tell: Progress
) -> Restored:
    if replace:
        remedy = "leave --replace out; make an empty database (createdb), name it in config.toml, and keep the old one"
        raise BadInput("--replace", "vipflow does not put a database of a server aside", remedy)
    database = open_database(settings.database.url)
    try:
        _check_empty(database)
        with tempfile.TemporaryDirectory(prefix="vipflow-") as folder:
            lines, found = (source, None) if form == "json lines" else _as_lines(source, Path(folder), tell)
            built = check_lines(lines, tell)
            _check_schema(database, built)
            with database.write() as connection:
                upgrade(connection, built.schema)  # and nobody else migrates it meanwhile
                _check_holds_nothing(connection, database)
                fill_from(connection, lines, built, tell)
                upgrade(connection)
                held = _hold(connection, settings, source, built)
                connection.exec_driver_sql("ANALYZE")  # or the first plans know nothing of what came in
        looked = verified(settings, database, tell, None) if check else (None, "not asked for")
        return _restored(source, database.label, found or built, held, None, looked)
    except OSError as wrong:
        raise cannot_write("a temporary file", wrong) from wrong
    finally:
        database.dispose()


def _as_lines(source: Path, folder: Path, tell: Progress) -> tuple[Path, Built]:
    """A backup of SQLite as an export, and what it was."""
    file = folder / "restored.db"
    built = build(source, file, tell)
    lines = folder / "restored.jsonl"
    with opened(file, role="reader") as database, database.read() as connection, lines.open("wb") as out:
        write_all(connection, out.write, schema=head_revision())
    return lines, built


def _check_empty(database: Database) -> None:
    status = schema_status(database)
    with database.read() as connection:
        _check_holds_nothing(connection, database)
        if status.state == "current":
            busy = living(connection, database_now(connection, HostClock().now()))
            if busy:
                who = f"a daemon works on it (process {busy[0].pid} on {busy[0].host})"
                raise Busy(database.label, who, "stop it first; it counts as stopped 30 s after its last sign of life")


def _check_holds_nothing(connection: Connection, database: Database) -> None:
    if not holds_nothing(connection):
        remedy = "make an empty one (createdb) and name it in config.toml; this one stays as it is"
        raise BadInput(database.label, "it holds somebody's data", remedy)


def _check_schema(database: Database, built: Built) -> None:
    status = schema_status(database)
    if status.current not in (None, built.schema):
        problem = f"it has tables of schema {status.current}, and the file is of schema {built.schema}"
        remedy = "make an empty database without tables (createdb) and name it in config.toml"
        raise DatabaseUnusable(database.label, problem, remedy)


# --- held, and what comes next -------------------------------------------------------------------------------------


def _hold(connection: Connection, settings: Settings, source: Path, built: Built) -> tuple[str, int]:
    """Holds all mail in the transaction that brings it in; the hold's id, and how many mails wait."""
    now = _now(connection, settings)
    remember_now(connection, now)
    as_of = f", as of {built.as_of:%Y-%m-%d %H:%M} UTC" if built.as_of is not None else ""
    reason = f"the database was brought back from {source.name}{as_of}: mails may have left since"
    details = {"file": source.name, "as_of": built.as_of, "schema": built.schema}
    row = holds.new_hold(Scope(None), "restored", reason, details, OPERATOR, now)
    row, _ = holds.put_in_force(connection, row, Actor("staff", OPERATOR), now)
    return row.id, count_stopped(connection, Scope(None), None).mails


def _now(connection: Connection, settings: Settings) -> datetime:
    """As commands have it: in a story, where that begins or has come to."""
    story = settings.clock.stands_at or settings.clock.continues_from
    return database_now(connection, story or HostClock().now())


def _with_what_comes_next(settings: Settings, made: Restored) -> Restored:
    """Looks at the seals, and lets this machine's daemon know how far the database is now: or it would hold mail again
    once that was approved.
    """
    database = open_database(settings.database.url)
    try:
        with suppress(OSError, VipflowError):  # it is there and held, whatever this machine may write
            note_progress(settings, database, lambda connection: _now(connection, settings))
        state = seal_state(database, SealPlace(settings.audit.key, settings.audit.seals))
        return msgspec.structs.replace(made, seals=f"{state.problem}; {state.remedy}" if state.problem else None)
    finally:
        database.dispose()


def _restored(
    source: Path,
    label: str,
    built: Built,
    held: tuple[str, int],
    aside: Path | None,
    found: tuple[Verified | None, str | None],
) -> Restored:
    return Restored(
        source=str(source),
        form=built.form,
        database=label,
        as_of=built.as_of,
        schema_found=built.schema,
        schema=head_revision(),
        rows=built.rows,
        hold=held[0],
        mails_waiting=held[1],
        aside=None if aside is None else str(aside),
        verified=found[0],
        not_verified=found[1],
        seals=None,
    )
