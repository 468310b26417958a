"""How long until an instant comes, by the clock that counts: the database's, this machine's, or a story's."""

from __future__ import annotations

from datetime import datetime, timedelta

from vipflow.clock import ContinuingClock, HostClock
from vipflow.engine import Engine


class Aim:
    """Aims ticks. PostgreSQL's clock may differ from this machine's: `measure` says by how much."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ahead = timedelta()
        """By how much the database's clock is ahead of ours."""

    def until(self, at: datetime) -> float:
        """Seconds of this machine until it is `at`; negative once it is past."""
        clock = self._engine.clock
        if isinstance(clock, ContinuingClock):
            return (at - clock.now()).total_seconds() / clock.speed
        if clock.tells_a_story:
            return float("inf") if at > clock.now() else 0.0
        return (at - clock.now() - self._ahead).total_seconds()

    def measure(self) -> float:
        """Compares the clocks, to half a round trip; the seconds by which the database's is ahead."""
        if self._engine.database.dialect == "postgresql" and not self._engine.clock.tells_a_story:
            host = HostClock()
            with self._engine.database.read() as connection:
                self._engine.read_now(connection)  # the connection is open now, and warm
                before = host.now()
                there = self._engine.read_now(connection)
                self._ahead = there - (before + (host.now() - before) / 2)
        return self._ahead.total_seconds()
