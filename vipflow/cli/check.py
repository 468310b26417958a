"""`vipflow check`: everything that people wrote, read and tried out before anything runs."""

from __future__ import annotations

import typer

from vipflow.cli.session import Session, command


def add_to(app: typer.Typer) -> None:
    command(app, "check", needs="files")(check)


def check(session: Session) -> None:
    """Checks settings, workflows, policies and templates, and tells all problems.

    The catalogue too. Every workflow is compiled, every template rendered in every language with sample facts. Ends
    with 1 where there is a problem.
    """
    from vipflow.cli.output import FAULT, facts_table
    from vipflow.operations.checking import check_all, older_numbers

    report = check_all(session.config)
    out = session.out
    if out.json:
        out.write_json(report)
    else:
        out.answer(None, facts_table(report.checked))
        for area, problems in report.problems.items():
            out.problem(f"\n{area}:")
            for problem in problems:
                out.problem("  - " + problem.replace("\n", "\n    "))
    count = sum(map(len, report.problems.values()))
    if count:
        if not out.json:
            out.problem(f"\n{count} problem{'s' if count > 1 else ''}.")
        raise typer.Exit(FAULT)
    if not out.json:
        out.answer(None, "\nAll is well.")
        for older in older_numbers(session.config):
            out.note(f"{older.says} What would change if they followed: {older.run}")
