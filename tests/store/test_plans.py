"""With 10,000 rows every question is answered through its index, and every write finds its rows by their key.

The plans are asked for twice, before and after the database has counted its rows: fresh tables mislead PostgreSQL. By
hand also with a million (some minutes; so does `tests/engine/test_plans.py`):

    VIPFLOW_PLAN_ROWS=1000000 python -m pytest tests/store/test_plans.py tests/engine/test_plans.py
"""

import os
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import BindParameter, bindparam, select, text

from vipflow.store import outgoing
from vipflow.store.database import open_database
from vipflow.store.schema import create_all
from vipflow.store.tables import LISTS, cases, history, inbox, messages, names, subjects, tenants, timers
from vipflow.store.types import any_of
from vipflow.store.writes import Delete, Insert, InsertAbsent, Update, Upsert

ROWS = int(os.environ.get("VIPFLOW_PLAN_ROWS", "10000"))
NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
TENANT: BindParameter[int] = bindparam("tenant")

QUESTIONS = {
    "subjects by ref": (subjects, select(subjects).where(subjects.c.tenant == TENANT, any_of(subjects.c.ref, "many"))),
    "subjects to lock": (
        subjects,
        select(subjects.c.ref)
        .where(subjects.c.tenant == TENANT, any_of(subjects.c.ref, "many"))
        .order_by(subjects.c.ref)
        .with_for_update(),
    ),
    "live cases of subjects": (
        cases,
        select(cases).where(
            cases.c.tenant == TENANT, any_of(cases.c.subject, "many"), cases.c.settled == bindparam("settled")
        ),
    ),
    "cases by ref": (cases, select(cases).where(cases.c.tenant == TENANT, any_of(cases.c.ref, "many"))),
    "timers of subjects": (timers, select(timers).where(timers.c.tenant == TENANT, any_of(timers.c.subject, "many"))),
    "timers to wake": (
        timers,
        select(timers.c.tenant, timers.c.subject)
        .where(timers.c.wake_at <= bindparam("soon"))
        .order_by(timers.c.wake_at)
        .limit(100),
    ),
    "names by value": (names, select(names).where(names.c.tenant == TENANT, any_of(names.c.value, "many"))),
    "events already received": (
        inbox,
        select(inbox).where(
            inbox.c.tenant == TENANT, any_of(inbox.c.source, "sources"), any_of(inbox.c.event_id, "many")
        ),
    ),
    "events waiting for a case": (
        inbox,
        select(inbox).where(inbox.c.tenant == TENANT, inbox.c.verdict == "parked", any_of(inbox.c.waiting_for, "many")),
    ),
    "history of a subject": (
        history,
        select(history)
        .where(history.c.tenant == TENANT, history.c.subject == bindparam("one"))
        .order_by(history.c.sequence),
    ),
    "history of a case": (
        history,
        select(history)
        .where(history.c.tenant == TENANT, history.c.case_ref == bindparam("one"))
        .order_by(history.c.sequence),
    ),
    "history by cause": (
        history,
        select(history.c.cause).where(history.c.tenant == TENANT, any_of(history.c.cause, "many")),
    ),
    "history from a position": (
        history,
        select(history).where(history.c.position > bindparam("position")).order_by(history.c.position).limit(100),
    ),
    "messages to send": (
        messages,
        select(messages)
        .where(messages.c.state == "waiting", messages.c.not_before <= bindparam("soon"))
        .order_by(messages.c.not_before)
        .limit(100),
    ),
    "messages of subjects": (
        messages,
        select(messages.c.key).where(messages.c.tenant == TENANT, any_of(messages.c.subject, "many")),
    ),
    "messages due for a person": (messages, outgoing._due_for),
    "messages in a round": (
        messages,
        select(messages.c.key).where(any_of(messages.c.tenant, "tenants"), any_of(messages.c.key, "many")),
    ),
    "a page of customers": (
        subjects,
        select(subjects.c.ref, subjects.c.name)
        .where(subjects.c.tenant == TENANT, subjects.c.name_folded > bindparam("one"))
        .order_by(subjects.c.name_folded, subjects.c.ref)
        .limit(25),
    ),
} | {
    f"a page of list {name}": (
        subjects,
        select(subjects.c.ref, subjects.c.name)
        .where(subjects.c.tenant == TENANT, subjects.c[f"in_{name}"])
        .order_by(subjects.c.name_folded, subjects.c.ref)
        .limit(25),
    )
    for name in LISTS
}

