"""`vipflow doctor`: looks at an installation from all sides, and of whatever is not well says what to do about it.

Each check stands alone: what breaks one is a finding of its own, and the others go on. So it works where nothing else
does: without settings, with a damaged database, with a workflow file that raises. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from vipflow.errors import BadInput, VipflowError, did_you_mean
from vipflow.operations.doctor import (
    audit,
    backups,
    clock,
    daemon,
    database,
    files,
    holds,
    mail,
    permissions,
    resellers,
    stuck,
)
from vipflow.operations.doctor.findings import Finding, Unknown, error, not_checked
from vipflow.operations.doctor.patient import Limits, Patient

__all__ = ["AREAS", "ON_DEMAND", "Finding", "Limits", "Patient", "Report", "doctor", "examine"]


class Check(NamedTuple):
    """A function that looks at one thing, and the area it is listed under."""

    area: str
    look: Callable[[Patient], Iterator[Finding]]


CHECKS = (
    Check("settings", files.settings),
    Check("database", database.sqlite),
    Check("database", database.postgresql),
    Check("database", backups.kept),
    Check("schema", database.schema),
    Check("files", files.everything_written),
    Check("files", files.stored_still_declared),
    Check("files", files.pinned_as_written),
    Check("files", files.reseller_folders),
    Check("mail", mail.transport),
    Check("mail", mail.domain),
    Check("mail", mail.senders),
    Check("clock", clock.clocks),
    Check("clock", clock.zones),
    Check("daemon", daemon.running),
    Check("daemon", daemon.punctual),
    Check("daemon", daemon.answers),
    Check("stuck", stuck.mails),
    Check("stuck", stuck.events),
    Check("stuck", stuck.incidents),
    Check("stuck", stuck.crashed),
    Check("holds", holds.in_force),
    Check("audit", audit.key),
    Check("audit", audit.sealed),
    Check("permissions", permissions.folders),
    Check("permissions", permissions.secrets),
    Check("resellers", resellers.staffed),
    Check("resellers", resellers.left_behind),
)
ON_DEMAND = (
    Check("integrity", database.integrity),
    Check("stored", files.all_stored_still_declared),
)
"""What reads everything, and so runs only when it is named."""

AREAS = tuple(dict.fromkeys(check.area for check in CHECKS))


class Report(msgspec.Struct, frozen=True):
    """All findings. `ok`: there is no error; warnings are allowed."""

    ok: bool
    at: datetime
    counts: dict[str, int]
    findings: Sequence[Finding]


def doctor(config: Path | None, *, only: Sequence[str] = (), offline: bool = False) -> Report:
    """Examines the installation of a config file. `only`: areas, or what is done on demand. Raises BadInput for others.

    `offline`: nothing is said to the mail server nor to a daemon.
    """
    known = (*AREAS, *(check.area for check in ON_DEMAND))
    for name in only:
        if name not in known:
            near = did_you_mean(name, known)
            raise BadInput("--only", f"there is no check {name!r}{near}", f"there are {', '.join(known)}")
    patient = Patient(config, offline=offline)
    try:
        return examine(patient, only)
    finally:
        patient.close()


def examine(patient: Patient, only: Sequence[str] = ()) -> Report:
    """Looks at a patient that somebody prepared."""
    checks = [check for check in (*CHECKS, *ON_DEMAND) if check.area in only] if only else list(CHECKS)
    found = [finding for check in checks for finding in _looked_at(check, patient)]
    counts: dict[str, int] = dict.fromkeys(("error", "warning", "note", "ok", "not checked"), 0)
    for finding in found:
        counts[finding.status] += 1
    return Report(counts["error"] == 0, patient.host_clock.now(), counts, found)


def _looked_at(check: Check, patient: Patient) -> Iterator[Finding]:
    """What a check finds, and what stopped it."""
    name = check.look.__name__.replace("_", " ")
    try:
        for finding in check.look(patient):
            says = finding.says
            if says.startswith("more than "):  # a count at the beginning of its sentence
                says = says[:1].upper() + says[1:]
            yield msgspec.structs.replace(finding, area=check.area, says=says)
        return
    except Unknown as unknown:
        stopped = not_checked(name, unknown.why, unknown.first)
    except VipflowError as fault:
        remedy = str(getattr(fault, "remedy", "") or "put this right, then look again")
        says = f"{fault.what}: {fault.problem}" if hasattr(fault, "what") and hasattr(fault, "problem") else str(fault)
        stopped = error(name, _sentence(says), _sentence(remedy))
    except Exception as fault:  # the check is at fault, or the machine: the others must still be made
        says = f"This could not be looked at: {type(fault).__name__}: {str(fault).strip().splitlines()[:1] or ['']}"
        stopped = error(name, says, "If nothing else that is found explains it, please report it.")
    yield msgspec.structs.replace(stopped, area=check.area)


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "`")) or not text else ".")
