"""Who asks, for which reseller, and for which day: the second argument of every operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from vipflow.case import Actor
from vipflow.days import EARLIEST
from vipflow.engine.envelope import AHEAD
from vipflow.errors import BadInput, NotFound, did_you_mean
from vipflow.operations.installation import Installation
from vipflow.store.tenants import TenantRow, all_tenants, team_member, team_members

OPERATOR = "operator"
"""What history calls whoever sits at the machine itself and named nobody."""


@dataclass(frozen=True)
class Who:
    """Within one reseller, somebody with a role. `actor` is a team member's e-mail; None: who runs the machine.

    `on` is the effective instant of what is done; None: now. `source` names the shell in the ids of what is posted.
    """

    tenant: int
    actor: str | None
    role: str
    on: datetime | None
    key: str
    zone: ZoneInfo
    language: str
    source: str = "cli"

    @property
    def as_actor(self) -> Actor:
        """As history names who did it."""
        return Actor("staff", self.actor or OPERATOR)


def who_asks(
    installation: Installation,
    *,
    reseller: str | None,
    email: str | None,
    on: datetime | None = None,
    source: str = "cli",
) -> Who:
    """The asker, with the role he has in that reseller's team.

    The reseller may go unnamed while there is only one. Raises NotFound for one that does not exist or an e-mail that
    is not in its team, BadInput where there are none or several and none was named.
    """
    with installation.database.read() as connection:
        tenant = _chosen(all_tenants(connection), reseller)
        zone = ZoneInfo(tenant.zone)
        if email is None:
            return Who(tenant.id, None, "admin", on, tenant.key, zone, tenant.language, source)
        member = team_member(connection, tenant.id, email) or team_member(connection, tenant.id, email.lower())
        if member is None or not member.active:
            known = [each.email for each in team_members(connection, tenant.id) if each.active]
            if member is not None:
                left = f"active member of the team of {tenant.key} with the address"
                raise NotFound(left, email, "who left is taken back with `vipflow team add`")
            remedy = f"`vipflow team list` shows who is there{did_you_mean(email, known)}"
            raise NotFound(f"member of the team of {tenant.key} with the address", email, remedy)
    return Who(tenant.id, member.email, member.role, on, tenant.key, zone, member.language or tenant.language, source)


def _chosen(tenants: Sequence[TenantRow], key: str | None) -> TenantRow:
    keys = [tenant.key for tenant in tenants]
    if not tenants:
        raise BadInput("the reseller", "there is none yet", "add one: vipflow reseller add KEY --name NAME")
    if key is None:
        if len(tenants) == 1:
            return tenants[0]
        raise BadInput("the reseller", "there are several", f"say which: --reseller {' | '.join(keys)}")
    for tenant in tenants:
        if tenant.key == key:
            return tenant
    raise NotFound("reseller", key, f"there are {', '.join(keys)}{did_you_mean(key, keys)}")


def effective_instant(given: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When something happened that is said to be of a day or an instant: noon of a past day in `zone`; None for today.

    Raises BadInput for what is neither, and for what has not come yet.
    """
    instant = _instant(given, zone, now)
    if instant is None:
        return None
    if instant > now + AHEAD:
        raise BadInput("--on", f"{given} has not come yet", "give a day that has, or leave it out for now")
    if instant.date() < EARLIEST:
        raise BadInput("--on", f"{given} is before every membership", f"give a day from {EARLIEST} on")
    return instant


def _instant(given: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    try:
        if len(given) == len("2024-03-01"):
            day = date.fromisoformat(given)
            if day == now.astimezone(zone).date():
                return None
            return datetime.combine(day, time(12), zone).astimezone(UTC)
        instant = datetime.fromisoformat(given)
        return instant.replace(tzinfo=zone).astimezone(UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(
            "--on", f"{given!r} is neither a day nor an instant", "write 2024-03-01 or 2024-03-01T09:30:00+01:00"
        ) from None
