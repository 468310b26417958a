"""Which policy running cases have pinned: counted by workflow, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, and_, bindparam, exists, func, not_, or_, select

from vipflow.store.tables import cases
from vipflow.store.types import any_of

_tenant: BindParameter[int] = bindparam("tenant")


class Pinned(NamedTuple):
    """So many running cases of a workflow have this policy."""

    workflow: str
    policy: str
    cases: int


_running = and_(cases.c.tenant == _tenant, cases.c.settled.is_(False))
_own = cases.alias("own")
_has_own = exists().where(
    _own.c.tenant == cases.c.tenant,
    _own.c.ref == cases.c.subject,
    _own.c.facts.contains(bindparam("mark")),
)
_counted = (
    select(cases.c.workflow, cases.c.policy, func.count())
    .where(_running, not_(_has_own))
    .group_by(cases.c.workflow, cases.c.policy)
    .order_by(cases.c.workflow, cases.c.policy)
)
_ids = select(cases.c.policy).where(_running).distinct().order_by(cases.c.policy)
_subjects = (
    select(cases.c.subject)
    .where(_running, cases.c.subject > bindparam("after"))
    .distinct()
    .order_by(cases.c.subject)
    .limit(bindparam("most"))
)
_with_own = _subjects.where(_has_own)
_otherwise = _subjects.where(or_(not_(any_of(cases.c.policy, "same")), _has_own))

_some = select(cases.c.tenant, cases.c.policy, cases.c.subject, cases.c.settled).limit(bindparam("most")).subquery()
_owner_of_some = exists().where(
    _own.c.tenant == _some.c.tenant, _own.c.ref == _some.c.subject, _own.c.facts.contains(bindparam("mark"))
)
_of_some = (
    select(_some.c.tenant, _some.c.policy, func.count())
    .where(_some.c.settled.is_(False), not_(_owner_of_some))
    .group_by(_some.c.tenant, _some.c.policy)
    .order_by(_some.c.tenant, _some.c.policy)
)
_count_some = select(func.count()).select_from(_some)


def policies_pinned(connection: Connection, tenant: int) -> Sequence[str]:
    """The ids of all policies that running cases have pinned."""
    return connection.execute(_ids, {"tenant": tenant}).scalars().all()


def count_pinned(connection: Connection, tenant: int, mark: str) -> list[Pinned]:
    """Running cases by workflow and policy, without those whose subject's own facts hold the text `mark`."""
    asked = {"tenant": tenant, "mark": mark}
    return [Pinned(*row) for row in connection.execute(_counted, asked)]


def subjects_marked(connection: Connection, tenant: int, mark: str, after: str, most: int) -> Sequence[str]:
    """References of subjects with running cases whose own facts hold `mark`: in order, from behind `after`."""
    asked: dict[str, Any] = {"tenant": tenant, "mark": mark, "after": after, "most": most}
    return connection.execute(_with_own, asked).scalars().all()


def subjects_otherwise(
    connection: Connection, tenant: int, same: Sequence[str], mark: str, after: str, most: int
) -> Sequence[str]:
    """References of subjects that have a running case with another policy than those of `same`, or whose own facts
    hold `mark`: in order, from behind `after`.
    """
    asked: dict[str, Any] = {"tenant": tenant, "same": list(same), "mark": mark, "after": after, "most": most}
    return connection.execute(_otherwise, asked).scalars().all()


def pinned_by_some(connection: Connection, mark: str, most: int) -> tuple[Sequence[tuple[int, str, int]], bool]:
    """(tenant, policy, cases) of the running among so many cases of all tenants, without those whose subject is marked;
    and whether these were all cases that there are.
    """
    rows = [(row[0], row[1], row[2]) for row in connection.execute(_of_some, {"mark": mark, "most": most})]
    return rows, connection.execute(_count_some, {"most": most}).scalar_one() < most
