"""What `verify` asks: pages of customers with all that is theirs, and whole tables held against each other.

Nothing here needs memory that grows with the database: pages are bounded by their first and last customer, whole tables
are streamed, and what is looked for there is what should not be found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    Table,
    Text,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    text,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError

from vipflow.store.tables import (
    audit,
    cases,
    history,
    inbox,
    incidents,
    messages,
    names,
    subjects,
    team,
    tenants,
    timers,
)
from vipflow.store.types import any_of
from vipflow.store.work import Rows

STREAMED = 500
"""Rows held at once of a table that is read whole."""

_tenant: BindParameter[int] = bindparam("tenant")


def _of_page(table: Table) -> ColumnElement[bool]:
    """The rows of the customers after one and up to another. A range, so that each page costs what it holds."""
    subject = table.c.subject
    return and_(table.c.tenant == _tenant, subject > bindparam("after"), subject <= bindparam("upto"))


_page = (
    select(subjects)
    .where(subjects.c.tenant == _tenant, subjects.c.ref > bindparam("after"))
    .order_by(subjects.c.ref)
    .limit(bindparam("most"))
)
instants_as_stored = tuple(
    type_coerce(history.c[name], Text).label(f"{name}_stored") for name in ("effective_at", "recorded_at")
)
"""Another spelling of the same instant is a change too."""
_history = (
    select(history, *instants_as_stored, inbox.c.verdict.label("inbox_verdict"))
    .outerjoin(
        inbox,
        and_(
            inbox.c.tenant == history.c.tenant,
            inbox.c.source == history.c.source,
            inbox.c.event_id == history.c.event_id,
        ),
    )
    .where(_of_page(history))
    .order_by(history.c.subject, history.c.sequence)
)
_chains = select(history, *instants_as_stored).where(_of_page(history)).order_by(history.c.subject, history.c.sequence)
_whose_is_nobody = (
    select(history.c.tenant, history.c.subject, func.count().label("rows"))
    .outerjoin(subjects, and_(subjects.c.tenant == history.c.tenant, subjects.c.ref == history.c.subject))
    .where(subjects.c.ref.is_(None))
    .group_by(history.c.tenant, history.c.subject)
)
_cases = select(cases).where(_of_page(cases)).order_by(cases.c.subject, cases.c.ref)
_timers = select(timers).where(_of_page(timers)).order_by(timers.c.subject, timers.c.case_ref, timers.c.name)
_messages = (
    select(*(column for column in messages.c if column.name not in ("person", "context", "body")))
    .where(_of_page(messages))
    .order_by(messages.c.subject, messages.c.key)
)
_names = select(names).where(names.c.tenant == _tenant, any_of(names.c.value, "values"))
_all_names = select(names).where(names.c.tenant == _tenant)
_rows_of_case = (
    select(history)
    .where(history.c.tenant == _tenant, history.c.case_ref == bindparam("case"))
    .order_by(history.c.sequence)
)
_exclusive_twice = (
    select(names.c.tenant, names.c.collection, names.c.value, func.count().label("bearers"))
    .where(names.c.exclusive)
    .group_by(names.c.tenant, names.c.collection, names.c.value)
    .having(func.count() > 1)
)
_bodies = select(
    messages.c.tenant,
    messages.c.subject,
    messages.c.key,
    messages.c.content_hash,
    messages.c.message_id,
    messages.c.body,
).where(messages.c.body.is_not(None))


_lead = messages.alias("lead")
_digests_without_bytes = (
    select(messages.c.tenant, messages.c.subject, messages.c.key, messages.c.digest)
    .outerjoin(_lead, and_(_lead.c.tenant == messages.c.tenant, _lead.c.key == messages.c.digest))
    .where(
        messages.c.digest.is_not(None),
        or_(
            _lead.c.body.is_(None),
            _lead.c.message_id.is_distinct_from(messages.c.message_id),
            _lead.c.content_hash.is_distinct_from(messages.c.content_hash),
        ),
    )
)
# The cause of such an incident is message:<key>/<what>/<instant>: what stands between is the key.
_given_up = (
    select(
        incidents.c.tenant,
        incidents.c.subject,
        incidents.c.kind,
        incidents.c.opened_at,
        incidents.c.id.label("incident"),
        messages.c.key,
        messages.c.state,
    )
    .join(
        messages,
        and_(
            messages.c.tenant == incidents.c.tenant,
            messages.c.subject == incidents.c.subject,
            func.substr(incidents.c.cause, 1, func.length(messages.c.key) + 9)
            == literal("message:") + messages.c.key + literal("/"),
        ),
    )
    .where(
        any_of(incidents.c.kind, "kinds"),
        literal("mail_") + messages.c.state != incidents.c.kind,
    )
)
_acted = (
    select(func.count())
    .select_from(audit)
    .where(audit.c.tenant == _tenant, any_of(audit.c.target, "targets"), audit.c.at >= bindparam("since"))
)
_discarded_by_nobody = (
    select(messages.c.tenant, messages.c.subject, messages.c.key)
    .outerjoin(
        audit,
        and_(
            audit.c.tenant == messages.c.tenant,
            audit.c.target == messages.c.key,
            audit.c.act == literal("mail.discard"),
        ),
    )
    .where(messages.c.state == literal("discarded"), audit.c.position.is_(None))
)


def _escaped(column: Any) -> Any:
    """As the engine escapes a source and an id inside a cause."""
    return func.replace(func.replace(column, "%", "%25"), "/", "%2F")


_own_row = and_(
    history.c.tenant == inbox.c.tenant,
    history.c.cause == literal("event:") + _escaped(inbox.c.source) + literal("/") + _escaped(inbox.c.event_id),
    history.c.source == inbox.c.source,
    history.c.event_id == inbox.c.event_id,
)
_events = select(
    inbox.c.tenant,
    inbox.c.source,
    inbox.c.event_id,
    inbox.c.verdict,
    inbox.c.waiting_for,
    inbox.c.case_ref,
    inbox.c.subject_ref,
    inbox.c.sequence,
    inbox.c.body.is_not(None).label("has_body"),
    history.c.subject.label("history_subject"),
    history.c.case_ref.label("history_case"),
    history.c.sequence.label("history_sequence"),
).outerjoin(history, _own_row)
_causes_twice = (
    select(history.c.tenant, history.c.cause, func.count().label("times"))
    .group_by(history.c.tenant, history.c.cause)
    .having(func.count() > 1)
)
_tenants_with_subject = select(subjects.c.tenant).where(
    subjects.c.ref == bindparam("ref"), any_of(subjects.c.tenant, "ids")
)
_tenants_with_case = select(cases.c.tenant, cases.c.subject).where(
    cases.c.ref == bindparam("ref"), any_of(cases.c.tenant, "ids")
)

_OF_A_TENANT = (team, subjects, cases, timers, names, history, inbox, messages, incidents)
_strangers = {
    table.name: select(table.c.tenant, func.count().label("rows"))
    .outerjoin(tenants, tenants.c.id == table.c.tenant)
    .where(tenants.c.id.is_(None))
    .group_by(table.c.tenant)
    for table in _OF_A_TENANT
}


class Pointer(NamedTuple):
    """A row that names a customer or a case which its own tenant does not have, or not so."""

    table: str
    tenant: int
    key: str
    subject: str | None
    case_ref: str | None
    case_is_of: str | None
    """The customer that the case belongs to, where the tenant has the case."""


_KEYS: dict[str, ColumnElement[str]] = {
    "history": history.c.cause,
    "timers": timers.c.name,
    "names": names.c.value,
    "messages": messages.c.key,
    "incidents": incidents.c.id,
    "inbox": inbox.c.source + literal("/") + inbox.c.event_id,
    "cases": cases.c.ref,
}


def _to_nobody(table: Table, subject: ColumnElement[Any]) -> Any:
    return (
        select(table.c.tenant, _KEYS[table.name].label("key"), subject.label("subject"))
        .outerjoin(subjects, and_(subjects.c.tenant == table.c.tenant, subjects.c.ref == subject))
        .where(subject.is_not(None), subjects.c.ref.is_(None))
    )


def _to_no_case(table: Table, subject: ColumnElement[Any]) -> Any:
    theirs = cases.alias("theirs")
    return (
        select(
            table.c.tenant,
            _KEYS[table.name].label("key"),
            subject.label("subject"),
            table.c.case_ref,
            theirs.c.subject.label("case_is_of"),
        )
        .outerjoin(theirs, and_(theirs.c.tenant == table.c.tenant, theirs.c.ref == table.c.case_ref))
        .where(
            table.c.case_ref.is_not(None),
            or_(theirs.c.ref.is_(None), and_(subject.is_not(None), theirs.c.subject != subject)),
        )
    )


_WITH_CASE = (timers, names, history, messages, incidents)
_to_nobodies = {table.name: _to_nobody(table, table.c.subject) for table in (cases, *_WITH_CASE)} | {
    "inbox": _to_nobody(inbox, inbox.c.subject_ref)
}
_to_no_cases = {table.name: _to_no_case(table, table.c.subject) for table in _WITH_CASE} | {
    "inbox": _to_no_case(inbox, inbox.c.subject_ref)
}


# --- customers, page by page ---------------------------------------------------------------------------------------


def tenant_keys(connection: Connection) -> dict[int, str]:
    """Every tenant's key by its number, in order of number."""
    return {row.id: row.key for row in connection.execute(select(tenants.c.id, tenants.c.key).order_by(tenants.c.id))}


