"""The trade of an installation that has none: no policy numbers, no lists, no words beyond its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from vipflow.case import Addressing, Tenant, View
from vipflow.policy import Policy
from vipflow.workflow import Person

NO_NUMBERS = Policy("none", date(1970, 1, 1), {})


class PlainTrade:
    """What `Trade` asks, answered with as little as possible: enough for a workflow that stands on its own."""

    def policy_in_force(self, view: View) -> Policy:
        return NO_NUMBERS

    def restore_policy(self, body: str) -> Policy:
        return Policy.from_json(body)

    def summary(self, view: View) -> Mapping[str, Any]:
        return {"name": view.subject, "name_folded": view.subject.casefold()}

    def common_words(self, view: View, person: Person) -> Mapping[str, Any]:
        return {}

    def addressing(self, view: View, person: Person) -> Addressing | None:
        return None

    def settings(self, row: Mapping[str, Any], team: Sequence[Mapping[str, Any]]) -> Any:
        return None

    def parked_for(self, tenant: Tenant) -> timedelta:
        return timedelta(hours=72)
