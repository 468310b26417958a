"""Time: whether the clocks that count agree, and whether every reseller's zone is known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vipflow.operations.doctor.findings import Finding, at, error, lasting, note, ok, warning
from vipflow.operations.doctor.patient import Patient
from vipflow.store.meta import get_meta

_SET = "timedatectl set-ntp true"
_HIGH_WATER = "clock"  # the key under which store/meta.py keeps it


def clocks(patient: Patient) -> Iterator[Finding]:
    """This machine's clock beside the database's, its mark, and the last daemon's."""
    if patient.stands_still:
        says = f"The clock stands at {at(patient.now)} (clock.stands_at): nothing falls due."
        yield note("still", says, "To let time go on, take clock.stands_at out of config.toml.")
        return
    if patient.settings.clock.continues_from is not None:
        says = f"Time here is a story's, which goes on from {at(patient.settings.clock.continues_from)}."
        remedy = "For work in earnest take clock.continues_from out of config.toml, and begin with a new database."
        yield note("story", says, remedy)
        return
    with patient.rows() as connection:
        mark = get_meta(connection, _HIGH_WATER) if patient.file is not None else None
        host = patient.host_clock.now()
        theirs = patient.now
    apart = abs(theirs - host)
    if patient.file is None and apart > patient.limits.clocks:
        says = f"The database's clock and this machine's are {lasting(apart)} apart; the database's counts."
        yield warning("clock", says, "Let both be set by NTP.", _SET)
    ahead = datetime.fromisoformat(mark) - host if mark is not None else None
    if ahead is not None and ahead > patient.limits.clocks:
        says = (
            f"This machine's clock is {lasting(ahead)} behind the latest instant that the database knows "
            f"({at(host + ahead)}): until it has passed that, time stands still here."
        )
        remedy = (
            "Set the clock right. If it is right now and was ahead before, wait, or restore the backup from before."
        )
        yield error("went back", says, remedy, _SET)
    beats = [row.beat_at for row in patient.daemons]
    if beats and max(beats) - theirs > patient.limits.clocks:
        says = f"A daemon's last sign of life is {lasting(max(beats) - theirs)} ahead of the clock."
        yield warning("heartbeat", says, "See that the clocks of all machines are set by NTP.", _SET)
    elif apart <= patient.limits.clocks:
        yield ok("clock", f"It is {at(theirs)}, and the clocks agree.")


def zones(patient: Patient) -> Iterator[Finding]:
    """Whether the days of each reseller can be told."""
    known = []
    for tenant in patient.tenants:
        try:
            ZoneInfo(tenant.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            says = f"There is no time zone {tenant.zone!r}, which {tenant.key} lives in: its days cannot be told."
            remedy = "Install the time zones, or give the reseller another."
            yield error(
                "zone",
                says,
                remedy,
                "pip install tzdata",
                f"vipflow reseller set --reseller {tenant.key} --zone Europe/Paris",
            )
        else:
            known.append(tenant.zone)
    if known and len(known) == len(patient.tenants):
        yield ok("zone", f"Time zones known: {', '.join(sorted(set(known))[:5])}.")
