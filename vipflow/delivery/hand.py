"""Mails in hand: what one delivery has claimed, and whether it still has it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vipflow.case import Tenant
from vipflow.delivery.claiming import Claimed
from vipflow.delivery.transport import Parcel
from vipflow.store import outgoing


@dataclass
class Mail:
    """One mail in hand: the messages that it consists of, its lead first, and, once written, its parcel."""

    messages: list[Claimed]
    parcel: Parcel | None = None
    digest: str = ""
    problem: str | None = None
    """Why it cannot be written."""

    @property
    def lead(self) -> Claimed:
        return self.messages[0]

    @property
    def tenant(self) -> Tenant:
        return self.lead.tenant

    @property
    def dated_at(self) -> datetime:
        """The date of a mail: when the last of it may leave, the same on every copy."""
        instants: list[datetime] = [at for each in self.messages for at in (each.row.created_at, each.row.not_before)]
        return max(instants)


class Hand:
    """One hand that takes mails: `daemon` names it, and no two that work beside each other bear the same. Whatever it
    writes counts only for messages that it still has. `told_refused` hears how many it had no longer.
    """

    def __init__(self, daemon: str, told_refused: Callable[[int], None]) -> None:
        self.daemon = daemon
        self.refused_writes = 0
        self._told_refused = told_refused
        self._counting = threading.Lock()

    def key_of(self, claimed: Claimed) -> tuple[Any, ...]:
        """What the writes of `store.outgoing` ask for: the message, in this hand, at this attempt."""
        return claimed.tenant.id, claimed.row.key, "sending", claimed.row.attempts + 1, self.daemon

    def lost(self, connection: Any, mails: Sequence[Mail]) -> set[tuple[int, str]]:
        """Which messages of these mails are in this hand no longer."""
        messages = [each for mail in mails for each in mail.messages]
        held = outgoing.still_in_hand(connection, self.daemon, [each.where for each in messages])
        return {each.where for each in messages if (*each.where, each.row.attempts + 1) not in held}

    def note_refused(self, count: int) -> None:
        """Counts writes that were refused; one round may be put down while the next is made ready."""
        if count:
            with self._counting:
                self.refused_writes += count
            self._told_refused(count)
