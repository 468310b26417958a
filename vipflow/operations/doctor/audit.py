"""The seals over history and acts: whether their key is private, and whether they keep up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vipflow.engine.sealfile import SealPlace
from vipflow.engine.seals import seal_state
from vipflow.operations.doctor.findings import Finding, at, counted, do, error, lasting, note, ok, warning
from vipflow.operations.doctor.patient import Patient
from vipflow.store.health import MOST, acts_not_sealed, latest_seal, not_sealed


def key(patient: Patient) -> Iterator[Finding]:
    """Whether key, file and database fit together, so that the next seal can follow the last."""
    where = patient.settings.audit
    with patient.rows() as connection:
        began = latest_seal(connection) is not None or where.seals.exists()
    if began:  # else there is nothing to fit, and everything to count
        state = seal_state(patient.database, SealPlace(where.key, where.seals))
        if state.problem is not None:
            says = f"No seal can be made. {state.problem[:1].upper()}{state.problem[1:]}."
            yield error("key", says, f"{str(state.remedy)[:1].upper()}{str(state.remedy)[1:]}.", "vipflow audit verify")
        else:
            yield ok("key", f"The key of the seals is there, and private; {counted(state.seals, 'seal')} made with it.")
    if (where.seals.exists() and not os.access(where.seals, os.W_OK)) or not may_be_made(where.seals):
        says = f"Seals cannot be written to {where.seals}."
        remedy = "Let vipflow's user write there, or set audit.seals."
        yield error("seals", says, remedy, f"ls -ld {where.seals.parent} {where.seals}")


def may_be_made(path: Path) -> bool:
    """Whether a file or folder could be made at `path`, or is there: the nearest folder that exists may be written."""
    there = next((each for each in (path, *path.parents) if each.exists()), None)
    return there is not None and os.access(there, os.W_OK)


def sealed(patient: Patient) -> Iterator[Finding]:
    """Whether the newest seal covers what was written until a moment ago."""
    now, limits = patient.now, patient.limits
    with patient.rows() as connection:
        seal = latest_seal(connection)
        rows = not_sealed(connection, seal)
        acts = acts_not_sealed(connection, seal)
    behind = counted(rows.number, "step of history", most=MOST, plural="steps of history")
    are = do(rows.number + acts, "is", "are")
    behind += f" and {counted(acts, 'act', most=MOST)}" if acts else ""
    late = now - rows.oldest if rows.oldest is not None else None
    if not rows.number and not acts:
        yield ok("sealed", "Everything is sealed." if seal is not None else "There is nothing to seal yet.")
    elif seal is None and not patient.alive:
        says = f"{behind} {are} not sealed: no daemon ran yet."
        remedy = f"The first one makes the key {patient.settings.audit.key}: keep a copy of it on another machine."
        yield note("sealed", says, remedy, "vipflow serve")
    elif patient.alive and late is not None and late > patient.here(limits.seal):
        says = f"{behind} {are} not sealed, the first for {lasting(late)}, though a daemon runs."
        remedy = "See what it reports of its seals; a change made meanwhile would not be found."
        yield error("sealed", says, remedy, "vipflow audit seal", "journalctl -u vipflow -n 50")
    elif not patient.alive and seal is not None:
        says = f"{behind} {are} not sealed; the last seal is of {at(seal.made_at)}, and no daemon runs."
        yield warning("sealed", says, "A daemon seals every minute.", "vipflow serve")
    else:
        yield ok("sealed", f"{behind} {do(rows.number + acts, 'waits', 'wait')} for the next seal.")
