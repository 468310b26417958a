"""Whom an event is for: the path in its subject (`customers/C-7K3F-9QTD/authorizations/PO-77`) made a case.

A name is our reference, the sender's own, or a fact that a workflow declares as a name (VIP number, PO, Adobe order
number). All names of a batch are looked up at once; names that the batch itself gives are added as it goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from vipflow.engine.envelope import Envelope
from vipflow.errors import BadInput
from vipflow.machine import Machine, Workflows
from vipflow.references import PATTERN, as_typed


@dataclass(frozen=True, slots=True)
class Found:
    """A case that a name leads to."""

    ref: str
    subject: str
    workflow: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where an event goes. `waiting_for` is set where it cannot be told yet: the name that is missing."""

    subject: str | None = None
    case: str | None = None
    given_ref: str | None = None
    waiting_for: str | None = None
    data: Any = None
    taken_by: Found | None = None
    """For an opening: the case that already bears the sender's reference."""


@dataclass
class Directory:
    """All names that matter to one batch: (collection, value) → the cases that bear it."""

    entries: dict[tuple[str, str], dict[str, Found]] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    """References of the cases in hand that are not settled: a name that several bear means the one still running."""

    def add(self, collection: str, value: str, found: Found) -> None:
        self.entries.setdefault((collection, value), {})[found.ref] = found

    def find(self, collection: str, value: str) -> list[Found]:
        found = self.entries.get((collection, value)) or self.entries.get((collection, as_typed(value))) or {}
        return list(found.values())


def path_of(envelope: Envelope) -> tuple[tuple[str, str], ...]:
    """The (collection, name) pairs of an event's subject; raises BadInput."""
    if not envelope.subject:
        return ()
    parts = envelope.subject.split("/")
    if len(parts) not in (1, 2, 4) or not all(parts):
        raise BadInput(
            f"event {envelope.source}/{envelope.id}",
            f"its subject {envelope.subject!r} is no path",
            "write customers/<reference> or customers/<reference>/authorizations/<reference>",
        )
    if len(parts) == 1:
        return ((parts[0], ""),)
    return tuple(zip(parts[::2], parts[1::2], strict=True))


def names_in(envelope: Envelope, machine: Machine) -> set[str]:
    """Every name that must be looked up before the event can be placed."""
    found = {value for _, value in path_of(envelope) if value}
    for attribute in _refers(machine, envelope.event):
        value = getattr(envelope.data, attribute, None)
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, (list, tuple)):
            found.update(v for v in value if isinstance(v, str))
    return found | {as_typed(value) for value in found}


def place(envelope: Envelope, workflows: Workflows, directory: Directory) -> Target:
    """Where the event goes, by the names known now. Raises BadInput for a path that makes no sense, or a name that
    fits two cases.
    """
    machine = workflows[envelope.workflow]
    opening = machine.openings.get(envelope.event)
    path = _checked_path(envelope, machine, workflows)
    if opening is not None and machine.is_subject:
        return _place_new_subject(envelope, machine, path, directory)
    target = _place_subject(envelope, machine, workflows, path, directory, opens=opening is not None)
    if target.waiting_for is not None:
        return target
    return _with_data(envelope, machine, target, directory)


def _checked_path(envelope: Envelope, machine: Machine, workflows: Workflows) -> tuple[tuple[str, str], ...]:
    path = path_of(envelope)
    root = workflows.root
    what = f"event {envelope.source}/{envelope.id}"
    allowed = [(root.collection,), (machine.collection,), (root.collection, machine.collection)]
    collections = tuple(collection for collection, _ in path)
    if machine.is_subject:
        allowed = [(root.collection,), ()]
    if collections not in allowed:
        shown = root.collection + "/<reference>"
        if not machine.is_subject:
            shown += f" or {root.collection}/<reference>/{machine.collection}/<reference>"
        raise BadInput(what, f"its subject {envelope.subject!r} does not fit {envelope.type}", f"write {shown}")
    return path


