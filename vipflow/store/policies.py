"""Policies that were ever in force, whole, each once under its content hash."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, select

from vipflow.store.tables import policies
from vipflow.store.types import any_of
from vipflow.store.writes import InsertAbsent


class PolicyRow(NamedTuple):
    """A row of `policies`; `body` is JSON text."""

    id: str
    name: str
    body: str


_POLICIES = select(policies.c.id, policies.c.name, policies.c.body).order_by(policies.c.name, policies.c.id)
_SOME_POLICIES = _POLICIES.where(any_of(policies.c.id, "ids"))
_KEEP_POLICY = InsertAbsent(policies, PolicyRow._fields)


def all_policies(connection: Connection) -> list[PolicyRow]:
    """Every policy ever kept, by name."""
    return [PolicyRow(*row) for row in connection.execute(_POLICIES)]


def policies_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, PolicyRow]:
    """Those of `ids` that are kept."""
    return {row.id: PolicyRow(*row) for row in connection.execute(_SOME_POLICIES, {"ids": list(ids)})}


def keep_policy(connection: Connection, policy: PolicyRow) -> bool:
    """Whether it is new; the same id is the same content, so one that was kept stays."""
    return _KEEP_POLICY.run(connection, [policy]) == 1
