"""All rows out of a database, and into an empty one of either kind: what `vipflow.store.archive` writes and reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    delete,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.types import TypeEngine

from vipflow.errors import BadInput, SchemaError, VipflowError
from vipflow.store import tables as known
from vipflow.store.archive import AT_ONCE, FORMAT, Archive, Count, Header, Kind, Shape, Write, Written, write_archive
from vipflow.store.types import JsonText, PackedBytes, UtcDateTime, Word
from vipflow.store.writes import Insert

_KINDS: Sequence[tuple[type[TypeEngine[Any]], Kind]] = (
    (UtcDateTime, "instant"),
    (JsonText, "json"),
    (PackedBytes, "bytes"),
    (Word, "text"),
    (Boolean, "flag"),
    (Date, "date"),
    (Integer, "integer"),
)
_TYPES: Mapping[Kind, TypeEngine[Any]] = {
    "instant": UtcDateTime(),
    "json": JsonText(),
    "bytes": LargeBinary(),  # as they are stored
    "text": Word(),
    "flag": Boolean(),
    "date": Date(),
    "integer": BigInteger(),
}
OF_THE_PROGRAM = frozenset({"meta", "daemons"})
"""Tables that fill by themselves: a database with nothing in others holds nobody's data."""


class Unreadable(VipflowError):
    """Raised when a row cannot be read as what its column is.

    >>> print(Unreadable("history", "Could not decode to UTF-8"))
    the table history: a row cannot be read (Could not decode to UTF-8); look with `vipflow verify`, restore a backup
    """

    def __init__(self, table: str, problem: str) -> None:
        super().__init__(
            f"the table {table}: a row cannot be read ({problem}); look with `vipflow verify`, restore a backup"
        )
        self.table = table
        self.problem = problem


def shapes_of(connection: Connection, schema: str) -> tuple[Shape, ...]:
    """The tables and columns that the database has, which may be of an older release. Raises SchemaError for what this
    release does not know.
    """
    reflected = inspect(connection).get_multi_columns()
    found = {key[1]: {column["name"] for column in columns} for key, columns in reflected.items()}
    found.pop("alembic_version", None)
    unknown = [
        name if name not in known.metadata.tables else f"{name}.{column}"
        for name, columns in found.items()
        for column in columns
        if name not in known.metadata.tables or column not in known.metadata.tables[name].c
    ]
    if unknown:
        remedy = f"use the release that wrote it: this one does not know {', '.join(sorted(set(unknown))[:5])}"
        raise SchemaError("the database", schema, "one that it knows", remedy)
    return tuple(
        Shape(str(table.name), {str(c.name): _kind(c.type) for c in table.columns if c.name in found[table.name]})
        for table in known.metadata.sorted_tables
        if table.name in found
    )


def write_all(connection: Connection, write: Write, *, schema: str, done: Count | None = None) -> Written:
    """Writes the whole database as it is at the moment of this transaction."""
    shapes = shapes_of(connection, schema)
    header = Header(FORMAT, version("vipflow"), schema, as_of(connection), {s.name: dict(s.kinds) for s in shapes})
    return write_archive(write, header, shapes, lambda shape: _rows(connection, shape), done)


def as_of(connection: Connection) -> datetime | None:
    """When the newest step of history, or act, was written."""
    there = set(inspect(connection).get_table_names())
    wanted = [known.history.c.recorded_at, known.audit.c.at]
    found = [connection.execute(select(func.max(c))).scalar() for c in wanted if c.table.name in there]
    return max((at for at in found if at is not None), default=None)


def count_rows(connection: Connection, schema: str) -> dict[str, int]:
    """How many rows each table has."""
    shapes = shapes_of(connection, schema)
    return {s.name: connection.execute(select(func.count()).select_from(_table(s))).scalar_one() for s in shapes}


def holds_nothing(connection: Connection) -> bool:
    """Whether there are no tables of ours, or nobody's data in them."""
    there = set(inspect(connection).get_table_names())
    return not any(
        connection.execute(select(1).select_from(table).limit(1)).first() is not None
        for table in known.metadata.sorted_tables
        if table.name in there and table.name not in OF_THE_PROGRAM
    )


