"""The referee: python-statemachine's own instance and our compiled table, asked the same, must answer the same.

Over every workflow of the stories, of the example library and of the trade that we ship; with facts, data and
neighbours drawn so that each guard is met on both of its sides. Planted changes to a table must be noticed.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from random import Random
from types import new_class
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from statemachine import State, StateMachine
from statemachine.exceptions import TransitionNotAllowed

from tests.engine.flows import CLUB, ClubTrade
from vipflow.case import Actor, Case, Tenant, View
from vipflow.decide import obstacles, opening_obstacles
from vipflow.engine.plain import PlainTrade
from vipflow.machine import Edge, Machine, Workflows
from vipflow.operations.workflow_files import load_workflow_files
from vipflow.vip.catalogue import load_catalogue
from vipflow.vip.customers import Member, Reseller
from vipflow.vip.numbers import load_policies
from vipflow.vip.trade import VipTrade
from vipflow.workflow import NoData, Opening

ROOT = Path(__file__).parents[2]
NOW = datetime(2025, 3, 12, 10, 30, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
STAFF = "alice@north.example"
DAYS = [
    -400,
    -366,
    -365,
    -64,
    -61,
    -60,
    -31,
    -30,
    -29,
    -15,
    -14,
    -8,
    -3,
    -1,
    0,
    1,
    3,
    8,
    14,
    15,
    29,
    30,
    31,
    60,
    61,
    364,
    366,
]

ACTORS = [
    Actor("system", "adobe"),
    Actor("staff", STAFF),
    Actor("clock", "clock"),
    Actor("customer", "anna@elan.example"),
]

ANSWERS = {"club": 40, "library": 40, "shipped": 30}
"""How many subjects are drawn; each with its cases, and each case is asked for each of its events."""


class Set(NamedTuple):
    """Workflows that belong together, with the trade that they are written for."""

    workflows: Workflows
    trade: Any
    settings: Callable[[Random], Any]
    words: tuple[str, ...]
    """What texts say, beside the references of the cases drawn."""
    by_field: Mapping[str, tuple[Any, ...]] = {}
    """What the fields of a name hold, where a form accepts little else."""


@cache
def the_set(name: str) -> Set:
    if name == "club":
        return Set(
            CLUB, ClubTrade(), lambda _: None, ("saw", "cursed", "Ann", "SHOUTING", "Banned Bob", "Guard breaks", "")
        )
    if name == "library":
        workflows = load_workflow_files(ROOT / "examples" / "library" / "workflows")
        return Set(workflows, PlainTrade(), lambda _: None, ("Emma", "ann@x.org"))
    workflows = load_workflow_files(ROOT / "workflows")
    catalogue, book = load_catalogue(), load_policies()
    skus = tuple(product.sku for product in catalogue)[::7]
    forms = {
        "country": ("FR", "BE"),
        "postal_code": ("75002", "1000"),
        "email": ("anna@elan.example", "bob@elan.example"),
        "offer_types": ("teams", "enterprise", "nothing"),
        "offer_type": ("teams", "nothing"),
        "sku": skus,
        "numbers": ({}, {"order_due_days": 20}, {"nonsense": 1}),
        "overrides": ({},),  # their event has checked them: nothing else can be there
    }
    return Set(workflows, VipTrade(book, catalogue), _reseller, (*skus, STAFF, "gone@north.example", "A1"), forms)


def _reseller(random: Random) -> Reseller:
    team = {STAFF: Member("Alice", STAFF, "admin", "fr")}
    return Reseller(policy=random.choice(["vip-2019", "vip-2024", "vip-marketplace"]), team=team)


# --- drawing -------------------------------------------------------------------------------------------------------


ABSENT = "X-0000-0000"
"""A reference that nobody bears."""


class Anything(frozenset[str]):
    """All that is not there is known not to be there: nothing is left to load."""

    def __contains__(self, _ref: object) -> bool:
        return True


class Drawn:
    """A subject drawn at random: its cases in any state, with facts near the edges of the guards."""

    def __init__(self, name: str, seed: int, of: str = "") -> None:
        """`of`: the workflow of which there must be a case."""
        self.random = Random(seed)
        self.of = of
        self.links: dict[str, tuple[str, ...]] = {}
        self.set = the_set(name)
        self.refs: list[str] = []
        self.view = self._view()

    def questions(self) -> Iterator[Question]:
        """Each case with each event of its workflow, whatever its state."""
        for case in self.view.cases.values():
            machine = self.set.workflows[case.workflow]
            for event in machine.events:
                yield self.question(machine, case, event)

    def question(self, machine: Machine, case: Case, event: str) -> Question:
        """The case with one event, whoever sends it."""
        data = self._data(machine, event)
        actor, reason = self.random.choice(ACTORS), self.random.choice([None, "because"])
        cases = {**self.view.cases, case.ref: case}
        return Question(
            machine, case, event, data, replace(self.view, cases=cases, case=case, actor=actor, reason=reason)
        )

    def openings(self) -> Iterator[tuple[Machine, str, Any, View]]:
        """Each opening of each workflow; for the subject's own there are no cases yet."""
        for machine in self.set.workflows:
            for event in machine.openings:
                view = replace(self.view, case=None, cases={}) if machine.is_subject else replace(self.view, case=None)
                yield machine, event, self._data(machine, event), view

    def _data(self, machine: Machine, event: str) -> Any:
        """What the event carries; where it refers to cases, to such cases."""
        declared = machine.openings.get(event) or machine.changes.get(event)
        if declared is None:
            return NoData()
        data = self.value(declared.data)
        for field, collection in declared.refers.items():
            wanted = self.set.workflows.by_collection(collection)
            fitting = [case.ref for case in self.view.cases.values() if wanted and case.workflow == wanted.name]
            given = getattr(data, field)
            if isinstance(given, str):
                data = replace(data, **{field: self.random.choice(fitting or [ABSENT])})
            elif given:
                data = replace(data, **{field: tuple(fitting) or (ABSENT,)})
        return data

    def _view(self) -> View:
        random, chosen = self.random, self.set
        now = NOW + timedelta(days=random.randrange(0, 365), hours=random.randrange(24))
        tenant = Tenant(1, "north", "North", PARIS, "fr", chosen.settings(random))
        root = chosen.workflows.root
        subject = f"{root.prefix}-0000-0000"
        view = View(tenant, subject, root.name, {}, 7, {}, {}, chosen.trade, now, now)
        view = replace(view, at=now - timedelta(days=random.choice([0, 0, 1, 40])))
        likely = random.choice([0.1, 0.8, 0.8])  # some have hardly anything, or never had
        bearers = [(root, subject)] + [
            (machine, f"{machine.prefix}-0000-000{n}")
            for machine in chosen.workflows
            if not machine.is_subject
            for n in range(1 if machine.one_per_subject else 2)
            if random.random() < likely or (machine.name == self.of and n == 0)
        ]
        self.view = view
        self.refs = [ref for _, ref in bearers]
        for machine in chosen.workflows:
            mine = (*(ref for other, ref in bearers if other is machine), ABSENT)
            for word in (machine.name, machine.collection, machine.collection.removesuffix("s")):
                self.links[word] = mine
        in_force = chosen.trade.policy_in_force(view)
        cases: dict[str, Case] = {}
        for machine, ref in bearers:
            since = self._instant()
            state = random.choice(machine.states)
            cases[ref] = Case(ref, machine.name, state, self.value(machine.facts), in_force.id, since, since)
        settled = [f"{machine.name}.{state}" for machine in chosen.workflows for state in machine.settled]
        tally = {name: random.randrange(1, 3) for name in settled if random.random() < likely / 2}
        return replace(view, cases=cases, policies={in_force.id: in_force}, tally=tally, absent=Anything())

    def value(self, kind: Any) -> Any:
        """A value of a type, as likely as not on the edge of something."""
        return self._of(msgspec.inspect.type_info(kind))

    def _of(self, kind: Any, likely: tuple[Any, ...] | None = None) -> Any:
        random = self.random
        match kind:
            case msgspec.inspect.Metadata():  # what pages say of it
                return self._of(kind.type, likely)
            case msgspec.inspect.UnionType():
                return self._of(random.choice(kind.types), likely)
            case msgspec.inspect.NoneType():
                return None
            case msgspec.inspect.BoolType():
                return random.random() < 0.5
            case msgspec.inspect.IntType():
                low, high = kind.ge if kind.ge is not None else 0, kind.le if kind.le is not None else 40
                return random.choice([low, low + 1, min(low + 3, high), high])
            case msgspec.inspect.StrType():
                return random.choice(likely) if likely is not None else self._text(kind)
            case msgspec.inspect.DateType():
                return self._day()
            case msgspec.inspect.DateTimeType():
                return self._instant()
            case msgspec.inspect.LiteralType():
                return random.choice(kind.values)
            case msgspec.inspect.EnumType():
                members: list[Enum] = list(kind.cls)
                return random.choice(members)
            case msgspec.inspect.VarTupleType() | msgspec.inspect.ListType():
                length = random.randrange(kind.min_length or 0, 3 + (kind.min_length or 0))
                items = [self._of(kind.item_type, likely) for _ in range(length)]
                return items if isinstance(kind, msgspec.inspect.ListType) else tuple(items)
            case msgspec.inspect.DictType() if likely is not None:
                return random.choice(likely)
            case msgspec.inspect.DictType():
                return {self._of(kind.key_type): self._of(kind.value_type) for _ in range(random.randrange(3))}
            case msgspec.inspect.StructType():
                return self._struct(kind)
            case msgspec.inspect.AnyType():
                return random.choice([None, 1, "text"])
        raise NotImplementedError(f"the referee draws no {kind!r}: teach it to")

    def _struct(self, kind: msgspec.inspect.StructType) -> Any:
        for _ in range(200):
            given: dict[str, Any] = {}
            often = self.random.choice([0.0, 0.7, 0.7, 1.0])
            for field in kind.fields:
                if field.required or self.random.random() < often:
                    given[field.name] = self._of(field.type, self._likely(field.name))
            try:
                return kind.cls(**given)
            except ValueError:  # a form that refuses what was drawn
                continue
        raise NotImplementedError(f"the referee draws no {kind.cls.__name__} that its own form accepts: teach it to")

    def _likely(self, field: str) -> tuple[Any, ...] | None:
        """What a field of this name holds: `order` one of the orders, say."""
        return self.set.by_field.get(field) or self.links.get(field)

    def _text(self, kind: msgspec.inspect.StrType) -> str:
        random = self.random
        if kind.pattern is not None and "@" in kind.pattern:
            return random.choice(["ann@x.org", "bob@y.org"])
        pool = [*self.set.words, *self.refs, ABSENT, *random.sample(string.ascii_lowercase, 2)]
        return random.choice(pool)[: kind.max_length]

    def _day(self) -> date:
        return self.view.now.astimezone(PARIS).date() + timedelta(days=self.random.choice(DAYS))

    def _instant(self) -> datetime:
        return self.view.now + timedelta(days=self.random.choice(DAYS), hours=self.random.choice([-1, 0, 1]))


