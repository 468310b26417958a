"""The working memory of one transaction: the subjects it has locked, their cases as loaded and as they have become.

A batch loads in sets, decides in memory one subject after the other, and is written once at the end by `writing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from vipflow.case import Case, Decision, DueTimer, Incident, NotLoaded, Outcome, Step, Tenant, View
from vipflow.decide import fire, next_timer
from vipflow.engine.addresses import Directory, Found, references_among
from vipflow.facts import decode_facts
from vipflow.machine import Machine, Workflows
from vipflow.policy import Policy
from vipflow.store import work as store
from vipflow.store.holds import Held, holds_over
from vipflow.store.policies import policies_by_id
from vipflow.workflow import Text

MOST_TIMERS_AT_ONCE = 500
"""Of one subject in one batch; what is left is due in the next."""
ERRORS_AT_MOST = 5
"""Then a timer is quarantined."""
FIRST_BACKOFF = timedelta(minutes=1)

_decode_tally = msgspec.json.Decoder(dict[str, int]).decode


@dataclass
class TimerFault:
    """A due timer whose decision raised: tried again later, and after the fifth time by a person."""

    case: str
    name: str
    due_at: datetime
    errors: int
    wake_at: datetime | None
    problem: str


@dataclass(slots=True)
class Work:
    """One subject in hand."""

    ref: str
    view: View
    is_new: bool
    loaded: dict[str, Case]
    """The cases as the database has them: what `writing` compares with."""
    errors: dict[tuple[str, str], int] = field(default_factory=dict)
    sleeping: set[tuple[str, str]] = field(default_factory=set)
    """Timers not to fire now: quarantined, or backing off after an error."""
    steps: list[tuple[Step, str | None, str | None]] = field(default_factory=list)
    """Each with source and id of the event that caused it."""
    incidents: list[Incident] = field(default_factory=list)
    faults: list[TimerFault] = field(default_factory=list)
    seen: dict[str, Case] = field(default_factory=dict)
    """Every case of the subject as it is now, settled ones included."""
    head: str = ""
    """The hash of its last history row: of the stored one, then of the last that is written."""
    missing: str | None = None
    """The settled case that a decision asked for and that must be loaded first."""
    asked: int = 0


class Batch:
    """Subjects of one tenant, locked by one transaction. `now` is read once for all of it."""

    def __init__(
        self,
        connection: Connection,
        workflows: Workflows,
        trade: Any,
        tenant: Tenant,
        now: datetime,
        policies: dict[str, Policy],
    ) -> None:
        self.connection = connection
        self.workflows = workflows
        self.trade = trade
        self.tenant = tenant
        self.now = now
        self.policies = policies
        self.pinned: set[str] = set()
        """Ids of the policies of the cases that it changes."""
        self.directory = Directory()
        self.works: dict[str, Work] = {}
        self.new_names: dict[tuple[str, str, str], tuple[Found, str, bool]] = {}
        """Names that this batch gives: (collection, value, reference) → case, kind, exclusive."""
        self.announced: set[str] = set()
        """`collection/value` of everything that can be called since this batch, for events that wait for it."""
        self.strangers: list[tuple[str | None, Incident]] = []
        """Incidents of no subject."""
        self.rang = False
        """Whether daemons are told of it."""
        self.let_through: str | None = None
        """The id of a hold that does not count here: what it keeps is being applied."""
        self._holds: dict[str | None, Held | None] = {}
        """The hold over each subject that was asked about; under None that over all of the tenant."""

    # --- loading --------------------------------------------------------------------------------------------------

    def look_up(self, values: Iterable[str]) -> None:
        """Fills the directory with every case that bears one of these names."""
        wanted = sorted(set(values))
        if not wanted:
            return
        by_collection = {m.collection: m.name for m in self.workflows}
        for row in store.named(self.connection, self.tenant.id, wanted):
            workflow = by_collection.get(row.collection)
            if workflow is not None:
                self.directory.add(row.collection, row.value, Found(row.case_ref, row.subject, workflow))
        refs = references_among(wanted)
        if not refs:
            return
        for row in store.referenced(self.connection, self.tenant.id, refs):
            machine = self.workflows.get(row.workflow)
            if machine is not None:
                self.directory.add(machine.collection, row.ref, Found(row.ref, row.subject, row.workflow))

    def lock(self, refs: Iterable[str], *, skip_locked: bool = False) -> None:
        """Locks subjects in key order and loads their live cases and timers. Those in hand already are left alone."""
        wanted = sorted(set(refs) - self.works.keys())
        if wanted:
            self._load(store.lock_subjects(self.connection, self.tenant.id, wanted, skip_locked=skip_locked))

    def look_at(self, refs: Iterable[str]) -> None:
        """Loads subjects without locking them: for those who only think."""
        wanted = sorted(set(refs) - self.works.keys())
        if wanted:
            self._load(store.subjects_of(self.connection, self.tenant.id, wanted))

    def held(self, ref: str | None) -> Held | None:
        """The hold that stops this subject; without one, whoever has no record yet. One statement for all in hand, and
        only once they are locked: who makes a hold of one subject waits for that lock.
        """
        if ref not in self._holds and ref in self.works and self.works[ref].is_new:
            ref = None  # nobody can have named it yet
        if None not in self._holds or ref not in self._holds:
            unasked = sorted(({ref} if ref is not None else set()) | self.works.keys() - self._holds.keys())
            found: dict[str | None, Held] = {}
            for hold in holds_over(self.connection, self.tenant.id, unasked):
                if hold.id != self.let_through:
                    found.setdefault(hold.subject, hold)
            self._holds |= {each: found.get(each) for each in (None, *unasked)}
        return self._holds[None] or self._holds[ref]

    def leave_held(self) -> None:
        """Puts down the subjects that a hold stops: their timers keep their dates."""
        for ref in [ref for ref in self.works if self.held(ref) is not None]:
            del self.works[ref]

    def _load(self, rows: store.Rows) -> None:
        held = [row.ref for row in rows]
        if not held:
            return
        timers: dict[str, list[DueTimer]] = {}
        sleeping: dict[str, set[tuple[str, str]]] = {}
        errors: dict[str, dict[tuple[str, str], int]] = {}
        subject_of: dict[str, str] = {}
        cases: dict[str, dict[str, Case]] = {ref: {} for ref in held}
        armed = store.timers_of(self.connection, self.tenant.id, held)
        # Rows taken apart: asking each for its columns by name costs as much as reading them.
        for case_ref, name, event, due_at, _, _ in armed:
            timers.setdefault(case_ref, []).append(DueTimer(name, event, due_at))
        for row in store.live_cases(self.connection, self.tenant.id, held):
            ref, subject = row[:2]
            subject_of[ref] = subject
            self.directory.live.add(ref)
            cases[subject][ref] = self._case(row, timers.get(ref, ()))
        for case_ref, name, _, due_at, wake_at, failures in armed:
            if failures:
                errors.setdefault(subject_of[case_ref], {})[case_ref, name] = failures
            if wake_at is None or wake_at > max(self.now, due_at):
                sleeping.setdefault(subject_of[case_ref], set()).add((case_ref, name))
        self._load_policies({case.policy for of_subject in cases.values() for case in of_subject.values()})
        for ref, sequence, tally, head in rows:
            mine = cases[ref]
            self.works[ref] = Work(
                ref,
                self._view(ref, mine, sequence, _decode_tally(tally)),
                False,
                mine.copy(),
                errors.get(ref, {}),
                sleeping.get(ref, set()),
                seen=mine.copy(),
                head=head,
            )

    def new_subject(self, ref: str) -> Work:
        """A subject that an event of this batch opens; kept only if it is decided so."""
        return Work(ref, self._view(ref, {}, 0, {}), True, {})

    def load_missing(self) -> None:
        """Loads the settled cases that decisions asked for: of a subject that asks for the second time all of them, so
        that the number of statements does not grow with what its events ask for.
        """
        asking = {work.missing: work for work in self.works.values() if work.missing is not None}
        if not asking:
            return
        again = sorted({work.ref for work in asking.values() if work.asked})
        once = sorted(ref for ref, work in asking.items() if not work.asked)
        rows = list(store.cases_of(self.connection, self.tenant.id, once)) if once else []
        if again:
            rows += store.settled_cases(self.connection, self.tenant.id, again)
        for row in rows:
            work = self.works.get(row.subject)
            if work is not None and row.ref not in work.seen:
                work.loaded[row.ref] = work.seen[row.ref] = self._case(row, ())
        self._load_policies({case.policy for work in asking.values() for case in work.loaded.values()})
        for ref, work in asking.items():
            absent = work.view.absent if ref in work.seen else work.view.absent | {ref}
            work.view = replace(work.view, absent=absent, policies=self.policies)
            work.missing = None
            work.asked += 1

    def load_cases(self, refs: Iterable[str]) -> None:
        """Makes sure that these cases are `seen`, settled ones too. Their subjects must be locked."""
        wanted = sorted({ref for ref in refs if not any(ref in work.seen for work in self.works.values())})
        if not wanted:
            return
        for row in store.cases_of(self.connection, self.tenant.id, wanted):
            work = self.works.get(row.subject)
            if work is not None:
                work.loaded[row.ref] = work.seen[row.ref] = self._case(row, ())
        self._load_policies({case.policy for work in self.works.values() for case in work.loaded.values()})

    def _case(self, row: Any, timers: Iterable[DueTimer]) -> Case:
        ref, _, workflow, state, text, facts_version, policy, since, opened_at, version = row
        facts = decode_facts(self.workflows.machines[workflow].facts, text, facts_version)
        return Case(ref, workflow, state, facts, policy, since, opened_at, version, tuple(timers))

    def _view(self, ref: str, cases: Mapping[str, Case], sequence: int, tally: Mapping[str, int]) -> View:
        return View(
            self.tenant,
            ref,
            self.workflows.subject_workflow,
            cases,
            sequence,
            tally,
            self.policies,
            self.trade,
            self.now,
            self.now,
        )

    def _load_policies(self, ids: set[str]) -> None:
        unknown = sorted(ids - self.policies.keys())
        if unknown:
            for id_, row in policies_by_id(self.connection, unknown).items():
                self.policies[id_] = self.trade.restore_policy(row.body)

    # --- deciding -------------------------------------------------------------------------------------------------

    def ask(self, work: Work, decide_it: Any) -> Outcome | None:
        """The outcome, or None after noting which settled case must be loaded first."""
        view = work.view
        while True:
            try:
                outcome: Outcome = decide_it(view)
            except NotLoaded as wanted:
                known = work.seen.get(wanted.ref)
                if known is None and work.is_new:  # a subject that this batch opens has no cases but those it sees
                    view = replace(view, absent=view.absent | {wanted.ref})
                    continue
                if known is None:
                    work.missing = wanted.ref
                    return None
                view = replace(view, cases={**view.cases, wanted.ref: known})
            else:
                return outcome

    def keep(self, work: Work, decision: Decision, source: str | None = None, event_id: str | None = None) -> None:
        """Takes a decision into the working memory."""
        work.view = decision.view
        work.incidents.extend(decision.incidents)
        for step in decision.steps:
            case = step.after
            machine = self.workflows[case.workflow]
            work.steps.append((step, source, event_id))
            work.seen[case.ref] = case
            self.pinned.add(case.policy)
            (self.directory.live.discard if case.state in machine.settled else self.directory.live.add)(case.ref)
            self._note_names(work, step, machine)
        if decision.view.policies is not self.policies:
            self.policies.update({k: v for k, v in decision.view.policies.items() if k not in self.policies})

    def fire_due(self, work: Work, until: datetime) -> bool:
        """Fires the subject's timers due at or before `until`, in their order. False where a settled case must be
        loaded first.
        """
        for _ in range(MOST_TIMERS_AT_ONCE):
            due = self._next(work)
            if due is None or due[1].due_at > until:
                return True
            case, timer = due
            try:
                outcome = self.ask(work, lambda view, case=case, timer=timer: fire(self.workflows, case, timer, view))
            except Exception as fault:  # one bad record stops only itself
                self._note_fault(work, case, timer, fault)
                continue
            if outcome is None:
                return False
            if isinstance(outcome, Decision):
                self.keep(work, outcome)
            else:
                self._note_fault(
                    work,
                    case,
                    timer,
                    RuntimeError(f"{case.workflow}.{timer.event} means nothing in state {case.state}"),
                )
        return True

    def _next(self, work: Work) -> tuple[Case, DueTimer] | None:
        if not work.sleeping:
            return next_timer(work.view)
        awake = {
            ref: replace(case, timers=tuple(t for t in case.timers if (ref, t.name) not in work.sleeping))
            for ref, case in work.view.cases.items()
        }
        found = next_timer(replace(work.view, cases=awake))
        return None if found is None else (work.view.cases[found[0].ref], found[1])

    def _note_fault(self, work: Work, case: Case, timer: DueTimer, fault: Exception) -> None:
        key = (case.ref, timer.name)
        errors = work.errors[key] = work.errors.get(key, 0) + 1
        work.sleeping.add(key)
        problem = told(fault)
        work.faults.append(
            TimerFault(case.ref, timer.name, timer.due_at, errors, wakes_again(self.now, errors), problem)
        )
        if errors >= ERRORS_AT_MOST:
            event = f"{case.workflow}.{timer.event}"
            work.incidents.append(timer_given_up(case.ref, timer.name, timer.due_at, event, problem))

    def _note_names(self, work: Work, step: Step, machine: Machine) -> None:
        if not machine.names and step.before is not None:
            return
        found = Found(step.after.ref, work.ref, machine.name)
        if step.before is None:
            self.directory.add(machine.collection, found.ref, found)
            self.announced.add(f"{machine.collection}/{found.ref}")
            if step.given_ref:
                self._give(machine.collection, step.given_ref, found, "sender", exclusive=machine.is_subject)
            if machine.one_per_subject and not machine.is_subject:
                self._give(machine.collection, work.ref, found, "ours", exclusive=True)
        if step.before is not None and step.before.facts is step.after.facts:
            return
        for name in machine.names:
            value = getattr(step.after.facts, name.fact)
            if value and (step.before is None or getattr(step.before.facts, name.fact) != value):
                exclusive = name.exclusive
                if exclusive and any(
                    other.ref != found.ref for other in self.directory.find(machine.collection, value)
                ):
                    exclusive = False
                    self._note_taken(found, value)
                self._give(machine.collection, value, found, name.kind, exclusive=exclusive)

    def _note_taken(self, found: Found, value: str) -> None:
        says = Text(
            f"«\u00a0{value}\u00a0» désigne déjà un autre dossier\u00a0; vérifiez lequel des deux le porte vraiment.",
            f"“{value}” already names another record; check which of the two really bears it.",
        )
        cause = f"name:{found.ref}/{value}"
        self.strangers.append((found.subject, Incident("name_taken", found.ref, f"{found.workflow}.name", says, cause)))

    def _give(self, collection: str, value: str, found: Found, kind: str, *, exclusive: bool) -> None:
        self.directory.add(collection, value, found)
        self.announced.add(f"{collection}/{value}")
        key = (collection, value, found.ref)
        before = self.new_names.get(key)
        self.new_names[key] = (found, kind, exclusive or (before is not None and before[2]))

    def settle_names(self) -> None:
        """Compares the names given with what the database has: those a case bears already are not written again, and an
        exclusive one that another case bears is shared, and shown to a person. One statement.
        """
        if not self.new_names:
            return
        values = sorted({value for _, value, _ in self.new_names})
        bearers: dict[tuple[str, str], set[str]] = {}
        for row in store.named(self.connection, self.tenant.id, values):
            bearers.setdefault((row.collection, row.value), set()).add(row.case_ref)
        for (collection, value, ref), (found, kind, exclusive) in list(self.new_names.items()):
            others = bearers.get((collection, value), set())
            if ref in others:
                del self.new_names[collection, value, ref]
            elif others and exclusive:
                self.new_names[collection, value, ref] = (found, kind, False)
                if kind != "sender":
                    self._note_taken(found, value)


def told(fault: BaseException) -> str:
    """A fault in one line that any database can keep."""
    return f"{type(fault).__name__}: {fault}".partition("\n")[0][:300].encode("utf-8", "backslashreplace").decode()


def wakes_again(now: datetime, errors: int) -> datetime | None:
    """When a timer that failed for the `errors`th time is tried again; None: not before a person says so."""
    return None if errors >= ERRORS_AT_MOST else now + FIRST_BACKOFF * 4 ** (errors - 1)


def timer_given_up(case: str, name: str, due_at: datetime, event: str, problem: str) -> Incident:
    """What a person is told of a timer that failed too often."""
    says = Text(
        f"Le minuteur «\u00a0{name}\u00a0» de {case} a échoué {ERRORS_AT_MOST} fois "
        f"et ne sera plus essayé\u00a0: {problem}",
        f"The timer “{name}” of {case} failed {ERRORS_AT_MOST} times and is not tried any more: {problem}",
    )
    return Incident("quarantined", case, event, says, f"timer:{case}/{name}/{due_at.isoformat()}/fault")
