"""The workflows of an installation, told to people: what `vipflow workflow` and the docs show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vipflow.errors import NotFound, did_you_mean
from vipflow.machine import Machine
from vipflow.operations.installation import Files
from vipflow.policy import Number
from vipflow.workflow import INTERNAL, REPORT, REQUEST, Email, OnEvent, State, Text, When

START = "[*]"


class WorkflowEntry(msgspec.Struct, frozen=True):
    """One workflow in a list."""

    name: str
    title: Text
    prefix: str
    collection: str
    states: Sequence[str]
    requests: Sequence[str]
    reports: Sequence[str]
    internal: Sequence[str]


class StateTold(msgspec.Struct, frozen=True):
    """A state; `remark` says where a case begins or ends."""

    name: str
    label: Text
    remark: str


class EventTold(msgspec.Struct, frozen=True):
    """An event: its kind, the states it leads from and to, what it takes, what may refuse it, what it sends on."""

    name: str
    kind: str
    opens: bool
    sources: Sequence[str]
    targets: Sequence[str]
    takes: Sequence[str]
    guards: Sequence[str]
    then: Sequence[str]
    reason_required: bool


class TimerTold(msgspec.Struct, frozen=True):
    """While a case is in `state`, `sends` falls due by the rule."""

    state: str
    rule: str
    sends: str


class MailTold(msgspec.Struct, frozen=True):
    """A mail, to whom, and when it is written."""

    template: str
    to: str
    on: Sequence[str]
    ladder: str | None


class WorkflowTold(msgspec.Struct, frozen=True):
    """One workflow, whole."""

    name: str
    title: Text
    about: str
    prefix: str
    collection: str
    states: Sequence[StateTold]
    events: Sequence[EventTold]
    timers: Sequence[TimerTold]
    mails: Sequence[MailTold]


def workflows_known(files: Files) -> list[WorkflowEntry]:
    """All workflows, in the order of their files."""
    return [
        WorkflowEntry(
            machine.name,
            machine.title,
            machine.prefix,
            machine.collection,
            machine.states,
            _of_kind(machine, REQUEST),
            _of_kind(machine, REPORT),
            _of_kind(machine, INTERNAL),
        )
        for machine in files.workflows
    ]


def workflow_told(files: Files, name: str) -> WorkflowTold:
    """Everything about one workflow; NotFound for another name."""
    machine = _machine(files, name)
    return WorkflowTold(
        machine.name,
        machine.title,
        " ".join((machine.cls.__doc__ or "").split()),
        machine.prefix,
        machine.collection,
        [StateTold(state, machine.labels[state], _remark(machine, state)) for state in machine.states],
        [
            *(_opening(machine, event) for event in machine.openings),
            *(_event(machine, event) for event in machine.events),
        ],
        [
            TimerTold(state, rule_told(rule), event)
            for state, timers in machine.timers.items()
            for event, rule, _ in timers
        ],
        [
            MailTold(email.template, email.to.name.replace("_", " "), _moments(email), email.ladder)
            for email in machine.emails
        ],
    )


def mermaid(files: Files, name: str) -> str:
    """The workflow as python-statemachine draws it in Mermaid, its openings as edges from a virtual start."""
    machine = _machine(files, name)
    drawn: str = format(machine.cls, "mermaid")
    lines = drawn.rstrip("\n").split("\n")
    start = next(at for at, line in enumerate(lines) if line.strip().startswith(f"{START} -->"))
    indent = lines[start][: len(lines[start]) - len(lines[start].lstrip())]
    opened: dict[str, list[str]] = {}
    for event, states in machine.opening_states.items():
        for state in states:
            opened.setdefault(state, []).append(event)
    lines[start : start + 1] = [
        f"{indent}{START} --> {state} : {', '.join(events)}" for state, events in opened.items()
    ]
    names = {_as_drawn(event): event for event in machine.events}
    return "\n".join(_EDGE.sub(lambda edge: edge[1] + names.get(edge[2], edge[2]), line) for line in lines)


_EDGE = re.compile(r"^(\s*\w+ --> \w+ : )([^\[]+?)(?= \[|$)")


def _as_drawn(event: str) -> str:
    """How python-statemachine's diagram calls an event that has no name of its own."""
    return event.replace("_", " ").capitalize()


