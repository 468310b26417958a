"""What an import says of customers that are there: those that a line looks like, and in what a line differs from them.

The rule for look-alikes is that of invitations: the same name, or an address in the same domain, in the same country.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection

from vipflow.operations.importdrafts import Draft
from vipflow.operations.installation import Installation
from vipflow.operations.memberfiles import SAID_BY
from vipflow.operations.rows import facts_of
from vipflow.operations.who import Who
from vipflow.store import reading, work
from vipflow.vip.customers import company_domain, folded, provisional_number
from vipflow.vip.records import Customer, Membership, quantities_of

_AT_MOST: Final = 2000
"""So many customers of one name or domain are looked at for a batch: more would all be alike."""


class Alike(msgspec.Struct, frozen=True):
    """What a line looks like: a customer, or an earlier line of the file. `why`: what they have in common; `remedy`:
    what to do where it is the same.
    """

    why: str
    company: str
    customer: str | None = None
    line: int | None = None
    remedy: str | None = None


class Difference(msgspec.Struct, frozen=True):
    """What a line says otherwise than is known; `remedy`: how it is changed, if it can be."""

    field: str
    known: str
    said: str
    remedy: str


# --- look-alikes ---------------------------------------------------------------------------------------------------


class _Marks(NamedTuple):
    name: tuple[str, str]
    domain: tuple[str, str] | None
    number: str


class Likeness:
    """Remembers the lines of a file as it goes, to tell what a later one looks like."""

    def __init__(self, who: Who) -> None:
        self._tenant = who.tenant
        self._lines: dict[object, tuple[int, str]] = {}

    def of(self, connection: Connection, drafts: Sequence[Draft]) -> list[tuple[Alike, ...]]:
        """What each of these customers, who would be new, looks like."""
        marks = [_marks(draft) for draft in drafts]
        rows = reading.alike(
            connection,
            self._tenant,
            [each.name[1] for each in marks],
            [each.domain[1] for each in marks if each.domain is not None],
            [],
            _AT_MOST,
        )
        by_name: dict[tuple[str, str], list[Any]] = {}
        by_domain: dict[tuple[str, str], list[Any]] = {}
        for row in rows:
            by_name.setdefault((row.country, row.name_folded), []).append(row)
            by_domain.setdefault((row.country, row.email_domain), []).append(row)
        spelt = [each for mark in marks for each in {mark.number.upper(), mark.number.lower()} if each]
        numbers = {row.value: row for row in reading.bearers(connection, self._tenant, "customers", spelt)}
        names = {row.ref: row.name for row in rows}
        found = []
        for draft, mark in zip(drafts, marks, strict=True):
            alike = [_customer(row, "the same name") for row in by_name.get(mark.name, ())]
            if mark.domain is not None:
                alike += [_customer(row, "the same e-mail domain") for row in by_domain.get(mark.domain, ())]
            for spelling in (mark.number.upper(), mark.number.lower()):
                row = numbers.get(spelling)
                if row is not None and spelling != mark.number:
                    why = f"almost the same VIP number, {spelling}"
                    alike.append(Alike(why, names.get(row.case_ref, ""), row.case_ref))
            alike += self._earlier(draft, mark)
            found.append(tuple({(each.customer, each.line): each for each in reversed(alike)}.values())[::-1][:5])
        return found

    def _earlier(self, draft: Draft, marks: _Marks) -> Iterable[Alike]:
        line = draft.lines[0]
        kinds = (
            (marks.name, "the same name"),
            (marks.domain, "the same e-mail domain"),
            (marks.number.upper() or None, "almost the same VIP number"),
        )
        for mark, why in kinds:
            if mark is not None:
                before = self._lines.setdefault(mark, (line, draft.company))
                if before[0] != line:
                    yield Alike(why, before[1], None, before[0])


def _marks(draft: Draft) -> _Marks:
    data = draft.envelope.data if draft.envelope is not None else None
    country = data.country if data is not None else ""
    domain = company_domain(draft.email)
    return _Marks((country, folded(draft.company)), (country, domain) if domain else None, draft.vip_number)


def _customer(row: Any, why: str) -> Alike:
    """One that waits for Adobe's number may well be the same."""
    waits = (row.vip_number or "").startswith(provisional_number("C-"))
    remedy = f"if it is the same, record its number instead: vipflow customer vip-number {row.ref} NUMBER"
    return Alike(why, row.name, row.ref, None, remedy if waits else None)


