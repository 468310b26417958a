"""Customers as a table that `vipflow customer import` reads again: what an installation knows of each, in one row.

Members come in as they are: their year, their licences, what is open with them. What is past stays behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from vipflow.operations.customer_lists import PAGE_AT_MOST, CustomerRow, list_customers
from vipflow.operations.installation import Installation
from vipflow.operations.rows import facts_of
from vipflow.operations.who import Who
from vipflow.store import reading, work
from vipflow.vip.licences import LIVE_AUTHORIZATIONS
from vipflow.vip.records import Authorization, Customer, Lines, Membership, Recipient
from vipflow.workflow import Text


class CustomerSheet(msgspec.Struct, frozen=True):
    """A customer as its table has it. Up to `invitation` the import reads it; what follows says how things stand."""

    vip_number: str
    company: str
    segment: str
    address: str
    postal_code: str | None
    city: str
    region: str | None
    country: str
    contact_name: str
    contact_email: str
    language: str
    offer_types: tuple[str, ...]
    anniversary: date | None
    anchor_day: int | None
    licences: Lines
    renewed: Lines
    authorizations: str
    """What is open with it, as `customer.adopt` takes it: JSON."""
    owner: str
    recipients: tuple[Recipient, ...]
    reference: str | None
    """The reseller's own."""
    invitation: str
    ref: str
    manager: str
    membership: str
    pending: int
    late: int
    licence_count: int
    lists: tuple[str, ...]
    next_at: datetime | None
    next_event: str | None
    next_says: Text | None


def customer_sheets(
    installation: Installation, who: Who, *, after: str | None, **which: Any
) -> Iterator[CustomerSheet]:
    """The customers that `list_customers` finds, all its pages, in its order; `which` are its filters.

    Read page by page: whoever changes meanwhile is told as it is when its page is read.
    """
    with installation.database.read() as connection:
        references = reading.own_references(connection, who.tenant)
    while True:
        page = list_customers(installation, who, after=after, most=PAGE_AT_MOST, **which)
        with installation.database.read() as connection:
            yield from _sheets(installation, connection, who, page.items, references)
        if page.next is None:
            return
        after = page.next


def _sheets(
    installation: Installation,
    connection: Connection,
    who: Who,
    rows: Sequence[CustomerRow],
    references: Mapping[str, str],
) -> Iterator[CustomerSheet]:
    refs = [row.ref for row in rows]
    customers = {row.ref: facts_of(installation, row) for row in reading.cases_by_ref(connection, who.tenant, refs)}
    live: dict[str, list[Any]] = {}
    for case in work.live_cases(connection, who.tenant, refs):
        live.setdefault(case.subject, []).append(case)
    for row in rows:
        customer: Customer = customers[row.ref]
        cases = live.get(row.ref, [])
        membership: Membership | None = next(
            (facts_of(installation, case) for case in cases if case.workflow == "membership"), None
        )
        runs = membership is not None and row.membership != "expired"
        anniversary = membership.anniversary if membership is not None else None
        anchor = membership.anchor_day if membership is not None else None
        yield CustomerSheet(
            vip_number=customer.vip_number,
            company=customer.company,
            segment=customer.segment,
            address=customer.address,
            postal_code=customer.postal_code,
            city=customer.city,
            region=customer.region,
            country=customer.country,
            contact_name=customer.contact.name,
            contact_email=customer.contact.email,
            language=customer.language,
            offer_types=customer.offer_types,
            anniversary=anniversary,
            anchor_day=anchor if anniversary is not None and anchor != anniversary.day else None,
            licences=membership.licences if membership is not None and runs else (),
            renewed=membership.renewed if membership is not None and runs else (),
            authorizations=_open_ones(installation, cases),
            owner=customer.owner,
            recipients=customer.recipients,
            reference=references.get(row.ref),
            invitation=row.invitation,
            ref=row.ref,
            manager=row.manager,
            membership=row.membership,
            pending=row.pending,
            late=row.late,
            licence_count=row.licences,
            lists=row.lists,
            next_at=row.next.at if row.next is not None else None,
            next_event=row.next.event if row.next is not None else None,
            next_says=row.next.says if row.next is not None else None,
        )


def _open_ones(installation: Installation, cases: Sequence[Any]) -> str:
    """The authorizations that still ask for something; "" where there is none."""
    numbers = {case.ref: facts_of(installation, case).order_number for case in cases if case.workflow == "order"}
    found = []
    for case in cases:
        if case.workflow == "purchase_authorization" and case.state in LIVE_AUTHORIZATIONS:
            facts: Authorization = facts_of(installation, case)
            one = {
                "lines": facts.lines,
                "created_on": facts.created_on,
                "po_number": facts.po_number,
                "due_on": facts.due_on,
                "ordered": case.state == "ordered" or None,
                "order_number": numbers.get(facts.order or ""),
            }
            found.append({name: value for name, value in one.items() if value is not None})
    return msgspec.json.encode(found).decode() if found else ""
