"""What an event does to a case, decided and nothing else: no clock, no database, no randomness, no rendering.

`decide` answers with a Decision (the steps, in order, as history will tell them), a Refusal with its reasons, or
Stale. Forecast, explain, simulate and the tests call this same function on copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from vipflow.between import DEEPEST_CHAIN
from vipflow.case import CLOCK, Case, Decision, DueTimer, Event, Incident, Message, Outcome, Refusal, Stale, Step, View
from vipflow.errors import WorkflowError
from vipflow.machine import BoundTimer, Edge, Machine, Workflows
from vipflow.policy import Policy
from vipflow.references import reference
from vipflow.workflow import INTERNAL, REPORT, REQUEST, Email, NoData, Opening, Reason, Send, Text

NO_DATA = NoData()
MOMENT = timedelta(microseconds=1)
"""The least that two instants differ by: a reminder due at the very instant of arrival still lies ahead."""


class IncidentNotice(NoData, frozen=True):
    """What a subject's workflow is told of an incident: `kind`, the case, the event's type, and the sentence."""

    kind: str = ""
    case: str | None = None
    event: str = ""
    says: Text = Text("", "")


def decide(workflows: Workflows, event: Event, view: View) -> Outcome:
    """What `event` does to the subject that `view` shows.

    The case must be loaded (`view.named` raises NotLoaded otherwise, for `apply` to load it and ask again). A report
    is never refused: where it contradicts the case it is recorded as it is, with an incident. In a request's chain of
    follow-ups the refusal of one refuses all; in any other chain it becomes an incident and the rest stands.
    """
    chain = _Chain(workflows, event, view)
    first = chain.begin()
    if first is not None:
        return first
    return chain.finish()


def fire(workflows: Workflows, case: Case, timer: DueTimer, view: View) -> Outcome:
    """`decide` for a timer that fell due; its effective instant is its due instant, however late we are."""
    return decide(workflows, timer_event(case, timer), view)


def timer_event(case: Case, timer: DueTimer) -> Event:
    """The event that a due timer is. Its cause names case, timer, due instant and the case's version, so that it counts
    once, and again only where the case came back and armed it anew.
    """
    due = timer.due_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    cause = f"timer:{case.ref}/{timer.name}/{due}#{case.version}"
    return Event(case.workflow, timer.event, timer.due_at, NO_DATA, CLOCK, cause, case=case.ref, fired=timer)


def next_timer(view: View) -> tuple[Case, DueTimer] | None:
    """The timer of the subject that falls due first, by (due, case, name)."""
    found: tuple[Case, DueTimer] | None = None
    for case in view.cases.values():
        for timer in case.timers:
            if found is not None and timer.due_at > found[1].due_at:
                continue
            if found is None or _falls_due(case, timer) < _falls_due(*found):
                found = (case, timer)
    return found


def _falls_due(case: Case, timer: DueTimer) -> tuple[datetime, str, str]:
    return timer.due_at, case.ref, timer.name


def obstacles(
    machine: Machine, case: Case, event: str, data: Any, view: View
) -> tuple[Edge | None, tuple[Reason, ...]]:
    """The edge that `event` would take from the case's state, or why it takes none. `view` stands at the case."""
    edges = machine.edges.get((case.state, event))
    if edges is None:
        change = machine.changes.get(event)
        said = change.otherwise(case.facts, data, view) if change is not None and change.otherwise is not None else None
        return None, (said or _not_in_this_state(machine, case, event),)
    against: dict[str, Reason] = {}
    for edge in edges:
        clear = True
        for guard in edge.unless:
            reason = guard(case.facts, data, view)
            if reason is not None:
                clear = False
                against.setdefault(reason.code, reason)
        if clear:
            return edge, ()
    return None, tuple(against.values())


def opening_obstacles(opening: Opening, data: Any, view: View) -> tuple[Reason, ...]:
    """Why a case cannot be opened so. `view.case` is None."""
    found: dict[str, Reason] = {}
    for guard in opening.unless:
        reason = guard(None, data, view)
        if reason is not None:
            found.setdefault(reason.code, reason)
    return tuple(found.values())


