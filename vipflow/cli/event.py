"""`vipflow event …`: what other systems report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from vipflow.cli.output import Output
from vipflow.cli.session import Session, command, group

if TYPE_CHECKING:
    from vipflow.operations.events import Line, Posted

SHOWN = 20


def add_to(app: typer.Typer) -> None:
    event = group("event", "Post what happened: events as CloudEvents, one JSON object a line.")
    command(event, "post", act="rehearsed")(post)
    app.add_typer(event)


def post(
    session: Session,
    file: Annotated[str, typer.Argument(help="JSON lines, or - for standard input.", metavar="FILE|-")],
    source: Annotated[
        str | None, typer.Option("--source", help="The source of events that name none.", metavar="NAME")
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option("--verdicts", help="Write a JSON line for each event here.", metavar="FILE")
    ] = None,
) -> None:
    """Posts a file of events, of any length, and tells what became of them.

    Good lines stand, bad ones are listed by number. Posting a file again is safe: an event counts once. The exit code
    is that of the worst line: 1 an event could not be processed, 5 an id had another body before, 2 bad input, 4 not
    found, 3 refused, 0 none of these. Events that wait for a customer not known yet (parked), and stale ones, count as
    0. With --dry-run the whole file is one transaction that is undone: on SQLite nobody else can write meanwhile.
    """
    from vipflow.operations.allowed import not_allowed_to, refused
    from vipflow.operations.events import numbered_lines, post_lines

    installation, who = session.installation, session.who
    against = not_allowed_to(who, "report")
    if against is not None:
        session.out.verdict(refused(who, "event.post", against), "")
    with ExitStack() as stack:
        stream, size = stack.enter_context(_opened(file))
        told = stack.enter_context(_writing(verdicts))
        progressed = stack.enter_context(_progress(size))
        posted = post_lines(installation, who, numbered_lines(stream, progressed), default_source=source, told=told)
    show(session.out, posted)
    if posted.exit_code:
        raise typer.Exit(posted.exit_code)


def show(out: Output, posted: Posted) -> None:
    """What became of a file, for people or programs."""
    from vipflow.cli.output import facts_table
    from vipflow.operations.events import sorted_counts

    summary = {
        "lines": posted.lines,
        "outcomes": sorted_counts(posted.outcomes),
        "replayed": posted.replayed,
        "types": sorted_counts(posted.types),
        "bad_lines": posted.bad_lines,
        "bad": [line_told(line) for line in posted.bad],
        "exit_code": posted.exit_code,
    }
    rows: dict[str, Any] = {"events": f"{posted.lines:,}"}
    for outcome, count in sorted_counts(posted.outcomes).items():
        rows[outcome.replace("_", " ")] = f"{count:,}"
    if posted.replayed:
        rows["known before"] = f"{posted.replayed:,}"
    out.answer(summary, facts_table(rows))
    if not out.json:
        tell_bad_lines(out, posted, "--verdicts FILE writes a line for each event.")
    parked = posted.outcomes.get("parked", 0)
    if parked:
        waits = "1 event waits" if parked == 1 else f"{parked:,} events wait"
        out.warn(f"{waits} for customers or records that are not known yet; after 72 hours that becomes an incident.")


def tell_bad_lines(out: Output, posted: Posted, where_all_are: str) -> None:
    """The first bad lines by number, and how many more there are."""
    for line in posted.bad[:SHOWN]:
        out.problem(f"line {line.number}: {line.outcome.replace('_', ' ')}: {_why(line)}")
    if posted.bad_lines > SHOWN:
        out.problem(f"… and {posted.bad_lines - SHOWN:,} more; {where_all_are}")


def line_told(line: Line) -> dict[str, Any]:
    """A line's outcome as JSON."""
    verdict = line.verdict
    told: dict[str, Any] = {"line": line.number, "outcome": line.outcome}
    if verdict is not None:
        told |= {"source": verdict.source, "id": verdict.id, "type": verdict.type, "case": verdict.case}
        told |= {"customer": verdict.subject, "replayed": verdict.replayed}
        if verdict.reasons:
            told["reasons"] = verdict.reasons
        if verdict.waiting_for is not None:
            told["waiting_for"] = verdict.waiting_for
    if line.problem is not None:
        told["problem"] = line.problem
    return told


def _why(line: Line) -> str:
    from vipflow.cli.output import reason_text

    if line.verdict is None:
        return line.problem or ""
    said = " ".join(reason_text(reason) for reason in line.verdict.reasons)
    return f"{line.verdict.type} {line.verdict.source}/{line.verdict.id}: {said}"


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """The stream, and its size where that can be known."""
    if file == "-":
        yield sys.stdin.buffer, None
        return
    with opened(file, "name a file of JSON lines, or -") as stream:
        yield stream, Path(file).stat().st_size


@contextmanager
def opened(file: str, remedy: str) -> Iterator[BinaryIO]:
    """A file to read; BadInput where that cannot be."""
    from vipflow.errors import BadInput

    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below; only the opening is ours to explain
    except OSError as wrong:
        raise BadInput(file, f"it cannot be read ({wrong.strerror})", remedy) from None
    with stream:
        begins = stream.peek(4)
        for mark, kind in _NO_JSON.items():
            if begins.startswith(mark):
                raise BadInput(file, f"it is {kind}, not JSON lines", remedy)
        yield stream


_NO_JSON = {
    b"PK\x03\x04": "a spreadsheet or another zipped file",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"\x1f\x8b": "compressed",
    b"SQLite": "a database",
}
"""What files begin with that are often named by mistake."""


@contextmanager
def _writing(path: Path | None) -> Iterator[Callable[[Line], None]]:
    from vipflow.cli.output import json_line
    from vipflow.errors import BadInput, FileUnusable

    if path is None:
        yield lambda _: None
        return
    try:
        stream = path.open("w", encoding="utf-8")
    except OSError as wrong:
        raise BadInput(str(path), f"it cannot be written ({wrong.strerror})", "name another file") from None

    def write(line: Line | None) -> None:
        try:
            if line is None:
                stream.close()
            else:
                stream.write(json_line(line_told(line)) + "\n")
        except OSError as wrong:
            remedy = "all that was posted stands: make room and post the same file again"
            raise FileUnusable(str(path), f"it cannot be written ({wrong.strerror})", remedy) from None

    try:
        yield write
        write(None)
    finally:
        with suppress(OSError):
            stream.close()


def void(_: object) -> None:
    """For callbacks whose answer nobody wants."""


@contextmanager
def _progress(size: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, on a terminal only; for a file whose size is known it says how long it will take."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("posting"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task("posting", total=size)
        yield lambda count: progress.advance(task, count)
