"""Several who deliver from one database: each mail leaves once, and a round costs no more statements for more mails."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.delivery.library import TEMPLATES, Library, Postman
from tests.delivery.shop import Shop
from tests.engine.test_races import race
from tests.engine.worlds import Statements, World, counted_statements, opened
from vipflow.delivery.outbox import Delivery
from vipflow.engine.plain import PlainTrade
from vipflow.store.database import Database


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


@pytest.fixture
def another(database_url: str) -> Iterator[Database]:
    """The same database on connections of its own, as another process has it."""
    found = opened(database_url)
    yield found
    found.dispose()


def test_two_who_begin_at_the_same_moment_send_each_mail_once(library: Library, another: Database) -> None:
    """Both have seen what is due before either has claimed it."""
    library.lend(*(f"Book{number}" for number in range(20)))
    library.pass_(days=20)
    worlds = [library.world, World(another, library.world.workflows, PlainTrade(), library.world.clock.now())]
    postmen = [Postman(), Postman()]

    def delivers(index: int) -> Callable[[World], Any]:
        def act(world: World) -> Any:
            hand = Delivery(world.engine, TEMPLATES, postmen[index], "library.example", daemon=f"d{index}")
            return asyncio.run(hand.deliver())

        return act

    reports = race((worlds[0], delivers(0)), (worlds[1], delivers(1)), at="FROM subjects")
    assert sum(report.sent for report in reports) == 20
    sent = [parcel.key for postman in postmen for parcel in postman.delivered]
    assert Counter(sent) == Counter(set(sent))
    assert len(sent) == 20
    assert {(row.state, row.copies, row.attempts) for row in library.mails()} == {("sent", 1, 1)}
    assert library.clean()


def test_a_round_costs_as_many_statements_for_two_hundred_mails_as_for_two(library: Library) -> None:
    counts: dict[int, Statements] = {}
    for size in (2, 200):
        library.lend(*(f"Book{size}x{number}" for number in range(size)))
        library.pass_(days=20)
        with counted_statements(library.world.database) as counted:
            assert library.deliver().sent == size
        counts[size] = counted
        with library.world.database.write() as connection:  # the next round starts from nothing
            for table in ("timers", "messages"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
    assert _kinds(counts[2]) == _kinds(counts[200])
    assert len(counts[2]) <= 30, "\n".join(counts[2].texts)


def test_so_does_a_digest_of_many(database: Database) -> None:
    shop = Shop(database)
    shop.prefer("daily")
    counts: dict[int, Statements] = {}
    for eve, day, size in (("2024-03-04", "2024-03-05", 2), ("2024-03-05", "2024-03-06", 20)):
        shop.move_to(f"{eve} 10:00")
        for number in range(size):
            shop.authorize(shop.invite(f"Company {day} {number}"))
        shop.deliver_all()
        shop.move_to(f"{day} 08:00")
        with counted_statements(database) as counted:
            shop.deliver()
        counts[size] = counted
    assert _kinds(counts[2]) == _kinds(counts[20])


def _kinds(counted: Statements) -> Counter[str]:
    return Counter(re.sub(r"\s+", " ", text)[:90] for text in counted.texts)
