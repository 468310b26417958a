"""Explain: for each event of a case whether it is possible now, why not, and when that changes by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as changed
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from vipflow.case import Case, View
from vipflow.decide import obstacles, opening_obstacles
from vipflow.foresight.forecast import FAR, futures
from vipflow.foresight.sight import Sight
from vipflow.machine import Machine, Workflows
from vipflow.workflow import INTERNAL, REPORT, Obstacle, Opening, Reason, Text


class Possibility(msgspec.Struct, frozen=True):
    """One event: `possible` now, or the `reasons` why not. `opens_at` (UTC): when the clock alone makes it possible.

    `depends_on_data`: some guard can only tell once it sees what is asked for. A report is always recorded; for one,
    `possible` False means that it would contradict what we know.
    """

    event: str
    kind: str
    possible: bool
    opens_case: bool = False
    leads_to: str | None = None
    reasons: tuple[Reason, ...] = ()
    opens_at: datetime | None = None
    depends_on_data: bool = False


class Explanation(msgspec.Struct, frozen=True):
    """A case and everything that may be done with it. For a subject also what may be opened for it."""

    case: str
    workflow: str
    state: str
    label: Text
    since: datetime
    possibilities: tuple[Possibility, ...]


class NeedsData(Exception):
    """Raised by `UNKNOWN` when a guard looks at the data that nobody has given yet."""


class _Unknown:
    def __getattr__(self, name: str) -> Any:
        if (
            name.startswith("__") and name != "__struct_fields__"
        ):  # inspect and doctest probe for such names on everything they meet
            raise AttributeError(name)
        raise NeedsData(name)


UNKNOWN: Any = _Unknown()


def explain(workflows: Workflows, seen: Sight, ref: str) -> Explanation:
    """What may be done with the case `ref` of the subject in sight."""
    case = seen.case(ref)
    machine = workflows[case.workflow]
    found = list(_possibilities(workflows, seen, machine, case, seen.view))
    closed = {p.event for p in found if not p.possible and p.kind != REPORT}
    opens = _openings_in_time(workflows, seen, ref, closed) if closed else {}
    told = tuple(replace(p, opens_at=_earliest(p, opens.get(p.event))) for p in found)
    return Explanation(case.ref, machine.name, case.state, machine.label_of(case.state), case.since, told)


def _possibilities(
    workflows: Workflows, seen: Sight, machine: Machine, case: Case, view: View
) -> Iterator[Possibility]:
    at = replace(view, at=view.now)
    for name, change in machine.changes.items():
        if change.kind == INTERNAL:
            continue
        here = replace(at, case=case)
        edge, reasons, depends = seen.ask(here, lambda v, name=name: _way(machine, case, name, v))
        yield Possibility(f"{machine.name}.{name}", change.kind, edge is not None, False, edge, reasons, None, depends)
    if not machine.is_subject:
        return
    for other in workflows:
        for name, opening in other.openings.items():
            if other.is_subject or opening.kind == INTERNAL:
                continue
            reasons, depends = seen.ask(replace(at, case=None), lambda v, opening=opening: _may_open(opening, v))
            state = other.opening_states[name][0]
            yield Possibility(f"{other.name}.{name}", opening.kind, not reasons, True, state, reasons, None, depends)


def _way(machine: Machine, case: Case, event: str, view: View) -> tuple[str | None, tuple[Reason, ...], bool]:
    depends: list[bool] = []
    edge, reasons = obstacles(_tolerant(machine, case, event, depends), case, event, UNKNOWN, view)
    return (edge.target if edge is not None else None), reasons, bool(depends)


def _may_open(opening: Opening, view: View) -> tuple[tuple[Reason, ...], bool]:
    depends: list[bool] = []
    guards = tuple(_patient(guard, depends) for guard in opening.unless)
    return opening_obstacles(changed(opening, unless=guards), UNKNOWN, view), bool(depends)


def _tolerant(machine: Machine, case: Case, event: str, depends: list[bool]) -> Machine:
    """The machine with the guards of one event made patient."""
    edges = machine.edges.get((case.state, event))
    if not edges:
        return machine
    patient = tuple(changed(edge, unless=tuple(_patient(guard, depends) for guard in edge.unless)) for edge in edges)
    return changed(machine, edges={**machine.edges, (case.state, event): patient})


def _patient(guard: Obstacle, depends: list[bool]) -> Obstacle:
    def ask(facts: Any, data: Any, view: Any) -> Reason | None:
        try:
            return guard(facts, data, view)
        except NeedsData:
            depends.append(True)
            return None

    return ask


def _openings_in_time(workflows: Workflows, seen: Sight, ref: str, closed: set[str]) -> dict[str, datetime]:
    """For each event that is not possible now, the first moment of the forecast at which it is."""
    found: dict[str, datetime] = {}
    for _, happened in futures(workflows, seen, seen.view.now + FAR):
        if happened is None or len(found) == len(closed):
            break
        after: View = happened.view
        case = after.cases.get(ref)
        if case is None:
            break
        for possibility in _possibilities(workflows, seen, workflows[case.workflow], case, after):
            if possibility.possible and possibility.event in closed:
                found.setdefault(possibility.event, after.now)
    return found


def _earliest(possibility: Possibility, by_clock: datetime | None) -> datetime | None:
    moments = [r.opens_at for r in possibility.reasons if r.opens_at is not None]
    if by_clock is not None:
        moments.append(by_clock)
    return min(moments, default=None)
