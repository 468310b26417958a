"""Calendar days in a time zone: when a day begins there, and which day an instant falls on."""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

EARLIEST, LATEST = date(1990, 1, 1), date(2999, 12, 31)
"""Ours: far beyond what any record is about, and every rule can still count from there."""


def local_day(instant: datetime, zone: tzinfo) -> date:
    """The calendar day it is in `zone` at `instant` (aware).

    >>> from zoneinfo import ZoneInfo
    >>> str(local_day(datetime(2024, 3, 1, 23, 30, tzinfo=UTC), ZoneInfo("Europe/Paris")))
    '2024-03-02'
    """
    return _aware(instant).astimezone(zone).date()


@lru_cache(maxsize=65536)
def midnight(day: date, zone: tzinfo) -> datetime:
    """The instant (UTC) from which it is `day` or later in `zone`, for good: where timers of that day fall due.

    Where the clock jumps over midnight, the day begins with the jump; where it goes back across midnight, the day
    begins when it comes the second time, so that nothing is early. A day the zone never had begins with the next.

    >>> from zoneinfo import ZoneInfo
    >>> midnight(date(2024, 3, 17), ZoneInfo("Europe/Paris")).isoformat()
    '2024-03-16T23:00:00+00:00'
    >>> midnight(date(2018, 11, 4), ZoneInfo("America/Sao_Paulo")).isoformat()  # from 00:00 the clock jumped to 01:00
    '2018-11-04T03:00:00+00:00'
    """
    return instant_at(day, time.min, zone)


def wall_clock(instant: datetime, zone: tzinfo) -> datetime:
    """What the clock on the wall shows in `zone`, without zone."""
    return _aware(instant).astimezone(zone).replace(tzinfo=None)


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone; vipflow's instants are aware")
    return instant


def instant_at(day: date, clock: time, zone: tzinfo) -> datetime:
    """The instant (UTC) at which the wall clock in `zone` reaches `clock` on `day`, or jumps past it."""
    target = datetime.combine(day, clock)
    first = target.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = target.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return first
    if first < second:
        # The clock shows this time twice. If it went back as far as the day before, only the second time lasts.
        went_back_a_day = local_day(second - timedelta(microseconds=1), zone) < day
        return second if went_back_a_day else first
    # The clock never shows this time: it jumped over it somewhere after `second` and no later than `first`.
    seconds = range(int((first - second).total_seconds()))
    jump = bisect_left(seconds, True, key=lambda after: wall_clock(second + timedelta(seconds=after), zone) >= target)
    return second + timedelta(seconds=jump)
