"""The customers of a reseller: the five lists with their counts, search, filters, page by page. [seed]"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, get_args

import msgspec

from vipflow.errors import BadInput, did_you_mean
from vipflow.operations.installation import Installation
from vipflow.operations.rows import cursor_of, parts_of
from vipflow.operations.who import Who
from vipflow.operations.words import event_label, state_label
from vipflow.references import as_typed
from vipflow.store import reading
from vipflow.store.reading import Place, Sort, Wanted
from vipflow.store.tenants import team_members
from vipflow.vip.customers import folded
from vipflow.vip.lists import LISTS, ListName
from vipflow.vip.numbers import Segment
from vipflow.workflow import Text

PAGE = 50
PAGE_AT_MOST = 1000


class NextThing(msgspec.Struct, frozen=True):
    """What the clock will do next to a customer."""

    at: datetime
    event: str
    says: Text


class CustomerRow(msgspec.Struct, frozen=True):
    """A customer in a list: what one sees at a glance."""

    ref: str
    company: str
    email: str
    country: str
    vip_number: str
    anniversary: date | None
    segment: str
    managed_by: str
    manager: str
    """The manager's name; the e-mail of one who left."""
    invitation: str
    invitation_label: Text
    membership: str
    membership_label: Text
    pending: int
    late: int
    licences: int
    lists: tuple[ListName, ...]
    next: NextThing | None


class ListCount(msgspec.Struct, frozen=True):
    """A list and how many customers stand in it; `name` None is all of them."""

    name: ListName | None
    label: Text
    count: int


class Customers(msgspec.Struct, frozen=True):
    """A page of customers, and the counts of all lists under the same filters."""

    items: tuple[CustomerRow, ...]
    counts: tuple[ListCount, ...]
    next: str | None = None


ALL = Text("Tous", "All")


def list_customers(
    installation: Installation,
    who: Who,
    *,
    list: str | None = None,
    mine: bool = False,
    managed_by: str | None = None,
    search: str | None = None,
    segment: str | None = None,
    invitation: str | None = None,
    membership: str | None = None,
    sort: str = "name",
    after: str | None = None,
    most: int = PAGE,
) -> Customers:
    """Customers in order of name, or of anniversary date.

    `mine`: those the asker manages. `search`: all its words in the name; or a reference, the beginning of a VIP, PO
    or Adobe order number, part of an e-mail address. Raises BadInput for a filter that does not exist.
    """
    _check(list, [each.name for each in LISTS], "the list")
    _check(segment, get_args(Segment), "the segment")
    _check(invitation, installation.workflows["invitation"].states, "the invitation status")
    _check(membership, installation.workflows["membership"].states, "the membership status")
    _check(sort, get_args(Sort), "the order")
    if not 1 <= most <= PAGE_AT_MOST:
        raise BadInput("the page", f"{most} rows", f"ask for 1 to {PAGE_AT_MOST}")
    wanted = Wanted(list, whose(who, mine, managed_by), segment, invitation, membership, *_searched(search))
    place = Place(*parts_of(after, 2)) if after is not None else None
    with installation.database.read() as connection:
        rows = reading.customers_page(
            connection, who.tenant, wanted, most + 1, place, "anniversary" if sort == "anniversary" else "name"
        )
        counts = reading.count_customers(connection, who.tenant, wanted)
        names = {member.email: member.name for member in team_members(connection, who.tenant)}
    shown = rows[:most]
    return Customers(
        tuple(customer_row(installation, row, names) for row in shown),
        (ListCount(None, ALL, counts["all"]), *(ListCount(each.name, each.label, counts[each.name]) for each in LISTS)),
        _after(shown[-1], sort) if len(rows) > most else None,
    )


def customer_row(installation: Installation, row: Any, names: dict[str, str]) -> CustomerRow:
    """A summary as people read it; `names` holds the team by e-mail."""
    workflows = installation.workflows
    coming = None
    if row.next_due is not None and row.next_event:
        coming = NextThing(row.next_due, row.next_event, event_label(row.next_event))
    return CustomerRow(
        ref=row.ref,
        company=row.name,
        email=row.email or "",
        country=row.country or "",
        vip_number=row.vip_number or "",
        anniversary=row.anniversary,
        segment=row.segment or "",
        managed_by=row.owner or "",
        manager=names.get(row.owner, row.owner or ""),
        invitation=row.invitation_state or "",
        invitation_label=state_label(workflows, "invitation", row.invitation_state or ""),
        membership=row.membership_state or "",
        membership_label=state_label(workflows, "membership", row.membership_state or ""),
        pending=row.pending_count,
        late=row.late_count,
        licences=row.licence_count,
        lists=tuple(each.name for each in LISTS if getattr(row, f"in_{each.name}")),
        next=coming,
    )


def whose(who: Who, mine: bool, managed_by: str | None) -> str | None:
    """The e-mail that "managed by me" means, or the manager asked for; None for everybody's customers."""
    if not mine:
        return managed_by
    if who.actor is None:
        raise BadInput("“managed by me”", "nobody said who you are", "name yourself: --as EMAIL, or VIPFLOW_AS")
    return who.actor


def _searched(search: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of a search, and what it may be as a whole."""
    typed = (search or "").strip()
    if not typed:
        return (), ()
    return tuple(folded(typed).split()), tuple(dict.fromkeys((typed, as_typed(typed), typed.upper(), typed.lower())))


def _check(given: str | None, valid: Any, what: str) -> None:
    if given is not None and given not in valid:
        raise BadInput(what, f"there is no {given!r}{did_you_mean(given, valid)}", f"choose {', '.join(valid)}")


def _after(row: Any, sort: str) -> str:
    if sort == "name":
        return cursor_of((row.name_folded, row.ref))
    return cursor_of((row.anniversary.isoformat() if row.anniversary is not None else None, row.ref))
