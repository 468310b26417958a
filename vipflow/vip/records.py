"""What the trade's cases remember: the facts of every workflow, and the values that they share.

Frozen msgspec structs. Days are `date`s in the reseller's zone, moments aware UTC datetimes.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

import msgspec

from vipflow.vip.fields import Language
from vipflow.vip.numbers import Segment
from vipflow.workflow import Facts, Text

OrderKind: TypeAlias = Literal["authorization", "renewal", "direct"]


# --- values --------------------------------------------------------------------------------------------------------


class Contact(msgspec.Struct, frozen=True):
    """The primary contact: the person invited, who becomes the customer's administrator."""

    name: str
    email: str


class Recipient(msgspec.Struct, frozen=True):
    """A notice recipient: somebody who gets copies of the customer's mails."""

    name: str
    email: str


class Line(msgspec.Struct, frozen=True):
    """So many licences of one product."""

    sku: str
    quantity: int


Lines: TypeAlias = tuple[Line, ...]


def together(*several: Iterable[Line]) -> Lines:
    """All lines in one, each product once, in the order in which they first appear.

    >>> together([Line("A", 2), Line("B", 1)], [Line("A", 3)])
    (Line(sku='A', quantity=5), Line(sku='B', quantity=1))
    """
    quantities: dict[str, int] = {}
    for lines in several:
        for line in lines:
            quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return tuple(Line(sku, quantity) for sku, quantity in quantities.items())


def less(lines: Iterable[Line], taken: Iterable[Line]) -> Lines:
    """What remains of `lines`; what was never there cannot be taken.

    >>> less([Line("A", 5), Line("B", 1)], [Line("A", 2), Line("B", 4)])
    (Line(sku='A', quantity=3),)
    """
    gone = quantities_of(taken)
    return tuple(
        Line(line.sku, line.quantity - gone.get(line.sku, 0))
        for line in together(lines)
        if line.quantity > gone.get(line.sku, 0)
    )


def common_part(lines: Iterable[Line], others: Iterable[Line]) -> Lines:
    """What both hold.

    >>> common_part([Line("A", 5), Line("B", 1)], [Line("A", 2), Line("C", 4)])
    (Line(sku='A', quantity=2),)
    """
    held = quantities_of(others)
    return tuple(Line(line.sku, min(line.quantity, held[line.sku])) for line in together(lines) if held.get(line.sku))


def covers(lines: Iterable[Line], wanted: Iterable[Line]) -> bool:
    """Whether `lines` hold everything that is wanted."""
    return not less(wanted, lines)


def quantities_of(lines: Iterable[Line]) -> dict[str, int]:
    """How many of each product."""
    return {line.sku: line.quantity for line in together(lines)}


def total_of(lines: Iterable[Line]) -> int:
    """How many licences in all."""
    return sum(line.quantity for line in lines)


# --- customer ------------------------------------------------------------------------------------------------------


class Bounce(msgspec.Struct, frozen=True):
    """A mail that came back."""

    address: str
    subject_line: str = ""
    diagnosis: str = ""
    message: str | None = None


class Happening(msgspec.Struct, frozen=True):
    """The newest incident with the customer: what a mail to its manager says of it."""

    kind: str
    case: str | None
    event: str
    says: Text
    on: date


class Customer(Facts, frozen=True, kw_only=True):
    """What we know of a customer."""

    company: str
    segment: Segment
    country: str
    contact: Contact
    language: Language
    address: str
    city: str
    postal_code: str | None = None
    region: str | None = None
    offer_types: tuple[str, ...] = ()
    recipients: tuple[Recipient, ...] = ()
    owner: str
    """The e-mail of the account manager, a member of the reseller's team."""
    vip_number: str
    vip_number_provisional: bool = False
    custom_anniversary: date | None = None
    known_since: date
    adopted: bool = False
    """It was a member before we knew it."""
    overrides: dict[str, Any] = {}
    """Numbers of the policy that are this customer's own."""
    bounce: Bounce | None = None
    incident: Happening | None = None

    @property
    def email(self) -> str:
        """The primary contact's address: one of the names people call the customer by."""
        return self.contact.email


class Invitation(Facts, frozen=True, kw_only=True):
    """An invitation to join the programme."""

    sent_on: date
    expires_from: date | None = None
    """First day on which it is no longer open; None where the policy sets it no end."""
    accepted_on: date | None = None


# --- purchase authorization ----------------------------------------------------------------------------------------


class Authorization(Facts, frozen=True, kw_only=True):
    """Licences at a customer's disposal, and when they must be ordered."""

    lines: Lines
    """What remains of it: returns take away."""
    po_number: str | None = None
    created_at: datetime
    created_on: date
    by_customer: bool = False
    due_on: date | None = None
    suspended_from: date | None = None
    expires_at: datetime | None = None
    promised_until: date | None = None
    customer_paid_on: date | None = None
    order: str | None = None
    """Our reference of the order that is placed for it."""
    paid_on: date | None = None
    deactivated_on: date | None = None
    """When Adobe reported the licences deactivated; until then it is only expected."""


class Order(Facts, frozen=True, kw_only=True):
    """What the reseller placed with Adobe."""

    kind: OrderKind
    authorizations: tuple[str, ...] = ()
    lines: Lines
    """What remains of it: returns take away."""
    order_number: str | None = None
    placed_on: date
    accepted_on: date | None = None
    return_until: date | None = None
    """Last day on which it may be returned."""
    explanation: str | None = None


class Return(Facts, frozen=True, kw_only=True):
    """The wish to give back what was ordered."""

    order: str | None = None
    authorization: str | None = None
    """Where Adobe's acceptance came to us as a payment without an order."""
    order_number: str | None = None
    lines: Lines
    requested_on: date
    decided_on: date | None = None
    explanation: str | None = None


# --- membership ----------------------------------------------------------------------------------------------------


class Opened(msgspec.Struct, frozen=True):
    """An authorization that may have started the first term."""

    authorization: str
    on: date


class Membership(Facts, frozen=True, kw_only=True):
    """A customer's year: its anniversary date, its licences, and the dates around the renewal."""

    custom_anniversary: date | None = None
    anniversary: date | None = None
    """The day all licences renew; None while nothing has started the term."""
    anchor_day: int | None = None
    """The day of the month first meant: an anniversary of the 31st comes back to it in longer months."""
    opened: tuple[Opened, ...] = ()
    """Authorizations of the time before the first order."""
    first_order_on: date | None = None
    """During the first term of its own making: when Adobe accepted its first order."""
    licences: Lines = ()
    """What Adobe accepted, for the running term."""
    renewed: Lines = ()
    """What Adobe renewed for the next term."""
    ahead: Lines = ()
    """What of the licences was bought on the anniversary date or later, before closing: it is of the next term."""
    lapsed: Lines = ()
    """What the last closing removed, until a renewal dated before it brings it back."""
    lapsed_on: date | None = None
    """The last day of the window that then closed."""
    term_from: date | None = None
    """The anniversary date that began the running term; None in the first that we know."""
    renewal_confirmed: bool = True
    """False where the clock concluded that Adobe renewed by itself."""
    taken_for_renewed: Lines = ()
    """What it concluded that of."""
    renewal_declined: bool = False
    renewed_on: date | None = None
    comes_up: date | None = None
    window_opens: date | None = None
    window_closes: date | None = None
    closed_from: date | None = None
