"""On SQLite one daemon works at a time: whoever comes second is told who was first."""

from __future__ import annotations

import fcntl
import os
from datetime import datetime
from pathlib import Path

import msgspec

from vipflow.errors import VipflowError
from vipflow.store.database import DatabaseUnusable


class AlreadyServed(VipflowError):
    """Raised when another daemon works on the same SQLite database: nothing was started.

    >>> print(AlreadyServed("the database vipflow.db", Holder(4711, "http://[::1]:8470", "09:40 UTC")))
    the database vipflow.db: a daemon works on it already (process 4711, http://[::1]:8470, since 09:40 UTC)
    SQLite takes one daemon. Let that one work (every other command runs beside it), or stop it first: kill 4711
    Several daemons can share a PostgreSQL database.
    """

    exit_code = 6

    def __init__(self, what: str, holder: Holder | None) -> None:
        who = f"process {holder.pid}, {holder.url}, since {holder.since}" if holder is not None else "another process"
        stop = f": kill {holder.pid}" if holder is not None else ""
        super().__init__(
            f"{what}: a daemon works on it already ({who})\n"
            f"SQLite takes one daemon. Let that one work (every other command runs beside it), or stop it first{stop}\n"
            "Several daemons can share a PostgreSQL database."
        )
        self.what = what
        self.holder = holder


class Holder(msgspec.Struct, frozen=True):
    """Who works on a database: what the lock file says."""

    pid: int
    url: str
    since: str


class Sole:
    """The right to be the daemon of an SQLite database: a lock on `<database>.daemon`, gone when its process ends."""

    def __init__(self, file: Path, label: str) -> None:
        """Raises AlreadyServed where another has it, DatabaseUnusable where there can be no such file."""
        path = file.with_name(file.name + ".daemon")
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        except OSError as error:
            problem = f"the lock file {path.name} beside it cannot be used ({error.strerror})"
            raise DatabaseUnusable(label, problem, "let vipflow write in its folder") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(self._handle)
            os.close(self._handle)
            raise AlreadyServed(label, holder) from None
        os.ftruncate(self._handle, 0)

    def tell(self, url: str, since: datetime) -> None:
        """Writes down who has it."""
        holder = Holder(os.getpid(), url, f"{since:%Y-%m-%d %H:%M} UTC")
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, msgspec.json.encode(holder) + b"\n", 0)

    def give_up(self) -> None:
        """Lets another begin."""
        os.ftruncate(self._handle, 0)
        os.close(self._handle)


def let_nobody_work_on(file: Path) -> None:
    """Raises AlreadyServed where a daemon works on this SQLite database."""
    if file.exists():
        Sole(file, f"the database {file}").give_up()


def _read(handle: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(handle, 1000, 0), type=Holder)
    except msgspec.MsgspecError:
        return None
