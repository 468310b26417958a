"""Ticks: what an installation does by itself when its time has come. A daemon calls them, and whoever plays a story.

Each does all that is due now and says when it wants to be called again (None: nothing is in sight). Called too early,
too late or twice they do no harm: what is due is written down, not remembered here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection

from vipflow.delivery.outbox import Delivery
from vipflow.operations.installation import Installation
from vipflow.store import catchup, outgoing, waiting, work

JUST_NOW = timedelta(minutes=10)
"""No transaction runs for longer: what was received before has been seen by everybody."""


class Ticked(msgspec.Struct, frozen=True):
    """What a tick did (transitions, events or mails; `faults` of them went wrong), and when it has to do more."""

    done: int
    faults: int
    next_at: datetime | None


def tick_timers(installation: Installation) -> Ticked:
    """Fires every timer that is due. While a grace lasts (see `catchup`) none, and says when it is over."""
    done = faults = 0
    with installation.database.read() as connection:
        grace = catchup.grace_until(connection, installation.engine.read_now(connection))
    if grace is not None:
        return Ticked(0, 0, grace)
    is_due, next_at = _look(installation, work.next_wake)
    while is_due:
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


def tick_delivery(installation: Installation, delivery: Delivery) -> Ticked:
    """Sends every mail that may leave and is still true."""
    done = faults = 0
    is_due, next_at = _look(installation, outgoing.next_leaving)
    while is_due:
        report = delivery.deliver()
        done += report.sent
        faults += report.held + report.failed
        is_due, next_at = _look(installation, outgoing.next_leaving)
        if not report.claimed and not report.superseded:
            break
    return Ticked(done, faults, next_at)


def _look(installation: Installation, next_of: Callable[[Connection], datetime | None]) -> tuple[bool, datetime | None]:
    """Whether something is due, and when the next thing is: a glance that disturbs nobody."""
    with installation.database.read() as connection:
        next_at = next_of(connection)
        return next_at is not None and next_at <= installation.engine.read_now(connection), next_at
