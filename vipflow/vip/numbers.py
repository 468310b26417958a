"""The numbers of the trade: what a VIP policy may say, where each comes from, and the three policies shipped.

Sources: [seed] the document the product was asked for from; [adobe] a page that Adobe published; [ours] our own choice
where nothing is published, never to be presented as Adobe's rule. Days are calendar days in the reseller's zone.
"""

from collections.abc import Iterator
from datetime import time
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from vipflow.policy import PolicyBook, Schema

Segment: TypeAlias = Literal["commercial", "government", "education"]
SeatUnit: TypeAlias = Literal["months", "days"]
SeatPartMonth: TypeAlias = Literal["next", "current"]

DEFAULT_POLICY: Final = "vip-2024"
SHIPPED_POLICIES: Final = Path(__file__).parent / "policies"

# Upper ends are ours: ten years is longer than any term, so what lies beyond is a slip of the finger.
Days: TypeAlias = Annotated[int, Meta(ge=0, le=3660)]
SomeDays: TypeAlias = Annotated[int, Meta(ge=1, le=3660)]
Months: TypeAlias = Annotated[int, Meta(ge=1, le=120)]
Ladder: TypeAlias = Annotated[tuple[Days, ...], Meta(max_length=50)]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=10_000_000)]
TimeOfDay: TypeAlias = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$(?!\n)")]
IsoWeekday: TypeAlias = Annotated[int, Meta(ge=1, le=7)]
Category: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)")]
Level: TypeAlias = tuple[Count, Annotated[int, Meta(ge=1, le=100)], Annotated[int, Meta(ge=0, le=100)]]


