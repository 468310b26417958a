"""Tenants as the engine needs them: zone, language, and the settings that the trade makes of its row and team."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from vipflow.case import Tenant
from vipflow.errors import NotFound
from vipflow.store.work import tenants_with_team


def load_tenants(connection: Connection, trade: Any, ids: Sequence[int]) -> dict[int, Tenant]:
    """The tenants with these ids; NotFound names one that is missing."""
    team: dict[int, list[dict[str, Any]]] = {}
    rows, members = tenants_with_team(connection, ids)
    for row in members:
        team.setdefault(row.tenant, []).append(dict(row._mapping))
    found = {}
    for row in rows:
        settings = trade.settings(dict(row._mapping), team.get(row.id, []))
        found[row.id] = Tenant(row.id, row.key, row.name, ZoneInfo(row.zone), row.language, settings)
    for wanted in ids:
        if wanted not in found:
            raise NotFound("reseller", str(wanted))
    return found
