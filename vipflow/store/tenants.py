"""Who works here: tenants and their teams."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from vipflow.store.tables import team, tenants
from vipflow.store.writes import InsertAbsent, Update


class TenantRow(NamedTuple):
    """A row of `tenants`; `settings` is JSON text."""

    id: int
    key: str
    name: str
    language: str
    zone: str
    policy: str
    settings: str
    created_at: datetime


class MemberRow(NamedTuple):
    """A row of `team`."""

    tenant: int
    email: str
    name: str
    role: str
    language: str | None
    phone: str | None
    active: bool
    joined_at: datetime
    mails: str = "single"


_TENANTS = select(*(tenants.c[name] for name in TenantRow._fields)).order_by(tenants.c.id)
_TENANT = _TENANTS.where(tenants.c.key == bindparam("key"))
_NEXT_TENANT = select(func.coalesce(func.max(tenants.c.id), 0) + 1)
_ADD_TENANT = InsertAbsent(tenants, TenantRow._fields)
_MEMBERS = (
    select(*(team.c[name] for name in MemberRow._fields))
    .where(team.c.tenant == bindparam("tenant"))
    .order_by(team.c.email)
)
_MEMBER = _MEMBERS.where(team.c.email == bindparam("email"))
_ADD_MEMBER = InsertAbsent(team, MemberRow._fields)
_CHANGED_OF_TENANT = ("name", "language", "zone", "policy", "settings")
_CHANGE_TENANT = Update(tenants, key=["id"], set=_CHANGED_OF_TENANT)
_CHANGED_OF_MEMBER = ("name", "role", "language", "phone", "active", "mails")
_CHANGE_MEMBER = Update(team, key=["tenant", "email"], set=_CHANGED_OF_MEMBER)


def all_tenants(connection: Connection) -> list[TenantRow]:
    """Every tenant, oldest first."""
    return [TenantRow(*row) for row in connection.execute(_TENANTS)]


def tenant_by_key(connection: Connection, key: str) -> TenantRow | None:
    """The tenant that calls itself `key`."""
    row = connection.execute(_TENANT, {"key": key}).one_or_none()
    return None if row is None else TenantRow(*row)


def add_tenant(
    connection: Connection,
    *,
    key: str,
    name: str,
    language: str,
    zone: str,
    policy: str,
    settings: str,
    created_at: datetime,
) -> TenantRow:
    """The tenant `key`, added where it was not there; one that was stays as it is."""
    while (found := tenant_by_key(connection, key)) is None:
        # Somebody may take the number first: then nothing is added, and the next round takes another.
        number = connection.execute(_NEXT_TENANT).scalar_one()
        _ADD_TENANT.run(connection, [(number, key, name, language, zone, policy, settings, created_at)])
    return found


def team_members(connection: Connection, tenant: int) -> list[MemberRow]:
    """Everybody of the tenant's team, in order of address; those who left are there with `active` false."""
    return [MemberRow(*row) for row in connection.execute(_MEMBERS, {"tenant": tenant})]


def team_member(connection: Connection, tenant: int, email: str) -> MemberRow | None:
    """The one with this address, written exactly so."""
    row = connection.execute(_MEMBER, {"tenant": tenant, "email": email}).one_or_none()
    return None if row is None else MemberRow(*row)


def add_team_member(connection: Connection, member: MemberRow) -> bool:
    """Whether the member was added; one whose address was there stays as it is."""
    return _ADD_MEMBER.run(connection, [member]) == 1


def change_tenant(connection: Connection, tenant: TenantRow) -> None:
    """Keeps the row's name, language, zone, policy and settings; id, key and day of creation stay."""
    _CHANGE_TENANT.run(connection, [(tenant.id, *(getattr(tenant, name) for name in _CHANGED_OF_TENANT))])


def change_team_member(connection: Connection, member: MemberRow) -> None:
    """Keeps the row's name, role, language, phone, preference of mails and whether it is active."""
    values = (getattr(member, name) for name in _CHANGED_OF_MEMBER)
    _CHANGE_MEMBER.run(connection, [(member.tenant, member.email, *values)])
