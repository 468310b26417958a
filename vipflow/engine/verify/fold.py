"""The history of one customer folded: what its outcomes say that is, one after the other. Nothing is re-decided."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from vipflow.facts import decode_facts
from vipflow.machine import Machine, Workflows
from vipflow.workflow import AMEND

Note = Callable[[str, str, str], None]
"""Takes (invariant, record, problem)."""


class Armed(NamedTuple):
    """A timer as history armed it."""

    event: str
    due_at: datetime


class Given(NamedTuple):
    """A name as history gave it to a case; `exclusive` where any of its givers wants it so."""

    kinds: frozenset[str]
    exclusive: bool


Remembered = tuple[int, dict[str, Any]]
"""Facts as plain data, with the version they may have been written under (history does not say which)."""


@dataclass
class Told:
    """A case as its history tells it."""

    ref: str
    workflow: str
    state: str
    policy: str
    since: datetime
    opened_at: datetime
    facts: list[Remembered]
    version: int = 0
    timers: dict[str, Armed] = field(default_factory=dict)
    rows: set[int] = field(default_factory=set)


@dataclass
class Story:
    """All that the history of one customer implies."""

    cases: dict[str, Told] = field(default_factory=dict)
    messages: dict[str, Any] = field(default_factory=dict)
    """By key, the history row that wrote it."""
    names: dict[tuple[str, str, str], Given] = field(default_factory=dict)
    """By collection, value and case."""
    fired: int = 0
    last: Any = None


class _Timers(msgspec.Struct):
    armed: dict[str, tuple[str, datetime]] = {}
    dropped: tuple[str, ...] = ()


class _Note(msgspec.Struct):
    given: str | None = None
    data: msgspec.Raw = msgspec.Raw()


class _Renamed(msgspec.Struct):
    """Of an amending: the state before and after, where it is only called otherwise."""

    renamed: tuple[str, str] | None = None


_timers = msgspec.json.Decoder(_Timers).decode
_keys = msgspec.json.Decoder(list[str]).decode
_facts = msgspec.json.Decoder(dict[str, Any]).decode
_note = msgspec.json.Decoder(_Note).decode
_renamed = msgspec.json.Decoder(_Renamed).decode

_BY_TIMER = re.compile(
    r"timer:(?P<case>[^/]+)/(?P<name>.+)/(?P<due>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)(?:#\d+)?(?P<after>/.+)?",
    re.DOTALL,
)


def fold(rows: Sequence[Any], workflows: Workflows, note: Note) -> Story:
    """The story that these rows tell, in order of sequence. Where they contradict each other that is noted, and the
    later row counts.
    """
    story = Story()
    for row in rows:
        try:
            noted = _note(row.note) if row.note else _Note()
            renamed = _renamed(noted.data).renamed if row.event == AMEND and bytes(noted.data) else None
            told = _Row(
                row,
                _facts(row.facts_before),
                _facts(row.facts_after),
                _timers(row.timers),
                _keys(row.messages),
                renamed is not None and renamed[1] == row.to_state,
            )
        except (msgspec.MsgspecError, TypeError) as wrong:
            note("I2", f"history {row.sequence}", f"it cannot be read: {wrong}")
            continue
        machine = workflows.get(row.workflow)
        _check_timer(story, told, note)
        _fold_case(story, told, machine, note)
        _fold_timers(story.cases[row.case_ref], told, note)
        for key in told.messages:
            if key in story.messages:
                note(
                    "I4",
                    f"history {row.sequence}",
                    f"it writes the message {key}, which history {story.messages[key].sequence} wrote",
                )
            story.messages[key] = row
        if machine is not None:
            for name, how in _names_given(machine, story.cases[row.case_ref], told, noted.given):
                _merge(story.names, (*name, row.case_ref), how)
        story.last = row
    return story


def has_facts(told: Told, machine: Machine, facts: Any) -> bool:
    """Whether the folded facts are `facts`, under one of the versions they may have."""
    return any(_decoded(machine, version, plain) == facts for version, plain in _with_upgrades(machine, told.facts))


class _Row(NamedTuple):
    row: Any
    before: dict[str, Any]
    after: dict[str, Any]
    timers: _Timers
    messages: list[str]
    renamed: bool
    """Its state is only called otherwise: the case is in it since it was in the other."""


# --- names ---------------------------------------------------------------------------------------------------------


def _names_given(machine: Machine, case: Told, told: _Row, given: str | None) -> list[tuple[tuple[str, str], Given]]:
    """The names, by collection and value, that one history row gives its case."""
    found = []
    if told.row.from_state is None:
        if given:
            found.append(((machine.collection, given), Given(frozenset({"sender"}), machine.is_subject)))
        if machine.one_per_subject and not machine.is_subject:
            found.append(((machine.collection, told.row.subject), Given(frozenset({"ours"}), True)))
    for name in machine.names if told.after else ():
        value = _name_among(machine, name.fact, case, told)
        if value:
            found.append(((machine.collection, value), Given(frozenset({name.kind}), name.exclusive)))
    return found


def _name_among(machine: Machine, fact: str, case: Told, told: _Row) -> Any:
    """The name that a fact is after the row; what the row did not change is given already, and may be None here."""
    if machine.facts.facts_version == 1 and fact in machine.facts.__struct_fields__:
        return told.after.get(fact)
    # A property of the facts, or a fact that was called otherwise before an upgrade.
    decoded = (_decoded(machine, version, plain) for version, plain in case.facts)
    return next((getattr(facts, fact, None) for facts in decoded if facts is not None), None)


def _merge(names: dict[tuple[str, str, str], Given], key: tuple[str, str, str], how: Given) -> None:
    known = names.get(key)
    names[key] = how if known is None else Given(known.kinds | how.kinds, known.exclusive or how.exclusive)


# --- cases ---------------------------------------------------------------------------------------------------------


def _fold_case(story: Story, told: _Row, machine: Machine | None, note: Note) -> None:
    row = told.row
    record = f"history {row.sequence}"
    case = story.cases.get(row.case_ref)
    if case is None:
        if row.from_state is not None:
            note("I2", record, f"it moves {row.case_ref}, which no row before it opens")
        versions = range(1, machine.facts.facts_version + 1) if machine is not None else (1,)
        facts = [(version, dict(told.after)) for version in versions]
        case = Told(row.case_ref, row.workflow, row.to_state, row.policy, row.effective_at, row.effective_at, facts)
        story.cases[row.case_ref] = case
        case.rows.add(row.sequence)
        return
    if row.from_state is None:
        note("I2", record, f"it opens {row.case_ref}, which history {min(case.rows)} opened")
    elif row.from_state != case.state:
        note(
            "I2",
            record,
            f"it starts in {row.from_state!r}, but the row before it left {row.case_ref} in {case.state!r}",
        )
    if row.workflow != case.workflow:
        note("I2", record, f"it says that {row.case_ref} is a {row.workflow}, and it is a {case.workflow}")
    if row.to_state != row.from_state and not told.renamed:
        case.since = row.effective_at
    case.state = row.to_state
    case.policy = row.policy
    case.version += 1
    case.rows.add(row.sequence)
    if told.before or told.after:
        _fold_facts(case, told, machine, note)


def _fold_facts(case: Told, told: _Row, machine: Machine | None, note: Note) -> None:
    if machine is None:
        return
    record = f"history {told.row.sequence}"
    candidates = _with_upgrades(machine, case.facts)
    fitting = [(version, plain) for version, plain in candidates if _holds(machine, version, plain, told.before)]
    if not fitting:
        note("I2", record, f"the facts that it changes were not so before: {_differing(candidates, told.before)}")
        fitting = candidates
    case.facts = [(version, {**plain, **told.after}) for version, plain in fitting]


def _holds(machine: Machine, version: int, plain: dict[str, Any], before: dict[str, Any]) -> bool:
    if all(name in plain and plain[name] == value for name, value in before.items()):
        return True
    # The same value may have been written otherwise, or left out as a default.
    whole = _decoded(machine, version, plain)
    return whole is not None and whole == _decoded(machine, version, {**plain, **before})


def _differing(candidates: Sequence[Remembered], before: dict[str, Any]) -> str:
    plain = candidates[-1][1] if candidates else {}
    return ", ".join(sorted(name for name, value in before.items() if plain.get(name) != value))


def _with_upgrades(machine: Machine, facts: Sequence[Remembered]) -> list[Remembered]:
    """The facts as they are and as upgrades would make them: one may have been applied since they were written."""
    present = machine.facts.facts_version
    if present == 1:
        return list(facts)
    found: list[Remembered] = []
    for written in facts:
        candidate: Remembered | None = written
        while candidate is not None and candidate not in found:
            found.append(candidate)
            version, plain = candidate
            candidate = (version + 1, _upgraded(machine, version, plain)) if version < present else None
    return found


def _upgraded(machine: Machine, version: int, plain: dict[str, Any]) -> dict[str, Any]:
    try:
        return machine.facts.upgrades[version - 1](dict(plain))
    except Exception:  # these are facts of another version
        return plain


def _decoded(machine: Machine, version: int, plain: dict[str, Any]) -> Any:
    """The facts as the workflow's class; None where this is not their version."""
    try:
        return decode_facts(machine.facts, msgspec.json.encode(plain).decode(), version)
    except Exception:  # an upgrade may raise anything over facts that are not its own
        return None


