"""Delivery: what is written down leaves. A round takes messages in hand, has their bytes made and kept, sends them, and
puts them down. Where one round follows the other, the next is made ready while one is sent.

Taking and putting down are transactions of their own, so a mail may leave twice if the process dies in between, but
never silently not at all. The bytes are kept before they first leave: every copy is the same. Whoever lost its lease
meanwhile changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from vipflow.delivery.claiming import Claiming, Claims
from vipflow.delivery.hand import Hand
from vipflow.delivery.putting_down import DeliveryReport, PuttingDown
from vipflow.delivery.render import Templates
from vipflow.delivery.settling import Rules
from vipflow.delivery.stopping import Stopped
from vipflow.delivery.taking import Taken, Taking
from vipflow.delivery.transport import Outcome, Transport
from vipflow.delivery.workshop import Workshop
from vipflow.engine import Engine
from vipflow.engine.batch import told
from vipflow.errors import Busy, VipflowError
from vipflow.store import outgoing
from vipflow.store.database import DatabaseUnusable

__all__ = ["NOT_TRIED", "Delivery", "DeliveryReport", "Taken"]

AHEAD = 5.0
"""Seconds that a round may have been ready when its turn comes: then it is still true "just before"."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds between the tries to mark what left, where the database cannot be written: unmarked it would leave again."""
NOT_TRIED = Outcome("not_tried", "connect", "delivery was stopped")
PUT_BACK = Outcome("not_tried", "connect")


@dataclass(frozen=True)
class _Ahead:
    """A round that is being made ready, and when it was begun."""

    making: asyncio.Future[Taken]
    begun: float


