"""Rows of lists written as CSV: the fields of their class as columns, and no cell that a spreadsheet would compute.

Texts stand in quotes, numbers do not; days and instants are ISO 8601, instants in a zone that is said. A part of a row
is columns of its own (`next_at`), several values are one cell with bars between (`a | b`), licences read
`65305156CA01A12 x 5`; what is none of these is JSON.
"""

from __future__ import annotations

import csv
import dataclasses
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, tzinfo
from functools import partial
from io import StringIO
from operator import attrgetter
from typing import Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from vipflow.operations.csvcells import guarded
from vipflow.workflow import Text

MARK: Final = "\ufeff"
"""By which Excel knows UTF-8."""
BETWEEN: Final = " | "


class Form(NamedTuple):
    """How a file is laid out."""

    separator: str = ","
    mark: bool = False


PLAIN: Final = Form()
EXCEL: Final = Form(";", mark=True)
"""As Excel opens it by itself where a comma is the decimal sign; its encoding is known by the mark."""


class Column(NamedTuple):
    """A column: what it is called, and what of a row stands in it."""

    name: str
    value: Callable[[Any], Any]


def columns_of(kind: type, before: str = "", path: tuple[str, ...] = ()) -> Iterator[Column]:
    """The columns of a row of this class (a msgspec struct, a dataclass or a named tuple), as JSON calls its fields."""
    for name, field, hint in _fields(kind):
        inner = _without_none(hint)
        if _is_row(inner):
            yield from columns_of(inner, f"{before}{name}_", (*path, field))
        else:
            yield Column(before + name, partial(_reached, (*path, field)))


def written(rows: Iterable[Any], columns: Iterable[Column], zone: tzinfo, form: Form = PLAIN) -> str:
    """Lines of CSV, each ended as RFC 4180 wants it."""
    return _lines([[_cell(column.value(row), zone) for column in columns] for row in rows], form)


def header(columns: Iterable[Column], form: Form = PLAIN) -> str:
    """The first line, with the mark where the form has one."""
    return (MARK if form.mark else "") + _lines([[column.name for column in columns]], form)


def _lines(rows: Iterable[Iterable[Any]], form: Form) -> str:
    stream = StringIO()
    csv.writer(stream, delimiter=form.separator, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n").writerows(rows)
    return stream.getvalue()


def _cell(value: Any, zone: tzinfo) -> Any:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return value
        case None:
            return ""
        case datetime():
            return value.astimezone(zone).isoformat()
        case date():
            return value.isoformat()
        case _:
            return guarded(_text(value))


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case Text():
            return value.en
        case list() | tuple() | set() | frozenset():
            parts = [_part(each) for each in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
            return BETWEEN.join(part for part in parts if part is not None) if None not in parts else _json(value)
        case _:
            return _json(value)


def _part(value: Any) -> str | None:
    """One of several values in a cell; None where it takes more than a word."""
    if isinstance(value, (str, int, date)):
        return str(value)
    if isinstance(value, Text):
        return value.en
    if hasattr(value, "sku") and hasattr(value, "quantity"):
        return f"{value.sku} x {value.quantity}"
    if hasattr(value, "name") and hasattr(value, "email"):
        return f"{value.name} <{value.email}>"
    return None


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode() if value not in ((), [], {}) else ""


# --- classes -------------------------------------------------------------------------------------------------------


def _fields(kind: type) -> Iterator[tuple[str, str, Any]]:
    """(name in JSON, name in Python, type) of the fields."""
    if issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            yield field.encode_name, field.name, field.type
        return
    hints = get_type_hints(kind)
    known: tuple[str, ...] = getattr(kind, "_fields", ())
    if dataclasses.is_dataclass(kind):
        known = tuple(each.name for each in dataclasses.fields(kind))
    for name in known:
        yield name, name, hints.get(name, Any)


def _is_row(kind: Any) -> bool:
    """Whether a field of this class is columns of its own."""
    if not isinstance(kind, type) or issubclass(kind, (Text, Mapping)):
        return False
    return issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        inner = [each for each in get_args(hint) if each is not type(None)]
        return inner[0] if len(inner) == 1 else hint
    return hint


def _reached(path: tuple[str, ...], row: Any) -> Any:
    """What stands at the end of a path of fields; None where a part of it is missing."""
    for name in path:
        if row is None:
            return None
        row = attrgetter(name)(row)
    return row
