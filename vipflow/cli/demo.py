"""`vipflow demo`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from vipflow.operations.demo import Progress
    from vipflow.operations.demo_summary import Summary


def add_to(app: typer.Typer) -> None:
    command(app, "demo", needs="nothing")(demo)


def demo(
    session: Session,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where it is played; made anew each time.", metavar="FOLDER")
    ] = Path("var/demo"),
) -> None:
    """Plays the example year: three resellers, 300 customers, eighteen months in less than a minute.

    Members are imported, events arrive, the clock moves, mails are written as .eml files; nothing is sent, nothing of
    yours is touched. Ends with a summary, and with commands to look around.
    """
    from vipflow.cli.output import FAULT
    from vipflow.operations.demo import fresh_folder, play, read_year, shipped_year
    from vipflow.operations.demo_summary import summarize

    year_folder = shipped_year()
    year = read_year(year_folder)
    settings = fresh_folder(folder)
    with _progress(session, year.starts_at, year.ends_at) as progress:
        installation, played = play(year_folder, settings, progress=progress)
    try:
        summary = summarize(installation, played)
    finally:
        installation.close()
    session.out.answer(summary, *_shown(summary))
    if summary.problems:
        raise typer.Exit(FAULT)


@contextmanager
def _progress(session: Session, starts_at: datetime, ends_at: datetime) -> Iterator[Progress]:
    """A bar that goes through the months, on a terminal."""
    import sys

    if session.out.json or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[arrived]:,} events"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{starts_at:%B %Y}", total=(ends_at - starts_at).total_seconds(), arrived=0)

        def told(now: datetime, arrived: int) -> None:
            done = (now - starts_at).total_seconds()
            bar.update(task, completed=done, description=f"{now:%B %Y}".ljust(14), arrived=arrived)

        yield told


# --- the summary ---------------------------------------------------------------------------------------------------


def _shown(summary: Summary) -> Iterator[RenderableType]:
    from rich.text import Text

    taken_over = sum(each.taken_over for each in summary.resellers)
    customers = sum(each.customers for each in summary.resellers)
    yield Text(f"\nThe example year, {_day(summary.starts_at)} to {_day(summary.ends_at)}", style="bold")
    yield Text(
        f"{len(summary.resellers)} resellers with {customers} customers: {taken_over} members taken over, "
        f"{customers - taken_over} invited. {summary.lines:,} events arrived, {summary.steps:,} steps were taken, "
        f"{summary.mails_sent:,} mails were written, in {summary.seconds['all']:.0f} seconds.\n"
    )
    yield _lists(summary)
    yield _heading("What happened")
    yield _side_by_side(list(_transitions(summary)))
    yield _heading("Mails")
    yield _side_by_side(list(_mails(summary)))
    yield from _events(summary)
    yield from _verified(summary)
    yield from _next(summary)


def _lists(summary: Summary) -> RenderableType:
    from vipflow.cli.output import table
    from vipflow.vip.lists import LISTS

    columns: dict[str, Any] = {"On the last day": lambda row: row[0]}
    for index, reseller in enumerate(summary.resellers, start=1):
        columns[f"{reseller.name}\n{reseller.policy}"] = lambda row, index=index: row[index]
    rows: list[tuple[Any, ...]] = [("Customers", *(each.customers for each in summary.resellers))]
    rows += [(each.label.en, *(found.lists[each.name] for found in summary.resellers)) for each in LISTS]
    return table(columns, rows)


def _transitions(summary: Summary) -> Iterator[Sequence[tuple[str, str]]]:
    """A block of lines per workflow."""
    names = dict.fromkeys(kind.workflow for kind in summary.transitions)
    for name in names:
        kinds = [kind for kind in summary.transitions if kind.workflow == name]
        total = sum(kind.count for kind in kinds)
        title = name.replace("_", " ").capitalize()
        yield [(title, f"{total:,}"), *((kind.label.en, f"{kind.count:,}") for kind in kinds)]


def _mails(summary: Summary) -> Iterator[Sequence[tuple[str, str]]]:
    titles: dict[tuple[str, ...], str] = {("contact",): "To customers", ("account_manager",): "To account managers"}
    for to in dict.fromkeys(kind.to for kind in summary.mails):
        kinds = [kind for kind in summary.mails if kind.to == to]
        total = sum(kind.sent for kind in kinds)
        lines = [(titles.get(to, " and ".join(to)), f"{total:,}")]
        lines += [(kind.template.replace("_", " "), f"{kind.sent:,}") for kind in kinds]
        overtaken = sum(kind.superseded for kind in kinds)
        lines.append(("(overtaken by something newer)", f"{overtaken:,}"))
        yield lines


def _side_by_side(blocks: Sequence[Sequence[tuple[str, str]]]) -> RenderableType:
    """Blocks of names and numbers in two columns of about the same height."""
    from rich.table import Table

    half = sum(len(block) for block in blocks) / 2
    left: list[Sequence[tuple[str, str]]] = []
    right: list[Sequence[tuple[str, str]]] = []
    for block in sorted(blocks, key=len, reverse=True):
        height = sum(len(each) for each in left)
        (left if height + len(block) <= half + 2 else right).append(block)
    grid = Table.grid(padding=(0, 6))
    grid.add_row(_column(left), _column(right))
    return grid


def _column(blocks: Iterable[Sequence[tuple[str, str]]]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    made.add_column(max_width=36)
    made.add_column(justify="right")
    for index, (first, *others) in enumerate(blocks):
        if index:
            made.add_row("", "")
        made.add_row(*(Text(each, style="bold") for each in first))
        for name, count in others:
            made.add_row(f"  {name}", count)
    return made


ANSWERS = {
    "applied": "applied",
    "replayed": "arrived once more, counted once",
    "parked": "came before what they speak of, and waited",
    "refused": "refused, with the reason",
    "stale": "said again what had passed",
    "conflict": "same id with another body: rejected",
    "bad_input": "malformed: rejected",
    "quarantined": "could not be processed",
}
INCIDENTS = {
    "parked_too_long": "waited for something that never came",
    "contradiction": "contradicted what is known",
    "follow_up_refused": "could only be applied in part",
    "name_taken": "bore a number that another record has",
    "mail_held": "mails that could not be written",
    "quarantined": "could not be processed",
}


def _events(summary: Summary) -> Iterator[RenderableType]:
    from rich.table import Table

    yield _heading("Events")
    made = Table.grid(padding=(0, 2))
    made.add_column(justify="right")
    made.add_column()
    for answer, count in summary.answers.items():
        made.add_row(f"  {count:,}", ANSWERS.get(answer, answer.replace("_", " ")))
    for kind, count in summary.incidents.items():
        made.add_row(
            f"  {count:,}", f"incident{'' if count == 1 else 's'}: {INCIDENTS.get(kind, kind.replace('_', ' '))}"
        )
    yield made


def _verified(summary: Summary) -> Iterator[RenderableType]:
    from rich.text import Text

    yield _heading("Verified")
    if summary.problems:
        yield Text(f"  {len(summary.problems)} things are not as promised:", style="bold red")
        for problem in summary.problems[:20]:
            yield Text(f"  {problem}")
        return
    yield Text(f"  {summary.promises_checked} promises hold over {summary.records_checked:,} steps of history.")


def _next(summary: Summary) -> Iterator[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    yield _heading("Where it is")
    yield Text(f"  mails     {summary.mail_folder}/<reseller>/*.eml", no_wrap=True)
    if summary.a_mail is not None:
        yield Text(f"  one       {summary.a_mail}", no_wrap=True)
    if summary.settings is None:
        return
    yield Text(f"  settings  {summary.settings}", no_wrap=True)
    yield _heading("What to try next")
    yield from (Text(f"  {line}", no_wrap=True, overflow="ignore") for line in reaching_this_program())
    yield Text(f"  export VIPFLOW_CONFIG={summary.settings}", no_wrap=True)
    made = Table.grid(padding=(0, 2))
    for hint in summary.hints:
        made.add_row(Text(f"  {hint.command}", no_wrap=True), Text(f"# {hint.shows}", style="dim"))
    made.add_row(
        Text(f"  {_going_on(summary.settings.parent)}", no_wrap=True), Text("# it goes on by itself", style="dim")
    )
    yield made


def _going_on(folder: Path) -> str:
    """What lets a daemon go on with the year: in a checkout its script, which needs no environment."""
    import vipflow

    script = Path(vipflow.__file__).parent.parent / "dev.py"
    if script.is_file() and folder.resolve() == script.parent / "var" / "demo":
        return "python3 dev.py serve"
    return f"vipflow serve --demo {folder}"


def reaching_this_program() -> Iterator[str]:
    """What to type first, where `vipflow` alone would not start this very program."""
    import shlex
    import shutil
    import sys

    script = Path(sys.executable).with_name("vipflow")
    found = shutil.which("vipflow")
    if not script.exists():
        if found is None:
            yield f"alias vipflow={shlex.quote(f'{shlex.quote(sys.executable)} -m vipflow')}"
    elif found is None or not Path(found).samefile(script):
        yield f"export PATH={shlex.quote(str(script.parent))}:$PATH"


def _heading(text: str) -> RenderableType:
    from rich.text import Text

    return Text(f"\n{text}", style="bold")


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"
