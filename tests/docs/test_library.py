"""The library of `examples/library` on the engine as it is: no licence, no policy number, nothing of Adobe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Row, select

from tests.docs.pages import ROOT
from vipflow.clock import StillClock
from vipflow.engine import Engine, Verdict, read_envelope
from vipflow.engine.plain import PlainTrade
from vipflow.operations.workflow_files import load_workflow_files
from vipflow.store import tables
from vipflow.store.database import open_database
from vipflow.store.schema import create_all
from vipflow.store.tenants import add_tenant

LIBRARY = ROOT / "examples" / "library"
EMMA = {"title": "Emma", "reader": "Ann Reader", "email": "ann@reader.example"}


class Library:
    """The library's desk, on a still clock: Monday 6 January 2025, ten in the morning in Paris."""

    def __init__(self, url: str) -> None:
        self.clock = StillClock(datetime(2025, 1, 6, 9, tzinfo=UTC))
        self.workflows = load_workflow_files(LIBRARY / "workflows")
        self.database = open_database(url, durability="off")
        create_all(self.database)
        with self.database.write() as connection:
            self.tenant = add_tenant(
                connection,
                key="library",
                name="City Library",
                language="en",
                zone="Europe/Paris",
                policy="none",
                settings="{}",
                created_at=self.clock.now(),
            ).id
        self.engine = Engine(self.database, self.workflows, PlainTrade(), self.clock)
        self.posted = 0

    def post(self, type: str, subject: str, **data: Any) -> Verdict:
        self.posted += 1
        event = {"type": type, "source": "desk", "id": str(self.posted), "subject": subject, "data": data}
        answer = self.engine.post(self.tenant, [read_envelope(json.dumps(event), self.workflows)])[0]
        assert isinstance(answer, Verdict), answer
        return answer

    def days_pass(self, days: int) -> None:
        for _ in range(days):
            self.clock.move_to(self.clock.now() + timedelta(days=1))
            while self.engine.sweep().more:
                pass

    def rows(self, table: Any, *order: Any) -> list[Row[Any]]:
        with self.database.read() as connection:
            return list(connection.execute(select(table).order_by(*order)))

    def told(self) -> list[str]:
        return [row.event for row in self.rows(tables.history, tables.history.c.sequence)]

    def mails(self) -> list[tuple[str, str]]:
        rows = self.rows(tables.messages, tables.messages.c.created_at)
        return [(row.created_at.date().isoformat(), row.template) for row in rows]


@pytest.fixture
def library(database_url: str) -> Iterator[Library]:
    made = Library(database_url)
    yield made
    made.database.dispose()


def test_a_book_that_is_forgotten_becomes_overdue_and_its_reader_is_reminded_every_week(library: Library) -> None:
    library.post("loan.lend", "loans/emma", **EMMA)
    library.days_pass(40)
    assert library.told() == ["lend", "remind", "fall_due", "remind", "remind"]
    assert library.mails() == [
        ("2025-01-25", "loan_reminder"),
        ("2025-01-28", "loan_overdue"),
        ("2025-02-04", "loan_overdue"),
        ("2025-02-11", "loan_overdue"),
    ]


def test_a_renewal_moves_the_reminder_with_the_due_day(library: Library) -> None:
    library.post("loan.lend", "loans/emma", **EMMA)
    library.days_pass(10)
    library.post("loan.renew", "loans/emma")
    library.days_pass(15)
    assert library.told() == ["lend", "renew"]
    armed = {row.name: row.due_at.date().isoformat() for row in library.rows(tables.timers, tables.timers.c.name)}
    assert armed == {"fall_due due_on+1d": "2025-02-06", "remind due_on-2d": "2025-02-03"}


def test_the_third_renewal_is_refused_with_its_reason(library: Library) -> None:
    library.post("loan.lend", "loans/emma", **EMMA)
    answers = [library.post("loan.renew", "loans/emma") for _ in range(3)]
    assert [answer.verdict for answer in answers] == ["applied", "applied", "refused"]
    assert [reason.code for reason in answers[2].reasons] == ["renewed_too_often"]


def test_a_book_given_back_is_not_asked_for_any_more(library: Library) -> None:
    library.post("loan.lend", "loans/emma", **EMMA)
    library.days_pass(30)
    library.post("loan.give_back", "loans/emma")
    library.days_pass(30)
    assert library.told()[-1] == "give_back"
    assert library.rows(tables.timers) == []


def test_its_events_may_come_late_and_in_any_company(library: Library) -> None:
    library.clock.move_to(datetime(2025, 3, 1, tzinfo=UTC))
    lines = (LIBRARY / "events.jsonl").read_text(encoding="utf-8").splitlines()
    post: Callable[[], list[Any]] = lambda: library.engine.post(  # noqa: E731  # why: one expression, posted twice
        library.tenant, [read_envelope(line, library.workflows) for line in lines]
    )
    assert [answer.verdict for answer in post()] == ["applied"] * len(lines)
    assert all(answer.replayed for answer in post())
    assert {row.state for row in library.rows(tables.cases)} == {"returned"}
