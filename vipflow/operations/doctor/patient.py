"""What the checks look at: settings, database, clock, each opened when first asked for, and each perhaps broken.

What cannot be had raises `Unknown`, every time in the same words and without trying again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from vipflow.clock import Clock, HostClock
from vipflow.config import NO_CONFIG, Settings, find_config, load_settings
from vipflow.errors import VipflowError
from vipflow.operations.databases import open_existing, sqlite_file
from vipflow.operations.doctor.findings import Unknown
from vipflow.operations.story import clock_of
from vipflow.store.database import Database
from vipflow.store.database_settings import give_up_after, sqlite_file_found
from vipflow.store.health import DaemonRow, latest_daemons
from vipflow.store.meta import database_now
from vipflow.store.schema import schema_status
from vipflow.store.tenants import TenantRow, all_tenants

Value = TypeVar("Value")


@dataclass(frozen=True)
class Limits:
    """From where on something is worth a finding."""

    disk_error: int = 100 * 1024**2
    disk_warning: int = 1024**3
    wal: int = 256 * 1024**2
    checked_at_once: int = 200 * 1024**2
    """A database file up to this size is checked for damage each time; a larger one when asked."""
    writing: timedelta = timedelta(seconds=10)
    transaction: timedelta = timedelta(minutes=1)
    connections: int = 20
    clocks: timedelta = timedelta(seconds=5)
    beat: timedelta = timedelta(minutes=2)
    overdue: timedelta = timedelta(minutes=1)
    mail_overdue: timedelta = timedelta(hours=1)
    begun: timedelta = timedelta(minutes=5)
    """A daemon that started less long ago may still be catching up."""
    seal: timedelta = timedelta(minutes=5)
    hold: timedelta = timedelta(days=1)
    certificate: timedelta = timedelta(days=30)
    backup: timedelta = timedelta(days=7)
    rows: int = 50_000
    """So many cases and timers are compared with the workflow files; all when asked."""


@dataclass
class Patient:
    """One installation, as far as it can be had. `mounts` is where the system says what is mounted."""

    config: Path | None
    offline: bool = False
    limits: Limits = Limits()
    mounts: Path = Path("/proc/mounts")
    host_clock: Clock = field(default_factory=HostClock)
    _had: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings of a config file."""
        return self._once("settings", self._settings)

    @property
    def file(self) -> Path | None:
        """The database's file where it is SQLite's."""
        return sqlite_file(self.settings)

    @property
    def database(self) -> Database:
        """The database, opened for reading, and reached once."""
        return self._once("database", self._database)

    @property
    def now(self) -> datetime:
        """The instant that counts here: the database's, a story's where its clock tells one."""
        return self._once("now", self._now)

    @property
    def tenants(self) -> list[TenantRow]:
        """All resellers."""
        return self._once("tenants", self._tenants)

    @property
    def daemons(self) -> list[DaemonRow]:
        """The daemons last heard of."""
        return self._once("daemons", self._daemons)

    @property
    def alive(self) -> list[DaemonRow]:
        """Those that were heard of just now."""
        lately = self.now - self.here(self.limits.beat)
        return [row for row in self.daemons if row.stopped_at is None and row.beat_at > lately]

    def here(self, span: timedelta) -> timedelta:
        """How much time passes here while that much passes on the wall: a story may run faster."""
        return span if self.settings.clock.continues_from is None else span * self.settings.clock.speed

    @property
    def stands_still(self) -> bool:
        """Whether the settings stop the clock, so that nothing falls due."""
        return self.settings.clock.stands_at is not None

    @contextmanager
    def rows(self) -> Iterator[Connection]:
        """A transaction that reads our tables; `Unknown` where they are not this release's."""
        self._once("schema", self._schema)
        with self.database.read() as connection:
            give_up_after(connection, 10)
            yield connection

    def close(self) -> None:
        """Closes what was opened."""
        had = self._had.get("database")
        if isinstance(had, Database):
            had.dispose()

    def _once(self, name: str, make: Callable[[], Value]) -> Value:
        if name not in self._had:
            try:
                self._had[name] = make()
            except Unknown as unknown:
                self._had[name] = unknown
        had = self._had[name]
        if isinstance(had, Unknown):
            raise Unknown(had.why, had.first)
        return had  # type: ignore[no-any-return]  # why: it was made by `make` under this name

    def _settings(self) -> Settings:
        if find_config(self.config) is None:
            raise Unknown(NO_CONFIG[1], "Name a config.toml, or write one.")
        try:
            return load_settings(self.config)
        except VipflowError:
            raise Unknown("the settings cannot be read", "Put the settings right first.") from None

    def _database(self) -> Database:
        first = "Put right what is said of the database first."
        file = self.file
        try:
            # Whoever opens it makes it keep a write-ahead log; a doctor only looks.
            if file is not None and (not os.access(file, os.R_OK) or not sqlite_file_found(file).wal):
                raise Unknown("the database cannot be opened as it is", first)
            database = open_existing(self.settings, role="reader")
            with database.read() as connection:
                connection.exec_driver_sql("SELECT 1")
        except Unknown:
            raise
        except Exception:  # whatever it is, the check of the database says it
            raise Unknown("the database cannot be read", first) from None
        return database

    def _schema(self) -> None:
        status = schema_status(self.database)
        if status.state != "current":
            raise Unknown("the database does not have this release's schema", "Put the schema right first.")

    def _now(self) -> datetime:
        clock = self._clock()
        with self.rows() as connection:
            return clock.now() if clock.tells_a_story and self.file is None else database_now(connection, clock.now())

    def _clock(self) -> Clock:
        clock = clock_of(self.settings.clock, self.database)
        return clock if clock.tells_a_story else self.host_clock

    def _tenants(self) -> list[TenantRow]:
        with self.rows() as connection:
            return all_tenants(connection)

    def _daemons(self) -> list[DaemonRow]:
        with self.rows() as connection:
            return latest_daemons(connection)