# --- asking both ---------------------------------------------------------------------------------------------------


class Question(NamedTuple):
    """May `case` do `event` with `data`, seen so?"""

    machine: Machine
    case: Case
    event: str
    data: Any
    view: View

    def told(self) -> str:
        return f"{self.machine.name} {self.case.state} --{self.event}--> with {self.case.facts} and {self.data}"


REFUSED = "(refused)"


def by_table(machine: Machine, question: Question) -> str:
    """The state that our table leads to, or that it refuses."""
    case = question.case
    try:
        edge, reasons = obstacles(machine, case, question.event, question.data, question.view)
    except Exception as fault:  # a guard that raises raises in both
        return type(fault).__name__
    if edge is None:
        assert reasons, f"refused without a reason: {question.told()}"
        return REFUSED
    return edge.target


def by_library(question: Question) -> str:
    """The state that the library's own machine is in afterwards, or that it refuses."""
    case = question.case
    machine = question.machine.cls(start_value=case.state)
    try:
        machine.send(question.event, case.facts, question.data, question.view)
    except TransitionNotAllowed:
        return REFUSED
    except Exception as fault:
        return type(fault).__name__
    (state,) = machine.configuration
    return str(state.id)


def disagreement(questions: Iterator[Question], machine: Machine | None = None) -> str | None:
    """The first question that the two answer differently; `machine` stands in for the compiled one of its name."""
    for question in questions:
        if machine is not None and question.machine.name != machine.name:
            continue
        table = by_table(machine if machine is not None else question.machine, question)
        library = by_library(question)
        if table != library:
            return f"{question.told()}: the table says {table}, the library says {library}"
    return None


