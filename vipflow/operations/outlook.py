"""What could be done with a record, and what the clock will do to it: asked by whoever has its name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from vipflow.days import midnight
from vipflow.errors import BadInput
from vipflow.foresight.explain import Explanation, explain
from vipflow.foresight.forecast import ForeseenMail, forecast
from vipflow.foresight.sight import sight
from vipflow.operations.dates import day
from vipflow.operations.installation import Installation
from vipflow.operations.references import find
from vipflow.operations.who import Who
from vipflow.operations.words import case_label, event_label, state_label
from vipflow.workflow import Text


class NextStep(msgspec.Struct, frozen=True, rename={"from_state": "from", "to_state": "to"}):
    """One thing that the clock will do, in people's words too."""

    at: datetime
    case: str
    workflow: str
    event: str
    label: Text
    from_state: str | None
    to_state: str
    to_label: Text
    mails: Sequence[ForeseenMail]


class Outlook(msgspec.Struct, frozen=True):
    """What comes until `until`; `complete` is False where there was too much to tell."""

    subject: str
    until: datetime
    steps: Sequence[NextStep]
    complete: bool


def explain_record(installation: Installation, who: Who, ref: str) -> Explanation:
    """For each event of the record: possible, or which reasons, and when it opens by itself."""
    found = find(installation, who, ref)
    with sight(installation.engine, who.tenant, found.ref) as (seen, case):
        told = explain(installation.workflows, seen, case.ref)
        known = seen.case(case.ref)
        return replace(told, label=case_label(installation.workflows, known.workflow, known.state, known.facts))


def forecast_record(installation: Installation, who: Who, ref: str, until: str | None = None) -> Outlook:
    """What the clock will do to the customer, or of a case to that case alone, until the end of a day."""
    found = find(installation, who, ref)
    with sight(installation.engine, who.tenant, found.ref) as (seen, _):
        end = None
        if until is not None:
            last = day("--until", until)
            end = midnight(last + timedelta(days=1), who.zone) - timedelta(microseconds=1)
            if end < seen.view.now:
                raise BadInput("--until", f"{last} is over", "give a day to come")
        told = forecast(installation.workflows, seen, end)
    steps = [
        NextStep(
            each.at,
            each.case,
            each.workflow,
            each.event,
            event_label(f"{each.workflow}.{each.event}"),
            each.from_state,
            each.to_state,
            state_label(installation.workflows, each.workflow, each.to_state),
            each.mails,
        )
        for each in told.steps
        if found.ref in (found.subject, each.case)
    ]
    return Outlook(found.ref, told.until, steps, told.complete)
