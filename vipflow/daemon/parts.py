"""What one daemon runs: its ticks, what comes before the first of them, and what is closed at the end.

Whoever adds a part to the daemon adds it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import monotonic

from vipflow.clock import Clock, ContinuingClock
from vipflow.daemon.beating import Before
from vipflow.daemon.logs import log_of
from vipflow.daemon.ticks import Tick
from vipflow.delivery.outbox import Delivery
from vipflow.delivery.settling import Rules
from vipflow.delivery.transport import Paused, Transport
from vipflow.delivery.transports import make_transport
from vipflow.delivery.workshop import Workshop
from vipflow.operations.catchup import Began, CatchUp
from vipflow.operations.holds import tick_holds
from vipflow.operations.installation import Installation
from vipflow.operations.ticks import Ticked, tick_delivery, tick_parked, tick_seal, tick_timers

log = log_of("daemon")

MAILS_PATIENCE = 900.0
"""Seconds. A round of mails may wait for a slow server; a lease is shorter."""
AT_A_STRETCH = 30.0
"""Seconds. A tick with more to do than that ends in between, and goes on at once."""
GATE = timedelta(seconds=5)
"""While mails wait for the timers before them, they look again so often."""


@dataclass(frozen=True)
class Parts:
    """`before`: done in this order, each awaited, before any tick; they are told what the daemon found.

    `before_beat` and `after_beat` are called around each heartbeat, `close` once everything has ended.
    """

    ticks: tuple[Tick, ...]
    transport: Transport
    before: tuple[Callable[[Before], Awaitable[None]], ...] = ()
    before_beat: Callable[[], None] = lambda: None
    after_beat: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None


def parts_of(
    installation: Installation,
    ident: str,
    go_on: Callable[[], bool],
    told_refused: Callable[[int], None],
    told_transport: Callable[[Paused | None, bool], None],
) -> Parts:
    """The parts that an installation asks for. `ident` names the daemon; `go_on` is False once it is asked to stop;
    `told_refused` hears how many writes of a round came too late to count, `told_transport` after each round whether
    the transport pauses, and whether it took something.
    """
    settings = installation.settings
    transport = make_transport(settings)
    workshop = Workshop(installation.templates)
    delivery = Delivery(
        installation.engine,
        installation.templates,
        transport,
        settings.mail.domain,
        daemon=ident,
        rules=Rules(settings.mail.copies, timedelta(days=settings.mail.give_up_after_days)),
        workshop=workshop,
        told_refused=told_refused,
    )
    catch_up = CatchUp(installation)

    async def begin(found: Before) -> None:
        taken_back = await asyncio.to_thread(delivery.take_back_from, found.gone)
        if taken_back:
            log.info("mails_taken_back", mails=taken_back)
        _tell(await asyncio.to_thread(catch_up.begin, ident))

    def before_beat() -> None:
        if not runs_fast(installation.clock):  # hours of such a story lie between two beats, and that is no silence
            _tell(catch_up.before_beat(ident))

    def look_up() -> None:
        if not runs_fast(installation.clock):
            _tell(catch_up.look_up(ident))

    def timers() -> Ticked:
        look_up()
        return tick_timers(installation, for_a_while(go_on))

    async def mails() -> Ticked:
        await asyncio.to_thread(look_up)
        ticked = await _deliver(installation, delivery, catch_up, for_a_while(go_on))
        told_transport(transport.paused(installation.clock.now()), ticked.done > 0)
        return ticked

    ticks = (
        Tick("holds", in_thread(tick_holds, installation), wakes=("parked", "timers", "delivery")),
        Tick("timers", in_thread(timers), wakes=("delivery",)),
        Tick("parked", in_thread(tick_parked, installation), wakes=("timers", "delivery")),
        Tick("delivery", mails, patience=MAILS_PATIENCE),
        Tick("seal", in_thread(tick_seal, installation), woken=False),
    )
    return Parts(ticks, transport, (begin,), before_beat, catch_up.note_progress, workshop.close)


def runs_fast(clock: Clock) -> bool:
    """Whether this is the clock of a story in which more than a second passes in one."""
    return isinstance(clock, ContinuingClock) and clock.speed > 1


def for_a_while(go_on: Callable[[], bool], seconds: float = AT_A_STRETCH) -> Callable[[], bool]:
    """As `go_on`, and False when so many seconds have passed: a tick with much to do is called again at once, so that
    who does not come back is stuck.
    """
    ends = monotonic() + seconds
    return lambda: go_on() and monotonic() < ends


async def _deliver(
    installation: Installation, delivery: Delivery, catch_up: CatchUp, go_on: Callable[[], bool]
) -> Ticked:
    """Mails leave once the catching up is over."""
    gate = await asyncio.to_thread(catch_up.before_delivery)
    if not gate.is_open:
        return Ticked(0, 0, gate.look_again_at or installation.clock.now() + GATE)
    return await tick_delivery(installation, delivery, go_on)


def _tell(began: Began | None) -> None:
    """What a start, or the end of a silence, found worth a line."""
    if began is None or (began.grace_until is None and not began.why):
        return
    log.warning(
        "catching_up",
        silence_seconds=round(began.silence.total_seconds()) if began.silence is not None else None,
        timers_wait_until=began.grace_until.isoformat() if began.grace_until is not None else None,
        mail_held=list(began.held),
        why=list(began.why),
    )


def in_thread(tick: Callable[..., Ticked], *arguments: object) -> Callable[[], Awaitable[Ticked]]:
    """A tick that waits for the database, off the event loop."""
    return partial(asyncio.to_thread, tick, *arguments)
