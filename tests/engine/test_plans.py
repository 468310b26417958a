"""Every statement of a batch, in a database with 10,000 rows a table: each finds its rows through an index.

The statements are those that batches were seen to run, with what they asked for. On PostgreSQL each is planned twice:
for these values, and as a prepared statement is after some uses, for any values. `VIPFLOW_PLAN_ROWS=1000000` makes the
rows a million.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Select, event

from tests.engine.test_statements import _adopt, _mixed
from tests.engine.worlds import World
from tests.store.test_plans import fill, scans
from vipflow.engine import writing
from vipflow.store import work
from vipflow.store.database import Database, open_database
from vipflow.store.schema import create_all
from vipflow.store.tables import metadata
from vipflow.store.writes import Write

BIG = ("subjects", "cases", "timers", "names", "history", "inbox", "messages")
NOT_OF_A_BATCH = {
    "_parked": "for the daemon's retry of all that waits",
    "_parked_tenants": "as well",
    "_parked_too_long": "for the daemon's look at what waited too long",
    "_subjects": "for those who only think, and lock nothing",
    "_due_of": "for a subject that cannot be loaded",
    "_first_due": "a part of `_due`",
}

Ran = dict[str, Any]
"""What each statement asked for, by its text."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Full of another tenant's rows, and counted."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans')}/vipflow.db"
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.url_for(server.create_database("plans_of_a_batch"))
    made = open_database(url, durability="off")
    create_all(made)
    fill(made)
    with made.write() as connection:
        connection.exec_driver_sql("ANALYZE")
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def ran(database: Database) -> dict[str, Ran]:
    """What batches were seen to run, by the connections that did: events with all that may become of them, timers."""
    world = World(database)
    with _recorded(database) as found:
        ann = world.member("Ann", rents="saw")
        world.applied("member.rename", f"members/{ann}", {"name": "Anna"})
        world.post_all(_mixed(world, blocks=3, tag="m"))
        for month, tool in enumerate(["saw", "cursed"], start=2):
            _adopt(world, 5, f"2025-{month:02}-10", tool)
            world.advance_to(f"2025-{month:02}-08")
        many = [f"T{n}" for n in range(3)]
        for what, data in (("rental.rent", {"tool": "saw"}), ("rental.give_back", {"damages": [1]})):
            world.post_all([world.event(what, f"members/m-0/rentals/{each}", data) for each in many])
        owed = [row.ref for row in world.rows("cases", workflow="bill", state="owed")]
        world.post_all([world.event("bill.pay", f"bills/{ref}") for ref in owed])
        assert world.engine.next_due() is not None
    return found


def test_all_that_a_batch_may_ask_or_write_was_seen(database: Database, ran: dict[str, Ran]) -> None:
    seen = {_squeezed(text) for side in ran.values() for text in side}
    with database.read() as connection:
        dialect = connection.dialect
    texts = {name: each.sql_for(dialect) for name, each in vars(writing).items() if isinstance(each, Write)}
    texts |= {name: str(each.compile(dialect=dialect)) for name, each in vars(work).items() if isinstance(each, Select)}
    unseen = {name for name, text in texts.items() if _squeezed(text) not in seen}
    assert unseen - NOT_OF_A_BATCH.keys() == set()


def test_each_statement_of_a_batch_finds_its_rows_through_an_index(database: Database, ran: dict[str, Ran]) -> None:
    walks = []
    for side, statements in ran.items():
        with database.write() if side == "writes" else database.read() as connection:
            for text, asked in statements.items():
                for plan in _plans(connection, text, asked):
                    if walked := [table for table in BIG if _walks(plan, table)]:
                        walks.append(f"{walked}: {text}\n{plan}")
    assert not walks, "\n\n".join(walks)


def test_a_walk_through_a_table_is_recognised(database: Database) -> None:
    asked: Any = ("x",) if database.dialect == "sqlite" else {"facts": "x"}
    mark = "?" if database.dialect == "sqlite" else "%(facts)s"
    with database.write() as connection:
        for plan in _plans(connection, f"SELECT ref FROM cases WHERE facts = {mark}", asked):
            assert _walks(plan, "cases"), plan


# --- recording -----------------------------------------------------------------------------------------------------


@contextmanager
def _recorded(database: Database) -> Iterator[dict[str, Ran]]:
    found: dict[str, Ran] = {"reads": {}, "writes": {}}
    engines = {"reads": database._reads, "writes": database._writes}

    def noting(side: str) -> Any:
        def note(_connection: Any, _cursor: Any, text: str, asked: Any, _context: Any, many: bool) -> None:
            if text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")) and "pg_notify" not in text:
                found[side].setdefault(text, asked[0] if many else asked)

        return note

    listening = [(engine, noting(side)) for side, engine in engines.items() if engine is not None]
    for engine, note in listening:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        for engine, note in listening:
            event.remove(engine, "before_cursor_execute", note)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


# --- plans ---------------------------------------------------------------------------------------------------------


def _plans(connection: Connection, text: str, asked: Any) -> Iterator[str]:
    if connection.dialect.name == "sqlite":
        yield "\n".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", asked))
        return
    yield "\n".join(line for (line,) in connection.exec_driver_sql(f"EXPLAIN {text}", asked))
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", text)))
    prepared = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", text)
    unknown = f"({', '.join(['NULL'] * len(names))})" if names else ""
    connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
    connection.exec_driver_sql(f"PREPARE planned AS {prepared}")
    yield "\n".join(line for (line,) in connection.exec_driver_sql(f"EXPLAIN EXECUTE planned{unknown}"))
    connection.exec_driver_sql("DEALLOCATE planned")


def _walks(plan: str, table: str) -> bool:
    """Whether the plan walks through the whole table, or through one of its indexes from end to end: what takes the
    first rows of an index in its order does not.
    """
    lines = [line.strip().removeprefix("->").strip() for line in plan.splitlines()]
    if scans(plan, metadata.tables[table]):
        return True
    unbounded = not plan.startswith("Limit") or any(line.startswith("Sort") for line in lines)
    conditions = [below.startswith("Index Cond") for below in [*lines, ""][1:]]
    indexes = re.compile(rf"(Parallel )?Index (Only )?Scan.* on {table}\b")
    return unbounded and any(indexes.match(line) and not met for line, met in zip(lines, conditions, strict=True))
