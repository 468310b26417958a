"""What one case tells another: the data of follow-ups, and how a sender finds the membership it speaks to."""

from datetime import date
from typing import Any

import msgspec

from vipflow.case import View
from vipflow.vip.records import Line, Membership


class FirstAuthorization(msgspec.Struct, frozen=True):
    """To a membership that awaits its first order: an authorization of that time."""

    authorization: str
    on: date


class Gained(msgspec.Struct, frozen=True):
    """To a membership: Adobe accepted these licences."""

    lines: tuple[Line, ...]


class Lost(msgspec.Struct, frozen=True):
    """To a membership: these licences went back, or their payment was. `renewal`: they were for the next term."""

    lines: tuple[Line, ...]
    renewal: bool = False


class Renewed(msgspec.Struct, frozen=True):
    """To a membership: Adobe accepted the renewal of these licences, never none, ordered on that day."""

    lines: tuple[Line, ...]
    ordered_on: date


class FoundMembership(msgspec.Struct, frozen=True):
    """To a membership that is adopted: where it stands."""

    anniversary: date | None
    anchor_day: int | None
    licences: tuple[Line, ...]
    renewed: tuple[Line, ...]


class PlacedOrder(msgspec.Struct, frozen=True):
    """To an authorization: the order that was placed for it, by our reference. `found`: before we knew the customer."""

    order: str
    found: bool = False


class Paid(msgspec.Struct, frozen=True):
    """To an authorization: Adobe accepted its order, ours by reference."""

    order_number: str | None
    order: str


class FoundOrder(msgspec.Struct, frozen=True):
    """To an order that is adopted: the authorization that was already ordered."""

    authorization: str
    lines: tuple[Line, ...]
    order_number: str | None


class Returned(msgspec.Struct, frozen=True):
    """To an order: what Adobe takes back."""

    lines: tuple[Line, ...]


class Shares(msgspec.Struct, frozen=True):
    """To authorizations: what each of them gives back."""

    shares: dict[str, tuple[Line, ...]]

    def of(self, view: View) -> tuple[Line, ...]:
        """The part of the case at hand."""
        return self.shares.get(at_hand(view), ())


def membership(_facts: Any, _data: Any, view: View) -> str | None:
    """The customer's membership."""
    case = view.only("membership")
    return case.ref if case is not None else None


def membership_without_order(_facts: Any, _data: Any, view: View) -> str | None:
    """The membership, while it awaits its first order."""
    return _membership_in(view, "awaiting_first_order")


def membership_that_noticed(_facts: Any, _data: Any, view: View) -> str | None:
    """The membership that counts the authorization at hand among those that may have started its first term."""
    case = view.only("membership")
    noticed = case is not None and any(each.authorization == at_hand(view) for each in case.facts.opened)
    return case.ref if case is not None and noticed else None


def membership_to_begin(_facts: Any, _data: Any, view: View) -> str | None:
    """The membership whose term an accepted order begins: its first, or the first after it expired."""
    case = view.only("membership")
    if case is None or case.state not in ("awaiting_first_order", "expired"):
        return None
    return None if case.state == "expired" and within_lapsed_term(case.facts, view) else case.ref


def running_membership(_facts: Any, _data: Any, view: View) -> str | None:
    """The membership to whose term an accepted order adds: the running one, or one that ended meanwhile."""
    return None if membership_to_begin(_facts, _data, view) else membership(_facts, _data, view)


def within_lapsed_term(facts: Membership, view: View) -> bool:
    """Whether what happened belongs to the term that the last closing ended, however late we learn of it."""
    return facts.lapsed_on is not None and facts.anniversary is not None and view.today < facts.anniversary


def at_hand(view: View) -> str:
    """The reference of the case at hand."""
    return view.case.ref if view.case is not None else view.opening


def state_of(view: View) -> str:
    """The state of the case at hand; nothing while it is opened."""
    return view.case.state if view.case is not None else ""


def _membership_in(view: View, *states: str) -> str | None:
    case = view.only("membership")
    return case.ref if case is not None and case.state in states else None
