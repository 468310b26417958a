"""The words a workflow file is written in.

A workflow is a python-statemachine class whose body says, beside states and transitions, how a case opens, what each
event records and sends on, which timers a state arms and which e-mails leave. `vipflow.machine` compiles such a class
once into plain tables; nothing here runs a case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar, Literal

import msgspec
from statemachine import State as _State
from statemachine import StateMachine
from statemachine.factory import StateMachineMetaclass
from statemachine.transition_list import TransitionList

from vipflow.policy import Number

Language = Literal["fr", "en"]
Kind = Literal["request", "report", "internal"]

REQUEST: Kind = "request"
"""Somebody asks for it: it may be refused."""
REPORT: Kind = "report"
"""Somebody tells that it happened outside: it is always recorded."""
INTERNAL: Kind = "internal"
"""Only timers and follow-ups send it."""


class Text(msgspec.Struct, frozen=True):
    """One sentence in every language of the product."""

    fr: str
    en: str

    def in_(self, language: str) -> str:
        return self.fr if language == "fr" else self.en


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a guard says no: a code, a sentence, the facts it saw, and what would change that.

    `opens_at` (aware, UTC) is given where the clock alone lifts the obstacle.
    """

    code: str
    says: Text
    facts: Mapping[str, Any] = {}
    unblock: Text | None = None
    opens_at: datetime | None = None


class NoData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data of an event that carries none."""


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a case remembers. Stored with `facts_version`; `upgrades[n]` takes the plain dict of version n+1 to
    version n+2.

    Upgrades are pure and applied on read.
    """

    facts_version: ClassVar[int] = 1
    upgrades: ClassVar[tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]] = ()


# A guard is an obstacle: None, or the reason why not. Its three arguments are the case's facts (None while opening),
# the event's data and the view.
Obstacle = Callable[[Any, Any, Any], Reason | None]
Record = Callable[[Any, Any, Any], Any]


class State(_State):
    """A state of a workflow: python-statemachine's, with `late.on(remind)` for "this event while in this state"."""

    def on(self, event: Any) -> OnEvent:
        return OnEvent(self, event)


@dataclass(frozen=True)
class OnEvent:
    """An event in a state: what `late.on(remind)` gives."""

    state: State
    event: Any


# --- timers -------------------------------------------------------------------------------------------------------

Days = int | Sequence[int] | Number


@dataclass(frozen=True)
class When:
    """The instants a timer falls due at, counted from a fact of the case or from the moment it entered its state.

    Calendar days begin at midnight in the tenant's zone; an instant fact counts as it is. A list of days is a ladder.
    """

    fact: str | None
    days: Days
    sign: int
    repeats: bool = False
    first: Days | None = None
    plan: Callable[[Any, Any], Iterable[date]] | None = None
    plan_name: str = ""


def on(fact: str) -> When:
    """On the day (00:00) or at the instant that the fact holds."""
    return When(fact, 0, 1)


def before(fact: str, *, days: Days) -> When:
    """That many days before the fact's day; a list is a ladder."""
    return When(fact, days, -1)


def after(fact: str, *, days: Days) -> When:
    """That many days after the fact's day; a list is a ladder."""
    return When(fact, days, 1)


def day_after(fact: str) -> When:
    """The day after the fact's day: the first on which that day is over."""
    return When(fact, 1, 1)


def every(*, days: Days, first: Days | None = None) -> When:
    """Again and again, counted from the effective instant at which the case entered the state."""
    return When(None, days, 1, repeats=True, first=first)


def planned(name: str, plan: Callable[[Any, Any], Iterable[date]]) -> When:
    """On the days that `plan(facts, policy)` gives; `name` stands in the stored timer's name."""
    return When(None, 0, 1, plan=plan, plan_name=name)


@dataclass(frozen=True)
class Timer:
    """While a case is in `state`, `send` falls due when the rule says; not armed while its fact is None."""

    state: State
    when: When
    send: Any


# --- events: openings, changes, follow-ups ------------------------------------------------------------------------


@dataclass(frozen=True)
class Send:
    """An event that a transition sends to another case of the same subject, in the same transaction.

    `to(facts, data, view)` names the case, or several, or none; left out, the event opens a case. `data` builds the
    event's data (for openings a tuple of them opens one case each); `if_` may hold it back. All three see the
    sender's facts after the transition.
    """

    event: str
    to: Callable[[Any, Any, Any], str | Sequence[str] | None] | None = None
    data: Callable[[Any, Any, Any], Any] | None = None
    if_: Callable[[Any, Any, Any], bool] | None = None


