"""What rows say of the workflow files: in which states cases are, which timers they have, how old their facts are.

Whoever asks reads all cases once, and all timers of some workflows: no index tells these, since it would cost every
step to keep. So they are asked only after the files have lost something (`engine.fit`), or to map it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, exists, func, or_, select, tuple_

from vipflow.store.tables import cases, inbox, messages, timers
from vipflow.store.types import any_of


@dataclass(frozen=True)
class StoredState:
    """Cases of a workflow that are in one state, under one version of their facts."""

    workflow: str
    state: str
    facts_version: int
    count: int


@dataclass(frozen=True)
class StoredTimer:
    """Armed timers of one name, of cases in one state that pinned one policy."""

    workflow: str
    state: str
    policy: str
    name: str
    event: str
    count: int


class StoredCase(NamedTuple):
    """A case that is to be amended."""

    tenant: int
    ref: str
    state: str
    policy: str


def stored_states(connection: Connection) -> list[StoredState]:
    """Every (workflow, state, facts version) that cases have, settled ones too."""
    return [StoredState(*row) for row in connection.execute(_STATES)]


_of_case = (cases.c.workflow, cases.c.state, cases.c.facts_version)
_STATES = select(*_of_case, func.count()).group_by(*_of_case).order_by(*_of_case)


def stored_timers(connection: Connection, workflows: Sequence[str]) -> list[StoredTimer]:
    """Every timer name that cases of these workflows have armed, by state and policy."""
    return [StoredTimer(*row) for row in connection.execute(_TIMERS, {"workflows": list(workflows)})]


_of_timer = (timers.c.workflow, cases.c.state, cases.c.policy, timers.c.name, timers.c.event)
_TIMERS = (
    select(*_of_timer, func.count())
    .join_from(timers, cases, (cases.c.tenant == timers.c.tenant) & (cases.c.ref == timers.c.case_ref))
    .where(any_of(timers.c.workflow, "workflows"))
    .group_by(*_of_timer)
    .order_by(*_of_timer)
)


def some_facts(connection: Connection, workflow: str, most: int) -> Sequence[Any]:
    """Reference, facts and their version of some cases of a workflow."""
    return connection.execute(_FACTS, {"workflow": workflow, "most": most}).all()


_FACTS = (
    select(cases.c.ref, cases.c.facts, cases.c.facts_version)
    .where(cases.c.workflow == bindparam("workflow"))
    .limit(bindparam("most"))
)


def policies_pinned(connection: Connection, workflow: str, states: Sequence[str]) -> Mapping[tuple[str, str], int]:
    """How many cases in these states pinned which policy."""
    rows = connection.execute(_PINNED, {"workflow": workflow, "states": list(states)})
    return {(state, policy): count for state, policy, count in rows}


_PINNED = (
    select(cases.c.state, cases.c.policy, func.count())
    .where(cases.c.workflow == bindparam("workflow"), any_of(cases.c.state, "states"))
    .group_by(cases.c.state, cases.c.policy)
    .order_by(cases.c.state, cases.c.policy)
)


def cases_to_amend(
    connection: Connection,
    workflow: str,
    states: Sequence[str],
    timer_names: Sequence[str],
    after: tuple[int, str],
    most: int,
) -> list[StoredCase]:
    """Cases in one of these states or with a timer of one of these names, in order, behind `after` (tenant,
    reference).
    """
    asked = {
        "workflow": workflow,
        "states": list(states),
        "names": list(timer_names),
        "tenant": after[0],
        "ref": after[1],
        "most": most,
    }
    return [StoredCase(*row) for row in connection.execute(_TO_AMEND, asked)]


_has_such_timer = exists().where(
    timers.c.tenant == cases.c.tenant, timers.c.case_ref == cases.c.ref, any_of(timers.c.name, "names")
)
_TO_AMEND = (
    select(cases.c.tenant, cases.c.ref, cases.c.state, cases.c.policy)
    .where(
        tuple_(cases.c.tenant, cases.c.ref) > tuple_(bindparam("tenant"), bindparam("ref")),
        cases.c.workflow == bindparam("workflow"),
        or_(any_of(cases.c.state, "states"), _has_such_timer),
    )
    .order_by(cases.c.tenant, cases.c.ref)
    .limit(bindparam("most"))
)


def waiting_mails(connection: Connection) -> list[tuple[str, str, int]]:
    """(workflow, template, mails) of what waits to leave."""
    return [(row[0], row[1], row[2]) for row in connection.execute(_WAITING)]


_WAITING = (
    select(messages.c.workflow, messages.c.template, func.count())
    .where(messages.c.state == "waiting")
    .group_by(messages.c.workflow, messages.c.template)
    .order_by(messages.c.workflow, messages.c.template)
)


def parked_types(connection: Connection) -> list[tuple[str, int]]:
    """(type, events) of the events that wait for their case."""
    return [(row[0], row[1]) for row in connection.execute(_PARKED)]


_PARKED = (
    select(inbox.c.type, func.count()).where(inbox.c.verdict == "parked").group_by(inbox.c.type).order_by(inbox.c.type)
)
