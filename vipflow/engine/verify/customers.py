"""One customer after the other: what its history implies, held against what is stored of it (I1, I2, I4 to I7, I10)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from vipflow.case import CLOCK, Actor, Case, DueTimer, Tenant, View
from vipflow.decide import next_timer
from vipflow.engine.tenants import load_tenants
from vipflow.engine.verify.fold import Given, Story, Told, fold, has_facts, names_given, remembered_facts
from vipflow.engine.verify.report import Findings
from vipflow.engine.writing import SUMMARY
from vipflow.facts import decode_facts
from vipflow.machine import Workflows
from vipflow.policy import Policy
from vipflow.store import verify as store
from vipflow.store.policies import policies_by_id
from vipflow.store.tables import subjects

PAGE = 200
"""Customers read at once."""
MOST_POLICIES = 5000
"""Kept in memory; then they are read anew."""
LONGEST_SENDING = timedelta(hours=1)

MESSAGE_STATES = frozenset({"waiting", "held", "sending", "sent", "superseded", "dead", "uncertain", "discarded"})

_decode_tally = msgspec.json.Decoder(dict[str, int]).decode

Progress = Callable[[int, int], None]
"""Told how many customers were looked at, and how many there are."""


class Customers:
    """The customers of all tenants, in key order, a page at a time."""

    def __init__(
        self,
        connection: Connection,
        workflows: Workflows,
        trade: Any,
        findings: Findings,
        now: datetime | None,
        idle_at: datetime | None,
    ) -> None:
        self.connection = connection
        self.workflows = workflows
        self.trade = trade
        self.findings = findings
        self.now = now
        self.idle_at = idle_at
        self.policies: dict[str, Policy] = {}
        self.lost: dict[str, str] = {}
        """Policies that cannot be had, each with why."""

    def check(self, progress: Progress | None) -> None:
        """All customers of all tenants."""
        total = store.count_subjects(self.connection)
        for number, key in store.tenant_keys(self.connection).items():
            tenant = self._tenant(number, key)
            matched = 0
            after = ""
            while page := store.subjects_after(self.connection, number, after, PAGE):
                matched += self._check_page(number, key, tenant, after, page)
                after = page[-1].ref
                if progress is not None:
                    progress(self.findings.subjects, total)
            if matched != store.count_names(self.connection, number):
                self._find_extra_names(number, key)

    def _tenant(self, number: int, key: str) -> Tenant | None:
        try:
            return load_tenants(self.connection, self.trade, [number])[number]
        except Exception as wrong:  # the trade reads its settings as it likes
            self.findings.add(
                "I10", key, None, f"tenant {key}", f"its settings cannot be read, so no summary was: {wrong}"
            )
            return None

    def _check_page(self, number: int, key: str, tenant: Tenant | None, after: str, rows: Sequence[Any]) -> int:
        """How many of the stored names are as the page's histories imply."""
        page = store.page_of(self.connection, number, after, rows[-1].ref)
        self._load_policies({row.policy for row in page.cases})
        history, cases, timers, messages = (_by_subject(each) for each in page)
        names: dict[tuple[str, str, str], tuple[str, Given]] = {}
        for row in rows:
            ref = row.ref
            check = _Customer(self, key, tenant, row, history[ref], cases[ref], timers[ref], messages[ref])
            names.update({name: (ref, how) for name, how in check.run().names.items()})
        return self._check_names(number, key, names)

    def _load_policies(self, wanted: set[str]) -> None:
        if len(self.policies) > MOST_POLICIES:
            self.policies.clear()
        unknown = sorted(wanted - self.policies.keys() - self.lost.keys())
        rows = policies_by_id(self.connection, unknown) if unknown else {}
        for wanted_id in unknown:
            row = rows.get(wanted_id)
            try:
                policy = self.trade.restore_policy(row.body) if row is not None else None
            except Exception as wrong:  # the trade reads it
                self.lost[wanted_id] = f"which cannot be read: {wrong}"
                continue
            if policy is None:
                self.lost[wanted_id] = "which is not kept"
            elif policy.id != wanted_id:
                self.lost[wanted_id] = f"whose kept numbers are those of {policy.id}"
            else:
                self.policies[wanted_id] = policy

    # --- names ----------------------------------------------------------------------------------------------------

    def _check_names(self, number: int, key: str, implied: Mapping[tuple[str, str, str], tuple[str, Given]]) -> int:
        self.findings.count("I4", len(implied))
        if not implied:
            return 0
        stored = {
            (row.collection, row.value, row.case_ref): row
            for row in store.names_among(self.connection, number, sorted({value for _, value, _ in implied}))
        }
        bearers = Counter((collection, value) for collection, value, _ in stored)
        matched = 0
        for name, (subject, how) in implied.items():
            collection, value, case = name
            record = f"name {collection}/{value}"
            row = stored.get(name)
            if row is None:
                self.findings.add("I4", key, subject, record, f"history gave it to {case}, and it is not stored")
                continue
            matched += 1
            if row.subject != subject:
                self.findings.add("I4", key, subject, record, f"it leads to {row.subject}, and {case} is of {subject}")
            if row.kind not in how.kinds:
                self.findings.add(
                    "I4",
                    key,
                    subject,
                    record,
                    f"it is stored as {row.kind}, and history gave it as {' or '.join(sorted(how.kinds))}",
                )
            if row.exclusive and not how.exclusive:
                self.findings.add(
                    "I4", key, subject, record, "it is stored as exclusive, and its workflow lets several cases bear it"
                )
            elif how.exclusive and not row.exclusive and bearers[collection, value] == 1:
                self.findings.add(
                    "I4", key, subject, record, f"{case} alone bears it and it is not stored as exclusive"
                )
        return matched

    def _find_extra_names(self, number: int, key: str) -> None:
        """Only when their count says that there are some: each costs a look at the history of its case."""
        for row in store.all_names(self.connection, number):
            if (row.collection, row.value) not in self._names_of(number, row.case_ref, row.subject):
                record = f"name {row.collection}/{row.value}"
                self.findings.add(
                    "I4", key, row.subject, record, f"it names {row.case_ref}, and history never gave it that name"
                )

    def _names_of(self, number: int, case: str, subject: str) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for row in store.rows_of_case(self.connection, number, case):
            machine = self.workflows.get(row.workflow)
            if machine is None or row.subject != subject:
                continue
            try:
                after, given = remembered_facts(row)
            except msgspec.MsgspecError:
                continue  # said with the history of its customer
            found |= {name for name, _ in names_given(machine, row, after, given)}
        return found