MANY = [f"{at:08}" for at in range(0, ROWS, ROWS // 100)]
ANSWERS = {
    "tenant": 1,
    "many": MANY,
    "sources": ["shop"],
    "recipients": MANY,
    "tenants": [1],
    "now": NOW + timedelta(seconds=100),
    "one": "00000042",
    "settled": False,
    "soon": NOW + timedelta(seconds=100),
    "position": 5000,
}

WRITES = {
    "change subjects": (Update(subjects, key=["tenant", "ref"], set=["sequence", "tally"]), (1, "00000042", 2, "{}")),
    "change cases, fenced": (
        Update(cases, key=["tenant", "ref", "version"], set=["state", "version"]),
        (1, "00000042", 1, "late", 2),
    ),
    "disarm timers": (Delete(timers, key=["tenant", "case_ref", "name"]), (1, "00000042", "remind")),
    "arm timers": (
        Upsert(
            timers,
            key=["tenant", "case_ref", "name"],
            set=["subject", "workflow", "event", "due_at", "wake_at", "armed_by"],
        ),
        (1, "00000042", "remind", "00000042", "order", "remind", NOW, NOW, 1),
    ),
    "note verdicts": (
        Update(inbox, key=["tenant", "source", "event_id"], set=["verdict"]),
        (1, "shop", "00000042", "applied"),
    ),
    "mark messages": (Update(messages, key=["tenant", "key", "attempts"], set=["state"]), (1, "00000042", 0, "sent")),
    "add names": (
        InsertAbsent(names, ["tenant", "collection", "value", "case_ref", "subject", "kind", "exclusive"]),
        (1, "orders", "new", "00000042", "00000042", "ours", True),
    ),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def full(request, tmp_path_factory):
    """A database with 10,000 rows in each table, which no test changes."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans')}/vipflow.db"
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.url_for(server.create_database("plans"))
    database = open_database(url, durability="off")
    create_all(database)
    fill(database)
    yield database
    database.dispose()


@pytest.fixture(scope="module", params=["uncounted", "counted"])
def database(request, full):
    if request.param == "counted":
        with full.write() as connection:
            connection.execute(text("ANALYZE"))
    return full


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_through_an_index(database, question):
    table, statement = QUESTIONS[question]
    with database.write() as connection:
        compiled = statement.compile(dialect=connection.dialect)
        asked = {name: ANSWERS[name] for name in compiled.params if name in ANSWERS}
        assert connection.execute(statement, asked).first() is not None
        plan = plan_of(connection, statement, asked)
    assert not scans(plan, table), plan


@pytest.mark.parametrize("write", WRITES)
def test_a_write_finds_its_rows_by_their_key(database, write):
    statement, row = WRITES[write]
    with database.write() as connection:
        sql = statement.sql_for(connection.dialect)
        if database.dialect == "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", statement._as_sqlite_takes_them([row])[0])
            plan = "\n".join(line[3] for line in rows)
        else:
            sent = statement._as_json([row])
            plan = "\n".join(line for (line,) in connection.exec_driver_sql(f"EXPLAIN {sql}", {"rows": sent}))
    assert not scans(plan, statement.table), plan


def test_the_plans_of_a_full_scan_are_recognised(database):
    with database.write() as connection:
        plan = plan_of(connection, select(cases).where(cases.c.facts == bindparam("one")), {"one": "x"})
    assert scans(plan, cases), plan


def plan_of(connection, statement, parameters):
    compiled = statement.compile(dialect=connection.dialect)
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", tuple_of(compiled, parameters))
        return "\n".join(row[3] for row in rows)
    rows = connection.exec_driver_sql(f"EXPLAIN {compiled}", bound(compiled, parameters))
    return "\n".join(line for (line,) in rows)


def bound(compiled, parameters):
    processors = compiled._bind_processors
    values = compiled.construct_params(parameters)
    return {name: processors[name](value) if name in processors else value for name, value in values.items()}


def tuple_of(compiled, parameters):
    values = bound(compiled, parameters)
    return tuple(values[name] for name in compiled.positiontup)


def scans(plan, table):
    """Whether the plan walks through the whole table."""
    # As SQLite and as PostgreSQL say it, the latter also when it shares a large table out.
    words = (f"SCAN {table.name}", f"Seq Scan on {table.name}", f"Parallel Seq Scan on {table.name}")
    return any(line.strip().lstrip("-> ").startswith(words) for line in plan.split("\n"))


def fill(database):
    with database.write() as connection:
        Insert(tenants, ["id", "key", "name", "language", "zone", "policy", "settings", "created_at"]).run(
            connection, [(1, "a", "A", "fr", "Europe/Paris", "p", "{}", NOW)]
        )
    for start in range(0, ROWS, 10_000):
        _fill(database, range(start, min(start + 10_000, ROWS)))


def _fill(database, numbers):
    keys = [f"{at:08}" for at in numbers]
    due = [NOW + timedelta(seconds=at) for at in numbers]
    with database.write() as connection:
        Insert(
            subjects,
            ["tenant", "ref", "workflow", "sequence", "tally", "opened_at", "name", "name_folded"]
            + [f"in_{name}" for name in LISTS],
        ).run(
            connection,
            [
                (1, key, "customer", 1, "{}", NOW, key, key, *(at % 50 == flag for flag in range(len(LISTS))))
                for at, key in enumerate(keys)
            ],
        )
        Insert(
            cases,
            [
                *("tenant", "ref", "subject", "workflow", "state", "settled", "facts", "facts_version", "policy"),
                *("since", "opened_at", "version"),
            ],
        ).run(
            connection,
            [(1, key, key, "order", "pending", False, '{"a": 1}' * 20, 1, "p", NOW, NOW, 1) for key in keys],
        )
        Insert(
            timers,
            ["tenant", "case_ref", "name", "subject", "workflow", "event", "due_at", "wake_at", "armed_by"],
        ).run(
            connection,
            [(1, key, "remind", key, "order", "remind", at, at, 1) for key, at in zip(keys, due, strict=True)],
        )
        Insert(names, ["tenant", "collection", "value", "case_ref", "subject", "kind", "exclusive"]).run(
            connection, [(1, "orders", key, key, key, "ours", True) for key in keys]
        )
        Insert(
            history,
            [
                *("tenant", "subject", "sequence", "case_ref", "workflow", "event", "to_state", "facts_before"),
                *("facts_after", "timers", "messages", "policy", "fingerprint", "effective_at", "recorded_at"),
                *("actor_kind", "cause"),
            ],
        ).run(
            connection,
            [
                (1, key, 1, key, "order", "place", "x", "{}", "{}", "[]", "[]", "p", "f", NOW, NOW, "clock", key)
                for key in keys
            ],
        )
        Insert(
            inbox,
            [
                *("tenant", "source", "event_id", "body_hash", "type", "subject", "occurred_at", "received_at"),
                *("verdict", "waiting_for"),
            ],
        ).run(
            connection,
            [
                (1, "shop", key, "h", "order.place", key, NOW, NOW, "applied" if at % 10 else "parked", key)
                for at, key in enumerate(keys)
            ],
        )
        Insert(
            messages,
            [
                *("tenant", "key", "subject", "case_ref", "workflow", "template", "audience", "person", "language"),
                *("context", "created_at", "effective_at", "not_before", "state", "recipient"),
            ],
        ).run(
            connection,
            [
                (1, key, key, key, "order", "t", "contact", "{}", "fr", "{}", NOW, NOW, due[at], state, key)
                for at, key in enumerate(keys)
                for state in ["sent" if at % 20 else "waiting"]
            ],
        )
