"""What a workflow class declares, word by word: each of the right kind, each function taking what it is given.

Only what is sound here is compiled (`vipflow.machine`); so nothing there, and nothing at run time, meets a text where
a list should stand, or a guard with too few arguments.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args

import msgspec
from statemachine.transition_list import TransitionList

from vipflow.errors import Problem, did_you_mean
from vipflow.facts import FactsError, decode_facts
from vipflow.policy import Number
from vipflow.sources import Places, place_of
from vipflow.workflow import (
    Audience,
    Change,
    Email,
    Facts,
    Kind,
    Name,
    Opening,
    Send,
    State,
    Text,
    Timer,
    When,
    Workflow,
)

REQUIRED = ("name_in_events", "collection", "prefix", "title", "facts")
FARTHEST = 36_600
"""Days that a timer may count: a hundred years, beyond which lies a slip of the finger."""

_LISTS: Mapping[str, tuple[type, str]] = {
    "openings": (Opening, 'Opening("lend", lent)'),
    "changes": (Change, "Change(renew)"),
    "timers": (Timer, "Timer(lent, every(days=7), send=remind)"),
    "emails": (Email, 'Email("reminder", to=reader, on=late)'),
    "names": (Name, 'Name("number", "number")'),
}
_WORDS = {
    "name_in_events": (re.compile(r"^[a-z][a-z0-9_]{0,39}$"), "small letters, digits and underscores"),
    "collection": (re.compile(r"^[a-z][a-z0-9_-]{0,39}$"), "small letters, digits, hyphens and underscores"),
    "prefix": (re.compile(r"^[A-Z]{1,3}$"), "one to three capital letters"),
}
_GIVEN = {
    ("data", "view"): "the event's data and the view",
    ("facts", "view"): "the case's facts and the view",
    ("facts", "policy"): "the case's facts and the policy",
    ("facts", "data", "view"): "the case's facts, the event's data and the view",
    ("facts", "was", "view"): "the case's facts, the policy until now and the view",
    ("view",): "the view",
}


def kinds_that_are_wrong(cls: type[Workflow]) -> Iterator[Problem]:
    """What is missing or of another kind than it must be: with any of it, the class cannot be compiled."""
    places = Places(cls)
    for required in REQUIRED:
        if not hasattr(cls, required):
            yield Problem(f"the class says no `{required}`", *places.of())
    for attribute, (pattern, letters) in _WORDS.items():
        word = getattr(cls, attribute, None)
        if word is not None and not (isinstance(word, str) and pattern.match(word)):
            yield Problem(f"`{attribute}` is {_shown(word)}; write {letters}", *places.of(attribute))
    if hasattr(cls, "title") and not isinstance(cls.title, Text):
        yield Problem(
            f"`title` is {_shown(cls.title)}; write Text(fr=…, en=…): people read both languages", *places.of("title")
        )
    if hasattr(cls, "facts"):
        yield from _facts(cls, places)
    for attribute, (kind, example) in _LISTS.items():
        yield from _entries(cls, attribute, kind, example, places)
    for attribute in ("settled", "pins", "record_block"):
        if not isinstance(getattr(cls, attribute), (list, tuple)):
            yield Problem(f"`{attribute}` is no list; write {attribute} = […]", *places.of(attribute))
    labels = getattr(cls, "labels", {})
    if not isinstance(labels, Mapping):
        yield Problem("`labels` is no table; write labels = {'lent': Text(fr=…, en=…), …}", *places.of("labels"))
        return
    for state, label in labels.items():
        if not isinstance(label, Text):
            yield Problem(
                f"the label of {state!r} is {_shown(label)}; write Text(fr=…, en=…): people read both languages",
                *places.key("labels", state),
            )


def _facts(cls: type[Workflow], places: Places) -> Iterator[Problem]:
    facts: Any = cls.facts
    if not (isinstance(facts, type) and issubclass(facts, Facts)):
        yield Problem(f"`facts` is {_shown(facts)}; name a class that inherits from vipflow.Facts", *places.of("facts"))
        return
    name = facts.__name__
    version, upgrades = facts.facts_version, len(facts.upgrades)
    if version < 1 or upgrades != version - 1:
        needs = f"{version - 1} upgrade{'s' if version != 2 else ''}" if version >= 1 else "to be 1 or more"
        yield Problem(
            f"{name} has facts_version = {version} and {upgrades} upgrades; version {version} needs {needs}, "
            "one for each version before it",
            *Places(facts).of("upgrades" if upgrades else "facts_version"),
        )


def _entries(cls: type[Workflow], attribute: str, kind: type, example: str, places: Places) -> Iterator[Problem]:
    found = getattr(cls, attribute)
    events = {id(value): key for key, value in cls.transition_lists.items()}
    if not isinstance(found, (list, tuple)):
        yield Problem(f"`{attribute}` is {_shown(found)}; write {attribute} = [{example}, …]", *places.of(attribute))
        return
    for at, each in enumerate(found):
        place = places.of(attribute, at)
        if not isinstance(each, kind):
            yield Problem(f"`{attribute}` holds {_shown(each)}, which is no {kind.__name__}; write {example}", *place)
            continue
        for says in _entry(each, events):
            yield Problem(says, *place)


def _entry(each: Any, events: Mapping[int, str]) -> Iterator[str]:
    match each:
        case Timer(when=When() as when):
            yield from _days(when)
        case Timer(when=other):
            yield f"a timer falls due when {_shown(other)}; write on, before, after, day_after, every or planned(…)"
        case Email():
            yield from _email(each)
        case Opening() | Change():
            named: Any = each.event
            event = events.get(id(named), named)
            kinds = get_args(Kind)
            if each.kind not in kinds:
                near = did_you_mean(str(each.kind), kinds)
                yield f"event {event!r} has the kind {each.kind!r}{near}; write REQUEST, REPORT or INTERNAL"
            data: Any = each.data
            if not (isinstance(data, type) and issubclass(data, msgspec.Struct)):
                yield f"event {event!r} has the data {_shown(data)}; name a class made from msgspec.Struct"
            if not isinstance(each.then, (list, tuple)) or any(not isinstance(send, Send) for send in each.then):
                yield f"event {event!r}: `then` is a list of follow-ups; write then=[Send('loan.renew', to=…)]"
            if isinstance(each, Opening) and not isinstance(named, str):
                yield f"an opening is named {_shown(named)}; write its name in quotes"
            if isinstance(each, Opening) and not isinstance(each.state, (State, list, tuple)):
                yield f"opening {event!r} begins in {_shown(each.state)}; name a state"
            if isinstance(each, Opening) and not isinstance(each.unless, (list, tuple)):
                yield f"opening {event!r}: `unless` is a list of guards; write unless=[…]"
        case Name():
            pass


def _email(email: Email) -> Iterator[str]:
    where = f"mail {email.template!r}"
    if not isinstance(email.template, str):
        yield f"a mail has the template {_shown(email.template)}; write its name in quotes"
    if not isinstance(email.to, Audience):
        yield f"{where} goes to {_shown(email.to)}; name an Audience(…)"
    if isinstance(email.says, str) or any(not isinstance(word, str) for word in email.says):
        yield f'{where}: `says` is a list of words; write says=["title", "due_on"]'


def _days(when: When) -> Iterator[str]:
    least = 1 if when.repeats else 0
    for days in (when.days, when.first):
        several = days if isinstance(days, (list, tuple)) else [days]
        for each in several:
            if days is None or isinstance(each, Number):
                continue
            if not isinstance(each, int) or isinstance(each, bool) or not least <= each <= FARTHEST:
                yield (
                    f"a timer counts {_shown(each)} days; write a whole number from {least} to {FARTHEST:,}, "
                    "a list of them, or policy.<number>"
                )


# --- functions -----------------------------------------------------------------------------------------------------


def functions_that_do_not_fit(cls: type[Workflow]) -> Iterator[Problem]:
    """Functions that wait, or do not take what they are called with."""
    told: set[tuple[int, tuple[str, ...]]] = set()
    for where, function, given in _functions(cls):
        if (id(function), given) in told:  # one guard may stand in many places
            continue
        told.add((id(function), given))
        for says in _function(where, function, given):
            yield Problem(says, *place_of(function)) if callable(function) else Problem(says)


def _functions(cls: type[Workflow]) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Each function that a workflow hands over, what it is called with, and where it is named."""
    three, two = ("facts", "data", "view"), ("facts", "view")
    events = {id(value): key for key, value in cls.transition_lists.items()}
    for state in cls.states:
        for transition in state.transitions:
            for spec in transition.cond:
                if spec.expected_value is False and callable(spec.func):
                    yield f"the guard of {state.id} → {getattr(transition.target, 'id', '?')}", spec.func, three
    for opening in cls.openings:
        where = f"event {opening.event!r}"
        yield where, opening.build, ("data", "view")
        yield where, opening.choose, two
        for guard in opening.unless:
            yield f"the guard of opening {opening.event!r}", guard, three
    for change in cls.changes:
        where = f"event {events.get(id(change.event), str(change.event))!r}"
        if not isinstance(change.record, TransitionList):
            yield where, change.record, three
        yield where, change.otherwise, three
    for then in [*(each.then for each in cls.openings), *(each.then for each in cls.changes)]:
        for send in then:
            of_send: tuple[Any, ...] = (send.to, send.data, send.if_)
            for function in of_send:
                yield f"the follow-up {send.event!r}", function, three
    for timer in cls.timers:
        yield f"the plan {timer.when.plan_name!r} of a timer", timer.when.plan, ("facts", "policy")
    for email in cls.emails:
        yield f"mail {email.template!r}", email.while_, two
        of_audience: tuple[Any, ...] = (email.to.person, email.to.not_before, email.to.when_due)
        for function in of_audience:
            yield f"the audience {email.to.name!r}", function, ("view",)
    if cls.redating is not None:
        yield "`redating`", cls.redating.record, ("facts", "was", "view")
        yield "`redating`", cls.redating.choose, two
    yield "`vocabulary`", cls.vocabulary, two


