"""What could be done with a record, and what the clock will do to it: asked by whoever has its name.

Both say which holds stand in the way, and of each line what that means for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from vipflow.days import midnight
from vipflow.engine.holds import on_hold
from vipflow.errors import BadInput
from vipflow.foresight.explain import Possibility, explain
from vipflow.foresight.forecast import ForeseenMail, forecast
from vipflow.foresight.sight import sight
from vipflow.operations.dates import day
from vipflow.operations.holds import Hold, holds_of_customer
from vipflow.operations.installation import Installation
from vipflow.operations.references import find
from vipflow.operations.who import Who
from vipflow.operations.words import case_label, event_label, state_label
from vipflow.store.holds import Held
from vipflow.workflow import Text

FOR_EVER = datetime.max.replace(tzinfo=UTC)


class NextStep(msgspec.Struct, frozen=True, rename={"from_state": "from", "to_state": "to"}):
    """One thing that the clock will do, in people's words too. It happens `at`, or when the hold `waits_for` goes; its
    mails leave when they may, or when the hold `mails_wait_for` goes. A hold that ends before is not in the way.
    """

    at: datetime
    case: str
    workflow: str
    event: str
    label: Text
    from_state: str | None
    to_state: str
    to_label: Text
    mails: Sequence[ForeseenMail]
    waits_for: str | None = None
    mails_wait_for: str | None = None


class Explained(msgspec.Struct, frozen=True):
    """What may be done with a record now (see `foresight.explain`), under the holds that stop it or its mails."""

    case: str
    workflow: str
    state: str
    label: Text
    since: datetime
    possibilities: tuple[Possibility, ...]
    holds: tuple[Hold, ...] = ()


class Outlook(msgspec.Struct, frozen=True):
    """What comes until `until`; `complete` is False where there was too much to tell."""

    subject: str
    until: datetime
    steps: Sequence[NextStep]
    complete: bool
    holds: tuple[Hold, ...] = ()


def explain_record(installation: Installation, who: Who, ref: str) -> Explained:
    """For each event of the record: possible, or which reasons, and when it opens by itself.

    Under a hold nothing is possible: staff are refused, what systems report is kept until it goes.
    """
    found = find(installation, who, ref)
    with sight(installation.engine, who.tenant, found.ref) as (seen, case):
        told = explain(installation.workflows, seen, case.ref)
        known = seen.case(case.ref)
        holds = holds_of_customer(seen.batch.connection, who, found.subject)
    label = case_label(installation.workflows, known.workflow, known.state, known.facts)
    stopped = [hold for hold in holds if not hold.mail_only]
    possibilities = tuple(_under(stopped, each) for each in told.possibilities) if stopped else told.possibilities
    return Explained(told.case, told.workflow, told.state, label, told.since, possibilities, holds)


def _under(holds: Sequence[Hold], possibility: Possibility) -> Possibility:
    """What a hold leaves of a possibility: nothing, until the last has gone and it is possible besides."""
    reasons = tuple(on_hold(Held(each.id, each.customer, each.reason, each.made_by, each.ends_at)) for each in holds)
    opens_at = None
    if all(each.ends_at is not None for each in holds) and (possibility.possible or possibility.opens_at is not None):
        opens_at = max(each for each in (possibility.opens_at, *(hold.ends_at for hold in holds)) if each is not None)
    return replace(possibility, possible=False, reasons=reasons + possibility.reasons, opens_at=opens_at)


def _in_the_way(holds: Sequence[Hold], at: datetime) -> str | None:
    """The hold that is still in force then and lasts longest."""
    still = [hold for hold in holds if hold.ends_at is None or hold.ends_at > at]
    return max(still, key=lambda hold: hold.ends_at or FOR_EVER).id if still else None


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
        holds = holds_of_customer(seen.batch.connection, who, found.subject)
    stopped = [hold for hold in holds if not hold.mail_only]
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
            _in_the_way(stopped, each.at),
            _in_the_way(holds, max(mail.leaves_at for mail in each.mails)) if each.mails else None,
        )
        for each in told.steps
        if found.ref in (found.subject, each.case)
    ]
    return Outlook(found.ref, told.until, steps, told.complete, holds)
