"""What holds of the calendar on every day, in every zone, under every shipped policy."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vipflow.days import local_day, midnight
from vipflow.policy import Policy
from vipflow.vip.calendar import (
    add_months,
    adobe_mail_days,
    authorization_dates,
    authorization_dates_due_on,
    custom_anniversary_bounds,
    discount_level,
    first_anniversary,
    invitation_expires_from,
    middle_of_window,
    next_anniversary,
    next_office_instant,
    remaining_after_return,
    renewal_dates,
    return_until,
    seat_days,
    seat_duration,
    seat_months,
    term_start,
)
from vipflow.vip.numbers import load_policies

BOOK = load_policies()
VIP_2019, VIP_2024, MARKETPLACE = (
    BOOK.in_force(name, date(2024, 3, 1)) for name in ("vip-2019", "vip-2024", "vip-marketplace")
)
PARIS = ZoneInfo("Europe/Paris")
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)

# Zones whose clocks jump over midnight or back across it, skip whole days, or change by half hours.
ODD_ZONES = [
    "Africa/Cairo",
    "America/Asuncion",
    "America/Havana",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Toronto",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Paris",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "UTC",
]
zones = st.sampled_from(ODD_ZONES).map(ZoneInfo)
days = st.dates(date(1910, 1, 1), date(2100, 1, 1))
instants = st.datetimes(
    datetime.fromisoformat("1910-01-01"), datetime.fromisoformat("2100-01-01"), timezones=st.just(UTC)
)
policies = st.sampled_from([VIP_2019, VIP_2024, MARKETPLACE])


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Days and instants


@given(day=days, zone=zones)
@example(day=date(2011, 12, 30), zone=ZoneInfo("Pacific/Apia"))
@example(day=date(2006, 10, 29), zone=ZoneInfo("America/St_Johns"))
@example(day=date(1919, 3, 31), zone=ZoneInfo("America/Toronto"))
def test_a_day_begins_at_midnight_and_never_a_moment_early(day: date, zone: ZoneInfo) -> None:
    start = midnight(day, zone)

    assert start.tzinfo is UTC
    assert local_day(start, zone) >= day
    assert local_day(start - SECOND, zone) < day


@given(instant=instants, zone=zones)
def test_a_moment_lies_between_its_day_s_midnight_and_the_next(instant: datetime, zone: ZoneInfo) -> None:
    day = local_day(instant, zone)

    assert instant < midnight(day + DAY, zone)
    # Where a clock went back across midnight, an hour of the later day came before that day had begun for good.
    assert midnight(day, zone) <= instant or midnight(day, zone) - instant <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("day", "zone", "start"),
    [
        (date(2024, 3, 31), "Europe/Paris", "2024-03-30T23:00"),  # summer time begins that night, at 02:00
        (date(2024, 4, 1), "Europe/Paris", "2024-03-31T22:00"),
        (date(2018, 11, 4), "America/Sao_Paulo", "2018-11-04T03:00"),  # 00:00 jumps to 01:00
        (date(1919, 3, 31), "America/Toronto", "1919-03-31T04:30"),  # 23:30 jumps to 00:30
        (date(2006, 10, 29), "America/St_Johns", "2006-10-29T03:30"),  # 00:01 goes back to 23:01: the second midnight
        (date(2024, 10, 27), "Atlantic/Azores", "2024-10-27T00:00"),  # 01:00 goes back to 00:00: the first one
        (date(2011, 12, 30), "Pacific/Apia", "2011-12-30T10:00"),  # a day that never was begins with the next
        (date(2011, 12, 31), "Pacific/Apia", "2011-12-30T10:00"),
    ],
)
def test_a_day_begins_where_the_clock_says_so(day: date, zone: str, start: str) -> None:
    assert midnight(day, ZoneInfo(zone)) == utc(start)


def test_a_moment_without_a_zone_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        local_day(datetime.fromisoformat("2024-03-01T12:00"), PARIS)


# Months and anniversaries


@given(day=days, months=st.integers(-600, 600), anchor=st.integers(1, 31))
def test_months_land_on_the_anchor_day_or_on_the_last_of_a_shorter_month(day: date, months: int, anchor: int) -> None:
    later = add_months(day, months, anchor)

    assert (later.year - day.year) * 12 + later.month - day.month == months
    assert later.day == anchor or (later.day < anchor and (later + DAY).day == 1)


@given(start=days, steps=st.lists(st.integers(1, 24), max_size=6))
def test_the_anchor_makes_many_steps_equal_to_one(start: date, steps: list[int]) -> None:
    day = start
    for months in steps:
        day = add_months(day, months, start.day)

    assert day == add_months(start, sum(steps))


def test_a_membership_of_29_february_comes_back_to_it_in_leap_years() -> None:
    anniversary, seen = date(2025, 2, 28), []
    for _ in range(3):
        anniversary = next_anniversary(anniversary, anchor_day=29)
        seen.append(anniversary)

    assert seen == [date(2026, 2, 28), date(2027, 2, 28), date(2028, 2, 29)]


def test_only_vip_2019_counts_the_first_term_from_the_authorization() -> None:
    authorized, ordered = date(2024, 1, 10), date(2024, 1, 31)

    assert first_anniversary(ordered, authorized, VIP_2019) == date(2025, 1, 10)
    assert first_anniversary(ordered, authorized, VIP_2024) == date(2025, 1, 31)
    assert term_start(ordered, authorized, VIP_2019) == authorized


def test_in_vip_2019_an_order_before_the_first_authorization_starts_the_term() -> None:
    assert first_anniversary(date(2024, 1, 10), date(2024, 1, 31), VIP_2019) == date(2025, 1, 10)


def test_before_anything_started_the_term_there_is_no_anniversary() -> None:
    assert first_anniversary(None, None, VIP_2019) is None
    assert first_anniversary(None, date(2024, 1, 10), VIP_2024) is None
    assert first_anniversary(None, date(2024, 1, 10), VIP_2019) == date(2025, 1, 10)


def test_a_custom_anniversary_lies_more_than_a_year_away_and_within_the_longest_term() -> None:
    invited = date(2024, 2, 29)

    assert custom_anniversary_bounds(invited, "commercial", VIP_2024) == (date(2025, 3, 1), date(2027, 2, 28))
    assert custom_anniversary_bounds(invited, "government", VIP_2024) == (date(2025, 3, 1), date(2028, 2, 29))
    assert custom_anniversary_bounds(invited, "education", VIP_2024).latest == date(2028, 2, 29)


# Authorizations


@given(created=instants, zone=zones, policy=st.sampled_from([VIP_2019, VIP_2024]))
def test_an_authorization_is_due_then_late_then_suspended(created: datetime, zone: ZoneInfo, policy: Policy) -> None:
    dates = authorization_dates(created, policy, zone)

    assert dates.due_on
    assert dates.late_from
    assert dates.late_at
    assert dates.suspended_from
    assert dates.due_on < dates.late_from < dates.suspended_from
    assert created < dates.late_at
    assert local_day(dates.late_at - SECOND, zone) <= dates.due_on, "late on a day that was still in"
    assert dates.expires_at is None


@given(created=instants, zone=zones)
def test_a_marketplace_authorization_lives_seven_days_to_the_second(created: datetime, zone: ZoneInfo) -> None:
    dates = authorization_dates(created.astimezone(zone), MARKETPLACE, zone)

    assert dates.expires_at == created + timedelta(hours=168)
    assert (dates.due_on, dates.late_from, dates.late_at, dates.suspended_from) == (None,) * 4


def test_an_extension_by_adobe_moves_all_that_hangs_on_the_due_day() -> None:
    dates = authorization_dates_due_on(date(2024, 3, 30), VIP_2024, PARIS)

    assert dates.late_from == date(2024, 3, 31)
    assert dates.late_at == utc("2024-03-30T23:00")
    assert dates.suspended_from == date(2024, 4, 15)


def test_without_a_deactivation_number_the_clock_deactivates_nothing() -> None:
    policy = BOOK.in_force("vip-2024", date(2024, 3, 1), {"deactivation_after_due_days": None})

    assert authorization_dates(utc("2024-03-01T12:00"), policy, PARIS).suspended_from is None


# Renewal, returns, invitations


@given(anniversary=days, policy=policies)
def test_a_renewal_comes_up_opens_and_closes_in_this_order(anniversary: date, policy: Policy) -> None:
    dates = renewal_dates(anniversary, policy)

    assert dates.comes_up == dates.upcoming_from < dates.upcoming_from_strict < dates.window_opens
    assert dates.look_back < dates.window_opens < dates.term_ends < anniversary <= dates.window_closes
    assert dates.closed_from == dates.window_closes + DAY
    assert dates.window_opens < middle_of_window(dates) < dates.window_closes


def test_the_strict_count_of_the_english_text_comes_up_a_day_later() -> None:
    strict = BOOK.in_force("vip-2024", date(2024, 3, 1), {"upcoming_strict": True})

    assert renewal_dates(date(2025, 1, 16), strict).comes_up == date(2024, 10, 19)


def test_the_middle_of_the_window_depends_on_when_it_closes() -> None:
    assert middle_of_window(renewal_dates(date(2025, 1, 16), VIP_2024)) == date(2025, 1, 1)
    assert middle_of_window(renewal_dates(date(2025, 1, 16), VIP_2019)) == date(2025, 1, 16)


def test_adobe_mails_on_the_day_the_window_opens_and_on_the_anniversary() -> None:
    assert adobe_mail_days(date(2025, 1, 16), VIP_2024) == {date(2024, 12, 17), date(2025, 1, 16)}


def test_a_return_is_possible_through_the_fourteenth_day_where_the_reseller_is() -> None:
    assert return_until(utc("2024-03-01T23:30"), VIP_2024, PARIS) == date(2024, 3, 16)


def test_an_invitation_waits_for_ever_unless_the_policy_gives_it_a_life() -> None:
    sent = utc("2024-03-01T12:00")
    thirty_days = BOOK.in_force("vip-2024", date(2024, 3, 1), {"invitation_life_days": 30})

    assert invitation_expires_from(sent, VIP_2024, PARIS) is None
    assert invitation_expires_from(sent, thirty_days, PARIS) == date(2024, 4, 1)


def test_a_return_of_nothing_is_refused() -> None:
    assert remaining_after_return(70, 0) is None
    assert remaining_after_return(70, -5) is None
    assert remaining_after_return(70, 70) == 0


# Seats and discounts


@given(anniversary=days, anchor=st.integers(1, 31), back=st.integers(1, 1400))
def test_the_current_month_counts_one_more_unless_nothing_of_it_is_over(
    anniversary: date, anchor: int, back: int
) -> None:
    anniversary = add_months(anniversary, 0, anchor)
    added = anniversary - timedelta(days=back)
    free = seat_months(anniversary, added, "next", anchor)
    counted = seat_months(anniversary, added, "current", anchor)

    assert 1 <= free <= counted <= free + 1
    assert add_months(anniversary, -counted, anchor) <= added, "the counted months reach back over the day"
    on_the_anchor = add_months(anniversary, -counted, anchor) == added
    assert on_the_anchor == (add_months(anniversary, -free, anchor) == added)
    if free > 1:
        assert add_months(anniversary, -free, anchor) >= added


@given(anniversary=days, months=st.integers(1, 48), anchor=st.integers(1, 31))
def test_a_seat_added_on_the_monthly_day_counts_the_month_that_begins(
    anniversary: date, months: int, anchor: int
) -> None:
    anniversary = add_months(anniversary, 0, anchor)
    added = add_months(anniversary, -months, anchor)

    assert seat_months(anniversary, added, "next", anchor) == months
    assert seat_months(anniversary, added, "current", anchor) == months


def test_a_seat_lasts_at_least_one_month_or_day() -> None:
    assert seat_months(date(2025, 1, 15), date(2025, 1, 10), "next") == 1
    assert seat_days(date(2025, 1, 15), date(2025, 1, 15)) == 1


def test_the_policy_chooses_the_unit_of_a_seat_s_duration() -> None:
    months = seat_duration(date(2025, 4, 1), 1, date(2024, 12, 10), VIP_2024)
    in_days = seat_duration(date(2025, 4, 1), 1, date(2024, 12, 10), MARKETPLACE)

    assert (months.amount, months.unit, in_days.amount, in_days.unit) == (3, "months", 112, "days")


def test_the_level_tells_its_percent() -> None:
    assert [discount_level(licences, VIP_2024) for licences in (0, 10, 50, 1000)] == [(1, 0), (2, 5), (3, 10), (4, 15)]


# Office hours


@given(instant=instants, zone=zones, ahead=st.sets(st.integers(0, 10)))
@example(instant=utc("2011-12-30T09:00"), zone=ZoneInfo("Pacific/Apia"), ahead=set())
def test_mails_leave_in_office_hours_as_soon_as_there_are_any(
    instant: datetime, zone: ZoneInfo, ahead: set[int]
) -> None:
    avoid = {local_day(instant, zone) + timedelta(days=days) for days in ahead}
    leaves = next_office_instant(instant, VIP_2024, zone, avoid)

    there = leaves.astimezone(zone)
    assert leaves >= instant
    assert time(8) <= there.time() < time(19)
    assert there.isoweekday() <= 5
    assert there.date() not in avoid
    assert next_office_instant(leaves, VIP_2024, zone, avoid) == leaves, "asked again, it is the same instant"
    if leaves > instant:
        assert there.time() == time(8), "it waits for the office to open, not longer"


@pytest.mark.parametrize(
    ("instant", "leaves"),
    [
        ("2024-03-01T06:59:59", "2024-03-01T07:00"),  # Friday, a second before 08:00 in Paris
        ("2024-03-01T07:00", "2024-03-01T07:00"),
        ("2024-03-01T17:59:59", "2024-03-01T17:59:59"),
        ("2024-03-01T18:00", "2024-03-04T07:00"),  # 19:00 is out: Monday
        ("2024-03-30T12:00", "2024-04-01T06:00"),  # Saturday; on Monday it is summer time
    ],
)
def test_the_office_opens_at_eight_and_is_closed_at_seven(instant: str, leaves: str) -> None:
    assert next_office_instant(utc(instant), VIP_2024, PARIS) == utc(leaves)


def test_our_mail_gives_way_on_a_day_when_adobe_writes() -> None:
    anniversary = date(2025, 1, 16)  # a Thursday
    avoid = adobe_mail_days(anniversary, VIP_2024)

    assert next_office_instant(utc("2025-01-16T10:00"), VIP_2024, PARIS, avoid) == utc("2025-01-17T07:00")
