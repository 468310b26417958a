"""Due timers fired: each tenant's subjects in one transaction, and what stops them found by halving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from vipflow.engine.batch import ERRORS_AT_MOST, Batch, TimerFault, timer_given_up, told, wakes_again
from vipflow.engine.quarantine import CRASHES_AT_MOST, given_up_after_crashes
from vipflow.engine.writing import write_timer_faults
from vipflow.errors import Busy
from vipflow.store import work as store
from vipflow.store.crashes import all_crashes, clear_crashes
from vipflow.store.database import DatabaseUnusable

if TYPE_CHECKING:
    from vipflow.engine import Engine


class SweepReport(msgspec.Struct, frozen=True):
    """What one sweep did. `more`: something may still be due."""

    subjects: int
    transitions: int
    faults: int
    more: bool


def sweep(engine: Engine, most: int) -> SweepReport:
    """Fires what is due, of each tenant together; what processes died with comes last."""
    with engine.database.read() as connection:
        due = store.due_subjects(connection, engine.read_now(connection), most)
        crashed = all_crashes(connection) if engine.in_hand is not None else {}
    by_tenant: dict[int, list[str]] = {}
    suspected = []
    for row in due:
        times = crashed.get((row.tenant, row.subject), 0)
        if times:
            suspected.append((times, row.tenant, row.subject))
        else:
            by_tenant.setdefault(row.tenant, []).append(row.subject)
    reports = [_sweep(engine, tenant, sorted(subjects)) for tenant, subjects in sorted(by_tenant.items())]
    reports += [_sweep_suspect(engine, *each) for each in sorted(suspected)]
    transitions, faults = sum(r.transitions for r in reports), sum(r.faults for r in reports)
    return SweepReport(sum(r.subjects for r in reports), transitions, faults, more=transitions + faults > 0)


def _sweep(engine: Engine, tenant: int, subjects: list[str]) -> SweepReport:
    try:
        return _sweep_together(engine, tenant, subjects)
    except (Busy, DatabaseUnusable):
        raise
    except Exception as fault:
        if len(subjects) == 1:
            return _back_off(engine, tenant, subjects[0], fault)
    half = len(subjects) // 2
    first, second = _sweep(engine, tenant, subjects[:half]), _sweep(engine, tenant, subjects[half:])
    return SweepReport(
        first.subjects + second.subjects, first.transitions + second.transitions, first.faults + second.faults, True
    )


def _sweep_suspect(engine: Engine, times: int, tenant: int, subject: str) -> SweepReport:
    """What processes died with in hand comes last and alone, that which they died with more often after the rest;
    at the third time its due timers are left to a person.
    """
    if times < CRASHES_AT_MOST:
        return _sweep(engine, tenant, [subject])
    with engine.database.write() as connection:
        batch = engine.batch(connection, tenant, engine.now(connection))
        due = store.due_timers_of(connection, tenant, subject, batch.now)
        problem = f"{times} processes died with it in hand"
        faults = [TimerFault(row.case_ref, row.name, row.due_at, row.errors, None, problem) for row in due]
        events = [f"{row.workflow}.{row.event}" for row in due]
        given_up = [given_up_after_crashes(subject, times, events)] if due else []
        write_timer_faults(batch, subject, faults, given_up)
    return SweepReport(1, 0, len(faults), True)


def _sweep_together(engine: Engine, tenant: int, subjects: list[str]) -> SweepReport:
    with engine.noted(tenant, subjects), engine.database.write() as connection:
        batch = engine.batch(connection, tenant, engine.now(connection))
        batch.lock(subjects, skip_locked=True)
        batch.leave_held()
        _fire_all(batch)
        engine.write(batch, [])
        if engine.in_hand is not None and len(subjects) == 1:
            clear_crashes(connection, tenant, batch.works)
    engine.committed(batch)
    works = batch.works.values()
    return SweepReport(len(works), sum(len(w.steps) for w in works), sum(len(w.faults) for w in works), True)


def _back_off(engine: Engine, tenant: int, subject: str, fault: Exception) -> SweepReport:
    """The due timers of a subject that cannot even be loaded or written wait, longer each time."""
    with engine.database.write() as connection:
        batch = engine.batch(connection, tenant, engine.now(connection))
        problem = told(fault)
        faults, given_up = [], []
        for row in store.due_timers_of(connection, tenant, subject, batch.now):
            errors = row.errors + 1
            faults.append(
                TimerFault(row.case_ref, row.name, row.due_at, errors, wakes_again(batch.now, errors), problem)
            )
            if errors >= ERRORS_AT_MOST:
                event = f"{row.workflow}.{row.event}"
                given_up.append(timer_given_up(row.case_ref, row.name, row.due_at, event, problem))
        write_timer_faults(batch, subject, faults, given_up)
    return SweepReport(1, 0, len(faults), True)


def _fire_all(batch: Batch) -> None:
    waiting = list(batch.works.values())
    while waiting:
        waiting = [work for work in waiting if not batch.fire_due(work, batch.now)]
        batch.load_missing()
