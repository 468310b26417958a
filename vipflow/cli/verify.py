"""`vipflow verify`: whether the data are as promised."""

from __future__ import annotations

from typing import Annotated

import typer

from vipflow.cli.session import Session, command


def add_to(app: typer.Typer) -> None:
    command(app, "verify", needs="database")(verify)


def verify(
    session: Session,
    show: Annotated[
        int, typer.Option("--show", min=1, max=10_000, help="Show at most so many findings of each kind.", metavar="N")
    ] = 20,
) -> None:
    """Proves on your own data what vipflow promises; changes nothing.

    It reads everything and names what is wrong. Ends with 1 where something is. It may run while others work.
    """
    from vipflow.cli.output import FAULT, table
    from vipflow.engine.verify import verify as verify_database
    from vipflow.operations.audit import seal_place

    installation = session.installation
    report = verify_database(
        installation.database,
        installation.workflows,
        installation.trade,
        now=installation.clock.now(),
        most=show,
        seals=seal_place(installation),
    )
    out = session.out
    out.answer(
        report,
        f"{report.subjects:,} customer{'' if report.subjects == 1 else 's'}, {report.history:,} steps of history.\n",
        table(
            {
                "": lambda each: each.invariant,
                "Promise": lambda each: each.says,
                "Looked at": lambda each: f"{each.checked:,}",
                "Wrong": lambda each: f"{each.found:,}" if each.found else "",
                "Not checked": lambda each: "; ".join(each.not_run),
            },
            report.invariants,
        ),
    )
    if not out.json:
        for finding in report.findings:
            where = " ".join(part for part in (finding.tenant, finding.subject, finding.record) if part)
            out.problem(
                f"{finding.invariant} {where}: {finding.problem}{'; ' + finding.remedy if finding.remedy else ''}"
            )
        total = sum(each.found for each in report.invariants)
        if total > len(report.findings):
            out.problem(f"… and {total - len(report.findings):,} more; --show N shows more of each.")
        out.answer(None, "\nAll is as promised." if report.ok else "")
    if not report.ok:
        raise typer.Exit(FAULT)
