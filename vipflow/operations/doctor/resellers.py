"""Resellers: whether somebody answers for each, and for each customer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from vipflow.operations.doctor.findings import Finding, counted, note, ok, warning
from vipflow.operations.doctor.patient import Patient
from vipflow.store.health import MOST, customers_of_those_who_left, team_roles

_SHOWN = 20


def staffed(patient: Patient) -> Iterator[Finding]:
    """Whether there are resellers, each with a team and an admin."""
    tenants = patient.tenants
    if not tenants:
        yield note(
            "none", "There is no reseller yet.", "Add one.", 'vipflow reseller add north --name "North Licences"'
        )
        return
    with patient.rows() as connection:
        roles = team_roles(connection)
    without = [(tenant.key, roles.get(tenant.id)) for tenant in tenants if not roles.get(tenant.id, Counter())["admin"]]
    for key, known in without[:_SHOWN]:
        what = (
            "has a team without an admin" if known else "has no team: nobody gets what is written to account managers"
        )
        remedy = "Make somebody admin." if known else "Add somebody."
        act = "role <email> admin" if known else "add <email> --name <name> --role admin"
        yield warning("team", f"{key} {what}.", remedy, f"vipflow team {act} --reseller {key}")
    if not without:
        yield ok("team", f"{counted(len(tenants), 'reseller')}, each with an admin.")
    elif without[_SHOWN:]:
        says = f"{len(without) - _SHOWN:,} more resellers have no admin."
        yield warning("team", says, "See them all.", "vipflow reseller list")


def left_behind(patient: Patient) -> Iterator[Finding]:
    """Customers of account managers who are there no more."""
    with patient.rows() as connection:
        rows = customers_of_those_who_left(connection)
    for reseller, email, count in rows:
        says = f"{email} has left {reseller} and still manages {counted(count, 'customer', most=MOST)}."
        remedy = "Give them to somebody: until then an admin answers for them."
        run = f"vipflow customer list --reseller {reseller} --manager {email}"
        yield warning("left behind", says, remedy, run)
