"""`apply`: the one road. Events and due timers come in, one transaction goes out, with everything or nothing in it.

`posting`, `sweeping` and `parked` go it; all that they write goes through `Engine.write`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from vipflow.clock import Clock, HostClock
from vipflow.engine import parked, posting, sweeping
from vipflow.engine.addresses import Arrival
from vipflow.engine.batch import Batch
from vipflow.engine.envelope import Envelope
from vipflow.engine.in_hand import InHand
from vipflow.engine.pause import collection_paused
from vipflow.engine.quarantine import CRASHES_AT_MOST, Suspected
from vipflow.engine.sweeping import SweepReport
from vipflow.engine.tenants import Tenants
from vipflow.engine.verdicts import Answer
from vipflow.engine.writing import Answered, soonest, write_batch
from vipflow.errors import VipflowError
from vipflow.machine import Workflows
from vipflow.policy import Policy
from vipflow.store import work as store
from vipflow.store.crashes import clear_crashes, crashes_with
from vipflow.store.database import Database
from vipflow.store.meta import database_now, remember_now
from vipflow.store.waking import Bell


class Engine:
    """Applies events and due timers to the cases of a database. Safe to use from several threads; holds no truth of
    its own.
    """

    def __init__(
        self,
        database: Database,
        workflows: Workflows,
        trade: Any,
        clock: Clock | None = None,
        in_hand: InHand | None = None,
    ) -> None:
        self.database = database
        self.in_hand = in_hand
        """Where a daemon notes what it has in hand; None for whoever comes and goes."""
        self.workflows = workflows
        self.trade = trade
        self.clock = clock if clock is not None else HostClock()
        self.tenants = Tenants(trade)
        self._bell = Bell()
        self.heard: Callable[[Batch], None] = lambda _: None
        """Told of each batch of events or timers once it is on disk: for whoever counts."""
        self.unfit: VipflowError | None = None
        """Why nothing may be decided: stored cases do not find themselves in the workflow files (`engine.fit`)."""
        self._policies: dict[str, Policy] = {}
        self._stored: set[str] = set()

    # --- events ---------------------------------------------------------------------------------------------------

    def post(self, tenant: int, envelopes: Sequence[Envelope]) -> list[Answer]:
        """Applies events for one tenant in the order given, in one transaction, and answers each.

        A verdict returned is on disk. An event that makes the database refuse the batch is found by halving and
        quarantined; the others stand. Raises Busy or DatabaseUnusable where nothing was written.
        """
        self.check_fit()
        if not envelopes:
            return []
        with collection_paused():
            return posting.post(self, tenant, list(envelopes))

    # --- timers ---------------------------------------------------------------------------------------------------

    def sweep(self, *, most: int = 1000) -> SweepReport:
        """Fires what is due now: at most `most` timers' subjects, each with all that falls due on the way.

        One transaction for a tenant's subjects; where one of them makes it fail it is found by halving, and its timers
        are tried again later, so that no subject stops the others.
        """
        self.check_fit()
        with collection_paused():
            return sweeping.sweep(self, most)

    def next_due(self) -> datetime | None:
        """When the next timer wants to be looked at; None when nothing is armed."""
        with self.database.read() as connection:
            return store.next_wake(connection)

    # --- parked events --------------------------------------------------------------------------------------------

    def retry_parked(self, *, received_within: timedelta | None = None, most: int = 500) -> int:
        """Tries events that wait for a case once more, all or those of late: on PostgreSQL the event and the opening of
        its case may have missed each other. Gives how many moved on.
        """
        self.check_fit()
        return parked.retry_parked(self, received_within, most)

    def let_through(self, hold: str, *, most: int = 500) -> int:
        """Applies the first events that a hold keeps, though it is still in force: whoever releases it does so until
        none is left, so that none that arrives meanwhile goes ahead of them. Gives how many moved on.
        """
        self.check_fit()
        return parked.let_through(self, hold, most)

    def retry_event(self, tenant: int, source: str, event_id: str) -> tuple[str, str | None]:
        """Tries one event that waits once more: its verdict then, and what it waits for if it still does."""
        self.check_fit()
        return parked.retry_event(self, tenant, source, event_id)

    def expire_parked(self, *, most: int = 500) -> int:
        """Opens an incident for each event that waited too long for a case. The event waits on: its case may still
        come.
        """
        return parked.expire_parked(self, most)

    # --- a unit of work -------------------------------------------------------------------------------------------

    def batch(self, connection: Connection, tenant_id: int, now: datetime) -> Batch:
        """The working memory for one tenant within the caller's transaction."""
        tenant = self.tenants.load(connection, [tenant_id])[tenant_id]
        return Batch(connection, self.workflows, self.trade, tenant, now, dict(self._policies))

    def now(self, connection: Connection) -> datetime:
        """The instant of this unit of work: a story's clock is its own, the host's gives way to the database's."""
        now = self.clock.now()
        if self.clock.tells_a_story:
            return now
        now = database_now(connection, now)
        remember_now(connection, now)
        return now

    def read_now(self, connection: Connection) -> datetime:
        """The instant of a unit of work that only reads."""
        now = self.clock.now()
        return now if self.clock.tells_a_story else database_now(connection, now)

    def noted(self, tenant: int, keys: Iterable[str]) -> AbstractContextManager[None]:
        """Within the block these are noted as in hand, where that is noted at all."""
        return self.in_hand.noted(tenant, keys) if self.in_hand is not None else nullcontext()

    @contextmanager
    def taken_in_hand(self, batch: Batch, arrivals: Sequence[Arrival]) -> Iterator[None]:
        """Within the block the subjects of the batch are noted, and events that would open one. Raises Suspected where
        a process died with one of them and it is not alone, or where that happened too often; else it is cleared.
        """
        if self.in_hand is None:
            yield
            return
        openings = [each.envelope.cause for each in arrivals if each.event in each.machine.openings]
        keys = [*batch.works, *openings]
        crashed = crashes_with(batch.connection, batch.tenant.id, keys)
        worst = max(crashed.items(), key=lambda each: each[1], default=None)
        if worst is not None and (len(arrivals) > 1 or worst[1] >= CRASHES_AT_MOST):
            raise Suspected(*worst)
        with self.in_hand.noted(batch.tenant.id, keys):
            yield
        clear_crashes(batch.connection, batch.tenant.id, crashed)

    # --- writing --------------------------------------------------------------------------------------------------

    def check_fit(self) -> None:
        """Raises why nothing may be decided, where that is so."""
        if self.unfit is not None:
            raise self.unfit

    def write(self, batch: Batch, answered: list[Answered]) -> None:
        """Writes all that the batch decided, within its transaction."""
        self.check_fit()
        batch.settle_names()
        new = {id_: batch.policies[id_].to_json() for id_ in batch.pinned - self._stored}
        write_batch(batch, answered, new)
        if self.database.dialect == "postgresql":  # SQLite's daemons look for themselves
            batch.rang = self._bell.ring(batch.connection, soonest(batch), batch.now)

    def committed(self, batch: Batch) -> None:
        """What may be remembered of a batch once it is on disk."""
        if batch.rang:
            self._bell.rang()
        self.heard(batch)
        self._policies.update(batch.policies)
        self._stored |= batch.pinned
