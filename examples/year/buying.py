"""Every way to buy: plainly, in the console, late, in vain, in the wrong order, and given back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from people import Customer
from telling import DIRECT, TEAMS, Lines, Teller


class Buyer(Teller):
    """Tells how customers buy. A `buy_…` gives the day on which Adobe accepted it, None where it never did."""

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
        return (0, 4) if due is None else (1, self.chance.weighted({1: 42, 3: 34, 6: 16, due - 2: 8}))

    def buy_plainly(self, customer: Customer, day: date) -> date | None:
        at, lines, _, name = self.start(customer, day)
        return self.ordered(customer, self.after(at, *self._soon()), lines, name)

    def buy_in_the_console(self, customer: Customer, day: date) -> date | None:
        at, lines, _, name = self.start(customer, day, by_customer=True)
        return self.ordered(customer, self.after(at, 1, 2), lines, name)

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
