"""What customers do in eighteen months, told as the events that the reseller's systems and Adobe would send.

A story is written for a customer; what vipflow makes of it is vipflow's affair. The numbers here (how long until an
order is due, when licences go) are the world's, copied from what is published, so that stories can be late on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
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

    def buy(self, customer: Customer, day: date, way: str) -> date | None:
        """One purchase. Gives the day on which Adobe accepted it, None where it never did."""
        tell: Callable[[Customer, date], date | None] = getattr(self, f"buy_{way}")
        return tell(customer, day)

    def ordered(self, customer: Customer, at: datetime, lines: Lines, name: str) -> date:
        order = self.order(customer, at, lines, "authorization", name)
        day = self.accepted(order).date()
        self.gains(customer, day, lines)
        return day

    def start(self, customer: Customer, day: date, *, by_customer: bool = False) -> tuple[datetime, Lines, str, str]:
        at = self.any_time(day) if by_customer else self.office(day)
        lines = self.some_lines(customer)
        path, name = self.authorization(customer, at, lines, by_customer=by_customer)
        return at, lines, path, name

    def _soon(self) -> tuple[int, int]:
        """In how many days a punctual reseller orders."""
        due = self.programme.due
        return (0, 4) if due is None else (1, self.chance.weighted({2: 55, 6: 36, due - 2: 9}))

    def buy_plainly(self, customer: Customer, day: date) -> date | None:
        at, lines, _, name = self.start(customer, day)
        return self.ordered(customer, self.after(at, *self._soon()), lines, name)

    def buy_in_the_console(self, customer: Customer, day: date) -> date | None:
        at, lines, _, name = self.start(customer, day, by_customer=True)
        return self.ordered(customer, self.after(at, 1, 4), lines, name)

    def buy_and_pay_first(self, customer: Customer, day: date) -> date | None:
        at, lines, path, name = self.start(customer, day)
        paid = self.after(at, 1, 3)
        self.tell("erp", "purchase_authorization.customer_paid", path, paid)
        return self.ordered(customer, self.after(paid, 1, 1), lines, name)

    def buy_by_payment_alone(self, customer: Customer, day: date) -> date | None:
        """A system that reports only the payment."""
        at, lines, path, _ = self.start(customer, day)
        paid = self.after(at, 2, 4)
        self.tell(
            "adobe",
            "purchase_authorization.pay",
            path,
            paid,
            {"order_number": self.adobe_number()},
        )
        self.gains(customer, paid.date(), lines)
        return paid.date()

    def buy_and_cancel(self, customer: Customer, day: date) -> date | None:
        at, _, path, _ = self.start(customer, day)
        self.tell("shop", "purchase_authorization.cancel", path, self.after(at, 1, 3))
        return None

    def buy_and_cancel_too_late(self, customer: Customer, day: date) -> date | None:
        at, lines, path, name = self.start(customer, day)
        ordered = self.after(at, 1, 2)
        accepted = self.ordered(customer, ordered, lines, name)
        self.tell("shop", "purchase_authorization.cancel", path, self.after(ordered, 3, 5))
        return accepted

    def buy_after_a_refusal(self, customer: Customer, day: date) -> date | None:
        at, lines, _, name = self.start(customer, day)
        order = self.order(customer, self.after(at, 1, 2), lines, "authorization", name)
        no = order.at + timedelta(hours=20)
        why = {
            "explanation": "The price list of this order is no longer valid."
            if self.language == "en"
            else "Le tarif de cette commande n’est plus valable."
        }
        self.tell("adobe", "order.refuse", f"orders/{order.number}" if order.said else order.path, no, why)
        return self.ordered(customer, self.after(no, 2, 3), lines, name)

    def buy_from_the_wrong_list(self, customer: Customer, day: date) -> date | None:
        """A product of another segment, refused; then the right one."""
        other = "education" if customer.segment != "education" else "government"
        own = self.document("W", day)
        wrong = {"lines": self.lines({TEAMS[other][0]: 2})}
        at = self.office(day)
        self.tell("shop", "purchase_authorization.create", f"customers/{customer.ref}/authorizations/{own}", at, wrong)
        return self.buy_plainly(customer, at.date() + timedelta(days=1))

    # Late, and what comes of it.

    def _due(self, at: datetime) -> date:
        return at.date() + timedelta(days=self.programme.due or 0)

    def _deactivated(self, at: datetime) -> date:
        return self._due(at) + timedelta(days=self.programme.deactivated or 0)

    def buy_late(self, customer: Customer, day: date) -> date | None:
        at, lines, _, name = self.start(customer, day)
        return self.ordered(
            customer, self.office(self._due(at) + timedelta(days=self.chance.number(1, 6))), lines, name
        )

    def buy_late_and_ask_for_more(self, customer: Customer, day: date) -> date | None:
        """While it is late the customer asks for more, in vain; then it is reminded, pays, and asks again."""
        at, lines, path, name = self.start(customer, day)
        due = self._due(at)
        self.authorization(customer, self.office(due + timedelta(days=2)), self.some_lines(customer))
        self.tell("crm", "purchase_authorization.remind", path, self.office(due + timedelta(days=4)))
        self.tell("erp", "purchase_authorization.customer_paid", path, self.office(due + timedelta(days=7)))
        accepted = self.ordered(customer, self.office(due + timedelta(days=8)), lines, name)
        return self.buy_plainly(customer, accepted + timedelta(days=2))

    def buy_with_a_promise(self, customer: Customer, day: date) -> date | None:
        at, lines, path, name = self.start(customer, day)
        due = self._due(at)
        said = self.office(due + timedelta(days=3))
        until = said.date() + timedelta(days=5)
        why = (
            "La comptabilité du client a promis le virement."
            if self.language == "fr"
            else "Their accounts promised the transfer."
        )
        self.tell("crm", "purchase_authorization.extend", path, said, {"until": until.isoformat()}, reason=why)
        return self.ordered(customer, self.office(until + timedelta(days=2)), lines, name)

    def buy_with_an_extension(self, customer: Customer, day: date) -> date | None:
        at, lines, path, name = self.start(customer, day)
        due = self._due(at)
        granted = self.office(due + timedelta(days=2))
        new_due = granted.date() + timedelta(days=14)
        self.tell("adobe", "purchase_authorization.grant_extension", path, granted, {"due_on": new_due.isoformat()})
        return self.ordered(customer, self.office(new_due - timedelta(days=4)), lines, name)

    def buy_and_learn_of_it_late(self, customer: Customer, day: date) -> date | None:
        """Paid in time, but the report reaches us when we take it for late."""
        at, lines, path, _ = self.start(customer, day)
        paid = self.office(self._due(at) - timedelta(days=4))
        delay = timedelta(days=self.chance.number(9, 13), hours=3)
        self.tell(
            "adobe",
            "purchase_authorization.pay",
            path,
            paid,
            {"order_number": self.adobe_number()},
            delay=delay,
        )
        self.gains(customer, (paid + delay).date(), lines)
        return (paid + delay).date()

    def buy_after_deactivation(self, customer: Customer, day: date) -> date | None:
        at, lines, path, name = self.start(customer, day)
        gone = self._deactivated(at)
        if self.chance.happens(70):
            self.tell("adobe", "purchase_authorization.deactivate", path, self.any_time(gone + timedelta(days=1)))
        return self.ordered(customer, self.office(gone + timedelta(days=self.chance.number(3, 6))), lines, name)

    def buy_and_be_restored(self, customer: Customer, day: date) -> date | None:
        """Adobe deactivates a pending authorization by mistake, and gives it back."""
        at, lines, path, name = self.start(customer, day)
        gone = self.any_time(at.date() + timedelta(days=3))
        self.tell("adobe", "purchase_authorization.deactivate", path, gone)
        back = gone + timedelta(days=2)
        self.tell("adobe", "purchase_authorization.restore", path, back)
        return self.ordered(customer, self.after(back, 1, 2), lines, name)

    def buy_and_never_pay(self, customer: Customer, day: date) -> date | None:
        """Written off in the end."""
        at, _, path, _ = self.start(customer, day)
        gone = self._deactivated(at)
        self.tell("adobe", "purchase_authorization.deactivate", path, self.any_time(gone + timedelta(days=1)))
        why = "Société en liquidation." if self.language == "fr" else "The company is being wound up."
        self.tell("crm", "purchase_authorization.write_off", path, self.office(gone + timedelta(days=20)), reason=why)
        return None

    def buy_and_take_back(self, customer: Customer, day: date) -> date | None:
        """The payment is reversed, and made again."""
        at, lines, path, _ = self.start(customer, day)
        number = {"order_number": self.adobe_number()}
        paid = self.after(at, 1, 2)
        self.tell("adobe", "purchase_authorization.pay", path, paid, number)
        self.tell("adobe", "purchase_authorization.reverse_payment", path, self.after(paid, 4, 5))
        again = self.after(paid, 7, 9)
        number = {"order_number": self.adobe_number()}
        self.tell("adobe", "purchase_authorization.pay", path, again, number)
        self.gains(customer, again.date(), lines)
        return again.date()

    # On the marketplace authorizations expire.

    def buy_and_let_expire(self, customer: Customer, day: date) -> date | None:
        at, lines, _, name = self.start(customer, day)
        if self.chance.happens(40):
            self.order(
                customer, self.office(at.date() + timedelta(days=9)), lines, "authorization", name
            )  # too late: refused
        return self.buy_plainly(customer, at.date() + timedelta(days=11)) if self.chance.happens(75) else None

    def buy_just_in_time(self, customer: Customer, day: date) -> date | None:
        """Paid before it expired; we learn of it afterwards."""
        at, lines, path, _ = self.start(customer, day)
        paid = at + timedelta(days=6, hours=2)
        delay = timedelta(days=3, hours=5)
        self.tell(
            "adobe",
            "purchase_authorization.pay",
            path,
            paid,
            {"order_number": self.adobe_number()},
            delay=delay,
        )
        self.gains(customer, (paid + delay).date(), lines)
        return (paid + delay).date()

    # Out of order, direct, and given back.

    def buy_in_the_wrong_order(self, customer: Customer, day: date) -> date | None:
        """The bookkeeping's export is stuck for a day: Adobe's answer is here before the order is."""
        at, lines, _, name = self.start(customer, day)
        stuck = timedelta(hours=self.chance.number(40, 60))
        order = self.order(customer, self.after(at, 0, 2), lines, "authorization", name, delay=stuck)
        day = self.accepted(order, (0, 0)).date()
        self.gains(customer, day, lines)
        return day

    def buy_directly(self, customer: Customer, day: date) -> date | None:
        lines = self.some_lines(customer, DIRECT)
        order = self.order(customer, self.office(day), lines, "direct")
        accepted = self.accepted(order).date()
        self.gains(customer, accepted, lines)
        return accepted

    def buy_and_return(self, customer: Customer, day: date) -> date | None:
        return self._return(customer, day, whole=True, answer="approve")

    def buy_and_return_some(self, customer: Customer, day: date) -> date | None:
        return self._return(customer, day, whole=False, answer="approve")

    def buy_and_return_in_vain(self, customer: Customer, day: date) -> date | None:
        return self._return(customer, day, whole=True, answer="refuse")

    def _return(self, customer: Customer, day: date, *, whole: bool, answer: str) -> date | None:
        at = self.office(day)
        lines = self.some_lines(customer)
        lines = {sku: quantity + 2 for sku, quantity in lines.items()}
        _, name = self.authorization(customer, at, lines)
        order = self.order(customer, self.after(at, 1, 2), lines, "authorization", name)
        accepted = self.accepted(order)
        self.gains(customer, accepted.date(), lines)
        back = lines if whole else {next(iter(lines)): 2}
        asked = self.after(accepted, 3, 9)
        own = self.document("R", asked.date())
        data: dict[str, Any] = {"order": order.number}
        if not whole:
            data["lines"] = self.lines(back)
        path = f"customers/{customer.ref}/returns/{own}"
        self.tell("crm", "return_request.open", path, asked, data)
        answered = self.after(asked, 2, 5)
        if answer == "approve":
            self.tell("adobe", "return_request.approve", path, answered)
            self.gains(customer, answered.date(), {sku: -quantity for sku, quantity in back.items()})
        else:
            why = (
                "These licences were already assigned."
                if self.language == "en"
                else "Ces licences ont déjà été attribuées."
            )
            self.tell("adobe", "return_request.refuse", path, answered, {"explanation": why})
        return accepted.date()

    # --- the year -------------------------------------------------------------------------------------------------

    def way_to_buy(self, customer: Customer, *, steady: bool = False) -> str:
        if self.must_buy and not steady:
            return self.must_buy.pop(0)
        if customer.large and self.chance.happens(35) and not self.programme.renews_by_itself:
            return "directly"
        ways = {
            "plainly": 60.0,
            "in_the_console": 11,
            "and_pay_first": 6,
            "by_payment_alone": 4,
            "and_cancel": 2.5,
            "after_a_refusal": 1.5,
            "in_the_wrong_order": 2,
            "and_return_some": 1.5,
            "and_return": 1,
        }
        if self.programme.due is not None:
            ways |= {
                "late": 6,
                "late_and_ask_for_more": 0.8,
                "with_a_promise": 1.2,
                "with_an_extension": 0.8,
                "after_deactivation": 0.9,
            }
        else:
            ways |= {"and_let_expire": 4, "just_in_time": 1}
        if steady:
            ways = {"plainly": 80, "in_the_console": 14, "and_pay_first": 6}
        return self.chance.weighted(ways)

    def live(self, customer: Customer, begin: date, anniversary: date, anchor: int, pace: int) -> None:
        """A term: purchases until the renewal window, the renewal, and the next term."""
        window_opens = anniversary - timedelta(days=self.programme.opens)
        day = begin + timedelta(days=self.chance.number(3, pace))
        while day < min(window_opens - timedelta(days=5), END):
            if not self.holds(customer, day) and day != begin and self.chance.happens(30):
                return
            accepted = self.buy(customer, day, self.way_to_buy(customer))
            if accepted is None and self.programme.due is not None:
                accepted = day + timedelta(days=self.programme.due + 60)  # they rest after such a thing
            day = max(accepted or day, day) + timedelta(days=self.chance.number(6, 2 * pace))
        if window_opens > END:
            return
        following = later(anniversary, 12, anchor)
        outcome = self.renew(customer, anniversary)
        closes = anniversary + timedelta(days=self.programme.closes)
        if outcome == "ended":
            if self.chance.happens(45):
                self.come_back(customer, closes + timedelta(days=self.chance.number(8, 50)), pace)
            return
        self.live(customer, max(anniversary, closes) + timedelta(days=2), following, anchor, pace)

    def come_back(self, customer: Customer, day: date, pace: int) -> None:
        accepted = self.buy(
            customer,
            day,
            "plainly" if customer.segment == "commercial" or self.programme.renews_by_itself else "directly",
        )
        if accepted is not None:
            self.live(customer, accepted + timedelta(days=9), later(accepted, 12), accepted.day, pace)

    def renew(self, customer: Customer, anniversary: date) -> str:
        """What becomes of the renewal: "goes on", or "ended"."""
        opens = anniversary - timedelta(days=self.programme.opens)
        closes = anniversary + timedelta(days=self.programme.closes)
        if opens < START:
            opens = START + timedelta(days=2)
        held = self.holds(customer, opens)
        if not held:
            return "ended"
        way = self.must_renew.pop(0) if self.must_renew else self.way_to_renew()
        if way == "in_part" and sum(held.values()) < 2:
            way = "in_full"
        tell: Callable[[Customer, date, date, date], str] = getattr(self, f"renew_{way}")
        return tell(customer, opens, anniversary, closes)

    def way_to_renew(self) -> str:
        if self.programme.renews_by_itself:
            return self.chance.weighted(
                {"by_itself": 66.0, "silently": 12, "not_wanted": 9, "in_full": 9, "in_part": 4}
            )
        ways: dict[str, float] = {
            "in_full": 76,
            "in_part": 6,
            "in_two_steps": 4,
            "not_at_all": 7,
            "by_report": 5,
            "learnt_late": 1.5,
        }
        return self.chance.weighted(ways)

    def _between(self, low: date, high: date) -> date:
        return low + timedelta(days=self.chance.number(0, max(0, (high - low).days)))

    def _renewal_order(self, customer: Customer, at: datetime, lines: Lines, *, whole: bool) -> datetime:
        order = self.order(customer, at, lines, "renewal", whole=whole)
        return self.accepted(order, (0, 1))

    def renew_in_full(self, customer: Customer, opens: date, anniversary: date, closes: date) -> str:
        last = closes - timedelta(days=4)
        soon = min(opens + timedelta(days=18), last)
        at = self.office(self._between(opens + timedelta(days=1), soon if self.chance.happens(70) else last))
        self._renewal_order(customer, at, self.holds(customer, at.date()), whole=True)
        return "goes on"

    def renew_in_part(self, customer: Customer, opens: date, anniversary: date, closes: date) -> str:
        at = self.office(self._between(opens + timedelta(days=2), closes - timedelta(days=5)))
        held = self.holds(customer, at.date())
        kept = self._some_of(held)
        self._renewal_order(customer, at, kept, whole=False)
        gone = {sku: kept.get(sku, 0) - quantity for sku, quantity in held.items() if quantity > kept.get(sku, 0)}
        self.gains(customer, closes + timedelta(days=1), gone)
        return "goes on"

    def _some_of(self, held: Lines) -> Lines:
        if len(held) > 1:
            return dict(list(held.items())[:-1])
        return {sku: max(1, quantity // 2) for sku, quantity in held.items()}

    def renew_in_two_steps(self, customer: Customer, opens: date, anniversary: date, closes: date) -> str:
        at = self.office(self._between(opens + timedelta(days=1), opens + timedelta(days=8)))
        held = self.holds(customer, at.date())
        self._renewal_order(customer, at, self._some_of(held), whole=False)
        again = self.office(closes - timedelta(days=self.chance.number(5, 9)))
        if sum(held.values()) > 1:
            self._renewal_order(customer, again, held, whole=True)
        return "goes on"

    def renew_not_at_all(self, customer: Customer, opens: date, anniversary: date, closes: date) -> str:
        if self.chance.happens(50):
            self.tell("crm", "membership.remind", f"customers/{customer.ref}", self.office(closes - timedelta(days=6)))
        self._lose_all(customer, closes)
        return "ended"

    def _lose_all(self, customer: Customer, closes: date) -> None:
        held = self.holds(customer, closes)
        self.gains(customer, closes + timedelta(days=1), {sku: -quantity for sku, quantity in held.items()})

    def renew_by_report(self, customer: Customer, opens: date, anniversary: date, closes: date) -> str:
        """Another reseller's order, or the customer's own: Adobe tells us that it renewed."""
        day = self._between(opens + timedelta(days=3), closes - timedelta(days=3))
        self.tell("adobe", "membership.renew", f"customers/{customer.ref}", self.any_time(day))
        return "goes on"

    def renew_learnt_late(self, customer: Customer, opens: date, anniversary: date, closes: date) -> str:
        """Renewed within the window; we learn of it when it has closed."""
        day = closes - timedelta(days=2)
        self.tell("adobe", "membership.renew", f"customers/{customer.ref}", self.any_time(day), delay=timedelta(days=6))
        return "goes on"

    def renew_too_early(self, customer: Customer, opens: date, anniversary: date, closes: date) -> str:
        """An order before the window is refused; the next one is not."""
        early = self.office(opens - timedelta(days=9))
        if early.date() > START:
            self.order(customer, early, {}, "renewal")
        return self.renew_in_full(customer, opens, anniversary, closes)

    # On the marketplace Adobe renews by itself.

    def renew_by_itself(self, customer: Customer, opens: date, anniversary: date, closes: date) -> str:
        at = datetime.combine(anniversary, time(2, self.chance.number(0, 59)), self.zone)
        self.tell("adobe", "membership.renew", f"customers/{customer.ref}", at)
        return "goes on"

    def renew_silently(self, customer: Customer, opens: date, anniversary: date, closes: date) -> str:
        """Nobody tells us until long after."""
        if self.chance.happens(50):
            at = datetime.combine(anniversary, time(2, 30), self.zone)
            self.tell(
                "adobe",
                "membership.renew",
                f"customers/{customer.ref}",
                at,
                delay=timedelta(days=self.programme.closes + 5),
            )
        return "goes on"

    def renew_not_wanted(self, customer: Customer, opens: date, anniversary: date, closes: date) -> str:
        at = self.office(self._between(opens + timedelta(days=1), anniversary - timedelta(days=2)))
        self.tell("shop", "membership.decline_renewal", f"customers/{customer.ref}", at)
        self._lose_all(customer, closes)
        return "ended"


def in_utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