class _Chain:
    """One event and its follow-ups: the steps so far and the view after them."""

    def __init__(self, workflows: Workflows, event: Event, view: View) -> None:
        self.workflows = workflows
        self.event = event
        self.view = replace(view, case=None, at=event.occurred_at, actor=event.actor, reason=event.reason)
        self.steps: list[Step] = []
        self.incidents: list[Incident] = []
        self.sends: list[tuple[Step, Sequence[Send], int]] = []
        self.kind = workflows[event.workflow].kind_of(event.name)

    def begin(self) -> Refusal | Stale | None:
        return self._apply(self.event, depth=1)

    def finish(self) -> Outcome:
        while self.sends:
            step, sends, depth = self.sends.pop(0)
            refused = self._send_all(step, sends, depth)
            if refused is not None:
                return refused
        self._tell_of_incidents()
        return Decision(tuple(self.steps), tuple(self.incidents), without_settled(self.workflows, self.view))

    # --- one event ------------------------------------------------------------------------------------------------

    def _apply(self, event: Event, depth: int) -> Refusal | Stale | None:
        machine = self.workflows[event.workflow]
        opening = machine.openings.get(event.name)
        if opening is not None:
            return self._open(machine, opening, event, depth)
        if event.case is None:
            raise WorkflowError(machine.name, f"event {event.name!r} moves a case and none is named")
        case = self.view.named(event.case)
        if case is None:
            raise WorkflowError(
                machine.name, f"event {event.name!r} is sent to {event.case}, which this subject does not have"
            )
        return self._move(machine, case, event, depth)

    def _open(self, machine: Machine, opening: Opening, event: Event, depth: int) -> Refusal | None:
        if machine.one_per_subject and not machine.is_subject and _had_one(machine, self.view):
            return Refusal((_one_is_enough(machine),))
        ref = self.view.subject if machine.is_subject else self._free_reference(machine, event.cause)
        policy = self.view.policy
        view = replace(self.view, opening=ref, in_force=policy)
        reasons = opening_obstacles(opening, event.data, view)
        if reasons and (opening.kind != REPORT or depth > 1):
            return Refusal(reasons)
        facts = opening.build(event.data, view) if opening.build is not None else machine.facts()
        state = machine.opening_states[event.name][0]
        if opening.choose is not None:
            state = opening.choose(facts, view).id
        if policy.id not in self.view.policies:
            self.view = replace(self.view, policies={**self.view.policies, policy.id: policy})
        case = Case(ref, machine.name, state, facts, policy.id, event.occurred_at, event.occurred_at)
        silent = opening.silent or event.silent
        case = replace(case, timers=first_timers(machine, case, policy, self.view, event.occurred_at))
        self._step(machine, event, None, case, silent, given_ref=event.given_ref)
        for reason in reasons:
            self._incident("contradiction", event, reason.says, case.ref)
        self.sends.append((self.steps[-1], opening.then, depth))
        return None

    def _free_reference(self, machine: Machine, cause: str) -> str:
        salt = self.view.salt
        while (ref := reference(machine.prefix, self.view.tenant.key, cause, salt)) in self.view.cases:
            salt += 1
        return ref

    def _move(self, machine: Machine, case: Case, event: Event, depth: int) -> Refusal | Stale | None:
        if case.state not in machine.labels:
            says = f"{case.ref} is {case.state}, a state that its file does not declare; see `vipflow workflow apply`"
            raise WorkflowError(machine.name, says)
        change = machine.changes.get(event.name)
        kind = change.kind if change is not None else INTERNAL
        view = replace(self.view, case=case)
        if change is not None and change.reason_required and not event.reason and event.actor.kind == "staff":
            return Refusal((REASON_REQUIRED,))
        edge, reasons = obstacles(machine, case, event.name, event.data, view)
        if edge is None:
            if event.fired is not None:
                self._hold_back(machine, case, event, event.fired, reasons)
                return None
            if (case.state, event.name) in machine.passed and depth == 1:
                return Stale(case.ref, case.state)
            if kind != REPORT or depth > 1:
                return Refusal(reasons)
            self._record_contradiction(machine, case, event, reasons)
            return None
        facts = case.facts
        if change is not None and change.record is not None:
            facts = change.record(facts, event.data, view)
        moved = edge.target != case.state
        after = replace(
            case,
            state=edge.target,
            facts=facts,
            since=event.occurred_at if moved else case.since,
            version=case.version + 1,
        )
        if event.name in machine.pins:
            after = self._pinned(after)
        policy = self.view.policies[after.policy]
        if moved:
            timers = first_timers(machine, after, policy, self.view, event.occurred_at)
        else:
            timers = _kept_timers(machine, case, after, policy, self.view, event.fired)
        self._step(machine, event, case, replace(after, timers=timers), event.silent)
        if change is not None and change.then:
            self.sends.append((self.steps[-1], change.then, depth))
        return None

    def _pinned(self, case: Case) -> Case:
        policy = self.view.policy
        if policy.id not in self.view.policies:
            self.view = replace(self.view, policies={**self.view.policies, policy.id: policy})
        return replace(case, policy=policy.id)

    def _record_contradiction(self, machine: Machine, case: Case, event: Event, reasons: Sequence[Reason]) -> None:
        """A report that the case has no place for: remembered, and shown to a person unless it merely says again what
        is.
        """
        repeats = (case.state, event.name) not in machine.edges and case.state in machine.targets.get(event.name, ())
        after = replace(case, version=case.version + 1)
        self._step(machine, event, case, after, silent=True, note="repeated" if repeats else "contradiction")
        if not repeats:
            self._incident("contradiction", event, reasons[0].says, case.ref)

    def _hold_back(
        self, machine: Machine, case: Case, event: Event, fired: DueTimer, reasons: Sequence[Reason]
    ) -> None:
        """A due timer whose guards say no: remembered, and tried again when they give way by themselves. A move that
        never will needs a person; of a reminder the next rung comes.
        """
        policy = self.view.policies[case.policy]
        timers = _kept_timers(machine, case, case, policy, self.view, fired)
        bound = next((t for t in machine.timers_of(case.state, policy) if t.name == fired.name), None)
        reminder = bound is not None and bound.reminder
        again = min(
            (r.opens_at for r in reasons if r.opens_at is not None and r.opens_at > self.view.now), default=None
        )
        if not reminder and again is not None:
            timers = (*(t for t in timers if t.name != fired.name), DueTimer(fired.name, fired.event, again))
        after = replace(case, version=case.version + 1, timers=timers)
        self._step(machine, event, case, after, silent=True, note="held back")
        if not reminder and again is None:
            self._incident("held_back", event, reasons[0].says, case.ref)

    # --- what a step leaves ---------------------------------------------------------------------------------------

    def _step(
        self,
        machine: Machine,
        event: Event,
        before: Case | None,
        after: Case,
        silent: bool,
        given_ref: str | None = None,
        note: str | None = None,
    ) -> None:
        view = self.view
        sequence = view.sequence + 1
        tally = _tally_after(machine, view.tally, before, after)
        self.view = view = replace(view, cases={**view.cases, after.ref: after}, sequence=sequence, tally=tally)
        messages: tuple[Message, ...] = ()
        if not silent:
            messages = _messages(machine, event, before, after, view)
        self.steps.append(
            Step(
                sequence,
                event.name,
                before,
                after,
                event.occurred_at,
                event.actor,
                event.reason,
                event.cause,
                messages,
                given_ref,
                event.data,
                note,
                event.fired,
            )
        )

    def _incident(self, kind: str, event: Event, says: Text, case: str | None = None) -> None:
        self.incidents.append(Incident(kind, case or event.case, event.type, says, event.cause))

    def _tell_of_incidents(self) -> None:
        root = self.workflows.root
        if root.on_incident is None or self.view.subject not in self.view.cases:
            return
        for index, incident in enumerate(self.incidents):
            notice = IncidentNotice(incident.kind, incident.case, incident.event, incident.says)
            event = Event(
                root.name,
                root.on_incident,
                self.event.occurred_at,
                notice,
                self.event.actor,
                f"{self.event.cause}/incident{index}",
                self.view.subject,
            )
            self._apply(event, depth=2)
            self.sends.clear()

    # --- follow-ups -----------------------------------------------------------------------------------------------

    def _send_all(self, step: Step, sends: Sequence[Send], depth: int) -> Refusal | None:
        if sends and depth > DEEPEST_CHAIN:
            raise WorkflowError(step.after.workflow, f"follow-ups deeper than {DEEPEST_CHAIN} after {step.event!r}")
        for index, send in enumerate(sends):
            view = replace(self.view, case=self.view.cases[step.after.ref])
            facts = step.after.facts
            if send.if_ is not None and not send.if_(facts, step.data, view):
                continue
            built = send.data(facts, step.data, view) if send.data is not None else NO_DATA
            workflow, _, name = send.event.partition(".")
            for part, (target, data) in enumerate(_addressed(send, facts, step.data, view, built)):
                cause = f"{step.cause}/{index}" if part == 0 else f"{step.cause}/{index}.{part}"
                silent = self.event.silent or self._opened_silently(step)
                event = Event(
                    workflow, name, step.effective_at, data, step.actor, cause, target, step.reason, silent=silent
                )
                answer = self._apply(event, depth + 1)
                if answer is None or isinstance(answer, Stale):
                    continue
                if self.kind == REQUEST:
                    return answer
                self._incident("follow_up_refused", event, answer.reasons[0].says, target)
        return None

    def _opened_silently(self, step: Step) -> bool:
        opening = self.workflows[step.after.workflow].openings.get(step.event)
        return opening is not None and opening.silent


