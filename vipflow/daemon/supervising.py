"""Background loops that must live: one that ends or raises is begun anew, and that is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from vipflow.daemon.logs import log_of

log = log_of("daemon")

LONGEST_PAUSE = 60.0
HEALTHY = 60.0
"""A loop that lived for so many seconds begins anew without delay."""


async def keep_alive(part: str, loop: Callable[[], Awaitable[None]], restarted: Callable[[str], None]) -> None:
    """Runs `loop` for ever, until it is cancelled. It waits 1, 2, 4 … 60 seconds before it begins one anew."""
    failures = 0
    while True:
        begun = monotonic()
        try:
            await loop()
            fault = None
        except Exception as raised:  # whatever it is: the daemon goes on
            fault = raised
        failures = 1 if monotonic() - begun > HEALTHY else failures + 1
        pause = min(LONGEST_PAUSE, 2.0 ** (failures - 1))
        problem = "it ended" if fault is None else f"{type(fault).__name__}: {' '.join(str(fault).split())}"
        log.warning("part_restarted", part=part, problem=problem, again_in_seconds=pause)
        restarted(part)
        await asyncio.sleep(pause)  # why: what failed at once would fail again
