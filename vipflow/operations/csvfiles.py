"""Tables as resellers export them: whatever the separator, the encoding, the language of the header.

A file is read row by row, as often as asked, and never held whole: a hundred thousand customers are read like ten.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from vipflow.errors import BadInput, did_you_mean
from vipflow.operations.csvcells import unguarded
from vipflow.operations.encodings import Sighted, encoding_of
from vipflow.vip.customers import folded

SEPARATORS: Final[Mapping[str, str]] = {";": "semicolons", ",": "commas", "\t": "tabs", "|": "bars"}
LARGEST: Final = 512 * 1024 * 1024
_SAMPLE: Final = 64 * 1024


class Row(NamedTuple):
    """A row by our names of its columns; `line` is where it begins in the file."""

    line: int
    cells: Mapping[str, str]


class Layout(NamedTuple):
    """What is said of a table instead of being recognised. `columns`: for our names the only headings that count.

    `told_in`: where it is said, for messages.
    """

    columns: Mapping[str, Sequence[str]] = {}
    separator: str | None = None
    encoding: str | None = None
    told_in: str = ""


class Table:
    """A CSV file whose dress and header are known. `columns`: our names with the headings that say them; `ignored`:
    the headings of columns that nothing is made of.
    """

    def __init__(
        self, file: Path, sighted: Sighted, separator: str, header: Sequence[str], names: Sequence[str | None]
    ) -> None:
        self.file = file
        self.encoding = sighted.encoding
        self.digest = sighted.digest
        """Of all bytes: the same file has the same."""
        self.separator = separator
        self.header = header
        self._names = names
        self.columns = {name: heading for heading, name in zip(header, names, strict=True) if name}
        self.ignored = tuple(heading for heading, name in zip(header, names, strict=True) if name is None and heading)

    def rows(self) -> Iterator[Row]:
        """The rows below the header, without empty ones; of each the cells that say something.

        Raises BadInput for what is no row of a table.
        """
        names = self._names
        with _lines(self.file, self.encoding, self.separator) as lines:
            next(lines)
            for begun, cells in lines:
                if len(cells) > len(names) and any(map(str.strip, cells[len(names) :])):
                    problem = f"line {begun} has {len(cells)} cells, the header {len(names)}"
                    raise BadInput(str(self.file), problem, 'put texts that hold the separator in "quotes"')
                found = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name}
                yield Row(begun, {name: unguarded(cell) for name, cell in found.items() if cell})


def open_table(
    file: Path,
    headings: Mapping[str, Sequence[str]],
    required: Sequence[str],
    layout: Layout | None = None,
    *,
    passed_over: Collection[str] = (),
) -> Table:
    """The table in a file, its dress recognised. `headings`: for each of our names what a column may be called, in any
    language; `passed_over`: headings that mean nothing to us and need no mention.

    Encoding: UTF-8, UTF-16 with a mark, Windows. Separator: `;` `,` tab `|`, or what Excel's first line `sep=` says.
    Raises BadInput for what is no table, two columns that mean the same, or a `required` column that is missing.
    """
    layout = layout if layout is not None else Layout()
    sighted = encoding_of(file, layout.encoding, LARGEST)
    separator = layout.separator or _separator(file, sighted.encoding)
    with _lines(file, sighted.encoding, separator) as lines:
        _, cells = next(lines)
    header = [" ".join(cell.split()) for cell in cells]
    names = _names(file, header, headings, required, layout, {folded_heading(each) for each in passed_over})
    return Table(file, sighted, separator, header, names)


def folded_heading(heading: str) -> str:
    """A heading as it is compared: small letters, no accents, no punctuation.

    >>> folded_heading("N° VIP"), folded_heading("Date d’anniversaire")
    ('n vip', 'date d anniversaire')
    """
    bare = "".join(character if character.isalnum() else " " for character in folded(heading.replace("°", " ")))
    return " ".join(bare.split())


# --- lines ---------------------------------------------------------------------------------------------------------


@contextmanager
def _lines(file: Path, encoding: str, separator: str) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """The lines that hold something, from the header on, with the number of the line where each begins."""
    with _text(file, encoding) as stream:
        yield _told(file, stream, separator)


def _told(file: Path, stream: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(stream, delimiter=separator, strict=True)
    line, first = 1, True
    try:
        for cells in reader:
            begun, line = line, reader.line_num + 1
            if not any(map(str.strip, cells)):
                continue
            if first and said_by_excel(separator.join(cells)) is not None:
                continue
            first = False
            yield begun, cells
    except csv.Error as wrong:
        problem = f"line {line} is no row of a table: {wrong}"
        if "field limit" in str(wrong):
            problem = f"a cell of line {line} is longer than {csv.field_size_limit():,} characters"
        raise BadInput(str(file), problem, "look for a quote that is never closed, or export it again as CSV") from None
    if first:
        raise BadInput(str(file), "it is empty", "its first line names the columns")


@contextmanager
def _text(file: Path, encoding: str) -> Iterator[TextIO]:
    try:
        stream = file.open(encoding=encoding, newline="")
    except OSError as wrong:
        raise BadInput(str(file), f"it cannot be read: {os.strerror(wrong.errno or 0)}", "name a CSV file") from wrong
    with stream:
        yield stream


# --- what is recognised --------------------------------------------------------------------------------------------


def said_by_excel(line: str) -> str | None:
    """The separator that a first line such as `sep=;` names; None for any other line."""
    word, equals, said = line.strip('"\ufeff\r\n').partition("=")
    return said if word.strip().lower() == "sep" and equals and said in SEPARATORS else None


def _separator(file: Path, encoding: str) -> str:
    """Of the signs that separate, the most frequent in the header, texts in quotes left out."""
    with _text(file, encoding) as stream:
        sample = stream.read(_SAMPLE)
    counts: dict[str, int] = {}
    quoted = False
    line = ""
    for character in sample + "\n":
        quoted = quoted != (character == '"')
        if quoted or character not in "\r\n":
            line += character
            if not quoted and character in SEPARATORS:
                counts[character] = counts.get(character, 0) + 1
            continue
        said = said_by_excel(line)
        if said is not None:
            return said
        if line.strip(' "\ufeff' + "".join(SEPARATORS)):
            break
        line, counts = "", {}
    return max(SEPARATORS, key=lambda each: counts.get(each, 0))


# --- what the columns are ------------------------------------------------------------------------------------------


def _names(
    file: Path,
    header: Sequence[str],
    headings: Mapping[str, Sequence[str]],
    required: Sequence[str],
    layout: Layout,
    passed_over: Collection[str],
) -> list[str | None]:
    """Our name of each column; "" of one that is passed over, None of one that nobody knows."""
    known = {
        folded_heading(heading): name
        for name, all_ in headings.items()
        if name not in layout.columns
        for heading in (name, *all_)
    }
    known |= {folded_heading(heading): name for name, all_ in layout.columns.items() for heading in all_}
    names: list[str | None] = []
    for heading in header:
        key = folded_heading(heading)
        names.append(known.get(key, "" if key in passed_over else None))
    problems = [
        *_twice(header, names, layout),
        *_not_there(header, names, layout),
        *_missing(header, names, headings, required, layout),
    ]
    if problems:
        raise BadInput(str(file), "; ".join(problems), f"its first line reads: {', '.join(filter(None, header))}")
    return names


def _twice(header: Sequence[str], names: Sequence[str | None], layout: Layout) -> Iterator[str]:
    for name in dict.fromkeys(filter(None, names)):
        found = [heading for heading, each in zip(header, names, strict=True) if each == name]
        if len(found) > 1:
            where = layout.told_in or "a profile, [imports.NAME.columns] in config.toml"
            same = len({folded_heading(each) for each in found}) == 1
            remedy = "rename one of them" if same else f"say in {where} which one counts"
            yield f"two columns mean {name}, {' and '.join(map(repr, found))}: {remedy}"


def _not_there(header: Sequence[str], names: Sequence[str | None], layout: Layout) -> Iterator[str]:
    for name, all_ in layout.columns.items():
        if all_ and name not in names:
            spelt = " or ".join(map(repr, all_))
            yield f"{layout.told_in} says that {name} stands in {spelt}: no such column{did_you_mean(all_[0], header)}"


def _missing(
    header: Sequence[str],
    names: Sequence[str | None],
    headings: Mapping[str, Sequence[str]],
    required: Sequence[str],
    layout: Layout,
) -> Iterator[str]:
    left = [heading for heading, name in zip(header, names, strict=True) if name is None]
    for name in required:
        if name not in names and name not in layout.columns:
            spelt = " or ".join(repr(heading) for heading in headings[name][:2])
            yield f"there is no column {spelt}{did_you_mean(headings[name][0], left)}"