def _function(where: str, function: Any, given: tuple[str, ...]) -> Iterator[str]:
    if function is None:
        return
    if not callable(function):
        yield f"{where}: {_shown(function)} is no function"
        return
    name = getattr(function, "__name__", repr(function))
    if inspect.iscoroutinefunction(function):
        if "guard" in where:
            bearer = where.removeprefix("the guard of ")
            yield f"the guard {name!r} of {bearer} is async; guards are pure and never wait"
        else:
            yield f"{where}: the function {name!r} is async; what decides never waits"
        return
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C: nobody knows
        return
    try:
        signature.bind(*given)
    except TypeError:
        takes = ", ".join(signature.parameters) or "nothing"
        what = (
            f"the guard {name!r} of {where.removeprefix('the guard of ')}" if "guard" in where else f"{where}: {name!r}"
        )
        yield (
            f"{what} takes ({takes}) and is called with {len(given)}: {_GIVEN[given]}; "
            f"write def {name}({', '.join(given)})"
        )


def _shown(value: Any) -> str:
    """A value that is wrong, in a few words."""
    if isinstance(value, TransitionList):
        return "an event"
    if isinstance(value, State):
        return f"the state {value.id!r}"
    if isinstance(value, (str, int, float, bool, type(None))):
        return repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "…'"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, Callable):  # type: ignore[arg-type]  # why: mypy wants a class, and Callable is asked as one
        return f"the function {getattr(value, '__name__', value)}"
    return f"{_article(type(value).__name__)} {type(value).__name__}"


