"""`vipflow check`: everything that people wrote, read and tried out before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from vipflow.cli.output import Output

LONGEST_SHOWN = 110


def add_to(app: typer.Typer) -> None:
    command(app, "check", needs="files")(check)


def check(session: Session) -> None:
    """Checks settings, workflows, policies and templates, and tells all problems.

    The catalogue too. Every workflow is compiled, every template rendered in every language with sample facts; where
    there is a database, its cases must find themselves in the files. Ends with 1 where there is a problem.
    """
    from vipflow.cli.output import FAULT, facts_table
    from vipflow.operations.checking import check_all, older_numbers

    report = check_all(session.config, stored=True)
    out = session.out
    if out.json:
        found = {area: [_as_json(problem) for problem in problems] for area, problems in report.problems.items()}
        out.write_json({"ok": report.ok, "checked": report.checked, "problems": found})
    else:
        out.answer(None, facts_table(report.checked))
        for area, problems in report.problems.items():
            out.problem(f"\n{area}:")
            for problem in problems:
                _show(out, problem)
    count = sum(map(len, report.problems.values()))
    if count:
        if not out.json:
            out.problem(f"\n{count} problem{'s' if count > 1 else ''}.")
        raise typer.Exit(FAULT)
    if not out.json:
        out.answer(None, "\nAll is well.")
        for older in older_numbers(session.config):
            out.note(f"{older.says} What would change if they followed: {older.run}")


def _show(out: Output, problem: str) -> None:
    """A problem, and below it the line of the file that it speaks of."""
    from vipflow.errors import Problem
    from vipflow.sources import line_of

    says, shown = problem, ""
    if isinstance(problem, Problem) and problem.file:
        says = Problem(problem.says, _from_here(problem.file), problem.line)
        shown = line_of(problem.file, problem.line) if problem.line else ""
    out.problem("  - " + says.replace("\n", "\n    "))
    if shown:
        out.problem("        " + (shown if len(shown) <= LONGEST_SHOWN else shown[: LONGEST_SHOWN - 1] + "…"))


def _from_here(file: str) -> str:
    """A path as one types it here: below the current folder without that folder."""
    here = Path.cwd()
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else file


def _as_json(problem: str) -> dict[str, Any]:
    from vipflow.errors import Problem

    if isinstance(problem, Problem):
        return {"says": problem.says, "file": problem.file, "line": problem.line}
    return {"says": problem, "file": None, "line": None}
