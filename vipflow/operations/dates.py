"""The programme's dates, worked out from the days that somebody types: what `vipflow calendar` answers.

The names are those of tests/vectors/calendar.json.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from vipflow.days import EARLIEST, LATEST, midnight
from vipflow.errors import BadInput, NotFound, did_you_mean
from vipflow.policy import Policy, PolicyBook
from vipflow.vip import calendar


def renewal(book: PolicyBook, policy_name: str, anniversary: date) -> dict[str, Any]:
    """All dates around an anniversary date."""
    policy = in_force(book, policy_name, anniversary)
    dates = calendar.renewal_dates(anniversary, policy)
    return {
        "anniversary": anniversary,
        "policy": policy.name,
        **{name: getattr(dates, name) for name in dates.__struct_fields__},
    }


def authorization(book: PolicyBook, policy_name: str, created: str, zone_name: str) -> dict[str, Any]:
    """The dates of an authorization; of a day alone its beginning in the zone counts."""
    where = zone(zone_name)
    instant = _instant(created, where)
    policy = in_force(book, policy_name, instant.astimezone(where).date())
    dates = calendar.authorization_dates(instant, policy, where)
    return {
        "created": created,
        "policy": policy.name,
        "zone": zone_name,
        **{name: getattr(dates, name) for name in dates.__struct_fields__},
    }


def seats(book: PolicyBook, policy_name: str, anniversary: date, added: date) -> dict[str, Any]:
    """How long a licence added on a day lasts: in days, or in months counted both ways."""
    if added >= anniversary:
        raise BadInput("--added", f"{added} is not before the anniversary {anniversary}", "give a day of the term")
    policy = in_force(book, policy_name, added)
    duration = calendar.seat_duration(anniversary, anniversary.day, added, policy)
    in_months = duration.unit == "months"
    return {
        "anniversary": anniversary,
        "added": added,
        "policy": policy.name,
        "amount": duration.amount,
        "unit": duration.unit,
        "months_next": calendar.seat_months(anniversary, added, "next", anniversary.day) if in_months else None,
        "months_current": calendar.seat_months(anniversary, added, "current", anniversary.day) if in_months else None,
        "days": None if in_months else duration.amount,
    }


def first_anniversary(
    book: PolicyBook, policy_name: str, order: date, first_authorization: date | None
) -> dict[str, Any]:
    """The first anniversary date that an accepted order leads to, and three more."""
    policy = in_force(book, policy_name, order)
    started = calendar.term_start(order, first_authorization, policy) or order
    first = calendar.add_months(started, policy.first_term_months)
    following = [first]
    for _ in range(3):
        following.append(calendar.next_anniversary(following[-1], started.day))
    return {
        "first_order": order,
        "first_authorization": first_authorization,
        "policy": policy.name,
        "anniversary": first,
        "following": following[1:],
    }


def in_force(book: PolicyBook, name: str, on: date) -> Policy:
    """The policy of that name on that day; NotFound names those there are."""
    if name not in book.names:
        raise NotFound("policy", name, f"there are {', '.join(book.names)}{did_you_mean(name, book.names)}")
    return book.in_force(name, on)


def day(option: str, given: str) -> date:
    """A day as typed; BadInput names the option."""
    found = _day(option, given)
    if not EARLIEST <= found <= LATEST:
        raise BadInput(option, f"{given} is no day of a membership", f"give one from {EARLIEST} to {LATEST}")
    return found


def _day(option: str, given: str) -> date:
    try:
        if len(given) != len("2024-03-01"):
            raise ValueError(given)
        return date.fromisoformat(given)
    except ValueError:
        raise BadInput(option, f"{given!r} is no day of the calendar", "write it as 2024-03-01") from None


def zone(name: str) -> ZoneInfo:
    """A time zone by its name; BadInput for one that nobody knows."""
    known = available_timezones()
    if name not in known:
        raise BadInput("the time zone", f"there is no {name!r}{did_you_mean(name, known)}", "write e.g. Europe/Paris")
    return ZoneInfo(name)


def _instant(given: str, where: ZoneInfo) -> datetime:
    if len(given) == len("2024-03-01"):
        return midnight(day("--created", given), where)
    try:
        instant = datetime.fromisoformat(given)
    except ValueError:
        raise BadInput(
            "--created", f"{given!r} is neither a day nor an instant", "write 2024-03-01 or 2024-03-01T23:30:00Z"
        ) from None
    if not EARLIEST <= instant.date() <= LATEST:
        raise BadInput("--created", f"{given} is no day of a membership", f"give one from {EARLIEST} to {LATEST}")
    return instant.replace(tzinfo=where) if instant.tzinfo is None else instant