def _addressed(send: Send, facts: Any, data: Any, view: View, built: Any) -> Sequence[tuple[str | None, Any]]:
    """Whom a follow-up goes to, each with its data: an opening once per data built, an event once per case named."""
    if send.to is None:
        return [(None, each) for each in built] if isinstance(built, (tuple, list)) else [(None, built)]
    to = send.to(facts, data, view)
    if to is None:
        return ()
    return [(to, built)] if isinstance(to, str) else [(each, built) for each in to]


def without_settled(workflows: Workflows, view: View) -> View:
    """The view as it would be loaded: settled cases live on in the tally alone."""
    machines = workflows.machines
    gone = [ref for ref, case in view.cases.items() if case.state in machines[case.workflow].settled]
    return view if not gone else replace(view, cases={r: case for r, case in view.cases.items() if r not in gone})


def _tally_after(machine: Machine, tally: Mapping[str, int], before: Case | None, after: Case) -> Mapping[str, int]:
    """How many cases are settled, by `workflow.state`: it moves only when a case enters or leaves a settled state."""
    was = before.state if before is not None and before.state in machine.settled else None
    is_ = after.state if after.state in machine.settled else None
    if was == is_:
        return tally
    counts = dict(tally)
    for state, by in ((was, -1), (is_, 1)):
        if state is not None:
            key = f"{machine.name}.{state}"
            counts[key] = counts.get(key, 0) + by
            if not counts[key]:
                del counts[key]
    return counts


