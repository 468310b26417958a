"""Forecast: what the clock will do to a subject if nobody does anything, when, and which mails leave."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from vipflow.case import Decision, Message, Step, View
from vipflow.decide import fire, next_timer, still_true, superseded
from vipflow.foresight.sight import Sight
from vipflow.machine import Workflows

FAR = timedelta(days=400)
"""As far as a forecast looks unless asked otherwise: a year and its renewal."""
MOST_STEPS = 400


class ForeseenMail(msgspec.Struct, frozen=True):
    """A mail that would leave, and when."""

    template: str
    audience: str
    to: str
    leaves_at: datetime


class Foreseen(msgspec.Struct, frozen=True):
    """One thing that the clock will do. `mails` are those that would really leave: still true, not overtaken."""

    at: datetime
    case: str
    workflow: str
    event: str
    from_state: str | None
    to_state: str
    mails: tuple[ForeseenMail, ...]


class Forecast(msgspec.Struct, frozen=True):
    """What comes until `until`, in order. `complete` is False where there was too much to tell."""

    subject: str
    until: datetime
    steps: tuple[Foreseen, ...]
    complete: bool = True


def forecast(workflows: Workflows, seen: Sight, until: datetime | None = None) -> Forecast:
    """What happens to the subject until `until` (default: 400 days) if no event arrives."""
    start = seen.view.now
    horizon = until if until is not None else start + FAR
    steps: list[tuple[Step, datetime]] = []
    waiting: list[tuple[int, Message]] = []
    leaving: dict[int, list[ForeseenMail]] = {}
    complete = False
    for view, happened in futures(workflows, seen, horizon):
        if happened is None:
            complete = True
            _let_leave(workflows, waiting, view, horizon, leaving)
            break
        before = [w for w in waiting if w[1].not_before <= happened.view.now]
        _let_leave(workflows, before, view, happened.view.now, leaving)
        waiting = [w for w in waiting if w not in before]
        for step in happened.steps:
            steps.append((step, happened.view.now))
            waiting += [(len(steps) - 1, message) for message in step.messages]
        if len(steps) >= MOST_STEPS:
            break
    told = tuple(
        Foreseen(
            at=at if at > start else step.effective_at,
            case=step.after.ref,
            workflow=step.after.workflow,
            event=step.event,
            from_state=step.before.state if step.before is not None else None,
            to_state=step.after.state,
            mails=tuple(leaving.get(index, ())),
        )
        for index, (step, at) in enumerate(steps)
    )
    return Forecast(seen.view.subject, horizon, told, complete)


def futures(workflows: Workflows, seen: Sight, until: datetime) -> Any:
    """Yields (view before, Decision) for each timer that falls due until then, in order; at the end (view, None)."""
    view = _without_stranded(workflows, seen.view)
    while True:
        due = next_timer(view)
        if due is None or due[1].due_at > until:
            yield view, None
            return
        case, timer = due
        view = replace(view, now=max(view.now, timer.due_at))
        outcome = seen.ask(view, lambda at, case=case, timer=timer: fire(workflows, case, timer, at))
        if not isinstance(outcome, Decision):
            cases = {**view.cases, case.ref: replace(case, timers=tuple(t for t in case.timers if t != timer))}
            view = replace(view, cases=cases)
            continue
        yield view, outcome
        view = outcome.view


def _without_stranded(workflows: Workflows, view: View) -> View:
    """Of cases in a state that the files do not declare the clock moves nothing."""
    stranded = {
        ref: replace(case, timers=())
        for ref, case in view.cases.items()
        if case.state not in workflows[case.workflow].states
    }
    return replace(view, cases={**view.cases, **stranded}) if stranded else view


def _let_leave(
    workflows: Workflows,
    waiting: list[tuple[int, Message]],
    view: View,
    until: datetime,
    leaving: dict[int, list[ForeseenMail]],
) -> None:
    """Of the messages that may leave before the next thing happens, those that are still true and the newest of their
    ladder.
    """
    true = []
    for index, message in waiting:
        case = view.cases.get(message.case)
        moment = min(message.not_before, until)
        if case is None or still_true(
            workflows[message.workflow], message, case, replace(view, case=case, at=moment, now=moment)
        ):
            true.append((index, message))
    old = superseded([message for _, message in true])
    for index, message in true:
        if message.key not in old:
            mail = ForeseenMail(message.template, message.audience, message.person.name, message.not_before)
            leaving.setdefault(index, []).append(mail)
