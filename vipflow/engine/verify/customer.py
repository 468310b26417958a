"""One customer: what its history implies, held against what is stored of it (I1 to I8, I10)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from vipflow.case import CLOCK, Actor, Case, DueTimer, Tenant, View
from vipflow.decide import next_timer
from vipflow.engine.envelope import event_cause
from vipflow.engine.verify.chains import check_chain
from vipflow.engine.verify.fold import Story, Told, fold, has_facts
from vipflow.engine.verify.report import Findings
from vipflow.engine.writing import SUMMARY
from vipflow.facts import decode_facts
from vipflow.machine import Workflows
from vipflow.policy import Policy
from vipflow.store.tables import subjects

LONGEST_SENDING = timedelta(hours=1)
MESSAGE_STATES = frozenset({"waiting", "held", "sending", "sent", "superseded", "dead", "uncertain", "discarded"})

_decode_tally = msgspec.json.Decoder(dict[str, int]).decode


class Rows(NamedTuple):
    """What is stored of one customer."""

    subject: Any
    history: Sequence[Any]
    cases: Sequence[Any]
    timers: Sequence[Any]
    messages: Sequence[Any]


@dataclass
class Ground:
    """What the check of every customer stands on."""

    workflows: Workflows
    trade: Any
    findings: Findings
    now: datetime | None
    idle_at: datetime | None
    policies: dict[str, Policy] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    """Policies that cannot be had, each with why."""
    held: set[tuple[int | None, str | None]] = field(default_factory=set)
    """Tenant and subject of each hold in force that stops timers: what they stop is not late."""

    def holds(self, tenant: int, subject: str) -> bool:
        return not self.held.isdisjoint({(None, None), (tenant, None), (tenant, subject)})


class Customer:
    """One customer: its rows, and the checks over them."""

    def __init__(self, ground: Ground, key: str, tenant: Tenant | None, rows: Rows) -> None:
        self.ground = ground
        self.workflows = ground.workflows
        self.findings = ground.findings
        self.key = key
        self.tenant = tenant
        self.row, self.history, self.cases, _, self.messages = rows
        self.timers: defaultdict[str, list[Any]] = defaultdict(list)
        for timer in rows.timers:
            self.timers[timer.case_ref].append(timer)
        self.what = f"{self.workflows.root.title.en} {self.row.ref}"

    def check(self) -> Story:
        """Checks it all, and gives what its history implies."""
        self._count()
        self._check_sequence()
        check_chain(self.what, self.row.head, self.history, self._note)
        story = fold(self.history, self.workflows, self._note)
        self.findings.count("I6", story.fired)
        live = self._check_cases(story)
        self._check_timers(story)
        self._check_messages(story)
        self._check_summary(story, live)
        return story

    def _note(self, invariant: str, record: str, problem: str, remedy: str | None = None) -> None:
        self.findings.add(invariant, self.key, self.row.ref, record, problem, remedy)

    def _count(self) -> None:
        armed = sum(len(timers) for timers in self.timers.values())
        for invariant, records in (
            ("I1", 1),
            ("I2", len(self.cases)),
            ("I3", len(self.history)),
            ("I4", armed + len(self.messages)),
            ("I5", len(self.messages)),
            ("I6", armed),
            ("I7", len(self.messages)),
            ("I8", len(self.history)),
            ("I10", 1),
        ):
            self.findings.count(invariant, records)
        self.findings.subjects += 1
        self.findings.history += len(self.history)

    # --- history --------------------------------------------------------------------------------------------------

    def _check_sequence(self) -> None:
        expected = 1
        for row in self.history:
            if row.sequence > expected:
                gone = f"{expected}" if row.sequence == expected + 1 else f"{expected} to {row.sequence - 1}"
                self._note("I1", f"history {row.sequence}", f"history {gone} before it is missing")
            elif row.sequence < expected:
                self._note("I1", f"history {row.sequence}", "it is there twice, or numbered below 1")
            expected = max(expected, row.sequence + 1)
            self._check_cause(row)
        if self.row.sequence != expected - 1:
            self._note("I1", self.what, f"it says {self.row.sequence} history rows, and the last is {expected - 1}")

    def _check_cause(self, row: Any) -> None:
        """A row that an event caused has that event in the inbox, applied (I3)."""
        record = f"history {row.sequence}"
        if row.source is None:
            if row.cause.startswith("event:"):
                self._note("I3", record, f"its cause is {row.cause!r}, and it does not say which event that is")
            return
        own = event_cause(row.source, row.event_id)
        if row.cause != own and not row.cause.startswith(f"{own}/"):
            self._note("I3", record, f"its cause {row.cause!r} is not its event {row.source}/{row.event_id}")
        if row.inbox_verdict is None:
            self._note("I3", record, f"its event {row.source}/{row.event_id} was never received")
        elif row.inbox_verdict != "applied":
            self._note("I3", record, f"its event {row.source}/{row.event_id} has the verdict {row.inbox_verdict!r}")

    # --- cases ----------------------------------------------------------------------------------------------------

    def _check_cases(self, story: Story) -> dict[str, Case]:
        """The cases that could be read, those in settled states too."""
        if story.last is not None and story.cases:
            first = self.history[0]
            if first.case_ref != self.row.ref:
                self._note("I2", self.what, f"its history begins with {first.case_ref}, not with itself")
            elif self.row.opened_at != first.effective_at:
                is_, should = _shown(self.row.opened_at), _shown(first.effective_at)
                self._note("I2", self.what, f"it says it was opened at {is_}, and history says {should}")
        stored = {row.ref: row for row in self.cases}
        for ref, told in story.cases.items():
            if ref not in stored:
                self._note(
                    "I2",
                    f"case {ref}",
                    f"history opened this {told.workflow} and left it {told.state!r}; it is not stored",
                )
        found = {}
        for ref, row in stored.items():
            case = self._check_case(row, story.cases.get(ref))
            if case is not None:
                found[ref] = case
        return found

    def _check_case(self, row: Any, told: Told | None) -> Case | None:
        record = f"case {row.ref}"
        machine = self.workflows.get(row.workflow)
        if told is None:
            self._note("I2", record, "no history row tells of it")
        else:
            for what, is_, should in (
                ("workflow", row.workflow, told.workflow),
                ("state", row.state, told.state),
                ("policy", row.policy, told.policy),
                ("version", row.version, told.version),
                ("since", row.since, told.since),
                ("opened_at", row.opened_at, told.opened_at),
            ):
                if is_ != should:
                    self._note("I2", record, f"its {what} is {_shown(is_)}, and history says {_shown(should)}")
        if row.policy in self.ground.lost:
            self._note("I2", record, f"it pins the policy {row.policy}, {self.ground.lost[row.policy]}")
        if machine is None or row.state not in machine.states:
            known = "has no such state" if machine is not None else "is not among the workflow files"
            remedy = "put the file back, or run `vipflow workflow apply`"
            self._note(
                "I2", record, f"it is a {row.workflow} in state {row.state!r}, and that workflow {known}", remedy
            )
            return None
        if row.settled != (row.state in machine.settled):
            not_ = "" if row.settled else "not "
            self._note("I2", record, f"it is {not_}marked settled, and its state is {row.state!r}")
        try:
            facts = decode_facts(machine.facts, row.facts, row.facts_version)
        except Exception as wrong:  # an upgrade may raise anything
            self._note("I2", record, f"its facts cannot be read: {wrong}")
            return None
        if told is not None and not has_facts(told, machine, facts):
            self._note("I2", record, f"its facts are not those that history tells{_differing(facts, told)}")
        timers = tuple(DueTimer(timer.name, timer.event, timer.due_at) for timer in self.timers.get(row.ref, ()))
        return Case(row.ref, row.workflow, row.state, facts, row.policy, row.since, row.opened_at, row.version, timers)

    # --- timers ---------------------------------------------------------------------------------------------------

    def _check_timers(self, story: Story) -> None:
        states = {row.ref: row for row in self.cases}
        for ref in sorted({*story.cases, *self.timers}):
            told = story.cases.get(ref)
            implied = told.timers if told is not None else {}
            stored = {timer.name: timer for timer in self.timers.get(ref, ())}
            for name in sorted(implied.keys() - stored.keys()):
                self._note(
                    "I4",
                    f"timer {ref}/{name}",
                    f"history armed it for {_shown(implied[name].due_at)}, and it is not there",
                )
            for name, timer in stored.items():
                record = f"timer {ref}/{name}"
                armed = implied.get(name)
                if armed is None or told is None:
                    self._note("I4", record, "it is armed, and history does not say so")
                elif (timer.event, timer.due_at, timer.workflow) != (*armed, told.workflow):
                    is_ = f"{timer.workflow}.{timer.event} at {_shown(timer.due_at)}"
                    should = f"{told.workflow}.{armed.event} at {_shown(armed.due_at)}"
                    self._note("I4", record, f"it is armed for {is_}, and history armed it for {should}")
                elif timer.armed_by not in told.rows:
                    self._note(
                        "I4", record, f"it says that history {timer.armed_by} armed it, which is no row of its case"
                    )
                self._check_armed(record, timer, states.get(ref))

    def _check_armed(self, record: str, timer: Any, case: Any) -> None:
        declared = self._declared(case) if case is not None else None
        if declared is not None and timer.name not in declared:
            remedy = "run `vipflow workflow apply` if the workflow file has changed"
            problem = f"it is armed, and a {case.workflow} in state {case.state!r} has no such timer"
            self._note("I6", record, problem, remedy)
        idle_at = self.ground.idle_at
        if self.ground.holds(self.row.tenant, self.row.ref):
            idle_at = None
        if idle_at is not None and timer.wake_at is not None and max(timer.wake_at, timer.due_at) <= idle_at:
            self._note(
                "I6",
                record,
                f"it was due at {_shown(timer.due_at)} and has not fired",
                "start the daemon, or run a sweep",
            )

    def _declared(self, case: Any) -> set[str] | None:
        """The names of the timers that a case in its state may have; None where that cannot be said."""
        machine, policy = self.workflows.get(case.workflow), self.ground.policies.get(case.policy)
        if machine is None or policy is None or case.state not in machine.states:
            return None
        return {timer.name for timer in machine.timers_of(case.state, policy)}

    # --- messages -------------------------------------------------------------------------------------------------

    def _check_messages(self, story: Story) -> None:
        stored = {row.key: row for row in self.messages}
        for key in sorted(story.messages.keys() - stored.keys()):
            self._note("I4", f"message {key}", f"history {story.messages[key].sequence} wrote it, and it is not there")
        for key, row in stored.items():
            record = f"message {key}"
            told = story.messages.get(key)
            if told is None:
                self._note("I4", record, "it is there, and no history row wrote it")
            elif row.case_ref != told.case_ref or not key.startswith(f"{told.case_ref}:{told.sequence}:"):
                self._note(
                    "I4", record, f"it is of {row.case_ref}, and history {told.sequence} wrote it for {told.case_ref}"
                )
            elif row.workflow != told.workflow:
                self._note("I4", record, f"it is of a {row.workflow}, and {told.case_ref} is a {told.workflow}")
            elif row.effective_at != told.effective_at:
                is_, should = _shown(row.effective_at), _shown(told.effective_at)
                self._note("I4", record, f"it took effect at {is_}, and history {told.sequence} at {should}")
            self._check_message(record, row)

    def _check_message(self, record: str, row: Any) -> None:
        if row.state not in MESSAGE_STATES:
            self._note("I5", record, f"its state {row.state!r} is none that a message can have")
        if row.copies > row.attempts:
            self._note("I5", record, f"{row.copies} copies left in {row.attempts} attempts")
        if row.failures > row.attempts:
            self._note("I5", record, f"it was put off {row.failures} times in {row.attempts} attempts")
        if row.state in ("held", "dead", "uncertain") and not row.note:
            self._note("I5", record, f"it is {row.state}, and nothing says why")
        if row.state == "sent":
            lacking = [what for what in ("sent_at", "content_hash", "message_id") if getattr(row, what) is None]
            if row.copies < 1:
                lacking.append("copies")
            if lacking:
                self._note("I5", record, f"it was sent, and has no {', '.join(lacking)}")
        elif row.state == "sending":
            since = row.claimed_at or max(row.created_at, row.not_before)
            if self.ground.now is not None and self.ground.now - since > LONGEST_SENDING:
                self._note(
                    "I5",
                    record,
                    f"it is still marked as being sent, since {_shown(since)}",
                    "a process stopped while sending: look whether it arrived, then send it again or discard it",
                )
        elif row.copies and row.state == "waiting" and not row.note:
            self._note("I7", record, f"{row.copies} of it left already, and nothing says why it waits again")
        if row.sent_at is not None and row.state != "sent":
            self._note("I7", record, f"it was sent at {_shown(row.sent_at)}, and is {row.state} again")

    # --- the summary ----------------------------------------------------------------------------------------------

    def _check_summary(self, story: Story, found: Mapping[str, Case]) -> None:
        self._check_tally()
        if self.tenant is None or story.last is None:
            return
        oldest_first = sorted(found.values(), key=lambda case: (case.opened_at, case.ref))
        live = {case.ref: case for case in oldest_first if case.state not in self.workflows[case.workflow].settled}
        last = story.last
        view = View(
            tenant=self.tenant,
            subject=self.row.ref,
            root=self.workflows.subject_workflow,
            cases=live,
            sequence=self.row.sequence,
            tally=self._tally(),
            policies=self.ground.policies,
            trade=self.ground.trade,
            at=last.effective_at,
            now=last.recorded_at,
            actor=Actor(last.actor_kind, last.actor or "") if last.actor_kind != "clock" else CLOCK,
            reason=last.reason,
        )
        try:
            summary = dict(self.ground.trade.summary(view))
        except Exception as wrong:  # whatever a trade's function raises over facts that should not be
            self._note("I10", self.what, f"it cannot be summed up: {type(wrong).__name__}: {wrong}")
            return
        due = next_timer(view)
        if due is not None:
            summary["next_due"], summary["next_event"] = due[1].due_at, f"{due[0].workflow}.{due[1].event}"
        for column in SUMMARY:
            is_, should = getattr(self.row, column), summary.get(column, _EMPTY.get(column))
            if is_ != should:
                self._note("I10", self.what, f"its {column} is {_shown(is_)}, and its cases say {_shown(should)}")

    def _tally(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for row in self.cases:
            machine = self.workflows.get(row.workflow)
            if machine is not None and row.state in machine.settled:
                counts[f"{row.workflow}.{row.state}"] += 1
        return dict(counts)

    def _check_tally(self) -> None:
        counted = self._tally()
        try:
            kept = _decode_tally(self.row.tally)
        except msgspec.MsgspecError as wrong:
            self._note("I10", self.what, f"its tally of settled cases cannot be read: {wrong}")
            return
        if kept != counted:
            self._note("I10", self.what, f"its tally of settled cases is {kept}, and there are {counted}")


# What a column holds of which the trade says nothing: "", 0 or False where it may not be null.
_EMPTY = {name: subjects.c[name].type.python_type() for name in SUMMARY if not subjects.c[name].nullable}


def _differing(facts: Any, told: Told) -> str:
    plain = msgspec.to_builtins(facts)
    names = sorted(name for name, value in plain.items() if told.facts and told.facts[-1][1].get(name) != value)
    return f": {', '.join(names)}" if names else ""


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ").replace(".000000Z", "Z")
    return repr(value)