# --- timers -------------------------------------------------------------------------------------------------------


def first_timers(
    machine: Machine, case: Case, policy: Policy, view: View, entered_at: datetime
) -> tuple[DueTimer, ...]:
    """The timers of the state just entered. A move whose instant has passed fires at once; of a reminder only what
    lies ahead.
    """
    armed = []
    for timer in machine.timers_of(case.state, policy):
        due = timer.due_after(case, policy, view.tenant.zone, entered_at - MOMENT if timer.reminder else None)
        if due is not None:
            armed.append(DueTimer(timer.name, timer.event, due))
    return tuple(armed)


def _kept_timers(
    machine: Machine, before: Case, after: Case, policy: Policy, view: View, fired: DueTimer | None
) -> tuple[DueTimer, ...]:
    """The timers after a self-transition: the one that fired goes on to its next rung ahead of now, one whose anchor
    moved is armed anew, all others stand.
    """
    zone = view.tenant.zone
    armed = {timer.name: timer for timer in before.timers}
    kept = []
    for timer in machine.timers_of(after.state, policy):
        standing = armed.get(timer.name)
        if fired is not None and fired.name == timer.name:
            due = timer.due_after(after, policy, zone, max(fired.due_at, view.now))
        elif _armed_anew(timer, standing, before, after, policy, zone):
            due = timer.due_after(after, policy, zone, view.at if timer.reminder else None)
        else:
            due = standing.due_at if standing is not None else None
        if due is not None:
            kept.append(
                standing if standing is not None and standing.due_at == due else DueTimer(timer.name, timer.event, due)
            )
    return tuple(kept)


def _armed_anew(
    timer: BoundTimer, standing: DueTimer | None, before: Case, after: Case, policy: Policy, zone: ZoneInfo
) -> bool:
    """Whether what the timer hangs on has moved: its fact, or the policy's number that is part of its name."""
    if standing is None and before.policy != after.policy:
        return True
    return bool(timer.anchor(before, policy, zone) != timer.anchor(after, policy, zone))


# --- mails --------------------------------------------------------------------------------------------------------


