"""Events of one tenant on their way through a batch: received before? whom for? decided, answered, or kept waiting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from vipflow.case import Decision, Event, Refusal, Stale
from vipflow.decide import decide
from vipflow.engine.addresses import Arrival, Target, arrival, names_in, place
from vipflow.engine.batch import Batch, Work
from vipflow.engine.envelope import Envelope, Verdict, check_not_ahead
from vipflow.engine.holds import is_a_hold, waits_for, was_kept
from vipflow.engine.inbox import envelope_from_row, verdict_from_row
from vipflow.engine.quarantine import Suspected
from vipflow.engine.verdicts import (
    Answer,
    known_by,
    quarantined,
    reference_taken,
    refused_by_hold,
    taken_reason,
    the_case_meant,
)
from vipflow.engine.writing import Answered
from vipflow.errors import BadInput, Busy, Conflict, NotFound, VipflowError
from vipflow.facts import FactsError
from vipflow.references import reference
from vipflow.store import work as store
from vipflow.workflow import REQUEST, Reason

if TYPE_CHECKING:
    from vipflow.engine import Engine

TRIES = 3
SALTS = 4


def post(engine: Engine, tenant: int, envelopes: list[Envelope]) -> list[Answer]:
    """Tries a batch again where another's transaction undid it, and halves it where it cannot be written: what is to
    blame ends up alone.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return _transact(engine, tenant, envelopes, salt=0)
        except Busy as busy:
            if attempt == TRIES or not _undone_for_another(busy):
                raise
        except FactsError:  # one record that cannot be read stops only itself
            break
        except VipflowError:
            raise
        except Exception:  # somebody was faster, a reference collides, or one event cannot be kept: look closer
            break
    if len(envelopes) > 1:
        half = len(envelopes) // 2
        return post(engine, tenant, envelopes[:half]) + post(engine, tenant, envelopes[half:])
    return [_post_alone(engine, tenant, envelopes[0])]


def _post_alone(engine: Engine, tenant: int, envelope: Envelope) -> Answer:
    """The event that could not be kept: again with other references, else quarantined by itself."""
    problem: Exception = RuntimeError("it could not be written")
    for salt in range(SALTS):
        try:
            return _transact(engine, tenant, [envelope], salt=salt)[0]
        except FactsError as fault:
            problem = fault
            break
        except VipflowError:
            raise
        except Exception as fault:  # the last one is told in the verdict
            problem = fault
    return _quarantine(engine, tenant, envelope, problem)


def _quarantine(engine: Engine, tenant_id: int, envelope: Envelope, problem: Exception) -> Answer:
    """Keeps the event and its fault, and touches nothing else."""
    with engine.database.write() as connection:
        batch = engine.batch(connection, tenant_id, engine.now(connection))
        what = problem.what if isinstance(problem, Suspected) else envelope.cause
        verdict, incident = quarantined(envelope, what if what != envelope.cause else None, problem)
        batch.strangers.append((verdict.subject, incident))
        engine.write(batch, [Answered(envelope, verdict, batch.now)])
    return verdict


def _transact(engine: Engine, tenant_id: int, envelopes: list[Envelope], *, salt: int) -> list[Answer]:
    with engine.database.write() as connection:
        batch = engine.batch(connection, tenant_id, engine.now(connection))
        posting = Posting(engine, batch, envelopes, salt)
        answers = posting.run()
        engine.write(batch, posting.answered)
    engine.committed(batch)
    return answers


def _undone_for_another(busy: Busy) -> bool:
    """A deadlock or a serialization failure: PostgreSQL undid the transaction for another's sake, at once."""
    return getattr(getattr(busy.__cause__, "orig", None), "sqlstate", None) in {"40001", "40P01"}


