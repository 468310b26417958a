"""The dates of VIP memberships: pure functions of business dates, a pinned policy and the reseller's time zone.

Days are calendar days in that zone; a "first day" begins at its midnight there. Nothing here is early: what follows a
day that is still in begins with the day after. Sources: [seed], [adobe], [ours], as in `vipflow.vip.numbers`.
"""

from calendar import monthrange
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

from vipflow.days import instant_at, local_day, midnight
from vipflow.policy import Policy
from vipflow.vip.numbers import SeatPartMonth, Segment

ONE_DAY = timedelta(days=1)


# Months and anniversaries


def add_months(day: date, months: int, anchor_day: int | None = None) -> date:
    """The day `months` later (earlier where negative), on `anchor_day` or the last day of a shorter month. [ours]

    `anchor_day` is the day of the month first meant (default: that of `day`); it comes back in longer months.

    >>> str(add_months(date(2024, 1, 31), 1)), str(add_months(date(2024, 2, 29), 1, anchor_day=31))
    ('2024-02-29', '2024-03-31')
    """
    years, month0 = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month0 + 1
    return date(year, month, min(anchor_day or day.day, monthrange(year, month)[1]))


def next_anniversary(anniversary: date, anchor_day: int) -> date:
    """The anniversary date after this one: yearly [adobe], on the anchor day where the month has it [ours].

    >>> str(next_anniversary(date(2027, 2, 28), anchor_day=29))
    '2028-02-29'
    """
    return add_months(anniversary, 12, anchor_day)


def term_start(first_order: date | None, first_authorization: date | None, policy: Policy) -> date | None:
    """The day that started the first term, whose day of the month is the anchor; None while nothing has. [adobe]

    `first_order` is the day Adobe accepted the first order, `first_authorization` the day of the first authorization
    unless that one was cancelled; the policy says whether it counts. A purchase after the membership expired starts a
    new term in the same way, from its acceptance alone.
    """
    candidates = [first_order]
    if policy.first_anniversary_from == "authorization_or_order":
        candidates.append(first_authorization)
    return min((day for day in candidates if day is not None), default=None)


def first_anniversary(first_order: date | None, first_authorization: date | None, policy: Policy) -> date | None:
    """The first anniversary date, or None while nothing has started the term (see `term_start`). [adobe]"""
    started = term_start(first_order, first_authorization, policy)
    return None if started is None else add_months(started, policy.first_term_months)


class AnniversaryBounds(NamedTuple):
    """The first and the last day that may be chosen as a custom anniversary date."""

    earliest: date
    latest: date


def custom_anniversary_bounds(invited_on: date, segment: Segment, policy: Policy) -> AnniversaryBounds:
    """Which anniversary dates may be chosen at invitation: over 12 months after [seed], the longest term [adobe]."""
    return AnniversaryBounds(
        earliest=add_months(invited_on, policy.first_term_months) + ONE_DAY,
        latest=add_months(invited_on, policy.longest_first_term_months[segment]),
    )


# Purchase authorizations


class AuthorizationDates(msgspec.Struct, frozen=True):
    """What happens when to an authorization that nobody orders; None where the policy has no such step."""

    due_on: date | None = None
    """Last day for the order. [adobe]"""
    late_from: date | None = None
    """First late day…"""
    late_at: datetime | None = None
    """… and the instant (UTC) it begins."""
    suspended_from: date | None = None
    """First day without the licences. [adobe] for vip-2019, [ours] for vip-2024."""
    expires_at: datetime | None = None
    """When it lapses (UTC), to the second. [adobe] for vip-marketplace."""


def authorization_dates(created: datetime, policy: Policy, zone: tzinfo) -> AuthorizationDates:
    """The dates of an authorization created at `created` (aware)."""
    due_days: int | None = policy.order_due_days
    life: int | None = policy.authorization_expires_days
    due_on = None if due_days is None else local_day(created, zone) + timedelta(days=due_days)
    # A life counts in hours: seven days are 168 h, also across a change of the clock.
    expires_at = None if life is None else created.astimezone(UTC) + timedelta(days=life)
    return msgspec.structs.replace(authorization_dates_due_on(due_on, policy, zone), expires_at=expires_at)


