"""A batch written down: each table once, whatever the number of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from vipflow.case import Case, DueTimer, Incident, Step
from vipflow.decide import next_timer
from vipflow.engine.batch import Batch, TimerFault, Work
from vipflow.engine.envelope import Envelope, Verdict
from vipflow.engine.incidents import incident_row
from vipflow.errors import Busy
from vipflow.facts import changed_facts, encode_facts
from vipflow.store import chain, tables
from vipflow.store.incidents import REPORT
from vipflow.store.policies import PolicyRow, keep_policy
from vipflow.store.types import instant_text, instant_texts
from vipflow.store.writes import Delete, Insert, Update

PORTRAIT = ["name", "name_folded", "email", "email_domain", "country", "vip_number", "segment", "owner"]
"""Columns of the summary that follow from the subject's own facts alone: written only when those change."""
STANDING = [
    "anniversary",
    "invitation_state",
    "membership_state",
    "pending_count",
    "late_count",
    "licence_count",
    "in_no_products",
    "in_pending",
    "in_late",
    "in_upcoming",
    "in_ready",
    "next_due",
    "next_event",
]
SUMMARY = [*PORTRAIT, *STANDING]
_EMPTY: Mapping[str, Any] = {
    "name": "",
    "name_folded": "",
    "pending_count": 0,
    "late_count": 0,
    "licence_count": 0,
    "in_no_products": False,
    "in_pending": False,
    "in_late": False,
    "in_upcoming": False,
    "in_ready": False,
}

_CASE = ["subject", "workflow", "state", "settled", "facts", "facts_version", "policy", "since", "opened_at", "version"]
_TIMER = ["subject", "workflow", "event", "due_at", "wake_at", "errors", "armed_by"]
_HISTORY = [*chain.HISTORY, "salt", "digest", "hash"]
_MESSAGE = [
    "tenant",
    "key",
    "subject",
    "case_ref",
    "workflow",
    "template",
    "audience",
    "ladder",
    "person",
    "language",
    "context",
    "created_at",
    "effective_at",
    "not_before",
    "state",
    "recipient",
]
_INBOX = [
    "tenant",
    "source",
    "event_id",
    "body_hash",
    "type",
    "subject",
    "occurred_at",
    "received_at",
    "verdict",
    "reasons",
    "body",
    "waiting_for",
    "expires_at",
    "case_ref",
    "subject_ref",
    "sequence",
]
_VERDICT = ["verdict", "reasons", "body", "waiting_for", "expires_at", "case_ref", "subject_ref", "sequence"]

_open_subjects = Insert(
    tables.subjects, ["tenant", "ref", "workflow", "sequence", "tally", "head", "opened_at", *SUMMARY]
)
_update_subjects = Update(tables.subjects, key=["tenant", "ref"], set=["sequence", "tally", "head", *SUMMARY])
_update_standing = Update(tables.subjects, key=["tenant", "ref"], set=["sequence", "tally", "head", *STANDING])
_open_cases = Insert(tables.cases, ["tenant", "ref", *_CASE])
_update_cases = Update(
    tables.cases,
    key=["tenant", "ref"],
    set=["state", "settled", "facts", "facts_version", "policy", "since", "version"],
)
_move_cases = Update(tables.cases, key=["tenant", "ref"], set=["state", "settled", "policy", "since", "version"])
_disarm = Delete(tables.timers, key=["tenant", "case_ref", "name"])
_arm = Insert(tables.timers, ["tenant", "case_ref", "name", *_TIMER])
_back_off = Update(tables.timers, key=["tenant", "case_ref", "name"], set=["errors", "wake_at"])
_remember = Insert(tables.history, _HISTORY)
_queue = Insert(tables.messages, _MESSAGE)
_name = Insert(tables.names, ["tenant", "collection", "value", "case_ref", "subject", "kind", "exclusive"])
_receive = Insert(tables.inbox, _INBOX)
_settle_verdicts = Update(tables.inbox, key=["tenant", "source", "event_id", "verdict"], set=_VERDICT)

_json = msgspec.json.Encoder(order="sorted").encode


class Answered(msgspec.Struct, frozen=True):
    """An event of the batch with its verdict, to be kept in the inbox. `known`: a row is there already (it had been
    parked).
    """

    envelope: Envelope
    verdict: Verdict
    received_at: datetime
    expires_at: datetime | None = None
    known: bool = False


