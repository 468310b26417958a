"""Putting mails down: what became of each is marked, the customer told of what came back, a person of trouble."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from vipflow.delivery.bounces import refused_for_good, suppression_row, tell_subject
from vipflow.delivery.hand import Hand, Mail
from vipflow.delivery.settling import Becomes, Rules, after, incident_row
from vipflow.delivery.taking import Taken
from vipflow.delivery.transport import Outcome
from vipflow.engine import Engine
from vipflow.store import outgoing
from vipflow.store.incidents import REPORT


class DeliveryReport(msgspec.Struct, frozen=True):
    """What one round of delivery did, in messages."""

    sent: int = 0
    superseded: int = 0
    held: int = 0
    failed: int = 0
    """Put off by the server; they are tried again."""
    claimed: int = 0
    uncertain: int = 0
    """Of these a copy may have arrived."""
    dead: int = 0
    postponed: int = 0
    not_tried: int = 0
    refused: int = 0
    """Of these somebody else has the lease by now; nothing was written."""
    paused_until: datetime | None = None
    """The transport takes nothing before; so nothing was claimed."""
    taken_back: int = 0
    """Whoever had these in hand is gone: they wait again."""

    @property
    def came_to_nothing(self) -> bool:
        """Whether to begin the next round at once would be to turn in circles."""
        begun = self.claimed - self.not_tried
        return not (begun or self.superseded or self.held or self.postponed or self.taken_back)


class PuttingDown:
    """Puts mails down for one delivery."""

    def __init__(self, engine: Engine, hand: Hand, rules: Rules) -> None:
        self._engine = engine
        self._hand = hand
        self._rules = rules

    def put_down(self, taken: Taken, outcomes: Sequence[Outcome]) -> DeliveryReport:
        """Marks what became of the mails of a round. Only of messages that are still in this hand."""
        claims = taken.claims
        settled = list(zip(taken.ready, outcomes, strict=True))
        if not settled and not taken.unwritable:
            return DeliveryReport(
                superseded=claims.superseded,
                held=claims.held,
                claimed=len(claims.leaving),
                postponed=claims.postponed,
                taken_back=claims.taken_back,
            )
        self._tell_of_bounces(settled)
        counts: dict[str, int] = {}
        refused = held = 0
        with self._engine.database.write() as connection:
            now = self._engine.now(connection)
            lost = self._hand.lost(connection, [*taken.ready, *taken.unwritable])
            marks, incidents, suppressions = [], [], []
            for mail, outcome in settled:
                mine = [each for each in mail.messages if each.where not in lost]
                refused += len(mail.messages) - len(mine)
                suppressions += [
                    suppression_row(mail.tenant, mail.lead.row.key, each, now) for each in refused_for_good(outcome)
                ]
                counts[outcome.kind] = counts.get(outcome.kind, 0) + len(mine)
                for each in mine:
                    becomes = after(each.row, outcome, now, self._rules)
                    marks.append((*self._hand.key_of(each), *_columns(becomes)))
                    if becomes.trouble is not None:
                        incidents.append(incident_row(mail.tenant, each.row, becomes.trouble, str(becomes.note), now))
            for mail in taken.unwritable:
                problem = str(mail.problem)
                for each in mail.messages:
                    if each.where in lost:
                        refused += 1
                        continue
                    held += 1
                    marks.append((*self._hand.key_of(each), *_columns(_unwritten(each.row, problem))))
                    incidents.append(incident_row(mail.tenant, each.row, "mail_held", problem, now))
            outgoing.PUT_DOWN.run(connection, marks)
            outgoing.SUPPRESS.run(connection, suppressions)
            REPORT.run(connection, incidents)
        self._hand.note_refused(refused)
        return DeliveryReport(
            sent=counts.get("sent", 0),
            superseded=claims.superseded,
            held=claims.held + held,
            failed=counts.get("temporary", 0),
            claimed=len(claims.leaving),
            uncertain=counts.get("uncertain", 0),
            dead=counts.get("permanent", 0),
            postponed=claims.postponed,
            not_tried=counts.get("not_tried", 0),
            refused=refused,
            taken_back=claims.taken_back,
        )

    def _tell_of_bounces(self, settled: Sequence[tuple[Mail, Outcome]]) -> None:
        """Before the mails are marked: told twice it counts once, and a process that dies now tells it again."""
        for mail, outcome in settled:
            if outcome.kind in ("permanent", "sent") and (outcome.kind == "permanent" or outcome.refused):
                tell_subject(self._engine, mail.tenant, mail.lead.row, mail.parcel, outcome)


def _columns(becomes: Becomes) -> tuple[Any, ...]:
    """For `outgoing.PUT_DOWN`."""
    return (
        becomes.state,
        becomes.attempts,
        becomes.copies,
        becomes.failures,
        becomes.first_tried_at,
        becomes.not_before,
        becomes.sent_at,
        becomes.stage,
        becomes.note,
    )


def _unwritten(row: Any, problem: str) -> Becomes:
    return Becomes(
        "held", row.attempts + 1, row.copies, row.failures, row.first_tried_at, row.not_before, note=problem[:500]
    )
