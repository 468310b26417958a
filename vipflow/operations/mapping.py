"""What becomes of stored cases when a workflow file changed: each state and each timer that it no longer declares,
mapped to one that it does; shown first, then done through the engine, case by case, with a row of history each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import msgspec

from vipflow.amending import Amendment
from vipflow.case import Actor
from vipflow.engine import Engine
from vipflow.engine.amending import AT_ONCE, Answer, amend_cases, foresee
from vipflow.engine.fit import Stranded, all_stranded, policies_of, remember, states_added
from vipflow.errors import BadInput, did_you_mean, listed
from vipflow.machine import Machine
from vipflow.operations.daemons import known_daemons
from vipflow.operations.installation import Installation
from vipflow.operations.mapping_wishes import Wishes
from vipflow.operations.who import OPERATOR
from vipflow.policy import Policy
from vipflow.store import stored

FORESEEN = 2_000
"""Cases of which it is worked out beforehand what would fall due at once."""
ACT = "workflow.apply"


class StateMapped(msgspec.Struct, frozen=True):
    """A state that the file does not declare, and what its cases become; None: nobody has said so yet."""

    workflow: str
    state: str
    becomes: str | None
    cases: int
    proposed: bool
    why: str = ""


class TimerMapped(msgspec.Struct, frozen=True):
    """An armed timer that the file does not declare in the state that its cases will be in.

    `how`: kept under the name it `becomes`, with its day; counted anew as that; dropped; or open: nobody has said.
    """

    workflow: str
    state: str
    timer: str
    becomes: str | None
    how: str
    timers: int
    proposed: bool


class Plan(msgspec.Struct, frozen=True):
    """What `apply` would do. `open`: what must be said first. `cannot`: what no mapping mends. `notes`: what else
    changes.
    """

    states: Sequence[StateMapped]
    timers: Sequence[TimerMapped]
    cases: int = 0
    armed: int = 0
    dropped: int = 0
    at_once: int = 0
    foreseen: int = 0
    held_back: Sequence[str] = ()
    open: Sequence[str] = ()
    cannot: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        """Whether everything stored fits the files as it is."""
        return not (self.states or self.timers or self.cannot)


class Applied(msgspec.Struct, frozen=True):
    """What was done. `left`: cases that stay as they are, with why; `fits`: whether all is well now."""

    plan: Plan
    amended: int
    left: Sequence[str]
    fits: bool


# --- the plan ------------------------------------------------------------------------------------------------------


def plan(installation: Installation, wishes: Wishes, *, reason: str = "workflow apply") -> Plan:
    """What would become of what the files no longer declare; touches nothing. Raises BadInput for a wish that fits
    nothing.
    """
    return _Planning(installation, wishes).plan(reason)


class _Planning:
    def __init__(self, installation: Installation, wishes: Wishes) -> None:
        self.installation = installation
        self.workflows = installation.workflows
        self.wishes = wishes
        self.open: list[str] = []
        self.cannot: list[str] = []
        self.states: dict[tuple[str, str], StateMapped] = {}
        self.timers: dict[tuple[str, str, str], TimerMapped] = {}
        self.of_group: dict[tuple[str, str, str], dict[str, str | None]] = {}
        """(workflow, state, policy) → what each timer that needs it becomes."""
        self.rows: list[stored.StoredTimer] = []
        self.gone: list[tuple[str, str]] = []
        self.added: Mapping[str, frozenset[str]] = {}
        self.policies: Mapping[str, Policy] = {}

    def plan(self, reason: str) -> Plan:
        self.look()
        counted = _Counted()
        if not self.open and (self.states or self.timers):
            counted = self._foreseen(reason)
        return Plan(
            list(self.states.values()),
            list(self.timers.values()),
            counted.cases,
            counted.armed,
            counted.dropped,
            counted.at_once,
            counted.foreseen,
            counted.left,
            self.open,
            self.cannot,
            self._notes(),
        )

    def look(self) -> None:
        """Fills in what each state and each timer becomes."""
        with self.installation.database.read() as connection:
            stranded = all_stranded(connection, self.workflows, self.installation.trade)
            names = sorted({each.workflow for each in stranded if self.workflows.get(each.workflow) is not None})
            self.rows = stored.stored_timers(connection, names)
            self.policies = policies_of(connection, self.installation.trade, {row.policy for row in self.rows})
            self.added = {name: states_added(connection, self.workflows[name]) for name in names}
        self.gone = [(each.workflow, each.name) for each in stranded if each.what == "state"]
        self._check_wishes()
        for each in stranded:
            if each.what in ("workflow", "facts", "settled"):
                self.cannot.append(each.says)
            elif each.what == "state":
                self._state(self.workflows[each.workflow], each)
        for row in self.rows:
            self._timer(row)

    def _check_wishes(self) -> None:
        problems = []
        for (workflow, state), becomes in self.wishes.states.items():
            machine = self.workflows.get(workflow)
            if machine is None:
                problems.append(f"there is no workflow {workflow}{did_you_mean(workflow, self.workflows.machines)}")
            elif becomes not in machine.states:
                near = did_you_mean(becomes, machine.states) or f"; there are {', '.join(machine.states)}"
                problems.append(f"{workflow} declares no state {becomes}{near}")
            elif state in machine.states:
                problems.append(f"{workflow} declares {state}: its cases stay there, and events move them")
        for workflow, timer in self.wishes.timers:
            if self.workflows.get(workflow) is None:
                near = did_you_mean(workflow, self.workflows.machines)
                problems.append(f"the timer {workflow}.{timer}: there is no workflow {workflow}{near}")
        if problems:
            raise BadInput("the mapping", listed(problems), "nothing was done")

    def _state(self, machine: Machine, each: Stranded) -> None:
        wish = self.wishes.states.get((machine.name, each.name))
        becomes = wish or self._proposed_state(machine, each.name)
        self.states[machine.name, each.name] = StateMapped(
            machine.name, each.name, becomes, each.count, proposed=wish is None
        )
        if becomes is None:
            self.open.append(
                f"say what the {each.count:,} cases of {machine.name} in {each.name} become: "
                f"--state {machine.name}.{each.name}=<state>; there are {', '.join(machine.states)}"
            )

    def _proposed_state(self, machine: Machine, state: str) -> str | None:
        """What a state most likely became: one of nearly its name, else the one that is new, where one is gone."""
        near = get_close_matches(state, machine.states, n=1)
        if near:
            return near[0]
        added = self.added[machine.name]
        gone = [name for workflow, name in self.gone if workflow == machine.name]
        return next(iter(added)) if len(added) == len(gone) == 1 else None

    def _timer(self, row: stored.StoredTimer) -> None:
        machine = self.workflows[row.workflow]
        mapped = self.states.get((row.workflow, row.state))
        state = mapped.becomes if mapped is not None else row.state
        policy = self.policies.get(row.policy)
        if state is None or policy is None or state not in machine.states:
            return
        declared = {timer.name: timer.event for timer in machine.timers_of(state, policy)}
        if row.name in declared:
            return
        said = self._said(row, declared)
        becomes, how = said if said is not None else _proposed(row, declared)
        key = (row.workflow, row.state, row.name)
        before = self.timers.get(key)
        count = row.count + (before.timers if before is not None else 0)
        self.timers[key] = TimerMapped(row.workflow, row.state, row.name, becomes, how, count, proposed=said is None)
        if how == "open":
            there = ", ".join(f"“{name}”" for name in declared) or "none"
            self.open.append(
                f"say what the timer “{row.name}” of {row.workflow} in {state} becomes: "
                f'--timer "{row.workflow}.{row.name}=<timer>" or --drop-timer "{row.workflow}.{row.name}"; '
                f"timers there: {there}"
            )
            return
        group = self.of_group.setdefault((row.workflow, row.state, row.policy), {})
        group[row.name] = becomes if how == "kept" else None

    def _said(self, row: stored.StoredTimer, declared: Mapping[str, str]) -> tuple[str | None, str] | None:
        """What somebody said of this timer, by its name or by its event."""
        for named in (row.name, row.event):
            if (row.workflow, named) not in self.wishes.timers:
                continue
            wish = self.wishes.timers[row.workflow, named]
            if wish is None:
                return None, "dropped"
            rule = row.name.removeprefix(row.event)
            names = [name for name, event in declared.items() if event == wish]
            for name in (wish, wish + rule, *(names if len(names) == 1 else ())):
                if name in declared:
                    return name, "kept"
            there = ", ".join(f"“{name}”" for name in declared) or "none"
            near = did_you_mean(wish, [*declared, *declared.values()])
            raise BadInput(
                "the mapping",
                f"{row.workflow} declares no timer {wish!r} for cases in {row.state}{near}",
                f"there: {there}",
            )
        return None

    # --- what it would do -----------------------------------------------------------------------------------------

    def amendments(self, after: tuple[int, str], workflow: str) -> tuple[list[stored.StoredCase], list[Amendment]]:
        """The next cases of a workflow that must be amended, and how."""
        states = [state for (name, state), mapped in self.states.items() if name == workflow and mapped.becomes]
        timers = sorted({timer for (name, _, timer) in self.timers if name == workflow})
        with self.installation.database.read() as connection:
            rows = stored.cases_to_amend(connection, workflow, states, timers, after, AT_ONCE)
        found = []
        for row in rows:
            mapped = self.states.get((workflow, row.state))
            of_timers = self.of_group.get((workflow, row.state, row.policy), {})
            if mapped is not None or of_timers:
                state = mapped.becomes if mapped is not None else None
                found.append(Amendment(row.ref, state=state, timers=of_timers))
        return rows, found

    def concerned(self) -> list[str]:
        """The workflows of which something is mapped."""
        return sorted({name for name, _ in self.states} | {name for name, _, _ in self.timers})

    def _foreseen(self, reason: str) -> _Counted:
        counted = _Counted()
        engine = _engine(self.installation)
        for workflow in self.concerned():
            for tenant, amendments in self.pages(workflow):
                counted.cases += len(amendments)
                if counted.foreseen < FORESEEN:
                    with self.installation.database.read() as connection:
                        now = engine.read_now(connection)
                        for answer in foresee(engine.batch(connection, tenant, now), amendments, _ACTOR, reason):
                            counted.take(answer, now)
        return counted

    def pages(self, workflow: str) -> Iterator[tuple[int, list[Amendment]]]:
        """What is to be amended, a page at a time, each of one tenant."""
        after = (-1, "")
        while True:
            rows, found = self.amendments(after, workflow)
            if not rows:
                return
            tenants = {row.ref: row.tenant for row in rows}
            for tenant in sorted(set(tenants.values())):
                mine = [each for each in found if tenants[each.case] == tenant]
                if mine:
                    yield tenant, mine
            after = (rows[-1].tenant, rows[-1].ref)

    def _notes(self) -> list[str]:
        """What nothing need be done about, and should be known."""
        notes = []
        with self.installation.database.read() as connection:
            for workflow, template, count in stored.waiting_mails(connection):
                machine = self.workflows.get(workflow)
                if machine is None or template not in {email.template for email in machine.emails}:
                    mails = "mail waits" if count == 1 else "mails wait"
                    notes.append(
                        f"{count:,} {mails} to leave that {workflow} no longer sends ({template}); they will not leave"
                    )
            for type_, count in stored.parked_types(connection):
                if type_ not in self.workflows.from_outside:
                    near = did_you_mean(type_, self.workflows.from_outside)
                    events = "event waits" if count == 1 else "events wait"
                    notes.append(
                        f"{count:,} {events} for a case, of a type that no file declares any more: {type_}{near}"
                    )
        return notes


@dataclass
class _Counted:
    cases: int = 0
    armed: int = 0
    dropped: int = 0
    at_once: int = 0
    foreseen: int = 0
    left: list[str] = field(default_factory=list)

    def take(self, answer: Answer, now: Any) -> None:
        self.foreseen += 1
        if answer.left:
            self.left.append(_left(answer))
        if answer.amended is None:
            return
        for timer in answer.amended.timers:
            self.armed += timer.before is None
            self.dropped += timer.after is None
        if answer.step is not None:
            self.at_once += sum(timer.due_at <= now for timer in answer.step.after.timers)


def _proposed(row: stored.StoredTimer, declared: Mapping[str, str]) -> tuple[str | None, str]:
    """The same rule under another event keeps its day; the same event by another rule is counted anew."""
    rule = row.name.removeprefix(row.event)
    by_rule = [name for name, event in declared.items() if name.removeprefix(event) == rule]
    by_event = [name for name, event in declared.items() if event == row.event]
    if by_event:
        return by_event[0] if len(by_event) == 1 else None, "counted anew"
    if len(by_rule) == 1:
        return by_rule[0], "kept"
    return None, "open"


# --- doing it ------------------------------------------------------------------------------------------------------

_ACTOR = Actor("staff", OPERATOR)


def apply(
    installation: Installation,
    wishes: Wishes,
    *,
    reason: str,
    told: Callable[[int], None] = lambda _: None,
) -> Applied:
    """Does what `plan` shows, a few hundred cases in a transaction; `told` hears how many are done.

    Each case gets a row of history, and each transaction an act in the audit. Broken off it goes on where it stopped,
    and done again it does nothing. Raises BadInput while something must be said first, or a daemon is at work with the
    files it has read.
    """
    _check_nobody_works(installation)
    planning = _Planning(installation, wishes)
    shown = planning.plan(reason)
    if shown.open:
        raise BadInput("the mapping", listed(shown.open), "nothing was done")
    if shown.cannot and not (shown.states or shown.timers):
        raise BadInput("what is stored", listed(shown.cannot), "nothing was done")
    engine = _engine(installation)
    amended, left = 0, []
    for workflow in planning.concerned():
        details = {
            "states": {e.state: e.becomes for e in shown.states if e.workflow == workflow},
            "timers": {
                e.timer: e.becomes if e.how == "kept" else e.how for e in shown.timers if e.workflow == workflow
            },
        }
        for tenant, amendments in planning.pages(workflow):
            answers = amend_cases(
                engine, tenant, amendments, _ACTOR, reason, act=ACT, target=f"workflow/{workflow}", details=details
            )
            amended += sum(1 for answer in answers if answer.amended is not None)
            left += [_left(answer) for answer in answers if answer.left]
            told(amended)
    with installation.database.read() as connection:
        fits = not all_stranded(connection, installation.workflows, installation.trade)
    if fits:
        with installation.database.write() as connection:
            remember(connection, installation.workflows)
    return Applied(shown, amended, left, fits)


def _engine(installation: Installation) -> Engine:
    """An engine that may amend although not everything fits: that is what it is for."""
    return Engine(installation.database, installation.workflows, installation.trade, installation.clock)


def _check_nobody_works(installation: Installation) -> None:
    at_work = [each for each in known_daemons(installation, everybody=False) if each.state == "alive"]
    if at_work:
        where = ", ".join(f"process {each.pid} on {each.host}" for each in at_work)
        raise BadInput(
            "the daemon", f"it is at work with the files that it has read ({where})", "stop it, apply, then start it"
        )


def _left(answer: Answer) -> str:
    return f"{answer.case}: {'; '.join(reason.says.en for reason in answer.left)}"
