"""Ticks: what an installation does by itself when its time has come. A daemon calls them, and whoever plays a story.

Each does all that is due now and says when it wants to be called again (None: nothing is in sight). Called too early,
too late or twice they do no harm: what is due is written down, not remembered here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from vipflow.delivery.outbox import Delivery
from vipflow.operations.installation import Installation
from vipflow.store import waiting


class Ticked(msgspec.Struct, frozen=True):
    """What a tick did (transitions, events or mails; `faults` of them went wrong), and when it has to do more."""

    done: int
    faults: int
    next_at: datetime | None


Tick = Callable[[], Ticked]


def tick_timers(installation: Installation) -> Ticked:
    """Fires every timer that is due."""
    engine = installation.engine
    done = faults = 0
    while _has_come(installation, engine.next_due()):
        report = engine.sweep()
        done += report.transitions
        faults += report.faults
        if not report.more:
            break  # somebody else has them in hand
    return Ticked(done, faults, engine.next_due())


def tick_parked(installation: Installation) -> Ticked:
    """Opens an incident for each event that has waited too long for its customer or case, which it goes on doing."""
    done = 0
    while _has_come(installation, _next_expiry(installation)):
        opened = installation.engine.expire_parked()
        done += opened
        if not opened:
            break
    return Ticked(done, 0, _next_expiry(installation))


def tick_delivery(installation: Installation, delivery: Delivery) -> Ticked:
    """Sends every mail that may leave and is still true."""
    done = faults = 0
    while _has_come(installation, delivery.next_leaving()):
        report = delivery.deliver()
        done += report.sent
        faults += report.held
        if not report.claimed and not report.superseded:
            break
    return Ticked(done, faults, delivery.next_leaving())


def _next_expiry(installation: Installation) -> datetime | None:
    with installation.database.read() as connection:
        return waiting.next_parked_expiry(connection)


def _has_come(installation: Installation, instant: datetime | None) -> bool:
    if instant is None:
        return False
    with installation.database.read() as connection:
        return instant <= installation.engine.read_now(connection)
