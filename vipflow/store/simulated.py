"""The sums of a database that was played through: what a simulation and the demo tell at their end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from vipflow.store.tables import cases, history, incidents, messages

Rows = Sequence[Any]


class Sums(NamedTuple):
    """Counts of one tenant: cases by state, steps by event, messages by template and state; and every incident."""

    states: Rows
    transitions: Rows
    messages: Rows
    incidents: Rows


def sums(connection: Connection, tenant: int) -> Sums:
    """The sums of a tenant. Reads whole tables: for throwaway databases and reports, not for pages."""
    asked = {"tenant": tenant}
    return Sums(*(connection.execute(statement, asked).all() for statement in (_states, _steps, _messages, _incidents)))


def first_steps(connection: Connection, tenant: int, most: int) -> Rows:
    """The first steps of a tenant's history, in the order in which they happened."""
    return connection.execute(_first_steps, {"tenant": tenant, "most": most}).all()


_tenant: BindParameter[int] = bindparam("tenant")
_count = func.count().label("count")
_states = (
    select(cases.c.workflow, cases.c.state, _count)
    .where(cases.c.tenant == _tenant)
    .group_by(cases.c.workflow, cases.c.state)
    .order_by(cases.c.workflow, cases.c.state)
)
_steps = (
    select(history.c.workflow, history.c.event, _count)
    .where(history.c.tenant == _tenant)
    .group_by(history.c.workflow, history.c.event)
    .order_by(history.c.workflow, history.c.event)
)
_messages = (
    select(messages.c.template, messages.c.state, _count)
    .where(messages.c.tenant == _tenant)
    .group_by(messages.c.template, messages.c.state)
    .order_by(messages.c.template, messages.c.state)
)
_incidents = (
    select(incidents.c.kind, incidents.c.case_ref, incidents.c.says, incidents.c.opened_at)
    .where(incidents.c.tenant == _tenant)
    .order_by(incidents.c.opened_at, incidents.c.id)
)
_first_steps = (
    select(
        history.c.subject,
        history.c.case_ref,
        history.c.workflow,
        history.c.event,
        history.c.from_state,
        history.c.to_state,
        history.c.effective_at,
        history.c.actor_kind,
        history.c.actor,
        history.c.messages,
    )
    .where(history.c.tenant == _tenant)
    .order_by(history.c.effective_at, history.c.position)
    .limit(bindparam("most"))
)
