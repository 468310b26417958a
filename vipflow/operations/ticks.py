"""Ticks: what an installation does by itself when its time has come. A daemon calls them, and whoever plays a story.

Each does all that is due now and says when it wants to be called again (None: nothing is in sight). Called too early,
too late or twice they do no harm: what is due is written down, not remembered here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection

from vipflow.delivery.outbox import Delivery
from vipflow.errors import Busy
from vipflow.operations.audit import seal_now
from vipflow.operations.installation import Installation
from vipflow.store import catchup, outgoing, waiting, work

JUST_NOW = timedelta(minutes=10)
"""No transaction runs for longer: what was received before has been seen by everybody."""
SEALED_EVERY = timedelta(seconds=50)
"""A row that just missed a seal has the next within the minute that we promise."""
SOON = timedelta(seconds=5)

NOTHING_DONE = timedelta(seconds=1)
"""After a round that came to nothing, so long before the next."""


class Ticked(msgspec.Struct, frozen=True):
    """What a tick did (transitions, events or mails; `faults` of them went wrong), and when it has to do more."""

    done: int
    faults: int
    next_at: datetime | None


def always() -> bool:
    """Nobody asks to stop."""
    return True


def tick_timers(installation: Installation, go_on: Callable[[], bool] = always) -> Ticked:
    """Fires every timer that is due. While a grace lasts (see `catchup`) none, and says when it is over. Where it does
    not `go_on` it ends after the batch in hand.
    """
    done = faults = 0
    with installation.database.read() as connection:
        grace = catchup.grace_until(connection, installation.engine.read_now(connection))
    if grace is not None:
        return Ticked(0, 0, grace)
    is_due, next_at = _look(installation, work.next_wake)
    while is_due and go_on():
        report = installation.engine.sweep()
        done += report.transitions
        faults += report.faults
        is_due, next_at = _look(installation, work.next_wake)
        if not report.more:
            break  # somebody else has them in hand
    return Ticked(done, faults, next_at)


def tick_parked(installation: Installation) -> Ticked:
    """Wakes events whose case is there after all, and opens an incident for each that has waited too long for it; such
    an event goes on waiting.
    """
    done = 0
    if installation.database.dialect == "postgresql":
        # Two that write at once may have missed each other: an event, and the opening of what it waits for.
        done += installation.engine.retry_parked(received_within=JUST_NOW)
    is_due, next_at = _look(installation, waiting.next_parked_expiry)
    if is_due:
        done += installation.engine.retry_parked()
    while is_due:
        opened = installation.engine.expire_parked()
        done += opened
        is_due, next_at = _look(installation, waiting.next_parked_expiry)
        if not opened:
            break
    return Ticked(done, 0, next_at)


async def tick_delivery(installation: Installation, delivery: Delivery, go_on: Callable[[], bool] = always) -> Ticked:
    """Sends every mail that may leave and is still true. Where it does not `go_on` it ends after the round in hand."""
    async with delivery.looking_ahead():
        return await _rounds(installation, delivery, go_on)


async def _rounds(installation: Installation, delivery: Delivery, go_on: Callable[[], bool]) -> Ticked:
    done = faults = 0
    is_due, next_at = await asyncio.to_thread(_look, installation, outgoing.next_leaving)
    while (is_due or delivery.has_more_in_hand) and go_on():
        report = await delivery.deliver()
        done += report.sent
        faults += report.held + report.failed + report.uncertain + report.dead
        if report.paused_until is not None:
            return Ticked(done, faults, report.paused_until)
        is_due, next_at = await asyncio.to_thread(_look, installation, outgoing.next_leaving)
        if report.came_to_nothing:
            # Somebody else has them in hand, or they could not be begun.
            again = installation.clock.now() + NOTHING_DONE
            if delivery.has_more_in_hand:  # it is put back, and waits again
                return Ticked(done, faults, again)
            return Ticked(done, faults, max(next_at, again) if next_at is not None else None)
    return Ticked(done, faults, next_at)


def tick_seal(installation: Installation) -> Ticked:
    """Seals what history and the audit have gained. Raises SealFault where the key, the file of seals or the database
    is not as the last seal left it: then somebody has to look.
    """
    with installation.database.read() as connection:
        now = installation.engine.read_now(connection)
    try:
        sealed = seal_now(installation)
    except Busy:
        return Ticked(0, 0, now + SOON)
    return Ticked(sealed.rows + sealed.acts, 0, now + (SOON if sealed.busy else SEALED_EVERY))


def _look(installation: Installation, next_of: Callable[[Connection], datetime | None]) -> tuple[bool, datetime | None]:
    """Whether something is due, and when the next thing is: a glance that disturbs nobody."""
    with installation.database.read() as connection:
        next_at = next_of(connection)
        return next_at is not None and next_at <= installation.engine.read_now(connection), next_at
