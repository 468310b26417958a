"""Starts the program with constants of ours, so that a story need not wait for minutes; or with a slow transport.

With "hit_by" it sends itself that signal while it has its fifth mail in hand: from outside nobody can hit that moment.

python launcher.py '{"lease": 3, "stands_still": 2, "slow": 0.3, "hit_by": 19}' serve --port 0
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic

from vipflow.cli import main
from vipflow.config import Settings
from vipflow.daemon.logs import log_of
from vipflow.delivery.transport import FileTransport, Outcome, Parcel, Paused

log = log_of("transport")
FIFTH = 5


class SlowTransport:
    """Takes its time for each mail, and finishes the one in hand when it is closed."""

    name = "slow"

    def __init__(self, settings: Settings, seconds: float, hit_by: int | None) -> None:
        self._files = FileTransport(settings.mail.folder)
        self._seconds = seconds
        self._hit_by = hit_by
        self._in_hand = 0
        self._closing = False

    async def send(self, parcels: Sequence[Parcel], now: datetime) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        for parcel in parcels:
            if self._closing or monotonic() > parcel.until:
                outcomes.append(Outcome("not_tried", "connect", "it is being stopped, or the lease is over"))
                continue
            self._in_hand += 1
            log.info("mail_in_hand")
            if self._hit_by is not None and self._in_hand == FIFTH:
                log.info("hit", by=self._hit_by)
                os.kill(os.getpid(), self._hit_by)
            await asyncio.sleep(self._seconds)  # why: a mail server that is slow
            outcomes += await self._files.send([parcel], now)
        return outcomes

    def paused(self, now: datetime) -> Paused | None:
        return None

    async def close(self) -> None:
        self._closing = True


def prepare(
    lease: float | None = None, stands_still: float | None = None, slow: float | None = None, hit_by: int | None = None
) -> None:
    """Sets what the story wants otherwise."""
    if lease is not None:
        from vipflow.store import outgoing

        outgoing.LEASE = timedelta(seconds=lease)
    if stands_still is not None:
        from vipflow.store import postgresql

        postgresql.STANDS_STILL = stands_still  # type: ignore[assignment]  # why: a whole number there, a fraction here
    if slow is not None:
        from vipflow.daemon import parts

        seconds = slow
        vars(parts)["make_transport"] = lambda settings: SlowTransport(settings, seconds, hit_by)


if __name__ == "__main__":
    prepare(**json.loads(sys.argv[1]))
    main(sys.argv[2:])