def _article(word: str) -> str:
    return "an" if word[:1].lower() in "aeiou" else "a"


def golden_rows_that_do_not_load(cls: type[Workflow]) -> Iterator[Problem]:
    """Past versions of the facts of which there is no row to try, or whose row the class cannot read any more."""
    facts = cls.facts
    places = Places(facts)
    for version in range(1, facts.facts_version):
        if version > len(facts.golden):
            yield Problem(
                f"{facts.__name__} has facts_version = {facts.facts_version} and no golden row of version {version}; "
                "write one down as it was stored: golden = ('{…}', …)",
                *places.of("golden" if facts.golden else "facts_version"),
            )
            continue
        try:
            decode_facts(facts, facts.golden[version - 1], version)
        except FactsError as wrong:
            says = f"the golden row of version {version} of {facts.__name__} cannot be read: {wrong.problem}"
            yield Problem(says, *places.of("golden", version - 1))


def unknown_labels(cls: type[Workflow], states: Iterable[str]) -> Iterator[Problem]:
    """Labels of what is no state: a slip that would leave a state without one."""
    known = list(states)
    for state in getattr(cls, "labels", {}):
        if state not in known:
            near = did_you_mean(str(state), known) or f"; there are {', '.join(known)}"
            yield Problem(f"`labels` names {state!r}, which is no state{near}", *Places(cls).key("labels", state))
