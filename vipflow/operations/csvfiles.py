"""Tables as resellers export them: whatever the separator, the encoding, the language of the header."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import date
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from vipflow.errors import BadInput, did_you_mean
from vipflow.vip.customers import folded

ENCODINGS = ("utf-8-sig", "cp1252")
"""As Excel writes them. What is valid UTF-8 is UTF-8; the rest is what western Windows calls text."""
SEPARATORS = ";,\t"
LARGEST = 64 * 1024 * 1024


class Row(NamedTuple):
    """A row by our names of its columns; `line` is where it begins in the file."""

    line: int
    cells: Mapping[str, str]


class Table(NamedTuple):
    """What was read. `ignored`: the headings of columns that nothing is made of."""

    rows: Sequence[Row]
    columns: frozenset[str]
    ignored: tuple[str, ...]


def read_table(file: Path, headings: Mapping[str, Sequence[str]], required: Sequence[str]) -> Table:
    """The rows of a CSV file. `headings`: for each of our names what a column may be called, in any language.

    Separator (`;`, `,` or tab) and encoding (UTF-8 or Windows) are recognised. Raises BadInput for what is no table,
    two columns that mean the same, or a `required` column that is missing.
    """
    text = _text(file)
    first = next((line for line in text.split("\n") if line.strip()), "")
    if not first:
        raise BadInput(str(file), "it is empty", "its first line names the columns")
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    known = {folded_heading(heading): name for name, all_ in headings.items() for heading in (name, *all_)}
    names: list[str | None] = []
    ignored: list[str] = []
    rows: list[Row] = []
    line = 1
    try:
        for cells in reader:
            begun, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [known.get(folded_heading(cell)) for cell in cells]
                ignored = [
                    cell.strip() for cell, name in zip(cells, names, strict=True) if name is None and cell.strip()
                ]
                _check_names(file, cells, names, ignored, headings, required)
                continue
            if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
                problem = f"line {begun} has {len(cells)} cells, the header {len(names)}"
                raise BadInput(str(file), problem, 'put texts that hold the separator in "quotes"')
            found = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name is not None}
            rows.append(Row(begun, {name: cell for name, cell in found.items() if cell}))
    except csv.Error as wrong:
        raise BadInput(str(file), f"line {line} is no row of a table: {wrong}", "export it again as CSV") from wrong
    return Table(rows, frozenset(name for name in names if name is not None), tuple(ignored))


def folded_heading(heading: str) -> str:
    """A heading as it is compared: small letters, no accents, no punctuation.

    >>> folded_heading("N° VIP"), folded_heading("Date d’anniversaire")
    ('n vip', 'date d anniversaire')
    """
    bare = "".join(character if character.isalnum() else " " for character in folded(heading.replace("°", " ")))
    return " ".join(bare.split())


def date_in(text: str) -> date:
    """A day, written 2025-03-01 or 01/03/2025 (day first; dots and hyphens as well). Raises ValueError.

    >>> date_in("01/03/2025"), date_in("2025-03-01 00:00:00")
    (datetime.date(2025, 3, 1), datetime.date(2025, 3, 1))
    """
    day = text.strip().partition(" ")[0].partition("T")[0]
    parts = day.replace("/", "-").replace(".", "-").split("-")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"{text!r} is no date; write 2025-03-01 or 01/03/2025")
    if len(parts[0]) == 4:
        year, month, number = parts
    else:
        number, month, year = parts
    if len(year) != 4:
        raise ValueError(f"{text!r} is no date; write the year with four digits")
    try:
        return date(int(year), int(month), int(number))
    except ValueError:
        raise ValueError(f"{text!r} is no date; there is no such day") from None


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST:
            raise BadInput(str(file), "it is larger than 64 MiB", "split it")
        content = file.read_bytes()
    except OSError as wrong:
        raise BadInput(str(file), f"it cannot be read: {wrong.strerror}", "name a CSV file") from wrong
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise BadInput(str(file), "it is a spreadsheet", "save it as CSV")
    for encoding in ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadInput(str(file), "its encoding is neither UTF-8 nor Windows-1252", "save it as CSV in UTF-8")


def _check_names(
    file: Path,
    header: Sequence[str],
    names: Sequence[str | None],
    ignored: Sequence[str],
    headings: Mapping[str, Sequence[str]],
    required: Sequence[str],
) -> None:
    problems = []
    for name in dict.fromkeys(name for name in names if name is not None):
        if names.count(name) > 1:
            problems.append(f"two columns mean {name}")
    for name in required:
        if name not in names:
            spelt = " or ".join(repr(heading) for heading in headings[name][:2])
            problems.append(f"there is no column {spelt}{did_you_mean(headings[name][0], ignored)}")
    if problems:
        raise BadInput(str(file), "; ".join(problems), f"its first line reads: {', '.join(header)}")
