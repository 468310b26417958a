"""The daemon's ticks: each is called when something of its own is due, and looks every minute whether or not.

APScheduler holds one job per tick in memory, and each run aims the next one at the instant that the tick named. What is
due stands in the database: a tick that is called too early, too late or twice does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from vipflow.clock import HostClock
from vipflow.operations.ticks import Ticked

LONGEST_BACK_OFF = 60.0
EMPTY_HANDED = 0.002
"""Seconds after which a tick that found its work due but did none looks again, twice as long each time: its clock is a
hair ahead of the database's, or others have the work in hand."""
LONGEST_EMPTY_HANDED = 0.25


@dataclass(frozen=True)
class Tick:
    """What the daemon does again and again. `run` does all that is due and says when to call it next."""

    name: str
    run: Callable[[], Awaitable[Ticked]]
    at_least_every: float = 60.0
    """Seconds between two looks, whatever it said."""
    woken: bool = True
    """Whether it looks when somebody elsewhere has written."""
    wakes: tuple[str, ...] = ()
    """Other ticks, for which there may be work when this one has done something."""
    patience: float = 120.0
    """A run that takes longer counts as stuck."""


class Told(Protocol):
    """Who hears how the ticks fare."""

    def ran(self, tick: str, seconds: float, ticked: Ticked) -> None:
        """A run ended well."""

    def failed(self, tick: str, fault: Exception, again_in: float) -> float:
        """A run raised. Gives the seconds until the next one."""


class Ticks:
    """Runs ticks on the event loop it is started on, each at most once at a time."""

    def __init__(self, ticks: Iterable[Tick], until: Callable[[datetime], float], told: Told) -> None:
        """`until`: how many seconds from now an instant comes, by the clock that counts."""
        # Never more than one job each; `misfire_grace_time` of a second, the default, drops late runs silently.
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        )
        self._tickers = {each.name: _Ticker(each, self._aim, until, told, self.wake) for each in ticks}

    @property
    def names(self) -> Sequence[str]:
        return list(self._tickers)

    def start(self) -> None:
        """Calls each at once."""
        for name, ticker in self._tickers.items():
            trigger = IntervalTrigger(seconds=ticker.tick.at_least_every, timezone=UTC)
            self._scheduler.add_job(ticker.begin, trigger, id=name, name=name, next_run_time=_host_now())
        self._scheduler.start()

    def wake(self, *names: str) -> None:
        """Has these look at once (or again, where they are running); without names, all that can be woken."""
        for name, ticker in self._tickers.items():
            if name in names or (not names and ticker.tick.woken):
                ticker.wake()

    def running(self) -> list[tuple[Tick, float]]:
        """Those that are running, and since how many seconds."""
        return [
            (each.tick, monotonic() - each.running_since)
            for each in self._tickers.values()
            if each.running_since is not None
        ]

    async def stop(self) -> None:
        """Begins none any more and waits for those that run."""
        for ticker in self._tickers.values():
            ticker.stopping = True
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)  # what runs is not its own, and goes on
        for ticker in self._tickers.values():
            await ticker.idle.wait()

    def cancel(self) -> None:
        """Cancels what still runs. A tick that works in a thread cannot be: it is left alone."""
        for ticker in self._tickers.values():
            ticker.cancel()

    def _aim(self, name: str, seconds: float) -> None:
        self._scheduler.modify_job(name, next_run_time=_host_now() + timedelta(seconds=seconds))


class _Ticker:
    """One tick: when it runs next."""

    def __init__(
        self,
        tick: Tick,
        aim: Callable[[str, float], None],
        until: Callable[[datetime], float],
        told: Told,
        wake: Callable[..., None],
    ) -> None:
        self.tick = tick
        self.running_since: float | None = None
        self.stopping = False
        self._task: asyncio.Task[None] | None = None
        self.idle = asyncio.Event()
        self.idle.set()
        self._aim = aim
        self._until = until
        self._told = told
        self._wake_others = wake
        self._again = False
        self._failures = 0
        self._empty_handed = 0

    def wake(self) -> None:
        if self.stopping or self._failures:
            return  # it waits after a failure, and looks then
        if self.running_since is not None:
            self._again = True
        else:
            self._start()

    async def begin(self) -> None:
        """What APScheduler calls. It ends at once, so that the run itself may aim the next: of a job that is still
        running APScheduler begins no other, and forgets that one was wanted.
        """
        if not self.stopping and self.running_since is None:
            self._start()

    def _start(self) -> None:
        self.running_since = monotonic()
        self.idle.clear()
        self._task = asyncio.create_task(self._run(), name=f"tick {self.tick.name}")

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        """Never raises but when it is cancelled: a loop that must live."""
        self._again = False
        begun = monotonic()
        try:
            ticked = await self.tick.run()
        except Exception as fault:  # whatever it is, the tick goes on later, and somebody is told
            self._failures += 1
            seconds = min(LONGEST_BACK_OFF, 2.0 ** (self._failures - 1))
            seconds = self._told.failed(self.tick.name, fault, seconds)
        else:
            self._failures = 0
            self._told.ran(self.tick.name, monotonic() - begun, ticked)
            seconds = 0.0 if self._again else self._seconds(ticked)
            if ticked.done and self.tick.wakes:
                self._wake_others(*self.tick.wakes)
        finally:
            self.running_since = None
            self.idle.set()
        if not self.stopping:
            self._aim(self.tick.name, min(seconds, self.tick.at_least_every))

    def _seconds(self, ticked: Ticked) -> float:
        """Until it wants to be called again."""
        if ticked.next_at is None:
            return self.tick.at_least_every
        seconds = max(0.0, self._until(ticked.next_at))
        if ticked.done or seconds > 10 * EMPTY_HANDED:
            self._empty_handed = 0
            return seconds
        self._empty_handed = min(self._empty_handed + 1, 10)
        return min(LONGEST_EMPTY_HANDED, EMPTY_HANDED * 2.0 ** (self._empty_handed - 1))


def _host_now() -> datetime:
    """APScheduler aims by this machine's clock."""
    return HostClock().now()
