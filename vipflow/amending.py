"""What amending does to a running case, decided and nothing else: other numbers pinned, a state or timers called
otherwise.

An amendment is no transition. No guard is asked and no mail is written; facts change only where they hang on the
numbers, by what the workflow says of that (`Redating`). Of the state that a case is in nothing is asked: the workflow
file may not declare it any more. What falls due by the numbers that the case then has is left to its timers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from vipflow.case import Actor, Case, Decision, DueTimer, Refusal, Step, View
from vipflow.decide import first_timers, without_settled
from vipflow.errors import did_you_mean
from vipflow.machine import BoundTimer, Machine, Workflows
from vipflow.policy import Policy, differing
from vipflow.workflow import AMEND, Reason, Text


class Amendment(msgspec.Struct, frozen=True):
    """How one case is to be amended; what is left out stands."""

    case: str
    policy: Policy | None = None
    """Pinned in the place of the one that it has."""
    state: str | None = None
    """Its state was renamed, or is no more: it is in this one now, since when it was in the other."""
    timers: Mapping[str, str | None] = {}
    """Armed timers by name: what each is called now, its due instant kept; None: dropped. All others follow from the
    workflow file and the policy.
    """


class Moved(msgspec.Struct, frozen=True, omit_defaults=True):
    """A timer that is not as it was. `before` is None of one armed anew, `after` of one dropped."""

    event: str
    name: str
    before: datetime | None = None
    after: datetime | None = None
    was: str | None = None
    """Its name before, where that was another."""


class Amended(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an amendment changed, each before and after: what its history row notes beside facts and state."""

    policy: tuple[str, str] | None = None
    numbers: Mapping[str, tuple[Any, Any]] = {}
    """What of the policy."""
    renamed: tuple[str, str] | None = None
    """The state, where it is called otherwise; a state that new dates led back to stands in the row alone."""
    timers: tuple[Moved, ...] = ()


Pairs = list[tuple[DueTimer, DueTimer | None]]
"""Timers as they are now, each with what it was before."""


def amend(
    workflows: Workflows,
    view: View,
    amendment: Amendment,
    actor: Actor,
    reason: str,
    *,
    settled: bool = False,
) -> Decision | Refusal | None:
    """What `amendment` does to its case, effective now; None where nothing would change.

    `view` holds the case, a settled one too (`settled`: as stored, since nothing can be asked of a state that the file
    no longer declares). A Refusal says why it cannot be. Raises what the workflow's own functions raise.
    """
    case = view.cases[amendment.case]
    machine = workflows[case.workflow]
    view = replace(view, at=view.now, actor=actor, reason=reason)
    state = amendment.state if amendment.state is not None else case.state
    refused = _not_possible(machine, case, amendment, state, settled)
    if refused is not None:
        return Refusal((refused,))
    was = view.policies[case.policy]
    now = amendment.policy if amendment.policy is not None else was
    view = replace(view, policies={**view.policies, now.id: now})
    after = replace(case, state=state, policy=now.id)
    entered = False
    if now != was and machine.redating is not None:
        after, entered = _redated(machine, after, was, view)
    if entered:
        timers: Pairs | Reason = [(timer, None) for timer in first_timers(machine, after, now, view, view.at)]
    else:
        timers = _timers_now(machine, case, after, (was, now), view, amendment)
    if isinstance(timers, Reason):
        return Refusal((timers,))
    after = replace(after, timers=tuple(timer for timer, _ in timers))
    changed = Amended(
        (case.policy, after.policy) if after.policy != case.policy else None,
        differing(was, now) if after.policy != case.policy else {},
        (case.state, state) if state != case.state else None,
        _moved(case, timers),
    )
    if changed == Amended() and (after.state, after.facts) == (case.state, case.facts):
        return None
    return _decision(workflows, view, case, replace(after, version=case.version + 1), changed, settled)


def _not_possible(machine: Machine, case: Case, amendment: Amendment, state: str, settled: bool) -> Reason | None:
    if state not in machine.states:
        near = did_you_mean(state, machine.states)
        return Reason(
            "no_such_state",
            Text(
                f"{machine.title.fr} {case.ref}\u00a0: le fichier ne déclare pas l’état «\u00a0{state}\u00a0».",
                f"{machine.title.en} {case.ref}: the workflow file declares no state “{state}”{near}.",
            ),
            {"state": state, "states": list(machine.states)},
        )
    if settled and amendment.state is None:
        return Reason(
            "settled",
            Text(
                f"{machine.title.fr} {case.ref} est close\u00a0: rien n’y dépend plus des nombres.",
                f"{machine.title.en} {case.ref} is settled: nothing of it depends on the numbers any more.",
            ),
            {"state": case.state},
        )
    return None


def _redated(machine: Machine, case: Case, was: Policy, view: View) -> tuple[Case, bool]:
    """The case with the facts that its new numbers give, and where they lead it back to an earlier state: that too."""
    redating = machine.redating
    assert redating is not None  # noqa: S101 - asked before
    facts = redating.record(case.facts, was, replace(view, case=case))
    if facts == case.facts:
        facts = case.facts
    case = replace(case, facts=facts)
    state = redating.choose(facts, replace(view, case=case)) if redating.choose is not None else None
    if state is None or state.id == case.state:
        return case, False
    return replace(case, state=state.id, since=view.at), True


