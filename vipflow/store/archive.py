"""Everything that a database holds, as JSON lines: written from one, and read back without believing it.

The first line is the header: format, release, schema, as of when, and each table's columns with their kinds. Then table
by table a line for each row, in the order of its key, and a line that closes the table; the last line is the end. Each
of the latter counts, and has a checksum over all that stands before it:

    {"vipflow":{"format":1,"version":"0.1.0","schema":"0002","as_of":"…","tables":{"tenants":{"id":"integer",…},…}}}
    {"tenants":{"id":1,"key":"north",…}}
    {"close":{"table":"tenants","rows":1,"sha256":"…"}}
    {"end":{"rows":1,"sha256":"…"}}

Nothing depends on the database's kind or on when it is written: what holds the same gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, BinaryIO, Literal, NoReturn

import msgspec
from msgspec.structs import astuple

from vipflow.errors import BadInput

FORMAT = 1
LONGEST_LINE = 64 * 1024 * 1024
AT_ONCE = 500
"""Rows in hand."""

Kind = Literal["integer", "text", "json", "instant", "date", "flag", "bytes"]
"""How a column's values are written: `instant` in UTC, `bytes` in base64 as they are stored (mails: packed by zlib),
`json` as the JSON that the column's text is, to the byte.
"""
Row = tuple[Any, ...]
Write = Callable[[bytes], object]
Count = Callable[[int], None]
"""Told how many rows have been done, now and then."""

_TYPES: Mapping[Kind, Any] = {
    "integer": int | None,
    "text": str | None,
    "json": msgspec.Raw,
    "instant": Annotated[datetime, msgspec.Meta(tz=True)] | None,
    "date": date | None,
    "flag": bool | None,
    "bytes": bytes | None,
}


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line. `as_of`: when the newest step of history, or act, was written; `tables`: their columns' kinds."""

    format: int
    version: str
    schema: str
    as_of: datetime | None
    tables: dict[str, dict[str, Kind]]


