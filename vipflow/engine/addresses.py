"""Whom an event is for: the path in its subject (`customers/C-7K3F-9QTD/authorizations/PO-77`) made a case.

A name is our reference, the sender's own, or a fact that a workflow declares as a name (VIP number, PO, Adobe order
number). All names of a batch are looked up at once; names that the batch itself gives are added as it goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from vipflow.engine.envelope import Envelope
from vipflow.errors import BadInput
from vipflow.machine import Machine, Workflows
from vipflow.references import PATTERN, as_typed

Path: TypeAlias = tuple[tuple[str, str], ...]
"""(collection, name) pairs; the name may be empty."""


class Found(msgspec.Struct, frozen=True):
    """A case that a name leads to."""

    ref: str
    subject: str
    workflow: str


class Target(msgspec.Struct, frozen=True):
    """Where an event goes. `waiting_for` is set where it cannot be told yet: the name that is missing."""

    subject: str | None = None
    case: str | None = None
    given_ref: str | None = None
    waiting_for: str | None = None
    data: Any = None
    """The event's own with our references in it; None where it is as it came."""
    taken_by: Found | None = None
    """For an opening: the case that already bears the sender's reference."""


class Arrival(msgspec.Struct, frozen=True):
    """An event on its way through a batch, with what is asked of it more than once."""

    envelope: Envelope
    key: tuple[str, str]
    """Its source and id."""
    machine: Machine
    event: str
    """Its name within its workflow."""
    path: Path | None
    """None where its subject is no path: `place` says so."""
    received_at: datetime
    known: bool = False
    """The inbox has a row of it: it had been parked."""
    index: int | None = None
    """Where in the batch it stands; None for one that waited."""


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


def arrival(
    envelope: Envelope, workflows: Workflows, received_at: datetime, *, known: bool = False, index: int | None = None
) -> Arrival:
    """The event as it is taken up."""
    workflow, _, event = envelope.type.partition(".")
    key, path = (envelope.source, envelope.id), path_in(envelope.subject)
    return Arrival(envelope, key, workflows[workflow], event, path, received_at, known, index)


def path_in(subject: str) -> Path | None:
    """The (collection, name) pairs of an event's subject; None where it is no path."""
    if not subject:
        return ()
    parts = subject.split("/")
    if len(parts) not in (1, 2, 4) or not all(parts):
        return None
    if len(parts) == 1:
        return ((parts[0], ""),)
    return tuple(zip(parts[::2], parts[1::2], strict=True))


def names_in(arrival: Arrival) -> set[str]:
    """Every name that must be looked up before the event can be placed."""
    if arrival.path is None:
        return set()
    machine, data = arrival.machine, arrival.envelope.data
    found = {value for _, value in arrival.path if value}
    for attribute in _refers(machine, arrival.event):
        value = getattr(data, attribute, None)
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, (list, tuple)):
            found.update(v for v in value if isinstance(v, str))
    found.update([as_typed(value) for value in found])
    for name in machine.names:
        value = getattr(data, name.fact, None)
        if isinstance(value, str) and value:
            found.add(value)
    return found


def place(arrival: Arrival, workflows: Workflows, directory: Directory) -> Target:
    """Where the event goes, by the names known now. Raises BadInput for a path that makes no sense, or a name that
    fits two cases.
    """
    envelope, machine = arrival.envelope, arrival.machine
    path = _checked_path(arrival, workflows)
    opens = arrival.event in machine.openings
    if opens and machine.is_subject:
        return _place_new_subject(envelope, machine, path, directory)
    target = _place_subject(envelope, machine, workflows, path, directory, opens=opens)
    if target.waiting_for is not None:
        return target
    return _with_data(arrival, target, directory)


def _checked_path(arrival: Arrival, workflows: Workflows) -> Path:
    envelope, machine, path = arrival.envelope, arrival.machine, arrival.path
    if path is None:
        raise BadInput(
            f"event {envelope.source}/{envelope.id}",
            f"its subject {envelope.subject!r} is no path",
            "write customers/<reference> or customers/<reference>/authorizations/<reference>",
        )
    root = workflows.root.collection
    collections = [collection for collection, _ in path]
    if machine.is_subject:
        fits = collections in ([root], [])
    else:
        fits = collections in ([root], [root, machine.collection], [machine.collection])
    if not fits:
        shown = f"{root}/<reference>"
        if not machine.is_subject:
            shown += f" or {root}/<reference>/{machine.collection}/<reference>"
        raise BadInput(
            f"event {envelope.source}/{envelope.id}",
            f"its subject {envelope.subject!r} does not fit {envelope.type}",
            f"write {shown}",
        )
    return path


def _place_new_subject(envelope: Envelope, machine: Machine, path: Path, directory: Directory) -> Target:
    given = path[0][1] if path else ""
    if not given:
        return Target()
    _check_given(envelope, given)
    taken = directory.find(machine.collection, given)
    return Target(given_ref=given, taken_by=taken[0] if taken else None)


def _place_subject(
    envelope: Envelope,
    machine: Machine,
    workflows: Workflows,
    path: Path,
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


def _with_data(arrival: Arrival, target: Target, directory: Directory) -> Target:
    """The names inside the data replaced by our references."""
    data = arrival.envelope.data
    changes: dict[str, Any] = {}
    for attribute, collection in _refers(arrival.machine, arrival.event).items():
        value = getattr(data, attribute, None)
        if value is None:
            continue
        refs = []
        for each in (value,) if isinstance(value, str) else value:
            found = _one(arrival.envelope, directory, collection, each, target.subject)
            if found is None:
                return Target(waiting_for=f"{collection}/{each}")
            refs.append(found.ref)
        changes[attribute] = refs[0] if isinstance(value, str) else tuple(refs)
    if not changes:
        return target
    return msgspec.structs.replace(target, data=msgspec.structs.replace(data, **changes))


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
