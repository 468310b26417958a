"""While a round is sent the next one is made ready; whatever happens to the first, the second leaves or waits again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.delivery.library import SENT, TEMPLATES, Library, Postman
from vipflow.delivery import outbox
from vipflow.delivery.making import Job, Made, Unmade
from vipflow.delivery.outbox import NOT_TRIED, DeliveryReport
from vipflow.delivery.transport import Outcome, Parcel
from vipflow.delivery.workshop import Workshop, WorkshopError
from vipflow.store.database import Database

TITLES = ["Emma", "Persuasion", "Sanditon", "Evelina"]


class Noting(Workshop):
    """Tells when the second round was written."""

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__(TEMPLATES, workers=0)
        self.rounds = 0
        self.second = threading.Event()
        self.fault = fault

    def render_all(self, jobs: Sequence[Job]) -> list[Made | Unmade]:
        self.rounds += 1
        if self.rounds == 2:
            self.second.set()
            if self.fault is not None:
                raise self.fault
        return super().render_all(jobs)


class Slow(Postman):
    """Carries its first round only once the second one is being written; before that `meanwhile` happens."""

    def __init__(self, workshop: Noting, meanwhile: Callable[[], Any] = lambda: None) -> None:
        super().__init__()
        self.workshop = workshop
        self.meanwhile = meanwhile

    async def send(self, parcels: Sequence[Parcel], now: datetime) -> Sequence[Outcome]:
        if not self.tried:
            assert await asyncio.to_thread(self.workshop.second.wait, 10)
            self.meanwhile()
        return await super().send(parcels, now)


@pytest.fixture
def library(database: Database) -> Library:
    """Four mails may leave; a round takes two."""
    library = Library(database)
    library.lend(*TITLES)
    library.pass_(days=20)
    return library


def hand(library: Library, postman: Postman, workshop: Noting) -> None:
    library.postman = postman
    library.delivery = library.hand("library", postman, workshop=workshop)


def rounds(library: Library, count: int) -> list[DeliveryReport]:
    async def them() -> list[DeliveryReport]:
        async with library.delivery.looking_ahead():
            return [await library.delivery.deliver(most=2) for _ in range(count)]

    return asyncio.run(them())


def test_the_next_round_is_in_hand_while_one_is_sent(library: Library) -> None:
    workshop, seen = Noting(), []
    hand(library, Slow(workshop, lambda: seen.extend(library.states())), workshop)
    assert [report.sent for report in rounds(library, 3)] == [2, 2, 0]
    assert seen == ["sending"] * 4
    assert {(row.state, row.copies, row.attempts) for row in library.mails()} == {("sent", 1, 1)}
    assert library.clean()


def test_what_was_made_ready_waits_again_where_nobody_asks_for_it(library: Library) -> None:
    workshop = Noting()
    hand(library, Slow(workshop), workshop)
    assert [report.sent for report in rounds(library, 1)] == [2]
    assert sorted((row.state, row.copies, row.attempts) for row in library.mails()) == [
        *[("sent", 1, 1)] * 2,
        *[("waiting", 0, 0)] * 2,
    ]
    bodies = {row.key: row.body for row in library.mails()}
    assert library.deliver().sent == 2
    assert {row.key: row.body for row in library.mails()} == bodies
    assert library.clean()


def test_who_is_stopped_puts_down_both_rounds(library: Library) -> None:
    workshop = Noting()
    begun = asyncio.Event()

    class Stopping(Slow):
        async def send(self, parcels: Sequence[Parcel], now: datetime) -> Sequence[Outcome]:
            assert await asyncio.to_thread(workshop.second.wait, 10)
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return [SENT, NOT_TRIED]
            raise AssertionError("nobody asked it to stop")

    hand(library, Stopping(workshop), workshop)

    async def stopped() -> None:
        async def delivers() -> None:
            async with library.delivery.looking_ahead():
                await library.delivery.deliver(most=2)

        task = asyncio.create_task(delivers())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stopped())
    assert library.states() == ["sent", "waiting", "waiting", "waiting"]
    assert library.clean()


def test_a_transport_that_pauses_meanwhile_gets_nothing_and_then_one_mail(library: Library) -> None:
    workshop = Noting()
    until = library.world.clock.now() + timedelta(minutes=1)

    def pause() -> None:
        library.postman.rests_until = until

    hand(library, Slow(workshop, pause), workshop)

    async def story() -> None:
        async with library.delivery.looking_ahead():
            assert (await library.delivery.deliver(most=2)).sent == 2
            assert library.delivery.has_more_in_hand
            report = await library.delivery.deliver(most=2)
            assert (report.paused_until, report.not_tried) == (until, 2)
            assert library.states() == ["sent", "sent", "waiting", "waiting"]
            library.world.clock.move_to(until)
            assert [(await library.delivery.deliver(most=2)).sent for _ in range(2)] == [1, 1]

    asyncio.run(story())
    assert library.clean()


def test_a_pause_that_is_over_by_then_lets_one_mail_go_ahead_too(library: Library) -> None:
    workshop = Noting()

    def pause() -> None:
        library.postman.rests_until = library.world.clock.now() + timedelta(minutes=1)

    hand(library, Slow(workshop, pause), workshop)

    async def story() -> None:
        async with library.delivery.looking_ahead():
            assert (await library.delivery.deliver(most=2)).sent == 2
            library.postman.rests_until = None
            assert [(await library.delivery.deliver(most=2)).sent for _ in range(2)] == [1, 1]

    asyncio.run(story())
    assert library.clean()


def test_what_was_ready_for_too_long_is_asked_once_more_whether_it_is_true(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "AHEAD", 0.0)
    workshop = Noting()
    hand(library, Slow(workshop), workshop)

    async def story() -> DeliveryReport:
        async with library.delivery.looking_ahead():
            assert (await library.delivery.deliver(most=2)).sent == 2
            assert library.delivery.has_more_in_hand
            waiting = [row.subject for row in library.mails() if row.state == "sending"]
            library.world.applied("loan.give_back", f"loans/{waiting[0]}")
            return await library.delivery.deliver(most=2)

    report = asyncio.run(story())
    assert (report.sent, report.superseded) == (1, 1)
    assert library.clean()


def test_a_fault_while_the_next_is_made_ready_is_told_in_its_turn_and_leaves_nothing_in_hand(library: Library) -> None:
    workshop = Noting(WorkshopError("no memory is left"))
    hand(library, Slow(workshop), workshop)

    async def story() -> None:
        async with library.delivery.looking_ahead():
            assert (await library.delivery.deliver(most=2)).sent == 2
            with pytest.raises(WorkshopError):
                await library.delivery.deliver(most=2)
            assert library.states() == ["sent", "sent", "waiting", "waiting"]
            assert (await library.delivery.deliver(most=2)).sent == 2

    asyncio.run(story())
    assert library.clean()


def test_a_fault_that_nobody_asks_for_any_more_stops_nothing(library: Library) -> None:
    workshop = Noting(WorkshopError("no memory is left"))
    hand(library, Slow(workshop), workshop)
    assert [report.sent for report in rounds(library, 1)] == [2]
    assert library.states() == ["sent", "sent", "waiting", "waiting"]


def test_a_round_that_is_not_full_has_none_made_ready(library: Library) -> None:
    async def story() -> None:
        async with library.delivery.looking_ahead():
            assert (await library.delivery.deliver(most=5)).sent == 4
            assert not library.delivery.has_more_in_hand

    asyncio.run(story())
