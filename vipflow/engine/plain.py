"""The trade of an installation that has none: no policy numbers, no lists, no words beyond its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from vipflow.case import Addressing, Mailbox, Tenant, View
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
        """From the tenant's `sender` to the person, whose key is an e-mail address; None where either is none."""
        sender = (view.tenant.settings or {}).get("sender")
        if not sender or "@" not in person.key:
            return None
        return Addressing(Mailbox(view.tenant.name, sender), None, (Mailbox(person.name, person.key),))

    def wants_digest(self, tenant: Tenant, recipient: str) -> bool:
        return False

    def settings(self, row: Mapping[str, Any], team: Sequence[Mapping[str, Any]]) -> Any:
        return msgspec.json.decode(row["settings"])

    def parked_for(self, tenant: Tenant) -> timedelta:
        return timedelta(hours=72)