SETS = list(ANSWERS)
SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("name", SETS)
def test_the_table_answers_as_the_library_does(name: str) -> None:
    @settings(max_examples=ANSWERS[name], derandomize=True, database=None)
    @given(seed=SEEDS)
    def ask(seed: int) -> None:
        found = disagreement(Drawn(name, seed).questions())
        assert found is None, found

    ask()


@pytest.mark.parametrize("name", SETS)
def test_an_opening_is_an_edge_from_a_virtual_start(name: str) -> None:
    @settings(max_examples=10, derandomize=True, database=None)
    @given(seed=SEEDS)
    def ask(seed: int) -> None:
        for machine, event, data, view in Drawn(name, seed).openings():
            opening = machine.openings[event]
            start = _with_start(machine.name, opening)
            try:
                reasons = opening_obstacles(opening, data, view)
            except Exception as fault:
                with pytest.raises(type(fault)):
                    start().send(event, None, data, view)
                continue
            instance = start()
            if reasons:
                with pytest.raises(TransitionNotAllowed):
                    instance.send(event, None, data, view)
            else:
                instance.send(event, None, data, view)
                assert [state.id for state in instance.configuration] == ["opened"]

    ask()


@cache
def _with_start_of(name: str, event: str, guards: tuple[Any, ...]) -> type[StateMachine]:
    start, opened = State(initial=True), State(final=True)
    way = start.to(opened, unless=list(guards)) if guards else start.to(opened)
    body = {
        "start": start,
        "opened": opened,
        event: way,
        "catch_errors_as_events": False,
        "allow_event_without_transition": False,
    }
    return new_class(f"Start{name}{event}", (StateMachine,), exec_body=lambda namespace: namespace.update(body))