# --- differences ---------------------------------------------------------------------------------------------------

_FIXED: Final = "it cannot change after the invitation (a rule of the VIP programme)"
_REMEDIES: Final[Mapping[str, str]] = {
    "contact": _FIXED + "; a new person gets copies: vipflow customer recipients {ref} --add",
    "owner": "vipflow customer assign {ref} --to EMAIL",
    "recipients": "vipflow customer recipients {ref} --add, --remove",
    "offer_types": "vipflow customer offer-type {ref} TYPE adds one",
    "anniversary": "orders and renewals move it",
    "anchor_day": "orders and renewals move it",
    "licences": "orders, returns and renewals change them: vipflow order place --customer {ref}",
    "renewed": "renewals change them: vipflow renewal order {ref}",
}


def differences(installation: Installation, connection: Connection, who: Who, known: Mapping[str, Draft]) -> Any:
    """In what these drafts, by the reference of their customer, differ from it: tuples of `Difference`, by reference.

    Only what the table says itself is compared, and only what customers keep; what is open with them moves on.
    """
    refs = list(known)
    customers = {row.ref: facts_of(installation, row) for row in reading.cases_by_ref(connection, who.tenant, refs)}
    memberships = {
        row.subject: facts_of(installation, row)
        for row in work.live_cases(connection, who.tenant, refs)
        if row.workflow == "membership"
    }
    return {
        ref: tuple(_differences(ref, draft, customers[ref], memberships.get(ref)))
        for ref, draft in known.items()
        if ref in customers
    }


def _differences(ref: str, draft: Draft, customer: Customer, membership: Membership | None) -> Iterable[Difference]:
    if draft.envelope is None:
        return
    said = draft.envelope.data
    for field in said.__struct_fields__:
        if field not in _COMPARED or not any(name in draft.cells for name in SAID_BY.get(field, (field,))):
            continue
        theirs = _COMPARED[field](getattr(said, field))
        if field in _OF_THE_MEMBERSHIP:
            ours = _COMPARED[field](getattr(membership, field)) if membership is not None else theirs
        else:
            ours = _COMPARED[field](getattr(customer, field))
        if theirs != ours:
            yield Difference(field, _told(ours), _told(theirs), _REMEDIES.get(field, _FIXED).format(ref=ref))


def _plain(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _person(value: Any) -> str:
    return f"{value.name.strip()} <{value.email}>"


def _quantities(lines: Any) -> frozenset[tuple[str, int]]:
    return frozenset(quantities_of(lines).items())


_OF_THE_MEMBERSHIP: Final = ("anniversary", "anchor_day", "licences", "renewed")
_COMPARED: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(
        ("vip_number", "company", "segment", "country", "address", "city", "postal_code", "region", "language"), _plain
    ),
    "contact": _person,
    "owner": lambda value: value.lower() if value else value,
    "recipients": lambda value: frozenset(map(_person, value)),
    "offer_types": frozenset,
    "anniversary": _plain,
    "anchor_day": _plain,
    "licences": _quantities,
    "renewed": _quantities,
}


def _told(value: Any) -> str:
    if value is None or value in (frozenset(), ""):
        return "nothing"
    if isinstance(value, frozenset):
        return ", ".join(sorted(f"{each[1]} × {each[0]}" if isinstance(each, tuple) else str(each) for each in value))
    return str(value)
