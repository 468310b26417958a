"""One database, opened: transactions that read, transactions that write, and rehearsals of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import Literal

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from vipflow.errors import BadInput, VipflowError

DialectName = Literal["sqlite", "postgresql"]
Role = Literal["writer", "reader"]
Durability = Literal["full", "off"]

STOOD_STILL = "this process stood still inside a transaction, which was undone"
PATIENCE = 5.0  # seconds that a writer waits for another before it answers busy


class DatabaseUnusable(VipflowError):
    """Raised when the database cannot be reached, opened or trusted: wrong address, no driver, disk full, damaged file.

    When it comes out of a transaction that wrote, nobody knows whether that was committed: look before you repeat it.

    >>> print(DatabaseUnusable("the database var/vipflow.db", "it is no SQLite database", "restore a backup"))
    the database var/vipflow.db: it is no SQLite database; restore a backup
    """

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        super().__init__(f"{what}: {problem}; {remedy}")
        self.what = what
        self.problem = problem
        self.remedy = remedy


class ConnectionLost(DatabaseUnusable):
    """Raised when there is no connection, or none any more.

    >>> print(ConnectionLost("the database", "no connection", "check that the server runs"))
    the database: no connection; check that the server runs
    """


class WriteRefused(DatabaseUnusable):
    """Raised when the database undid a transaction of ours because this process stood still in it for too long: others
    may have done its work meanwhile, so nothing of it may be written any more.

    >>> print(WriteRefused("the database", "this process stood still in a transaction", "look again at what is due"))
    the database: this process stood still in a transaction; look again at what is due
    """


@dataclass(frozen=True)
class Database:
    """What `open_database` gives. Threads may share it, forked processes may not."""

    dialect: DialectName
    label: str
    """How messages name it: its path, or its address without the password."""
    _reads: Engine
    _writes: Engine | None
    _turn: Callable[[], AbstractContextManager[None]]
    _writer: Callable[[], int | None]
    _fault: Callable[[str, DBAPIError], VipflowError | None]
    _stands_still: float = float("inf")
    """Seconds after which a transaction that does nothing is undone."""
    _rehearsal: Connection | None = None
    """The one connection of a rehearsal, in the transaction that will be undone."""

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees the database at one moment and can change nothing; it waits for no writer."""
        if self._rehearsal is not None:
            with self._speaking_plainly(), self._rehearsal.begin_nested() as savepoint:
                yield self._rehearsal
                savepoint.rollback()
            return
        with self._speaking_plainly(), self._reads.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block, or undone when the block raises.

        On SQLite it is the only one among all processes. On PostgreSQL others run beside it (READ COMMITTED): lock what
        you read. Raises `Busy` when it has to wait too long; then nothing was written.
        """
        if self._writes is None:
            raise VipflowError(f"{self.label} was opened for reading only")
        if self._rehearsal is not None:
            with self._speaking_plainly(), self._rehearsal.begin_nested():
                yield self._rehearsal
            return
        begun = monotonic()
        try:
            with self._speaking_plainly(), self._turn(), self._writes.begin() as connection:
                yield connection
        except ConnectionLost as lost:
            # The server says why, but to a connection that is gone: what it said is not read any more.
            if self.dialect == "postgresql" and monotonic() - begun >= self._stands_still:
                raise WriteRefused(self.label, STOOD_STILL, "look again at what is to be done") from lost
            raise

    @contextmanager
    def rehearsing(self) -> Iterator[Database]:
        """The same database for one thread, in which whatever is written is seen by what reads later, and undone at
        the end of the block: nothing else ever sees it.

        All that is read and written shares one transaction of a writer, in which each block is a savepoint of its own,
        undone alone when it raises. So others wait for it as for every writer: on SQLite all of them, on PostgreSQL
        those who want the same rows. Raises `Busy` when it has to wait too long. Numbers that PostgreSQL gave out in it
        are not given again.
        """
        with self.write() as connection:
            transaction = connection.get_nested_transaction() or connection.get_transaction()
            try:
                yield replace(self, _rehearsal=connection)
            finally:
                if transaction is not None and transaction.is_active:
                    transaction.rollback()

    def writing_process(self) -> int | None:
        """The process that is in a write transaction right now, where that can be known: SQLite only."""
        return self._writer()

    def dispose(self) -> None:
        """Closes the idle connections. The next transaction opens new ones."""
        self._reads.dispose()
        if self._writes is not None:
            self._writes.dispose()

    @contextmanager
    def _speaking_plainly(self) -> Iterator[None]:
        """Turns the driver's words for locked, unreachable and damaged into faults of ours."""
        try:
            yield
        except DBAPIError as error:
            fault = self._fault(self.label, error)
            if fault is None:
                raise
            raise fault from error


def open_database(
    url: str | URL, *, role: Role = "writer", durability: Durability = "full", patience: float = PATIENCE
) -> Database:
    """Opens the database at `url`: `sqlite:///<path>` or `postgresql://<user>:<password>@<host>/<name>`.

    A SQLite file is made where it is missing, unless the role is "reader"; its tables are not (see `schema.migrate`).
    PostgreSQL is reached at the first transaction. With `durability="off"` the last commits may be lost when the
    machine stops: for tests and benchmarks. `patience`: seconds before a writer that waits for another answers busy.
    Raises `BadInput` for another kind of URL, and `DatabaseUnusable` for a file that cannot be opened or a missing
    driver.
    """
    try:
        address = make_url(url)
    except ArgumentError:
        raise BadInput("the database's URL", "it is not a URL", _FORMS) from None
    writes = role == "writer"
    if address.drivername in {"sqlite", "sqlite+pysqlite"}:
        # Imported here: each needs what stands above, and SQLite's users need no psycopg.
        from vipflow.store import sqlite

        file = sqlite.database_file(address)
        label = f"the database {file}"
        gate = sqlite.Gate(file, label, patience)
        sqlite.prepare_file(file, label, gate, create=writes)
        return Database(
            dialect="sqlite",
            label=label,
            _reads=sqlite.engine(file, patience, durability, writes=False),
            _writes=sqlite.engine(file, patience, durability, writes=True) if writes else None,
            _turn=gate.held,
            _writer=gate.holder,
            _fault=sqlite.fault,
        )
    if address.drivername in {"postgresql", "postgresql+psycopg"}:
        from vipflow.store import postgresql

        label = f"the database {address.set(drivername='postgresql').render_as_string(hide_password=True)}"
        return Database(
            dialect="postgresql",
            label=label,
            _reads=postgresql.engine(address, label, patience, durability, writes=False),
            _writes=postgresql.engine(address, label, patience, durability, writes=True) if writes else None,
            _turn=postgresql.no_turn,
            _writer=postgresql.no_writer,
            _fault=postgresql.fault,
            _stands_still=postgresql.STANDS_STILL,
        )
    raise BadInput("the database's URL", f"vipflow does not speak {address.drivername}", _FORMS)


_FORMS = "give sqlite:///<path> or postgresql://<user>:<password>@<host>/<name>"