def _with_start(name: str, opening: Opening) -> type[StateMachine]:
    return _with_start_of(name, opening.event, tuple(opening.unless))


# --- both sides of every guard -------------------------------------------------------------------------------------

PATIENCE = 600
"""So many questions are put to one edge before we say that nothing drawn shows a difference."""


@cache
def _asked(name: str, machine: str, state: str, event: str) -> Asked:
    return Asked(name, the_set(name).workflows[machine], state, event)


class Asked:
    """Questions to one state and event, each with the library's answer; drawn as they are needed, and kept."""

    def __init__(self, name: str, machine: Machine, state: str, event: str) -> None:
        self._draw = (name, machine, state, event)
        self._known: list[tuple[Question, str]] = []

    def __iter__(self) -> Iterator[tuple[Question, str]]:
        name, machine, state, event = self._draw
        for at in range(PATIENCE):
            if at == len(self._known):
                drawn = Drawn(name, at, of=machine.name)
                case = next(case for case in drawn.view.cases.values() if case.workflow == machine.name)
                question = drawn.question(machine, replace(case, state=state), event)
                self._known.append((question, by_library(question)))
            yield self._known[at]


@pytest.mark.parametrize("name", SETS)
def test_every_guard_is_met_on_both_of_its_sides(name: str) -> None:
    one_sided = []
    for machine in the_set(name).workflows:
        for (state, event), edges in machine.edges.items():
            for guard in {guard for edge in edges for guard in edge.unless}:
                sides: set[bool] = set()
                for question, _ in _asked(name, machine.name, state, event):
                    try:
                        sides.add(guard(question.case.facts, question.data, question.view) is None)
                    except Exception:  # raising is neither side
                        continue
                    if len(sides) == 2:
                        break
                else:
                    one_sided.append((machine.name, state, event, guard.__name__, sides))
    assert one_sided == []


