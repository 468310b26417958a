"""What pages ask of the database: customers in lists with counts, search, and their cases.

Each question is one statement for both databases. Pages go by key: a page begins after the last row of the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    union,
)

from vipflow.store.tables import LISTS, cases, names, subjects
from vipflow.store.types import any_of

Rows = Sequence[Any]
Sort = Literal["name", "anniversary"]

_tenant: BindParameter[int] = bindparam("tenant")
_LAST = "\U0010ffff"
"""Behind everything that begins with what stands before it, in order of code points."""

_SUMMARY = (
    subjects.c.ref,
    subjects.c.name,
    subjects.c.name_folded,
    subjects.c.email,
    subjects.c.country,
    subjects.c.vip_number,
    subjects.c.segment,
    subjects.c.anniversary,
    subjects.c.owner,
    subjects.c.invitation_state,
    subjects.c.membership_state,
    subjects.c.pending_count,
    subjects.c.late_count,
    subjects.c.licence_count,
    *(subjects.c[f"in_{name}"] for name in LISTS),
    subjects.c.next_due,
    subjects.c.next_event,
    subjects.c.sequence,
)
_CASE = (
    cases.c.ref,
    cases.c.subject,
    cases.c.workflow,
    cases.c.state,
    cases.c.settled,
    cases.c.facts,
    cases.c.facts_version,
    cases.c.policy,
    cases.c.since,
    cases.c.opened_at,
)


# --- customers -----------------------------------------------------------------------------------------------------


class Wanted(NamedTuple):
    """Which customers. None leaves a question open; `words` and `exact` come from one search (see `search_words`)."""

    list: str | None = None
    owner: str | None = None
    segment: str | None = None
    invitation_state: str | None = None
    membership_state: str | None = None
    words: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()


class Place(NamedTuple):
    """Where a page ended: the sorted value and the reference of its last row."""

    value: str | None
    ref: str


def customers_page(
    connection: Connection, tenant: int, wanted: Wanted, most: int, after: Place | None = None, sort: Sort = "name"
) -> Rows:
    """Up to `most` customers after `after`, sorted by folded name or by anniversary date (those without one last)."""
    asked: dict[str, Any] = {"tenant": tenant}
    statement = select(*_SUMMARY).where(*_customers(wanted, asked))
    if sort == "anniversary":
        statement = _sorted_by_anniversary(statement, after, asked)
    else:
        if after is not None:
            asked |= {"after": after.value or "", "after_ref": after.ref}
            key = tuple_(subjects.c.name_folded, subjects.c.ref)
            statement = statement.where(key > tuple_(bindparam("after"), bindparam("after_ref")))
        statement = statement.order_by(subjects.c.name_folded, subjects.c.ref)
    return connection.execute(statement.limit(bindparam("most")), {**asked, "most": most}).all()


def count_customers(connection: Connection, tenant: int, wanted: Wanted) -> dict[str, int]:
    """How many of the customers wanted there are: under `all`, and of these how many stand in each list.

    `wanted.list` is not looked at. Each list is counted through its own index where nothing else is asked.
    """
    asked: dict[str, Any] = {"tenant": tenant}
    conditions = _customers(wanted._replace(list=None), asked)
    count = select(func.count()).select_from(subjects).where(*conditions)
    if len(conditions) == 1:
        columns = [count.scalar_subquery().label("all")]
        columns += [count.where(_stands_in(name)).scalar_subquery().label(name) for name in LISTS]
        statement: Select[Any] = select(*columns)
    else:  # one walk through those that are left
        sums = [func.coalesce(func.sum(case((_stands_in(name), 1), else_=0)), 0).label(name) for name in LISTS]
        statement = select(func.count().label("all"), *sums).where(*conditions)
    return dict(connection.execute(statement, asked).one()._mapping)


def customer_row(connection: Connection, tenant: int, ref: str) -> Any | None:
    """The summary of one customer."""
    return connection.execute(_customer, {"tenant": tenant, "ref": ref}).one_or_none()


_customer = select(*_SUMMARY).where(subjects.c.tenant == _tenant, subjects.c.ref == bindparam("ref"))


def customers_with_email(connection: Connection, tenant: int, email: str) -> Rows:
    """Customers whose contact has this address, however it is capitalised."""
    return connection.execute(_with_email, {"tenant": tenant, "email": email.lower()}).all()


_with_email = select(*_SUMMARY).where(subjects.c.tenant == _tenant, func.lower(subjects.c.email) == bindparam("email"))


def customers_by_ref(connection: Connection, tenant: int, refs: Sequence[str]) -> Rows:
    """The summaries of these customers, in order of name."""
    return connection.execute(_by_ref, {"tenant": tenant, "refs": list(refs)}).all()


_by_ref = (
    select(*_SUMMARY)
    .where(subjects.c.tenant == _tenant, any_of(subjects.c.ref, "refs"))
    .order_by(subjects.c.name_folded, subjects.c.ref)
)


def look_alikes(
    connection: Connection, tenant: int, country: str, folded: str, domain: str | None, most: int = 10
) -> Rows:
    """Customers of the country with the same folded name or, where `domain` is given, an address in that domain."""
    asked = {"tenant": tenant, "country": country, "folded": folded, "domain": domain, "most": most}
    rows = list(connection.execute(_namesakes, asked).all())
    if domain is not None:
        known = {row.ref for row in rows}
        rows += [row for row in connection.execute(_of_domain, asked).all() if row.ref not in known]
    return sorted(rows, key=lambda row: (str(row.name_folded), str(row.ref)))[:most]


_of_the_country = and_(subjects.c.tenant == _tenant, subjects.c.country == bindparam("country"))
_namesakes = (
    select(*_SUMMARY).where(_of_the_country, subjects.c.name_folded == bindparam("folded")).limit(bindparam("most"))
)
_of_domain = (
    select(*_SUMMARY).where(_of_the_country, subjects.c.email_domain == bindparam("domain")).limit(bindparam("most"))
)


def alike(
    connection: Connection, tenant: int, names: Sequence[str], domains: Sequence[str], emails: Sequence[str], most: int
) -> Rows:
    """Customers with one of these folded names, domains or whole addresses (small letters), with their `email_domain`:
    the look-alikes of many at once. Of each of the three kinds up to `most`.
    """
    found: dict[str, Any] = {}
    for statement, values in ((_named_alike, names), (_domain_alike, domains), (_email_alike, emails)):
        if values:
            asked = {"tenant": tenant, "values": list(values), "most": most}
            found |= {row.ref: row for row in connection.execute(statement, asked)}
    return list(found.values())


_any_alike = select(*_SUMMARY, subjects.c.email_domain).where(subjects.c.tenant == _tenant)
_named_alike = _any_alike.where(any_of(subjects.c.name_folded, "values")).limit(bindparam("most"))
_domain_alike = _any_alike.where(any_of(subjects.c.email_domain, "values")).limit(bindparam("most"))
_email_alike = _any_alike.where(any_of(func.lower(subjects.c.email, type_=subjects.c.email.type), "values")).limit(
    bindparam("most")
)


def bearers(connection: Connection, tenant: int, collection: str, values: Sequence[str]) -> Rows:
    """(value, case_ref, subject, kind) of the cases of a collection that bear one of these names."""
    asked = {"tenant": tenant, "collection": collection, "values": list(values)}
    return connection.execute(_bearers, asked).all()


_bearers = (
    select(names.c.value, names.c.case_ref, names.c.subject, names.c.kind)
    .where(names.c.tenant == _tenant, names.c.collection == bindparam("collection"), any_of(names.c.value, "values"))
    .order_by(names.c.case_ref)
)


def own_references(connection: Connection, tenant: int) -> dict[str, str]:
    """The sender's own reference of each customer that has one: one walk through all names."""
    return {row.case_ref: row.value for row in connection.execute(_own_references, {"tenant": tenant})}


