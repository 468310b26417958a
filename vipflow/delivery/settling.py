"""What becomes of a message after a copy of it was tried: sent, again later, or a matter for a person. Pure.

| outcome | the message |
|---|---|
| sent | `sent` |
| temporary | waits 1, 4, 16 minutes, 1 h, 4 h, then 6 h each time; after `give_up_after` it is `dead` |
| permanent | `dead` |
| uncertain | a copy may have left: waits 30 minutes, 2 h, 8 h; with `copies` of them it is `uncertain` |
| not tried | waits as before; it was no attempt |
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from vipflow.case import Incident, Tenant
from vipflow.delivery.transport import Outcome
from vipflow.engine.incidents import incident_row as incident_row_of
from vipflow.workflow import Text

MAYBE_LEFT = "whoever had it in hand is gone; a copy may have left"
MAY_HAVE_ARRIVED = "a copy may have arrived before"
LONGEST_NOTE = 500

Trouble = Literal["mail_held", "mail_dead", "mail_uncertain", "mail_bounced"]
"""The kinds of incident that delivery opens."""


@dataclass(frozen=True)
class Rules:
    """How often and how long: `mail.copies` and `mail.give_up_after_days`."""

    copies: int = 3
    give_up_after: timedelta = timedelta(days=5)


@dataclass(frozen=True)
class Becomes:
    """The columns of a message after an attempt; `trouble` where a person is to be told."""

    state: str
    attempts: int
    copies: int
    failures: int
    first_tried_at: datetime | None
    not_before: datetime
    sent_at: datetime | None = None
    stage: str | None = None
    note: str | None = None
    trouble: Trouble | None = None


def after(row: Any, outcome: Outcome, now: datetime, rules: Rules) -> Becomes:
    """What a message becomes of an outcome. `row` is as it was read before it was taken in hand for this attempt."""
    attempts = row.attempts + 1
    first = row.first_tried_at if row.first_tried_at is not None else now
    stage = outcome.stage
    match outcome.kind:
        case "sent":
            refused = "; ".join(f"not to {each.address}: {each.says}" for each in outcome.refused)
            note = _one_line(refused) if refused else None
            return Becomes("sent", attempts, row.copies + 1, row.failures, first, row.not_before, now, stage, note=note)
        case "not_tried":
            return Becomes(
                "waiting", row.attempts, row.copies, row.failures, row.first_tried_at, row.not_before, None, stage,
                note=_noted(outcome.says or row.note, row.copies),
            )  # fmt: skip
        case "temporary":
            failures = row.failures + 1
            given_up = now - first >= rules.give_up_after
            says = _noted(f"put off at {stage}: {outcome.says}", row.copies)
            return Becomes(
                "dead" if given_up else "waiting", attempts, row.copies, failures, first,
                row.not_before if given_up else now + pause_after_failure(failures), None, stage, says,
                "mail_dead" if given_up else None,
            )  # fmt: skip
        case "permanent":
            says = _noted(f"refused at {stage}: {outcome.says}", row.copies)
            return Becomes(
                "dead", attempts, row.copies, row.failures, first, row.not_before, None, stage, says, "mail_dead"
            )
        case "uncertain":
            copies = row.copies + 1
            enough = copies >= rules.copies
            says = _one_line(f"no answer at {stage}, so a copy may have arrived: {outcome.says}")
            return Becomes(
                "uncertain" if enough else "waiting", attempts, copies, row.failures, first,
                row.not_before if enough else now + pause_after_copy(copies), None, stage, says,
                "mail_uncertain" if enough else None,
            )  # fmt: skip


def after_a_lost_hand(row: Any, rules: Rules) -> tuple[str, int, str | None]:
    """State, copies and note of a message whose lease is over: of one whose bytes were kept a copy may have left."""
    if not row.has_bytes:
        return "waiting", row.copies, row.note
    copies = row.copies + 1
    return ("uncertain" if copies >= rules.copies else "waiting"), copies, MAYBE_LEFT


def given_up(row: Any, why: str) -> tuple[str, str]:
    """State and note of a message that need not leave any more: where a copy may have left, nobody can say that it did
    not.
    """
    return ("uncertain", f"{why}; {MAY_HAVE_ARRIVED}") if row.copies else ("superseded", why)


def pause_after_failure(failures: int) -> timedelta:
    """How long a mail waits that was put off for the `failures`th time.

    >>> [str(pause_after_failure(n)) for n in (1, 2, 3, 4, 5, 6, 60)]
    ['0:01:00', '0:04:00', '0:16:00', '1:04:00', '4:16:00', '6:00:00', '6:00:00']
    """
    return min(timedelta(minutes=4 ** min(failures - 1, 6)), timedelta(hours=6))


def pause_after_copy(copies: int) -> timedelta:
    """How long it waits after the `copies`th copy that may have arrived.

    >>> [str(pause_after_copy(n)) for n in (1, 2, 3, 9)]
    ['0:30:00', '2:00:00', '8:00:00', '1 day, 0:00:00']
    """
    return min(timedelta(minutes=30 * 4 ** min(copies - 1, 3)), timedelta(days=1))


def incident_row(
    tenant: Tenant, row: Any, kind: Trouble, problem: str, now: datetime, *, of: str = ""
) -> tuple[Any, ...]:
    """What a person is told of a mail, as `store.incidents.REPORT` writes it: closed and come to this again, it is
    open again. `of`: which of several, where there may be.
    """
    cause = f"message:{row.key}/{kind.removeprefix('mail_')}" + (f"/{of}" if of else "")
    words = {"template": row.template, "case": row.case_ref, "problem": problem}
    says = Text(_SAYS[kind].fr.format(**words), _SAYS[kind].en.format(**words))
    incident = Incident(kind, row.case_ref, f"message.{row.template}", says, cause)
    return incident_row_of(tenant, row.subject, incident, now)


_SAYS: dict[Trouble, Text] = {
    "mail_held": Text(
        "Le message «\u00a0{template}\u00a0» pour {case} est retenu\u00a0: {problem}",
        "The mail “{template}” for {case} is held: {problem}",
    ),
    "mail_dead": Text(
        "Le message «\u00a0{template}\u00a0» pour {case} n’a pas pu être remis\u00a0: {problem}",
        "The mail “{template}” for {case} could not be delivered: {problem}",
    ),
    "mail_uncertain": Text(
        "Nul ne sait si le message «\u00a0{template}\u00a0» pour {case} est arrivé\u00a0: {problem}",
        "Nobody knows whether the mail “{template}” for {case} has arrived: {problem}",
    ),
    "mail_bounced": Text(
        "Le message «\u00a0{template}\u00a0» pour {case} est revenu\u00a0: {problem}",
        "The mail “{template}” for {case} came back: {problem}",
    ),
}


def _noted(says: str | None, copies: int) -> str | None:
    if not copies:
        return _one_line(says) if says is not None else None
    if says is None or MAY_HAVE_ARRIVED in says:
        return says or MAY_HAVE_ARRIVED
    return f"{_one_line(says)}; {MAY_HAVE_ARRIVED}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_NOTE]