# --- timers --------------------------------------------------------------------------------------------------------


def _check_timer(story: Story, told: _Row, note: Note) -> None:
    """A row that a timer caused: it was armed so, it fired when it was due or later, and its instant is the due one."""
    row = told.row
    if not row.cause.startswith("timer:"):
        return
    record = f"history {row.sequence}"
    cause = _BY_TIMER.fullmatch(row.cause)
    if cause is None:
        note("I6", record, f"its cause {row.cause!r} names no timer")
        return
    story.fired += 1
    due_at = datetime.fromisoformat(cause["due"])
    if row.recorded_at < due_at:
        note(
            "I6",
            record,
            f"the timer {cause['name']!r} fired early: recorded at {_when(row.recorded_at)}, due at {_when(due_at)}",
        )
    if row.effective_at != due_at:
        note("I6", record, f"it took effect at {_when(row.effective_at)}, and its timer was due at {_when(due_at)}")
    if cause["after"] is not None:
        return  # a follow-up of what the timer did
    case = story.cases.get(cause["case"])
    armed = case.timers.get(cause["name"]) if case is not None else None
    if cause["case"] != row.case_ref:
        note("I6", record, f"a timer of {cause['case']} moved {row.case_ref}")
    elif armed is None or armed.due_at != due_at:
        note("I6", record, f"the timer {cause['name']!r} fired for {_when(due_at)}, and history had not armed it so")


def _fold_timers(case: Told, told: _Row, note: Note) -> None:
    for name in told.timers.dropped:
        if case.timers.pop(name, None) is None:
            note(
                "I4", f"history {told.row.sequence}", f"it drops the timer {name!r} of {case.ref}, which was not armed"
            )
    for name, (event, due_at) in told.timers.armed.items():
        case.timers[name] = Armed(event, due_at)


def _when(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ").replace(".000000Z", "Z")
