"""Whether what is stored finds itself in the workflow files: a state or a timer that they no longer declare would
leave its cases standing for ever.

The database remembers what the files declared when all was well. While the files of today declare that and perhaps
more, nothing can be stranded, and one row is read; only where something has gone are all cases looked through, once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Connection

from vipflow.errors import VipflowError, did_you_mean, listed
from vipflow.facts import FactsError, decode_facts
from vipflow.machine import Machine, Workflows
from vipflow.policy import Policy
from vipflow.store import stored
from vipflow.store.database import Database
from vipflow.store.meta import get_meta, set_meta
from vipflow.store.policies import policies_by_id

_DECLARED = "workflows_declared"
TRIED = 50
"""Stored facts of each workflow that are read to see whether they can be."""


class Declared(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a workflow file declares that rows speak of. `shape` is what its facts are made of."""

    states: tuple[str, ...]
    timers: tuple[str, ...]
    facts: int
    shape: str
    settled: tuple[str, ...] | None = None
    """None where an earlier release kept it without."""


class Stranded(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something stored that the files do not declare: `what` says of which kind, `name` which."""

    what: str
    """workflow, state, settled, timer or facts."""
    workflow: str
    name: str
    count: int
    says: str
    state: str = ""


class Misfit(VipflowError):
    """Raised at the start, before anything is decided, where stored cases do not find themselves in the files."""

    def __init__(self, stranded: Sequence[Stranded]) -> None:
        problems = [each.says for each in stranded]
        remedy = "`vipflow workflow apply` shows what each would become, and does it"
        if all(each.what in ("workflow", "facts", "settled") for each in stranded):
            remedy = "until then nothing is done; you can look at everything"
        super().__init__(f"what is stored does not fit the workflow files: {listed(problems)}\n{remedy}")
        self.problems = problems
        self.remedy = remedy


def declared_by(workflows: Workflows) -> dict[str, Declared]:
    """What the files declare, by workflow."""
    return {machine.name: _declared(machine) for machine in workflows}


def _declared(machine: Machine) -> Declared:
    rules = sorted(
        f"{state}: {event} {rule.fact} {rule.days} {rule.sign} {rule.repeats} {rule.plan_name}"
        for state, timers in machine.timers.items()
        for event, rule, _ in timers
    )
    shape = " ".join(
        f"{field.name}:{field.type}{'' if field.required else '?'}" for field in msgspec.structs.fields(machine.facts)
    )
    return Declared(
        tuple(sorted(machine.states)), tuple(rules), machine.facts.facts_version, shape, tuple(sorted(machine.settled))
    )


def misfit(database: Database, workflows: Workflows, trade: Any, *, looks: bool = False) -> Misfit | None:
    """What keeps these files from working on this database; None where all fits, which is then remembered.

    With `looks` the states of all cases are looked through in any case: a daemon with older files may have gone on
    after others found that all fits.
    """
    now = declared_by(workflows)
    with database.read() as connection:
        then = _remembered(connection)
        if then == now and not looks:
            return None
        where = _lost(then, now) if then is not None else EVERYWHERE
        if looks:
            where = replace(where, states=True)
        if where != NOWHERE:
            stranded = _stranded(connection, workflows, trade, where)
            if stranded:
                return Misfit(stranded)
        if then == now:
            return None
    with contextlib.suppress(VipflowError), database.write() as connection:  # whoever may only read, looks again
        remember(connection, workflows)
    return None


def remember(connection: Connection, workflows: Workflows) -> None:
    """Keeps what these files declare as what everything stored fits."""
    set_meta(connection, _DECLARED, msgspec.json.encode(declared_by(workflows), order="sorted").decode())


def _remembered(connection: Connection) -> dict[str, Declared] | None:
    kept = get_meta(connection, _DECLARED)
    if kept is None:
        return None
    try:
        return msgspec.json.decode(kept, type=dict[str, Declared])
    except msgspec.MsgspecError:  # another release kept it in its own way
        return None


def states_added(connection: Connection, machine: Machine) -> frozenset[str]:
    """The states that a file has declared only since all was well; none where nobody knows."""
    before = (_remembered(connection) or {}).get(machine.name)
    return frozenset(machine.states).difference(before.states) if before is not None else frozenset()


@dataclass(frozen=True)
class Where:
    """Where to look for what is stranded: whether among states, and in which workflows for timers and for facts (None:
    in all).
    """

    states: bool
    timers: frozenset[str] | None
    facts: frozenset[str] | None


EVERYWHERE = Where(True, None, None)
NOWHERE = Where(False, frozenset(), frozenset())


def _lost(then: Mapping[str, Declared], now: Mapping[str, Declared]) -> Where:
    """Where something may be stranded, since the files declare less than they did."""
    states, timers, facts = False, set(), set()
    for workflow, before in then.items():
        after = now.get(workflow)
        if after is None:
            states = True
            continue
        states = states or not {*before.states} <= {*after.states} or after.facts < before.facts
        states = states or bool(_resettled(before, after))
        if any(rule.partition(":")[0] in after.states for rule in {*before.timers} - {*after.timers}):
            timers.add(workflow)
        if after.shape != before.shape or after.facts != before.facts:
            facts.add(workflow)
    return Where(states, frozenset(timers), frozenset(facts))


def _resettled(before: Declared, after: Declared) -> frozenset[str]:
    """States that count as settled now and did not, or the other way round."""
    if before.settled is None or after.settled is None:
        return frozenset()
    return frozenset(before.settled).symmetric_difference(after.settled)


# --- looking -------------------------------------------------------------------------------------------------------


def all_stranded(connection: Connection, workflows: Workflows, trade: Any) -> list[Stranded]:
    """Everything stored that the files do not declare: reads all cases and timers once."""
    return _stranded(connection, workflows, trade, EVERYWHERE)


def _stranded(connection: Connection, workflows: Workflows, trade: Any, where: Where) -> list[Stranded]:
    found: dict[tuple[str, str, str, str], Stranded] = {}
    then = _remembered(connection) or {}
    turned = {
        machine.name: _resettled(then[machine.name], _declared(machine)) if machine.name in then else frozenset()
        for machine in workflows
    }
    for row in stored.stored_states(connection) if where.states else ():
        for each in _of_state(workflows, row, turned.get(row.workflow, frozenset())):
            key = (each.what, each.workflow, each.name, each.state)
            before = found.get(key)
            found[key] = _together(before, each, workflows) if before is not None else each
    known = [machine.name for machine in workflows]
    timed = [name for name in known if where.timers is None or name in where.timers]
    if timed:
        found |= {(e.what, e.workflow, e.name, e.state): e for e in _of_timers(connection, workflows, trade, timed)}
    for machine in workflows:
        if where.facts is not None and machine.name not in where.facts:
            continue
        unread = unreadable_facts(connection, machine)
        if unread is not None and not any(e.what == "facts" and e.workflow == machine.name for e in found.values()):
            found["facts", machine.name, "", ""] = unread
    return list(found.values())


def _of_state(workflows: Workflows, row: stored.StoredState, turned: Collection[str]) -> Iterable[Stranded]:
    machine = workflows.get(row.workflow)
    if machine is None:
        yield _gone(workflows, row.workflow, row.count)
        return
    if row.state not in machine.states:
        yield _undeclared(machine, row.state, row.count)
    elif row.state in turned:
        yield _turned(machine, row.state, row.count)
    if row.facts_version > machine.facts.facts_version:
        says = (
            f"{_cases(row.count)} of {machine.name} {_have(row.count)} facts of version {row.facts_version}, "
            f"its file knows version {machine.facts.facts_version}: a newer file wrote them; bring that one back"
        )
        yield Stranded("facts", machine.name, str(row.facts_version), row.count, says)


def _gone(workflows: Workflows, name: str, count: int) -> Stranded:
    near = did_you_mean(name, [machine.name for machine in workflows])
    runs = "runs" if count == 1 else "run"
    says = (
        f"{_cases(count)} {runs} the workflow {name}, which no file declares{near}: bring its file back, or give the "
        f"renamed class name_in_events = {name!r}; a workflow goes only when no case of it is stored"
    )
    return Stranded("workflow", name, name, count, says)


def _undeclared(machine: Machine, state: str, count: int) -> Stranded:
    near = did_you_mean(state, machine.states)
    says = f"{_cases(count)} of {machine.name} {_are(count)} {state}, a state that its file does not declare{near}"
    return Stranded("state", machine.name, state, count, says)


def _turned(machine: Machine, state: str, count: int) -> Stranded:
    was, is_ = ("no settled one", "settled") if state in machine.settled else ("settled", "no settled one")
    says = (
        f"{_cases(count)} of {machine.name} {_are(count)} {state}, which was {was} when they came there and is {is_} "
        f"by the file: which states are settled stays, once cases are in them; give the new meaning to a new state"
    )
    return Stranded("settled", machine.name, state, count, says)


def _together(one: Stranded, other: Stranded, workflows: Workflows) -> Stranded:
    """The same state under two versions of the facts."""
    count = one.count + other.count
    machine = workflows.get(one.workflow)
    if machine is None:
        return _gone(workflows, one.workflow, count)
    if one.what == "settled":
        return _turned(machine, one.name, count)
    return _undeclared(machine, one.name, count) if one.what == "state" else one


def _of_timers(connection: Connection, workflows: Workflows, trade: Any, names: Sequence[str]) -> Iterable[Stranded]:
    counts: dict[tuple[str, str, str], int] = {}
    rows = stored.stored_timers(connection, names)
    policies = policies_of(connection, trade, {row.policy for row in rows})
    for row in rows:
        machine = workflows[row.workflow]
        if row.state in machine.states and row.name not in timer_names(machine, row.state, policies.get(row.policy)):
            key = (row.workflow, row.state, row.name)
            counts[key] = counts.get(key, 0) + row.count
    for (workflow, state, name), count in counts.items():
        says = (
            f"{count:,} {'case' if count == 1 else 'cases'} of {workflow} in state {state} {_have(count)} the timer "
            f"“{name}”, which its file does not declare there"
        )
        yield Stranded("timer", workflow, name, count, says, state)


def timer_names(machine: Machine, state: str, policy: Policy | None) -> frozenset[str]:
    """The names of the timers that a case in this state has by the files, and its policy's numbers."""
    return frozenset(timer.name for timer in machine.timers_of(state, policy)) if policy is not None else frozenset()


def policies_of(connection: Connection, trade: Any, ids: Iterable[str]) -> dict[str, Policy]:
    """Pinned policies by their ids."""
    return {id_: trade.restore_policy(row.body) for id_, row in policies_by_id(connection, sorted(ids)).items()}


def unreadable_facts(connection: Connection, machine: Machine) -> Stranded | None:
    """Why stored facts of a workflow cannot be read by its class, tried out on some of them."""
    for ref, text, version in stored.some_facts(connection, machine.name, TRIED):
        if version > machine.facts.facts_version:
            continue
        try:
            decode_facts(machine.facts, text, version)
        except FactsError as wrong:
            kind = machine.facts
            says = (
                f"the facts of {ref} and perhaps others cannot be read as {kind.__name__}: {wrong.problem}; give new "
                f"facts a default, or set facts_version = {kind.facts_version + 1} and add an upgrade"
            )
            return Stranded("facts", machine.name, "", 1, says)
    return None


def _cases(count: int) -> str:
    return f"{count:,} {'case' if count == 1 else 'cases'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"
