"""Lists as CSV: `--csv`, `--excel` and `--out` of every command that lists, all its pages one after the other."""

from __future__ import annotations

import errno
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.output import Output
from vipflow.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from vipflow.cli.session import Session

Csv = Annotated[bool, typer.Option("--csv", help="Write the whole list as CSV, with every field of its rows.")]
Excel = Annotated[
    bool, typer.Option("--excel", help="The same as Excel opens it: semicolons, UTF-8 with a mark.", show_default=False)
]
Out = Annotated[
    Path | None, typer.Option("--out", help="With --csv or --excel: write it into this file.", metavar="FILE")
]
PARAMETERS = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    for name, default, annotation in (("csv", False, Csv), ("excel", False, Excel), ("out", None, Out))
]
PARAMETERS.append(inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))
"""What a command that lists takes besides."""

PAGE = 1000
"""So many rows are asked for at once."""

List = Callable[..., None]


def run_list(session: Session, function: List, given: dict[str, Any], rows: str | None) -> None:
    """Runs a command that lists: as it is, or page by page until all of it is CSV.

    `given`: its arguments, and those of `PARAMETERS`. `rows`: where the class of its rows is, module and name.
    """
    csv, excel, out, context = (given.pop(each.name) for each in PARAMETERS)
    if not csv and not excel:
        if out is not None:
            raise BadInput("--out", "it is said where to, and not what", "add --csv or --excel")
        function(session, **given)
        return
    if session.out.json:
        raise BadInput("--csv", "it is asked for with --json", "choose one of them")
    limited = "limit" in given and context.get_parameter_source("limit").name != "DEFAULT"
    with _into(out) as write:
        listing = Listing(session, write, rows, given["limit"] if limited else None, excel=excel)
        session.out = listing
        while listing.wants_more:
            if "limit" in given:
                given["limit"] = min(PAGE, listing.left)
            listing.next = None
            function(session, **given)
            if not listing.began:
                raise BadInput("--csv", "this command has no rows to write", "take --json")
            given["after"] = listing.next
    if out is not None:
        sys.stderr.write(f"{listing.count:,} rows are in {out}\n")


class Listing(Output):
    """An output that makes CSV of the rows of a list; what is said to people besides is left out."""

    csv = True

    def __init__(
        self, session: Session, write: Callable[[str], None], rows: str | None, most: int | None, *, excel: bool
    ) -> None:
        from vipflow.operations.csvwriting import EXCEL, PLAIN, Column

        super().__init__()
        self.next: str | None = None
        self.count = 0
        self.began = False
        self._session = session
        self._write = write
        self._kind: type | None = _class_at(rows) if rows is not None else None
        self._most = most
        self._form = EXCEL if excel else PLAIN
        self._columns: tuple[Column, ...] = ()

    @property
    def left(self) -> int:
        """How many rows may still come, or a page."""
        return PAGE if self._most is None else self._most - self.count

    @property
    def wants_more(self) -> bool:
        """Whether another page is to be asked for: the first, or one behind a page that said where it goes on."""
        return not self.began or (self.next is not None and self.left > 0)

    def rows(
        self,
        items: Iterable[Any],
        columns: Mapping[str, Callable[[Any], Any]],
        *,
        next: str | None = None,
        empty: str = "",
        title: str | None = None,
    ) -> None:
        """Writes these rows, in pieces: `items` may be an endless stream."""
        from vipflow.operations.csvwriting import columns_of, header, written

        found = iter(items if self._most is None else islice(items, self.left))
        while True:
            piece = list(islice(found, PAGE))
            if not self.began and (piece or self._kind is not None):
                self._columns = tuple(columns_of(self._kind or type(piece[0])))
                self._write(header(self._columns, self._form))
            self.began = True
            if not piece:
                break
            self._write(written(piece, self._columns, self._zone, self._form))
            self.count += len(piece)
        self.next = next

    @property
    def _zone(self) -> Any:
        """The reseller's, once the command has asked who it is; else UTC."""
        who = self._session.__dict__.get("who")
        return who.zone if who is not None else UTC

    def note(self, text: str) -> None:
        """Nothing: what is beside the list."""

    @property
    def console(self) -> Console:
        """Nobody reads here."""
        from rich.console import Console

        return Console(quiet=True)


def _class_at(path: str) -> type:
    module, _, name = path.rpartition(".")
    found: type = getattr(import_module(module), name)
    return found


@contextmanager
def _into(out: Path | None) -> Iterator[Callable[[str], None]]:
    """Takes texts to stdout, or into a file that is there only when all of it is. Raises BadInput."""
    if out is None:
        sys.stdout.flush()
        yield _to_stdout
        return
    part = Path(f"{out}.part")
    try:
        with _told(out):
            if out.is_dir():
                raise IsADirectoryError(errno.EISDIR, "")
            stream = part.open("w", encoding="utf-8", newline="")
        with stream:

            def write(text: str) -> None:
                with _told(out):
                    stream.write(text)
                    stream.flush()

            yield write
        with _told(out):
            part.replace(out)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _told(out: Path) -> Iterator[None]:
    """Says of which file it is that the system complains."""
    try:
        yield
    except OSError as wrong:
        problem = f"{out} cannot be written: {os.strerror(wrong.errno or errno.EIO)}"
        raise BadInput("--out", problem, "name a file in a folder of yours") from wrong


def _to_stdout(text: str) -> None:
    """In UTF-8, with the line ends as they are, whatever the terminal."""
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()