def write_batch(batch: Batch, answered: list[Answered], new_policies: Mapping[str, str]) -> None:
    """Writes all that the batch decided. Within the transaction that locked its subjects."""
    connection, tenant = batch.connection, batch.tenant.id
    if new_policies:  # a handful in the life of a process
        for id_, body in new_policies.items():
            keep_policy(connection, PolicyRow(id_, id_.partition("@")[0], body))
    touched = [w for w in batch.works.values() if w.steps]
    past = _history_rows(batch, touched)
    opened, changed, moved = [], [], []
    for work in touched:
        if work.is_new:
            row = _subject_row(batch, work, SUMMARY)
            opened_at = work.seen[work.ref].opened_at
            opened.append((tenant, work.ref, batch.workflows.subject_workflow, *row[:3], opened_at, *row[3:]))
        elif _subject_stands(work):
            moved.append((tenant, work.ref, *_subject_row(batch, work, STANDING)))
        else:
            changed.append((tenant, work.ref, *_subject_row(batch, work, SUMMARY)))
    _open_subjects.run(connection, opened)
    _update_subjects.run(connection, changed)
    _update_standing.run(connection, moved)
    _write_cases(batch, touched)
    _write_timers(batch)
    _remember.run(connection, past)
    _queue.run(connection, [row for work in touched for row in _message_rows(batch, work)])
    names = [
        (tenant, c, value, ref, f.subject, kind, excl) for (c, value, ref), (f, kind, excl) in batch.new_names.items()
    ]
    _name.run(connection, names)
    REPORT.run(connection, _incident_rows(batch, _incidents(batch)))
    _receive.run(connection, [_inbox_row(tenant, a) for a in answered if not a.known])
    woken = [_verdict_row(tenant, a) for a in answered if a.known]
    if _settle_verdicts.run(connection, woken) < len(woken):
        raise Busy("an event that waited", "somebody else woke it at the same time", "try again")


def soonest(batch: Batch) -> datetime | None:
    """When the first of what the batch wrote is due: a mail that it queued, a timer of a case that it moved."""
    steps = [step for work in batch.works.values() for step, _, _ in work.steps]
    mails = (message.not_before for step in steps for message in step.messages)
    timers = (timer.due_at for step in steps for timer in step.after.timers)
    return min((*mails, *timers), default=None)


def _subject_stands(work: Work) -> bool:
    before, after = work.loaded.get(work.ref), work.seen.get(work.ref)
    return before is not None and after is not None and before.facts is after.facts and before.state == after.state


def _subject_row(batch: Batch, work: Work, columns: list[str]) -> tuple[Any, ...]:
    view = work.view
    summary = {**_EMPTY, **batch.trade.summary(view)}
    due = next_timer(view)
    if due is not None:
        summary["next_due"], summary["next_event"] = due[1].due_at, f"{due[0].workflow}.{due[1].event}"
    return (view.sequence, _json(view.tally).decode(), work.head, *map(summary.get, columns))


def _write_cases(batch: Batch, touched: list[Work]) -> None:
    tenant = batch.tenant.id
    opened, changed, moved = [], [], []
    for work in touched:
        for ref, case in work.seen.items():
            before = work.loaded.get(ref)
            if before is case:
                continue
            machine = batch.workflows[case.workflow]
            settled = case.state in machine.settled
            if before is None:
                opened.append(
                    (
                        tenant,
                        ref,
                        work.ref,
                        case.workflow,
                        case.state,
                        settled,
                        encode_facts(case.facts),
                        machine.facts.facts_version,
                        case.policy,
                        case.since,
                        case.opened_at,
                        case.version,
                    )
                )
            elif before.facts is case.facts:
                moved.append((tenant, ref, case.state, settled, case.policy, case.since, case.version))
            elif before.version != case.version:
                facts = encode_facts(case.facts)
                changed.append(
                    (
                        tenant,
                        ref,
                        case.state,
                        settled,
                        facts,
                        machine.facts.facts_version,
                        case.policy,
                        case.since,
                        case.version,
                    )
                )
    _open_cases.run(batch.connection, opened)
    _update_cases.run(batch.connection, changed)
    _move_cases.run(batch.connection, moved)


def _write_timers(batch: Batch) -> None:
    tenant = batch.tenant.id
    gone, armed, faults = [], [], []
    for work in batch.works.values():
        if work.steps:
            last = {step.after.ref: step.sequence for step, _, _ in work.steps}
            for ref, sequence in last.items():
                before, after = work.loaded.get(ref), work.seen[ref]
                armed_before = before.timers if before is not None else ()
                if armed_before == after.timers:
                    continue
                old = {t.name: t for t in armed_before}
                new = {t.name: t for t in after.timers}
                gone += [(tenant, ref, name) for name, timer in old.items() if new.get(name) != timer]
                armed += [
                    _timer_row(tenant, work, after, timer, sequence)
                    for name, timer in new.items()
                    if old.get(name) != timer
                ]
        for fault in work.faults:
            if any(t.name == fault.name and t.due_at == fault.due_at for t in work.seen[fault.case].timers):
                faults.append((tenant, fault.case, fault.name, fault.errors, fault.wake_at))
    _disarm.run(batch.connection, gone)
    _arm.run(batch.connection, armed)
    _back_off.run(batch.connection, faults)


def _timer_row(tenant: int, work: Work, case: Case, timer: DueTimer, sequence: int) -> tuple[Any, ...]:
    return (tenant, case.ref, timer.name, work.ref, case.workflow, timer.event, timer.due_at, timer.due_at, 0, sequence)


