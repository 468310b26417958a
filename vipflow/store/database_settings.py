"""How the database itself is set up, as far as it tells: SQLite's file and pragmas, PostgreSQL's settings and sessions.

Looks only. What is good or bad about it, and what to do, is said by `operations/doctor`.
"""

from __future__ import annotations

import fcntl
import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, text

from vipflow.store.sqlite import Gate
from vipflow.store.tables import metadata
from vipflow.store.types import UtcDateTime

# --- SQLite --------------------------------------------------------------------------------------------------------

_MAGIC = b"SQLite format 3\x00"
_WRITES_WAL = 2  # bytes 18 and 19 of the header: https://www.sqlite.org/fileformat2.html, 1.3.3


class SqliteFile(NamedTuple):
    """What the files say without being opened as a database. `wal` is None for a file with nothing in it yet."""

    is_sqlite: bool
    wal: bool | None
    size: int
    wal_size: int
    mode: int


class SqliteSession(NamedTuple):
    """What holds on our own connections."""

    version: str
    journal: str
    synchronous: int
    foreign_keys: bool


class Writing(NamedTuple):
    """A process that is behind the writer gate, and since when (by the file system's clock)."""

    process: int
    since: float


def sqlite_file_found(file: Path) -> SqliteFile:
    """Reads the header. Raises OSError where the file cannot be read."""
    with file.open("rb") as handle:
        header = handle.read(100)
        status = os.fstat(handle.fileno())
    log = file.with_name(file.name + "-wal")
    return SqliteFile(
        is_sqlite=not header or header.startswith(_MAGIC),
        wal=None if len(header) < len(_MAGIC) + 4 else header[18] == header[19] == _WRITES_WAL,
        size=status.st_size,
        wal_size=log.stat().st_size if log.exists() else 0,
        mode=status.st_mode & 0o777,
    )


def sqlite_session(connection: Connection) -> SqliteSession:
    """The pragmas of this connection."""

    def pragma(name: str) -> object:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    return SqliteSession(
        str(connection.exec_driver_sql("SELECT sqlite_version()").scalar()),
        str(pragma("journal_mode")),
        int(str(pragma("synchronous"))),
        pragma("foreign_keys") == 1,
    )


def sqlite_damage(connection: Connection, *, quick: bool, most: int = 20) -> list[str]:
    """What SQLite's own check finds, at most so many lines; it reads the whole file. Empty: nothing."""
    check = "quick_check" if quick else "integrity_check"
    found = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA {check}({most:d})")]
    return [] if found == ["ok"] else found


def writing_now(file: Path) -> Writing | None:
    """Who is behind the writer gate at this moment; each who comes in writes its number down, so the file dates it."""
    process = Gate(file, f"the database {file}", 0).holder()
    if process is None:
        return None
    try:
        return Writing(process, file.with_name(file.name + ".gate").stat().st_mtime)
    except OSError:
        return None


def sole_daemon(file: Path) -> int | None:
    """The process that is this database's one daemon: it holds a lock on `<database>.daemon`, and its number is in it.

    0 where the lock is held and no number can be read; None where nobody holds it.
    """
    try:
        handle = os.open(file.with_name(file.name + ".daemon"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # granted only when nobody holds it; closing gives it back
        return None
    except BlockingIOError:
        found = re.search(rb'"pid":\s*(\d+)', os.read(handle, 1000))
        return int(found[1]) if found else 0
    finally:
        os.close(handle)


def has_wal_bug(version: str) -> bool:
    """Whether two connections that write and checkpoint at once may damage the log of this SQLite (PITFALLS).

    >>> [has_wal_bug(version) for version in ("3.40.1", "3.44.6", "3.50.6", "3.50.7", "3.51.2", "3.51.3")]
    [True, False, True, False, True, False]
    """
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    mended = ((3, 44, 6), (3, 50, 7))
    return numbers < (3, 51, 3) and not any(numbers[:2] == each[:2] and numbers >= each for each in mended)


def file_system_of(path: Path, mounts: str) -> str | None:
    """The kind of file system that holds `path`, by the text of /proc/mounts; None where no line fits.

    >>> file_system_of(Path("/data/v.db"), "/dev/sda1 / ext4 rw 0 0\\nnas:/x /data nfs4 rw 0 0\\n")
    'nfs4'
    """
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(fields[1].replace("\\040", " "))
        if (path == point or point in path.parents) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), fields[2]
    return None if found is None else found[1]


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


class PostgresServer(NamedTuple):
    """The settings that matter to what we promise, as they hold for our sessions, and the room there is."""

    version: int
    shown_version: str
    synchronous_commit: str
    fsync: str
    full_page_writes: str
    encoding: str
    connections: int
    most_connections: int
    amcheck: bool
    now: datetime


class LongTransaction(NamedTuple):
    """A transaction of somebody's that has been open for long."""

    process: int
    role: str
    program: str
    state: str
    since: datetime


def postgres_server(connection: Connection) -> PostgresServer:
    """What this session's server says of itself."""
    return PostgresServer(*connection.execute(_SERVER).one())


_SERVER = text(
    """
    SELECT current_setting('server_version_num')::int, current_setting('server_version'),
           current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'),
           pg_encoding_to_char(encoding),
           (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend'),
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
           EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck'),
           clock_timestamp() AS now
    FROM pg_database WHERE datname = current_database()
    """
).columns(now=UtcDateTime)


def long_transactions(connection: Connection, longer_than: timedelta, most: int = 10) -> list[LongTransaction]:
    """Open transactions of clients on this database, the oldest first. Those of other roles show to a monitor only."""
    asked = {"seconds": longer_than.total_seconds(), "most": most}
    return [LongTransaction(*row) for row in connection.execute(_LONG, asked)]


_LONG = text(
    """
    SELECT pid, coalesce(usename, ''), coalesce(application_name, ''), coalesce(state, ''), xact_start AS since
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
      AND xact_start < clock_timestamp() - make_interval(secs => :seconds)
    ORDER BY xact_start LIMIT :most
    """
).columns(since=UtcDateTime)


def tables_without_rights(connection: Connection) -> list[str]:
    """Our tables that this role may not read and write."""
    return list(connection.execute(_RIGHTS, {"names": sorted(metadata.tables)}).scalars())


_RIGHTS = text(
    """
    SELECT c.relname FROM pg_class c
    WHERE c.relname = ANY(:names) AND c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
      AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
               AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
    ORDER BY 1
    """
)


def give_up_after(connection: Connection, seconds: float) -> None:
    """Within this transaction no statement runs for longer. PostgreSQL only: there is nothing like it in SQLite."""
    if connection.dialect.name == "postgresql":
        connection.execute(_GIVE_UP, {"value": f"{seconds * 1000:.0f}ms"})


_GIVE_UP = text("SELECT set_config('statement_timeout', :value, true)").bindparams(bindparam("value"))
