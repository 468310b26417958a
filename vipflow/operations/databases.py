"""The database of an installation: made, migrated, looked at."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import make_url

from vipflow.config import Settings
from vipflow.store import schema
from vipflow.store.database import Database, DatabaseUnusable, open_database
from vipflow.store.tenants import all_tenants
from vipflow.store.work import next_wake


class Migration(msgspec.Struct, frozen=True):
    """What `migrate` did: `before` is the schema found, None where there was none."""

    database: str
    before: str | None
    schema: str


class Status(msgspec.Struct, frozen=True):
    """How the database stands to this release; `remedy` says what to do where it cannot be worked with."""

    database: str
    state: str
    schema: str | None
    needed: str
    resellers: int | None
    next_due: datetime | None
    remedy: str | None


def migrate(settings: Settings) -> Migration:
    """Makes or migrates the database of these settings; with SQLite its folder too."""
    file = sqlite_file(settings)
    if file is not None:
        try:
            file.parent.mkdir(mode=0o770, parents=True, exist_ok=True)  # customers' data: not for everybody
        except OSError as wrong:
            raise DatabaseUnusable(
                f"the database {file}", f"its folder cannot be made ({wrong.strerror})", "name another in config.toml"
            ) from wrong
    database = open_database(settings.database.url)
    try:
        before = schema.migrate(database)
        return Migration(database.label, before.current, before.head)
    finally:
        database.dispose()


def rehearse_migration(settings: Settings) -> Migration:
    """Migrates, and undoes it: what `migrate` would do, or what it would raise. A file that is missing is not made."""
    file = sqlite_file(settings)
    if file is not None and not file.exists():
        return Migration(f"the database {file}", None, schema.head_revision())
    database = open_database(settings.database.url)
    try:
        with database.rehearsing() as rehearsal:
            before = schema.migrate(rehearsal)
        return Migration(database.label, before.current, before.head)
    finally:
        database.dispose()


def status(settings: Settings) -> Status:
    """Reads only, and makes no file."""
    database = open_existing(settings, role="reader")
    try:
        found = schema.schema_status(database)
        resellers = due = remedy = None
        if found.state == "current":
            with database.read() as connection:
                resellers = len(all_tenants(connection))
                due = next_wake(connection)
        elif found.state == "newer":
            remedy = f"A newer vipflow wrote this database (schema {found.current}): install that one or a later one."
        else:
            remedy = "Run `vipflow db migrate`" + (", after a backup." if found.state == "older" else ".")
        return Status(database.label, found.state, found.current, found.head, resellers, due, remedy)
    finally:
        database.dispose()


def open_existing(settings: Settings, *, role: str = "writer") -> Database:
    """Opens the database; one of SQLite must be there already (a mistyped path must not make an empty one)."""
    file = sqlite_file(settings)
    if file is not None:
        what = f"the database {file}"
        try:
            there = file.exists()
        except OSError as wrong:
            problem = f"it cannot be reached ({wrong.strerror})"
            raise DatabaseUnusable(what, problem, "check its path and permissions") from wrong
        if not there:
            raise DatabaseUnusable(what, "there is none yet", "make it with `vipflow db migrate`")
    return open_database(settings.database.url, role="reader" if role == "reader" else "writer")


def sqlite_file(settings: Settings) -> Path | None:
    """The file of an SQLite database, None for another kind."""
    url = make_url(settings.database.url)
    return Path(url.database) if url.drivername.startswith("sqlite") and url.database else None
