"""What a hold costs: each queue goes through its own index, and asks for holds through theirs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from tests.store.test_plans import plan_of, scans
from vipflow.store import work
from vipflow.store.database import open_database
from vipflow.store.holds import HoldRow, holds_over, make_hold, not_held
from vipflow.store.schema import create_all
from vipflow.store.tables import holds, messages, timers
from vipflow.store.writes import Insert

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
HELD = 2_000

MAILS = (
    select(messages.c.tenant, messages.c.subject)
    .where(
        messages.c.state == "waiting",
        messages.c.not_before <= bindparam("now"),
        not_held(messages.c.tenant, messages.c.subject, mail=True),
    )
    .order_by(messages.c.not_before)
    .limit(100)
)
QUESTIONS = {
    "due timers that nobody holds": (timers, work._first_due.select(), {"now": NOW, "most": 100}),
    "the next timer that nobody holds": (timers, work._next_wake, {}),
    "due mails that nobody holds": (messages, MAILS, {"now": NOW}),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """5,000 customers with a timer and a mail each; the first 2,000, who are due, are on hold."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans')}/vipflow.db"
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.url_for(server.create_database("plans"))
    made = open_database(url, durability="off")
    create_all(made)
    arm = Insert(
        timers,
        ["tenant", "case_ref", "name", "subject", "workflow", "event", "due_at", "wake_at", "errors", "armed_by"],
    )
    words = ["tenant", "key", "subject", "case_ref", "workflow", "template", "audience", "person", "language"]
    queue = Insert(messages, [*words, "context", "created_at", "effective_at", "not_before", "state"])
    with made.write() as connection:
        due = [(f"{n:08}", NOW - timedelta(hours=1) + timedelta(seconds=n)) for n in range(5000)]
        arm.run(connection, [(1, ref, "remind", ref, "order", "remind", at, at, 0, 1) for ref, at in due])
        queue.run(
            connection,
            [(1, ref, ref, ref, "order", "note", "all", "{}", "en", "{}", at, at, at, "waiting") for ref, at in due],
        )
        for n in range(HELD):
            make_hold(connection, HoldRow(f"H-{n}", 1, f"{n:08}", False, "asked", "because", None, "ada", NOW, None))
        connection.exec_driver_sql("ANALYZE")
    yield made
    made.dispose()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_queue_passes_over_what_is_held_through_indexes(database: Any, question: str) -> None:
    table, statement, asked = QUESTIONS[question]
    with database.read() as connection:
        plan = plan_of(connection, statement, asked)
    assert not scans(plan, table), plan
    # Whether everything is held is asked once; how it is found out does not matter.
    assert sum(scans(line, holds) for line in plan.splitlines()) <= 1, plan
    assert "Sort" not in plan, plan


def test_what_is_held_is_passed_over_and_the_next_found(database: Any) -> None:
    with database.read() as connection:
        first = work.next_wake(connection)
        due = work.due_subjects(connection, NOW + timedelta(days=1), 3)
    assert first == NOW - timedelta(hours=1) + timedelta(seconds=HELD)
    assert sorted(row.subject for row in due) == [f"{HELD + n:08}" for n in range(3)]


def test_the_hold_over_a_batch_is_one_question(database: Any) -> None:
    with database.read() as connection:
        found = holds_over(connection, 1, ["00000001", "00004000"])
        assert [held.subject for held in found] == ["00000001"]
        assert holds_over(connection, 2, ["00000001"]) == []
