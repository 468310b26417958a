"""Looking into an installation: what happened to a record, what is armed, what waits, what needs a person."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from vipflow.case import Actor
from vipflow.delivery.html import brand_of
from vipflow.engine.tenants import load_tenants
from vipflow.errors import BadInput, NotFound, did_you_mean
from vipflow.operations.installation import Installation
from vipflow.operations.references import find
from vipflow.operations.who import Who
from vipflow.operations.words import event_label, happened_label, state_label
from vipflow.store import inspection as store
from vipflow.store.messages import acts_on
from vipflow.workflow import Person, Text

Item = TypeVar("Item")

MESSAGE_STATES = ("waiting", "held", "sending", "sent", "superseded", "dead", "uncertain", "discarded")


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """Some of many. `next` is the cursor to go on with, None at the end."""

    items: Sequence[Item]
    next: str | None


class HistoryEntry(msgspec.Struct, frozen=True, rename={"from_state": "from", "to_state": "to"}):
    """One row of history: what happened to one case, when, by whom and why. Facts are those that changed."""

    sequence: int
    case: str
    workflow: str
    event: str
    label: Text
    from_state: str | None
    to_state: str
    to_label: Text
    effective_at: datetime
    recorded_at: datetime
    actor: Actor
    reason: str | None
    facts_before: Mapping[str, Any]
    facts_after: Mapping[str, Any]
    timers: Mapping[str, Any]
    messages: Sequence[str]
    policy: str
    cause: str
    source: str | None
    event_id: str | None
    note: Mapping[str, Any] | None

    @property
    def type(self) -> str:
        return f"{self.workflow}.{self.event}"


class ArmedTimer(msgspec.Struct, frozen=True):
    """A timer that waits for its moment. `wake_at` differs from `due_at` after an error; None while it is held."""

    case: str
    name: str
    workflow: str
    event: str
    label: Text
    due_at: datetime
    wake_at: datetime | None
    errors: int
    subject: str


class IncidentEntry(msgspec.Struct, frozen=True):
    """Something that stopped, or contradicted what we knew, and needs a person."""

    id: str
    kind: str
    says: Text
    event: str
    subject: str | None
    case: str | None
    cause: str
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    outcome: str | None = None
    """Of one that is closed: retried, dismissed, or resolved by itself."""
    remark: str | None = None


class MessageEntry(msgspec.Struct, frozen=True):
    """A mail in the outbox, or one that left it."""

    key: str
    template: str
    audience: str
    to: str
    language: str
    state: str
    case: str
    subject: str
    created_at: datetime
    not_before: datetime
    sent_at: datetime | None
    copies: int
    note: str | None
    message_id: str | None
    attempts: int = 0
    stage: str | None = None
    """How far the last copy came."""
    digest: str | None = None
    """The mail whose bytes this one went with."""


class MailAudit(msgspec.Struct, frozen=True):
    """What somebody did with a mail by hand."""

    at: datetime
    act: str
    by: str
    reason: str | None
    details: Mapping[str, Any]


class MessageText(msgspec.Struct, frozen=True):
    """A mail as it reads. `final`: these are the words that left; else it would read so now. `html` is None where the
    mail is text alone.
    """

    message: MessageEntry
    subject_line: str
    text: str
    html: str | None
    final: bool
    headers: Mapping[str, str]
    acts: tuple[MailAudit, ...] = ()


# --- history -------------------------------------------------------------------------------------------------------


def history(
    installation: Installation, who: Who, ref: str, *, limit: int = 100, after: str | None = None
) -> Page[HistoryEntry]:
    """What happened to the record that `ref` names; of a subject, to all its cases. In order; `after` is a sequence."""
    found = find(installation, who, ref)
    start = _sequence(after)
    case = None if found.ref == found.subject else found.ref
    with installation.database.read() as connection:
        rows = store.history_page(connection, who.tenant, found.subject, limit + 1, after=start, case=case)
    entries = [_history_entry(installation, row) for row in rows[:limit]]
    return Page(entries, str(entries[-1].sequence) if len(rows) > limit else None)


def _history_entry(installation: Installation, row: Any) -> HistoryEntry:
    decode = msgspec.json.decode
    note = decode(row.note) if row.note else None
    return HistoryEntry(
        sequence=row.sequence,
        case=row.case_ref,
        workflow=row.workflow,
        event=row.event,
        label=happened_label(f"{row.workflow}.{row.event}", note),
        from_state=row.from_state,
        to_state=row.to_state,
        to_label=state_label(installation.workflows, row.workflow, row.to_state),
        effective_at=row.effective_at,
        recorded_at=row.recorded_at,
        actor=Actor(row.actor_kind, row.actor or ""),
        reason=row.reason,
        facts_before=decode(row.facts_before),
        facts_after=decode(row.facts_after),
        timers=decode(row.timers),
        messages=decode(row.messages),
        policy=row.policy,
        cause=row.cause,
        source=row.source,
        event_id=row.event_id,
        note=note,
    )


def _sequence(after: str | None) -> int:
    if after is None:
        return 0
    if not after.isdecimal() or len(after) > 9:
        raise BadInput("--after", f"{after!r} is no place in a history", "give the number of the last row you saw")
    return int(after)


# --- timers --------------------------------------------------------------------------------------------------------


def armed_timers(
    installation: Installation, who: Who, ref: str | None, *, limit: int = 100, after: str | None = None
) -> Page[ArmedTimer]:
    """The timers of one record, of a subject with all its cases, or of everybody; the earliest first."""
    subject = case = None
    if ref is not None:
        found = find(installation, who, ref)
        subject, case = (found.subject, None) if found.ref == found.subject else (None, found.ref)
    with installation.database.read() as connection:
        rows = store.timers_page(connection, who.tenant, limit + 1, after=place_of(after), subject=subject, case=case)
    items = [
        ArmedTimer(
            row.case_ref, row.name, row.workflow, row.event, event_label(f"{row.workflow}.{row.event}"), row.due_at,
            row.wake_at, row.errors, row.subject,
        )
        for row in rows
    ]  # fmt: skip
    return _page(items, limit, lambda timer: store.Place(timer.due_at, f"{timer.case}/{timer.name}"))


# --- incidents -----------------------------------------------------------------------------------------------------


def incidents(
    installation: Installation,
    who: Who,
    *,
    customer: str | None = None,
    kind: str | None = None,
    closed: bool = False,
    limit: int = 100,
    after: str | None = None,
) -> Page[IncidentEntry]:
    """Open incidents, the oldest first; with `closed` all."""
    subject = find(installation, who, customer).subject if customer is not None else None
    with installation.database.read() as connection:
        rows = store.incidents_page(
            connection, who.tenant, limit + 1, after=place_of(after), subject=subject, kind=kind, closed=closed
        )
    return _page([_incident(row) for row in rows], limit, lambda each: store.Place(each.opened_at, each.id))


def incident(installation: Installation, who: Who, ident: str) -> IncidentEntry:
    """One incident; NotFound where there is none of that reference."""
    from vipflow.references import as_typed

    with installation.database.read() as connection:
        row = store.incident(connection, who.tenant, as_typed(ident))
    if row is None:
        raise NotFound("incident", ident, "`vipflow incident list` shows those that are open")
    return _incident(row)


def _incident(row: Any) -> IncidentEntry:
    says = msgspec.json.decode(row.says)
    return IncidentEntry(
        row.id, row.kind, Text(says["fr"], says["en"]), says.get("event", ""), row.subject, row.case_ref, row.cause,
        row.opened_at, row.closed_at, row.closed_by, row.outcome, row.remark,
    )  # fmt: skip


# --- messages ------------------------------------------------------------------------------------------------------


def messages(
    installation: Installation,
    who: Who,
    ref: str | None = None,
    *,
    states: Sequence[str] = (),
    template: str | None = None,
    limit: int = 100,
    after: str | None = None,
) -> Page[MessageEntry]:
    """Mails in the order in which they were written: of one record, of a subject with its cases, or of everybody."""
    for state in states:
        if state not in MESSAGE_STATES:
            raise BadInput(
                f"the state {state!r}",
                f"no mail has it{did_you_mean(state, MESSAGE_STATES)}",
                f"there are {', '.join(MESSAGE_STATES)}",
            )
    if template is not None and template not in installation.templates.names:
        raise NotFound("template", template, f"there are {', '.join(installation.templates.names)}")
    subject = case = None
    if ref is not None:
        found = find(installation, who, ref)
        subject, case = (found.subject, None) if found.ref == found.subject else (None, found.ref)
    with installation.database.read() as connection:
        rows = store.messages_page(
            connection,
            who.tenant,
            limit + 1,
            after=place_of(after),
            subject=subject,
            case=case,
            states=states,
            template=template,
        )
    return _page([_message(row) for row in rows], limit, lambda each: store.Place(each.created_at, each.key))


def message_text(installation: Installation, who: Who, key: str) -> MessageText:
    """A mail as it reads: the words that left, or those that would leave now."""
    with installation.database.read() as connection:
        row = store.message(connection, who.tenant, key)
        if row is None:
            begins = (key, key.partition(":")[0] + ":")
            near = next(filter(None, (store.message_keys_like(connection, who.tenant, each, 3) for each in begins)), [])
        else:
            tenant = load_tenants(connection, installation.trade, [who.tenant])[who.tenant]
            lead = store.message(connection, who.tenant, row.digest) if row.digest is not None else None
            acts = tuple(map(_mail_audit, acts_on(connection, who.tenant, [key])))
    if row is None:
        raise NotFound(
            "message", key, f"did you mean {' or '.join(near)}?" if near else "`vipflow mail list` shows their keys"
        )
    if row.body is not None:
        return _as_sent(row, bytes(row.body), acts)
    if lead is not None and lead.body is not None:
        return _as_sent(row, bytes(lead.body), acts)
    words = msgspec.json.decode(row.context)
    mail = installation.templates.of(tenant.key).render(row.template, row.language, words, who.zone, brand_of(tenant))
    return MessageText(_message(row), mail.subject, mail.text, mail.html, False, {}, acts)


def _as_sent(row: Any, content: bytes, acts: tuple[MailAudit, ...]) -> MessageText:
    from email import message_from_bytes, policy

    mail = message_from_bytes(content, policy=policy.default)
    text, html = (mail.get_body(preferencelist=(kind,)) for kind in ("plain", "html"))
    headers = {name: str(mail[name]) for name in ("From", "Reply-To", "To", "Cc", "Date", "Message-ID") if mail[name]}
    return MessageText(
        _message(row),
        str(mail["Subject"]),
        text.get_content() if text is not None else "",
        html.get_content() if html is not None else None,
        True,
        headers,
        acts,
    )


def _message(row: Any) -> MessageEntry:
    person = msgspec.json.decode(row.person, type=Person)
    return MessageEntry(
        row.key, row.template, row.audience, person.name, row.language, row.state, row.case_ref, row.subject,
        row.created_at, row.not_before, row.sent_at, row.copies, row.note, row.message_id, row.attempts, row.stage,
        row.digest,
    )  # fmt: skip


def _mail_audit(row: Any) -> MailAudit:
    return MailAudit(row.at, row.act, row.actor, row.reason, msgspec.json.decode(row.details))


# --- pages ---------------------------------------------------------------------------------------------------------


def _page(items: Sequence[Item], limit: int, place: Callable[[Item], store.Place]) -> Page[Item]:
    """The first `limit` of one more than that, with the cursor behind them where there are more."""
    if len(items) <= limit:
        return Page(items, None)
    return Page(items[:limit], cursor_of(place(items[limit - 1])))


def cursor_of(place: store.Place) -> str:
    """A place as one word that survives a command line."""
    return base64.urlsafe_b64encode(msgspec.json.encode([place.at, place.key])).decode().rstrip("=")


def place_of(cursor: str | None) -> store.Place | None:
    """What `cursor_of` made; raises BadInput for any other text."""
    if cursor is None:
        return None
    try:
        at, key = msgspec.json.decode(
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=tuple[datetime, str]
        )
        if at.tzinfo is None:
            raise ValueError("no time zone")
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise BadInput("--after", f"{cursor!r} is no cursor", "give the one that the page before ended with") from None
    return store.Place(at, key)
