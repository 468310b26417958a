"""A relay's pace: at most so many mails a second, evenly, whoever sends them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

BURST_SECONDS = 0.05
"""A loop wakes a little late: what was missed within so long may be caught up at once. Never more."""


class Pace:
    """Turns at `rate` a second. Shared by all who send to one relay; in the order in which they ask."""

    def __init__(
        self,
        rate: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._interval = 1 / rate
        self._tolerance = max(0.0, BURST_SECONDS - self._interval)
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = float("-inf")

    async def turn(self, until: float) -> bool:
        """Waits for the next turn. False, at once, where it would not come before `until` (monotonic)."""
        now = self._monotonic()
        begins = max(now - self._tolerance, self._next)
        if begins >= until:
            return False
        self._next = begins + self._interval
        if begins > now:
            try:
                await self._sleep(begins - now)
            except asyncio.CancelledError:
                self._next -= self._interval  # whoever asks next may have it
                raise
        return True