def fill(connection: Connection, archive: Archive, done: Count | None = None) -> Written:
    """Puts all rows of an archive into tables that hold nothing, and compares what is there then with the archive, to
    the byte. Raises BadInput where that does not come out right: undo the transaction.
    """
    _check_known(archive)
    for name in OF_THE_PROGRAM & archive.header.tables.keys():
        connection.execute(delete(known.metadata.tables[name]))
    total = 0
    insert: Insert | None = None
    for shape, line, rows in archive.parts():
        if insert is None or insert.table.name != shape.name:
            insert = Insert(_table(shape), list(shape.kinds))
        try:
            insert.run(connection, rows)
        except DBAPIError as wrong:
            if not _is_about_the_row(wrong):
                raise
            problem = f"the database does not take a row of {shape.name} ({' '.join(str(wrong.orig).split())})"
            raise BadInput(
                f"{archive.name} lines {line} to {line + len(rows) - 1}", problem, "nothing was kept"
            ) from None
        total += len(rows)
        if done is not None:
            done(total)
    _go_on_counting(connection, archive.shapes)
    found = write_archive(lambda _: None, archive.header, archive.shapes, lambda shape: _rows(connection, shape))
    for ours, theirs in zip(found.closes, archive.written.closes, strict=True):
        if ours != theirs:
            problem = f"what came of its table {ours.table} is not what it says"
            raise BadInput(archive.name, problem, "nothing was kept: it was not written by `vipflow db export`")
    return found


def _is_about_the_row(wrong: DBAPIError) -> bool:
    """Whether it is the content that the database does not take; `54`: a key is too long for PostgreSQL's indexes."""
    return isinstance(wrong, (IntegrityError, DataError)) or str(getattr(wrong.orig, "sqlstate", "")).startswith("54")


def _check_known(archive: Archive) -> None:
    for shape in archive.shapes:
        table = known.metadata.tables.get(shape.name)
        if table is None or any(c not in table.c or _kind(table.c[c].type) != kind for c, kind in shape.kinds.items()):
            problem = f"its table {shape.name} is none that this release knows"
            raise BadInput(archive.name, problem, "take the release that wrote it, or a later one")


def _rows(connection: Connection, shape: Shape) -> Iterator[Sequence[Sequence[Any]]]:
    table = _table(shape)
    key = [table.c[column.name] for column in known.metadata.tables[shape.name].primary_key]
    try:
        found = connection.execute(select(table).order_by(*key), execution_options={"yield_per": AT_ONCE})
        try:
            yield from found.partitions()
        finally:
            found.close()
    except (ValueError, TypeError) as wrong:
        raise Unreadable(shape.name, str(wrong)) from wrong
    except DBAPIError as wrong:
        if "UTF-8" not in str(wrong.orig):  # SQLite's driver, of damaged text
            raise
        raise Unreadable(shape.name, str(wrong.orig).partition(" with text")[0]) from wrong


def _go_on_counting(connection: Connection, shapes: Sequence[Shape]) -> None:
    """PostgreSQL's counters stand behind the last row; SQLite counts from what is there."""
    if connection.dialect.name != "postgresql":
        return
    for shape in shapes:
        for column in known.metadata.tables[shape.name].columns:
            if column.identity is not None:
                newest = connection.execute(select(func.max(column))).scalar()
                if newest is not None:
                    connection.execute(_COUNTER, {"table": shape.name, "column": column.name, "newest": newest})


_COUNTER = text("SELECT setval(pg_get_serial_sequence(:table, :column), :newest)")


def _table(shape: Shape) -> Table:
    return Table(shape.name, MetaData(), *(Column(name, _TYPES[kind]) for name, kind in shape.kinds.items()))


def _kind(type_: TypeEngine[Any]) -> Kind:
    return next(kind for base, kind in _KINDS if isinstance(type_, base))
