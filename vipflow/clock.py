"""The one place that reads a clock. Everything below the shells is handed `now`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Whose time counts: the host's, or a story's."""

    tells_a_story: bool

    def now(self) -> datetime:
        """The present instant (aware, UTC)."""


class HostClock:
    """The clock of this machine."""

    tells_a_story = False

    def now(self) -> datetime:
        return datetime.now(UTC)


class StillClock:
    """A clock that stands until somebody moves it: of tests, simulations and the demo. It never goes backwards."""

    tells_a_story = True

    def __init__(self, at: datetime) -> None:
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        return self._at

    def move_to(self, at: datetime) -> None:
        """Later instants only; ValueError otherwise."""
        if at < self._at:
            raise ValueError(f"the clock stands at {self._at.isoformat()} and cannot go back to {at.isoformat()}")
        self._at = at.astimezone(UTC)


class ContinuingClock:
    """A story's clock that goes on by itself, perhaps faster than real time: from `story_at` on, since it was
    `host_at` on this machine. It never goes backwards.
    """

    tells_a_story = True

    def __init__(self, story_at: datetime, host_at: datetime, speed: float) -> None:
        self.story_at = story_at.astimezone(UTC)
        self.host_at = host_at
        self.speed = speed
        self._latest = self.story_at

    def now(self) -> datetime:
        # Of two threads one may write the earlier instant: by some microseconds, and the next look mends it.
        self._latest = max(self._latest, self.story_at + (datetime.now(UTC) - self.host_at) * self.speed)
        return self._latest