class Delivery:
    """Sends what waits in the outbox of an engine's database. One round at a time.

    `daemon` names the hand; no two that run beside each other bear the same. `told_refused` hears how many writes of a
    round were refused because the lease was over; `refused_writes` counts them all. Without a `workshop` of child
    processes mails are written in this one.
    """

    def __init__(
        self,
        engine: Engine,
        templates: Templates,
        transport: Transport,
        domain: str,
        *,
        daemon: str = "delivery",
        rules: Rules | None = None,
        workshop: Workshop | None = None,
        told_refused: Callable[[int], None] = lambda count: None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self.engine = engine
        self.transport = transport
        self._pauses = pauses
        rules = rules if rules is not None else Rules()
        workshop = workshop if workshop is not None else Workshop(templates, workers=0)
        self._hand = Hand(daemon, told_refused)
        self._claiming = Claiming(engine, daemon, rules)
        self._taking = Taking(engine, self._claiming, self._hand, workshop, domain, self._let_go)
        self._putting_down = PuttingDown(engine, self._hand, rules)
        self._careful = False
        self._looks_ahead = False
        self._quick = True
        """Whether the last round was sent so fast that what was made ready meanwhile is fresh."""
        self._ahead: _Ahead | None = None

    @asynccontextmanager
    async def looking_ahead(self) -> AsyncIterator[None]:
        """While this lasts a full round has the next one made ready while it is sent: never more than one. What was
        made ready and has not begun to leave is put back at the end.
        """
        self._looks_ahead = True
        try:
            yield
        finally:
            self._looks_ahead = False
            await Stopped().to_the_end(self._put_back())

    @property
    def has_more_in_hand(self) -> bool:
        """Whether a round was made ready ahead."""
        return self._ahead is not None

    async def deliver(self, *, most: int = 200) -> DeliveryReport:
        """One round: at most `most` messages that may leave now, with the ladders and digests they belong to.

        What is no longer true, or was overtaken by a newer one, is superseded; what cannot be written is held, and
        shown; what cannot be sent is tried again later. While the transport is paused nothing is claimed, and
        afterwards one mail goes ahead. Cancelled, it begins no further mail and still marks what became of the others.
        """
        now = self.engine.clock.now()
        stopped = Stopped()
        if paused := self.transport.paused(now):
            self._careful = True
            back = await stopped.to_the_end(self._put_back())
            if stopped:
                raise asyncio.CancelledError
            return msgspec.structs.replace(back, paused_until=paused.until)
        taken = await stopped.to_the_end(self._next(most))
        if not stopped:
            self._look_ahead(taken, most)
        begun = time.monotonic()
        outcomes: Sequence[Outcome] = [NOT_TRIED] * len(taken.ready)
        fault: Exception | None = None
        if taken.ready and not stopped:
            try:
                outcomes = await stopped.sending(self.transport.send(taken.parcels, now))
            except asyncio.CancelledError:  # it said nothing any more
                outcomes = [Outcome("uncertain", "content", "delivery was stopped")] * len(taken.ready)
            except Exception as wrong:  # a transport that breaks its word: nobody knows what left
                fault = wrong
                outcomes = [Outcome("uncertain", "content", told(wrong))] * len(taken.ready)
        self._quick = time.monotonic() - begun < AHEAD
        report = await self._mark(taken, outcomes, stopped)
        self._careful = self.transport.paused(self.engine.clock.now()) is not None
        if fault is not None:
            raise fault
        if stopped:
            raise asyncio.CancelledError
        return report

    async def _mark(self, taken: Taken, outcomes: Sequence[Outcome], stopped: Stopped) -> DeliveryReport:
        """Puts down, however busy the database is, for minutes: what left is known here alone."""
        for pause in self._pauses:
            try:
                return await stopped.to_the_end(asyncio.to_thread(self.put_down, taken, outcomes))
            except (Busy, DatabaseUnusable):
                if stopped:
                    raise
            await stopped.pause(pause)
        return await stopped.to_the_end(asyncio.to_thread(self.put_down, taken, outcomes))

    def take_back_from(self, gone: Collection[str]) -> int:
        """Takes back, lease or no lease, what these daemons had in hand, which are known to be gone. How many messages
        wait again.
        """
        return self._claiming.take_back(gone) if gone else 0

    def next_leaving(self) -> datetime | None:
        """When the next message may leave; None when none waits."""
        with self.engine.database.read() as connection:
            return outgoing.next_leaving(connection)

    @property
    def refused_writes(self) -> int:
        """How many writes were refused so far, because the lease was over."""
        return self._hand.refused_writes

    # --- the two ends of a round ----------------------------------------------------------------------------------

    def take(self, most: int) -> Taken:
        """Takes mails in hand, written and kept: one alone while the transport is being tried again."""
        longest = getattr(self.transport, "longest", timedelta(0))  # in hand of some transports; others are quick
        return self._taking.take(most, only_one=self._careful, longest=longest)

    def put_down(self, taken: Taken, outcomes: Sequence[Outcome]) -> DeliveryReport:
        """Marks what became of the mails of a round."""
        return self._putting_down.put_down(taken, outcomes)

    def _let_go(self, taken: Taken) -> None:
        self.put_down(taken, [NOT_TRIED] * len(taken.ready))

    # --- looking ahead --------------------------------------------------------------------------------------------

    def _look_ahead(self, taken: Taken, most: int) -> None:
        """Begins to make the next round ready, where there is likely to be one."""
        if self._looks_ahead and self._quick and not self._careful and len(taken.claims.leaving) >= most:
            making = asyncio.ensure_future(asyncio.to_thread(self.take, most))
            self._ahead = _Ahead(making, time.monotonic())

    async def _next(self, most: int) -> Taken:
        """The next round: the one made ready, where that is fresh; else a new one."""
        ahead = self._ahead
        if ahead is not None and not self._careful and time.monotonic() - ahead.begun < AHEAD:
            self._ahead = None
            return await ahead.making
        back = await self._put_back()
        taken = await asyncio.to_thread(self.take, most)
        taken.claims.add(Claims([], back.superseded, back.held, back.postponed))
        return taken

    async def _put_back(self) -> DeliveryReport:
        """Puts back what was made ready ahead: it waits as before."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return DeliveryReport()
        try:
            taken = await ahead.making
        except VipflowError:  # it has left nothing in hand; the next round meets the same, and tells
            return DeliveryReport()
        return await asyncio.to_thread(self.put_down, taken, [PUT_BACK] * len(taken.ready))
