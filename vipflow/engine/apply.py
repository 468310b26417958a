"""`apply`: the one road. Events and due timers come in, one transaction goes out, with everything or nothing in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from vipflow.case import Actor, Decision, Event, Incident, Refusal, Stale
from vipflow.clock import Clock, HostClock
from vipflow.decide import decide
from vipflow.engine.addresses import Found, Target, names_in, path_of, place
from vipflow.engine.batch import ERRORS_AT_MOST, Batch, TimerFault, Work, timer_given_up, told, wakes_again
from vipflow.engine.envelope import Envelope, Verdict, check_not_ahead, decode_data
from vipflow.engine.holds import is_a_hold, on_hold, waits_for, was_kept
from vipflow.engine.in_hand import InHand
from vipflow.engine.pause import collection_paused
from vipflow.engine.quarantine import CRASHES_AT_MOST, Suspected, given_up_after_crashes
from vipflow.engine.tenants import Tenants
from vipflow.engine.writing import Answered, soonest, write_batch, write_timer_faults
from vipflow.errors import BadInput, Busy, Conflict, NotFound, VipflowError
from vipflow.machine import Workflows
from vipflow.policy import Policy
from vipflow.references import reference
from vipflow.store import work as store
from vipflow.store.crashes import all_crashes, clear_crashes, crashes_with
from vipflow.store.database import Database, DatabaseUnusable
from vipflow.store.holds import WAITS_FOR, Held, kept_by
from vipflow.store.meta import database_now, remember_now
from vipflow.store.waking import Bell
from vipflow.workflow import REPORT, REQUEST, Reason, Text

Answer = Verdict | VipflowError
"""What `post` gives for each event: its verdict, or why it was rejected at the border (no verdict, the id stays
free).
"""

TRIES = 3
_BEFORE_ANY = datetime(1970, 1, 1, tzinfo=UTC)
SALTS = 4
_decode_reasons = msgspec.json.Decoder(tuple[Reason, ...]).decode


class SweepReport(msgspec.Struct, frozen=True):
    """What one sweep did. `more`: something may still be due."""

    subjects: int
    transitions: int
    faults: int
    more: bool


class Engine:
    """Applies events and due timers to the cases of a database. Safe to use from several threads; holds no truth of
    its own.
    """

    def __init__(
        self,
        database: Database,
        workflows: Workflows,
        trade: Any,
        clock: Clock | None = None,
        in_hand: InHand | None = None,
    ) -> None:
        self.database = database
        self.in_hand = in_hand
        """Where a daemon notes what it has in hand; None for whoever comes and goes."""
        self.workflows = workflows
        self.trade = trade
        self.clock = clock if clock is not None else HostClock()
        self._tenants = Tenants(trade)
        self._bell = Bell()
        self.heard: Callable[[Batch], None] = lambda _: None
        """Told of each batch of events or timers once it is on disk: for whoever counts."""
        self.unfit: VipflowError | None = None
        """Why nothing may be decided: stored cases do not find themselves in the workflow files (`engine.fit`)."""
        self._policies: dict[str, Policy] = {}
        self._stored: set[str] = set()

    # --- events ---------------------------------------------------------------------------------------------------

    def post(self, tenant: int, envelopes: Sequence[Envelope]) -> list[Answer]:
        """Applies events for one tenant in the order given, in one transaction, and answers each.

        A verdict returned is on disk. An event that makes the database refuse the batch is found by halving and
        quarantined; the others stand. Raises Busy or DatabaseUnusable where nothing was written.
        """
        self._check_fit()
        if not envelopes:
            return []
        return self._post(tenant, list(envelopes))

    def _post(self, tenant: int, envelopes: list[Envelope]) -> list[Answer]:
        for attempt in range(1, TRIES + 1):
            try:
                return self._transact(tenant, envelopes, salt=0)
            except Busy as busy:
                if attempt == TRIES or not _undone_for_another(busy):
                    raise
            except VipflowError:
                raise
            except Exception:  # somebody was faster, a reference collides, or one event cannot be kept: look closer
                break
        if len(envelopes) > 1:
            half = len(envelopes) // 2
            return self._post(tenant, envelopes[:half]) + self._post(tenant, envelopes[half:])
        return [self._post_alone(tenant, envelopes[0])]

    def _post_alone(self, tenant: int, envelope: Envelope) -> Answer:
        """The event that could not be kept: again with other references, else quarantined by itself."""
        problem: Exception = RuntimeError("it could not be written")
        for salt in range(SALTS):
            try:
                return self._transact(tenant, [envelope], salt=salt)[0]
            except VipflowError:
                raise
            except Exception as fault:  # the last one is told in the verdict
                problem = fault
        return self._quarantine(tenant, envelope, problem)

    def _quarantine(self, tenant_id: int, envelope: Envelope, problem: Exception) -> Answer:
        """Keeps the event and its fault, and touches nothing else."""
        with self.database.write() as connection:
            batch = self.batch(connection, tenant_id, self.now(connection))
            what = problem.what if isinstance(problem, Suspected) else envelope.cause
            verdict, incident = _quarantined(envelope, what if what != envelope.cause else None, problem)
            batch.strangers.append((verdict.subject, incident))
            self._write(batch, [Answered(envelope, verdict, batch.now)])
        return verdict

    def _transact(self, tenant_id: int, envelopes: list[Envelope], *, salt: int) -> list[Answer]:
        with collection_paused(), self.database.write() as connection:
            batch = self.batch(connection, tenant_id, self.now(connection))
            posting = _Posting(self, batch, envelopes, salt)
            answers = posting.run()
            self._write(batch, posting.answered)
        self._committed(batch)
        return answers

    # --- timers ---------------------------------------------------------------------------------------------------

    def sweep(self, *, most: int = 1000) -> SweepReport:
        """Fires what is due now: at most `most` timers' subjects, each with all that falls due on the way.

        One transaction for a tenant's subjects; where one of them makes it fail it is found by halving, and its timers
        are tried again later, so that no subject stops the others.
        """
        self._check_fit()
        with self.database.read() as connection:
            due = store.due_subjects(connection, self.read_now(connection), most)
            crashed = all_crashes(connection) if self.in_hand is not None else {}
        by_tenant: dict[int, list[str]] = {}
        suspected = []
        for row in due:
            times = crashed.get((row.tenant, row.subject), 0)
            if times:
                suspected.append((times, row.tenant, row.subject))
            else:
                by_tenant.setdefault(row.tenant, []).append(row.subject)
        reports = [self._sweep(tenant, sorted(subjects)) for tenant, subjects in sorted(by_tenant.items())]
        reports += [self._sweep_suspect(*each) for each in sorted(suspected)]
        transitions, faults = sum(r.transitions for r in reports), sum(r.faults for r in reports)
        return SweepReport(sum(r.subjects for r in reports), transitions, faults, more=transitions + faults > 0)

    def _sweep(self, tenant: int, subjects: list[str]) -> SweepReport:
        try:
            return self._sweep_together(tenant, subjects)
        except (Busy, DatabaseUnusable):
            raise
        except Exception as fault:
            if len(subjects) == 1:
                return self._back_off(tenant, subjects[0], fault)
        half = len(subjects) // 2
        first, second = self._sweep(tenant, subjects[:half]), self._sweep(tenant, subjects[half:])
        return SweepReport(
            first.subjects + second.subjects, first.transitions + second.transitions, first.faults + second.faults, True
        )

    def _sweep_suspect(self, times: int, tenant: int, subject: str) -> SweepReport:
        """What processes died with in hand comes last and alone, that which they died with more often after the rest;
        at the third time its due timers are left to a person.
        """
        if times < CRASHES_AT_MOST:
            return self._sweep(tenant, [subject])
        with self.database.write() as connection:
            batch = self.batch(connection, tenant, self.now(connection))
            due = store.due_timers_of(connection, tenant, subject, batch.now)
            problem = f"{times} processes died with it in hand"
            faults = [TimerFault(row.case_ref, row.name, row.due_at, row.errors, None, problem) for row in due]
            events = [f"{row.workflow}.{row.event}" for row in due]
            given_up = [given_up_after_crashes(subject, times, events)] if due else []
            write_timer_faults(batch, subject, faults, given_up)
        return SweepReport(1, 0, len(faults), True)

    def _noted(self, tenant: int, keys: Iterable[str]) -> AbstractContextManager[None]:
        return self.in_hand.noted(tenant, keys) if self.in_hand is not None else nullcontext()

    @contextmanager
    def taken_in_hand(self, batch: Batch, envelopes: Sequence[Envelope]) -> Iterator[None]:
        """Within the block the subjects of the batch are noted, and events that would open one. Raises Suspected where
        a process died with one of them and it is not alone, or where that happened too often; else it is cleared.
        """
        if self.in_hand is None:
            yield
            return
        openings = [e.cause for e in envelopes if e.event in self.workflows[e.workflow].openings]
        keys = [*batch.works, *openings]
        crashed = crashes_with(batch.connection, batch.tenant.id, keys)
        worst = max(crashed.items(), key=lambda each: each[1], default=None)
        if worst is not None and (len(envelopes) > 1 or worst[1] >= CRASHES_AT_MOST):
            raise Suspected(*worst)
        with self.in_hand.noted(batch.tenant.id, keys):
            yield
        clear_crashes(batch.connection, batch.tenant.id, crashed)

    def _sweep_together(self, tenant: int, subjects: list[str]) -> SweepReport:
        with self._noted(tenant, subjects), collection_paused(), self.database.write() as connection:
            batch = self.batch(connection, tenant, self.now(connection))
            batch.lock(subjects, skip_locked=True)
            batch.leave_held()
            self._fire_all(batch)
            self._write(batch, [])
            if self.in_hand is not None and len(subjects) == 1:
                clear_crashes(connection, tenant, batch.works)
        self._committed(batch)
        works = batch.works.values()
        return SweepReport(len(works), sum(len(w.steps) for w in works), sum(len(w.faults) for w in works), True)

    def _back_off(self, tenant: int, subject: str, fault: Exception) -> SweepReport:
        """The due timers of a subject that cannot even be loaded or written wait, longer each time."""
        with self.database.write() as connection:
            batch = self.batch(connection, tenant, self.now(connection))
            problem = told(fault)
            faults, given_up = [], []
            for row in store.due_timers_of(connection, tenant, subject, batch.now):
                errors = row.errors + 1
                faults.append(
                    TimerFault(row.case_ref, row.name, row.due_at, errors, wakes_again(batch.now, errors), problem)
                )
                if errors >= ERRORS_AT_MOST:
                    event = f"{row.workflow}.{row.event}"
                    given_up.append(timer_given_up(row.case_ref, row.name, row.due_at, event, problem))
            write_timer_faults(batch, subject, faults, given_up)
        return SweepReport(1, 0, len(faults), True)

    def _fire_all(self, batch: Batch) -> None:
        waiting = list(batch.works.values())
        while waiting:
            waiting = [work for work in waiting if not batch.fire_due(work, batch.now)]
            batch.load_missing()

    def next_due(self) -> datetime | None:
        """When the next timer wants to be looked at; None when nothing is armed."""
        with self.database.read() as connection:
            return store.next_wake(connection)

    # --- parked events --------------------------------------------------------------------------------------------

    def retry_parked(self, *, received_within: timedelta | None = None, most: int = 500) -> int:
        """Tries events that wait for a case once more, all or those of late: on PostgreSQL the event and the opening of
        its case may have missed each other. Gives how many moved on.
        """
        with self.database.read() as connection:
            now = self.read_now(connection)
            since = now - received_within if received_within is not None else _BEFORE_ANY
            tenants = store.parked_tenants(connection, since)
            waiting = {tenant: store.parked(connection, tenant, since, most) for tenant in tenants}
        return sum(self._retry(tenant, list(rows)) for tenant, rows in waiting.items())

    def let_through(self, hold: str, *, most: int = 500) -> int:
        """Applies the first events that a hold keeps, though it is still in force: whoever releases it does so until
        none is left, so that none that arrives meanwhile goes ahead of them. Gives how many moved on.
        """
        with self.database.read() as connection:
            rows = kept_by(connection, f"{WAITS_FOR}{hold}", most)
        by_tenant: dict[int, list[Any]] = {}
        for row in rows:
            by_tenant.setdefault(row.tenant, []).append(row)
        return sum(self._retry(tenant, mine, let_through=hold) for tenant, mine in by_tenant.items())

    def retry_event(self, tenant: int, source: str, event_id: str) -> tuple[str, str | None]:
        """Tries one event that waits once more: its verdict then, and what it waits for if it still does."""
        for once_more in (True, False):
            with self.database.read() as connection:
                rows = list(store.received(connection, tenant, [source], [event_id]))
            if once_more and rows and rows[0].verdict == "parked":
                self._retry(tenant, rows)
        return (rows[0].verdict, rows[0].waiting_for) if rows else ("gone", None)

    def _retry(self, tenant: int, rows: list[Any], *, let_through: str | None = None) -> int:
        """How many of the events wait no more for what they waited for."""
        self._check_fit()
        try:
            with self.database.write() as connection:
                batch = self.batch(connection, tenant, self.now(connection))
                batch.let_through = let_through
                posting = _Posting(self, batch, [], 0)
                posting.retry(rows)
                self._write(batch, posting.answered)
            self._committed(batch)
            return sum(1 for a in posting.answered if a.verdict.verdict != "parked" or let_through is not None)
        except (Busy, DatabaseUnusable):
            raise
        except Exception as fault:  # one bad record stops only itself
            if len(rows) == 1:
                self._quarantine_parked(tenant, rows[0], fault)
                return 1
        half = len(rows) // 2
        first = self._retry(tenant, rows[:half], let_through=let_through)
        return first + self._retry(tenant, rows[half:], let_through=let_through)

    def _quarantine_parked(self, tenant: int, row: Any, fault: Exception) -> None:
        """Keeps a parked event that cannot be taken up for a person; nothing of it is decoded but its frame."""
        kept = msgspec.json.decode(row.body, type=_Kept)
        envelope = Envelope(
            row.type,
            row.source,
            row.event_id,
            row.subject,
            row.occurred_at,
            None,
            kept.actor,
            kept.reason,
            row.body_hash,
            kept.body,
        )
        with self.database.write() as connection:
            batch = self.batch(connection, tenant, self.now(connection))
            verdict, incident = _quarantined(envelope, None, fault)
            batch.strangers.append((None, incident))
            self._write(batch, [Answered(envelope, verdict, row.received_at, known=True)])

    def expire_parked(self, *, most: int = 500) -> int:
        """Opens an incident for each event that waited too long for a case. The event waits on: its case may still
        come.
        """
        with self.database.write() as connection:
            now = self.now(connection)
            rows = store.parked_too_long(connection, now, most)
            if not rows:
                return 0
            tenants = self._tenants.load(connection, sorted({row.tenant for row in rows}))
            for tenant_id, tenant in tenants.items():
                batch = Batch(connection, self.workflows, self.trade, tenant, now, {})
                answered = []
                for row in (r for r in rows if r.tenant == tenant_id):
                    envelope = envelope_from_row(self.workflows, row)
                    batch.strangers.append((None, _waited_too_long(envelope, row.waiting_for)))
                    verdict = Verdict(row.source, row.event_id, row.type, "parked", waiting_for=row.waiting_for)
                    answered.append(Answered(envelope, verdict, row.received_at, None, known=True))
                self._write(batch, answered)
            return len(rows)

    def batch(self, connection: Connection, tenant_id: int, now: datetime) -> Batch:
        """The working memory for one tenant within the caller's transaction."""
        tenant = self._tenants.load(connection, [tenant_id])[tenant_id]
        return Batch(connection, self.workflows, self.trade, tenant, now, dict(self._policies))

    def now(self, connection: Connection) -> datetime:
        """The instant of this unit of work: a story's clock is its own, the host's gives way to the database's."""
        now = self.clock.now()
        if self.clock.tells_a_story:
            return now
        now = database_now(connection, now)
        remember_now(connection, now)
        return now

    def read_now(self, connection: Connection) -> datetime:
        """The instant of a unit of work that only reads."""
        now = self.clock.now()
        return now if self.clock.tells_a_story else database_now(connection, now)

    # --- writing --------------------------------------------------------------------------------------------------

    def _check_fit(self) -> None:
        if self.unfit is not None:
            raise self.unfit

    def _write(self, batch: Batch, answered: list[Answered]) -> None:
        self._check_fit()
        pinned = {w.seen[ref].policy for w in batch.works.values() if w.steps for ref in w.seen}
        batch.settle_names()
        new = {id_: batch.policies[id_].to_json() for id_ in pinned - self._stored}
        write_batch(batch, answered, new)
        if self.database.dialect == "postgresql":  # SQLite's daemons look for themselves
            batch.rang = self._bell.ring(batch.connection, soonest(batch), batch.now)

    def keep(self, batch: Batch) -> None:
        """Writes what a batch decided that no event asked for. Within its transaction; `kept` once that is over."""
        self._write(batch, [])

    def kept(self, batch: Batch) -> None:
        """What `keep` wrote is on disk."""
        self._committed(batch)

    def _committed(self, batch: Batch) -> None:
        """What may be remembered of a batch once it is on disk."""
        if batch.rang:
            self._bell.rang()
        self.heard(batch)
        self._policies.update(batch.policies)
        self._stored |= {w.seen[ref].policy for w in batch.works.values() if w.steps for ref in w.seen}