def count_subjects(connection: Connection) -> int:
    """How many customers there are, of all tenants."""
    return connection.execute(select(func.count()).select_from(subjects)).scalar_one()


def subjects_after(connection: Connection, tenant: int, after: str, most: int) -> Rows:
    """At most `most` customers of a tenant, in key order, from the one after `after`."""
    return connection.execute(_page, {"tenant": tenant, "after": after, "most": most}).all()


class Page(NamedTuple):
    """What belongs to the customers after one and up to another, each kind in order of customer."""

    history: Rows
    cases: Rows
    timers: Rows
    messages: Rows


def page_of(connection: Connection, tenant: int, after: str, upto: str) -> Page:
    """History rows come with the verdict of their event (`inbox_verdict`); messages without what they say."""
    of_page = {"tenant": tenant, "after": after, "upto": upto}
    return Page(*(connection.execute(each, of_page).all() for each in (_history, _cases, _timers, _messages)))


def chains_of(connection: Connection, tenant: int, after: str, upto: str) -> Rows:
    """The history of the customers after one and up to another, in order."""
    return connection.execute(_chains, {"tenant": tenant, "after": after, "upto": upto}).all()


def count_history(connection: Connection) -> int:
    """How many rows of history there are."""
    return connection.execute(select(func.count()).select_from(history)).scalar_one()