class Posting:
    """The events of one batch on their way through it."""

    def __init__(self, engine: Engine, batch: Batch, envelopes: list[Envelope], salt: int) -> None:
        self.engine = engine
        self.workflows = engine.workflows
        self.batch = batch
        self.envelopes = envelopes
        self.salt = salt
        self.answers: list[Answer | None] = [None] * len(envelopes)
        self.answered: list[Answered] = []
        self.settled: dict[tuple[str, str], tuple[str, Verdict]] = {}
        """(source, id) of events answered in this batch or before it: body hash and verdict."""
        self.parked: dict[tuple[str, str], Answered] = {}
        self.waiting: dict[tuple[str, str], str] = {}
        """What events that were parked before this batch wait for, as the inbox has it."""
        self.places: dict[tuple[str, str], list[int]] = {}
        """Where in the batch an event stands, its repeats behind it."""

    def run(self) -> list[Answer]:
        batch = self.batch
        self._read_inbox()
        queue = [arrival(e, self.workflows, batch.now, index=index) for index, e in enumerate(self.envelopes)]
        self._prepare(queue)
        with self.engine.taken_in_hand(batch, queue):
            self._apply_all(queue)
            self._wake_parked()
        self.answered += self.parked.values()
        return [answer for answer in self.answers if answer is not None]

    def retry(self, rows: Sequence[Any]) -> None:
        """Takes parked rows of the inbox up again, earliest first."""
        waiting = [self._arrival_from(row) for row in rows]
        self.waiting.update({(row.source, row.event_id): row.waiting_for for row in rows})
        self._prepare(waiting)
        still = self._still_parked(waiting)
        waiting = [each for each in waiting if each.key in still]
        waiting.sort(key=_when_it_happened)
        with self.engine.taken_in_hand(self.batch, waiting):
            self._apply_all(waiting)
            self._wake_parked()
        self.answered += self.parked.values()

    def _arrival_from(self, row: Any) -> Arrival:
        return arrival(envelope_from_row(self.workflows, row), self.workflows, row.received_at, known=True)

    def _still_parked(self, arrivals: Iterable[Arrival]) -> set[tuple[str, str]]:
        """Which of these wait even now that their subjects are locked: others may have woken some meanwhile."""
        keys = {each.key for each in arrivals}
        sources, ids = sorted({source for source, _ in keys}), sorted({ident for _, ident in keys})
        rows = store.received(self.batch.connection, self.batch.tenant.id, sources, ids) if keys else ()
        return {(row.source, row.event_id) for row in rows if row.verdict == "parked"}

    def _read_inbox(self) -> None:
        sources = sorted({e.source for e in self.envelopes})
        ids = sorted({e.id for e in self.envelopes})
        for row in store.received(self.batch.connection, self.batch.tenant.id, sources, ids):
            self.settled[row.source, row.event_id] = (row.body_hash, verdict_from_row(row))

    def _prepare(self, arrivals: Sequence[Arrival]) -> None:
        """Looks up every name that the events use and locks the subjects they lead to."""
        values: set[str] = set().union(*map(names_in, arrivals))
        self._look_up_and_lock(arrivals, values)
        if self.engine.database.dialect == "postgresql":
            # Others write beside us there, and may have given a name while we waited for the lock.
            self._look_up_and_lock(arrivals, values)

    def _look_up_and_lock(self, arrivals: Sequence[Arrival], values: set[str]) -> None:
        batch = self.batch
        batch.look_up(values)
        batch.look_up(self._subjects_whose_only_case_is_meant(arrivals))
        batch.lock({found.subject for cases in batch.directory.entries.values() for found in cases.values()})

    def _subjects_whose_only_case_is_meant(self, arrivals: Sequence[Arrival]) -> set[str]:
        """A workflow with one case per subject is found under the subject's reference."""
        found: set[str] = set()
        for each in arrivals:
            machine = each.machine
            if machine.one_per_subject and not machine.is_subject and each.event not in machine.openings:
                for collection, value in each.path or ():
                    found.update(f.subject for f in self.batch.directory.find(collection, value))
        return found

    # --- the queue ------------------------------------------------------------------------------------------------

    def _apply_all(self, queue: Sequence[Arrival]) -> None:
        """Applies events in order; one whose subject lacks a settled case waits, with all that follow for the
        subject.
        """
        while queue:
            later = []
            blocked: set[str] = set()
            for each in queue:
                answer = self._answer(each, blocked)
                if answer is None:
                    later.append(each)
                elif each.index is not None:
                    self.answers[each.index] = answer
                    self.places.setdefault(each.key, []).append(each.index)
            self.batch.load_missing()
            queue = later

    def _answer(self, arrived: Arrival, blocked: set[str]) -> Answer | None:
        envelope, key = arrived.envelope, arrived.key
        if not arrived.known and key in self.settled:
            body_hash, verdict = self.settled[key]
            if body_hash != envelope.body_hash:
                return Conflict(
                    "event",
                    f"{envelope.source}/{envelope.id}",
                    "it was received before with another body",
                    "send the new fact under a new id",
                )
            return msgspec.structs.replace(verdict, replayed=True)
        batch = self.batch
        try:
            check_not_ahead(envelope, batch.now)
            target = place(arrived, self.workflows, batch.directory)
        except BadInput as wrong:
            return self._no_longer_placed(arrived, wrong) if arrived.known else wrong
        of_staff = envelope.actor.kind == "staff"
        if target.waiting_for is not None and of_staff:
            return self._not_found(target.waiting_for)
        if target.subject is not None and target.subject in blocked:
            return None
        if target.subject is not None and target.subject not in batch.works:
            batch.lock([target.subject])
        held = batch.held(target.subject)
        if held is not None and not of_staff:
            return self._park(arrived, waits_for(held))
        if target.waiting_for is not None:
            return self._park(arrived, target.waiting_for)
        answer = self._decide(arrived, target) if held is None else refused_by_hold(envelope, target, held)
        if answer is None:
            blocked.add(str(target.subject))
            return None
        self.parked.pop(key, None)
        self.answered.append(Answered(envelope, answer, arrived.received_at, None, arrived.known))
        self.settled[key] = (envelope.body_hash, answer)
        for nth, index in enumerate(self.places.get(key, ())):
            self.answers[index] = answer if nth == 0 else msgspec.structs.replace(answer, replayed=True)
        return answer

    def _no_longer_placed(self, arrived: Arrival, wrong: BadInput) -> Verdict:
        """An event that was kept, and by now means nobody in particular: its sender was told that it is saved, so it is
        shown to a person.
        """
        envelope, key = arrived.envelope, arrived.key
        verdict, incident = quarantined(envelope, None, wrong)
        self.batch.strangers.append((None, incident))
        self.parked.pop(key, None)
        self.answered.append(Answered(envelope, verdict, arrived.received_at, None, known=True))
        self.settled[key] = (envelope.body_hash, verdict)
        return verdict

    def _not_found(self, waiting_for: str) -> NotFound:
        collection, _, value = waiting_for.partition("/")
        machine = self.workflows.by_collection(collection)
        return NotFound(machine.title.en if machine is not None else collection, value)

    def _park(self, arrived: Arrival, waiting_for: str) -> Verdict:
        envelope, key, received_at = arrived.envelope, arrived.key, arrived.received_at
        verdict = Verdict(envelope.source, envelope.id, envelope.type, "parked", waiting_for=waiting_for)
        if self.waiting.get(key) != waiting_for:
            expires = self._waits_until(waiting_for, self.waiting.get(key), received_at)
            self.parked[key] = Answered(envelope, verdict, received_at, expires, arrived.known)
        if not arrived.known:
            self.settled[key] = (envelope.body_hash, verdict)
        return verdict

    def _waits_until(self, waiting_for: str, before: str | None, received_at: datetime) -> datetime | None:
        """When somebody is told of an event that still waits: of one that a hold keeps nobody is, and its time counts
        from when the hold has gone.
        """
        if is_a_hold(waiting_for):
            return None
        since = self.batch.now if was_kept(before) else received_at
        expires: datetime = since + self.engine.trade.parked_for(self.batch.tenant)
        return expires if expires > self.batch.now else None

    def _wake_parked(self) -> None:
        """Events that waited for a name given in this batch, in the order in which they happened; and so on for what
        they open.
        """
        batch = self.batch
        while batch.announced:
            fresh, batch.announced = sorted(batch.announced), set()
            names = set(fresh)
            here = [
                arrival(a.envelope, self.workflows, a.received_at, known=a.known)
                for a in self.parked.values()
                if a.verdict.waiting_for in names
            ]
            rows = store.parked_for(batch.connection, batch.tenant.id, fresh)
            self.waiting.update({(row.source, row.event_id): row.waiting_for for row in rows})
            in_hand = {each.key for each in here}
            waiting = [each for each in map(self._arrival_from, rows) if each.key not in in_hand] + here
            if not waiting:
                continue
            for each in waiting:
                self.settled.pop(each.key, None)
            self._prepare(waiting)
            if self.engine.database.dialect == "postgresql":
                still = self._still_parked(each for each in waiting if each.known)
                waiting = [each for each in waiting if not each.known or each.key in still]
            waiting.sort(key=_when_it_happened)
            self._apply_all(waiting)

    # --- one event ------------------------------------------------------------------------------------------------

    def _decide(self, arrived: Arrival, target: Target) -> Verdict | None:
        batch, envelope, machine = self.batch, arrived.envelope, arrived.machine
        if target.taken_by is not None:
            return reference_taken(envelope, target, target.taken_by, machine.kind_of(arrived.event))
        occurred_at = envelope.occurred_at or arrived.received_at
        cause = envelope.cause
        if arrived.event in machine.openings and machine.is_subject:
            salt = self.salt
            while (ref := reference(machine.prefix, batch.tenant.key, cause, salt)) in batch.works:
                salt += 1
            work = batch.new_subject(ref)
        else:
            work = batch.works[str(target.subject)]
            if not self._fire_before(work, occurred_at):
                return None
        event = Event(
            machine.name,
            arrived.event,
            occurred_at,
            target.data if target.data is not None else envelope.data,
            envelope.actor,
            cause,
            target.case,
            envelope.reason,
            target.given_ref,
        )
        if self.salt:
            work.view = msgspec.structs.replace(work.view, salt=self.salt)
        try:
            outcome = batch.ask(work, lambda view: decide(self.workflows, event, view))
        except Exception as fault:  # a guard or builder that raises touches only its own event
            verdict, incident = quarantined(envelope, known_by(work), fault)
            batch.strangers.append((known_by(work), incident))
            return verdict
        if outcome is None:
            return None
        return self._verdict(envelope, machine.kind_of(arrived.event), work, outcome)

    def _fire_before(self, work: Work, occurred_at: datetime) -> bool:
        """What the clock concluded before the event happened comes first, however late both are recorded."""
        return self.batch.fire_due(work, min(occurred_at, self.batch.now))

    def _verdict(self, envelope: Envelope, kind: str, work: Work, outcome: Decision | Refusal | Stale) -> Verdict:
        if isinstance(outcome, Refusal):
            return Verdict(
                envelope.source,
                envelope.id,
                envelope.type,
                "refused",
                outcome.reasons,
                the_case_meant(envelope, work),
                known_by(work),
            )
        if isinstance(outcome, Stale):
            return Verdict(envelope.source, envelope.id, envelope.type, "stale", (), outcome.case, work.ref)
        if kind == REQUEST:
            taken = self._name_taken(work, outcome)
            if taken is not None:
                return Verdict(envelope.source, envelope.id, envelope.type, "refused", (taken,), None, known_by(work))
        if work.is_new:
            self.batch.works[work.ref] = work
        self.batch.keep(work, outcome, envelope.source, envelope.id)
        first = outcome.steps[0]
        return Verdict(
            envelope.source, envelope.id, envelope.type, "applied", (), first.after.ref, work.ref, first.sequence
        )

    def _name_taken(self, work: Work, decision: Decision) -> Reason | None:
        """For a request: an exclusive name that another case bears."""
        for step in decision.steps:
            machine = self.workflows[step.after.workflow]
            for name in machine.names:
                value = getattr(step.after.facts, name.fact)
                if (
                    not name.exclusive
                    or not value
                    or (step.before is not None and getattr(step.before.facts, name.fact) == value)
                ):
                    continue
                others = [f for f in self.batch.directory.find(machine.collection, value) if f.ref != step.after.ref]
                if others:
                    return taken_reason(value, others[0].ref)
        return None


def _when_it_happened(arrived: Arrival) -> tuple[datetime, str]:
    return arrived.envelope.occurred_at or arrived.received_at, arrived.envelope.id