# --- planted changes -----------------------------------------------------------------------------------------------


def _planted(machine: Machine) -> Iterator[tuple[str, Machine]]:
    """The table with one thing wrong: a guard dropped, a target swapped, the order of two edges swapped, one lost."""
    for (state, event), edges in machine.edges.items():
        for at, edge in enumerate(edges):
            for guard in edge.unless:
                without = tuple(other for other in edge.unless if other is not guard)
                yield (
                    f"{machine.name}: {guard.__name__} dropped from {state} --{event}--> {edge.target}",
                    _with_edges(machine, state, event, (*edges[:at], Edge(edge.target, without), *edges[at + 1 :])),
                )
            other_state = next(s for s in machine.states if s != edge.target) if len(machine.states) > 1 else None
            if other_state is not None:
                yield (
                    f"{machine.name}: {state} --{event}--> {edge.target} now leads to {other_state}",
                    _with_edges(machine, state, event, (*edges[:at], Edge(other_state, edge.unless), *edges[at + 1 :])),
                )
        if len(edges) > 1 and len({edge.target for edge in edges}) > 1:
            yield f"{machine.name}: {state} --{event} in another order", _with_edges(machine, state, event, edges[::-1])
        yield f"{machine.name}: {state} --{event} forgotten", _without(machine, state, event)


def _with_edges(machine: Machine, state: str, event: str, edges: tuple[Edge, ...]) -> Machine:
    return dataclasses.replace(machine, edges={**machine.edges, (state, event): edges})


def _without(machine: Machine, state: str, event: str) -> Machine:
    return dataclasses.replace(
        machine, edges={key: ways for key, ways in machine.edges.items() if key != (state, event)}
    )


@pytest.mark.parametrize("name", SETS)
def test_planted_changes_turn_the_referee_red(name: str) -> None:
    unnoticed = []
    planted = 0
    for machine in the_set(name).workflows:
        for what, wrong in _planted(machine):
            planted += 1
            ((state, event),) = {key for key in machine.edges if machine.edges[key] != wrong.edges.get(key)}
            asked = _asked(name, machine.name, state, event)
            if all(by_table(wrong, question) == library for question, library in asked):
                unnoticed.append(what)
    assert planted > 5
    assert unnoticed == []


@pytest.mark.parametrize("name", SETS)
def test_what_nothing_was_planted_in_stays_green(name: str) -> None:
    """The very questions that find the planted changes find nothing in the tables as they are."""
    for machine in the_set(name).workflows:
        for state, event in machine.edges:
            for question, library in _asked(name, machine.name, state, event)._known:
                assert by_table(machine, question) == library, question.told()


def test_the_library_is_strict_or_it_is_no_referee() -> None:
    for name in SETS:
        for machine in the_set(name).workflows:
            assert machine.cls.catch_errors_as_events is False
            assert machine.cls.allow_event_without_transition is False