@dataclass(frozen=True)
class Opening:
    """An event that opens a case of this workflow.

    `state` is where it starts; several where `choose(facts, view)` picks by the dates (an existing member is adopted
    in the middle of its life). `build(data, view)` gives the first facts. `silent`: without the mails of steps it
    never lived.
    """

    event: str
    state: State | Sequence[State]
    data: type = NoData
    build: Callable[[Any, Any], Any] | None = None
    unless: Sequence[Obstacle] = ()
    kind: Kind = REQUEST
    choose: Callable[[Any, Any], State] | None = None
    silent: bool = False
    then: Sequence[Send] = ()
    refers: Mapping[str, str] = field(default_factory=dict)
    """Fields of the data that name a case, each with the collection it is looked up in."""


@dataclass(frozen=True)
class Change:
    """What an event of a running case carries, records and sends on. Events without a Change are internal.

    `otherwise` says why not in the states that the event means nothing in, where more can be said than which it needs.
    """

    event: Any
    data: type = NoData
    record: Record | None = None
    then: Sequence[Send] = ()
    kind: Kind = INTERNAL
    reason_required: bool = False
    otherwise: Obstacle | None = None
    refers: Mapping[str, str] = field(default_factory=dict)


# --- mails --------------------------------------------------------------------------------------------------------


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whom a message is for, frozen with it. `key` finds the address again at first rendering."""

    key: str
    name: str
    language: str


@dataclass(frozen=True)
class Audience:
    """A role that mails are written to: who fills it now, and when mail to it may leave.

    `when_due` is asked once more in the moment of sending, of a mail whose `not_before` is over, perhaps for long: a
    retry at night waits for the morning. Left out, it leaves at once.
    """

    name: str
    person: Callable[[Any], Person | None]
    not_before: Callable[[Any], datetime]
    when_due: Callable[[Any], datetime] | None = None


@dataclass(frozen=True)
class Email:
    """A mail that leaves on arriving in a state, on an event, or on an event in a state; a tuple means any of these.

    `says` names the words of the workflow's vocabulary that its context freezes. `while_(facts, view)` must hold when
    it is written and still when it leaves (default for a mail on a state: still in that state). Of the waiting mails
    of one `ladder` only the newest leaves; one on a branch of it (`renewal/outcome`) overtakes the ladder and is not
    overtaken by it.
    """

    template: str
    to: Audience
    on: Any
    says: Sequence[str] = ()
    while_: Callable[[Any, Any], bool] | None = None
    ladder: str | None = None


def always(_facts: Any, _view: Any) -> bool:
    """For `while_`: the mail tells what happened and stays true."""
    return True


@dataclass(frozen=True)
class Name:
    """A fact by which people and systems call a case; an exclusive one belongs to one case of the tenant."""

    fact: str
    kind: str
    exclusive: bool = False


# --- the class ----------------------------------------------------------------------------------------------------


class _WorkflowMeta(StateMachineMetaclass):
    """Keeps the transition lists as the class body named them; python-statemachine turns the attributes into events."""

    def __init__(cls, name: str, bases: tuple[type], attrs: dict[str, Any]) -> None:
        cls.transition_lists: dict[str, TransitionList] = {
            k: v for k, v in attrs.items() if isinstance(v, TransitionList)
        }
        super().__init__(name, bases, attrs)


class Workflow(StateMachine, metaclass=_WorkflowMeta):
    """Base of every workflow. The attributes are its declarations: docs/how-to/write-your-own-workflow.md shows one."""

    catch_errors_as_events = False
    allow_event_without_transition = False

    name_in_events: ClassVar[str]
    """The first part of its events' types, e.g. `purchase_authorization`."""
    collection: ClassVar[str]
    """The word in an event's subject, e.g. `authorizations`."""
    prefix: ClassVar[str]
    """Of our references, e.g. `PA`."""
    title: ClassVar[Text]
    is_subject: ClassVar[bool] = False
    """Its cases are the subjects that all other cases belong to."""
    one_per_subject: ClassVar[bool] = False
    trade: ClassVar[str] = "plain"
    """Of a subject's workflow: the trade whose policies, lists and words its installation speaks; "plain" for none."""

    facts: ClassVar[type[Facts]]
    settled: ClassVar[Sequence[State]] = ()
    """States whose cases are not loaded with their subject."""
    labels: ClassVar[Mapping[str, Text]]
    """What people call each state."""
    pins: ClassVar[Sequence[Any]] = ()
    """Events at which the case takes the policy then in force (a membership: each term)."""
    names: ClassVar[Sequence[Name]] = ()
    openings: ClassVar[Sequence[Opening]] = ()
    changes: ClassVar[Sequence[Change]] = ()
    timers: ClassVar[Sequence[Timer]] = ()
    emails: ClassVar[Sequence[Email]] = ()
    vocabulary: ClassVar[Any] = None
    """`staticmethod(facts, view) -> dict`: the plain words its mails may say."""
    record_block: ClassVar[Sequence[str]] = ()
    """Words of the vocabulary that every mail of the workflow says."""
    on_incident: ClassVar[Any] = None
    """Of a subject's workflow: the event that tells it of an incident with one of its cases."""
    on_bounce: ClassVar[Any] = None
    """Of a subject's workflow: the event that tells it of a mail that came back."""
