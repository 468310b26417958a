"""What the compiler refuses, each with the sentence that says what to write instead; what it makes of a good class."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from types import new_class
from typing import Any

import pytest
from statemachine import Event
from statemachine.exceptions import InvalidDefinition

from tests.engine.flows import CLUB, NEW, OLD, RentalWorkflow
from vipflow.errors import WorkflowError
from vipflow.machine import compile_workflow, compile_workflows
from vipflow.policy import policy
from vipflow.workflow import (
    REQUEST,
    Audience,
    Change,
    Email,
    Facts,
    Name,
    Opening,
    Person,
    Send,
    State,
    Text,
    Timer,
    Workflow,
    after,
    always,
    before,
    day_after,
    every,
    on,
    planned,
)


class Note(Facts, frozen=True):
    written_on: date | None = None
    read_at: datetime | None = None


somebody = Audience("somebody", person=lambda _: Person("x", "X", "en"), not_before=lambda v: v.now)


def free(_facts: Any, _data: Any, _view: Any) -> None:
    return None


async def _never(_facts: Any, _data: Any, _view: Any) -> None:
    return None


never: Any = _never


class Sound(Workflow):
    """Nothing is wrong with it: each story below plants one thing that is."""

    name_in_events = "note"
    collection = "notes"
    prefix = "N"
    title = Text("note", "note")
    is_subject = True
    facts = Note
    fresh = State(initial=True)
    old = State()
    gone = State(final=True)
    settled = [gone]
    labels = {"fresh": Text("f", "fresh"), "old": Text("v", "old"), "gone": Text("p", "gone")}
    age = fresh.to(old)
    drop = fresh.to(gone) | old.to(gone)
    poke = fresh.to(fresh)
    openings = [Opening("write", fresh)]
    changes = [Change(drop, kind=REQUEST)]
    timers = [Timer(fresh, on("written_on"), send=age)]
    emails = [Email("noted", to=somebody, on=fresh)]


def sound(**changes: Any) -> type[Workflow]:
    """`Sound` again, with other attributes; a lambda is called with the class body so far, None leaves one out."""
    plain: dict[str, Any] = {
        "name_in_events": "note",
        "collection": "notes",
        "prefix": "N",
        "title": Text("note", "note"),
        "is_subject": True,
        "facts": Note,
        "fresh": lambda _: State(initial=True),
        "old": lambda _: State(),
        "gone": lambda _: State(final=True),
        "labels": {"fresh": Text("f", "fresh"), "old": Text("v", "old"), "gone": Text("p", "gone")},
        "age": lambda b: b["fresh"].to(b["old"]),
        "drop": lambda b: b["fresh"].to(b["gone"]) | b["old"].to(b["gone"]),
        "poke": lambda b: b["fresh"].to(b["fresh"]),
        "openings": lambda b: [Opening("write", b["fresh"])],
    }
    body: dict[str, Any] = {}
    for name, value in (plain | changes).items():
        attribute = value(body) if getattr(value, "__name__", "") == "<lambda>" else value
        if attribute is not None:
            body[name] = attribute
    made: type[Workflow] = new_class("Planted", (Workflow,), exec_body=lambda namespace: namespace.update(body))
    return made


def problem(cls: type[Workflow]) -> str:
    with pytest.raises(WorkflowError) as told:
        compile_workflow(cls)
    assert told.value.workflow in ("note", "Planted")
    return told.value.problem


def test_the_class_that_the_stories_start_from_is_sound() -> None:
    assert compile_workflow(Sound).name == compile_workflow(sound()).name == "note"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an async guard": (
        {"age": lambda b: b["fresh"].to(b["old"], unless=never)},
        "the guard '_never' of fresh → old is async; guards are pure and never wait",
    ),
    "an async guard of an opening": (
        {"openings": lambda b: [Opening("write", b["fresh"], unless=[never])]},
        "the guard '_never' of opening 'write' is async; guards are pure and never wait",
    ),
    "a cond": (
        {"age": lambda b: b["fresh"].to(b["old"], cond=free)},
        "the transition fresh → old uses `cond`; a guard says why not: attach it with `unless`",
    ),
    "a callback of a transition": (
        {"age": lambda b: b["fresh"].to(b["old"], after=free)},
        "the transition fresh → old has callbacks; use `Change(record=…, then=[…])`",
    ),
    "a validator": (
        {"age": lambda b: b["fresh"].to(b["old"], validators=free)},
        "the transition fresh → old has callbacks; use `Change(record=…, then=[…])`",
    ),
    "a method that runs at a transition": (
        {"on_age": free},
        "`on_age` would run at each transition; effects are messages and follow-ups",
    ),
    "a method that runs on entering a state": (
        {"on_enter_old": free},
        "`on_enter_old` would run at each transition; effects are messages and follow-ups",
    ),
    "a method that runs before any transition": (
        {"before_transition": free},
        "`before_transition` would run at each transition; effects are messages and follow-ups",
    ),
    "a state with an entry callback": (
        {"fresh": lambda _: State(initial=True, enter=free)},
        "state 'fresh' has entry or exit callbacks; effects are messages and follow-ups",
    ),
    "a delay": (
        {"age": lambda b: Event(b["fresh"].to(b["old"]), delay=1000)},
        "has a delay, which lives in memory; use a Timer",
    ),
    "an internal self-transition": (
        {"poke": lambda b: b["fresh"].to.itself(internal=True)},
        "the transition fresh → fresh is internal and would vanish from diagrams: write `fresh.to(fresh)`",
    ),
    "a transition without an event": (
        {"extra": lambda b: b["old"].to(b["fresh"]) and None},
        "has no event or no target",
    ),
    "a reserved name": (
        {"send": lambda b: b["old"].to(b["fresh"])},
        "'send' is reserved by the library or the engine; choose another word",
    ),
    "an opening under a reserved name": (
        {"openings": lambda b: [Opening("model", b["fresh"])]},
        "'model' is reserved by the library or the engine; choose another word",
    ),
    "an opening that is no word": (
        {"openings": lambda b: [Opening("write it", b["fresh"])]},
        "'write it' is no name for a state or an event: letters, digits and underscores",
    ),
    "an event named like a state": (
        {"openings": lambda b: [Opening("old", b["fresh"])]},
        "'old' names both an event and a state; events are verbs, states adjectives",
    ),
    "an opening named like a transition": (
        {"openings": lambda b: [Opening("age", b["fresh"])]},
        "'age' opens a case and also moves one; give the opening another name",
    ),
    "two openings of one name": (
        {"openings": lambda b: [Opening("write", b["fresh"]), Opening("write", b["old"])]},
        "two openings bear the same event",
    ),
    "no opening": (
        {"openings": []},
        "no opening: nothing could ever start a case; add `openings = [Opening(...)]`",
    ),
    "several opening states and no choice": (
        {"openings": lambda b: [Opening("write", [b["fresh"], b["old"]])]},
        "opening 'write' names several states; `choose=` says which",
    ),
    "an opening in a state of another workflow": (
        {"openings": lambda b: [Opening("write", RentalWorkflow.overdue)]},
        "is no state of this workflow",
    ),
    "a change of an event that is none": (
        {"changes": [Change("fly")]},
        "changes: 'fly' is not an event of this workflow",
    ),
    "two changes of one event": (
        {"changes": lambda b: [Change(b["age"]), Change(b["age"])]},
        "event 'age' has two Changes; write one",
    ),
    "a record that the class body has overtaken": (
        {"changes": lambda b: [Change(b["age"], record=b["poke"])]},
        "inside the class its `record` is the event of that name; give the function another name",
    ),
    "a timer that counts from what is no fact": (
        {"timers": lambda b: [Timer(b["fresh"], before("wirtten_on", days=3), send=b["age"])]},
        "a timer of 'fresh' counts from 'wirtten_on', which is no fact of Note",
    ),
    "a timer whose event means nothing in its state": (
        {"timers": lambda b: [Timer(b["old"], on("written_on"), send=b["age"])]},
        "a timer of 'old' sends 'age', which means nothing in that state",
    ),
    "a timer that sends what is no event": (
        {"timers": lambda b: [Timer(b["old"], on("written_on"), send="renw")]},
        "timers: 'renw' is not an event of this workflow",
    ),
    "a timer that is none": (
        {"timers": ["tomorrow"]},
        "`timers` holds 'tomorrow', which is no Timer; write Timer(",
    ),
    "two timers under one name": (
        {"timers": lambda b: [Timer(b["fresh"], every(days=7, first=n), send=b["poke"]) for n in (1, 2)]},
        "two timers of 'fresh'",
    ),
    "a settled state with timers": (
        {"settled": lambda b: [b["fresh"]], "timers": lambda b: [Timer(b["fresh"], on("written_on"), send=b["age"])]},
        "state 'fresh' is settled, so its cases are not loaded, and yet has timers",
    ),
    "a state that has no label": (
        {"labels": {"fresh": Text("f", "fresh"), "old": Text("v", "old")}},
        "state 'gone' has no label; people need one",
    ),
    "a mail on an event that does not say how long it is true": (
        {"emails": lambda b: [Email("noted", to=somebody, on=b["poke"])]},
        "mail 'noted' leaves on an event and must say `while_=` (always, if it stays true)",
    ),
    "a mail on an event in a state that it means nothing in": (
        {"emails": lambda b: [Email("noted", to=somebody, on=b["old"].on(b["poke"]), while_=always)]},
        "mail 'noted': 'poke' means nothing in state 'old'",
    ),
    "a mail on what is neither state nor event": (
        {"emails": [Email("noted", to=somebody, on="fly", while_=always)]},
        "mail 'noted': 'fly' is not an event of this workflow",
    ),
    "a mail that says words nobody gives": (
        {"emails": lambda b: [Email("noted", to=somebody, on=b["fresh"], says=["title"])]},
        "mail 'noted' says title, but the workflow has no `vocabulary`",
    ),
    "a policy pinned at what is no event": (
        {"pins": ["fly"]},
        "pins: 'fly' is not an event of this workflow",
    ),
    "an incident told to what is no event": (
        {"on_incident": "fly"},
        "on_incident: 'fly' is not an event of this workflow",
    ),
    "a name that is no fact": (
        {"names": [Name("number", "number")]},
        "'number' names the case and is no fact of Note",
    ),
    "a record that waits": (
        {"changes": lambda b: [Change(b["age"], record=never)]},
        "is async",
    ),
    "a builder that waits": (
        {"openings": lambda b: [Opening("write", b["fresh"], build=never)]},
        "is async",
    ),
    "data that the event does not hold and yet refers by": (
        {"openings": lambda b: [Opening("write", b["fresh"], refers={"other": "notes"})]},
        "'other'",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_compiler_refuses(what: str) -> None:
    changes, sentence = REFUSED[what]
    assert sentence in problem(sound(**changes))


@pytest.mark.parametrize("missing", ["name_in_events", "collection", "prefix", "title", "facts"])
def test_a_class_must_say_what_it_is(missing: str) -> None:
    assert f"the class says no `{missing}`" in problem(sound(**{missing: lambda b: None}))


def test_an_async_guard_is_found_behind_a_partial_too() -> None:
    with pytest.raises((WorkflowError, AttributeError)):
        compile_workflow(sound(age=lambda b: b["fresh"].to(b["old"], unless=partial(never, None))))


def test_a_guard_that_is_only_named_is_refused() -> None:
    cls = sound(age=lambda b: b["fresh"].to(b["old"], unless="free"), free=free)
    assert "the guard 'free' of fresh → old is a string; pass the function" in problem(cls)


def test_all_problems_of_a_class_are_said_at_once() -> None:
    told = problem(
        sound(
            age=lambda b: b["fresh"].to(b["old"], cond=free),
            timers=lambda b: [Timer(b["old"], on("nothing"), send=b["drop"]), Timer(b["old"], on("x"), send=b["poke"])],
            labels={},
            openings=[],
        )
    )
    for part in (
        "uses `cond`",
        "counts from 'nothing'",
        "a timer of 'old' sends 'poke'",
        "no opening",
        "state 'fresh' has no label",
        "state 'old' has no label",
        "state 'gone' has no label",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: sound(island=lambda b: State()), "(?i)unreachable|not reachable|disconnected"),
        (lambda: sound(drop=lambda b: b["gone"].to(b["old"])), "(?i)final"),
        (lambda: sound(old=lambda b: State(initial=True)), "(?i)initial"),
    ],
    ids=["a state nobody can reach", "a way out of a final state", "two initial states"],
)
def test_the_library_itself_refuses_when_the_class_is_made(build: Callable[[], type[Workflow]], sentence: str) -> None:
    with pytest.raises(InvalidDefinition, match=sentence):
        build()


# --- several workflows ---------------------------------------------------------------------------------------------


def _pair(first: dict[str, Any], second: dict[str, Any]) -> str:
    """What is wrong with two workflows that belong together, the second of which is of another name."""
    other = {"name_in_events": "page", "collection": "pages", "prefix": "P", "is_subject": False} | second
    with pytest.raises(WorkflowError) as told:
        compile_workflows([sound(**first), sound(**other)])
    return str(told.value)


def test_two_workflows_of_one_name_are_refused() -> None:
    assert "two workflows bear this name; give one another `name_in_events`" in _pair({}, {"name_in_events": "note"})


@pytest.mark.parametrize("second", [{"is_subject": True}, None])
def test_exactly_one_workflow_holds_the_subjects(second: dict[str, Any] | None) -> None:
    told = _pair({}, second) if second is not None else _pair({"is_subject": False}, {})
    assert "exactly one workflow must hold the subjects: set `is_subject = True` in one class" in told


def test_two_workflows_of_one_collection_or_prefix_are_refused() -> None:
    assert "workflow page: its collection 'notes' is that of note too; choose another" in _pair(
        {}, {"collection": "notes"}
    )
    assert "workflow page: its prefix 'N' is that of note too; choose another" in _pair({}, {"prefix": "N"})


def _nobody(*_: Any) -> None:
    return None


SENDS: list[tuple[str, Send, str]] = [
    ("an unknown workflow", Send("book.age", to=_nobody), "event 'age' sends 'book.age', which no workflow knows"),
    ("an unknown event", Send("page.fly", to=_nobody), "event 'age' sends 'page.fly', which no workflow knows"),
    ("an event to nobody", Send("page.age"), "'page.age', which moves a case and needs `to=`"),
    ("an opening to somebody", Send("page.write", to=_nobody), "'page.write', which opens a case and takes no `to=`"),
]


@pytest.mark.parametrize(("send", "sentence"), [case[1:] for case in SENDS], ids=[case[0] for case in SENDS])
def test_a_follow_up_to_nothing_is_refused(send: Send, sentence: str) -> None:
    assert sentence in _pair({"changes": lambda b: [Change(b["age"], then=[send])]}, {})


def test_follow_ups_that_go_round_are_refused_and_the_round_is_shown() -> None:
    there = {"changes": lambda b: [Change(b["age"], then=[Send("page.age", to=_nobody)])]}
    back = {"changes": lambda b: [Change(b["age"], then=[Send("note.age", to=_nobody)])]}
    assert "follow-ups go round: note.age → page.age → note.age" in _pair(there, back)


@pytest.mark.parametrize(("links", "good"), [(4, True), (5, False)])
def test_follow_ups_deeper_than_four_are_refused(links: int, good: bool) -> None:
    names = [f"w{n}" for n in range(links + 1)]
    classes = [
        sound(
            name_in_events=name,
            collection=f"{name}s",
            prefix="ABCDEF"[n],
            is_subject=n == 0,
            changes=partial(_chained, names[n + 1] if n < links else None),
        )
        for n, name in enumerate(names)
    ]
    for cls, name, later in zip(classes, names, [*names[1:], None], strict=True):
        assert cls.name_in_events == name
        cls.changes = _chained(later, vars(cls))
    if good:
        assert len(compile_workflows(classes).machines) == links + 1
    else:
        with pytest.raises(WorkflowError, match=r"follow-ups deeper than 4: w0\.age → w1\.age → w2\.age"):
            compile_workflows(classes)


def _chained(later: str | None, body: Any) -> list[Change]:
    return [Change("age", then=[Send(f"{later}.age", to=_nobody)] if later is not None else [])]


# --- what it makes of a good one -----------------------------------------------------------------------------------


def test_edges_keep_the_order_in_which_they_are_written() -> None:
    edges = CLUB["rental"].edges["back", "take_again"]
    assert [edge.target for edge in edges] == ["overdue", "out"]
    assert [[guard.__name__ for guard in edge.unless] for edge in edges] == [["not_yet_late"], []]


def test_timers_are_named_for_what_they_do_and_from_which_fact_with_the_numbers_of_the_policy() -> None:
    card, rental = CLUB["card"], CLUB["rental"]
    assert [timer.name for timer in card.timers_of("valid", OLD)] == [
        "remind valid_until-30d,-7d,-1d",
        "expire valid_until+1d",
        "check quarterly",
    ]
    assert card.timers_of("valid", NEW)[0].name == "remind valid_until-45d,-10d"
    assert [timer.name for timer in rental.timers_of("overdue", NEW)] == ["remind every 5d", "go_missing missing_at"]


def test_only_a_timer_that_leaves_its_state_alone_is_a_reminder() -> None:
    timers = {timer.event: timer.reminder for timer in CLUB["rental"].timers_of("out", OLD)}
    assert timers == {"remind": True, "fall_due": False}


def test_what_a_state_has_passed_cannot_lead_back() -> None:
    assert ("paid", "pay") in CLUB["bill"].passed
    assert ("waived", "pay") not in CLUB["bill"].passed  # another way out: that would be a contradiction
    assert ("back", "give_back") not in CLUB["rental"].passed  # it may be taken again
    assert ("out", "promise") not in CLUB["rental"].passed


def test_the_fingerprint_follows_what_the_tables_say_and_not_how_people_call_it() -> None:
    plain = compile_workflow(sound()).fingerprint
    assert compile_workflow(sound(title=Text("autre", "other"))).fingerprint == plain
    others = [
        sound(age=lambda b: b["fresh"].to(b["old"], unless=free)),
        sound(extra=lambda b: b["old"].to(b["fresh"])),
        sound(timers=lambda b: [Timer(b["fresh"], on("written_on"), send=b["age"])]),
        sound(timers=lambda b: [Timer(b["fresh"], day_after("written_on"), send=b["age"])]),
        sound(openings=lambda b: [Opening("write", b["old"])]),
    ]
    assert len({plain, *(compile_workflow(cls).fingerprint for cls in others)}) == 6


@pytest.mark.parametrize(
    ("when", "name"),
    [
        (lambda: on("written_on"), "poke written_on"),
        (lambda: before("written_on", days=3), "poke written_on-3d"),
        (lambda: after("written_on", days=[1, 10]), "poke written_on+1d,+10d"),
        (lambda: day_after("written_on"), "poke written_on+1d"),
        (lambda: every(days=7), "poke every 7d"),
        (lambda: every(days=policy.nag_days, first=1), "poke every 5d"),
        (lambda: planned("quarterly", lambda f, p: [date(2025, 1, 1)]), "poke quarterly"),
    ],
)
def test_the_name_of_a_timer_outlives_the_code(when: Callable[[], Any], name: str) -> None:
    machine = compile_workflow(sound(timers=lambda b: [Timer(b["fresh"], when(), send=b["poke"])]))
    assert [timer.name for timer in machine.timers_of("fresh", NEW)] == [name]


def test_a_template_is_found_with_its_workflow_and_every_mail_that_uses_it() -> None:
    templates = CLUB.templates()
    assert set(templates) >= {
        "welcome",
        "incident_opened",
        "card_reminder",
        "rented",
        "overdue",
        "reminder",
        "please_pay",
    }
    machine, mails = templates["reminder"]
    assert (machine.name, [mail.ladder for mail in mails]) == ("rental", ["rental"])


def test_machines_are_found_by_name_and_by_collection() -> None:
    assert CLUB.root.name == CLUB.subject_workflow == "member"
    assert CLUB.by_collection("bills") is CLUB["bill"]
    assert CLUB.by_collection("nothing") is None
    assert CLUB.get("nothing") is None
    assert CLUB["bill"].kind_of("pay") == "report"
    assert CLUB["bill"].kind_of("remind") == "internal"
    assert not CLUB["bill"].knows("fly")
    assert datetime(2025, 1, 1, tzinfo=UTC).tzinfo is UTC