class _Posting:
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
        self._prepare(self.envelopes)
        with self.engine.taken_in_hand(batch, self.envelopes):
            self._apply_all([(i, e, batch.now, False) for i, e in enumerate(self.envelopes)])
            self._wake_parked()
        self.answered += self.parked.values()
        return [answer for answer in self.answers if answer is not None]

    def retry(self, rows: Sequence[Any]) -> None:
        """Takes parked rows of the inbox up again, earliest first."""
        waiting = [(envelope_from_row(self.workflows, row), row.received_at) for row in rows]
        self.waiting.update({(row.source, row.event_id): row.waiting_for for row in rows})
        self._prepare([envelope for envelope, _ in waiting])
        still = self._still_parked(envelope for envelope, _ in waiting)
        waiting = [each for each in waiting if (each[0].source, each[0].id) in still]
        waiting.sort(key=lambda w: (w[0].occurred_at, w[0].id))
        with self.engine.taken_in_hand(self.batch, [envelope for envelope, _ in waiting]):
            self._apply_all([(None, envelope, received, True) for envelope, received in waiting])
            self._wake_parked()
        self.answered += self.parked.values()

    def _still_parked(self, envelopes: Iterable[Envelope]) -> set[tuple[str, str]]:
        """Which of these wait even now that their subjects are locked: others may have woken some meanwhile."""
        keys = {(envelope.source, envelope.id) for envelope in envelopes}
        sources, ids = sorted({source for source, _ in keys}), sorted({ident for _, ident in keys})
        rows = store.received(self.batch.connection, self.batch.tenant.id, sources, ids) if keys else ()
        return {(row.source, row.event_id) for row in rows if row.verdict == "parked"}

    def _read_inbox(self) -> None:
        sources = sorted({e.source for e in self.envelopes})
        ids = sorted({e.id for e in self.envelopes})
        for row in store.received(self.batch.connection, self.batch.tenant.id, sources, ids):
            self.settled[row.source, row.event_id] = (row.body_hash, verdict_from_row(row))

    def _prepare(self, envelopes: Sequence[Envelope]) -> None:
        """Looks up every name that the events use and locks the subjects they lead to."""
        values: set[str] = set()
        for envelope in envelopes:
            values |= self._names_of(envelope)
        self._look_up_and_lock(envelopes, values)
        if self.engine.database.dialect == "postgresql":
            # Others write beside us there, and may have given a name while we waited for the lock.
            self._look_up_and_lock(envelopes, values)

    def _look_up_and_lock(self, envelopes: Sequence[Envelope], values: set[str]) -> None:
        batch = self.batch
        batch.look_up(values)
        batch.look_up(self._subjects_whose_only_case_is_meant(envelopes))
        batch.lock({found.subject for cases in batch.directory.entries.values() for found in cases.values()})

    def _subjects_whose_only_case_is_meant(self, envelopes: Sequence[Envelope]) -> set[str]:
        """A workflow with one case per subject is found under the subject's reference."""
        found: set[str] = set()
        for envelope in envelopes:
            machine = self.workflows[envelope.workflow]
            if machine.one_per_subject and not machine.is_subject and envelope.event not in machine.openings:
                for collection, value in path_of(envelope):
                    found.update(f.subject for f in self.batch.directory.find(collection, value))
        return found

    def _names_of(self, envelope: Envelope) -> set[str]:
        machine = self.workflows[envelope.workflow]
        try:
            found = names_in(envelope, machine)
        except BadInput:
            return set()
        for name in machine.names:
            value = getattr(envelope.data, name.fact, None)
            if isinstance(value, str) and value:
                found.add(value)
        return found

    # --- the queue ------------------------------------------------------------------------------------------------

    def _apply_all(self, queue: list[tuple[int | None, Envelope, datetime, bool]]) -> None:
        """Applies events in order; one whose subject lacks a settled case waits, with all that follow for the
        subject.
        """
        while queue:
            later = []
            blocked: set[str] = set()
            for index, envelope, received_at, known in queue:
                answer = self._answer(envelope, received_at, known, blocked)
                if answer is None:
                    later.append((index, envelope, received_at, known))
                elif index is not None:
                    self.answers[index] = answer
                    self.places.setdefault((envelope.source, envelope.id), []).append(index)
            self.batch.load_missing()
            queue = later

    def _answer(self, envelope: Envelope, received_at: datetime, known: bool, blocked: set[str]) -> Answer | None:
        key = (envelope.source, envelope.id)
        if not known and key in self.settled:
            body_hash, verdict = self.settled[key]
            if body_hash != envelope.body_hash:
                return Conflict(
                    "event",
                    f"{envelope.source}/{envelope.id}",
                    "it was received before with another body",
                    "send the new fact under a new id",
                )
            return msgspec.structs.replace(verdict, replayed=True)
        try:
            check_not_ahead(envelope, self.batch.now)
            target = place(envelope, self.workflows, self.batch.directory)
        except BadInput as wrong:
            return self._no_longer_placed(envelope, received_at, wrong) if known else wrong
        if target.waiting_for is not None and envelope.actor.kind == "staff":
            return self._park(envelope, target.waiting_for, received_at, known)
        if target.subject is not None and target.subject in blocked:
            return None
        if target.subject is not None and target.subject not in self.batch.works:
            self.batch.lock([target.subject])
        held = self.batch.held(target.subject)
        if held is not None and envelope.actor.kind != "staff":
            return self._park(envelope, waits_for(held), received_at, known)
        if target.waiting_for is not None:
            return self._park(envelope, target.waiting_for, received_at, known)
        answer = self._decide(envelope, target, received_at) if held is None else _refused(envelope, target, held)
        if answer is None:
            blocked.add(str(target.subject))
            return None
        self.parked.pop(key, None)
        self.answered.append(Answered(envelope, answer, received_at, None, known))
        self.settled[key] = (envelope.body_hash, answer)
        for nth, index in enumerate(self.places.get(key, ())):
            self.answers[index] = answer if nth == 0 else msgspec.structs.replace(answer, replayed=True)
        return answer

    def _no_longer_placed(self, envelope: Envelope, received_at: datetime, wrong: BadInput) -> Verdict:
        """An event that was kept, and by now means nobody in particular: its sender was told that it is saved, so it is
        shown to a person.
        """
        verdict, incident = _quarantined(envelope, None, wrong)
        self.batch.strangers.append((None, incident))
        self.parked.pop((envelope.source, envelope.id), None)
        self.answered.append(Answered(envelope, verdict, received_at, None, known=True))
        self.settled[envelope.source, envelope.id] = (envelope.body_hash, verdict)
        return verdict

    def _park(self, envelope: Envelope, waiting_for: str, received_at: datetime, known: bool) -> Answer:
        if envelope.actor.kind == "staff":
            collection, _, value = waiting_for.partition("/")
            machine = self.workflows.by_collection(collection)
            return NotFound(machine.title.en if machine is not None else collection, value)
        verdict = Verdict(envelope.source, envelope.id, envelope.type, "parked", waiting_for=waiting_for)
        key = (envelope.source, envelope.id)
        if self.waiting.get(key) != waiting_for:
            expires = self._waits_until(waiting_for, self.waiting.get(key), received_at)
            self.parked[key] = Answered(envelope, verdict, received_at, expires, known)
        if not known:
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
            here = [
                (a.envelope, a.received_at, a.known) for a in self.parked.values() if a.verdict.waiting_for in fresh
            ]
            rows = store.parked_for(batch.connection, batch.tenant.id, fresh)
            waiting = [(envelope_from_row(self.workflows, row), row.received_at, True) for row in rows]
            self.waiting.update({(row.source, row.event_id): row.waiting_for for row in rows})
            in_hand = {(envelope.source, envelope.id) for envelope, _, _ in here}
            waiting = [each for each in waiting if (each[0].source, each[0].id) not in in_hand] + here
            if not waiting:
                continue
            for envelope, _, _ in waiting:
                self.settled.pop((envelope.source, envelope.id), None)
            self._prepare([envelope for envelope, _, _ in waiting])
            if self.engine.database.dialect == "postgresql":
                still = self._still_parked(envelope for envelope, _, known in waiting if known)
                waiting = [each for each in waiting if not each[2] or (each[0].source, each[0].id) in still]
            waiting.sort(key=lambda w: (w[0].occurred_at or w[1], w[0].id))
            self._apply_all([(None, envelope, received_at, known) for envelope, received_at, known in waiting])

    # --- one event ------------------------------------------------------------------------------------------------

    def _decide(self, envelope: Envelope, target: Target, received_at: datetime) -> Verdict | None:
        batch = self.batch
        machine = self.workflows[envelope.workflow]
        opens = envelope.event in machine.openings
        if target.taken_by is not None:
            return self._taken(envelope, target, target.taken_by)
        occurred_at = envelope.occurred_at or received_at
        if opens and machine.is_subject:
            salt = self.salt
            while (ref := reference(machine.prefix, batch.tenant.key, envelope.cause, salt)) in batch.works:
                salt += 1
            work = batch.new_subject(ref)
        else:
            work = batch.works[str(target.subject)]
            if not self._fire_before(work, occurred_at):
                return None
        event = Event(
            machine.name,
            envelope.event,
            occurred_at,
            target.data if target.data is not None else envelope.data,
            envelope.actor,
            envelope.cause,
            target.case,
            envelope.reason,
            target.given_ref,
        )
        if self.salt:
            work.view = msgspec.structs.replace(work.view, salt=self.salt)
        try:
            outcome = batch.ask(work, lambda view: decide(self.workflows, event, view))
        except Exception as fault:  # a guard or builder that raises touches only its own event
            return self._quarantined(envelope, work, fault)
        if outcome is None:
            return None
        return self._verdict(envelope, machine.kind_of(envelope.event), work, outcome)

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
                envelope_case(envelope, work),
                _known(work),
            )
        if isinstance(outcome, Stale):
            return Verdict(envelope.source, envelope.id, envelope.type, "stale", (), outcome.case, work.ref)
        if kind == REQUEST:
            taken = self._name_taken(work, outcome)
            if taken is not None:
                return Verdict(envelope.source, envelope.id, envelope.type, "refused", (taken,), None, _known(work))
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
                    return _taken_reason(value, others[0].ref)
        return None

    def _taken(self, envelope: Envelope, target: Target, found: Found) -> Verdict:
        """An opening under a reference that a case bears already: a report says again what we know, a request is
        refused.
        """
        kind = self.workflows[envelope.workflow].kind_of(envelope.event)
        if kind == REPORT:
            return Verdict(envelope.source, envelope.id, envelope.type, "stale", (), found.ref, found.subject)
        reason = _taken_reason(str(target.given_ref), found.ref)
        return Verdict(envelope.source, envelope.id, envelope.type, "refused", (reason,), found.ref, found.subject)

    def _quarantined(self, envelope: Envelope, work: Work, fault: Exception) -> Verdict:
        verdict, incident = _quarantined(envelope, _known(work), fault)
        self.batch.strangers.append((_known(work), incident))
        return verdict


