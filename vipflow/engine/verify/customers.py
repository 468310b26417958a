"""All customers of all tenants, a page at a time, so that memory does not grow with their number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from vipflow.case import Tenant
from vipflow.engine.tenants import load_tenants
from vipflow.engine.verify.customer import Customer, Ground, Rows
from vipflow.engine.verify.fold import Given
from vipflow.engine.verify.names import Names
from vipflow.store import verify as store
from vipflow.store.policies import policies_by_id

PAGE = 200
"""Customers read at once."""
MOST_POLICIES = 5000
"""Kept in memory; then they are read anew."""

Progress = Callable[[int, int], None]
"""Told how many customers were looked at, and how many there are."""


def check_customers(connection: Connection, ground: Ground, progress: Progress | None) -> None:
    """All customers, tenant by tenant and in key order."""
    names = Names(connection, ground.workflows, ground.findings)
    total = store.count_subjects(connection)
    for number, key in store.tenant_keys(connection).items():
        tenant = _tenant(connection, ground, number, key)
        matched = 0
        after = ""
        while rows := store.subjects_after(connection, number, after, PAGE):
            page = store.page_of(connection, number, after, rows[-1].ref)
            _load_policies(connection, ground, {row.policy for row in page.cases})
            implied = _check_page(ground, key, tenant, rows, page)
            matched += names.check(number, key, implied)
            after = rows[-1].ref
            if progress is not None:
                progress(ground.findings.subjects, total)
        if matched != store.count_names(connection, number):
            names.find_extra(number, key)


def _tenant(connection: Connection, ground: Ground, number: int, key: str) -> Tenant | None:
    try:
        return load_tenants(connection, ground.trade, [number])[number]
    except Exception as wrong:  # the trade reads its settings as it likes
        problem = f"its settings cannot be read, so no summary was: {wrong}"
        ground.findings.add("I10", key, None, f"tenant {key}", problem)
        return None


def _check_page(
    ground: Ground, key: str, tenant: Tenant | None, rows: Sequence[Any], page: store.Page
) -> dict[tuple[str, str, str], tuple[str, Given]]:
    """The names that the page's histories imply, each with its customer."""
    history, cases, timers, messages = (_by_subject(each) for each in page)
    names: dict[tuple[str, str, str], tuple[str, Given]] = {}
    for row in rows:
        ref = row.ref
        theirs = Rows(row, history[ref], cases[ref], timers[ref], messages[ref])
        story = Customer(ground, key, tenant, theirs).check()
        names.update({name: (ref, how) for name, how in story.names.items()})
    return names


def _load_policies(connection: Connection, ground: Ground, wanted: set[str]) -> None:
    if len(ground.policies) > MOST_POLICIES:
        ground.policies.clear()
    unknown = sorted(wanted - ground.policies.keys() - ground.lost.keys())
    rows = policies_by_id(connection, unknown) if unknown else {}
    for wanted_id in unknown:
        row = rows.get(wanted_id)
        try:
            policy = ground.trade.restore_policy(row.body) if row is not None else None
        except Exception as wrong:  # the trade reads it
            ground.lost[wanted_id] = f"which cannot be read: {wrong}"
            continue
        if policy is None:
            ground.lost[wanted_id] = "which is not kept"
        elif policy.id != wanted_id:
            ground.lost[wanted_id] = f"whose kept numbers are those of {policy.id}"
        else:
            ground.policies[wanted_id] = policy


def _by_subject(rows: Sequence[Any]) -> defaultdict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.subject].append(row)
    return found