def _history_rows(batch: Batch, works: Sequence[Work]) -> list[tuple[Any, ...]]:
    """The rows of all these subjects, each subject's chained to its last; their heads move on."""
    rows = []
    recorded_at = instant_text(batch.now)
    effective_at = iter(instant_texts([step.effective_at for work in works for step, _, _ in work.steps]))
    salts = iter(chain.new_salts(sum(len(work.steps) for work in works)))
    for work in works:
        head = work.head
        for step, source, event_id in work.steps:
            row = _history_row(batch, work.ref, step, source, event_id)
            salt = next(salts)
            digest = chain.content_digest(salt, row)
            head = chain.row_hash(head, row, next(effective_at), recorded_at, digest)
            rows.append((*row, salt, digest, head))
        work.head = head
    return rows


def _history_row(batch: Batch, ref: str, step: Step, source: str | None, event_id: str | None) -> tuple[Any, ...]:
    """What a row says, in the order of `chain.HISTORY`."""
    case, before = step.after, step.before
    facts_before, facts_after = changed_facts(before.facts if before is not None else None, case.facts)
    return (
        batch.tenant.id,
        ref,
        step.sequence,
        case.ref,
        case.workflow,
        step.event,
        before.state if before is not None else None,
        case.state,
        facts_before,
        facts_after,
        timers_told(before, case),
        _json([m.key for m in step.messages]).decode() if step.messages else "[]",
        case.policy,
        batch.workflows[case.workflow].fingerprint,
        step.effective_at,
        batch.now,
        step.actor.kind,
        step.actor.name,
        step.reason,
        step.cause,
        source,
        event_id,
        _note(step),
    )


def timers_told(before: Case | None, after: Case) -> str:
    """What a history row says of timers: those armed (name → event and due instant) and those dropped."""
    if (before.timers if before is not None else ()) == after.timers:
        return "{}"
    old = {t.name: t for t in before.timers} if before is not None else {}
    new = {t.name: t for t in after.timers}
    told: dict[str, Any] = {}
    armed = {name: (t.event, t.due_at) for name, t in new.items() if old.get(name) != t}
    dropped = sorted(name for name in old if name not in new)
    if armed:
        told["armed"] = armed
    if dropped:
        told["dropped"] = dropped
    return _json(told).decode()


def _note(step: Step) -> str | None:
    told: dict[str, Any] = {}
    if step.note is not None:
        told["note"] = step.note
    if step.fired is not None:
        told["timer"] = step.fired.name
    if step.given_ref is not None:
        told["given"] = step.given_ref
    if getattr(step.data, "__struct_fields__", ()):
        told["data"] = step.data
    return _json(told).decode() if told else None


def _message_rows(batch: Batch, work: Work) -> list[tuple[Any, ...]]:
    return [
        (
            batch.tenant.id,
            m.key,
            work.ref,
            m.case,
            m.workflow,
            m.template,
            m.audience,
            m.ladder,
            _json(m.person).decode(),
            m.person.language,
            _json(m.context).decode(),
            batch.now,
            m.effective_at,
            m.not_before,
            "waiting",
            m.person.key,
        )
        for step, _, _ in work.steps
        for m in step.messages
    ]


def _incidents(batch: Batch) -> list[tuple[str | None, Incident]]:
    return [(work.ref, incident) for work in batch.works.values() for incident in work.incidents] + batch.strangers


def write_timer_faults(batch: Batch, subject: str, faults: Sequence[TimerFault], given_up: Sequence[Incident]) -> None:
    """What is left of a subject whose timers could not be fired at all: when they are tried again, and whom to tell."""
    tenant = batch.tenant.id
    _back_off.run(batch.connection, [(tenant, f.case, f.name, f.errors, f.wake_at) for f in faults])
    REPORT.run(batch.connection, _incident_rows(batch, [(subject, incident) for incident in given_up]))


def _incident_rows(batch: Batch, incidents: Sequence[tuple[str | None, Incident]]) -> list[tuple[Any, ...]]:
    """Each once: the same may be met twice in a batch."""
    rows = [incident_row(batch.tenant, subject, incident, batch.now) for subject, incident in incidents]
    return list({row[:2]: row for row in rows}.values())


def _inbox_row(tenant: int, answered: Answered) -> tuple[Any, ...]:
    envelope, verdict = answered.envelope, answered.verdict
    return (
        tenant,
        envelope.source,
        envelope.id,
        envelope.body_hash,
        envelope.type,
        envelope.subject,
        envelope.occurred_at or answered.received_at,
        answered.received_at,
        *_verdict_columns(answered, verdict),
    )


def _verdict_row(tenant: int, answered: Answered) -> tuple[Any, ...]:
    envelope = answered.envelope
    return (tenant, envelope.source, envelope.id, "parked", *_verdict_columns(answered, answered.verdict))


def _verdict_columns(answered: Answered, verdict: Verdict) -> tuple[Any, ...]:
    open_still = verdict.verdict in ("parked", "quarantined")
    envelope = answered.envelope
    body = (
        _json({"body": envelope.body, "actor": envelope.actor, "reason": envelope.reason}).decode()
        if open_still
        else None
    )
    reasons = _json(verdict.reasons).decode() if verdict.reasons else None
    return (
        verdict.verdict,
        reasons,
        body,
        verdict.waiting_for,
        answered.expires_at,
        verdict.case,
        verdict.subject,
        verdict.sequence,
    )
