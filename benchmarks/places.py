"""Where a benchmark runs: databases that are all copies of one, on a disk, with every commit on it before it counts."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import LiteralString
from unittest import mock

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from tests import postgres
from vipflow.store.database import Database, DialectName, open_database
from vipflow.store.schema import create_all

DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "max_wal_size": "4GB",  # a checkpoint is made before each measurement, none falls into one
    "checkpoint_timeout": "1h",
    "shared_buffers": "512MB",
    "autovacuum": "off",  # its moment would be chance; the rows are analyzed once, before they are copied
}


class Place(ABC):
    """A database server, or a folder."""

    dialect: DialectName
    version: str

    @abstractmethod
    def original(self, fill: Callable[[Database], None]) -> None:
        """Makes the database that all others are copies of."""

    @abstractmethod
    def copy(self) -> AbstractContextManager[Database]:
        """A fresh copy, gone afterwards."""

    @abstractmethod
    def empty(self) -> AbstractContextManager[str]:
        """The URL of a database with nothing in it, gone afterwards."""

    def processes(self) -> list[int]:
        """The processes of the database's own server; none where it is a file."""
        return []


class Folder(Place):
    dialect = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.version = sqlite3.sqlite_version
        self._original = folder / "original.db"
        self._copy = folder / "copy.db"

    def original(self, fill: Callable[[Database], None]) -> None:
        _fill(f"sqlite:///{self._original}", fill)
        with closing(sqlite3.connect(self._original)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def copy(self) -> Iterator[Database]:
        shutil.copy(self._original, self._copy)
        with self._copy.open("rb+") as copied:
            os.fsync(copied.fileno())
        database = open_database(f"sqlite:///{self._copy}", durability="full")
        try:
            yield database
        finally:
            database.dispose()
            for left in self._copy.parent.glob("copy.db*"):
                left.unlink()

    @contextmanager
    def empty(self) -> Iterator[str]:
        file = self._original.with_name("empty.db")
        try:
            yield f"sqlite:///{file}"
        finally:
            for left in file.parent.glob("empty.db*"):
                left.unlink()


class Server(Place):
    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql")
        with self._administrator() as connection:
            self.version = str(connection.info.parameter_status("server_version"))
            (durable,) = connection.execute("SELECT current_setting('fsync')").fetchone() or ("off",)
        if durable != "on":
            raise SystemExit("this server has fsync off: what it measures says nothing about commits that last")
        self._original, self._copy = "vipflow_benchmark", "vipflow_benchmark_copy"

    def original(self, fill: Callable[[Database], None]) -> None:
        self._do("DROP DATABASE IF EXISTS {} WITH (FORCE)", self._original)
        self._do("CREATE DATABASE {} TEMPLATE template0", self._original)
        _fill(self._url_of(self._original), fill)
        with psycopg.connect(self._plain(self._original), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    @contextmanager
    def copy(self) -> Iterator[Database]:
        self._do("CREATE DATABASE {} TEMPLATE {}", self._copy, self._original)
        with suppress(psycopg.errors.InsufficientPrivilege):
            self._do("CHECKPOINT")
        database = open_database(self._url_of(self._copy), durability="full")
        try:
            yield database
        finally:
            database.dispose()
            self._do("DROP DATABASE {} WITH (FORCE)", self._copy)

    @contextmanager
    def empty(self) -> Iterator[str]:
        name = "vipflow_benchmark_empty"
        self._do("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self._do("CREATE DATABASE {} TEMPLATE template0", name)
        try:
            yield self._url.set(database=name).render_as_string(hide_password=False)
        finally:
            self._do("DROP DATABASE {} WITH (FORCE)", name)

    def processes(self) -> list[int]:
        with self._administrator() as connection:
            rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()").fetchall()
        return [pid for (pid,) in rows]

    def clear(self) -> None:
        self._do("DROP DATABASE IF EXISTS {} WITH (FORCE)", self._original)

    def _do(self, statement: LiteralString, *databases: str) -> None:
        with self._administrator() as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, databases)))

    def _administrator(self) -> psycopg.Connection:
        return psycopg.connect(self._plain(self._url.database), autocommit=True)

    def _plain(self, database: str | None) -> str:
        return self._url.set(database=database).render_as_string(hide_password=False)

    def _url_of(self, database: str) -> str:
        url = self._url.set(drivername="postgresql+psycopg", database=database)
        return url.render_as_string(hide_password=False)


def add_where(parser: ArgumentParser) -> None:
    """The options that every benchmark has: on which database, and how the answer is given."""
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--postgres", metavar="URL", help="a server instead of one of its own; may create databases")
    parser.add_argument("--json", action="store_true")


def places_of(given: Namespace) -> list[AbstractContextManager[Place]]:
    """Where to measure, as asked for with the options of `add_where`."""
    found: list[AbstractContextManager[Place]] = []
    if given.database != "postgresql":
        found.append(sqlite_place())
    if given.database != "sqlite":
        found.append(postgresql_place(given.postgres))
    return found


@contextmanager
def sqlite_place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="vipflow-benchmark-", ignore_cleanup_errors=True) as folder:
        yield Folder(Path(folder))


@contextmanager
def postgresql_place(url: str | None) -> Iterator[Place]:
    """The server at `url`, or one of its own, made of the binaries that the tests use; its data are on the disk."""
    if url is not None:
        server = Server(url)
        try:
            yield server
        finally:
            server.clear()
        return
    folder = Path(tempfile.mkdtemp(prefix="vipflow-benchmark-", dir=postgres._temporary_folder()))
    folder.chmod(0o711)
    process = None
    try:
        problems = []
        for origin, binaries in postgres._candidates():
            try:
                with mock.patch.dict(postgres.SETTINGS, DURABLE):
                    process, own = postgres._start(folder, folder / "cluster", binaries)
                break
            except (postgres.PostgresUnavailable, OSError) as problem:
                problems.append(f"{origin}: {problem}")
        else:
            raise SystemExit("\n".join([*problems, postgres.HOW_TO_GET_ONE]))
        yield Server(own)
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # "fast": open sessions are ended
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _fill(url: str, fill: Callable[[Database], None]) -> None:
    database = open_database(url, durability="off")
    create_all(database)
    fill(database)
    database.dispose()
