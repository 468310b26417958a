"""How stories are told: customers' own numbers, the systems that speak, and how long each takes to reach us.

The numbers here (how long until an order is due, when licences go) are the world's, copied from what is published, so
that stories can be late on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from people import Chance, Customer

START = date(2024, 7, 1)
END = date(2025, 12, 31)
"""The last day on which anything arrives."""

Lines = dict[str, int]


@dataclass(frozen=True)
class Programme:
    """The rules of the world a reseller lives in."""

    due: int | None
    deactivated: int | None
    opens: int
    closes: int
    renews_by_itself: bool
    first_term_from_authorization: bool


PROGRAMMES = {
    "vip-2019": Programme(30, 31, 30, 30, False, True),
    "vip-2024": Programme(14, 16, 30, 0, False, False),
    "vip-marketplace": Programme(None, None, 30, 14, True, False),
}

TEAMS = {
    "commercial": [
        "65304579CA01A12",
        "65325078CA01A12",
        "65305156CA01A12",
        "65305183CA01A12",
        "65305410CA01A12",
        "65305370CA01A12",
        "65304599CA01A12",
        "65304521CA01A12",
        "65304886CA01A12",
        "65305248CA01A12",
        "65327732CA01A12",
        "65304754CA01A12",
        "65322648CA01A12",
    ],
    "government": ["30002907CC01A12", "30002137CC01A12"],
    "education": ["30001850CB01A12"],
}
DIRECT = {
    "commercial": ["65322443CA01A12", "65322638CA01A12"],
    "government": ["30001479CC01A12"],
    "education": ["30001801CB01A12", "30001472CB01A12", "30001786CB01A12", "30001793CB01A12"],
}
"""What is ordered directly, without authorization."""


@dataclass
class Told:
    """One event: what is said, when it happened and when it reaches us."""

    source: str
    type: str
    subject: str
    data: dict[str, Any]
    at: datetime
    delivered: datetime
    reason: str | None = None
    id: str = ""


@dataclass
class Order:
    path: str
    number: str
    said: bool
    """Whether the order already bore Adobe's number when it was placed."""
    at: datetime
    lines: Lines


def later(day: date, months: int, anchor: int | None = None) -> date:
    """So many months later, on the anchor day or the last of a shorter month."""
    years, month = divmod(day.month - 1 + months, 12)
    first = date(day.year + years, month + 1, 1)
    last = (date(first.year + (first.month == 12), first.month % 12 + 1, 1) - timedelta(days=1)).day
    return first.replace(day=min(anchor or day.day, last))


