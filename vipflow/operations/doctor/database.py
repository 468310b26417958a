"""The database: whether it keeps what it commits, whether it has room, who stands in the way, and its schema."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from vipflow.operations.databases import open_existing
from vipflow.operations.doctor.findings import (
    Finding,
    Unknown,
    at,
    counted,
    error,
    lasting,
    not_checked,
    note,
    ok,
    size,
    warning,
)
from vipflow.operations.doctor.patient import Limits, Patient
from vipflow.store.database import Database, DatabaseUnusable
from vipflow.store.database_settings import (
    LongTransaction,
    PostgresServer,
    SqliteFile,
    SqliteSession,
    file_system_of,
    has_wal_bug,
    long_transactions,
    postgres_server,
    sqlite_damage,
    sqlite_file_found,
    sqlite_session,
    tables_without_rights,
    writing_now,
)
from vipflow.store.schema import columns_missing, schema_status

_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "glusterfs", "9p", "ncpfs"})
_OLDEST_POSTGRES = 140_000  # what upstream still mends (postgresql.org/support/versioning, November 2026)
_FULL = 2  # PRAGMA synchronous
_INDEXES = (
    "SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = c.relam "
    "WHERE a.amname = 'btree' AND c.relnamespace = current_schema()::regnamespace;"
)


# --- SQLite --------------------------------------------------------------------------------------------------------


def sqlite(patient: Patient) -> Iterator[Finding]:
    """The file and its folder from outside, then our connections to it."""
    file = patient.file
    if file is None:
        return
    if not file.exists():
        yield error("file", f"There is no database {file} yet.", "Make it.", "vipflow db migrate")
        return
    try:
        found = sqlite_file_found(file)
    except OSError as fault:
        says = f"The database {file} cannot be read ({fault.strerror})."
        yield error("file", says, "Let the user whom vipflow runs as read and write it.", f"ls -l {file}")
        return
    if not found.is_sqlite:
        remedy = "Name another file under [database] in config.toml, or restore a backup."
        yield error("file", f"{file} is no SQLite database.", remedy)
        return
    yield from _places(patient, file)
    yield from judge_permissions(file, found)
    yield from _log(file, found, patient.limits)
    yield from _gate(patient, file)
    if not found.wal:
        return
    database = open_existing(patient.settings, role="reader")
    try:
        with database.read() as connection:
            session = sqlite_session(connection)
        damage = _damage(database, quick=True) if found.size <= patient.limits.checked_at_once else None
    finally:
        database.dispose()
    yield from judge_session(session)
    if damage is not None:
        yield _judged(damage, "No page is damaged.")
        return
    why = f"the file has {size(found.size)}, and to look for damage is to read it all"
    yield not_checked("damage", why, "Do it when there is time.", "vipflow doctor --only integrity")


def _places(patient: Patient, file: Path) -> Iterator[Finding]:
    try:
        kind = file_system_of(file.resolve(), patient.mounts.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        kind = None
    if kind is not None and (kind in _NETWORK or kind.startswith("fuse.sshfs")):
        says = f"The database lies on a network file system ({kind}), where locks do not hold: two may write at once."
        remedy = "Move it to a disk of this machine and set database.url, or use PostgreSQL."
        yield error("file system", says, remedy)
    free = shutil.disk_usage(file.parent).free
    if free < patient.limits.disk_warning:
        says = f"{size(free)} are left on the disk of {file.parent}."
        remedy = "Make room: vipflow stops when the disk is full."
        made = error if free < patient.limits.disk_error else warning
        yield made("disk", says, remedy, f"du -xh --max-depth=2 {shlex.quote(str(file.parent))} | sort -h | tail")
    else:
        yield ok("disk", f"{size(free)} are left on its disk.")


def judge_permissions(file: Path, found: SqliteFile) -> Iterator[Finding]:
    unwritable = [str(path) for path in (file, file.parent) if not os.access(path, os.W_OK)]
    if unwritable:
        says = f"{' and '.join(unwritable)} cannot be written by this user."
        remedy = "Run vipflow as the user whom they belong to, or give them to this one."
        yield error("writable", says, remedy, *(f"sudo chown $(id -un) {shlex.quote(path)}" for path in unwritable))
    if found.mode & 0o007 and others_come_to(file.parent):
        says = f"{file} may be read by everybody on this machine ({found.mode:04o}), and customers' data are in it."
        yield warning(
            "private",
            says,
            "Close its folder to others.",
            f"chmod o-rwx {shlex.quote(str(file.parent))} {shlex.quote(str(file))}*",
        )


def others_come_to(folder: Path) -> bool:
    """Whether every folder on the way down to it lets everybody through."""
    return all(each.stat().st_mode & 0o001 for each in (folder.resolve(), *folder.resolve().parents))


def _log(file: Path, found: SqliteFile, limits: Limits) -> Iterator[Finding]:
    if found.wal is None:
        yield error("file", f"{file} is empty.", "Make its tables.", "vipflow db migrate")
    elif not found.wal:
        says = f"{file} keeps no write-ahead log, so readers and writers would stop each other."
        yield warning("log", says, "The next command that opens it mends this.", "vipflow db status")
    elif found.wal_size > limits.wal:
        says = f"Its write-ahead log has grown to {size(found.wal_size)}: a reader keeps it from being taken in."
        remedy = "End the process that reads for so long; the log shrinks at the next write."
        yield warning("log", says, remedy, f"fuser -v {file}")


def _gate(patient: Patient, file: Path) -> Iterator[Finding]:
    writing = writing_now(file)
    if writing is None:
        return
    lasts = patient.host_clock.now() - datetime.fromtimestamp(writing.since, UTC)
    if lasts > patient.limits.writing:
        says = f"Process {writing.process} has been writing for {lasting(lasts)}: all others are answered busy."
        remedy = "See whether it stands still, and end it: what it had not committed is undone."
        yield error("gate", says, remedy, f"ps -o pid,stat,etime,args -p {writing.process}", f"kill {writing.process}")


def judge_session(session: SqliteSession) -> Iterator[Finding]:
    """What holds on our connections, and what is known of this version."""
    wrong = [
        said
        for is_wrong, said in (
            (session.journal != "wal", f"journal_mode is {session.journal}, not wal"),
            (session.synchronous < _FULL, "synchronous is not FULL: the last commits may be lost when power fails"),
            (not session.foreign_keys, "foreign keys are not kept"),
        )
        if is_wrong
    ]
    if wrong:
        remedy = "vipflow sets these itself: is another SQLite library loaded in its place? Please report it."
        yield error("session", f"On our connections {'; '.join(wrong)}.", remedy)
    else:
        yield ok("session", f"SQLite {session.version}, write-ahead log, every commit on disk, foreign keys kept.")
    if has_wal_bug(session.version):
        says = (
            f"SQLite {session.version} can damage its log when two connections write at once. vipflow lets one in at a "
            "time, so this cannot happen while nothing else writes to the file."
        )
        remedy = "Let no other program write to it; a Python with SQLite 3.51.3 or later has it mended."
        yield note("version", says, remedy)


def integrity(patient: Patient) -> Iterator[Finding]:
    """Reads every page and compares every index: minutes for many gigabytes."""
    if patient.file is None:
        with patient.database.read() as connection:
            server = postgres_server(connection)
        says = "PostgreSQL looks after its own pages; whether indexes fit their tables is told by amcheck"
        run = f'psql -c "{_INDEXES}"'
        if server.amcheck:
            yield not_checked("damage", says, "Ask for it as a superuser.", run)
        else:
            yield not_checked("damage", says, "Have it installed, then ask.", "CREATE EXTENSION amcheck;", run)
        return
    yield _judged(_damage(patient.database, quick=False), "No page is damaged, and every index fits its table.")


def _damage(database: Database, *, quick: bool) -> list[str]:
    try:
        with database.read() as connection:
            return sqlite_damage(connection, quick=quick)
    except DatabaseUnusable as fault:  # so damaged that it cannot even be read through
        return [fault.problem]


def _judged(damage: list[str], fine: str) -> Finding:
    if not damage:
        return ok("damage", fine)
    says = f"The database is damaged: {damage[0]}" + (f", and {len(damage) - 1} more." if damage[1:] else ".")
    remedy = "Stop what writes to it, keep a copy of the files, look at the disk, and restore a backup."
    return error("damage", says, remedy)


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


def postgresql(patient: Patient) -> Iterator[Finding]:
    """The server, its sessions, and what this role may do."""
    if patient.file is not None:
        return
    database = open_existing(patient.settings, role="reader")
    try:
        with database.read() as connection:
            server = postgres_server(connection)
            long = long_transactions(connection, patient.limits.transaction)
            barred = tables_without_rights(connection)
    finally:
        database.dispose()
    yield from judge_server(server, patient.limits)
    yield from judge_transactions(long, server.now)
    if barred:
        says = f"This role may not read and write {', '.join(barred[:5])}{' and others' if barred[5:] else ''}."
        remedy = "Let the owner grant it."
        grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO <role>;"
        yield error("rights", says, remedy, grant)


def judge_server(server: PostgresServer, limits: Limits) -> Iterator[Finding]:
    """Whether it keeps what it commits, and has room for us."""
    lost = [
        f"{name} is {value}"
        for name, value in (
            ("fsync", server.fsync),
            ("synchronous_commit", server.synchronous_commit),
            ("full_page_writes", server.full_page_writes),
        )
        if value == "off"
    ]
    if lost:
        says = f"{' and '.join(lost)}: what we said yes to may be lost when the server stops."
        names = [each.split()[0] for each in lost]
        remedy = "Switch it on; where full_page_writes is off since the file system never tears a page, leave that one."
        run = [*(f"ALTER SYSTEM SET {name} = on;" for name in names), "SELECT pg_reload_conf();"]
        if names == ["synchronous_commit"]:
            remedy = "Switch it on, where it was switched off: in postgresql.conf, for the database, or for the role."
            run += ["SELECT * FROM pg_db_role_setting;"]
        yield error("durability", says, remedy, *run)
    else:
        yield ok("durability", f"PostgreSQL {server.shown_version}, every commit on disk.")
    if server.version < _OLDEST_POSTGRES:
        says = f"PostgreSQL {server.shown_version} is older than what we test with, and no longer mended."
        yield warning("version", says, "Bring the server to 14 or later.")
    if server.encoding != "UTF8":
        says = f"The database is encoded in {server.encoding}: names that it cannot write are refused."
        remedy = "Make another in UTF8, and move the data with pg_dump."
        yield error("encoding", says, remedy, "createdb --encoding UTF8 --template template0 vipflow_utf8")
    left = server.most_connections - server.connections
    if left < limits.connections:
        says = f"{counted(left, 'connection')} of {server.most_connections} are free; a daemon takes up to 20."
        remedy = "Raise max_connections (a restart of the server), or find who holds them."
        who = "SELECT application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2;"
        yield warning("connections", says, remedy, who)
    else:
        yield ok("connections", f"{server.connections} of {server.most_connections} connections are taken.")
    if not server.amcheck:
        remedy = "Have a superuser install it, if you want to look for damage: `vipflow doctor --only integrity`."
        yield note("amcheck", "The extension amcheck is not installed here.", remedy, "CREATE EXTENSION amcheck;")


def judge_transactions(found: list[LongTransaction], now: datetime) -> Iterator[Finding]:
    """Who keeps a transaction open, and rows locked with it."""
    for each in found:
        what = "stands still inside a transaction" if each.state.startswith("idle") else "works in one transaction"
        who = f"Session {each.process} ({' of '.join(word for word in (each.program, each.role) if word) or 'unknown'})"
        says = f"{who} {what} since {at(each.since)}, for {lasting(now - each.since)}: others may wait for its rows."
        run = f"SELECT pg_terminate_backend({each.process});"
        yield warning("transaction", says, "See what it does, and end it if it does nothing.", run)


# --- schema --------------------------------------------------------------------------------------------------------


def schema(patient: Patient) -> Iterator[Finding]:
    """Whether this release can work with the tables."""
    try:
        database = patient.database
    except Unknown as unknown:
        yield not_checked("schema", unknown.why, unknown.first)
        return
    found = schema_status(database)
    match found.state:
        case "current":
            with database.read() as connection:
                missing = columns_missing(connection)
            if missing:
                shown = ", ".join(missing[:5]) + (" and others" if missing[5:] else "")
                says = f"The database says that it has schema {found.current}, and lacks {shown}."
                remedy = "Somebody changed its tables, or no release made them: restore a backup, or begin anew."
                yield error("schema", says, remedy)
            else:
                yield ok("schema", f"Schema {found.current}, which this release needs.")
        case "missing":
            yield error("schema", "The database has no tables of ours yet.", "Make them.", "vipflow db migrate")
        case "older":
            says = f"The database has schema {found.current}, and this release needs {found.head}."
            yield error("schema", says, "Take a backup, then migrate.", "vipflow db migrate")
        case "newer":
            says = f"A newer vipflow wrote this database (schema {found.current}; this release knows {found.head})."
            yield error("schema", says, "Install that release or a later one, or restore a backup.")
