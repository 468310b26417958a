"""Whether running cases keep numbers that were changed in their place: the same policy and version, another content.

That is as it should be, since nothing follows by itself; but somebody who edited a file or an override may think that
it does, and is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from vipflow.errors import PolicyError
from vipflow.operations.installation import Files, Installation
from vipflow.operations.repinning import OWN_NUMBERS
from vipflow.policy import Policy, PolicyBook, differing
from vipflow.store.pinned import pinned_by_some
from vipflow.store.policies import policies_by_id
from vipflow.store.tenants import TenantRow, all_tenants
from vipflow.vip.trade import VipTrade

LOOKED_AT = 50_000
"""Cases that are looked at: as many as a start can wait for."""


class Older(NamedTuple):
    """So many running cases of a reseller (`least`: or more) keep numbers as they were before somebody changed them."""

    reseller: str
    cases: int
    least: bool

    @property
    def says(self) -> str:
        """In a sentence."""
        count = f"{self.cases:,} running case{'s keep' if self.cases != 1 else ' keeps'}"
        count = f"At least {count}" if self.least else count
        return f"{count} the numbers that {self.reseller} had before a policy file or a number of its own was changed."

    @property
    def run(self) -> str:
        """The command that shows what would change."""
        return f"vipflow policy diff --reseller {self.reseller}"


def older_than_files(
    files: Files, connection: Connection, tenants: Sequence[TenantRow], most: int = LOOKED_AT
) -> list[Older]:
    """By reseller, among the first `most` cases; customers with numbers of their own are left out."""
    if not isinstance(files.trade, VipTrade):
        return []
    rows, whole = pinned_by_some(connection, OWN_NUMBERS, most)
    kept = policies_by_id(connection, sorted({policy for _, policy, _ in rows}))
    pinned = {each: files.trade.restore_policy(row.body) for each, row in kept.items()}
    overrides = {tenant.id: msgspec.json.decode(tenant.settings).get("overrides", {}) for tenant in tenants}
    older: Counter[int] = Counter()
    for tenant, policy, cases in rows:
        if policy in pinned and _has_changed(files.policy_book, pinned[policy], overrides.get(tenant, {})):
            older[tenant] += cases
    return [Older(tenant.key, older[tenant.id], not whole) for tenant in tenants if older[tenant.id]]


def cases_with_older_numbers(installation: Installation) -> list[Older]:
    """`older_than_files` of an installation that is open."""
    with installation.database.read() as connection:
        return older_than_files(installation, connection, all_tenants(connection))


def _has_changed(book: PolicyBook, pinned: Policy, overrides: Mapping[str, Any]) -> bool:
    """Whether the version that it is of says something else now. One that no file has any more has not changed."""
    if pinned.name not in book.names:
        return False
    if pinned.valid_from not in {version.valid_from for version in book.versions(pinned.name)}:
        return False
    try:
        now = book.in_force(pinned.name, pinned.valid_from, overrides)
    except PolicyError:  # the numbers of its own are meant for another policy by now
        return False
    return bool(differing(pinned, now))
