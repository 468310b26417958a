"""Events that wait for a case, or for a hold to go: taken up again, and shown to a person after too long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from vipflow.engine.batch import Batch
from vipflow.engine.envelope import Verdict
from vipflow.engine.inbox import frame_from_row
from vipflow.engine.posting import Posting
from vipflow.engine.verdicts import quarantined, waited_too_long
from vipflow.engine.writing import Answered
from vipflow.errors import Busy
from vipflow.store import work as store
from vipflow.store.database import DatabaseUnusable
from vipflow.store.holds import WAITS_FOR, kept_by

if TYPE_CHECKING:
    from vipflow.engine import Engine

_BEFORE_ANY = datetime(1970, 1, 1, tzinfo=UTC)


def retry_parked(engine: Engine, received_within: timedelta | None, most: int) -> int:
    """Tries events that wait for a case once more, all or those of late: on PostgreSQL the event and the opening of
    its case may have missed each other. Gives how many moved on.
    """
    with engine.database.read() as connection:
        now = engine.read_now(connection)
        since = now - received_within if received_within is not None else _BEFORE_ANY
        tenants = store.parked_tenants(connection, since)
        waiting = {tenant: store.parked(connection, tenant, since, most) for tenant in tenants}
    return sum(_retry(engine, tenant, list(rows)) for tenant, rows in waiting.items())


def let_through(engine: Engine, hold: str, most: int) -> int:
    """Applies the first events that a hold keeps, though it is still in force: whoever releases it does so until
    none is left, so that none that arrives meanwhile goes ahead of them. Gives how many moved on.
    """
    with engine.database.read() as connection:
        rows = kept_by(connection, f"{WAITS_FOR}{hold}", most)
    by_tenant: dict[int, list[Any]] = {}
    for row in rows:
        by_tenant.setdefault(row.tenant, []).append(row)
    return sum(_retry(engine, tenant, mine, let_through=hold) for tenant, mine in by_tenant.items())


def retry_event(engine: Engine, tenant: int, source: str, event_id: str) -> tuple[str, str | None]:
    """Tries one event that waits once more: its verdict then, and what it waits for if it still does."""
    for once_more in (True, False):
        with engine.database.read() as connection:
            rows = list(store.received(connection, tenant, [source], [event_id]))
        if once_more and rows and rows[0].verdict == "parked":
            _retry(engine, tenant, rows)
    return (rows[0].verdict, rows[0].waiting_for) if rows else ("gone", None)


def _retry(engine: Engine, tenant: int, rows: list[Any], *, let_through: str | None = None) -> int:
    """How many of the events wait no more for what they waited for."""
    try:
        with engine.database.write() as connection:
            batch = engine.batch(connection, tenant, engine.now(connection))
            batch.let_through = let_through
            posting = Posting(engine, batch, [], 0)
            posting.retry(rows)
            engine.write(batch, posting.answered)
        engine.committed(batch)
        return sum(1 for a in posting.answered if a.verdict.verdict != "parked" or let_through is not None)
    except (Busy, DatabaseUnusable):
        raise
    except Exception as fault:  # one bad record stops only itself
        if len(rows) == 1:
            _quarantine_parked(engine, tenant, rows[0], fault)
            return 1
    half = len(rows) // 2
    first = _retry(engine, tenant, rows[:half], let_through=let_through)
    return first + _retry(engine, tenant, rows[half:], let_through=let_through)


def _quarantine_parked(engine: Engine, tenant: int, row: Any, fault: Exception) -> None:
    """Keeps a parked event that cannot be taken up for a person; nothing of it is decoded but its frame."""
    envelope = frame_from_row(row)
    with engine.database.write() as connection:
        batch = engine.batch(connection, tenant, engine.now(connection))
        verdict, incident = quarantined(envelope, None, fault)
        batch.strangers.append((None, incident))
        engine.write(batch, [Answered(envelope, verdict, row.received_at, known=True)])


def expire_parked(engine: Engine, most: int) -> int:
    """Opens an incident for each event that waited too long for a case. The event waits on: its case may still
    come.
    """
    with engine.database.write() as connection:
        now = engine.now(connection)
        rows = store.parked_too_long(connection, now, most)
        if not rows:
            return 0
        tenants = engine.tenants.load(connection, sorted({row.tenant for row in rows}))
        for tenant_id, tenant in tenants.items():
            batch = Batch(connection, engine.workflows, engine.trade, tenant, now, {})
            answered = []
            for row in (r for r in rows if r.tenant == tenant_id):
                envelope = frame_from_row(row)
                batch.strangers.append((None, waited_too_long(envelope, row.waiting_for)))
                verdict = Verdict(row.source, row.event_id, row.type, "parked", waiting_for=row.waiting_for)
                answered.append(Answered(envelope, verdict, row.received_at, None, known=True))
            engine.write(batch, answered)
        return len(rows)
