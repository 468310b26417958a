"""Workflows compiled: each class read once, at load, into plain immutable tables.

What could not be kept is refused here, all problems of a class at once: async guards, delays in memory, callbacks
with effects, reserved names, timers that mean nothing in their state, follow-ups that go round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from statemachine.transition_list import TransitionList

from vipflow.between import Wrong, check_follow_ups, check_references
from vipflow.case import Case
from vipflow.days import midnight
from vipflow.declarations import functions_that_do_not_fit, kinds_that_are_wrong, unknown_labels
from vipflow.errors import Problem, WorkflowError, did_you_mean
from vipflow.policy import Policy, resolve
from vipflow.sources import Places
from vipflow.workflow import (
    INTERNAL,
    Change,
    Email,
    Facts,
    Name,
    Obstacle,
    OnEvent,
    Opening,
    Redating,
    Text,
    When,
    Workflow,
)
from vipflow.workflow import State as WorkflowState

APPLY = "`vipflow workflow apply` shows what its cases would become"
# They shadow a machine's own attributes or the words python-statemachine hands to callbacks.
RESERVED = frozenset(
    [
        "amend",
        "redating",
        "send",
        "trade",
        "name",
        "id",
        "model",
        "states",
        "configuration",
        "events",
        "source",
        "target",
        "state",
        "event",
        "machine",
        "current_state",
        "current_state_value",
        "allowed_events",
        "enabled_events",
        "is_terminated",
        "initial_state",
        "final_states",
        "start_value",
        "state_field",
        "facts",
        "settled",
        "labels",
        "names",
        "openings",
        "changes",
        "timers",
        "emails",
        "vocabulary",
        "record_block",
        "collection",
        "prefix",
        "title",
    ]
)
_LIFECYCLE = ("on_", "before_", "after_", "prepare_")


@dataclass(frozen=True, slots=True)
class Edge:
    """One way an event leads from a state; the first whose obstacles all give way is taken."""

    target: str
    unless: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True)
class BoundTimer:
    """A timer of a state with a policy's numbers filled in. A reminder leaves its state alone."""

    name: str
    event: str
    when: When
    days: tuple[int, ...]
    first: int | None
    reminder: bool
    steps: tuple[timedelta, ...]
    """`days` with their sign, earliest first."""

    def due_after(self, case: Case, policy: Policy, zone: ZoneInfo, later_than: datetime | None) -> datetime | None:
        """The first due instant later than `later_than` (the first at all for None); None where there is none."""
        if self.when.repeats:
            return self._next_beat(case.since, zone, later_than)
        for instant in self._instants(case.facts, policy, zone):
            if later_than is None or instant > later_than:
                return instant
        return None

    def anchor(self, case: Case, policy: Policy, zone: ZoneInfo) -> Any:
        """What its due instants hang on: while this is equal, a self-transition leaves the timer as it stands."""
        if self.when.repeats:
            return case.since
        if self.when.plan is not None:
            return tuple(self._instants(case.facts, policy, zone))
        return getattr(case.facts, self.when.fact) if self.when.fact else None

    def _instants(self, facts: Any, policy: Policy, zone: ZoneInfo) -> Iterator[datetime]:
        when = self.when
        if when.plan is not None:
            for day in sorted(set(when.plan(facts, policy))):
                yield midnight(day, zone)
            return
        base = getattr(facts, when.fact) if when.fact else None
        if base is None:
            return
        for step in self.steps:
            yield base + step if isinstance(base, datetime) else midnight(base + step, zone)

    def _next_beat(self, since: datetime, zone: ZoneInfo, later_than: datetime | None) -> datetime:
        """Beats keep the local time of day of `since` across clock changes."""
        period = self.days[0]
        first = self.first if self.first is not None else period
        start = since.astimezone(zone)
        beat = 0
        if later_than is not None and later_than > since:
            beat = max(0, ((later_than - since).days - first) // period - 1)
        while True:
            due = (start + timedelta(days=first + beat * period)).astimezone(since.tzinfo)
            if later_than is None or due > later_than:
                return due
            beat += 1


@dataclass(frozen=True)
class Machine:
    """A compiled workflow. States and events are plain strings here."""

    cls: type[Workflow]
    name: str
    collection: str
    prefix: str
    title: Text
    is_subject: bool
    one_per_subject: bool
    trade: str
    facts: type[Facts]
    states: tuple[str, ...]
    initial: str
    final: frozenset[str]
    settled: frozenset[str]
    labels: Mapping[str, Text]
    names: tuple[Name, ...]
    edges: Mapping[tuple[str, str], tuple[Edge, ...]]
    events: tuple[str, ...]
    openings: Mapping[str, Opening]
    opening_states: Mapping[str, tuple[str, ...]]
    changes: Mapping[str, Change]
    pins: frozenset[str]
    redating: Redating | None
    timers: Mapping[str, tuple[tuple[str, When, bool], ...]]
    emails: tuple[Email, ...]
    mails_on_arrival: Mapping[str, tuple[Email, ...]]
    mails_on_event: Mapping[str, tuple[Email, ...]]
    mails_on_event_in: Mapping[tuple[str, str], tuple[Email, ...]]
    targets: Mapping[str, frozenset[str]]
    passed: frozenset[tuple[str, str]]
    """(state, event): the event belongs to what this state has left behind, and nothing leads back."""
    vocabulary: Any
    record_block: tuple[str, ...]
    on_incident: str | None
    on_bounce: str | None
    fingerprint: str
    _bound: dict[tuple[str, str], tuple[BoundTimer, ...]] = field(default_factory=dict, compare=False, repr=False)
    _mails: dict[tuple[str | None, str, str], tuple[Email, ...]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def timers_of(self, state: str, policy: Policy) -> tuple[BoundTimer, ...]:
        """The timers of a state under a policy; one whose number the policy leaves out does not exist."""
        key = (state, policy.id)
        found = self._bound.get(key)
        if found is None:
            if state not in self.timers:
                raise WorkflowError(self.name, f"its file declares no state {state!r}; {APPLY}")
            found = self._bound[key] = tuple(_bind(t, policy) for t in self.timers[state] if _has_numbers(t[1], policy))
        return found

    def label_of(self, state: str) -> Text:
        """What people call a state; of one that the file does not declare any more, its name."""
        return self.labels.get(state) or Text(state, state)

    def mails_of(self, before: str | None, event: str, after: str) -> tuple[Email, ...]:
        """The mails that a step has to write: on arriving in a state, on the event, on the event in a state."""
        key = (before, event, after)
        found = self._mails.get(key)
        if found is None:
            arrival = self.mails_on_arrival.get(after, ()) if before != after else ()
            in_state = self.mails_on_event_in.get((before, event), ()) if before is not None else ()
            found = self._mails[key] = (*arrival, *self.mails_on_event.get(event, ()), *in_state)
        return found

    def kind_of(self, event: str) -> str:
        opening = self.openings.get(event)
        if opening is not None:
            return opening.kind
        change = self.changes.get(event)
        return change.kind if change is not None else "internal"

    def data_of(self, event: str) -> type:
        """The data class of an event from outside. KeyError for a name that is no event of this workflow."""
        opening = self.openings.get(event)
        return opening.data if opening is not None else self.changes[event].data

    def knows(self, event: str) -> bool:
        return event in self.openings or event in self.targets


@dataclass(frozen=True)
class Workflows:
    """All workflows of an installation, by name; one of them holds the subjects."""

    machines: Mapping[str, Machine]
    subject_workflow: str

    def __getitem__(self, name: str) -> Machine:
        """The workflow of that name. Raises WorkflowError for one that stored rows speak of and no file declares."""
        found = self.machines.get(name)
        if found is None:
            near = did_you_mean(name, self.machines)
            raise WorkflowError(name, f"no file declares it{near}; if cases of it are stored, bring its file back")
        return found

    def __iter__(self) -> Iterator[Machine]:
        return iter(self.machines.values())

    @cached_property
    def from_outside(self) -> frozenset[str]:
        """The types of all events that may be posted: the others only the engine sends."""
        return frozenset(
            f"{m.name}.{event}" for m in self for event in (*m.openings, *m.changes) if m.kind_of(event) != INTERNAL
        )

    def get(self, name: str) -> Machine | None:
        return self.machines.get(name)

    def by_collection(self, collection: str) -> Machine | None:
        return next((m for m in self if m.collection == collection), None)

    @property
    def root(self) -> Machine:
        return self.machines[self.subject_workflow]

    def templates(self) -> dict[str, tuple[Machine, tuple[Email, ...]]]:
        """Every template that a mail names, with its workflow and the mails that use it."""
        found: dict[str, tuple[Machine, tuple[Email, ...]]] = {}
        for machine in self:
            for email in machine.emails:
                _, others = found.get(email.template, (machine, ()))
                found[email.template] = (machine, (*others, email))
        return found


def compile_workflows(classes: Iterable[type[Workflow]]) -> Workflows:
    """Compiles workflow classes that belong together. Raises WorkflowError naming all problems of the first class
    that has any, else all that is wrong between them.
    """
    machines: dict[str, Machine] = {}
    wrong = Wrong()
    for cls in classes:
        machine = compile_workflow(cls)
        if machine.name in machines:
            wrong(machine, "two workflows bear this name; give one another `name_in_events`", "name_in_events")
        machines.setdefault(machine.name, machine)
    roots = [m.name for m in machines.values() if m.is_subject]
    if not machines:
        raise WorkflowError("none", "no file declares one: a class that inherits from vipflow.Workflow")
    if len(roots) != 1:
        found = ", ".join(roots) or "none"
        wrong.problems[found] = [
            Problem("exactly one workflow must hold the subjects: set `is_subject = True` in one class")
        ]
    for what in ("collection", "prefix"):
        seen: dict[str, str] = {}
        for machine in machines.values():
            value = getattr(machine, what)
            if value in seen:
                wrong(machine, f"its {what} {value!r} is that of {seen[value]} too; choose another", what)
            seen[value] = machine.name
    check_references(machines, wrong)
    check_follow_ups(machines, wrong)
    wrong.stop()
    return Workflows(machines, roots[0])


def compile_workflow(cls: type[Workflow]) -> Machine:
    """One class as tables. Raises WorkflowError that lists every problem found."""
    return _Compiler(cls).machine()


class _Compiler:
    def __init__(self, cls: type[Workflow]) -> None:
        self.cls = cls
        self.name = getattr(cls, "name_in_events", cls.__name__)
        self.places = Places(cls)
        self.problems: list[Problem] = []
        self.lists: dict[int, str] = {id(value): key for key, value in cls.transition_lists.items()}

    def machine(self) -> Machine:
        cls = self.cls
        self.problems += kinds_that_are_wrong(cls)
        if self.problems:
            self._stop()
        states = tuple(s.id for s in cls.states)
        edges, targets = self._edges()
        events = tuple(targets)
        openings = {o.event: o for o in cls.openings}
        self._check_names(states, events, openings)
        opening_states = {o.event: self._states_of(o, at) for at, o in enumerate(cls.openings)}
        changes = self._changes(targets)
        timers = self._timers(states, edges)
        arrival, on_event, on_event_in = self._emails(states, targets, openings, edges)
        self._check_callbacks()
        self.problems += functions_that_do_not_fit(cls)
        settled = frozenset(self._state(s, "settled", at) for at, s in enumerate(cls.settled))
        if not openings:
            self._wrong("no opening: nothing could ever start a case; add `openings = [Opening(...)]`", "openings")
        for state in states:
            if state in {s.id for s in cls.states if s.final} and timers[state]:
                self._wrong(f"state {state!r} is final and yet has timers", state)
        for state in settled:
            if timers.get(state):
                self._wrong(f"state {state!r} is settled, so its cases are not loaded, and yet has timers", state)
        pins = frozenset(self._event(event, "pins", "pins", at) for at, event in enumerate(cls.pins))
        on_incident = (
            self._event(cls.on_incident, "on_incident", "on_incident") if cls.on_incident is not None else None
        )
        on_bounce = self._event(cls.on_bounce, "on_bounce", "on_bounce") if cls.on_bounce is not None else None
        self._check_what_is_declared()
        labels = getattr(cls, "labels", {})
        for state in states:
            if state not in labels:
                self._wrong(
                    f"state {state!r} has no label; people need one: labels = {{{state!r}: Text(fr=…, en=…)}}", "labels"
                )
        self.problems += unknown_labels(cls, states)
        if self.problems:
            self._stop()
        return Machine(
            cls=cls,
            name=cls.name_in_events,
            collection=cls.collection,
            prefix=cls.prefix,
            title=cls.title,
            is_subject=cls.is_subject,
            one_per_subject=cls.one_per_subject or cls.is_subject,
            trade=cls.trade,
            facts=cls.facts,
            states=states,
            initial=next(s.id for s in cls.states if s.initial),
            final=frozenset(s.id for s in cls.states if s.final),
            settled=settled,
            labels=labels,
            names=tuple(cls.names),
            edges=edges,
            events=events,
            openings=openings,
            opening_states=opening_states,
            changes=changes,
            pins=pins,
            redating=cls.redating,
            timers=timers,
            emails=tuple(cls.emails),
            mails_on_arrival=arrival,
            mails_on_event=on_event,
            mails_on_event_in=on_event_in,
            targets=targets,
            passed=_passed(states, edges, {s for group in opening_states.values() for s in group}),
            vocabulary=cls.vocabulary,
            record_block=tuple(cls.record_block),
            on_incident=on_incident,
            on_bounce=on_bounce,
            fingerprint=_fingerprint(states, edges, timers, opening_states),
        )

    def _stop(self) -> None:
        raise WorkflowError(self.name, *sorted(self.problems, key=lambda problem: problem.line or 0))

    def _wrong(self, says: str, attribute: str | None = None, at: int | None = None) -> None:
        self.problems.append(Problem(says, *self.places.of(attribute, at)))

    def _edges(self) -> tuple[dict[tuple[str, str], tuple[Edge, ...]], dict[str, frozenset[str]]]:
        edges: dict[tuple[str, str], list[Edge]] = {}
        targets: dict[str, set[str]] = {}
        for state in self.cls.states:
            if state.states or state.parallel:
                self._wrong(f"state {state.id!r} is compound or parallel; use plain states", state.id)
            for transition in state.transitions:
                where = f"{state.id} → {transition.target.id if transition.target else '?'}"
                named = next(map(str, transition.events), state.id)
                if not list(transition.events) or transition.target is None:
                    self._wrong(f"the transition {where} has no event or no target", named)
                    continue
                if transition.internal:
                    self._wrong(
                        f"the transition {where} is internal and would vanish from diagrams: "
                        f"write `{state.id}.to({state.id})`",
                        named,
                    )
                unless = []
                for spec in transition.cond:
                    if spec.expected_value is not False:
                        self._wrong(
                            f"the transition {where} uses `cond`; a guard says why not: attach it with `unless`", named
                        )
                    elif not callable(spec.func):
                        self._wrong(f"the guard {spec.func!r} of {where} is a string; pass the function", named)
                    else:
                        unless.append(spec.func)
                for group in (transition.validators, transition.before, transition.on, transition.after):
                    if any(not spec.is_convention for spec in group):
                        self._wrong(f"the transition {where} has callbacks; use `Change(record=…, then=[…])`", named)
                        break
                for event in transition.events:
                    if getattr(event, "delay", 0):
                        self._wrong(f"event {event!s} has a delay, which lives in memory; use a Timer", str(event))
                    edges.setdefault((state.id, str(event)), []).append(Edge(transition.target.id, tuple(unless)))
                    targets.setdefault(str(event), set()).add(transition.target.id)
        return {k: tuple(v) for k, v in edges.items()}, {k: frozenset(v) for k, v in targets.items()}

    def _check_names(self, states: Sequence[str], events: Sequence[str], openings: Mapping[str, Opening]) -> None:
        for word in (*states, *events, *openings):
            if word in RESERVED:
                self._wrong(f"{word!r} is reserved by the library or the engine; choose another word", word)
            if not word.isidentifier() or word.startswith("_"):
                self._wrong(f"{word!r} is no name for a state or an event: letters, digits and underscores", word)
        for word in (set(events) | set(openings)) & set(states):
            self._wrong(f"{word!r} names both an event and a state; events are verbs, states adjectives", word)
        for word in set(events) & set(openings):
            self._wrong(f"{word!r} opens a case and also moves one; give the opening another name", word)
        if len(openings) != len(self.cls.openings):
            self._wrong("two openings bear the same event", "openings")

    def _check_callbacks(self) -> None:
        states = {s.id for s in self.cls.states}
        events = set(self.cls.transition_lists)
        for attribute in vars(self.cls):
            for prefix in _LIFECYCLE:
                rest = attribute.removeprefix(prefix)
                if attribute.startswith(prefix) and (
                    rest in events | {"transition", "event"}
                    or rest.removeprefix("enter_") in states | {"state"}
                    or rest.removeprefix("exit_") in states | {"state"}
                ):
                    self._wrong(
                        f"`{attribute}` would run at each transition; effects are messages and follow-ups", attribute
                    )
        for state in self.cls.states:
            for group in (state.enter, state.exit):
                if any(not spec.is_convention for spec in group):
                    self._wrong(
                        f"state {state.id!r} has entry or exit callbacks; effects are messages and follow-ups", state.id
                    )
            if getattr(state, "invoke", None) and any(not getattr(s, "is_convention", True) for s in state.invoke):
                self._wrong(f"state {state.id!r} invokes something; that lives in memory", state.id)

    def _check_what_is_declared(self) -> None:
        """Names, and references inside data."""
        cls = self.cls
        facts = cls.facts.__struct_fields__
        for at, name in enumerate(cls.names):
            if not hasattr(cls.facts, name.fact):
                near = did_you_mean(name.fact, facts)
                self._wrong(f"{name.fact!r} names the case and is no fact of {cls.facts.__name__}{near}", "names", at)
        declared: list[tuple[str, int, Opening | Change, str]] = []
        declared += [("openings", at, each, each.event) for at, each in enumerate(cls.openings)]
        declared += [
            ("changes", at, each, self.lists.get(id(each.event), str(each.event)))
            for at, each in enumerate(cls.changes)
        ]
        for attribute, at, each, event in declared:
            fields = getattr(each.data, "__struct_fields__", ())
            for field_name in each.refers:
                if field_name not in fields:
                    near = did_you_mean(field_name, fields)
                    self._wrong(
                        f"event {event!r} refers by {field_name!r}, which its data does not hold{near}", attribute, at
                    )

    def _state(self, state: Any, attribute: str | None = None, at: int | None = None) -> str:
        found = getattr(state, "id", None)
        known = [s.id for s in self.cls.states]
        if not isinstance(found, str) or found not in known:
            what = found if isinstance(found, str) else state
            near = did_you_mean(what, known) if isinstance(what, str) else ""
            unquoted = "; name the state itself, without quotes" if isinstance(state, str) else ""
            self._wrong(f"{what!r} is no state of this workflow{near}{unquoted}", attribute, at)
            return "?"
        return found

    def _event(self, event: Any, where: str, attribute: str | None = None, at: int | None = None) -> str:
        if isinstance(event, str) and not isinstance(event, TransitionList):
            name = str(event)
        else:
            name = self.lists.get(id(event), "")
        known = [*self.cls.transition_lists, *(o.event for o in self.cls.openings)]
        if name not in known:
            shown = repr(name) if name else _shown_event(event)
            near = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            self._wrong(f"{where}: {shown} is not an event of this workflow{near}", attribute, at)
            return "?"
        return name

    def _told(self, attribute: str) -> str | None:
        event = getattr(self.cls, attribute)
        return self._event(event, attribute, attribute) if event is not None else None

    def _states_of(self, opening: Opening, at: int) -> tuple[str, ...]:
        several = [opening.state] if isinstance(opening.state, WorkflowState) else list(opening.state)
        found = tuple(self._state(s, "openings", at) for s in several)
        if len(found) > 1 and opening.choose is None:
            self._wrong(f"opening {opening.event!r} names several states; `choose=` says which", "openings", at)
        return found

    def _changes(self, targets: Mapping[str, frozenset[str]]) -> dict[str, Change]:
        changes: dict[str, Change] = {}
        for at, change in enumerate(self.cls.changes):
            name = self._event(change.event, "changes", "changes", at)
            if name in changes and name != "?":
                self._wrong(f"event {name!r} has two Changes; write one", "changes", at)
            if isinstance(change.record, TransitionList):
                self._wrong(
                    f"event {name!r}: inside the class its `record` is the event of that name; "
                    "give the function another name",
                    "changes",
                    at,
                )
            changes[name] = change
        return changes

    def _timers(
        self, states: Sequence[str], edges: Mapping[tuple[str, str], tuple[Edge, ...]]
    ) -> dict[str, tuple[tuple[str, When, bool], ...]]:
        timers: dict[str, list[tuple[str, When, bool]]] = {s: [] for s in states}
        fields = set(getattr(self.cls.facts, "__struct_fields__", ()))
        for at, timer in enumerate(self.cls.timers):
            state = self._state(timer.state, "timers", at)
            event = self._event(timer.send, "timers", "timers", at)
            if state == "?" or event == "?":
                continue
            if (state, event) not in edges:
                here = ", ".join(sorted(e for s, e in edges if s == state)) or "none"
                self._wrong(
                    f"a timer of {state!r} sends {event!r}, which means nothing in that state; events there: {here}",
                    "timers",
                    at,
                )
                continue
            if timer.when.fact is not None and timer.when.fact not in fields:
                near = did_you_mean(timer.when.fact, fields)
                self._wrong(
                    f"a timer of {state!r} counts from {timer.when.fact!r}, "
                    f"which is no fact of {self.cls.facts.__name__}{near}",
                    "timers",
                    at,
                )
            if any(other == event and _one_name(when, timer.when) for other, when, _ in timers[state]):
                self._wrong(
                    f"two timers of {state!r} send {event!r} by the same rule and would bear one name", "timers", at
                )
            reminder = all(edge.target == state for edge in edges[state, event])
            timers[state].append((event, timer.when, reminder))
        return {k: tuple(v) for k, v in timers.items()}

    def _emails(
        self,
        states: Sequence[str],
        targets: Mapping[str, frozenset[str]],
        openings: Mapping[str, Opening],
        edges: Mapping[tuple[str, str], tuple[Edge, ...]],
    ) -> tuple[dict[str, tuple[Email, ...]], dict[str, tuple[Email, ...]], dict[tuple[str, str], tuple[Email, ...]]]:
        arrival: dict[str, list[Email]] = {}
        on_event: dict[str, list[Email]] = {}
        on_event_in: dict[tuple[str, str], list[Email]] = {}
        for at, email in enumerate(self.cls.emails):
            where = f"mail {email.template!r}"
            for when in email.on if isinstance(email.on, tuple) else (email.on,):
                if isinstance(when, OnEvent):
                    key = (self._state(when.state, "emails", at), self._event(when.event, where, "emails", at))
                    if key not in edges and "?" not in key:
                        self._wrong(f"{where}: {key[1]!r} means nothing in state {key[0]!r}", "emails", at)
                    on_event_in.setdefault(key, []).append(email)
                elif isinstance(when, WorkflowState):
                    arrival.setdefault(self._state(when, "emails", at), []).append(email)
                    continue
                else:
                    name = self._event(when, where, "emails", at)
                    on_event.setdefault(name, []).append(email)
                if email.while_ is None:
                    self._wrong(
                        f"{where} leaves on an event and must say `while_=` (always, if it stays true)", "emails", at
                    )
            if self.cls.vocabulary is None and email.says:
                self._wrong(f"{where} says {', '.join(email.says)}, but the workflow has no `vocabulary`", "emails", at)
        return (
            {k: tuple(v) for k, v in arrival.items()},
            {k: tuple(v) for k, v in on_event.items()},
            {k: tuple(v) for k, v in on_event_in.items()},
        )


def _shown_event(event: Any) -> str:
    if isinstance(event, TransitionList):
        return "what it names"  # a transition without a name of its own
    return f"the state {event.id!r}" if isinstance(event, WorkflowState) else repr(event)


def _has_numbers(when: When, policy: Policy) -> bool:
    return resolve(when.days, policy) is not None


def _bind(timer: tuple[str, When, bool], policy: Policy) -> BoundTimer:
    event, when, reminder = timer
    raw = resolve(when.days, policy)
    days: tuple[int, ...] = tuple(raw) if isinstance(raw, (list, tuple)) else (raw,)
    first = resolve(when.first, policy) if when.first is not None else None
    steps = tuple(timedelta(days=n) for n in sorted(when.sign * n for n in days))
    return BoundTimer(f"{event} {_rule_name(when, days)}", event, when, days, first, reminder, steps)


def _one_name(one: When, other: When) -> bool:
    """Whether two rules may give a timer the same name."""
    if one.repeats and other.repeats:
        return True
    return (one.fact, one.plan_name, one.sign, str(one.days)) == (
        other.fact,
        other.plan_name,
        other.sign,
        str(other.days),
    )


def _rule_name(when: When, days: tuple[int, ...]) -> str:
    if when.plan is not None:
        return when.plan_name
    if when.repeats:
        return f"every {days[0]}d"
    sign = "-" if when.sign < 0 else "+"
    return f"{when.fact}" + "".join(f"{',' if i else ''}{sign}{n}d" for i, n in enumerate(days) if n or len(days) > 1)


def _passed(
    states: Sequence[str], edges: Mapping[tuple[str, str], tuple[Edge, ...]], starts: set[str]
) -> frozenset[tuple[str, str]]:
    """A state has passed an event if no case comes there but through that event, and nothing leads back to where it
    would mean something. What leaves a case in its state cannot be told from never having happened: never passed.
    """
    found = set()
    for event in {event for _, event in edges}:
        sources = {s for s, e in edges if e == event}
        moves = {s: {edge.target for edge in ways if edge.target != s} for (s, e), ways in edges.items() if e == event}
        if not any(moves.values()):
            continue
        without = _reached(starts, {key: ways for key, ways in edges.items() if key[1] != event})
        for state in states:
            if state not in sources and state not in without and not (sources & _reached({state}, edges)):
                found.add((state, event))
    return frozenset(found)


def _reached(starts: set[str], edges: Mapping[tuple[str, str], tuple[Edge, ...]]) -> set[str]:
    """The states to which these edges lead from `starts`, themselves among them."""
    reached = set(starts)
    fresh = set(starts)
    while fresh:
        fresh = {edge.target for (source, _), ways in edges.items() if source in fresh for edge in ways} - reached
        reached |= fresh
    return reached


def _fingerprint(*tables: Any) -> str:
    """Changes with states, edges, timers and openings, not with docstrings or labels."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return sorted((plain(k), plain(v)) for k, v in value.items())
        if isinstance(value, (tuple, list)):
            return [plain(v) for v in value]
        if isinstance(value, Edge):
            return [value.target, [getattr(g, "__name__", str(g)) for g in value.unless]]
        if isinstance(value, When):
            return [value.fact, str(value.days), value.sign, value.repeats, str(value.first), value.plan_name]
        return value

    return hashlib.sha256(repr([plain(t) for t in tables]).encode()).hexdigest()[:16]
