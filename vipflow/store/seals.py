"""What the seals cover, and the seals that the database keeps: see `vipflow.engine.seals`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import astuple
from sqlalchemy import Connection, Row, Text, bindparam, func, select, text, type_coerce

from vipflow.store.audit import STREAMED
from vipflow.store.chain import seal_mac
from vipflow.store.tables import audit, history, seals
from vipflow.store.types import instant_text
from vipflow.store.work import Rows
from vipflow.store.writes import InsertAbsent


class Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A seal as it is kept. `made_at` is the instant's text, as it is signed; `previous` the mac of the one before."""

    number: int
    made_at: str
    history_to: int
    history_rows: int
    audit_to: int
    digest: str
    previous: str
    made_by: str
    mac: str

    def signed(self, key: bytes) -> str:
        """The mac that it must have."""
        *told, _ = astuple(self)
        return seal_mac(key, told)


_columns = [type_coerce(column, Text) if column.name == "made_at" else column for column in seals.c]
_all = select(*_columns).where(seals.c.number > bindparam("after")).order_by(seals.c.number)
_last = select(*_columns).order_by(seals.c.number.desc()).limit(1)
_KEEP = InsertAbsent(seals, list(Seal.__struct_fields__))


def seals_after(connection: Connection, number: int = 0) -> Iterator[Seal]:
    """The seals behind one, in order."""
    found = connection.execute(_all, {"after": number}, execution_options={"yield_per": STREAMED})
    try:
        for row in found:
            yield _seal(row)
    finally:
        found.close()


def last_seal(connection: Connection) -> Seal | None:
    """The newest seal."""
    row = connection.execute(_last).one_or_none()
    return None if row is None else _seal(row)


def keep_seal(connection: Connection, seal: Seal) -> bool:
    """Keeps a seal; False where somebody else has made the one of this number."""
    number, made_at, *rest = astuple(seal)
    return _KEEP.run(connection, [(number, datetime.fromisoformat(made_at), *rest)]) == 1


def _seal(row: Sequence[Any]) -> Seal:
    number, made_at, *rest = row
    return Seal(number, made_at if isinstance(made_at, str) else instant_text(made_at), *rest)


# --- what is there to seal -----------------------------------------------------------------------------------------

_writers = text(
    "SELECT virtualtransaction FROM pg_locks WHERE granted AND mode = 'RowExclusiveLock'"
    " AND relation = 'history'::regclass AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_high = select(func.coalesce(func.max(history.c.position), 0))
_high_act = select(func.coalesce(func.max(audit.c.position), 0))
_rows = (
    select(history.c.position, history.c.tenant, history.c.subject, history.c.sequence, history.c.hash)
    .where(history.c.position > bindparam("after"), history.c.position <= bindparam("upto"))
    .order_by(history.c.position)
)
_acts = (
    select(audit.c.position, audit.c.hash)
    .where(audit.c.position > bindparam("after"), audit.c.position <= bindparam("upto"))
    .order_by(audit.c.position)
)
_unsealed = select(func.count(), func.min(history.c.recorded_at)).where(history.c.position > bindparam("after"))
_unsealed_acts = select(func.count(), func.min(audit.c.at)).where(audit.c.position > bindparam("after"))


def last_positions(connection: Connection) -> tuple[int, int]:
    """The last positions of history and audit that are committed. Below that of history some may not be yet, see
    `writers_of_history`; acts are written one transaction at a time.
    """
    return connection.execute(_high).scalar_one(), connection.execute(_high_act).scalar_one()


def writers_of_history(connection: Connection) -> set[str]:
    """The transactions, by PostgreSQL's names, that may have written history and are not committed.

    It gives positions out before the commit: once all that are here after `last_positions` have gone, nothing below
    can appear any more. On SQLite, with its one writer, there are none.
    """
    if connection.dialect.name == "sqlite":
        return set()
    return set(connection.execute(_writers).scalars())


def history_between(connection: Connection, after: int, upto: int) -> Iterator[Row[Any]]:
    """(position, tenant, subject, sequence, hash) of history in order of position."""
    return _stream(connection, _rows, after, upto)


def acts_between(connection: Connection, after: int, upto: int) -> Iterator[Row[Any]]:
    """(position, hash) of the audit in order of position."""
    return _stream(connection, _acts, after, upto)


def unsealed(connection: Connection, history_to: int, audit_to: int) -> tuple[int, datetime | None]:
    """How many rows of history and audit stand behind these positions, and since when the first does."""
    rows, since = connection.execute(_unsealed, {"after": history_to}).one()
    acts, acts_since = connection.execute(_unsealed_acts, {"after": audit_to}).one()
    return rows + acts, min((each for each in (since, acts_since) if each is not None), default=None)


def _stream(connection: Connection, statement: Any, after: int, upto: int) -> Iterator[Row[Any]]:
    asked = {"after": after, "upto": upto}
    found = connection.execute(statement, asked, execution_options={"yield_per": STREAMED})
    try:
        yield from found
    finally:
        found.close()


def subjects_between(connection: Connection, after: int, upto: int, most: int) -> Rows:
    """(tenant, subject) of at most `most` subjects that have history between two positions."""
    asked = {"after": after, "upto": upto, "most": most}
    return connection.execute(_whose, asked).all()


_whose = (
    select(history.c.tenant, history.c.subject)
    .where(history.c.position > bindparam("after"), history.c.position <= bindparam("upto"))
    .distinct()
    .order_by(history.c.tenant, history.c.subject)
    .limit(bindparam("most"))
)
