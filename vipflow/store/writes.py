"""Writing many rows at once, the one way that is fast on each database.

A statement is made once and run with plain tuples, whose order is that of its columns:

    MOVE = Update(cases, key=["tenant", "ref", "version"], set=["state", "version"])
    moved = MOVE.run(connection, [(1, "PA-4M2X-8TQH", 3, "late", 4)])

SQLite gets the rows through the driver's own loop (executemany). PostgreSQL gets them as one JSON text, which
`json_to_recordset` opens. Values are what Python holds: aware instants, dates, booleans, numbers, text, bytes, None.
Where there is no row, there is no statement. A key may come once in a call: of two rows with the same key SQLite would
keep the last, PostgreSQL either.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Dialect,
    LargeBinary,
    Table,
    Text,
    UpdateBase,
    bindparam,
    cast,
    column,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import FromClause
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from vipflow.store.types import JsonText, PackedBytes, UtcDateTime, Word, aware, instant_texts, packed

Row = tuple[Any, ...]
_Texts = Callable[[Sequence[Any]], Sequence[str | None]]


class Write(ABC):
    """What the statements below share. `columns`: what a row holds, in order."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self.table = table
        self.columns = tuple(columns)
        types = [table.c[name].type for name in self.columns]
        self._instants = [at for at, type_ in enumerate(types) if isinstance(type_, UtcDateTime)]
        self._texts_on_sqlite: list[tuple[int, _Texts]] = [(at, instant_texts) for at in self._instants]
        self._texts_on_sqlite += [(at, _date_texts) for at, type_ in enumerate(types) if isinstance(type_, Date)]
        self._packed = [at for at, type_ in enumerate(types) if isinstance(type_, PackedBytes)]
        self._fields = [f"c{at}" for at in range(len(types))]
        self._record = msgspec.defstruct("Record", self._fields)  # in JSON what a dict is, made twice as fast
        self._sql: dict[str, str] = {}
        self._order: list[int] = []  # of the parameters in SQLite's text: an UPDATE names its key last

    def run(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Writes the rows; how many rows of the table that touched. ValueError for rows that do not fit."""
        if not rows:
            return 0
        if {len(row) for row in rows} != {len(self.columns)}:
            raise ValueError(f"a row of {self.table.name} has {len(self.columns)} values here, and not all have")
        sql = self.sql_for(connection.dialect)
        if connection.dialect.name == "sqlite":
            return connection.exec_driver_sql(sql, self._as_sqlite_takes_them(rows)).rowcount
        return connection.exec_driver_sql(sql, {"rows": self._as_json(rows)}).rowcount

    @abstractmethod
    def _on_sqlite(self, values: Sequence[ColumnElement[Any]]) -> UpdateBase:
        """The statement for one row of these values."""

    @abstractmethod
    def _on_postgresql(self, values: Sequence[ColumnElement[Any]], rows: FromClause) -> UpdateBase:
        """The statement for all `rows`, of which these are the values."""

    def sql_for(self, dialect: Dialect) -> str:
        """The text that is run: for each row on SQLite, for all of them on PostgreSQL, in its one parameter `rows`."""
        known = self._sql.get(dialect.name)
        if known is not None:
            return known
        if dialect.name == "sqlite":
            compiled = self._on_sqlite([bindparam(field) for field in self._fields]).compile(dialect=dialect)
            assert isinstance(compiled, SQLCompiler)  # noqa: S101 - what statements compile to
            assert compiled.positiontup is not None  # noqa: S101 - SQLite's parameters have no names
            self._order = [self._fields.index(name) for name in compiled.positiontup]
        else:
            sources = [self.table.c[name].type for name in self.columns]
            fields = [column(field, _in_json(type_)) for field, type_ in zip(self._fields, sources, strict=True)]
            rows = (
                func.json_to_recordset(cast(bindparam("rows", type_=Text), postgresql.JSON))
                .table_valued(*fields)
                .render_derived(name="rows", with_types=True)
            )
            values = [_from_json(rows.c[field], type_) for field, type_ in zip(self._fields, sources, strict=True)]
            compiled = self._on_postgresql(values, rows).compile(dialect=dialect)
        self._sql[dialect.name] = sql = str(compiled)
        return sql

    def _as_sqlite_takes_them(self, rows: Sequence[Row]) -> Sequence[Row]:
        """In the order of the SQL, with instants and dates as text; by columns, where only those that change cost."""
        values: list[Any] = list(zip(*rows, strict=True))
        for at, texts_of in self._texts_on_sqlite:
            values[at] = texts_of(values[at])
        for at in self._packed:
            values[at] = [None if content is None else packed(content) for content in values[at]]
        return list(zip(*(values[at] for at in self._order), strict=True))

    def _as_json(self, rows: Sequence[Row]) -> str:
        for at in self._instants:
            for value in {row[at] for row in rows}:
                if value is not None:
                    aware(value)
        for at in self._packed:
            rows = [(*row[:at], None if row[at] is None else packed(row[at]), *row[at + 1 :]) for row in rows]
        return msgspec.json.encode([self._record(*row) for row in rows]).decode()


class Insert(Write):
    """New rows. A key that is taken already raises SQLAlchemy's `IntegrityError`."""

    def _on_sqlite(self, values: Sequence[ColumnElement[Any]]) -> UpdateBase:
        return _insert_one(self, values)

    def _on_postgresql(self, values: Sequence[ColumnElement[Any]], rows: FromClause) -> UpdateBase:
        return _insert_all(self, values, rows)


class InsertAbsent(Insert):
    """New rows, except those that some unique key of the table knows already; `run` counts the new ones."""

    def _on_sqlite(self, values: Sequence[ColumnElement[Any]]) -> UpdateBase:
        return _insert_one(self, values).on_conflict_do_nothing()

    def _on_postgresql(self, values: Sequence[ColumnElement[Any]], rows: FromClause) -> UpdateBase:
        return _insert_all(self, values, rows).on_conflict_do_nothing()


class Upsert(Write):
    """New rows, or new values for those that `key`, a unique key of the table, finds."""

    def __init__(self, table: Table, *, key: Sequence[str], set: Sequence[str]) -> None:
        super().__init__(table, [*key, *set])
        self._key = list(key)
        self._set = list(set)

    def _on_sqlite(self, values: Sequence[ColumnElement[Any]]) -> UpdateBase:
        insert = _insert_one(self, values)
        return insert.on_conflict_do_update(index_elements=self._key, set_={n: insert.excluded[n] for n in self._set})

    def _on_postgresql(self, values: Sequence[ColumnElement[Any]], rows: FromClause) -> UpdateBase:
        insert = _insert_all(self, values, rows)
        return insert.on_conflict_do_update(index_elements=self._key, set_={n: insert.excluded[n] for n in self._set})


class Update(Write):
    """New values for the rows that `key` finds; a row holds first the key, then the values.

    A column may be in both: with a version in the key, `run` counts fewer than it got when somebody was faster.
    """

    def __init__(self, table: Table, *, key: Sequence[str], set: Sequence[str]) -> None:
        super().__init__(table, [*key, *set])
        self._key = list(key)
        self._set = list(set)

    def _on_sqlite(self, values: Sequence[ColumnElement[Any]]) -> UpdateBase:
        new = dict(zip(self._set, values[len(self._key) :], strict=True))
        return update(self.table).where(*_same(self.table, self._key, values)).values(new)

    def _on_postgresql(self, values: Sequence[ColumnElement[Any]], rows: FromClause) -> UpdateBase:
        return self._on_sqlite(values)  # Core adds FROM for the columns of another table


class Delete(Write):
    """Takes away the rows that `key` finds."""

    def __init__(self, table: Table, *, key: Sequence[str]) -> None:
        super().__init__(table, key)

    def _on_sqlite(self, values: Sequence[ColumnElement[Any]]) -> UpdateBase:
        return delete(self.table).where(*_same(self.table, self.columns, values))

    def _on_postgresql(self, values: Sequence[ColumnElement[Any]], rows: FromClause) -> UpdateBase:
        return self._on_sqlite(values)  # Core adds USING


def _date_texts(values: Sequence[date | None]) -> Sequence[str | None]:
    return [None if value is None else value.isoformat() for value in values]


def _insert_one(write: Write, values: Sequence[ColumnElement[Any]]) -> sqlite.Insert:
    # inline: or Core asks for the new key back
    return sqlite.insert(write.table).values(dict(zip(write.columns, values, strict=True))).inline()


def _insert_all(write: Write, values: Sequence[ColumnElement[Any]], rows: FromClause) -> postgresql.Insert:
    return postgresql.insert(write.table).from_select(write.columns, select(*values).select_from(rows))


def _same(table: Table, key: Sequence[str], values: Sequence[ColumnElement[Any]]) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in zip(key, values, strict=False)]


def _in_json(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type as which `json_to_recordset` reads a column."""
    return Text() if isinstance(type_, Word | JsonText | PackedBytes | LargeBinary) else type_


def _from_json(field: ColumnElement[Any], type_: TypeEngine[Any]) -> ColumnElement[Any]:
    """JSON has no bytes: msgspec writes them in base64."""
    return func.decode(field, literal_column("'base64'")) if isinstance(type_, PackedBytes | LargeBinary) else field
