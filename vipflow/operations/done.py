"""What an act did: its verdict, the steps it caused, and the mails that now wait. Said where it was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from vipflow.engine.envelope import Verdict
from vipflow.operations.acts import act
from vipflow.operations.allowed import not_allowed, refused
from vipflow.operations.forms import checked
from vipflow.operations.installation import Installation
from vipflow.operations.who import Who
from vipflow.operations.words import event_label, state_label
from vipflow.store import past
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


class Done(msgspec.Struct, frozen=True):
    """An act's verdict, what to know besides, and what followed: nothing where it was refused."""

    verdict: Verdict
    remarks: tuple[Text, ...] = ()
    happened: tuple[Happened, ...] = ()
    mails: tuple[MailToCome, ...] = ()

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
    against = not_allowed(installation, who, type, customer)
    if against is not None:
        return Done(refused(who, type, against), tuple(remarks))
    verdict = act(installation, who, type, subject, given, reason=reason, id=id)
    return done(installation, who, verdict, remarks)


def done(installation: Installation, who: Who, verdict: Verdict, remarks: Sequence[Text] = ()) -> Done:
    """The verdict with what it caused, read back from history: the same for an event posted long ago."""
    if verdict.verdict != "applied" or verdict.subject is None or verdict.sequence is None:
        return Done(verdict, tuple(remarks))
    with installation.database.read() as connection:
        rows = past.caused_by(connection, who.tenant, verdict.subject, verdict.source, verdict.id, verdict.sequence)
        keys = [key for row in rows for key in msgspec.json.decode(row.messages)]
        mails = past.messages_of(connection, who.tenant, keys) if keys else ()
    happened = tuple(step_of(installation, row) for row in rows)
    return Done(verdict, tuple(remarks), happened, tuple(mail_of(row) for row in mails))


def step_of(installation: Installation, row: Any) -> Happened:
    """A row of history as people read it."""
    event = f"{row.workflow}.{row.event}"
    return Happened(
        sequence=row.sequence,
        case=row.case_ref,
        event=event,
        says=event_label(event),
        from_state=row.from_state,
        to_state=row.to_state,
        label=state_label(installation.workflows, row.workflow, row.to_state),
        at=row.effective_at,
        recorded_at=row.recorded_at,
        by=row.actor,
        by_kind=row.actor_kind,
        reason=row.reason,
        note=msgspec.json.decode(row.note) if row.note else None,
    )


def mail_of(row: Any) -> MailToCome:
    """A row of the outbox."""
    person = msgspec.json.decode(row.person, type=Person)
    return MailToCome(
        row.key, row.case_ref, row.template, row.audience, person.name, row.language, row.not_before, row.state
    )
