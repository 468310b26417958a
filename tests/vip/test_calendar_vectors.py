"""Every dated example of tests/vectors/calendar.json holds; an entry or a field that nobody checks is an error."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from vipflow.policy import Policy
from vipflow.vip.calendar import (
    authorization_dates,
    discount_level,
    first_anniversary,
    next_anniversary,
    remaining_after_return,
    renewal_dates,
    seat_duration,
    seat_months,
)
from vipflow.vip.numbers import DEFAULT_POLICY, load_policies

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "calendar.json").read_text(encoding="utf-8"))
BOOK = load_policies()
PARIS = ZoneInfo("Europe/Paris")


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    policy: str | None = None
    source: str = ""

    def in_force(self, on: date) -> list[Policy]:
        """The policy of the entry; all shipped ones where it names none, for then it holds under each."""
        return [BOOK.in_force(name, on) for name in ([self.policy] if self.policy else BOOK.names)]


class Renewal(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    anniversary: date
    window_opens: date
    window_closes: date
    look_back: date
    term_ends: date
    upcoming_from: date
    upcoming_from_strict: date

    def check(self) -> None:
        for policy in self.in_force(self.anniversary):
            dates = renewal_dates(self.anniversary, policy)
            for field in set(self.__struct_fields__) - {"anniversary", "policy", "source"}:
                assert getattr(dates, field) == getattr(self, field), field


class FirstAnniversary(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    first_order: date
    anniversary: date
    following: tuple[date, ...] = ()

    def check(self) -> None:
        for policy in self.in_force(self.first_order):
            anniversary = first_anniversary(self.first_order, None, policy)
            assert anniversary == self.anniversary
            for expected in self.following:
                anniversary = next_anniversary(anniversary, self.first_order.day)
                assert anniversary == expected


class PurchaseAuthorization(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    created: str
    zone: str = PARIS.key
    due_on: date | None = None
    late_from: date | None = None
    late_at: datetime | None = None
    suspended_from: date | None = None
    expires_at: datetime | None = None

    def check(self) -> None:
        zone = ZoneInfo(self.zone)
        created = datetime.fromisoformat(self.created)
        if created.tzinfo is None:  # a day: some moment of it
            created = datetime.combine(created, time(12), zone)
        for policy in self.in_force(created.date()):
            dates = authorization_dates(created, policy, zone)
            assert (dates.due_on, dates.late_from) == (self.due_on, self.late_from)
            assert (dates.suspended_from, dates.expires_at) == (self.suspended_from, self.expires_at)
            assert self.late_at in (None, dates.late_at)


class SeatDuration(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    anniversary: date
    added: date
    months_next: int | None = None
    months_current: int | None = None
    days: int | None = None

    def check(self) -> None:
        anchor = self.anniversary.day
        if self.months_next is not None:
            assert seat_months(self.anniversary, self.added, "next", anchor) == self.months_next
        if self.months_current is not None:
            assert seat_months(self.anniversary, self.added, "current", anchor) == self.months_current
        stated = {"next": self.months_next, "current": self.months_current}
        for part_month, months in stated.items():
            name = self.policy or DEFAULT_POLICY
            policy = BOOK.in_force(name, self.added, {"seat_part_month": part_month})
            duration = seat_duration(self.anniversary, anchor, self.added, policy)
            expected = (self.days, "days") if self.days is not None else (months, "months")
            assert (duration.amount, duration.unit) == expected


class DiscountLevel(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    licences: int
    level: int

    def check(self) -> None:
        for policy in self.in_force(date(2024, 3, 1)):
            assert discount_level(self.licences, policy).level == self.level


class Returns(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ordered: int
    requests: tuple[int, ...]
    remaining: tuple[int, ...] | None = None
    refused: tuple[bool, ...] | None = None

    def check(self) -> None:
        left, remaining, refused = self.ordered, [], []
        for requested in self.requests:
            after = remaining_after_return(left, requested)
            left = left if after is None else after
            remaining.append(left)
            refused.append(after is None)
        assert self.remaining in (None, tuple(remaining))
        assert self.refused in (None, tuple(refused))


SECTIONS: dict[str, Any] = {
    "renewal": Renewal,
    "first_anniversary": FirstAnniversary,
    "purchase_authorization": PurchaseAuthorization,
    "seat_duration": SeatDuration,
    "discount_level": DiscountLevel,
    "returns": Returns,
}
ENTRIES = [(section, number) for section in SECTIONS for number in range(len(VECTORS[section]))]


def check(section: str, entry: dict[str, Any]) -> None:
    read: Callable[[], None] = msgspec.convert(entry, SECTIONS[section]).check
    read()


@pytest.mark.parametrize(("section", "number"), ENTRIES, ids=str)
def test_the_calendar_gives_the_published_answer(section: str, number: int) -> None:
    check(section, VECTORS[section][number])


def test_no_section_of_the_vectors_is_left_unchecked() -> None:
    assert set(VECTORS) == {"about", *SECTIONS}
    assert all(VECTORS[section] for section in SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_an_entry_with_a_field_that_nobody_checks_fails(section: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `surprise`"):
        check(section, {**VECTORS[section][0], "surprise": "2024-01-01"})


@pytest.mark.parametrize(
    ("section", "field", "wrong"),
    [
        ("renewal", "window_closes", "2025-01-17"),
        ("first_anniversary", "anniversary", "2019-01-17"),
        ("purchase_authorization", "late_from", "2019-03-31"),
        ("seat_duration", "months_next", 7),
        ("discount_level", "level", 2),
        ("returns", "remaining", [60, 54]),
    ],
)
def test_an_entry_with_a_wrong_answer_fails(section: str, field: str, wrong: object) -> None:
    with pytest.raises(AssertionError):
        check(section, {**VECTORS[section][0], field: wrong})


def test_the_late_instant_of_the_vectors_is_utc() -> None:
    stated = [entry["late_at"] for entry in VECTORS["purchase_authorization"] if "late_at" in entry]
    assert stated
    assert all(datetime.fromisoformat(late_at).tzinfo == UTC for late_at in stated)