def authorization_dates_due_on(due_on: date | None, policy: Policy, zone: tzinfo) -> AuthorizationDates:
    """The dates that hang on a due day: what an extension granted by Adobe leads to. [adobe]"""
    if due_on is None:
        return AuthorizationDates()
    deactivation: int | None = policy.deactivation_after_due_days
    late_from = due_on + ONE_DAY
    return AuthorizationDates(
        due_on=due_on,
        late_from=late_from,
        late_at=midnight(late_from, zone),
        suspended_from=None if deactivation is None else due_on + timedelta(days=deactivation),
    )


# Renewal


class RenewalDates(msgspec.Struct, frozen=True):
    """The dates around one anniversary date."""

    window_opens: date
    """First day on which renewal orders may be placed. [adobe]"""
    window_closes: date
    """Last one, still in. [adobe]"""
    closed_from: date
    """First day without: what was not renewed ends."""
    look_back: date
    """The day whose licences decide the next term's discount level. [adobe]"""
    term_ends: date
    """Last day of the running term."""
    upcoming_from: date
    """First day in "upcoming renewals", as the seed counts it: inclusive. [seed]"""
    upcoming_from_strict: date
    """The same as the English text counts it: "fewer than". [seed]"""
    comes_up: date
    """Whichever of the two the policy chose: the one to set timers by."""


def renewal_dates(anniversary: date, policy: Policy) -> RenewalDates:
    """All dates that hang on an anniversary date."""
    window_opens = anniversary - timedelta(days=policy.window_opens_before_days)
    window_closes = anniversary + timedelta(days=policy.window_closes_after_days)
    upcoming_from = window_opens - timedelta(days=policy.upcoming_before_days)
    upcoming_from_strict = upcoming_from + ONE_DAY
    return RenewalDates(
        window_opens=window_opens,
        window_closes=window_closes,
        closed_from=window_closes + ONE_DAY,
        look_back=anniversary - timedelta(days=policy.discount_look_back_days),
        term_ends=anniversary - ONE_DAY,
        upcoming_from=upcoming_from,
        upcoming_from_strict=upcoming_from_strict,
        comes_up=upcoming_from_strict if policy.upcoming_strict else upcoming_from,
    )


def middle_of_window(dates: RenewalDates) -> date:
    """The day in the middle of the renewal window, the earlier of two. [ours]"""
    return dates.window_opens + (dates.window_closes - dates.window_opens) // 2


def adobe_mail_days(anniversary: date, policy: Policy) -> frozenset[date]:
    """The days on which Adobe itself mails the customer [adobe]: our mails of such a day move to the next [ours]."""
    return frozenset(anniversary - timedelta(days=days) for days in policy.adobe_mails_before_anniversary_days)


# Returns and invitations


def return_until(accepted: datetime, policy: Policy, zone: tzinfo) -> date:
    """Last day on which what Adobe accepted at `accepted` (aware) may be returned. [adobe]"""
    return local_day(accepted, zone) + timedelta(days=policy.return_days)


def remaining_after_return(remaining: int, requested: int) -> int | None:
    """What remains of a quantity after a return, or None where the request takes more than there is. [adobe]

    >>> remaining_after_return(70, 10), remaining_after_return(55, 60)
    (60, None)
    """
    return remaining - requested if 1 <= requested <= remaining else None


def invitation_expires_from(sent: datetime, policy: Policy, zone: tzinfo) -> date | None:
    """First day on which an invitation sent at `sent` (aware) is no longer open; None where it has no end. [ours]"""
    life: int | None = policy.invitation_life_days
    return None if life is None else local_day(sent, zone) + timedelta(days=life + 1)


# Seats and discounts


class SeatDuration(msgspec.Struct, frozen=True):
    """How long a licence added during a term lasts, in the unit that the policy counts in."""

    amount: int
    unit: Literal["months", "days"]


def seat_duration(anniversary: date, anchor_day: int, added: date, policy: Policy) -> SeatDuration:
    """What is paid for a licence `added` in the term that ends with `anniversary`. [adobe]"""
    if policy.seat_duration_unit == "days":
        return SeatDuration(seat_days(anniversary, added), "days")
    return SeatDuration(seat_months(anniversary, added, policy.seat_part_month, anchor_day), "months")