def history_of_nobody(connection: Connection) -> Rows:
    """(tenant, subject, rows) of history whose customer is not there."""
    return connection.execute(_whose_is_nobody.limit(STREAMED)).all()


def names_among(connection: Connection, tenant: int, values: Sequence[str]) -> Rows:
    """All names of a tenant with one of these values."""
    return connection.execute(_names, {"tenant": tenant, "values": list(values)}).all()


def count_names(connection: Connection, tenant: int) -> int:
    """How many names a tenant's cases bear."""
    return connection.execute(
        select(func.count()).select_from(names).where(names.c.tenant == _tenant), {"tenant": tenant}
    ).scalar_one()


def all_names(connection: Connection, tenant: int) -> Iterator[Row[Any]]:
    """Every name of a tenant."""
    return _stream(connection, _all_names, {"tenant": tenant})


def rows_of_case(connection: Connection, tenant: int, case: str) -> Rows:
    """The history of one case, in order."""
    return connection.execute(_rows_of_case, {"tenant": tenant, "case": case}).all()


# --- whole tables --------------------------------------------------------------------------------------------------


def events_with_history(connection: Connection) -> Iterator[Row[Any]]:
    """Every event of the inbox, with the history row of which it is the cause."""
    return _stream(connection, _events)


def causes_told_twice(connection: Connection) -> Rows:
    """(tenant, cause, times) of causes with more than one history row."""
    return connection.execute(_causes_twice.limit(STREAMED)).all()


def names_held_twice(connection: Connection) -> Rows:
    """(tenant, collection, value, bearers) of exclusive names that several cases bear."""
    return connection.execute(_exclusive_twice.limit(STREAMED)).all()


def kept_bytes(connection: Connection) -> Iterator[Row[Any]]:
    """Every message whose bytes are kept, with them."""
    return _stream(connection, _bodies)


def digests_without_bytes(connection: Connection) -> Rows:
    """Messages that name a digest whose bytes are not kept, or are others."""
    return connection.execute(_digests_without_bytes).all()


def messages_that_came_back(connection: Connection) -> Rows:
    """Messages that were dead or uncertain, as an incident tells, and are so no longer."""
    return connection.execute(_given_up, {"kinds": ["mail_dead", "mail_uncertain"]}).all()


def somebody_acted(connection: Connection, tenant: int, targets: Sequence[str], since: datetime) -> bool:
    """Whether the audit tells of an act on one of these, then or later."""
    asked = {"tenant": tenant, "targets": list(targets), "since": since}
    return bool(connection.execute(_acted, asked).scalar_one())


def discarded_by_nobody(connection: Connection) -> Rows:
    """Discarded messages of which the audit tells nothing."""
    return connection.execute(_discarded_by_nobody).all()


def rows_of_strangers(connection: Connection) -> Iterator[tuple[str, int, int]]:
    """(table, tenant, rows) of rows whose tenant does not exist."""
    for table, statement in _strangers.items():
        for row in connection.execute(statement):
            yield table, row.tenant, row.rows


def pointers_to_nobody(connection: Connection) -> Iterator[Pointer]:
    """Rows that name a customer whom their tenant does not have."""
    for table, statement in _to_nobodies.items():
        for row in _stream(connection, statement):
            yield Pointer(table, row.tenant, row.key, row.subject, None, None)