def _place_new_subject(
    envelope: Envelope, machine: Machine, path: tuple[tuple[str, str], ...], directory: Directory
) -> Target:
    given = path[0][1] if path else ""
    if not given:
        return Target(data=envelope.data)
    _check_given(envelope, given)
    taken = directory.find(machine.collection, given)
    return Target(given_ref=given, data=envelope.data, taken_by=taken[0] if taken else None)


def _place_subject(
    envelope: Envelope,
    machine: Machine,
    workflows: Workflows,
    path: tuple[tuple[str, str], ...],
    directory: Directory,
    *,
    opens: bool,
) -> Target:
    root = workflows.root
    subject: str | None = None
    if path and path[0][0] == root.collection:
        found = _one(envelope, directory, *path[0])
        if found is None:
            return Target(waiting_for="/".join(path[0]))
        subject = found.subject
        if machine.is_subject:
            return Target(subject=subject, case=found.ref)
    named = path[-1][1] if path and path[-1][0] == machine.collection else ""
    if opens:
        if subject is None:
            raise BadInput(
                f"event {envelope.source}/{envelope.id}",
                f"{envelope.type} does not say for whom",
                f"write the subject {root.collection}/<reference>",
            )
        if not named:
            return Target(subject=subject)
        _check_given(envelope, named)
        taken = [f for f in directory.find(machine.collection, named) if f.subject == subject]
        return Target(subject=subject, given_ref=named, taken_by=taken[0] if taken else None)
    if not named and subject is not None and machine.one_per_subject:
        named = subject
    if not named:
        raise BadInput(
            f"event {envelope.source}/{envelope.id}",
            f"{envelope.type} does not say which {machine.title.en}",
            f"write the subject {root.collection}/<reference>/{machine.collection}/<reference>",
        )
    found = _one(envelope, directory, machine.collection, named, subject)
    if found is None:
        return Target(waiting_for=f"{machine.collection}/{named}")
    return Target(subject=found.subject, case=found.ref)


def _with_data(envelope: Envelope, machine: Machine, target: Target, directory: Directory) -> Target:
    """The names inside the data replaced by our references."""
    data = envelope.data
    changes: dict[str, Any] = {}
    for attribute, collection in _refers(machine, envelope.event).items():
        value = getattr(data, attribute, None)
        if value is None:
            continue
        refs = []
        for each in (value,) if isinstance(value, str) else value:
            found = _one(envelope, directory, collection, each, target.subject)
            if found is None:
                return Target(waiting_for=f"{collection}/{each}")
            refs.append(found.ref)
        changes[attribute] = refs[0] if isinstance(value, str) else tuple(refs)
    if changes:
        data = msgspec.structs.replace(data, **changes)
    return Target(target.subject, target.case, target.given_ref, None, data, target.taken_by)


def _one(
    envelope: Envelope, directory: Directory, collection: str, value: str, subject: str | None = None
) -> Found | None:
    found = directory.find(collection, value)
    if subject is not None:
        found = [f for f in found if f.subject == subject]
    if len(found) > 1:
        running = [f for f in found if f.ref in directory.live]
        found = running if len(running) == 1 else found
    if len(found) > 1:
        several = ", ".join(sorted(f.ref for f in found))
        raise BadInput(
            f"event {envelope.source}/{envelope.id}",
            f"{value!r} fits several of the {collection}: {several}",
            "name one of them by its reference",
        )
    return found[0] if found else None


def _check_given(envelope: Envelope, given: str) -> None:
    if PATTERN.match(given.upper()):
        raise BadInput(
            f"event {envelope.source}/{envelope.id}",
            f"{given!r} has the form of our references, which vipflow gives",
            "choose another, or none",
        )


def _refers(machine: Machine, event: str) -> Mapping[str, str]:
    opening = machine.openings.get(event)
    if opening is not None:
        return opening.refers
    change = machine.changes.get(event)
    return change.refers if change is not None else {}


def references_among(values: Iterable[str]) -> list[str]:
    """Those of the names that have the form of our own references."""
    return sorted({v for v in values if PATTERN.match(v)})
