"""Amending running cases: the same lock, transaction, history and summary as every event, but nobody's event.

Each case gets one row of history, `amend`, with who asked and why. What fell due before now has fallen due before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from vipflow.amending import Amended, Amendment, amend
from vipflow.case import Actor, Refusal, Step
from vipflow.engine.batch import Batch, Work, told
from vipflow.engine.holds import on_hold
from vipflow.engine.pause import collection_paused
from vipflow.errors import BadInput, Busy
from vipflow.store import work as store
from vipflow.store.audit import Act, remember_acts
from vipflow.store.database import DatabaseUnusable
from vipflow.workflow import Reason, Text

if TYPE_CHECKING:
    from vipflow.engine.apply import Engine

AT_ONCE = 500
"""Cases of one transaction: they hold their subjects' locks, so that nobody waits for long."""


class Answer(msgspec.Struct, frozen=True):
    """What became of one amendment: `amended` says what is otherwise now, `left` why the case stays as it is; neither:
    it was so already.
    """

    case: str
    subject: str | None = None
    amended: Amended | None = None
    left: tuple[Reason, ...] = ()
    step: Step | None = None
    """The step that history keeps."""


def amend_cases(
    engine: Engine,
    tenant: int,
    amendments: Sequence[Amendment],
    actor: Actor,
    reason: str,
    *,
    act: str,
    target: str,
    details: Mapping[str, Any] | None = None,
    at_once: int = AT_ONCE,
) -> list[Answer]:
    """Amends cases of one tenant and answers each, in the order given; at most `at_once` in a transaction.

    An answer returned is on disk, with the act in the audit (`act`, `target`, `details`) of the transaction that did
    it. What cannot be is left, with its reasons, and the others stand; applied again nothing changes. Raises BadInput
    without a reason, Busy or DatabaseUnusable where no more was written.
    """
    if not reason.strip():
        raise BadInput("the reason", "it is empty", "say why: it stays in the history of each case")
    twice = _named_twice(amendments)
    if twice is not None:
        raise BadInput("the amendments", f"{twice} stands there twice", "amend a case once")
    audited = Act(tenant, actor.kind, actor.name, act, target, reason.strip(), details or {})
    answers: list[Answer] = []
    for first in range(0, len(amendments), at_once):
        answers += _amend(engine, list(amendments[first : first + at_once]), actor, audited)
    return answers


def foresee(batch: Batch, amendments: Sequence[Amendment], actor: Actor, reason: str) -> list[Answer]:
    """What `amend_cases` would answer now, with nothing locked and nothing written: in the working memory of a batch
    that will never be. Some hundred cases at a time.
    """
    return _Amending(batch, amendments, actor, reason, lock=False).run()


def _amend(engine: Engine, amendments: list[Amendment], actor: Actor, act: Act) -> list[Answer]:
    """In one transaction; what makes it fail is found by halving and left as it is."""
    try:
        return _transact(engine, amendments, actor, act)
    except (Busy, DatabaseUnusable, BadInput):
        raise
    except Exception as fault:  # one bad record stops only itself
        if len(amendments) == 1:
            return [Answer(amendments[0].case, left=(_fault(fault),))]
    half = len(amendments) // 2
    return _amend(engine, amendments[:half], actor, act) + _amend(engine, amendments[half:], actor, act)


def _transact(engine: Engine, amendments: list[Amendment], actor: Actor, act: Act) -> list[Answer]:
    tenant = act.tenant
    assert tenant is not None  # noqa: S101 - amend_cases made it
    with collection_paused(), engine.database.write() as connection:
        batch = engine.batch(connection, tenant, engine.now(connection))
        answers = _Amending(batch, amendments, actor, act.reason or "", lock=True).run()
        engine.write(batch, [])
        amended = sum(1 for answer in answers if answer.amended is not None)
        if amended:
            remember_acts(
                connection, [msgspec.structs.replace(act, details={**act.details, "cases": amended})], batch.now
            )
    engine.committed(batch)
    return answers


class _Amending:
    """The amendments of one batch."""

    def __init__(self, batch: Batch, amendments: Sequence[Amendment], actor: Actor, reason: str, *, lock: bool) -> None:
        self.batch = batch
        self.amendments = amendments
        self.actor = actor
        self.reason = reason
        self.lock = lock

    def run(self) -> list[Answer]:
        batch = self.batch
        refs = [each.case for each in self.amendments]
        of_case = {row.ref: row for row in store.referenced(batch.connection, batch.tenant.id, refs)}
        known = [row for row in of_case.values() if row.workflow in batch.workflows.machines]
        subjects = {row.subject for row in known}
        if self.lock:
            batch.lock(subjects)
        else:
            batch.look_at(subjects)
        batch.load_cases(row.ref for row in known if row.ref not in batch.works[row.subject].seen)
        self._fire_due()
        return [self._answer(each, of_case.get(each.case)) for each in self.amendments]

    def _fire_due(self) -> None:
        """What the clock concluded before comes first, but where a state is not declared: nothing moves such a case."""
        waiting = [
            work
            for work in self.batch.works.values()
            if self.batch.held(work.ref) is None and not self._is_stranded(work)
        ]
        while waiting:
            waiting = [work for work in waiting if not self.batch.fire_due(work, self.batch.now)]
            self.batch.load_missing()

    def _is_stranded(self, work: Work) -> bool:
        machines = self.batch.workflows
        return any(case.state not in machines[case.workflow].states for case in work.seen.values())

    def _answer(self, amendment: Amendment, row: Any) -> Answer:
        ref = amendment.case
        if row is None:
            return Answer(ref, left=(_not_there(ref),))
        if row.workflow not in self.batch.workflows.machines:
            return Answer(ref, row.subject, left=(_no_file(ref, row.workflow),))
        held = self.batch.held(row.subject)
        if held is not None:
            return Answer(ref, row.subject, left=(on_hold(held),))
        work = self.batch.works[row.subject]
        view = work.view
        settled = ref not in view.cases
        if settled:
            view = msgspec.structs.replace(view, cases={**view.cases, ref: work.seen[ref]})
        try:
            outcome = amend(self.batch.workflows, view, amendment, self.actor, self.reason, settled=settled)
        except Exception as fault:  # what a workflow's own function raises over facts of one case
            return Answer(ref, row.subject, left=(_fault(fault),))
        if outcome is None:
            return Answer(ref, row.subject)
        if isinstance(outcome, Refusal):
            return Answer(ref, row.subject, left=outcome.reasons)
        self.batch.keep(work, outcome)
        step = outcome.steps[0]
        return Answer(ref, row.subject, step.data, (), step)


def _named_twice(amendments: Sequence[Amendment]) -> str | None:
    seen: set[str] = set()
    for each in amendments:
        if each.case in seen:
            return each.case
        seen.add(each.case)
    return None


def _fault(fault: Exception) -> Reason:
    problem = told(fault)
    return Reason("fault", Text(f"Cela n’a pas pu être fait\u00a0: {problem}", f"It could not be done: {problem}"))


def _not_there(ref: str) -> Reason:
    return Reason("not_there", Text(f"Il n’y a pas de dossier {ref}.", f"There is no case {ref}."))


def _no_file(ref: str, workflow: str) -> Reason:
    return Reason(
        "no_workflow",
        Text(f"{ref}\u00a0: aucun fichier ne déclare {workflow}.", f"{ref}: no file declares the workflow {workflow}."),
    )
