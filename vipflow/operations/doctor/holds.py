"""Holds: what somebody stopped and may have forgotten, and what waits for approval."""

from __future__ import annotations

from collections.abc import Iterator

from vipflow.operations.doctor.findings import Finding, at, lasting, ok, warning
from vipflow.operations.doctor.patient import Patient
from vipflow.store.health import HoldRow, holds_in_force

_WHY = {
    "backlog": "many mails are late",
    "clock": "the clock jumped",
    "restored": "the database was restored from a backup",
}
"""The kinds that vipflow makes by itself; they wait for somebody's approval."""


def in_force(patient: Patient) -> Iterator[Finding]:
    """Each that has no end, is past it, or waits for approval."""
    now = patient.now
    with patient.rows() as connection:
        rows = holds_in_force(connection)
    worth = 0
    for row in rows:
        whose = _whose(row)
        what = f"Mail of {whose}" if row.mail_only else whose
        since = f"since {at(row.made_at)} ({lasting(now - row.made_at)})"
        if row.kind in _WHY:
            says = f"{what} is held {since}, as {_WHY[row.kind]}, and waits for approval."
            yield warning(
                "approval",
                says,
                "See what would leave, then approve.",
                "vipflow catchup show",
                'vipflow catchup approve --reason "<why>"',
            )
        elif row.ends_at is not None and row.ends_at <= now:
            says = f"{what} is held {since}, though the hold should have ended at {at(row.ends_at)}."
            yield warning("past its end", says, "A daemon releases it; without one do it yourself.", _release(row))
        elif row.ends_at is None and now - row.made_at > patient.limits.hold:
            says = f"{what} is held {since} by {row.made_by}, without an end: {row.reason!r}."
            yield warning("forgotten", says, "Release it, or give it an end.", _release(row))
        else:
            continue
        worth += 1
    if not worth:
        told = "Nothing is held." if not rows else f"{len(rows)} in force, none of them forgotten."
        yield ok("holds", told)


def _whose(row: HoldRow) -> str:
    if row.reseller is None:
        return "everybody" if row.mail_only else "Everything"
    return row.reseller if row.subject is None else f"{row.subject} of {row.reseller}"


def _release(row: HoldRow) -> str:
    return f'vipflow release {row.id} --reason "<why>"'
