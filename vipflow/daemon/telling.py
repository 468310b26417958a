"""What the daemon counts and tells: Prometheus' numbers, and a line when something goes wrong or is well again."""

from __future__ import annotations

import errno
import threading
from collections import Counter as Tally
from collections.abc import Mapping
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from vipflow.daemon.beating import VERSION
from vipflow.daemon.logs import log_of
from vipflow.engine.batch import Batch
from vipflow.errors import NO_ROOM, Busy, FileUnusable, VipflowError
from vipflow.operations.ticks import Ticked
from vipflow.store.database import DatabaseUnusable, WriteRefused

log = log_of("daemon")

DATABASE_BACK_OFF = 5.0
FILES_BACK_OFF = 15.0
"""Seconds between two tries of a tick at most, while the database is gone."""


class Numbers:
    """The daemon's own registry. What it counts is what this process did; what stands in the database is a gauge."""

    def __init__(self, dialect: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when a counter began says nothing to anybody
        self.registry = made = CollectorRegistry()
        info = Gauge("vipflow_build_info", "1, with what is running as labels.", ["version", "database"], registry=made)
        info.labels(VERSION, dialect).set(1)
        self.transitions = Counter(
            "vipflow_transitions", "Transitions that this daemon applied.", ["workflow"], registry=made
        )
        self.lateness = Histogram(
            "vipflow_timer_lateness_seconds",
            "From when a timer was due until it was fired.",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60, 300, 3600, 86400),
            registry=made,
        )
        self.seconds = Histogram(
            "vipflow_tick_seconds",
            "How long a tick ran.",
            ["tick"],
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300),
            registry=made,
        )
        self.done = Counter(
            "vipflow_tick_done", "What ticks did: timers, events, mails, seals.", ["tick"], registry=made
        )
        self.faults = Counter("vipflow_tick_faults", "What went wrong in ticks that went on.", ["tick"], registry=made)
        self.failures = Counter("vipflow_tick_failures", "Ticks that ended with an error.", ["tick"], registry=made)
        self.mails = Counter("vipflow_mails", "Mails by what became of them here.", ["outcome"], registry=made)
        self.refused = Counter(
            "vipflow_writes_refused", "Writes refused because others may have done the work meanwhile.", registry=made
        )
        self.woken = Counter("vipflow_wakes", "Times that a writer elsewhere woke this daemon.", registry=made)
        self.restarts = Counter(
            "vipflow_restarts", "Parts of the daemon that were begun anew.", ["part"], registry=made
        )
        self.paused = Gauge("vipflow_transport_paused", "1 while the transport takes no mail.", registry=made)
        self.lost = Gauge("vipflow_database_lost", "1 while the database cannot be worked with.", registry=made)
        self._standing = Gauge(
            "vipflow_standing", "What stands in the database, at most 100,000 of each.", ["what"], registry=made
        )
        self._ages = Gauge("vipflow_age_seconds", "How old the oldest of these is.", ["what"], registry=made)
        self._counts: Tally[str] = Tally()
        self._lock = threading.Lock()

    def committed(self, batch: Batch) -> None:
        """A batch of the engine is on disk."""
        for work in batch.works.values():
            for step, _, _ in work.steps:
                self.transitions.labels(step.after.workflow).inc()
                self._count("transitions")
                if step.fired is not None:
                    self.lateness.observe(max(0.0, (batch.now - step.fired.due_at).total_seconds()))

    def ran(self, tick: str, seconds: float, ticked: Ticked) -> None:
        """A tick ended well."""
        self.seconds.labels(tick).observe(seconds)
        self.done.labels(tick).inc(ticked.done)
        self.faults.labels(tick).inc(ticked.faults)
        if tick == "delivery":
            self.mails.labels("sent").inc(ticked.done)
            self.mails.labels("troubled").inc(ticked.faults)
            self._count("mails", ticked.done)

    def failed(self, tick: str) -> None:
        """A tick ended with an error."""
        self.failures.labels(tick).inc()
        self._count("failures")

    def refuse(self, count: int = 1) -> None:
        """Writes that were refused."""
        self.refused.inc(count)
        self._count("refused", count)

    def _count(self, what: str, by: int = 1) -> None:
        with self._lock:  # ticks count in their threads
            self._counts[what] += by

    def counts(self) -> Mapping[str, int]:
        """The handful that `vipflow daemon list` shows."""
        return {name: self._counts[name] for name in ("transitions", "mails", "failures", "refused")}

    def text(self, standing: Mapping[str, int], ages: Mapping[str, float]) -> bytes:
        """Prometheus' text, with what was counted in the database."""
        for what, count in standing.items():
            self._standing.labels(what).set(count)
        for what, age in ages.items():
            self._ages.labels(what).set(age)
        return generate_latest(self.registry)