def rule_told(rule: When) -> str:
    """When a timer falls due, in words.

    >>> from vipflow import before, every, policy
    >>> rule_told(before("due_on", days=policy.payment_reminder_days)), rule_told(every(days=7))
    ('payment_reminder_days before due on', 'every 7 days')
    """
    if rule.plan is not None:
        return f"on planned days ({rule.plan_name})"
    if rule.repeats:
        first = f", first after {_days(rule.first)}" if rule.first is not None else ""
        return f"every {_days(rule.days)}{first}"
    fact = (rule.fact or "").replace("_", " ")
    if rule.days == 0:
        return f"at {fact}" if fact.endswith(" at") else f"on {fact}" if not fact.endswith(" on") else fact
    return f"{_days(rule.days)} {'before' if rule.sign < 0 else 'after'} {fact}"


def _days(days: Any) -> str:
    if isinstance(days, Number):
        return days.name
    if isinstance(days, int):
        return "1 day" if days == 1 else f"{days} days"
    return ", ".join(map(str, days)) + " days"


def _machine(files: Files, name: str) -> Machine:
    machine = files.workflows.get(name)
    if machine is None:
        names = [each.name for each in files.workflows]
        raise NotFound("workflow", name, f"there are {', '.join(names)}{did_you_mean(name, names)}")
    return machine


def _of_kind(machine: Machine, kind: str) -> list[str]:
    return [event for event in (*machine.openings, *machine.events) if machine.kind_of(event) == kind]


def _remark(machine: Machine, state: str) -> str:
    said = [f"opened by {event}" for event, states in machine.opening_states.items() if state in states]
    if state in machine.final:
        said.append("final")
    elif state in machine.settled:
        said.append("settled")
    return ", ".join(said)


def _opening(machine: Machine, event: str) -> EventTold:
    opening = machine.openings[event]
    return EventTold(
        event,
        opening.kind,
        True,
        (),
        machine.opening_states[event],
        _fields(opening.data),
        [_guard(each) for each in opening.unless],
        [send.event for send in opening.then],
        False,
    )


def _event(machine: Machine, event: str) -> EventTold:
    change = machine.changes.get(event)
    edges = [(state, edge) for (state, name), ways in machine.edges.items() if name == event for edge in ways]
    guards = dict.fromkeys(_guard(guard) for _, edge in edges for guard in edge.unless)
    return EventTold(
        event,
        machine.kind_of(event),
        False,
        list(dict.fromkeys(state for state, _ in edges)),
        list(dict.fromkeys(edge.target for _, edge in edges)),
        _fields(change.data) if change is not None else (),
        list(guards),
        [send.event for send in change.then] if change is not None else (),
        change.reason_required if change is not None else False,
    )


def _fields(data: type) -> list[str]:
    """The fields of an event's data; an optional one in brackets."""
    if not getattr(data, "__struct_fields__", ()):
        return []
    return [field.name if field.required else f"[{field.name}]" for field in msgspec.structs.fields(data)]


def _guard(guard: Any) -> str:
    return str(getattr(guard, "__name__", guard)).replace("_", " ")


def _moments(email: Email) -> list[str]:
    return [_moment(each) for each in (email.on if isinstance(email.on, tuple) else (email.on,))]


def _moment(moment: Any) -> str:
    if isinstance(moment, OnEvent):
        return f"{_event_name(moment.event)} while {moment.state.id}"
    if isinstance(moment, State):
        return f"on becoming {moment.id}"
    return _event_name(moment)


def _event_name(event: Any) -> str:
    """An event as the class body named it: its list of transitions knows the name by now."""
    if isinstance(event, str):
        return event
    names: Mapping[str, None] = dict.fromkeys(str(each) for transition in event for each in transition.events)
    return ", ".join(names)
