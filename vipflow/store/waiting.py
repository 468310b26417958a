"""What waits for a moment that nobody else asks for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from vipflow.store.tables import inbox

_NEXT_EXPIRY = select(func.min(inbox.c.expires_at)).where(inbox.c.verdict == "parked", inbox.c.expires_at.is_not(None))


def next_parked_expiry(connection: Connection) -> datetime | None:
    """When the next parked event will have waited too long."""
    return connection.execute(_NEXT_EXPIRY).scalar()