# --- timers --------------------------------------------------------------------------------------------------------


def _timers_now(
    machine: Machine, before: Case, after: Case, policies: tuple[Policy, Policy], view: View, amendment: Amendment
) -> Pairs | Reason:
    """The timers of a case that stays where it is. One whose rule and anchor stand keeps its due instant, under the
    name it has now; another is counted anew: a reminder only ahead of now, a move even where its day is over, so that
    it falls due at once.
    """
    was, now = policies
    zone = view.tenant.zone
    armed = _carried(before, amendment.timers)
    if isinstance(armed, Reason):
        return armed
    # What is armed is what the file had until now, except where the amendment says that the file has changed.
    same_file = amendment.state is None and not amendment.timers
    old = machine.timers_of(after.state, was)
    kept: Pairs = []
    for timer in machine.timers_of(after.state, now):
        then = next((each for each in old if each.event == timer.event and each.when is timer.when), None)
        standing = armed.pop(timer.name, None)
        if then is not None and then.name != timer.name:
            standing = armed.pop(then.name, standing)
        stands = then is not None and _stands(then, timer, (before, after), policies, zone)
        if stands and (standing is not None or same_file):
            due = standing.due_at if standing is not None else None
        else:
            due = timer.due_after(after, now, zone, view.now if timer.reminder else None)
        if due is not None:
            kept.append((DueTimer(timer.name, timer.event, due), standing))
    for timer in old:  # a number that the policy leaves out now
        armed.pop(timer.name, None)
    return _not_declared(machine, after, armed) if armed else kept


def _carried(case: Case, names: Mapping[str, str | None]) -> dict[str, DueTimer] | Reason:
    """The armed timers by the names that they have now."""
    carried = [(names.get(timer.name, timer.name), timer) for timer in case.timers]
    found = {name: timer for name, timer in carried if name is not None}
    if len(found) == sum(name is not None for name, _ in carried):
        return found
    return Reason(
        "one_name_twice",
        Text(
            f"{case.ref}\u00a0: deux minuteurs porteraient le même nom.",
            f"{case.ref}: two timers would bear one name.",
        ),
        {"timers": sorted(found)},
    )


def _stands(
    then: BoundTimer, timer: BoundTimer, cases: tuple[Case, Case], policies: tuple[Policy, Policy], zone: ZoneInfo
) -> bool:
    """Whether neither the rule of a timer nor what it hangs on has moved."""
    (before, after), (was, now) = cases, policies
    same_rule = (then.days, then.first) == (timer.days, timer.first)
    return same_rule and bool(then.anchor(before, was, zone) == timer.anchor(after, now, zone))


def _not_declared(machine: Machine, case: Case, armed: Mapping[str, DueTimer]) -> Reason:
    names = sorted(armed)
    told = ", ".join(names)
    return Reason(
        "timer_not_declared",
        Text(
            f"{machine.title.fr} {case.ref}\u00a0: le fichier ne déclare plus, dans cet état, le minuteur {told}.",
            f"{machine.title.en} {case.ref}: in this state the workflow file no longer declares the timer {told}.",
        ),
        {"timers": names},
        Text(
            "Dites ce qu’il devient\u00a0: vipflow workflow apply.", "Say what becomes of it: vipflow workflow apply."
        ),
    )


def _moved(case: Case, timers: Pairs) -> tuple[Moved, ...]:
    """The timers that are not as they were."""
    moved = []
    kept = set()
    for timer, before in timers:
        if before is None:
            moved.append(Moved(timer.event, timer.name, None, timer.due_at))
            continue
        kept.add(before.name)
        if before != timer:
            was = before.name if before.name != timer.name else None
            moved.append(Moved(timer.event, timer.name, before.due_at, timer.due_at, was))
    gone = (timer for timer in case.timers if timer.name not in kept)
    return (*moved, *(Moved(timer.event, timer.name, timer.due_at) for timer in gone))


# --- what is left of it --------------------------------------------------------------------------------------------


def _decision(workflows: Workflows, view: View, before: Case, after: Case, changed: Amended, settled: bool) -> Decision:
    machine = workflows[after.workflow]
    sequence = view.sequence + 1
    view = replace(
        view,
        cases={**view.cases, after.ref: after},
        sequence=sequence,
        tally=_tally(machine, view.tally, before if settled else None, after),
    )
    step = Step(
        sequence,
        AMEND,
        before,
        after,
        view.at,
        view.actor,
        view.reason,
        f"{AMEND}:{before.ref}#{before.version}",
        data=changed,
    )
    return Decision((step,), (), without_settled(workflows, view))


def _tally(machine: Machine, tally: Mapping[str, int], settled: Case | None, after: Case) -> Mapping[str, int]:
    """How many cases are settled; `settled`: the case before, where it was."""
    counts = dict(tally)
    if settled is not None:
        key = f"{machine.name}.{settled.state}"
        counts[key] = counts.get(key, 0) - 1
    if after.state in machine.settled:
        key = f"{machine.name}.{after.state}"
        counts[key] = counts.get(key, 0) + 1
    return {key: count for key, count in counts.items() if count > 0}