def seat_months(anniversary: date, added: date, part_month: SeatPartMonth, anchor_day: int | None = None) -> int:
    """Whole months from `added` to `anniversary`, counted on its anchor day; at least 1. [adobe]

    A month begun before `added` is free (`"next"`) or counted (`"current"`). [ours]

    >>> [seat_months(date(2019, 1, 15), date(2018, 6, 20), part_month) for part_month in ("next", "current")]
    [6, 7]
    """
    anchor = anchor_day or anniversary.day
    months = (anniversary.year - added.year) * 12 + anniversary.month - added.month
    monthly_day = add_months(anniversary, -months, anchor)  # the one in the month of `added`
    if monthly_day < added:
        months -= 1
    if part_month == "current" and monthly_day != added:
        months += 1
    return max(months, 1)


def seat_days(anniversary: date, added: date) -> int:
    """Days from `added`, itself counted, to the end of the term; at least 1. [adobe] for vip-marketplace"""
    return max((anniversary - added).days, 1)


class DiscountLevel(NamedTuple):
    """A level and its percent."""

    level: int
    percent: int


def discount_level(licences: int, policy: Policy) -> DiscountLevel:
    """The level that so many licences reach, consumables not counted; without any, the first. [adobe]"""
    reached = [row for row in policy.discount_levels if row[0] <= max(licences, 1)]
    _, level, percent = reached[-1]
    return DiscountLevel(level, percent)


# Office hours


def next_office_instant(
    instant: datetime, policy: Policy, zone: tzinfo, avoid: Collection[date] = frozenset()
) -> datetime:
    """The first instant (UTC) at or after `instant` (aware) at which mails to customers may leave. [ours]

    That is within the policy's office hours on one of its office days in `zone`, and on none of the days `avoid`.

    >>> from zoneinfo import ZoneInfo
    >>> from vipflow.vip.numbers import load_policies
    >>> vip = load_policies().in_force("vip-2024", date(2024, 3, 1))
    >>> friday_evening = datetime(2024, 3, 1, 18, 0, tzinfo=UTC)  # 19:00 in Paris
    >>> next_office_instant(friday_evening, vip, ZoneInfo("Europe/Paris")).isoformat()
    '2024-03-04T07:00:00+00:00'
    """
    return _next_office_instant(instant.astimezone(UTC), policy, zone, frozenset(avoid))


def next_office_opening(instant: datetime, policy: Policy, zone: tzinfo) -> datetime:
    """When an office day begins (UTC) at or after `instant` (aware): when a daily mail leaves. [ours]

    >>> from zoneinfo import ZoneInfo
    >>> from vipflow.vip.numbers import load_policies
    >>> vip = load_policies().in_force("vip-2024", date(2024, 3, 1))
    >>> friday_noon = datetime(2024, 3, 1, 11, 0, tzinfo=UTC)
    >>> next_office_opening(friday_noon, vip, ZoneInfo("Europe/Paris")).isoformat()
    '2024-03-04T07:00:00+00:00'
    """
    instant = instant.astimezone(UTC)
    begins = _next_office_instant(instant, policy, zone, frozenset())
    if begins > instant or begins == _opening_of(begins, policy, zone):
        return begins
    tomorrow = midnight(local_day(instant, zone) + ONE_DAY, zone)
    return _next_office_instant(tomorrow, policy, zone, frozenset())


def _opening_of(instant: datetime, policy: Policy, zone: tzinfo) -> datetime:
    return instant_at(local_day(instant, zone), time.fromisoformat(policy.office_opens), zone)


@lru_cache(maxsize=4096)  # all mails of a batch ask the same
def _next_office_instant(instant: datetime, policy: Policy, zone: tzinfo, avoid: frozenset[date]) -> datetime:
    opening, closing = time.fromisoformat(policy.office_opens), time.fromisoformat(policy.office_closes)
    day = local_day(instant, zone)
    while True:
        if day.isoweekday() in policy.office_days and day not in avoid:
            opens, closes = instant_at(day, opening, zone), instant_at(day, closing, zone)
            # Of a day that the zone skipped both fall on the same instant: no office then.
            if opens < closes and instant < closes:
                return max(instant, opens)
        day += ONE_DAY
