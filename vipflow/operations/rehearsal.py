"""A rehearsal: whatever is done in it is done by the same code as ever, told with all that it leads to, and undone.

    with rehearsing(installation) as rehearsal:
        done = customers.invite(rehearsal.installation, who, form)
        told = rehearsal.followed()

So what a rehearsal says is what would be answered, and nothing can be forgotten in it. What is given a reference by a
random id (an act without an id of its own) gets another when it is really done. Only the database is undone: an
operation that writes files needs a word of its own for what it would do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from vipflow.engine import Engine
from vipflow.engine.batch import Batch
from vipflow.engine.incidents import incident_row
from vipflow.operations.done import Followed, followed, incident_of
from vipflow.operations.installation import Installation
from vipflow.store import inspection, past

MOST = 500
"""Steps of which a rehearsal tells; beyond that it counts them."""


class Rehearsal:
    """An installation in which nothing stays, and what happened in it so far. For one thread alone."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self._rows: dict[tuple[int, str], tuple[int, int]] = {}
        """By reseller and customer: the first and last of their history rows that were written."""
        self._incidents: dict[tuple[int, str], None] = {}
        self._told = self._more = 0
        installation.engine.heard = self._hear

    def followed(self) -> Followed:
        """All steps so far, with their timers, mails and incidents, customer by customer."""
        told = Followed(more=self._more)
        with self.installation.database.read() as connection:
            for (tenant, subject), (first, last) in self._rows.items():
                rows = past.rows_between(connection, tenant, subject, first, last)
                of_one = followed(self.installation, connection, tenant, subject, rows)
                told = replace(
                    told,
                    happened=told.happened + of_one.happened,
                    timers=told.timers + of_one.timers,
                    mails=told.mails + of_one.mails,
                )
            found = [inspection.incident(connection, *each) for each in self._incidents]
        return replace(told, incidents=tuple(incident_of(row) for row in found if row is not None))

    def _hear(self, batch: Batch) -> None:
        tenant = batch.tenant.id
        for ref, work in batch.works.items():
            steps = [step.sequence for step, _, _ in work.steps]
            if steps and self._told < MOST:
                first, _ = self._rows.get((tenant, ref), (steps[0], 0))
                self._rows[tenant, ref] = (first, steps[-1])
                self._told += len(steps)
            else:
                self._more += len(steps)
        opened = [(work.ref, each) for work in batch.works.values() for each in work.incidents] + batch.strangers
        for subject, incident in opened[: MOST - len(self._incidents)]:
            self._incidents[tenant, incident_row(batch.tenant, subject, incident, batch.now)[1]] = None


@contextmanager
def rehearsing(installation: Installation) -> Iterator[Rehearsal]:
    """The installation on its own database, in one transaction that is undone at the end of the block.

    Other writers wait meanwhile (see `Database.rehearsing`), so keep it short. Raises Busy where it must wait too long
    itself.
    """
    with installation.database.rehearsing() as database:
        engine = Engine(database, installation.workflows, installation.trade, installation.clock)
        engine.unfit = installation.engine.unfit
        yield Rehearsal(dataclasses.replace(installation, database=database, engine=engine))
