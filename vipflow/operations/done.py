"""What an act did: its verdict, the steps it caused, the timers it set and the mails that now wait. Said where it was
done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time
from typing import Any, Literal, TypeAlias, cast

import msgspec
from sqlalchemy import Connection

from vipflow.days import local_day
from vipflow.engine.envelope import LONGEST_REASON, LONGEST_WORD, Verdict, check_text, event_cause, not_a_word
from vipflow.errors import BadInput
from vipflow.operations.acts import act
from vipflow.operations.allowed import not_allowed, refused
from vipflow.operations.forms import checked
from vipflow.operations.installation import Installation
from vipflow.operations.who import Who
from vipflow.operations.words import event_label, happened_label, state_label
from vipflow.store import past, reading
from vipflow.workflow import Person, Text


class Happened(msgspec.Struct, frozen=True):
    """One step of history. `event` is the type; `says` and `label` are what people call it and the state it led to.

    `at` is when it happened, `recorded_at` when we learned of it.
    """

    sequence: int
    case: str
    event: str
    says: Text
    from_state: str | None
    to_state: str
    label: Text
    at: datetime
    recorded_at: datetime
    by: str
    by_kind: str
    reason: str | None = None
    note: Any = None


class TimerChange(msgspec.Struct, frozen=True):
    """A timer that was set (`was_due_at` None), moved, or dropped (`due_at` None); `event` is what it sends."""

    case: str
    name: str
    event: str
    says: Text
    due_at: datetime | None
    was_due_at: datetime | None = None


class MailToCome(msgspec.Struct, frozen=True):
    """A mail that is written down and has not left. `leaves_at`: not before."""

    key: str
    case: str
    template: str
    audience: str
    to: str
    language: str
    leaves_at: datetime
    state: str


class IncidentOpened(msgspec.Struct, frozen=True):
    """An incident that an act opened: its reference, and what it says."""

    id: str
    kind: str
    case: str | None
    says: Text


class Followed(msgspec.Struct, frozen=True):
    """What an act led to, or would lead to. `more`: so many steps are not told, with all that came of them."""

    happened: tuple[Happened, ...] = ()
    timers: tuple[TimerChange, ...] = ()
    mails: tuple[MailToCome, ...] = ()
    incidents: tuple[IncidentOpened, ...] = ()
    more: int = 0


class Done(msgspec.Struct, frozen=True):
    """An act's verdict, what to know besides, and what followed: nothing where it was refused."""

    verdict: Verdict
    remarks: tuple[Text, ...] = ()
    happened: tuple[Happened, ...] = ()
    timers: tuple[TimerChange, ...] = ()
    mails: tuple[MailToCome, ...] = ()
    incidents: tuple[IncidentOpened, ...] = ()

    @property
    def fits(self) -> Literal["new", "repeated", "contradiction"]:
        """Whether an applied report told something new; one that did not changed nothing, though it is recorded."""
        note = self.happened[0].note if self.happened else None
        said = note.get("note") if isinstance(note, dict) else None
        return said if said in ("repeated", "contradiction") else "new"

    @property
    def outcome(self) -> Literal["applied", "refused", "stale", "parked", "quarantined"]:
        return self.verdict.verdict


def perform(
    installation: Installation,
    who: Who,
    type: str,
    subject: str,
    data: Mapping[str, Any],
    *,
    customer: str | None,
    what: str,
    reason: str | None = None,
    id: str | None = None,
    remarks: Sequence[Text] = (),
) -> Done:
    """One act from its form to what it did: checks the fields and who asks, posts, and reads back what followed.

    `what` names the form in messages; `customer` is whose record it is, where there is one yet. Raises BadInput for
    fields that cannot be, NotFound, Conflict; a refusal is an answer.
    """
    given = checked(installation, type, data, what)
    check_words(reason, id)
    against = not_allowed(installation, who, type, customer)
    if against is not None:
        return Done(refused(who, type, against), tuple(remarks))
    if who.on is not None and customer is not None:
        who = replace(who, on=_once_there(installation, who, who.on, type, subject, given, customer))
    verdict = act(installation, who, type, subject, given, reason=reason, id=id)
    return done(installation, who, verdict, remarks)


def check_words(reason: str | None, id: str | None) -> None:
    """What comes with every act. As part of an event they would be told as that of one."""
    for what, given, longest in (("the reason", reason, LONGEST_REASON), ("the id", id, LONGEST_WORD)):
        if given is not None and (not given.strip() or len(given) > longest):
            raise BadInput(what, f"it {not_a_word(given)}", f"write 1 to {longest} characters")
        check_text(given, what)


def _once_there(
    installation: Installation,
    who: Who,
    on: datetime,
    type: str,
    subject: str,
    given: Mapping[str, Any],
    customer: str,
) -> datetime:
    """The instant at which the act counts: not before there was what it acts on. A day (its noon, as `--on` holds it)
    on which that began is meant as a whole: then it counts from there. Raises BadInput for an earlier one.
    """
    workflow, _, event = type.partition(".")
    named = {customer, subject.rpartition("/")[2]}
    for value in given.values():  # what an opening is made of: an order's authorizations, a return's order
        values = value if isinstance(value, list | tuple) else [value]
        named.update(each for each in values if isinstance(each, str))
    lone = event not in installation.workflows[workflow].openings
    with installation.database.read() as connection:
        rows = reading.cases_of_customer(connection, who.tenant, customer)
    own = [row for row in rows if lone and row.workflow == workflow]
    about = [row for row in rows if row.ref in named]
    if len(own) == 1:
        about += own
    latest = max(about, key=lambda row: row.opened_at, default=None)
    if latest is None or on >= latest.opened_at:
        return on
    since = local_day(latest.opened_at, who.zone)
    local = on.astimezone(who.zone)
    if local.date() == since and local.time() == time(12):
        return cast(datetime, latest.opened_at)
    title = installation.workflows[latest.workflow].title.en.lower()
    exact = "" if local.date() != since else f", {latest.opened_at.astimezone(who.zone):%H:%M}"
    raise BadInput(
        "--on",
        f"on {local.date()} there was no {title} {latest.ref} yet: it exists since {since}{exact}",
        "give that day or a later one",
    )


