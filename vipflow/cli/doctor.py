"""`vipflow doctor`: what is wrong with an installation, and what to do about it."""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from rich.text import Text

    from vipflow.operations.doctor import Finding, Report

_INDENT = len("not checked") + 2
_READABLE = 120  # columns; a longer line is hard to follow
_COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "bold red", "not checked": "dim"}


def add_to(app: typer.Typer) -> None:
    command(app, "doctor", needs="database")(doctor)


def doctor(
    session: Session,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Look at this area only; may be repeated. `integrity` and `stored` read every row.",
            metavar="NAME",
        ),
    ] = None,
    mail: Annotated[bool, typer.Option("--mail", help="Look at mails and their server only.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Call neither the mail server nor the daemon.")] = False,
) -> None:
    """Looks for what is wrong, and says of each finding what to do.

    It works where nothing else does, and changes nothing: settings, database, files, mail, clocks, the daemon, what is
    stuck or held, seals, permissions. Ends with 1 where there is an error; warnings are no errors.
    """
    from vipflow.cli.output import FAULT
    from vipflow.operations.doctor import doctor

    report = doctor(session.config, only=[*(only or ()), *(["mail"] if mail else ())], offline=offline)
    if session.out.json:
        session.out.write_json(report)
    else:
        console = session.out.console
        for each in _told(report, min(console.width, _READABLE)):
            console.print(each, soft_wrap=True, highlight=False)
    if not report.ok:
        raise typer.Exit(FAULT)


def _told(report: Report, width: int) -> Iterator[RenderableType]:
    """By area, a line for each finding; below what is not well its remedy, and commands to copy on lines of their own.

    What several areas could not look at for one reason is said once, at the end.
    """
    from rich.text import Text

    unseen: dict[tuple[str, str], list[str]] = {}
    for finding in report.findings:
        if finding.status == "not checked":
            unseen.setdefault((finding.says, finding.remedy), []).append(finding.area)
    for area, findings in groupby(report.findings, key=lambda each: each.area):
        shown = [
            finding
            for finding in findings
            if finding.status != "not checked" or len(unseen[finding.says, finding.remedy]) == 1
        ]
        if shown:
            yield Text(area.capitalize(), style="bold")
            for finding in shown:
                yield _finding(finding, width)
            yield ""
    looked_at = {finding.area for finding in report.findings if finding.status != "not checked"}
    for (why, first), areas in unseen.items():
        if len(areas) > 1:
            named = (f"{area} in part" if area in looked_at else area for area in dict.fromkeys(areas))
            yield _lines("not checked", f"{', '.join(named)}: {why}.", width)
            yield _below(first, width)
            yield ""
    yield _summary(report)


def _finding(finding: Finding, width: int) -> RenderableType:
    from rich.text import Text

    says = finding.says
    if finding.status == "not checked":
        says = f"{finding.name.capitalize()}: {says}."
    made = _lines(finding.status, says, width)
    if finding.status != "ok":
        made.append("\n").append(_below(finding.remedy, width))
        for line in finding.run:  # never broken: they are to be copied
            made.append("\n").append(Text(f"{' ' * _INDENT}  {line}", style="bold"))
    return made


def _lines(status: str, says: str, width: int) -> Text:
    from rich.text import Text

    first, *rest = wrap(says, width - _INDENT, break_on_hyphens=False) or [""]
    made = Text(f"{status:{_INDENT}}", style=_COLOURS[status])
    made.append(first, style="default")
    for line in rest:
        made.append(f"\n{' ' * _INDENT}{line}", style="default")
    return made


def _below(text: str, width: int) -> Text:
    from rich.text import Text

    indent = " " * _INDENT
    return Text(
        "\n".join(indent + line for line in wrap(f"→ {text}", width - _INDENT, break_on_hyphens=False)), style="italic"
    )


def _summary(report: Report) -> RenderableType:
    from rich.text import Text

    counts = report.counts
    worst = next((each for each in ("error", "warning") if counts[each]), "ok")
    told = [
        f"{counts[status]} {status}{'s' if counts[status] != 1 else ''}"
        for status in ("error", "warning", "note")
        if counts[status]
    ]
    rest = f"{counts['ok']} looked at and well" + (
        f", {counts['not checked']} not checked" if counts["not checked"] else ""
    )
    return Text(f"{', '.join(told) or 'Nothing is wrong'}; {rest}.", style=_COLOURS[worst])
