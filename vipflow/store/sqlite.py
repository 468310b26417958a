"""SQLite: one file, many readers, one writer at a time among all processes."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from vipflow.errors import BadInput, Busy, VipflowError
from vipflow.store.database import DatabaseUnusable, Durability


def database_file(address: URL) -> Path:
    """The file that a `sqlite:///<path>` names, absolute. Raises `BadInput` when it names none."""
    name = address.database
    if not name or name == ":memory:":
        problem = "SQLite in memory forgets everything when the program ends"
    elif name.startswith("file:") or address.query:
        problem = "SQLite is given options, and vipflow sets its own"
    else:
        return Path(name).resolve()
    raise BadInput("the database's URL", problem, "name a file: sqlite:///<path>")


def prepare_file(file: Path, label: str, gate: Gate, *, create: bool) -> None:
    """Sees to it that the file is there, is SQLite's, and keeps a write-ahead log."""
    if not file.parent.is_dir():
        raise DatabaseUnusable(label, f"there is no folder {file.parent}", "make it, or name another")
    if not create and not file.exists():
        raise DatabaseUnusable(label, "there is no such file", "name another, or make it with `vipflow db migrate`")
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
            if journal != "wal":
                with gate.held():
                    connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        known = in_our_words(label, error)
        if known is None:
            raise
        raise known from error


def engine(file: Path, patience: float, durability: Durability, *, writes: bool) -> Engine:
    """Connections that only read, or those that write.

    The latter say BEGIN IMMEDIATE: a transaction that reads first and writes later fails at once when another wrote in
    between, without waiting for the busy timeout.
    """
    made = create_engine(
        URL.create("sqlite", database=str(file)),
        hide_parameters=True,  # what goes wrong is logged, customers' data are not
        poolclass=QueuePool,
        pool_size=1 if writes else 5,
        max_overflow=20,
        # None: the driver begins nothing by itself, the `begin` event below does.
        connect_args={"isolation_level": None, "check_same_thread": False},
    )
    settings = {
        "busy_timeout": round(patience * 1000),
        "journal_mode": "WAL",
        # NORMAL may lose the last commits when the power fails, and we have said yes to them.
        "synchronous": "FULL" if durability == "full" else "OFF",
        "foreign_keys": "ON",
        "temp_store": "MEMORY",
        "cache_size": -65536 if writes else -16384,  # negative: KiB, per connection
        "wal_autocheckpoint": 4000,  # pages; a batch writes about 1,000, and a checkpoint waits for the disk twice
        "journal_size_limit": 64 * 1024 * 1024,
        "query_only": "OFF" if writes else "ON",
    }

    @event.listens_for(made, "connect")
    def _configure(connection: sqlite3.Connection, record: object) -> None:
        for name, value in settings.items():
            connection.execute(f"PRAGMA {name} = {value}").close()

    @event.listens_for(made, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return made


class Gate:
    """Who may write now, among all threads and processes: a lock on `<database>.gate`, held for one transaction.

    SQLite before 3.51.3 can damage its log when two connections write and checkpoint at once; behind the gate they
    cannot. Who comes next waits at `<database>.turn`, so a writer of many transactions lets others in between.
    """

    def __init__(self, file: Path, label: str, patience: float) -> None:
        self._label = label
        self._patience = patience
        self._turn = _Lock(file.with_name(file.name + ".turn"))
        self._gate = _Lock(file.with_name(file.name + ".gate"))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises `Busy` when it takes too long."""
        deadline = time.monotonic() + self._patience
        self._take(self._turn, deadline)
        try:
            self._take(self._gate, deadline)
        finally:
            self._turn.release()
        try:
            yield
        finally:
            self._gate.release()

    def holder(self) -> int | None:
        """The process that is inside at this moment, if one is."""
        return self._gate.holder()

    def _take(self, lock: _Lock, deadline: float) -> None:
        try:
            taken = lock.acquire(deadline)
        except OSError as error:
            raise DatabaseUnusable(
                self._label, f"its lock file cannot be used ({error})", "let vipflow write in its folder"
            ) from error
        if not taken:
            holder = self.holder()
            who = "another process" if holder is None else f"process {holder}"
            problem = f"{who} has been writing for {self._patience:g} s"
            raise Busy(self._label, problem, "try again; `vipflow doctor` says more")


class _Lock:
    """A lock among the threads that share it, then among processes, by `flock`: it goes when its process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._handle = -1

    def acquire(self, deadline: float) -> bool:
        """Whether it was had before `deadline` (monotonic)."""
        if not self._threads.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return False
        taken = False
        try:
            taken = self._flock(deadline)
        finally:
            if not taken:
                self._threads.release()
        return taken

    def release(self) -> None:
        fcntl.flock(self._handle, fcntl.LOCK_UN)
        self._threads.release()

    def holder(self) -> int | None:
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            # Granted only when nobody holds it; closing gives it back.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            process = os.read(handle, 20).strip()
            return int(process) if process.isdigit() else None
        finally:
            os.close(handle)

    def _sign(self) -> None:
        """Who holds it, for those who wait. A full disk must not keep it: it would be held, and nobody the holder."""
        try:
            os.pwrite(self._handle, b"%-19d\n" % os.getpid(), 0)
        except OSError:
            os.ftruncate(self._handle, 0)

    def _flock(self, deadline: float) -> bool:
        if self._handle < 0:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
            weakref.finalize(self, os.close, self._handle)
        pause = 0.0005
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._sign()
                return True
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(pause)  # why: flock waits for ever or not at all
                pause = min(2 * pause, 0.005)


def fault(label: str, error: DBAPIError) -> VipflowError | None:
    """Our words for what SQLite reports, where somebody can do something about it."""
    return in_our_words(label, error.orig)


def in_our_words(label: str, error: Any) -> VipflowError | None:
    """The same of an error of the driver itself."""
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bytes tell a detail
    if kind in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return Busy(label, "another program keeps writing, past vipflow's gate", "try again when it has finished")
    if kind in _UNUSABLE:
        problem, remedy = _UNUSABLE[kind]
        return DatabaseUnusable(label, f"{problem} ({error})", remedy)
    return None


_UNUSABLE = {
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "check its path and permissions"),
    sqlite3.SQLITE_PERM: ("it cannot be opened", "check its path and permissions"),
    sqlite3.SQLITE_READONLY: ("it cannot be written", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_NOTADB: ("it is no SQLite database", "name another file, or restore a backup"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", "restore a backup"),
    sqlite3.SQLITE_FULL: ("the disk is full", "make room, then start again"),
    sqlite3.SQLITE_IOERR: ("the disk fails", "look at the disk before you start again"),
}
