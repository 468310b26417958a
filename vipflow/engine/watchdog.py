"""Ends a process that is stuck: a guard that never answers counts as a crash, and the next start goes on without it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from time import monotonic

from vipflow.engine.in_hand import InHand

LIMIT = timedelta(seconds=10)
"""How long one batch may be in hand."""
STUCK = 70
"""The exit code of a process that ended itself."""


class Watchdog:
    """Watches what is in hand from a thread of its own. `last_words` is told what was stuck, before the process ends.

    Only time in which this thread itself runs counts: a process that was frozen and wakes is not stuck. Where a guard
    lets no thread run at all, a timer of the kernel that counts used processor time ends the process (SIGPROF).
    """

    def __init__(self, in_hand: InHand, last_words: Callable[[str], None], *, limit: timedelta = LIMIT) -> None:
        self._in_hand = in_hand
        self._last_words = last_words
        self._limit = limit.total_seconds()
        self._pause = min(self._limit / 20, 0.5)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._in_hand.most_processor_time = 2 * self._limit
        self._thread.start()

    def stop(self) -> None:
        """Ends watching."""
        self._stopped.set()
        self._thread.join()
        self._in_hand.most_processor_time = 0
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _watch(self) -> None:
        number, stuck, before = 0, 0.0, monotonic()
        while not self._stopped.wait(self._pause):
            now = monotonic()
            passed, before = min(now - before, 2 * self._pause), now
            found = self._in_hand.longest()
            self._in_hand.count_anew()
            if found is None or found[0] != number:
                number, stuck = (found[0], 0.0) if found is not None else (0, 0.0)
                continue
            stuck += passed
            if stuck > self._limit:
                self._last_words(f"nothing has moved for {self._limit:g} s with {found[2]} in hand: this process ends")
                os._exit(STUCK)
