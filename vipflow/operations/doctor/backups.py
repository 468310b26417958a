"""Backups: how long ago the last was made, as far as `vipflow backup` made it."""

from __future__ import annotations

from collections.abc import Iterator

from vipflow.operations.backups import last_backup
from vipflow.operations.doctor.findings import Finding, at, lasting, note, ok
from vipflow.operations.doctor.patient import Patient


def kept(patient: Patient) -> Iterator[Finding]:
    """Never more than a note: who copies disks, or lets the server archive its log, keeps all the same."""
    if not patient.tenants or patient.settings.clock.stands_at or patient.settings.clock.continues_from:
        return  # nothing to lose: there is nothing yet, or it is a story
    made = last_backup(patient.database)
    remedy = "Make one each day, and keep some on another machine. One that is made in another way is not known here."
    run = "vipflow backup <folder>"
    if made is None:
        yield note("backup", "No backup was made with `vipflow backup` yet.", remedy, run)
        return
    ago = patient.host_clock.now() - made
    says = f"The last backup made with `vipflow backup` is of {at(made)} ({lasting(ago)} ago)."
    yield ok("backup", says) if ago <= patient.limits.backup else note("backup", says, remedy, run)
