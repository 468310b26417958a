"""PostgreSQL, through psycopg 3: writers run side by side and wait for each other's rows."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from vipflow.errors import Busy, VipflowError
from vipflow.store.database import STOOD_STILL, ConnectionLost, DatabaseUnusable, Durability, WriteRefused

if TYPE_CHECKING:
    import psycopg


STANDS_STILL = 60
"""Seconds. A process that stands still for longer inside a transaction loses it, and its locks with it. That is more
than the 10 s after which a batch counts as stuck.
"""


def engine(address: URL, label: str, patience: float, durability: Durability, *, writes: bool) -> Engine:
    """Connections that only read, each transaction of one moment, or those that write."""
    settings = {"TimeZone": "UTC", "lock_timeout": f"{patience * 1000:.0f}ms"}
    if writes:
        settings["idle_in_transaction_session_timeout"] = f"{STANDS_STILL:g}s"
        # A writer finds every row by its key. Left to guess, PostgreSQL walks through whole tables while they are
        # young, and keeps to that way, with the prepared statement, when they have grown.
        settings |= dict.fromkeys(["enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"], "off")
    if durability == "off":
        settings["synchronous_commit"] = "off"
    try:
        made = create_engine(
            address.set(drivername="postgresql+psycopg"),
            hide_parameters=True,  # what goes wrong is logged, customers' data are not
            isolation_level="READ COMMITTED" if writes else "REPEATABLE READ",
            connect_args={"connect_timeout": 10, "application_name": "vipflow"} | dict(address.query),
        )
    except ModuleNotFoundError as error:
        raise DatabaseUnusable(label, f"{error.name} is not installed", "pip install 'vipflow[postgres]'") from error

    @event.listens_for(made, "connect")
    def _configure(connection: psycopg.Connection[Any], record: object) -> None:
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        connection.commit()
        connection.read_only = not writes

    return made


def no_turn() -> AbstractContextManager[None]:
    """Writers need no turn here: they lock rows."""
    return nullcontext()


def no_writer() -> None:
    """No one process is the writer."""
    return None


def fault(label: str, error: DBAPIError) -> VipflowError | None:
    """Our words for what PostgreSQL reports, where somebody can do something about it."""
    state = getattr(error.orig, "sqlstate", None)
    if state == _LOCK_NOT_AVAILABLE:
        return Busy(label, "another transaction has held the same rows for long", "try again")
    if state == _DEADLOCK:
        return Busy(label, "two transactions waited for each other", "try again")
    if state == _STOOD_STILL:
        return WriteRefused(label, STOOD_STILL, "look again at what is to be done")
    if state == _NO_RIGHT:
        remedy = "give this role what the role has that ran `vipflow db migrate`, or name that one in config.toml"
        return DatabaseUnusable(label, _first_line(error), remedy)
    for kind, remedy in _UNUSABLE.items():
        if state is not None and state.startswith(kind):
            return DatabaseUnusable(label, _first_line(error), remedy)
    # psycopg gives no state where there was no connection to begin with.
    if error.connection_invalidated or (state is None and type(error.orig).__name__ == "OperationalError"):
        remedy = "check that the server runs, and the address, names and password"
        return ConnectionLost(label, f"no connection ({_first_line(error)})", remedy)
    return None


_LOCK_NOT_AVAILABLE = "55P03"
_DEADLOCK = "40P01"
_STOOD_STILL = "25P03"
_NO_RIGHT = "42501"
# By how the code of the error begins (PostgreSQL, appendix A).
_UNUSABLE = {
    "53": "the server lacks disk, memory or connections",
    "57P": "try again when the server is up",
    "58": "look at the server's log and disk",
    "XX": "look at the server's log before you start again",
}


def _first_line(error: DBAPIError) -> str:
    return next(iter(str(error.orig).strip().splitlines()), "no reason given")
