"""A running case and what surrounds it: the values that `decide` reads and gives.

All are frozen; a change is a new value. Instants are aware UTC datetimes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec

from vipflow.policy import Policy
from vipflow.workflow import Person, Reason, Text

ActorKind = Literal["system", "staff", "clock", "customer"]


class Actor(msgspec.Struct, frozen=True):
    """Who did it: a system by its source, staff by their e-mail, the clock, or the customer."""

    kind: ActorKind
    name: str


CLOCK = Actor("clock", "clock")


class DueTimer(msgspec.Struct, frozen=True):
    """A timer that is armed: `name` is unique in its case and outlives the code (`remind due_on-3d`)."""

    name: str
    event: str
    due_at: datetime


class Case(msgspec.Struct, frozen=True):
    """One running instance of a workflow. `since`: the effective instant at which it entered its state."""

    ref: str
    workflow: str
    state: str
    facts: Any
    policy: str
    since: datetime
    opened_at: datetime
    version: int = 0
    timers: tuple[DueTimer, ...] = ()


class Tenant(msgspec.Struct, frozen=True):
    """A company whose staff and systems use this installation. `settings` is the trade's."""

    id: int
    key: str
    name: str
    zone: ZoneInfo
    language: str = "fr"
    settings: Any = None


class NotLoaded(Exception):
    """Raised by `View.case` for a case that exists perhaps but was not loaded; `apply` loads it and decides again."""

    def __init__(self, ref: str) -> None:
        super().__init__(ref)
        self.ref = ref


class Mailbox(msgspec.Struct, frozen=True):
    """A name and an e-mail address, as the trade keeps them; delivery checks them."""

    name: str
    email: str


class Addressing(msgspec.Struct, frozen=True):
    """Who a mail comes from and goes to: found at first rendering, then kept with the bytes."""

    sender: Mailbox
    reply_to: Mailbox | None
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...] = ()


class Trade(Protocol):
    """What a trade supplies beside its workflows: all of it pure functions of the view."""

    def policy_in_force(self, view: View) -> Policy:
        """The policy that a case opened at `view.at` pins."""

    def summary(self, view: View) -> Mapping[str, Any]:
        """What lists need to know of the subject, by column; when it is next due is the engine's to say.

        Name, e-mail, domain, country, VIP number, segment and owner follow from the subject's own facts alone.
        """

    def common_words(self, view: View, person: Person) -> Mapping[str, Any]:
        """What every mail says, whatever it is about."""

    def addressing(self, view: View, person: Person) -> Addressing | None:
        """The addresses of a message to `person`; None where nobody is left to write to."""

    def wants_digest(self, tenant: Tenant, recipient: str) -> bool:
        """Whether the person whose key that is gets one mail of all that is due, in place of many."""

    def restore_policy(self, body: str) -> Policy:
        """A policy as it was stored when it was pinned."""

    def settings(self, row: Mapping[str, Any], team: Sequence[Mapping[str, Any]]) -> Any:
        """What `Tenant.settings` holds, made of the tenant's row and its team's."""

    def parked_for(self, tenant: Tenant) -> timedelta:
        """How long an event waits for its case before a person is told."""


class View(msgspec.Struct, frozen=True):
    """What guards, builders and records see: one subject, its live cases, and the numbers in force.

    `at` is when the event happened (its effective instant), `now` when we learn of it. `case` is the case at hand,
    None while one is opened. A follow-up sees what its sender just did.
    """

    tenant: Tenant
    subject: str
    root: str
    """The name of the subject's workflow."""
    cases: Mapping[str, Case]
    sequence: int
    tally: Mapping[str, int]
    policies: Mapping[str, Policy]
    trade: Any
    at: datetime
    now: datetime
    case: Case | None = None
    opening: str = ""
    """The reference of the case being opened."""
    in_force: Policy | None = None
    """The policy that it pins."""
    actor: Actor = CLOCK
    reason: str | None = None
    absent: frozenset[str] = frozenset()
    salt: int = 0

    @property
    def policy(self) -> Policy:
        """The policy that the case at hand has pinned; while opening, the one in force."""
        if self.case is not None:
            return self.policies[self.case.policy]
        if self.in_force is not None:
            return self.in_force
        policy: Policy = self.trade.policy_in_force(self)
        return policy

    @property
    def today(self) -> date:
        """The effective day in the tenant's zone."""
        return _day_of(self.at, self.tenant.zone)

    @property
    def subject_facts(self) -> Any:
        """The facts of the subject itself."""
        return self.cases[self.subject].facts

    def named(self, ref: str) -> Case | None:
        """The subject's case of that reference, None where there is none. Settled cases are loaded on demand."""
        found = self.cases.get(ref)
        if found is None and ref not in self.absent:
            raise NotLoaded(ref)
        return found

    def of(self, workflow: str) -> Iterator[Case]:
        """The loaded cases of a workflow, oldest first: all live ones, and settled ones that were asked for."""
        found = [case for case in self.cases.values() if case.workflow == workflow]
        if len(found) > 1:
            found.sort(key=lambda case: (case.opened_at, case.ref))
        return iter(found)

    def only(self, workflow: str) -> Case | None:
        """The one live case of a workflow that has one per subject."""
        for case in self.cases.values():
            if case.workflow == workflow:
                return case
        return None


@lru_cache(maxsize=4096)
def _day_of(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


class Event(msgspec.Struct, frozen=True):
    """Something that happened or is asked for, addressed to one case (or opening one), its data decoded.

    `cause` is unique for ever: `event:<source>/<id>`, `timer:<case>/<name>/<due>`, or the sender's with an index.
    """

    workflow: str
    name: str
    occurred_at: datetime
    data: Any
    actor: Actor
    cause: str
    case: str | None = None
    reason: str | None = None
    given_ref: str | None = None
    """The sender's own reference for a case that it opens."""
    fired: DueTimer | None = None
    silent: bool = False

    @property
    def type(self) -> str:
        return f"{self.workflow}.{self.name}"


class Message(msgspec.Struct, frozen=True):
    """A mail to be: template and frozen context. `key` is unique for ever and means something: case, sequence,
    template, audience.
    """

    key: str
    case: str
    workflow: str
    template: str
    audience: str
    ladder: str | None
    person: Person
    context: Mapping[str, Any]
    not_before: datetime
    effective_at: datetime


class Step(msgspec.Struct, frozen=True):
    """One row of history: what a transition did to one case. `before` is None where it opened the case."""

    sequence: int
    event: str
    before: Case | None
    after: Case
    effective_at: datetime
    actor: Actor
    reason: str | None
    cause: str
    messages: tuple[Message, ...] = ()
    given_ref: str | None = None
    data: Any = None
    note: str | None = None
    fired: DueTimer | None = None


class Incident(msgspec.Struct, frozen=True):
    """Something stopped, or contradicts what we know, and needs a person."""

    kind: str
    case: str | None
    event: str
    says: Text
    cause: str


class Decision(msgspec.Struct, frozen=True):
    """What an event does: its steps in order, what needs a person, and the view after them."""

    steps: tuple[Step, ...]
    incidents: tuple[Incident, ...]
    view: View


class Refusal(msgspec.Struct, frozen=True):
    """An answer, not a fault: the reasons why a request is not carried out."""

    reasons: tuple[Reason, ...]


class Stale(msgspec.Struct, frozen=True):
    """The event repeats what its case has already passed, with no way back to where it would mean something."""

    case: str
    state: str


Outcome = Decision | Refusal | Stale