class Fortunes:
    """How the ticks fare: what begins to go wrong is told once, and so is that it went well again."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.troubled: dict[str, DatabaseUnusable | Busy] = {}
        """Ticks that cannot work with the database at present, and why."""
        self.unusable: dict[str, str] = {}
        """Ticks that cannot write or read a file of theirs, and why: no room, no right."""
        self._since = 0.0
        self._failing: set[str] = set()

    @property
    def lost(self) -> DatabaseUnusable | None:
        """Why the database cannot be worked with; None when it can, or is only busy."""
        return next((fault for fault in self.troubled.values() if isinstance(fault, DatabaseUnusable)), None)

    def ran(self, tick: str, seconds: float, ticked: Ticked) -> None:
        """A tick ended well."""
        self.numbers.ran(tick, seconds, ticked)
        if ticked.done or ticked.faults:
            told = log.warning if ticked.faults else log.info
            told("tick_ran", tick=tick, done=ticked.done, faults=ticked.faults, seconds=round(seconds, 3))
        if self.unusable.pop(tick, None) is not None and not self.unusable:
            log.info("files_usable", tick=tick)
        if tick in self._failing:
            self._failing.discard(tick)
            log.info("tick_recovered", tick=tick)
        if self.troubled.pop(tick, None) is not None and not self.troubled:
            self.numbers.lost.set(0)
            log.info("database_back", after_seconds=round(monotonic() - self._since, 1))

    def failed(self, tick: str, fault: Exception, again_in: float) -> float:
        """A tick raised. Gives the seconds until it is called again."""
        self.numbers.failed(tick)
        if isinstance(fault, WriteRefused):
            self.numbers.refuse()
            log.warning("write_refused", tick=tick, problem=str(fault))
            return 0.0
        if isinstance(fault, (DatabaseUnusable, Busy)):
            if not self.troubled:
                self._since = monotonic()
                told, event = (
                    (log.error, "database_lost")
                    if isinstance(fault, DatabaseUnusable)
                    else (log.warning, "database_busy")
                )
                told(event, tick=tick, problem=str(fault))
                self.numbers.lost.set(isinstance(fault, DatabaseUnusable))
            self.troubled[tick] = fault
            return min(again_in, DATABASE_BACK_OFF)
        unusable = _file_trouble(fault)
        if unusable is not None:
            if not self.unusable:
                log.error("files_unusable", tick=tick, problem=unusable)
            self.unusable[tick] = unusable
            return min(again_in, FILES_BACK_OFF)
        self._failing.add(tick)
        log.error("tick_failed", tick=tick, again_in_seconds=again_in, exc_info=fault)
        return again_in


def _file_trouble(fault: Exception) -> str | None:
    """The sentence to say where it is the machine that does not let a file be written or read."""
    cause = fault.__cause__ if isinstance(fault, VipflowError) else fault
    if not isinstance(cause, OSError) or cause.errno not in _OF_THE_MACHINE:
        return None
    return str(FileUnusable.of(cause)) if cause is fault else str(fault)


_OF_THE_MACHINE = NO_ROOM | {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
