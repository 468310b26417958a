"""`vipflow customer import`: existing members, from a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.output import BAD_INPUT, REFUSED
from vipflow.cli.session import Session

if TYPE_CHECKING:
    from vipflow.operations.importing import ImportReport


def import_members(
    session: Session,
    file: Annotated[Path, typer.Argument(help="A CSV file, a row per customer or per product.", metavar="FILE")],
    authorizations: Annotated[
        Path | None,
        typer.Option("--authorizations", help="A second CSV file with what is still open.", metavar="FILE"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would happen.")] = False,
    country: Annotated[
        str | None,
        typer.Option("--country", help="Of rows that name none: two letters.", metavar="CODE"),
    ] = None,
) -> None:
    """Takes over existing members from a table that your systems export. No mail leaves; a second time changes nothing.

    Columns may be named in French or English, the separator be ; , or tab, the encoding UTF-8 or Windows, dates
    2025-03-01 or 01/03/2025. Needed are: VIP number (numéro VIP), company (société), address, postal code, city,
    country, contact, e-mail. Read as well: segment (commercial, if left out), region, language, offer type,
    anniversary date (date anniversaire), managed by (géré par), notice recipients, your reference. Licences stand in
    one cell (65305156CA01A12 x 5 | Acrobat Pro for Teams x 2), or in columns product and quantity with a row per
    product.

    The file of --authorizations has a row per product too: VIP number, created on (créée le), PO number, due on,
    ordered (oui or non), Adobe order number, product, quantity.
    """
    from vipflow.operations import importing

    with _progress(session) as progress:
        report = importing.import_members(
            session.installation,
            session.who,
            file,
            authorizations=authorizations,
            dry_run=dry_run,
            default_country=country.upper() if country else None,
            progress=progress,
        )
    _show_import(session, report)
    if report.count("wrong"):
        raise typer.Exit(BAD_INPUT)
    if report.count("refused"):
        raise typer.Exit(REFUSED)


def _show_import(session: Session, report: ImportReport) -> None:
    from vipflow.cli.output import table

    out = session.out
    if out.json:
        out.write_json(report)
        return
    shown = [line for line in report.lines if line.outcome not in ("adopted", "there already") or line.problems]
    if not report.dry_run:
        shown = [line for line in shown if line.outcome != "would be adopted"]
    if shown:
        columns: dict[str, Callable[[Any], Any]] = {
            "Line": lambda line: ", ".join(str(number) for number in line.lines),
            "VIP number": lambda line: line.vip_number,
            "Customer": lambda line: line.company,
            "Outcome": lambda line: line.outcome,
            "Why": lambda line: "\n".join([*line.problems, *(reason.says.en for reason in line.reasons)]),
        }
        out.console.print(table(columns, shown))
    told = [
        f"{report.count(outcome):,} {words}"  # type: ignore[arg-type]  # why: mypy widens the literals
        for outcome, words in (
            ("adopted", "taken over"),
            ("would be adopted", "would be taken over"),
            ("there already", "there already"),
            ("refused", "refused"),
            ("wrong", "to be put right"),
        )
        if report.count(outcome)  # type: ignore[arg-type]  # why: as above
    ]
    out.console.print(f"{report.file}: {', '.join(told) or 'no customer in it'}.", highlight=False, markup=False)
    if report.ignored:
        out.note(f"Columns that nothing was made of: {', '.join(report.ignored)}")
    if report.dry_run:
        out.note("Nothing was written. Without --dry-run it is.")


@contextmanager
def _progress(session: Session) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal; nothing elsewhere."""
    if session.out.json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Taking over", total=None)
        yield lambda done, all_: bar.update(task, completed=done, total=all_)