def _messages(machine: Machine, event: Event, before: Case | None, after: Case, view: View) -> tuple[Message, ...]:
    mails = machine.mails_of(before.state if before is not None else None, event.name, after.state)
    if not mails:
        return ()
    view = replace(view, case=after)
    words: Mapping[str, Any] | None = None
    found: dict[str, Message] = {}
    for mail in mails:
        if mail.while_ is not None and not mail.while_(after.facts, view):
            continue
        person = mail.to.person(view)
        if person is None:
            continue
        if words is None:
            words = machine.vocabulary(after.facts, view) if machine.vocabulary is not None else {}
        context = {**view.trade.common_words(view, person), "reference": after.ref}
        for word in (*machine.record_block, *mail.says):
            context[word] = words[word]
        key = f"{after.ref}:{view.sequence}:{mail.template}:{mail.to.name}"
        found[key] = Message(
            key,
            after.ref,
            machine.name,
            mail.template,
            mail.to.name,
            mail.ladder,
            person,
            context,
            mail.to.not_before(view),
            event.occurred_at,
        )
    return tuple(found.values())


def still_true(machine: Machine, message: Message | Any, case: Case, view: View) -> bool:
    """Whether a waiting mail still tells the truth about the live case. Pure; delivery asks just before sending.

    `view` stands at the case. A mail whose workflow no longer declares it is not true any more.
    """
    mail = declared_mail(machine, message)
    if mail is None:
        return False
    if mail.while_ is not None:
        return mail.while_(case.facts, view)
    states = {s.id for s in (mail.on if isinstance(mail.on, tuple) else (mail.on,))}
    return case.state in states


def may_leave_at(machine: Machine, message: Message | Any, view: View) -> datetime:
    """When a mail that is due may leave, asked just before it does: `view.now`, or later where its audience is not
    written to at this hour. `view` stands at the case.
    """
    mail = declared_mail(machine, message)
    return mail.to.when_due(view) if mail is not None and mail.to.when_due is not None else view.now


def declared_mail(machine: Machine, message: Message | Any) -> Email | None:
    """What the workflow says of a mail now; None where it says nothing of it any more."""
    for mail in machine.emails:
        if mail.template == message.template and mail.to.name == message.audience:
            return mail
    return None


def superseded(waiting: Sequence[Any]) -> frozenset[str]:
    """Of one subject's waiting messages, the keys of those that a newer one of their ladder makes needless.

    A ladder is counted per case and audience; messages without one are never superseded. What stands on a ladder's own
    branch (`renewal/outcome`) overtakes the ladder (`renewal`) and is not overtaken by it. Newest is the highest
    sequence in the key, whatever the order given.
    """
    newest: dict[tuple[str, str, str], int] = {}
    for message in waiting:
        if message.ladder is not None:
            for ladder in {message.ladder, message.ladder.partition("/")[0]}:
                rung = (message.case, ladder, message.audience)
                newest[rung] = max(newest.get(rung, 0), sequence_of(message.key))
    return frozenset(
        message.key
        for message in waiting
        if message.ladder is not None
        and newest[message.case, message.ladder, message.audience] > sequence_of(message.key)
    )


def sequence_of(key: str) -> int:
    """The subject's sequence number inside a message key."""
    return int(key.split(":", 2)[1])


# --- reasons of the engine itself ---------------------------------------------------------------------------------

REASON_REQUIRED = Reason(
    "reason_required",
    Text("Indiquez la raison de cet acte.", "Say why: this act needs a reason."),
    unblock=Text("Ajoutez une raison.", "Add a reason."),
)


def _had_one(machine: Machine, view: View) -> bool:
    """Whether the subject has, or had, a case of the workflow."""
    return any(True for _ in view.of(machine.name)) or any(key.startswith(f"{machine.name}.") for key in view.tally)


def _one_is_enough(machine: Machine) -> Reason:
    return Reason(
        "one_per_subject",
        Text(
            f"{machine.title.fr}\u00a0: il n’y en a qu’une par dossier, et elle existe déjà.",
            f"{machine.title.en}: there is only one for each record, and it exists already.",
        ),
    )


def _not_in_this_state(machine: Machine, case: Case, event: str) -> Reason:
    label = machine.label_of(case.state)
    sources = sorted({s for s, e in machine.edges if e == event}, key=machine.states.index)
    possible_fr = _either([f"«\u00a0{machine.labels[s].fr}\u00a0»" for s in sources], "ou")
    possible_en = _either([machine.labels[s].en for s in sources], "or")
    return Reason(
        "not_in_this_state",
        Text(
            f"{machine.title.fr} {case.ref}\u00a0: «\u00a0{label.fr}\u00a0»\u00a0; "
            f"cela n’est possible que dans l’état {possible_fr}.",
            f"{machine.title.en} {case.ref} is {label.en}; this is possible only when it is {possible_en}.",
        ),
        {"state": case.state, "possible_in": sources},
    )


def _either(words: Sequence[str], conjunction: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {conjunction} {words[-1]}"