_own_references = select(names.c.case_ref, names.c.value).where(
    names.c.tenant == _tenant, names.c.collection == "customers", names.c.kind == "sender"
)


def _stands_in(name: str) -> ColumnElement[bool]:
    """Said as the list's own index says it: SQLite takes `in_late = 1` for something else than `in_late`."""
    if name not in LISTS:
        raise ValueError(f"there is no list {name!r}")
    return literal_column(f"subjects.in_{name}")


def _customers(wanted: Wanted, asked: dict[str, Any]) -> list[ColumnElement[bool]]:
    """The conditions; their values go into `asked`."""
    conditions: list[ColumnElement[bool]] = [subjects.c.tenant == _tenant]
    if wanted.list is not None:
        conditions.append(_stands_in(wanted.list))
    for name in ("owner", "segment", "invitation_state", "membership_state"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(subjects.c[name] == bindparam(name))
            asked[name] = value
    if wanted.words or wanted.exact:
        conditions.append(_found_by(wanted, asked))
    return conditions


def _found_by(wanted: Wanted, asked: dict[str, Any]) -> ColumnElement[bool]:
    """All words in the name; or what was typed in the e-mail, or as a name that the customer or a case of it bears."""
    ways: list[ColumnElement[bool]] = []
    if wanted.words:
        asked |= {f"word{at}": _plainly(word) for at, word in enumerate(wanted.words)}
        ways.append(
            and_(
                *(
                    subjects.c.name_folded.contains(bindparam(f"word{at}"), escape="/")
                    for at in range(len(wanted.words))
                )
            )
        )
    if wanted.exact:
        asked |= {"exact": list(wanted.exact), "typed": _plainly(wanted.exact[0].lower()), "from": wanted.exact[0]}
        asked["before"] = wanted.exact[0] + _LAST
        ways.append(func.lower(subjects.c.email).contains(bindparam("typed"), escape="/"))
        ways.append(any_of(subjects.c.ref, "exact"))
        bearing = select(names.c.subject).where(
            names.c.tenant == _tenant,
            or_(
                any_of(names.c.value, "exact"),
                and_(names.c.value >= bindparam("from"), names.c.value < bindparam("before")),
            ),
        )
        ways.append(subjects.c.ref.in_(bearing))
        of_a_case = select(cases.c.subject).where(cases.c.tenant == _tenant, any_of(cases.c.ref, "exact"))
        ways.append(subjects.c.ref.in_(of_a_case))
    return or_(*ways)


def _plainly(text: str) -> str:
    """For LIKE: its signs mean themselves."""
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")


def _sorted_by_anniversary(statement: Select[Any], after: Place | None, asked: dict[str, Any]) -> Select[Any]:
    without = subjects.c.anniversary.is_(None)
    if after is not None:
        asked |= {"after_ref": after.ref}
        later = and_(without, subjects.c.ref > bindparam("after_ref"))
        if after.value is not None:
            asked |= {"after": date.fromisoformat(after.value)}
            same = and_(subjects.c.anniversary == bindparam("after"), subjects.c.ref > bindparam("after_ref"))
            later = or_(subjects.c.anniversary > bindparam("after"), same, without)
        statement = statement.where(later)
    return statement.order_by(without, subjects.c.anniversary, subjects.c.ref)


# --- cases ---------------------------------------------------------------------------------------------------------


class WantedCases(NamedTuple):
    """Which cases of a workflow. `list` narrows to customers in that list, `subject` to one customer."""

    workflow: str
    states: tuple[str, ...] = ()
    subject: str | None = None
    owner: str | None = None
    lists: tuple[str, ...] = ()


class CasePlace(NamedTuple):
    """Where a page of cases ended."""

    name: str
    subject: str
    ref: str


def cases_page(
    connection: Connection, tenant: int, wanted: WantedCases, most: int, after: CasePlace | None = None
) -> Rows:
    """Up to `most` cases with name and VIP number of their customer, customer by customer in order of name."""
    if wanted.subject is not None:
        return _cases_of_one(connection, tenant, wanted, most, after)
    place = after if after is not None else CasePlace("", "", "")
    asked: dict[str, Any] = {"tenant": tenant, "workflow": wanted.workflow, "most": most}
    asked |= {"after": place.name, "after_subject": place.subject, "after_ref": place.ref}
    key = tuple_(subjects.c.name_folded, subjects.c.ref, cases.c.ref)
    behind = tuple_(bindparam("after"), bindparam("after_subject"), bindparam("after_ref"))
    statement = _cases_with_customer.where(cases.c.workflow == bindparam("workflow"), key > behind)
    if wanted.states:
        asked["states"] = list(wanted.states)
        statement = statement.where(any_of(cases.c.state, "states"))
    if wanted.owner is not None:
        asked["owner"] = wanted.owner
        statement = statement.where(subjects.c.owner == bindparam("owner"))
    if wanted.lists:
        members = [
            select(subjects.c.ref).where(subjects.c.tenant == _tenant, _stands_in(each)) for each in wanted.lists
        ]
        statement = statement.where(cases.c.subject.in_(union(*members)))
    statement = statement.order_by(subjects.c.name_folded, subjects.c.ref, cases.c.ref).limit(bindparam("most"))
    return connection.execute(statement, asked).all()


def _cases_of_one(connection: Connection, tenant: int, wanted: WantedCases, most: int, after: CasePlace | None) -> Rows:
    """Of one customer: few enough to sort here."""
    statement = _cases_with_customer.where(cases.c.subject == bindparam("subject"))
    rows = connection.execute(statement, {"tenant": tenant, "subject": wanted.subject}).all()
    found = [
        row
        for row in rows
        if row.workflow == wanted.workflow
        and (not wanted.states or row.state in wanted.states)
        and (wanted.owner is None or row.owner == wanted.owner)
        and (after is None or row.ref > after.ref)
    ]
    return sorted(found, key=lambda row: str(row.ref))[:most]


_cases_with_customer = (
    select(*_CASE, subjects.c.name, subjects.c.name_folded, subjects.c.vip_number, subjects.c.owner)
    .select_from(cases.join(subjects, and_(subjects.c.tenant == cases.c.tenant, subjects.c.ref == cases.c.subject)))
    .where(subjects.c.tenant == _tenant)
)


def cases_by_ref(connection: Connection, tenant: int, refs: Sequence[str]) -> Rows:
    """The cases with these references."""
    return connection.execute(_cases_by_ref, {"tenant": tenant, "refs": list(refs)}).all()


_cases_by_ref = select(*_CASE).where(cases.c.tenant == _tenant, any_of(cases.c.ref, "refs")).order_by(cases.c.ref)


def cases_of_customer(connection: Connection, tenant: int, subject: str) -> Rows:
    """Every case of a customer, settled ones too, oldest first."""
    return connection.execute(_of_customer, {"tenant": tenant, "subject": subject}).all()


_of_customer = (
    select(*_CASE)
    .where(cases.c.tenant == _tenant, cases.c.subject == bindparam("subject"))
    .order_by(cases.c.opened_at, cases.c.ref)
)
