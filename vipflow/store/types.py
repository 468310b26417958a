"""The column types both databases share, and `any_of`, the one way to ask for many keys at once."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, overload

import msgspec
from sqlalchemy import Boolean, ColumnElement, Dialect, LargeBinary, Text, bindparam
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeDecorator, TypeEngine


def instant_text(value: datetime) -> str:
    """The text of an instant, always 27 characters, so that texts sort as instants do: 2026-03-01T09:00:00.000000Z.

    Raises ValueError for a naive value.
    """
    if value.tzinfo is not UTC:
        value = aware(value).astimezone(UTC)
    return value.isoformat("T", "microseconds")[:-6] + "Z"


@overload
def instant_texts(values: Sequence[datetime]) -> Sequence[str]: ...


@overload
def instant_texts(values: Sequence[datetime | None]) -> Sequence[str | None]: ...


def instant_texts(values: Sequence[datetime | None]) -> Sequence[str | None]:
    """The text of each; of a batch most are the same few."""
    different = {value for value in values if value is not None}
    if any(value.tzinfo is not UTC for value in different):
        # Where the clock goes back Python calls two instants equal.
        return [None if value is None else instant_text(value) for value in values]
    texts = {value: instant_text(value) for value in different}
    return [None if value is None else texts[value] for value in values]


def aware(value: datetime) -> datetime:
    """The value itself. Raises ValueError where it has no time zone."""
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone: instants are stored aware, in UTC")
    return value


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: refuses naive values, comes back aware and in UTC, to the microsecond.

    Fixed-width text on SQLite (see `instant_text`), timestamptz on PostgreSQL.
    """

    impl = postgresql.TIMESTAMP
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        if dialect.name == "sqlite":
            return lambda value: None if value is None else instant_text(value)
        return lambda value: None if value is None else aware(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        if dialect.name == "sqlite":
            return _instant
        return lambda value: None if value is None else value.astimezone(UTC)


@lru_cache(maxsize=16384)
def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


class Word(TypeDecorator[str]):
    """Text that is compared or sorted: by code point on both databases, whatever the locale of PostgreSQL.

    So a page of a list is the same everywhere, and the order in which subjects are locked is Python's `sorted`.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Text() if dialect.name == "sqlite" else postgresql.TEXT(collation="C")


class JsonText(TypeDecorator[str]):
    """JSON kept as the text that the caller encoded; the database never looks inside."""

    impl = Text
    cache_ok = True


class PackedBytes(TypeDecorator[bytes]):
    """Bytes of text, kept in a sixth of their room: a mail with its HTML is some 15 kB, and every mail is kept.

    What cannot be unpacked comes back as it is stored: bytes of before they were packed, or damaged ones, which
    `verify` names by their hash.
    """

    impl = LargeBinary
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[bytes | None], Any]:
        return lambda content: None if content is None else packed(content)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], bytes | None]:
        return lambda body: None if body is None else _unpacked(bytes(body))


def packed(content: bytes) -> bytes:
    """As `PackedBytes` stores it. Fast rather than small: it is done for every mail."""
    return zlib.compress(content, 1)


def _unpacked(body: bytes) -> bytes:
    try:
        return zlib.decompress(body)
    except zlib.error:
        return body


class ListOf(TypeDecorator[list[Any]]):
    """The parameter of `any_of`: a Python list of the column's values."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        # The plain type: a cast to an array cannot name a collation.
        item = Text() if isinstance(self.item, Word | JsonText) else self.item
        return dialect.type_descriptor(postgresql.ARRAY(item))

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        if dialect.name != "sqlite":
            return super().bind_processor(dialect)
        encode = self.item.dialect_impl(dialect).bind_processor(dialect)
        if encode is None:
            return lambda values: msgspec.json.encode(list(values)).decode()
        return lambda values: msgspec.json.encode([encode(value) for value in values]).decode()

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        return self


class any_of(ColumnElement[bool]):
    """True where `column` is one of the values in the list parameter `name`.

    The statement's text does not depend on how many values there are, so it is compiled and planned once:

        select(cases).where(cases.c.tenant == bindparam("tenant"), any_of(cases.c.subject, "subjects"))
        connection.execute(statement, {"tenant": 1, "subjects": ["A", "B"]})

    The list may be empty, and may hold None, which equals nothing.
    """

    inherit_cache = True
    type = Boolean()
    _traverse_internals = [
        ("column", InternalTraversal.dp_clauseelement),
        ("values", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.values = bindparam(name, type_=ListOf(column.type))

    def self_group(self, against: Any = None) -> any_of:
        return self


@compiles(any_of)
def _any_of_array(element: any_of, compiler: SQLCompiler, **how: Any) -> str:
    return f"{compiler.process(element.column, **how)} = ANY ({compiler.process(element.values, **how)})"


@compiles(any_of, "sqlite")
def _any_of_json(element: any_of, compiler: SQLCompiler, **how: Any) -> str:
    values = compiler.process(element.values, **how)
    column = compiler.process(element.column, **how)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - both parts come from the compiler
