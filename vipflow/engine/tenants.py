"""Tenants as the engine needs them: zone, language, and the settings that the trade makes of its row and team."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from vipflow.case import Tenant
from vipflow.errors import NotFound
from vipflow.store.work import tenants_with_team


class Tenants:
    """Reads tenants anew for every unit of work, and understands them anew only where their rows have changed."""

    def __init__(self, trade: Any) -> None:
        self._trade = trade
        self._understood: dict[int, tuple[list[Any], Tenant]] = {}

    def load(self, connection: Connection, ids: Sequence[int]) -> dict[int, Tenant]:
        """The tenants with these ids; NotFound names one that is missing."""
        rows: dict[int, list[Any]] = {}
        for row in tenants_with_team(connection, ids):
            rows.setdefault(row.id, []).append(row)
        for wanted in ids:
            if wanted not in rows:
                raise NotFound("reseller", str(wanted))
        return {tenant: self._tenant(tenant, rows[tenant]) for tenant in ids}

    def _tenant(self, ident: int, rows: list[Any]) -> Tenant:
        known = self._understood.get(ident)
        if known is not None and known[0] == rows:
            return known[1]
        first = rows[0]
        plain = [dict(row._mapping) for row in rows]
        team = [
            {name.removeprefix("member_"): value for name, value in row.items() if name.startswith("member_")}
            for row in plain
            if row["member_email"] is not None
        ]
        own = {name: value for name, value in plain[0].items() if not name.startswith("member_")}
        settings = self._trade.settings(own, team)
        tenant = Tenant(first.id, first.key, first.name, ZoneInfo(first.zone), first.language, settings)
        self._understood[ident] = (rows, tenant)
        return tenant


def load_tenants(connection: Connection, trade: Any, ids: Sequence[int]) -> dict[int, Tenant]:
    """The tenants with these ids, read once; NotFound names one that is missing."""
    return Tenants(trade).load(connection, ids)