def envelope_case(envelope: Envelope, work: Work) -> str | None:
    """The case a refused event was for, where it is one of the subject in hand."""
    last = envelope.subject.rpartition("/")[2]
    return last if last in work.seen else None


def _quarantined(envelope: Envelope, subject: str | None, fault: Exception) -> tuple[Verdict, Incident]:
    """What an event that raised is answered, and whom it is shown to."""
    event, problem = f"{envelope.source}/{envelope.id}", told(fault)
    says = Text(
        f"L’événement {event} n’a pas pu être traité et attend une personne\u00a0: {problem}",
        f"The event {event} could not be processed and waits for a person: {problem}",
    )
    verdict = Verdict(
        envelope.source, envelope.id, envelope.type, "quarantined", (Reason("fault", says),), None, subject
    )
    return verdict, Incident("quarantined", None, envelope.type, says, envelope.cause)


def _known(work: Work) -> str | None:
    return None if work.is_new and not work.steps else work.ref


def _refused(envelope: Envelope, target: Target, held: Held) -> Verdict:
    """What staff are answered who act on what is held."""
    return Verdict(
        envelope.source, envelope.id, envelope.type, "refused", (on_hold(held),), target.case, target.subject
    )


def verdict_from_row(row: Any) -> Verdict:
    """The verdict that the inbox keeps."""
    reasons = _decode_reasons(row.reasons) if row.reasons else ()
    return Verdict(
        row.source,
        row.event_id,
        row.type,
        row.verdict,
        reasons,
        row.case_ref,
        row.subject_ref,
        row.sequence,
        waiting_for=row.waiting_for,
    )


