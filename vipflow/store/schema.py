"""Which shape the stored data have, and how they come to the one that this release needs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from vipflow.errors import SchemaError
from vipflow.store.database import Database, open_database
from vipflow.store.tables import metadata

MIGRATING = 60.0
"""Seconds that a migration waits for another one, which may have a large database in hand."""


@dataclass(frozen=True)
class SchemaStatus:
    """`current`: the revision found in the database, None when it has none. `head`: the one that this release needs."""

    current: str | None
    head: str
    state: Literal["current", "older", "newer", "missing"]


def schema_status(database: Database) -> SchemaStatus:
    """How the database stands to this release. A revision that this release has never heard of is a newer one."""
    with database.read() as connection:
        return _status(connection)


def columns_missing(connection: Connection) -> list[str]:
    """Columns (`table.column`) that this release reads and the database lacks, whatever its revision says."""
    found = inspect(connection).get_multi_columns()
    there = {(key[1], column["name"]) for key, columns in found.items() for column in columns}
    return [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if (table.name, column.name) not in there
    ]


def require_current(database: Database) -> None:
    """Raises `SchemaError`, which says what to do, unless this release can work with the stored data."""
    with database.read() as connection:
        status = _status(connection)
    if status.state == "newer":
        raise _written_by_newer(database, status)
    if status.state != "current":
        remedy = "run `vipflow db migrate`" + (" (after a backup)" if status.state == "older" else "")
        raise SchemaError(database.label, status.current or "none yet", status.head, remedy)


def migrate(database: Database | str) -> SchemaStatus:
    """Brings a database, or the one at a URL, to the shape that this release needs, in one transaction; keeps its data.

    Does nothing where that is so already; of several at once, one does it and the others wait. Returns how things stood
    before. Raises `SchemaError` when a newer release wrote it.
    """
    if isinstance(database, str):
        opened = open_database(database, patience=MIGRATING)
        try:
            return migrate(opened)
        finally:
            opened.dispose()
    with database.write() as connection:
        _wait_for_other_migrations(connection)
        before = _status(connection)
        if before.state == "newer":
            raise _written_by_newer(database, before)
        if before.state != "current":
            upgrade(connection)
    return before


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Brings a database to a revision, its own or a later one, within the caller's transaction."""
    _wait_for_other_migrations(connection)
    with _scripts() as config:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def create_all(database: Database) -> None:
    """What `migrate` makes of an empty database, but faster: for tests, one of which proves that it is the same."""
    with database.write() as connection, _scripts() as config:
        metadata.create_all(connection, checkfirst=False)
        config.attributes["connection"] = connection
        command.stamp(config, "head")


def head_revision() -> str:
    """The revision that this release needs."""
    with _scripts() as config:
        return ScriptDirectory.from_config(config).get_current_head() or ""


def _status(connection: Connection) -> SchemaStatus:
    return standing_of(MigrationContext.configure(connection).get_current_revision())


def standing_of(current: str | None) -> SchemaStatus:
    """How a revision stands to this release."""
    with _scripts() as config:
        scripts = ScriptDirectory.from_config(config)
        head = scripts.get_current_head()
        known = {script.revision for script in scripts.walk_revisions()}
    if head is None:
        raise RuntimeError("vipflow was installed without its migrations")
    return status_of(current, head, known)


def status_of(current: str | None, head: str, known: Collection[str]) -> SchemaStatus:
    """What it means to find revision `current` where `known` lead up to `head`."""
    if current is None:
        return SchemaStatus(None, head, "missing")
    if current == head:
        return SchemaStatus(current, head, "current")
    return SchemaStatus(current, head, "older" if current in known else "newer")


def _written_by_newer(database: Database, status: SchemaStatus) -> SchemaError:
    remedy = (
        f"this database was written by a newer vipflow (revision {status.current}): "
        "install that one or a later one, or restore a backup"
    )
    return SchemaError(database.label, status.current or "", status.head, remedy)


@contextmanager
def _scripts() -> Iterator[Config]:
    """Alembic's configuration; the migrations travel inside the package, also in a wheel."""
    with as_file(files("vipflow.store") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        yield config


def _wait_for_other_migrations(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # on SQLite the gate does it
        # However long theirs takes; for locks on tables we wait as always.
        usual = connection.execute(text("SELECT current_setting('lock_timeout')")).scalar_one()
        connection.execute(_LOCK_TIMEOUT, {"value": "0"})
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('vipflow db migrate', 0))"))
        connection.execute(_LOCK_TIMEOUT, {"value": usual})


_LOCK_TIMEOUT = text("SELECT set_config('lock_timeout', :value, true)")