def pointers_to_no_case(connection: Connection) -> Iterator[Pointer]:
    """Rows that name a case which their tenant does not have, or which is another customer's."""
    for table, statement in _to_no_cases.items():
        for row in _stream(connection, statement):
            yield Pointer(table, row.tenant, row.key, row.subject, row.case_ref, row.case_is_of)


def count_pointers(connection: Connection) -> int:
    """How many rows name a customer or a case."""
    return sum(
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (cases, *_WITH_CASE, inbox)
    )


def tenants_of_subject(connection: Connection, ref: str, among: Sequence[int]) -> list[int]:
    """Which of the tenants have a customer of this reference."""
    return list(connection.execute(_tenants_with_subject, {"ref": ref, "ids": list(among)}).scalars())


def tenants_of_case(connection: Connection, ref: str, among: Sequence[int]) -> list[int]:
    """Which of the tenants have a case of this reference."""
    return list(connection.execute(_tenants_with_case, {"ref": ref, "ids": list(among)}).scalars())


def _stream(connection: Connection, statement: Any, parameters: Any = None) -> Iterator[Row[Any]]:
    found = connection.execute(statement, parameters or {}, execution_options={"yield_per": STREAMED})
    try:
        yield from found
    finally:
        found.close()


# --- the database itself -------------------------------------------------------------------------------------------


class Integrity(NamedTuple):
    """What the database says of itself. `not_run`: checks that it could not make, each with why."""

    checks: int
    problems: list[str]
    not_run: list[str]


def integrity_of(connection: Connection, most: int) -> Integrity:
    """At most `most` problems of each kind that the database's own checks find."""
    if connection.dialect.name == "sqlite":
        return _integrity_of_sqlite(connection, most)
    return _integrity_of_postgresql(connection, most)


def _integrity_of_sqlite(connection: Connection, most: int) -> Integrity:
    said = [row[0] for row in connection.exec_driver_sql(f"PRAGMA integrity_check({most:d})")]
    problems = [] if said == ["ok"] else [f"integrity_check: {line}" for line in said]
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(most)
    problems += [f"foreign_key_check: a row of {table} points to no row of {parent}" for table, _, parent, _ in broken]
    return Integrity(2, problems, [])


_NOT_VALIDATED = text(
    "SELECT conrelid::regclass::text AS of_table, conname AS name FROM pg_constraint"
    " WHERE connamespace = current_schema()::regnamespace AND NOT convalidated ORDER BY 1, 2 LIMIT :most"
)
_INVALID_INDEXES = text(
    "SELECT i.indrelid::regclass::text AS of_table, c.relname AS name"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE c.relnamespace = current_schema()::regnamespace AND NOT (i.indisvalid AND i.indisready)"
    " ORDER BY 1, 2 LIMIT :most"
)
_CHECKSUMS = text("SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()")
_CHECKSUMS_ON = text("SELECT current_setting('data_checksums')")
_HAS_AMCHECK = text("SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'amcheck'")
_BTREES = text(
    "SELECT c.oid, c.relname AS name"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam"
    " WHERE a.amname = 'btree' AND c.relnamespace = current_schema()::regnamespace AND i.indisvalid ORDER BY 2"
)
_CHECK_INDEX = "SELECT {schema}.bt_index_check(CAST(:index AS oid)::regclass, true)"


def _integrity_of_postgresql(connection: Connection, most: int) -> Integrity:
    checks = 2
    not_run = []
    problems = [
        f"the constraint {row.name} of {row.of_table} was never validated"
        for row in connection.execute(_NOT_VALIDATED, {"most": most})
    ]
    problems += [
        f"the index {row.name} of {row.of_table} is marked invalid"
        for row in connection.execute(_INVALID_INDEXES, {"most": most})
    ]
    if connection.execute(_CHECKSUMS_ON).scalar() == "on":
        checks += 1
        failures = connection.execute(_CHECKSUMS).scalar()
        if failures:
            problems.append(f"{failures} pages failed their checksum")
    else:
        not_run.append("page checksums: they are off in this server")
    schema = connection.execute(_HAS_AMCHECK).scalar()
    if schema is None:
        not_run.append("indexes against their tables: the extension amcheck is not installed in this database")
        return Integrity(checks, problems, not_run)
    return Integrity(checks + 1, problems + _damaged_indexes(connection, schema, most), not_run)


def _damaged_indexes(connection: Connection, schema: str, most: int) -> list[str]:
    check = text(_CHECK_INDEX.format(schema=connection.dialect.identifier_preparer.quote(schema)))
    problems: list[str] = []
    for row in connection.execute(_BTREES).all():
        try:
            with connection.begin_nested():
                connection.execute(check, {"index": row.oid})
        except DBAPIError as damage:
            problems.append(f"amcheck, index {row.name}: {str(damage.orig).splitlines()[0]}")
        if len(problems) == most:
            break
    return problems