class Close(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Behind a table's last row. `sha256`: of all bytes before this line."""

    table: str
    rows: int
    sha256: str


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last line: all rows, and the checksum of all bytes before it."""

    rows: int
    sha256: str


class Shape:
    """A table as the lines hold it."""

    def __init__(self, name: str, kinds: Mapping[str, Kind]) -> None:
        self.name = name
        self.kinds = kinds
        self.prefix = b'{"%s":' % name.encode()
        fields = {f"c{at}": column for at, column in enumerate(kinds)}
        types = [(field, _TYPES[kind]) for field, kind in zip(fields, kinds.values(), strict=True)]
        self._row: Any = msgspec.defstruct("Row", types, rename=fields, forbid_unknown_fields=True)
        self._json = [at for at, kind in enumerate(kinds.values()) if kind == "json"]
        self._decode = msgspec.json.Decoder(self._row).decode
        self._encode = msgspec.json.Encoder().encode

    def line(self, row: Sequence[Any]) -> bytes:
        """A row as its line."""
        values = list(row)
        for at in self._json:
            values[at] = _embedded(values[at])
        return self.prefix + self._encode(self._row(*values)) + b"}\n"

    def row(self, line: bytes) -> Row:
        """The row of a line that begins with `prefix`. Raises ValueError for one that holds something else."""
        if not line.endswith(b"}\n"):
            raise ValueError("the line is not closed")
        row = astuple(self._decode(line[len(self.prefix) : -2]))
        if not self._json:
            return row
        values = list(row)
        for at in self._json:
            values[at] = _text_of(bytes(values[at]))
        return tuple(values)


class _Quoted(msgspec.Struct, frozen=True, rename={"text": "$text"}, forbid_unknown_fields=True):
    """Text in a column of JSON that cannot stand in a line as it is."""

    text: str


_QUOTED = b'{"$text":'
_NOTHING = msgspec.Raw(b"null")


def _embedded(text: str | None) -> msgspec.Raw:
    if text is None:
        return _NOTHING
    raw = text.encode()
    if raw[:1] in (b"{", b"[") and not raw.startswith(_QUOTED) and b"\n" not in raw and b"\r" not in raw:
        try:
            if len(bytes(msgspec.json.decode(raw, type=msgspec.Raw))) == len(raw):
                return msgspec.Raw(raw)
        except msgspec.DecodeError:
            pass  # damaged: kept as it is, and `verify` names it
    return msgspec.Raw(msgspec.json.encode(_Quoted(text)))


def _text_of(raw: bytes) -> str | None:
    if raw == b"null":
        return None
    return msgspec.json.decode(raw, type=_Quoted).text if raw.startswith(_QUOTED) else raw.decode()


# --- written -------------------------------------------------------------------------------------------------------


class Written(msgspec.Struct, frozen=True):
    """What was written: how each table was closed, and the end."""

    closes: tuple[Close, ...]
    end: End

    @property
    def rows(self) -> dict[str, int]:
        """By table."""
        return {close.table: close.rows for close in self.closes}


def write_archive(
    write: Write,
    header: Header,
    shapes: Iterable[Shape],
    rows_of: Callable[[Shape], Iterator[Sequence[Sequence[Any]]]],
    done: Count | None = None,
) -> Written:
    """Writes the tables, whose rows `rows_of` gives some at a time in the order of their key."""
    checksum = sha256()

    def put(content: bytes) -> None:
        checksum.update(content)
        write(content)

    put(_named("vipflow", header))
    closes = []
    total = 0
    for shape in shapes:
        rows = 0
        for part in rows_of(shape):
            put(b"".join(map(shape.line, part)))
            rows += len(part)
            if done is not None:
                done(total + rows)
        closes.append(Close(shape.name, rows, checksum.hexdigest()))
        put(_named("close", closes[-1]))
        total += rows
    end = End(total, checksum.hexdigest())
    write(_named("end", end))
    return Written(tuple(closes), end)


def _named(name: str, value: msgspec.Struct) -> bytes:
    return msgspec.json.encode({name: value}) + b"\n"


# --- read ----------------------------------------------------------------------------------------------------------


class Archive:
    """An open file of such lines, from its beginning. Raises BadInput, with the line and what is wrong with it, for one
    that was cut, damaged or edited: at the latest at the end of the table in question.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self.name = name
        self._number = 0
        self._checksum = sha256()
        self._closes: list[Close] = []
        self._end: End | None = None
        self.header = self._header()

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The tables, in their order."""
        return tuple(Shape(name, kinds) for name, kinds in self.header.tables.items())

    @property
    def written(self) -> Written:
        """What the file says of itself, once it has been read to the end."""
        assert self._end is not None  # noqa: S101 - read to the end
        return Written(tuple(self._closes), self._end)

    def parts(self) -> Iterator[tuple[Shape, int, list[Row]]]:
        """All rows, some at a time: with their table, and the line of the first."""
        total = 0
        for shape in self.shapes:
            first, rows = (self._number + 1 if self._closes else 1), 0  # the header counts with the first table
            part: list[Row] = []
            while (line := self._line(f"inside {shape.name}")).startswith(shape.prefix):
                try:
                    part.append(shape.row(line))
                except (ValueError, RecursionError) as wrong:
                    self._refuse(f"it is no row of {shape.name} ({wrong})")
                if len(part) == AT_ONCE:
                    rows += AT_ONCE
                    yield shape, self._number - AT_ONCE + 1, part
                    part = []
            rows += len(part)
            self._close(line, shape, first, rows)
            if part:
                yield shape, self._number - len(part), part
            total += rows
        self._finish(total)

    def check(self, done: Count | None = None) -> Written:
        """Reads all that is left, and keeps none of it."""
        total = 0
        for _, _, rows in self.parts():
            total += len(rows)
            if done is not None:
                done(total)
        return self.written

    def _header(self) -> Header:
        line = self._line("before the header")
        self._checksum.update(line)
        try:
            found = msgspec.json.decode(line, type=dict[Literal["vipflow"], msgspec.Raw])["vipflow"]
            number = msgspec.json.decode(found, type=_Format).format
        except (ValueError, LookupError, RecursionError):
            self._refuse("it is not the first line of an export", "name a file that `vipflow db export` wrote")
        if number != FORMAT:
            problem = f"it is written in format {number}, and this release reads format {FORMAT}"
            self._refuse(problem, "take the release that wrote it, or a later one")
        try:
            header = msgspec.json.decode(found, type=Header)
        except (ValueError, RecursionError) as wrong:
            self._refuse(f"the header is not as it was written ({wrong})")
        if _named("vipflow", header) != line:
            self._refuse("the header is not as it was written")
        return header

    def _close(self, line: bytes, shape: Shape, first: int, rows: int) -> None:
        close: Close = self._mark(line, "close", Close, f"no row of {shape.name}, and not its end")
        if close.table != shape.name:
            self._refuse(f"it closes {close.table} where {shape.name} should be closed")
        if close.rows != rows:
            self._refuse(f"{close.rows:,} rows of {shape.name} were written, and {rows:,} are here")
        if close.sha256 != self._checksum.hexdigest():
            where = f"the lines {first} to {self._number - 1}" if first < self._number else "a line before it"
            self._refuse(f"something in {where} ({shape.name}) is not as it was written")
        self._closes.append(close)
        self._checksum.update(line)

    def _finish(self, total: int) -> None:
        line = self._line("before its end")
        end: End = self._mark(line, "end", End, "not the end that should stand here")
        if end != End(total, self._checksum.hexdigest()):
            self._refuse("the end does not fit what stands before it")
        if self._file.read(1):
            self._number += 1
            self._refuse("something stands behind the end")
        self._end = end

    def _mark(self, line: bytes, name: str, type_: Any, problem: str) -> Any:
        try:
            found = msgspec.json.decode(line, type=dict[str, type_])
        except (ValueError, RecursionError):
            found = {}
        if list(found) != [name] or _named(name, found[name]) != line:
            self._refuse(f"it is {problem}")
        return found[name]

    def _line(self, where: str) -> bytes:
        """The next line. A row enters the checksum here; what closes a table does so after it was compared."""
        line = self._file.readline(LONGEST_LINE + 1)
        self._number += 1
        if len(line) > LONGEST_LINE:
            self._refuse(f"it is longer than {LONGEST_LINE:,} bytes")
        if not line.endswith(b"\n"):
            self._refuse(f"the file ends {'in this line' if line else 'before it'}, {where}: it was cut")
        if not line.startswith((b'{"close":', b'{"end":', b'{"vipflow":')):
            self._checksum.update(line)
        return line

    def _refuse(self, problem: str, remedy: str = "nothing was taken from it; take another copy") -> NoReturn:
        raise BadInput(f"{self.name} line {self._number}", problem, remedy) from None


class _Format(msgspec.Struct, frozen=True):
    """All that is asked of a header before its format is known."""

    format: int
