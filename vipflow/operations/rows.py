"""Cases as rows of lists and of a customer's page: what authorizations, orders and returns show of themselves."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec

from vipflow.errors import BadInput
from vipflow.facts import decode_facts
from vipflow.operations.installation import Installation
from vipflow.operations.products import ProductLine, named_lines
from vipflow.operations.words import case_label
from vipflow.store.reading import CasePlace
from vipflow.workflow import Text


class AuthorizationRow(msgspec.Struct, frozen=True):
    """A purchase authorization. `label`: what people call its state; `confirmed`: Adobe reported the deactivation."""

    ref: str
    customer: str
    company: str
    state: str
    label: Text
    since: datetime
    po_number: str | None
    lines: tuple[ProductLine, ...]
    created_on: date
    by_customer: bool
    due_on: date | None
    suspended_from: date | None
    expires_at: datetime | None
    promised_until: date | None
    customer_paid_on: date | None
    order: str | None
    paid_on: date | None
    confirmed: bool
    can_be_cancelled: bool


class OrderRow(msgspec.Struct, frozen=True):
    """What was placed with Adobe, less what was returned of it."""

    ref: str
    customer: str
    company: str
    kind: str
    state: str
    label: Text
    since: datetime
    order_number: str | None
    authorizations: tuple[str, ...]
    lines: tuple[ProductLine, ...]
    placed_on: date
    accepted_on: date | None
    return_until: date | None
    explanation: str | None


class ReturnRow(msgspec.Struct, frozen=True):
    """A return authorization asked of Adobe."""

    ref: str
    customer: str
    company: str
    state: str
    label: Text
    since: datetime
    order: str | None
    authorization: str | None
    order_number: str | None
    lines: tuple[ProductLine, ...]
    requested_on: date
    decided_on: date | None
    explanation: str | None


Item = TypeVar("Item")


class Page(msgspec.Struct, frozen=True):
    """Some rows of a list. `next`: where the following page begins; None on the last."""

    items: tuple[Any, ...]
    next: str | None = None


def facts_of(installation: Installation, row: Any) -> Any:
    """The facts of a case's row."""
    return decode_facts(installation.workflows[row.workflow].facts, row.facts, row.facts_version)


def authorization_row(installation: Installation, row: Any, company: str) -> AuthorizationRow:
    facts = facts_of(installation, row)
    return AuthorizationRow(
        **_common(installation, row, company),
        po_number=facts.po_number,
        lines=named_lines(installation.catalogue, facts.lines),
        created_on=facts.created_on,
        by_customer=facts.by_customer,
        due_on=facts.due_on,
        suspended_from=facts.suspended_from,
        expires_at=facts.expires_at,
        promised_until=facts.promised_until,
        customer_paid_on=facts.customer_paid_on,
        order=facts.order or None,
        paid_on=facts.paid_on,
        confirmed=facts.deactivated_on is not None,
        can_be_cancelled=row.state == "pending",
    )


def order_row(installation: Installation, row: Any, company: str) -> OrderRow:
    facts = facts_of(installation, row)
    return OrderRow(
        **_common(installation, row, company),
        kind=facts.kind,
        order_number=facts.order_number,
        authorizations=facts.authorizations,
        lines=named_lines(installation.catalogue, facts.lines),
        placed_on=facts.placed_on,
        accepted_on=facts.accepted_on,
        return_until=facts.return_until,
        explanation=facts.explanation,
    )


def return_row(installation: Installation, row: Any, company: str) -> ReturnRow:
    facts = facts_of(installation, row)
    return ReturnRow(
        **_common(installation, row, company),
        order=facts.order,
        authorization=facts.authorization,
        order_number=facts.order_number,
        lines=named_lines(installation.catalogue, facts.lines),
        requested_on=facts.requested_on,
        decided_on=facts.decided_on,
        explanation=facts.explanation,
    )


def _common(installation: Installation, row: Any, company: str) -> Mapping[str, Any]:
    return {
        "ref": row.ref,
        "customer": row.subject,
        "company": company,
        "state": row.state,
        "label": case_label(installation.workflows, row.workflow, row.state, facts_of(installation, row)),
        "since": row.since,
    }


# --- cursors -------------------------------------------------------------------------------------------------------


def page_of(items: Iterable[Item], place: Callable[[Item], tuple[str, ...]], after: str | None, most: int) -> Page:
    """Of what was made here the first `most` in order of `place`, or those behind the cursor, whose own may be gone.

    Raises BadInput for a cursor of another list.
    """
    ordered = sorted(items, key=place)
    if after is not None and ordered:
        behind = tuple(part or "" for part in parts_of(after, len(place(ordered[0]))))
        ordered = [item for item in ordered if place(item) > behind]
    shown = tuple(ordered[:most])
    return Page(shown, cursor_of(place(shown[-1])) if len(ordered) > most else None)


def after_case(row: Any) -> str:
    """The cursor behind a row of `cases_page`."""
    return cursor_of(CasePlace(row.name_folded, row.subject, row.ref))


def case_place(cursor: str | None) -> CasePlace | None:
    """Where a cursor of `after_case` points. Raises BadInput for another text."""
    return None if cursor is None else CasePlace(*parts_of(cursor, 3))


def cursor_of(parts: tuple[str | None, ...]) -> str:
    """A cursor: opaque, safe in a URL and on a command line."""
    return urlsafe_b64encode(msgspec.json.encode(list(parts))).decode().rstrip("=")


def parts_of(cursor: str, count: int) -> list[Any]:
    """What a cursor holds."""
    try:
        found = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[str | None])
    except (ValueError, msgspec.MsgspecError) as wrong:
        raise _not_ours(cursor) from wrong
    if len(found) != count:
        raise _not_ours(cursor)
    return found


def _not_ours(cursor: str) -> BadInput:
    return BadInput(f"the cursor {cursor!r}", "no page ends there", "take it from `next` of the page before, as it is")