class LongestFirstTerm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Months that an extended first term may last, by market segment. [adobe]"""

    commercial: Months
    government: Months
    education: Months


class Numbers(Schema, frozen=True, kw_only=True):
    """The schema of a VIP policy. A number that may be null is null where a file leaves it out."""

    order_due_days: SomeDays | None = None
    """[adobe] An authorization is due so many days after the day of its creation, through that day. Null: never."""

    authorization_expires_days: SomeDays | None = None
    """[adobe] It expires so many times 24 hours after its creation, to the second. Null: never."""

    deactivation_after_due_days: Annotated[int, Meta(ge=2, le=3660)] | None = None
    """Days from the due day to the first without licences: 31 in vip-2019 [adobe: day 61], 16 in vip-2024 [ours]."""

    window_opens_before_days: SomeDays
    """[adobe] The renewal window opens this many days before the anniversary date."""

    window_closes_after_days: Days
    """[adobe] It closes this many days after the anniversary date, that day still in."""

    renews_by_itself: bool
    """[adobe] Whether Adobe renews on the anniversary date unless told not to."""

    upcoming_before_days: Days
    """[seed] A renewal is upcoming this many days before the window opens, inclusive."""

    upcoming_strict: bool
    """[seed, English text] "fewer than" instead of inclusive: upcoming begins one day later."""

    return_days: Days
    """[adobe] A return may be requested through this many days after Adobe accepted the order."""

    invitation_life_days: SomeDays | None = None
    """[ours] An invitation expires after this many days. Null: it waits for ever; Adobe publishes no life."""

    first_anniversary_from: Literal["authorization_or_order", "order"]
    """[adobe] What starts the first term: the earlier of first authorization and first accepted order, or the order."""

    first_term_months: Months
    """[adobe] The first anniversary date is this many months after what started the term."""

    longest_first_term_months: LongestFirstTerm
    """[adobe] A custom anniversary date may be at most this many months after the invitation."""

    seat_duration_unit: SeatUnit
    """[adobe] Whether a licence added during the term lasts whole months or days."""

    seat_part_month: SeatPartMonth
    """[ours] Whether counting starts at the next monthly day, the part month being free, or at the current one."""

    categories_without_authorization: Annotated[tuple[Category, ...], Meta(max_length=100)]
    """[seed] Product categories that must be ordered from Adobe directly."""

    invitation_reminder_days: Ladder
    """[ours] Days after sending at which an unanswered invitation is recalled; a resend restarts."""

    payment_reminder_days: Days
    """[ours] The payment reminder leaves this many days before the due day."""

    overdue_every_days: SomeDays
    """[ours] The overdue mail leaves on the first late day, then every so many days until deactivation."""

    deactivation_notice_days: Ladder
    """[ours] Days before deactivation at which notice of it is given."""

    order_reminder_after_days: SomeDays
    """[ours] The manager is reminded of an order to place after this many days…"""

    order_reminder_every_days: SomeDays
    """[ours] … and then every so many."""

    renewal_reminder_after_opening_days: Days
    """[ours] First renewal reminder, days after the window opened."""

    renewal_reminder_in_the_middle: bool
    """[ours] Whether there is a reminder in the middle of the window."""

    renewal_reminder_before_closing_days: Ladder
    """[ours] Last renewal reminders, days before the window closes."""

    parked_hours: Annotated[int, Meta(ge=1, le=8784)]
    """[ours] How long an event waits for the customer or case it speaks of before it becomes an incident."""

    office_opens: TimeOfDay
    """[ours] Mails to customers leave from this time of day in the reseller's zone…"""

    office_closes: TimeOfDay
    """[ours] … until this one, itself excluded…"""

    office_days: Annotated[tuple[IsoWeekday, ...], Meta(min_length=1, max_length=7)]
    """[ours] … on these days, Monday being 1 and Sunday 7."""

    adobe_mails_before_anniversary_days: Ladder
    """[adobe] Adobe itself mails the customer so many days before the anniversary date: ours move to the next day."""

    discount_levels: Annotated[tuple[Level, ...], Meta(min_length=1, max_length=50)]
    """[adobe] From how many licences, which level, how many percent."""

    discount_look_back_days: Days
    """[adobe] The level of the next term is read this many days before the anniversary date."""

    lines_at_most: Count
    """[adobe] Lines of one authorization."""

    quantity_at_most: Count
    """[adobe] Licences of one line."""

    enterprise_quantity_at_most: Count
    """[adobe] Licences of one line of an enterprise product."""

    def problems(self) -> Iterator[str]:
        """What cannot hold together although each number is possible by itself."""
        due, deactivated = self.order_due_days, self.deactivation_after_due_days
        if (due is None) == (self.authorization_expires_days is None):
            yield "give either order_due_days or authorization_expires_days: an authorization falls due or expires"
        if due is not None and self.payment_reminder_days > due:
            yield f"payment_reminder_days = {self.payment_reminder_days} must be at most order_due_days = {due}"
        if deactivated is not None:
            if due is None:
                yield "deactivation_after_due_days needs order_due_days: without a due day nothing follows it"
            if any(notice >= deactivated for notice in self.deactivation_notice_days):
                yield f"deactivation_notice_days must be below deactivation_after_due_days = {deactivated}"
        if not _rising(self.invitation_reminder_days):
            yield "invitation_reminder_days must rise: each reminder later than the one before"
        for name in ("deactivation_notice_days", "renewal_reminder_before_closing_days"):
            if not _rising(tuple(reversed(getattr(self, name)))):
                yield f"{name} must fall: each nearer to the day than the one before"

        window = self.window_opens_before_days + self.window_closes_after_days
        if self.renewal_reminder_after_opening_days > window:
            yield f"renewal_reminder_after_opening_days must lie in the renewal window of {window} days"
        if any(days > window for days in self.renewal_reminder_before_closing_days):
            yield f"renewal_reminder_before_closing_days must lie in the renewal window of {window} days"

        for segment, months in msgspec.structs.asdict(self.longest_first_term_months).items():
            if months < self.first_term_months:
                least = self.first_term_months
                yield f"longest_first_term_months.{segment} = {months} must be at least first_term_months = {least}"
        if time.fromisoformat(self.office_opens) >= time.fromisoformat(self.office_closes):
            yield f"office_opens = {self.office_opens} must come before office_closes = {self.office_closes}"
        if len(set(self.office_days)) < len(self.office_days):
            yield "office_days names a day twice"
        if self.discount_levels[0][0] != 1:
            yield "discount_levels must begin with 1 licence"
        for (licences, level, percent), (next_licences, next_level, next_percent) in pairwise(self.discount_levels):
            if next_licences <= licences or next_level <= level or next_percent < percent:
                yield f"discount_levels must rise: from {next_licences} licences stands after from {licences}"
        if self.enterprise_quantity_at_most < self.quantity_at_most:
            yield "enterprise_quantity_at_most must be at least quantity_at_most"


def load_policies(*folders: Path) -> PolicyBook:
    """The shipped policies and those of `folders`; PolicyError with every problem at once."""
    return PolicyBook.load(Numbers, SHIPPED_POLICIES, *folders)


def _rising(days: tuple[int, ...]) -> bool:
    return all(before < after for before, after in pairwise(days))
