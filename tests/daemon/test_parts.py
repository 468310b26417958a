"""What one daemon runs, one tick called after another."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from tests.daemon.processes import Place
from vipflow.clock import HostClock
from vipflow.config import load_settings
from vipflow.daemon.beating import Before, Heart
from vipflow.daemon.parts import for_a_while, parts_of
from vipflow.daemon.serve import THREAD, Daemon, _threads_ended
from vipflow.daemon.web import bound
from vipflow.operations import holds
from vipflow.operations.daemons import known_daemons
from vipflow.operations.installation import open_installation
from vipflow.operations.ticks import Ticked


class Wall:
    """A clock on a wall that people set."""

    tells_a_story = False

    def __init__(self) -> None:
        self.shows = HostClock().now()

    def now(self) -> datetime:
        return self.shows


def test_a_clock_that_was_set_is_seen_before_timers_fire_and_mails_leave(sqlite_place: Place):
    """Whoever was woken first: the heart beats only every ten seconds."""
    wall = Wall()
    sqlite_place.boil(1, rings_at=lambda _: wall.shows + timedelta(minutes=30))
    sqlite_place.boil(1)
    sqlite_place.take_out(2)
    installation = open_installation(load_settings(sqlite_place.folder / "config.toml"), clock=wall)
    heart = Heart(installation.engine, dict)
    parts = parts_of(installation, heart.ident, lambda: True, lambda _: None, lambda *_: None)
    ticks = {tick.name: tick for tick in parts.ticks}
    try:
        for step in parts.before:
            asyncio.run(step(Before(wall.shows, None)))  # type: ignore[arg-type]  # why: it is a coroutine
        heart.arrive()
        wall.shows += timedelta(hours=1)
        for name in ("delivery", "timers", "delivery"):
            ticked: Ticked = asyncio.run(ticks[name].run())  # type: ignore[arg-type]  # why: it is a coroutine
            assert (name, ticked.done, ticked.next_at) == (name, 0, wall.shows + timedelta(minutes=15))
        assert [hold.kind for hold in holds.list_holds(installation, None)] == ["clock"]
        assert sqlite_place.mails() == []
    finally:
        parts.close()
        installation.close()


def test_a_tick_with_much_to_do_ends_in_between_so_that_nobody_takes_it_for_stuck():
    assert for_a_while(lambda: True)()
    assert not for_a_while(lambda: False)()
    assert not for_a_while(lambda: True, 0.0)()


def test_nobody_takes_for_a_sign_of_life_who_has_not_looked_at_the_silence_yet(sqlite_place: Place):
    """On PostgreSQL two may begin at the same moment after an outage."""
    installation = open_installation(load_settings(sqlite_place.folder / "config.toml"))
    daemon = Daemon(installation, bound("127.0.0.1", 0))
    seen: list[list[str]] = []

    async def look(_: Before) -> None:
        seen.append([each.id for each in known_daemons(installation, everybody=True)])
        os.kill(os.getpid(), signal.SIGTERM)

    daemon.parts = replace(daemon.parts, before=(look,))
    try:
        assert asyncio.run(daemon.run()) == 0
        assert seen == [[]]
        # The signal may come before it has written that it lives, or after.
        assert {each.state for each in known_daemons(installation, everybody=True)} <= {"stopped"}
    finally:
        installation.close()


def test_a_thread_that_waits_for_a_database_does_not_keep_who_is_asked_to_stop():
    began, waits = threading.Event(), threading.Event()
    pool = ThreadPoolExecutor(2, thread_name_prefix=THREAD)

    def ask() -> None:
        began.set()
        waits.wait()

    pool.submit(lambda: None)
    pool.submit(ask)
    assert began.wait(10)  # what has not begun is only cancelled
    try:
        assert not asyncio.run(_threads_ended(pool))
    finally:
        waits.set()
    assert asyncio.run(_threads_ended(pool))