def in_utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Teller:
    """Tells the stories of one reseller's customers."""

    chance: Chance
    domain: str
    zone: ZoneInfo
    programme: Programme
    language: str
    letter: str
    """What the reseller's document numbers begin with."""
    told: list[Told] = field(default_factory=list)
    must_buy: list[str] = field(default_factory=list)
    """Ways of buying that this reseller's year must show; the first customers take them."""
    must_renew: list[str] = field(default_factory=list)
    ledger: dict[str, list[tuple[date, Lines]]] = field(default_factory=dict)
    """By customer: when which licences came or went."""
    counts: dict[str, int] = field(default_factory=dict)

    # --- telling --------------------------------------------------------------------------------------------------

    def tell(
        self,
        source: str,
        type: str,
        subject: str,
        at: datetime,
        data: dict[str, Any] | None = None,
        *,
        reason: str | None = None,
        delay: timedelta | None = None,
    ) -> Told:
        """One event. Shops speak at once, the bookkeeping every hour, Adobe is asked three times a day."""
        at = at.replace(second=self.chance.number(0, 59))
        if delay is not None:
            delivered = at + delay
        elif source == "erp":
            delivered = at.replace(minute=4, second=0) + timedelta(hours=1)
        elif source == "adobe":
            delivered = self._next_poll(at)
        else:
            delivered = at + timedelta(seconds=self.chance.number(1, 40))
        event = Told(f"{source}.{self.domain}", type, subject, data or {}, at, delivered, reason)
        if delivered.date() <= END - timedelta(days=1):
            self.told.append(event)
        return event

    def _next_poll(self, at: datetime) -> datetime:
        for hour in (6, 12, 18):
            poll = at.replace(hour=hour, minute=10, second=0)
            if poll > at:
                return poll
        return (at + timedelta(days=1)).replace(hour=6, minute=10, second=0)

    def office(self, day: date) -> datetime:
        """An instant of that day, or of the next working day, while people work."""
        while day.isoweekday() > 5:
            day += timedelta(days=1)
        minute = self.chance.number(8 * 60 + 40, 17 * 60 + 30)
        return datetime.combine(day, time(minute // 60, minute % 60), self.zone)

    def any_time(self, day: date) -> datetime:
        minute = self.chance.number(0, 24 * 60 - 1)
        return datetime.combine(day, time(minute // 60, minute % 60), self.zone)

    def after(self, at: datetime, low: int, high: int) -> datetime:
        """In office hours, so many days later."""
        return self.office(at.date() + timedelta(days=self.chance.number(low, high)))

    def count(self, what: str) -> int:
        self.counts[what] = self.counts.get(what, 0) + 1
        return self.counts[what]

    def adobe_number(self) -> str:
        """A number of an order as Adobe gives it."""
        return f"7{self.chance.number(10**8, 10**9 - 1)}"

    def document(self, kind: str, day: date) -> str:
        """A number as shops and bookkeepers give it: kind, day, and which of that day."""
        name = f"{self.letter}{kind}{day:%y%m%d}"
        return f"{name}-{self.count(name):02d}"

    # --- buying ---------------------------------------------------------------------------------------------------

    def some_lines(self, customer: Customer, catalogue: dict[str, list[str]] = TEAMS) -> Lines:
        skus = self.chance.shuffled(catalogue[customer.segment])
        most = 24 if customer.large else 6
        wanted = self.chance.weighted({1: 60, 2: 28, 3: 12})
        return {sku: self.chance.number(1, most) for sku in skus[:wanted]}

    def lines(self, lines: Lines) -> list[dict[str, Any]]:
        return [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]

    def gains(self, customer: Customer, day: date, lines: Lines) -> None:
        self.ledger.setdefault(customer.own, []).append((day, lines))

    def holds(self, customer: Customer, day: date) -> Lines:
        held: Lines = {}
        for since, lines in sorted(self.ledger.get(customer.own, []), key=lambda entry: entry[0]):
            if since <= day:
                for sku, quantity in lines.items():
                    held[sku] = held.get(sku, 0) + quantity
        return {sku: quantity for sku, quantity in held.items() if quantity > 0}

    def authorization(
        self, customer: Customer, at: datetime, lines: Lines, *, by_customer: bool = False
    ) -> tuple[str, str]:
        """A purchase authorization; its path, and the name by which orders call it."""
        if by_customer:
            own = f"ADC-{self.chance.hexadecimal(10)}"
            self.tell(
                "adobe",
                "purchase_authorization.add",
                f"customers/{customer.ref}/authorizations/{own}",
                at,
                {"lines": self.lines(lines)},
            )
            return f"customers/{customer.ref}/authorizations/{own}", own
        own = self.document("W", at.date())
        data: dict[str, Any] = {"lines": self.lines(lines)}
        po = None
        if self.chance.happens(60):
            po = f"{'BC' if self.language == 'fr' else 'PO'}-{at.year}-{self.count('po') * 3 + 110}"
            data["po_number"] = po
        path = f"customers/{customer.ref}/authorizations/{own}"
        self.tell("shop", "purchase_authorization.create", path, at, data)
        return path, po or own

    def order(
        self,
        customer: Customer,
        at: datetime,
        lines: Lines,
        kind: str,
        authorization: str | None = None,
        *,
        delay: timedelta | None = None,
        whole: bool = True,
    ) -> Order:
        own = self.document("C", at.date())
        number = self.adobe_number()
        said = delay is not None or self.chance.happens(75)
        data: dict[str, Any] = {"kind": kind}
        if authorization is not None:
            data["authorizations"] = [authorization]
        elif not whole or kind == "direct":
            data["lines"] = self.lines(lines)
        if said:
            data["order_number"] = number
        path = f"customers/{customer.ref}/orders/{own}"
        self.tell("erp", "order.place", path, at, data, delay=delay)
        return Order(path, number, said, at, lines)

    def accepted(self, order: Order, days: tuple[int, int] = (0, 2), *, delay: timedelta | None = None) -> datetime:
        at = max(
            self.any_time(order.at.date() + timedelta(days=self.chance.number(*days))),
            order.at + timedelta(hours=1, minutes=20),
        )
        at = min(at, datetime.combine(at.date(), time(23, 30), self.zone))
        if order.said:
            self.tell("adobe", "order.accept", f"orders/{order.number}", at, delay=delay)
        else:
            self.tell("adobe", "order.accept", order.path, at, {"order_number": order.number}, delay=delay)
        return at
