"""When ticks run: at once, at the instant that they name, when woken, again after an error; and never in a circle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from vipflow.clock import HostClock
from vipflow.daemon.ticks import Tick, Ticks
from vipflow.operations.ticks import Ticked

NOTHING = Ticked(0, 0, None)


def now() -> datetime:
    return HostClock().now()


def until(at: datetime) -> float:
    return (at - now()).total_seconds()


class Listener:
    """Hears how the ticks fare."""

    def __init__(self) -> None:
        self.well = 0
        self.faults: list[tuple[str, float]] = []

    def ran(self, tick: str, seconds: float, ticked: Ticked) -> None:
        self.well += 1

    def failed(self, tick: str, fault: Exception, again_in: float) -> float:
        self.faults.append((str(fault), again_in))
        return again_in / 100


def tell(
    run: Callable[[], Awaitable[Ticked]], story: Callable[[Ticks], Awaitable[object]], at_least_every: float = 60
) -> Listener:
    """Runs a tick while a story goes on."""
    heard = Listener()

    async def play() -> None:
        ticks = Ticks([Tick("work", run, at_least_every)], until, heard)
        ticks.start()
        await asyncio.wait_for(story(ticks), 20)
        await ticks.stop()

    asyncio.run(play())
    return heard


def test_a_tick_runs_at_the_instant_that_it_named_and_not_before():
    runs: list[datetime] = []
    done = asyncio.Event()
    wanted = now() + timedelta(seconds=0.3)

    async def run() -> Ticked:
        runs.append(now())
        if len(runs) == 2:
            done.set()
        return Ticked(1, 0, wanted if len(runs) == 1 else None)

    tell(run, lambda _: done.wait())
    assert runs[1] >= wanted
    assert runs[1] - wanted < timedelta(seconds=1)


def test_a_run_that_comes_more_than_a_second_late_is_not_dropped():
    # APScheduler's default forgets what is late by more than a second, without a word.
    runs = 0
    begun, done = asyncio.Event(), asyncio.Event()

    async def run() -> Ticked:
        nonlocal runs
        runs += 1
        (begun if runs == 1 else done).set()
        return Ticked(0, 0, now() + timedelta(seconds=0.2))

    async def story(_: Ticks) -> None:
        await begun.wait()
        time.sleep(1.5)  # noqa: ASYNC251  # why: the machine stands still
        await done.wait()

    tell(run, story)
    assert runs >= 2


def test_who_is_woken_while_it_runs_looks_again_right_after():
    runs = 0
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run() -> Ticked:
        nonlocal runs
        runs += 1
        if runs == 1:
            begun.set()
            await go_on.wait()
        else:
            done.set()
        return NOTHING

    async def story(ticks: Ticks) -> None:
        await begun.wait()
        ticks.wake()
        ticks.wake()
        assert [tick.name for tick, _ in ticks.running()] == ["work"]
        go_on.set()
        await done.wait()

    tell(run, story)
    assert runs == 2


def test_a_tick_that_fails_is_told_and_goes_on_later_each_time():
    runs = 0
    done = asyncio.Event()

    async def run() -> Ticked:
        nonlocal runs
        runs += 1
        if runs <= 3:
            raise LookupError(f"fault {runs}")
        done.set()
        return NOTHING

    heard = tell(run, lambda _: done.wait())
    assert heard.faults == [("fault 1", 1.0), ("fault 2", 2.0), ("fault 3", 4.0)]


def test_what_others_have_in_hand_is_not_asked_for_in_a_circle():
    runs = 0

    async def run() -> Ticked:
        nonlocal runs
        runs += 1
        return Ticked(0, 0, now() - timedelta(seconds=1))

    tell(run, lambda _: asyncio.sleep(1))  # why: a second in which it might turn
    assert 8 <= runs <= 14


def test_it_looks_once_in_a_while_whatever_it_said():
    runs = 0
    done = asyncio.Event()

    async def run() -> Ticked:
        nonlocal runs
        runs += 1
        if runs == 3:
            done.set()
        return Ticked(0, 0, now() + timedelta(days=1))

    tell(run, lambda _: done.wait(), at_least_every=0.1)


def test_stopping_waits_for_what_runs_and_begins_nothing_more():
    ended = False
    begun = asyncio.Event()

    async def run() -> Ticked:
        nonlocal ended
        begun.set()
        await asyncio.sleep(0.2)
        ended = True
        return Ticked(1, 0, now())

    assert tell(run, lambda _: begun.wait()).well == 1
    assert ended