class _Kept(msgspec.Struct):
    body: str
    actor: Actor
    reason: str | None = None


def envelope_from_row(workflows: Workflows, row: Any) -> Envelope:
    """The event that an inbox row keeps while it waits."""
    kept = msgspec.json.decode(row.body, type=_Kept)
    plain = msgspec.json.decode(kept.body)
    workflow, _, name = row.type.partition(".")
    data = decode_data(workflows[workflow], name, plain["data"])
    return Envelope(
        row.type,
        row.source,
        row.event_id,
        row.subject,
        row.occurred_at,
        data,
        kept.actor,
        kept.reason,
        row.body_hash,
        kept.body,
    )


def _taken_reason(value: str, ref: str) -> Reason:
    return Reason(
        "name_taken",
        Text(f"«\u00a0{value}\u00a0» désigne déjà {ref}.", f"“{value}” already names {ref}."),
        {"value": value, "case": ref},
        Text(
            "Choisissez une autre référence, ou agissez sur le dossier existant.",
            "Choose another reference, or act on the existing record.",
        ),
    )


def _waited_too_long(envelope: Envelope, waiting_for: str) -> Incident:
    event = f"{envelope.source}/{envelope.id} ({envelope.type})"
    says = Text(
        f"L’événement {event} attend toujours {waiting_for}, que personne n’a créé.",
        f"The event {event} still waits for {waiting_for}, which nobody has created.",
    )
    return Incident("parked_too_long", None, envelope.type, says, f"{envelope.cause}/parked")


def _undone_for_another(busy: Busy) -> bool:
    """A deadlock or a serialization failure: PostgreSQL undid the transaction for another's sake, at once."""
    return getattr(getattr(busy.__cause__, "orig", None), "sqlstate", None) in {"40001", "40P01"}