class _Customer:
    """One customer: its rows, and the checks over them."""

    def __init__(
        self,
        all_: Customers,
        key: str,
        tenant: Tenant | None,
        row: Any,
        history: Sequence[Any],
        cases: Sequence[Any],
        timers: Sequence[Any],
        messages: Sequence[Any],
    ) -> None:
        self.all = all_
        self.workflows = all_.workflows
        self.findings = all_.findings
        self.key = key
        self.tenant = tenant
        self.row = row
        self.history = history
        self.cases = cases
        self.timers: dict[str, list[Any]] = defaultdict(list)
        for timer in timers:
            self.timers[timer.case_ref].append(timer)
        self.messages = messages
        self.what = f"{all_.workflows.root.title.en} {row.ref}"

    def run(self) -> Story:
        """Checks it all, and gives what its history implies."""
        self._count()
        self._check_sequence()
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
        own = f"event:{row.source}/{row.event_id}"
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
        return {ref: found[ref] for ref in (*story.cases, *found) if ref in found}

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
        if row.policy in self.all.lost:
            self._note("I2", record, f"it pins the policy {row.policy}, {self.all.lost[row.policy]}")
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
        idle_at = self.all.idle_at
        if idle_at is not None and timer.wake_at is not None and max(timer.wake_at, timer.due_at) <= idle_at:
            self._note(
                "I6",
                record,
                f"it was due at {_shown(timer.due_at)} and has not fired",
                "start the daemon, or run a sweep",
            )

    def _declared(self, case: Any) -> set[str] | None:
        """The names of the timers that a case in its state may have; None where that cannot be said."""
        machine, policy = self.workflows.get(case.workflow), self.all.policies.get(case.policy)
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
        if row.state == "sent":
            lacking = [what for what in ("sent_at", "content_hash", "message_id") if getattr(row, what) is None]
            if row.copies < 1:
                lacking.append("copies")
            if lacking:
                self._note("I5", record, f"it was sent, and has no {', '.join(lacking)}")
        elif row.state == "sending":
            since = max(row.created_at, row.not_before)
            if self.all.now is not None and self.all.now - since > LONGEST_SENDING:
                self._note(
                    "I5",
                    record,
                    f"it is still marked as being sent, and could leave since {_shown(since)}",
                    "a process stopped while sending: look whether it arrived, then send it again or discard it",
                )
        elif row.sent_at is not None and row.state not in ("uncertain", "dead"):
            self._note("I7", record, f"it was sent at {_shown(row.sent_at)}, and is {row.state} again")
        elif row.copies and row.state in ("waiting", "held"):
            self._note("I7", record, f"{row.copies} of it left already, and it is {row.state} again")

    # --- the summary ----------------------------------------------------------------------------------------------

    def _check_summary(self, story: Story, found: Mapping[str, Case]) -> None:
        self._check_tally()
        if self.tenant is None or story.last is None:
            return
        live = {ref: case for ref, case in found.items() if case.state not in self.workflows[case.workflow].settled}
        last = story.last
        view = View(
            tenant=self.tenant,
            subject=self.row.ref,
            root=self.workflows.subject_workflow,
            cases=live,
            sequence=self.row.sequence,
            tally=self._tally(),
            policies=self.all.policies,
            trade=self.all.trade,
            at=last.effective_at,
            now=last.recorded_at,
            actor=Actor(last.actor_kind, last.actor or "") if last.actor_kind != "clock" else CLOCK,
            reason=last.reason,
        )
        try:
            summary = dict(self.all.trade.summary(view))
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


def _by_subject(rows: Sequence[Any]) -> defaultdict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.subject].append(row)
    return found


def _differing(facts: Any, told: Told) -> str:
    plain = msgspec.to_builtins(facts)
    names = sorted(name for name, value in plain.items() if told.facts and told.facts[-1][1].get(name) != value)
    return f": {', '.join(names)}" if names else ""


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ").replace(".000000Z", "Z")
    return repr(value)
