"""An SQLite database as a file: copied while others write, looked at for damage, put in the place of another."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vipflow.errors import Busy, VipflowError
from vipflow.store.database import PATIENCE, Database, DatabaseUnusable
from vipflow.store.sqlite import Gate, in_our_words

Pages = Callable[[int, int], None]
"""Told how many pages were done, and how many there are."""

MAGIC = b"SQLite format 3\0"
_AT_ONCE = 1024  # pages of a copy between two words of progress
_BESIDE = ("-wal", "-shm", "-journal")


def copy_pages(database: Database, target: Path, label: str, done: Pages | None = None) -> None:
    """Copies an SQLite database as it is at this moment into the empty file `target`; nobody waits for it, and it for
    nobody. Raises DatabaseUnusable where the copy cannot be written.
    """
    with database.read() as connection:
        connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").close()  # the moment: from here on it stands
        source = connection.connection.driver_connection
        assert isinstance(source, sqlite3.Connection)  # noqa: S101 - the driver of SQLite
        try:
            with closing(sqlite3.connect(target, isolation_level=None)) as copy:
                copy.execute("PRAGMA synchronous = OFF")  # flushed as a whole, once it is whole
                copy.execute("PRAGMA journal_mode = OFF")
                # Inside a read transaction the source stays as it is; outside, a write of others begins it anew.
                source.backup(
                    copy,
                    pages=_AT_ONCE,
                    progress=None if done is None else lambda _, left, total: done(total - left, total),
                )
        except sqlite3.Error as error:
            raise _told(label, error) from error


def is_sqlite(file: Path) -> bool:
    """Whether it begins as SQLite's files do."""
    with file.open("rb") as opened:
        return opened.read(len(MAGIC)) == MAGIC


def damage_of(file: Path, label: str) -> str | None:
    """What SQLite finds wrong with a file that nobody writes; None for a sound one. Raises DatabaseUnusable where it
    cannot be read at all.
    """
    with _alone(file, label) as connection:
        found = [" ".join(row[0].split()) for row in connection.execute("PRAGMA integrity_check(3)") if row[0] != "ok"]
        found += [f"a row of {row[0]} names none of {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")]
    return "; ".join(found[:3]) or None


def as_one_file(file: Path, label: str) -> None:
    """Makes it a file that needs no other beside it, also where nobody may write."""
    with _alone(file, label) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()


def with_log(file: Path, label: str) -> None:
    """Lets it keep a write-ahead log, as ours do, with nothing in it yet."""
    with _alone(file, label) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def put_in_place(new: Path, file: Path, aside: Path | None, patience: float = PATIENCE) -> None:
    """Gives `new`, whole and on the same disk, the name of the database `file`. One that is there is kept as `aside`,
    or replaced where that is None. There is a database under the name at every moment, unless the old one is damaged.

    Raises Busy where somebody has the old one open, and nothing is changed then.
    """
    label = f"the database {file}"
    with Gate(file, label, patience).held():
        if file.exists():
            sound = _closed_by_everybody(file, label)
            if aside is not None:
                _keep(file, aside, in_place=sound)
        for ending in _BESIDE:  # the log of an old database must not be taken for the new one's
            left = file.with_name(file.name + ending)
            if left.exists():
                left.rename(file.with_name(f"{aside.name if aside is not None else file.name + '.left'}{ending}"))
        new.replace(file)
        sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """What was named or renamed in it is so after a power cut too."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(file: Path) -> None:
    """Its content is on disk."""
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _keep(file: Path, aside: Path, *, in_place: bool) -> None:
    if in_place:
        try:
            os.link(file, aside)
            return
        except OSError:
            pass  # a disk that knows no second name for a file
    file.rename(aside)


def _closed_by_everybody(file: Path, label: str) -> bool:
    """Takes the log into the file, which SQLite does only while nobody else has it open; False for a damaged one."""
    if not is_sqlite(file):  # SQLite would still tidy away what it takes for its log
        return False
    try:
        with closing(sqlite3.connect(file, timeout=1.0, isolation_level=None)) as connection:
            (journal,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return False
        journal = "busy"
    if journal != "delete":
        raise Busy(label, "another program has it open", "end it, then try again")
    return True


@contextmanager
def _alone(file: Path, label: str) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise _told(label, error) from error


def _told(label: str, error: sqlite3.Error) -> VipflowError:
    known = in_our_words(label, error)
    return known or DatabaseUnusable(label, f"SQLite says: {error}", "look at the disk, then try again")
