"""A world to tell stories in: a real database with one tenant, an engine, and a clock that the story moves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

from sqlalchemy import event, select

from tests.engine.flows import CLUB, ClubTrade
from vipflow.case import Actor
from vipflow.clock import StillClock
from vipflow.engine import Engine, Verdict, read_envelope
from vipflow.engine.envelope import Envelope, envelope_of
from vipflow.machine import Workflows
from vipflow.store.database import Database, open_database
from vipflow.store.tables import metadata
from vipflow.store.tenants import add_tenant

START = datetime(2025, 1, 6, 9, tzinfo=UTC)
"""A Monday, ten o'clock in Paris."""


def at(text: str) -> datetime:
    """`2025-01-06`, or `2025-01-06 09:30`, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class World:
    """One tenant of one database. `post` speaks for a system, `act` for staff; `rows` reads what is written."""

    def __init__(
        self,
        database: Database,
        workflows: Workflows = CLUB,
        trade: Any = None,
        start: datetime = START,
        zone: str = "Europe/Paris",
        ids: str = "e",
    ) -> None:
        self.database = database
        self.workflows = workflows
        self.trade = trade if trade is not None else ClubTrade()
        self.clock = StillClock(start)
        self.engine = Engine(database, workflows, self.trade, self.clock)
        self._ids = map(f"{ids}{{}}".format, count(1))
        with database.write() as connection:
            row = add_tenant(
                connection,
                key="club",
                name="The Club",
                language="en",
                zone=zone,
                policy="club",
                settings="{}",
                created_at=start,
            )
        self.tenant = row.id

    # --- events ---------------------------------------------------------------------------------------------------

    def event(
        self,
        type: str,
        subject: str = "",
        data: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        time: datetime | str | None = None,
        source: str = "desk",
        actor: str | None = None,
        reason: str | None = None,
    ) -> Envelope:
        """An event as the border makes it; with `actor` it is one of the staff, whose e-mail that is."""
        given: dict[str, Any] = {"specversion": "1.0", "type": type, "source": source, "id": id or next(self._ids)}
        given |= {"subject": subject} if subject else {}
        given |= {"data": dict(data)} if data is not None else {}
        given |= {"reason": reason} if reason is not None else {}
        if time is not None:
            given["time"] = (at(time) if isinstance(time, str) else time).isoformat()
        if actor is not None:
            return envelope_of(given, self.workflows, actor=Actor("staff", actor))
        return read_envelope(json.dumps(given), self.workflows)

    def post(self, type: str, subject: str = "", data: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Posts one event: its verdict, or the fault that rejected it."""
        return self.post_all([self.event(type, subject, data, **more)])[0]

    def applied(self, type: str, subject: str = "", data: Mapping[str, Any] | None = None, **more: Any) -> Verdict:
        """`post` where the story needs it to be applied."""
        verdict = self.post(type, subject, data, **more)
        assert isinstance(verdict, Verdict), verdict
        assert verdict.verdict == "applied", verdict
        return verdict

    def post_all(self, envelopes: Sequence[Envelope]) -> list[Any]:
        """Posts a batch."""
        return list(self.engine.post(self.tenant, envelopes))

    # --- time -----------------------------------------------------------------------------------------------------

    def move_to(self, instant: datetime | str) -> None:
        """Moves the clock and does nothing else: nobody sweeps."""
        self.clock.move_to(at(instant) if isinstance(instant, str) else instant)

    def sweep(self) -> int:
        """Fires all that is due now; how many transitions that were."""
        transitions = 0
        for _ in range(100):
            report = self.engine.sweep()
            transitions += report.transitions
            if not report.more:
                return transitions
        raise AssertionError("a hundred sweeps in a row had something to do: the engine turns in circles")

    def advance_to(self, instant: datetime | str) -> None:
        """Lets time pass as a healthy daemon would: it wakes at each due instant."""
        until = at(instant) if isinstance(instant, str) else instant
        while True:
            due = self.engine.next_due()
            if due is None or due > until:
                break
            self.clock.move_to(max(due, self.clock.now()))
            self.sweep()
            left = self.engine.next_due()
            assert left is None or left > self.clock.now(), f"what was due at {left} is due for ever"
        self.clock.move_to(until)

    # --- what is written ------------------------------------------------------------------------------------------

    def rows(self, table: str, **where: Any) -> list[Any]:
        """The rows of a table for this tenant, in the order of their key."""
        found = metadata.tables[table]
        wanted = [found.c[name] == value for name, value in where.items()]
        if "tenant" in found.c:
            wanted.append(found.c.tenant == self.tenant)
        with self.database.read() as connection:
            return list(connection.execute(select(found).where(*wanted).order_by(*found.primary_key.columns)).all())

    def row(self, table: str, **where: Any) -> Any:
        """The only such row."""
        (found,) = self.rows(table, **where)
        return found

    def state(self, ref: str | None) -> str:
        return str(self.row("cases", ref=ref).state)

    def facts(self, ref: str | None) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.row("cases", ref=ref).facts)
        return found

    def steps(self, ref: str | None = None) -> list[str]:
        """What history says, `event` by event; of one case, or of all."""
        where = {} if ref is None else {"case_ref": ref}
        return [row.event for row in self.rows("history", **where)]

    def timers(self, ref: str | None) -> dict[str, datetime]:
        """The armed timers of a case."""
        return {row.name: row.due_at for row in self.rows("timers", case_ref=ref)}

    def mails(self, **where: Any) -> list[str]:
        """Templates of the waiting messages, in the order of history."""
        rows = sorted(
            self.rows("messages", **where), key=lambda row: (row.subject, int(row.key.split(":")[1]), row.key)
        )
        return [row.template for row in rows]

    def incidents(self) -> list[str]:
        return [row.kind for row in self.rows("incidents")]

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables: equal before and after where nothing was written."""
        return {name: [tuple(row) for row in self.rows(name)] for name in metadata.tables}

    def put(self, table: str, **values: Any) -> None:
        """A row written by hand, past the engine."""
        with self.database.write() as connection:
            connection.execute(metadata.tables[table].insert().values(**values))

    def change(self, table: str, where: Mapping[str, Any], **values: Any) -> None:
        """Rows changed by hand, past the engine."""
        found = metadata.tables[table]
        conditions = [found.c[name] == value for name, value in where.items()]
        with self.database.write() as connection:
            connection.execute(found.update().where(*conditions).values(**values))

    # --- people and things ----------------------------------------------------------------------------------------

    def member(self, name: str = "Ann", **data: Any) -> str:
        """Somebody who joined: their reference."""
        return str(self.applied("member.join", data={"name": name, "email": f"{name.lower()}@x.org"} | data).subject)

    def rental(self, member: str, tool: str = "drill", **data: Any) -> str:
        """A tool that they took home: the rental's reference."""
        return str(self.applied("rental.rent", f"members/{member}", {"tool": tool} | data).case)


class Statements:
    """Counts what is sent to a database: one per statement, an executemany being one."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __len__(self) -> int:
        return len(self.texts)


@contextmanager
def counted_statements(database: Database) -> Iterator[Statements]:
    """Counts the block's statements, but for the word that wakes daemons: it is said ten times a second at most."""
    counted = Statements()

    def note(_connection: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool) -> None:
        if "pg_notify" not in statement:
            counted.texts.append(statement)

    engines = [engine for engine in (database._reads, database._writes) if engine is not None]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield counted
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


def opened(url: str) -> Database:
    """A database that has its tables, opened for a test: fast, and impatient."""
    return open_database(url, durability="off", patience=2.0)
