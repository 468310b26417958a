"""What customers do in eighteen months: they buy, renew or not, and come back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from buying import Buyer
from people import Customer
from telling import END, START, Lines, later


class Storyteller(Buyer):
    """Tells whole terms, one after the other."""

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
