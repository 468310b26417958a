"""What is wrong between workflows: references to what nobody collects, follow-ups to nowhere, round, or too deep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from vipflow.errors import Problem, WorkflowError, did_you_mean
from vipflow.sources import Places
from vipflow.workflow import Change, Opening, Send

if TYPE_CHECKING:
    from vipflow.machine import Machine

DEEPEST_CHAIN = 4
"""Follow-ups of follow-ups: more is a design that nobody can follow."""


class Wrong:
    """What is wrong between workflows, each with the class that must say otherwise."""

    def __init__(self) -> None:
        self.problems: dict[str, list[Problem]] = {}

    def __call__(self, machine: Machine, says: str, attribute: str, at: int | None = None) -> None:
        self.problems.setdefault(machine.name, []).append(Problem(says, *Places(machine.cls).of(attribute, at)))

    def stop(self) -> None:
        if len(self.problems) == 1:
            name, problems = next(iter(self.problems.items()))
            raise WorkflowError(name, *problems)
        if self.problems:
            several = [
                Problem(f"workflow {n}: {p.says}", p.file, p.line) for n, ps in self.problems.items() for p in ps
            ]
            raise WorkflowError(", ".join(self.problems), *several)


def check_references(machines: Mapping[str, Machine], wrong: Wrong) -> None:
    """Notes fields that refer to what no workflow collects."""
    collections = sorted(machine.collection for machine in machines.values())
    for machine in machines.values():
        for attribute, at, event, declared in _declared(machine):
            for field_name, collection in declared.refers.items():
                if collection not in collections:
                    near = did_you_mean(collection, collections)
                    wrong(
                        machine,
                        f"event {event!r}: {field_name!r} refers to {collection!r}, which no workflow collects{near}; "
                        f"there are {', '.join(collections)}",
                        attribute,
                        at,
                    )


def _declared(machine: Machine) -> Iterator[tuple[str, int, str, Opening | Change]]:
    """Each opening and change, with the list and the place in it where the class says it."""
    for at, (event, opening) in enumerate(machine.openings.items()):
        yield "openings", at, event, opening
    for at, (event, change) in enumerate(machine.changes.items()):
        yield "changes", at, event, change


def check_follow_ups(machines: Mapping[str, Machine], wrong: Wrong) -> None:
    """Notes follow-ups that nobody takes, and chains of them that go round or too deep."""
    sends: dict[str, list[str]] = {}
    places: dict[str, tuple[Machine, str, int]] = {}
    for machine in machines.values():
        for attribute, at, event, declared in _declared(machine):
            name = f"{machine.name}.{event}"
            places[name] = (machine, attribute, at)
            sends[name] = []
            for send in declared.then:
                says = _unsendable(machines, send)
                if says is None:
                    sends[name].append(send.event)
                else:
                    wrong(machine, f"event {event!r} sends {send.event!r}, which {says}", attribute, at)
    told: set[frozenset[str]] = set()
    for start in sends:
        for path, says in _walk(start, sends, (start,)):
            if frozenset(path) not in told:
                told.add(frozenset(path))
                machine, attribute, at = places[start]
                wrong(machine, f"{says}: {' → '.join(path)}", attribute, at)


def _unsendable(machines: Mapping[str, Machine], send: Send) -> str | None:
    """Why a follow-up cannot be sent; None where it can."""
    workflow, _, name = send.event.partition(".")
    target = machines.get(workflow)
    if target is None or not target.knows(name):
        known = [f"{m.name}.{event}" for m in machines.values() for event in (*m.openings, *m.targets)]
        return f"no workflow knows{did_you_mean(send.event, known)}"
    if (name in target.openings) != (send.to is None):
        return "opens a case and takes no `to=`" if name in target.openings else "moves a case and needs `to=`"
    return None


def _walk(
    event: str, sends: Mapping[str, Sequence[str]], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """The ways from an event that go round or too deep."""
    for then in sends.get(event, ()):
        if then in path:
            if then == path[0]:
                yield (*path, then), "follow-ups go round"
        elif len(path) > DEEPEST_CHAIN:
            yield (*path, then), f"follow-ups deeper than {DEEPEST_CHAIN}"
        else:
            yield from _walk(then, sends, (*path, then))
