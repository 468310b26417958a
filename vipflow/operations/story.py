"""Whose clock counts: the host's, or that of a story which stands still or goes on from where it was left.

Where a story stands is kept in the database, so that commands and the daemon agree: while a daemon runs it goes on,
when the daemon has stopped it stands.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from vipflow.clock import Clock, ContinuingClock, HostClock, StillClock
from vipflow.config import ClockSettings
from vipflow.store.database import Database
from vipflow.store.meta import get_meta, set_meta

_ORIGIN = "clock_origin"


class Origin(msgspec.Struct, frozen=True):
    """That it was `story_at` in the story when it was `host_at` here; `speed` 0: it stands."""

    story_at: datetime
    host_at: datetime
    speed: float


def clock_of(settings: ClockSettings, database: Database) -> Clock:
    """The clock that these settings ask for."""
    if settings.continues_from is not None:
        return _clock(_kept(database), settings.continues_from)
    return HostClock() if settings.stands_at is None else StillClock(settings.stands_at)


def go_on(settings: ClockSettings, database: Database) -> None:
    """Lets a story go on from where it stands: the first time from `continues_from`, and never backwards. Nothing where
    the settings name none.
    """
    if settings.continues_from is not None:
        story_at = max(_clock(_kept(database), settings.continues_from).now(), settings.continues_from)
        _keep(database, Origin(story_at, HostClock().now(), settings.speed))


def stand(clock: Clock, database: Database) -> None:
    """Lets a story stand where it is, until it goes on."""
    if isinstance(clock, ContinuingClock):
        _keep(database, Origin(clock.now(), HostClock().now(), 0))


def _clock(origin: Origin | None, continues_from: datetime) -> Clock:
    if origin is None:
        return StillClock(continues_from)
    if origin.speed == 0:
        return StillClock(origin.story_at)
    return ContinuingClock(origin.story_at, origin.host_at, origin.speed)


def _kept(database: Database) -> Origin | None:
    with database.read() as connection:
        kept = get_meta(connection, _ORIGIN)
    return None if kept is None else msgspec.json.decode(kept, type=Origin)


def _keep(database: Database, origin: Origin) -> None:
    with database.write() as connection:
        set_meta(connection, _ORIGIN, msgspec.json.encode(origin).decode())