def done(installation: Installation, who: Who, verdict: Verdict, remarks: Sequence[Text] = ()) -> Done:
    """The verdict with what it caused, read back from history: the same for an event posted long ago."""
    if verdict.verdict != "applied" or verdict.subject is None or verdict.sequence is None:
        return Done(verdict, tuple(remarks))
    with installation.database.read() as connection:
        rows = past.caused_by(connection, who.tenant, verdict.subject, verdict.source, verdict.id, verdict.sequence)
        told = any(
            row.case_ref == verdict.subject and row.event == installation.workflows.root.on_incident for row in rows
        )
        cause = event_cause(verdict.source, verdict.id)
        opened = past.incidents_of(connection, who.tenant, verdict.subject, cause) if told else ()
        led_to = followed(installation, connection, who.tenant, verdict.subject, rows)
    return Done(verdict, tuple(remarks), led_to.happened, led_to.timers, led_to.mails, tuple(map(incident_of, opened)))


def followed(
    installation: Installation, connection: Connection, tenant: int, subject: str, rows: Sequence[Any]
) -> Followed:
    """What some rows of one subject's history, one behind the other, led to; their incidents are not looked for."""
    keys = [key for row in rows for key in msgspec.json.decode(row.messages)]
    mails = past.messages_of(connection, tenant, keys) if keys else ()
    return Followed(
        tuple(step_of(installation, row) for row in rows),
        _timer_changes(connection, tenant, subject, rows),
        tuple(mail_of(row) for row in mails),
    )


class _Told(msgspec.Struct):
    """What a history row says of timers; see `engine.writing.timers_told`."""

    armed: dict[str, tuple[str, datetime]] = {}
    dropped: tuple[str, ...] = ()


_told_of_timers = msgspec.json.Decoder(_Told).decode
_Timers: TypeAlias = dict[tuple[str, str], tuple[str, datetime]]
"""By case and name: the type of the event that it sends, and when it is due."""


def _timer_changes(connection: Connection, tenant: int, subject: str, rows: Sequence[Any]) -> tuple[TimerChange, ...]:
    """What the rows did to timers in all: set first, by when they are due, then dropped."""
    after: dict[tuple[str, str], tuple[str, datetime] | None] = {}
    for row in rows:
        told = _told_of_timers(row.timers)
        after |= {(row.case_ref, name): None for name in told.dropped}
        after |= _armed(row, told)
    opened = {row.case_ref for row in rows if row.from_state is None}
    older = sorted({case for case, _ in after} - opened)
    before: _Timers = {}
    for row in past.timers_before(connection, tenant, subject, older, rows[0].sequence) if older else ():
        told = _told_of_timers(row.timers)
        for name in told.dropped:
            before.pop((row.case_ref, name), None)
        before |= _armed(row, told)
    found = []
    for (case, name), timer in after.items():
        was = before.get((case, name))
        if timer != was:
            event = (timer or was or ("",))[0]
            due_at, was_due_at = (each[1] if each is not None else None for each in (timer, was))
            found.append(TimerChange(case, name, event, event_label(event), due_at, was_due_at))
    return tuple(sorted(found, key=_when_due))


def _armed(row: Any, told: _Told) -> _Timers:
    return {(row.case_ref, name): (f"{row.workflow}.{event}", due) for name, (event, due) in told.armed.items()}


def _when_due(change: TimerChange) -> tuple[bool, datetime, str, str]:
    at = change.due_at or change.was_due_at
    assert at is not None  # noqa: S101 - one of them stands
    return change.due_at is None, at, change.case, change.name


def step_of(installation: Installation, row: Any) -> Happened:
    """A row of history as people read it."""
    event = f"{row.workflow}.{row.event}"
    note = msgspec.json.decode(row.note) if row.note else None
    return Happened(
        sequence=row.sequence,
        case=row.case_ref,
        event=event,
        says=happened_label(event, note),
        from_state=row.from_state,
        to_state=row.to_state,
        label=state_label(installation.workflows, row.workflow, row.to_state),
        at=row.effective_at,
        recorded_at=row.recorded_at,
        by=row.actor,
        by_kind=row.actor_kind,
        reason=row.reason,
        note=note,
    )


def mail_of(row: Any) -> MailToCome:
    """A row of the outbox."""
    person = msgspec.json.decode(row.person, type=Person)
    return MailToCome(
        row.key, row.case_ref, row.template, row.audience, person.name, row.language, row.not_before, row.state
    )


def incident_of(row: Any) -> IncidentOpened:
    """A row of the incidents."""
    says = msgspec.json.decode(row.says)
    return IncidentOpened(row.id, row.kind, row.case_ref, Text(says["fr"], says["en"]))
