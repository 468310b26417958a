"""`serve`: one process from its first line to its last. It begins, works until a signal, and ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

from vipflow.api.app import make_app
from vipflow.api.health import Health, RunningTick, Unready
from vipflow.clock import HostClock
from vipflow.config import Settings
from vipflow.daemon.aiming import Aim
from vipflow.daemon.beating import EVERY, VERSION, ClockWatch, Heart
from vipflow.daemon.logs import log_of
from vipflow.daemon.parts import in_thread, parts_of
from vipflow.daemon.sole import Sole, let_nobody_work_on
from vipflow.daemon.supervising import keep_alive
from vipflow.daemon.telling import Fortunes, Numbers
from vipflow.daemon.ticks import Tick, Ticks
from vipflow.daemon.web import Web, bound, url_of
from vipflow.delivery.transport import Paused
from vipflow.errors import BadInput, VipflowError
from vipflow.operations import story
from vipflow.operations.crashes import crashes_noted
from vipflow.operations.databases import open_existing, sqlite_file
from vipflow.operations.installation import Installation, open_installation
from vipflow.operations.policy_notice import cases_with_older_numbers
from vipflow.operations.ticks import Ticked
from vipflow.store.database import Database
from vipflow.store.schema import require_current, schema_status
from vipflow.store.standing import oldest, standing
from vipflow.store.waking import heard

log = log_of("daemon")

PUT_DOWN = 6.0
"""Seconds that work in hand has to end in, once a daemon is asked to stop: all of it takes less than ten."""
LAST_WORD = 1.0
"""Seconds that what did not has to write down how far it came."""
SAME_WISH = 1.0
"""Seconds within which a second signal is the first one once more: Ctrl-C may come from a terminal and its wrapper."""
ANSWER = 3.0
"""Seconds that the database has to answer whoever asks how we are."""
CLOCK_LOOK = 1.0
COUNTED_FOR = 10.0
"""Seconds for which what was counted in the database is good enough."""
LAST_BREATH = 0.3
"""Seconds that threads have to end which have nothing more to do."""
THREADS = 8
THREAD = "vipflow-daemon"


def serve(settings: Settings, *, host: str | None = None, port: int | None = None) -> int:
    """Runs the daemon until it is asked to stop; its exit code.

    Raises what keeps it from starting at all: an address that is taken, another daemon, a database that is not ours.
    """
    wanted = settings.daemon
    try:
        listening = bound(host if host is not None else wanted.host, port if port is not None else wanted.port)
    except BadInput:
        _name_whoever_works_here(settings)  # a second daemon finds its address taken too: it is no stranger's
        raise
    with contextlib.ExitStack() as opened:
        opened.callback(listening.close)
        database = open_existing(settings)
        opened.callback(database.dispose)
        require_current(database)
        sole = _only_one(settings, database)
        if sole is not None:
            opened.callback(sole.give_up)
            sole.tell(url_of(listening), HostClock().now())
        story.go_on(settings.clock, database)
        opened.callback(_let_the_story_stand, settings, database)  # also where nothing comes of it
        installation = open_installation(settings, looks=True)
        opened.callback(installation.close)
        if installation.engine.unfit is not None:
            raise installation.engine.unfit
        crashed = opened.enter_context(crashes_noted(installation, _last_words))
        if crashed:
            log.warning("crashes_counted", records=len(crashed), most=max(crashed.values()))
        daemon = Daemon(installation, listening)
        return asyncio.run(daemon.run())


def _last_words(words: str) -> None:
    log.error("daemon_stuck", says=words)
    sys.stderr.flush()


def _name_whoever_works_here(settings: Settings) -> None:
    file = sqlite_file(settings)
    if file is not None:
        with contextlib.suppress(OSError):
            let_nobody_work_on(file.resolve())


def _only_one(settings: Settings, database: Database) -> Sole | None:
    file = sqlite_file(settings)
    return Sole(file.resolve(), database.label) if file is not None else None


def _let_the_story_stand(settings: Settings, database: Database) -> None:
    with contextlib.suppress(VipflowError):
        story.stand(story.clock_of(settings.clock, database), database)


class Daemon:
    """One daemon at work."""

    def __init__(self, installation: Installation, listening: socket.socket) -> None:
        self.installation = installation
        self.url = url_of(listening)
        self.numbers = Numbers(installation.database.dialect)
        self.fortunes = Fortunes(self.numbers)
        self.aim = Aim(installation.engine)
        self.heart = Heart(installation.engine, self._details)
        self._paused: Paused | None = None
        self.parts = parts_of(
            installation, self.heart.ident, self.goes_on, self._write_refused, self._tell_of_transport
        )
        self.web = Web(make_app(self, self._web_fault), listening)
        own = (
            Tick("heartbeat", in_thread(self._beat), at_least_every=EVERY, woken=False),
            Tick("housekeeping", in_thread(self.heart.forget_old), at_least_every=3600, woken=False),
        )
        self.ticks: Ticks | None = None
        self._all = (*self.parts.ticks, *own)
        self._stop = asyncio.Event()
        self._asked: str | None = None
        self._asked_at = 0.0
        self._counted: tuple[float, dict[str, int], dict[str, float]] | None = None
        self._ready: tuple[float, tuple[Unready, ...]] | None = None
        installation.engine.heard = self.numbers.committed

    def goes_on(self) -> bool:
        """False once it is asked to stop."""
        return self._asked is None

    async def run(self) -> int:
        """From the first line to the last."""
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix=THREAD)
        loop.set_default_executor(pool)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        web = asyncio.create_task(self.web.serve(), name="web")
        web.add_done_callback(self._web_ended)
        background: list[asyncio.Task[None]] = []
        try:
            await self._begin_unless_stopped(background)
            await self._stop.wait()
        finally:
            ended = await self._end(web, background)
        if not await _threads_ended(pool) or not ended:  # a thread that does not end would keep the process
            _leave_now(0)
        return 0

    # --- from beginning to end ------------------------------------------------------------------------------------

    async def _begin_unless_stopped(self, background: list[asyncio.Task[None]]) -> None:
        """A database that does not answer must not keep who is asked to stop."""
        beginning = asyncio.create_task(self._begin(background), name="beginning")
        asked = asyncio.create_task(self._stop.wait())
        await asyncio.wait({beginning, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if beginning.done():
            beginning.result()
        else:
            beginning.cancel()
            await asyncio.wait({beginning}, timeout=LAST_WORD)

    async def _begin(self, background: list[asyncio.Task[None]]) -> None:
        settings = self.installation.settings
        found = await asyncio.to_thread(self.heart.look)
        drift = await asyncio.to_thread(self.aim.measure)
        log.info(
            "daemon_started",
            id=self.heart.ident,
            url=self.url,
            version=VERSION,
            database=self.installation.database.label.removeprefix("the database "),
            transport=self.parts.transport.name,
            last_heard_of=found.last_beat.isoformat() if found.last_beat is not None else None,
            clock=found.now.isoformat(),
            clock_ahead_seconds=round(drift, 3),
        )
        for older in await asyncio.to_thread(cases_with_older_numbers, self.installation):
            log.info("older_numbers_pinned", reseller=older.reseller, cases=older.cases, see=older.run)
        for step in self.parts.before:
            await step(found)
        # Only now: whoever else begins meanwhile must see the silence too, and not us in it.
        await asyncio.to_thread(self.heart.arrive)
        self.ticks = Ticks(self._all, self.aim.until, self.fortunes)
        self.ticks.start()
        for part, body in (("listener", self._listen), ("clock", self._watch_clock)):
            background.append(asyncio.create_task(keep_alive(part, body, self._restarted), name=part))
        await self.web.started()
        log.info("daemon_ready", url=self.url, config=str(settings.file) if settings.file is not None else None)

    async def _end(self, web: asyncio.Task[None], background: list[asyncio.Task[None]]) -> bool:
        """Whether everything that was in hand has ended."""
        begun = monotonic()
        self._asked = self._asked or "an error"
        log.info("daemon_stopping", asked_by=self._asked)
        for task in background:
            task.cancel()
        ended = await self._put_down()
        for closing in (self.parts.close, self._leave):  # neither a mail being written nor a database may hold us up
            with contextlib.suppress(Exception):
                await asyncio.wait_for(asyncio.to_thread(closing), 1.0)
        self.web.stop()
        await asyncio.wait([web], timeout=1.5)
        log.info(
            "daemon_stopped", after_seconds=round(monotonic() - begun, 2), in_hand=not ended, **self.numbers.counts()
        )
        return ended

    async def _put_down(self) -> bool:
        """Ends what runs; the transport finishes the mails in hand and takes no other."""
        waiting: list[Coroutine[Any, Any, None]] = [self.parts.transport.close()]
        if self.ticks is not None:
            waiting.append(self.ticks.stop())
        tasks = [asyncio.create_task(each) for each in waiting]
        _, left = await asyncio.wait(tasks, timeout=PUT_DOWN)
        if left and self.ticks is not None:
            log.warning("work_left_in_hand", ticks=[tick.name for tick, _ in self.ticks.running()], seconds=PUT_DOWN)
            self.ticks.cancel()
            await asyncio.wait(left, timeout=LAST_WORD)
        for task in tasks:
            if task.done() and task.exception() is not None:
                log.error("closing_failed", exc_info=task.exception())
        return not left

    def _leave(self) -> None:
        story.stand(self.installation.clock, self.installation.database)
        self.parts.after_beat()
        self.heart.leave()

    def _signalled(self, number: int) -> None:
        name = signal.Signals(number).name
        if self._asked is not None:
            if monotonic() - self._asked_at > SAME_WISH:
                log.warning("daemon_forced", signal=name)
                _leave_now(128 + number)
            return
        self._asked, self._asked_at = name, monotonic()
        self._stop.set()

    # --- what runs beside the ticks -------------------------------------------------------------------------------

    async def _listen(self) -> None:
        async for _ in heard(self.installation.settings.database.url):
            self.numbers.woken.inc()
            self._wake()

    async def _watch_clock(self) -> None:
        watch = ClockWatch()
        while True:
            await asyncio.sleep(CLOCK_LOOK)  # why: a clock that is set tells nobody
            jump = watch.jumped()
            if jump is not None:
                log.warning("clock_jumped", seconds=round(jump.total_seconds(), 3))
                if self.ticks is not None:  # all of them: each is aimed by the clock that was
                    self.ticks.wake(*self.ticks.names)

    def _wake(self) -> None:
        if self.ticks is not None:
            self.ticks.wake()

    def _restarted(self, part: str) -> None:
        self.numbers.restarts.labels(part).inc()

    def _beat(self) -> Ticked:
        self.aim.measure()
        self.parts.before_beat()
        ticked = self.heart.beat()
        self.parts.after_beat()
        return ticked

    def _write_refused(self, count: int) -> None:
        self.numbers.refuse(count)
        log.warning("write_refused", tick="delivery", mails=count)

    def _tell_of_transport(self, paused: Paused | None, took_some: bool) -> None:
        """A pause is told when it begins and when its reason changes; its end, when a mail was taken."""
        if paused is not None:
            self.numbers.paused.set(1)
            if self._paused is None or paused.says != self._paused.says:
                told = {"stage": paused.stage, "problem": paused.says, "until": paused.until.isoformat()}
                log.warning("transport_paused", transport=self.parts.transport.name, **told)
            self._paused = paused
        elif took_some and self._paused is not None:
            self.numbers.paused.set(0)
            log.info("transport_back", transport=self.parts.transport.name, since=self._paused.since.isoformat())
            self._paused = None

    def _details(self) -> dict[str, Any]:
        """What `vipflow daemon list` shows of it."""
        clock = self.installation.clock
        return {
            "url": self.url,
            "counts": self.numbers.counts(),
            "transport": self.parts.transport.name,
            "transport_paused": self._paused.says if self._paused is not None else None,
            "beats_every": EVERY * getattr(clock, "speed", 1),
        }

    # --- how it is: what the web application asks -----------------------------------------------------------------

    def health(self) -> Health:
        """At once, from memory."""
        running = self.ticks.running() if self.ticks is not None else []
        told = {tick.name: RunningTick(tick.name, round(seconds, 3)) for tick, seconds in running}
        stuck = tuple(told[tick.name] for tick, seconds in running if seconds > tick.patience)
        return Health("stuck" if stuck else "alive", stuck, tuple(told.values()))

    async def unready(self) -> tuple[Unready, ...]:
        """Why it is not ready; what the database answered is good for a second."""
        if self._asked is not None:
            return (Unready("stopping", "it was asked to stop"),)
        if self.ticks is None:
            return (Unready("starting", "it has not begun to work yet"),)
        if self._ready is None or monotonic() - self._ready[0] > 1:
            self._ready = monotonic(), await self._ask_database()
        return self._ready[1]

    async def _ask_database(self) -> tuple[Unready, ...]:
        try:
            status = await asyncio.wait_for(asyncio.to_thread(schema_status, self.installation.database), ANSWER)
        except (VipflowError, TimeoutError):
            return (Unready("database", "the database does not answer; the log says more"),)
        if status.state != "current":
            says = f"the database has schema {status.current or 'none'}, this release needs {status.head}"
            return (Unready("schema", says),)
        if self.fortunes.lost is not None:
            return (Unready("database", f"the database cannot be worked with: {self.fortunes.lost.problem}"),)
        return tuple(Unready("files", says) for says in sorted(set(self.fortunes.unusable.values())))

    async def numbers_text(self) -> bytes:
        """Prometheus' text; what is counted in the database is at most ten seconds old."""
        if self._counted is None or monotonic() - self._counted[0] > COUNTED_FOR:
            with contextlib.suppress(VipflowError, TimeoutError):
                self._counted = monotonic(), *await asyncio.wait_for(asyncio.to_thread(self._count), ANSWER)
        _, counts, ages = self._counted or (0.0, {}, {})
        return self.numbers.text(counts, ages)

    def _count(self) -> tuple[dict[str, int], dict[str, float]]:
        engine = self.installation.engine
        with self.installation.database.read() as connection:
            now = engine.read_now(connection)
            ages = {name: (now - at).total_seconds() for name, at in oldest(connection).items() if at is not None}
            return standing(connection), ages

    def _web_ended(self, web: asyncio.Task[None]) -> None:
        """Nobody can be answered any more; timers and mails go on, and whoever watches sees that nothing answers."""
        if not web.cancelled() and (web.exception() is not None or self.goes_on()):
            log.error("web_ended", exc_info=web.exception())

    @staticmethod
    def _web_fault(fault: Exception) -> None:
        log.error("request_failed", exc_info=fault)


async def _threads_ended(pool: ThreadPoolExecutor) -> bool:
    """Whether no thread is left that would keep the process: one may wait for a database that does not answer."""
    pool.shutdown(wait=False, cancel_futures=True)
    until = monotonic() + LAST_BREATH
    while any(thread.name.startswith(THREAD) for thread in threading.enumerate()):
        if monotonic() > until:
            return False
        await asyncio.sleep(0.01)
    return True


def _leave_now(code: int) -> None:
    sys.stderr.flush()
    os._exit(code)
