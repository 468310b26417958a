"""What one daemon runs: its ticks, what comes before the first of them, and what is closed at the end.

Whoever adds a part to the daemon adds it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from vipflow.daemon.beating import Before
from vipflow.daemon.ticks import Tick
from vipflow.delivery.outbox import Delivery
from vipflow.delivery.transport import Transport
from vipflow.delivery.transports import make_transport
from vipflow.operations.installation import Installation
from vipflow.operations.ticks import Ticked, tick_delivery, tick_parked, tick_seal, tick_timers

MAILS_PATIENCE = 900.0
"""Seconds. A round of mails may wait for a slow server; a lease is shorter."""


@dataclass(frozen=True)
class Parts:
    """`before`: done in this order, each awaited, before any tick; they are told what the daemon found."""

    ticks: tuple[Tick, ...]
    transport: Transport
    before: tuple[Callable[[Before], Awaitable[None]], ...] = ()


def parts_of(installation: Installation, go_on: Callable[[], bool]) -> Parts:
    """The parts that an installation asks for. `go_on`: False once the daemon is asked to stop."""
    transport = make_transport(installation.settings)
    mail = installation.settings.mail
    delivery = Delivery(installation.engine, installation.templates, transport, mail.domain)
    ticks = (
        Tick("timers", in_thread(tick_timers, installation, go_on), wakes=("delivery",)),
        Tick("parked", in_thread(tick_parked, installation), wakes=("timers", "delivery")),
        Tick("delivery", in_thread(tick_delivery, installation, delivery), patience=MAILS_PATIENCE),
        Tick("seal", in_thread(tick_seal, installation), woken=False),
    )
    return Parts(ticks, transport)


def in_thread(tick: Callable[..., Ticked], *arguments: object) -> Callable[[], Awaitable[Ticked]]:
    """A tick that waits for the database, off the event loop."""
    return partial(asyncio.to_thread, tick, *arguments)
