"""`vipflow customer import`: existing members, from a table: planned, shown, then done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import replace

from vipflow.cli.output import BAD_INPUT, CONFLICT, REFUSED
from vipflow.cli.session import Session
from vipflow.errors import BadInput

if TYPE_CHECKING:
    from vipflow.operations.importing import ImportedLine, ImportReport, Outcome

FEW = 20
"""So many lines are shown of those that need no look."""
MANY = 200
"""And so many of each kind that does."""


def import_members(
    session: Session,
    file: Annotated[Path, typer.Argument(help="A CSV file, a row per customer or per product.", metavar="FILE")],
    authorizations: Annotated[
        Path | None,
        typer.Option("--authorizations", help="A second CSV file with what is still open.", metavar="FILE"),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="How the file is read: [imports.NAME] in config.toml.", metavar="NAME"),
    ] = None,
    invite: Annotated[
        bool,
        typer.Option("--invite", help="Also invite, by a mail each, who is no member yet: rows without VIP number."),
    ] = False,
    country: Annotated[
        str | None,
        typer.Option("--country", help="Of rows that name none: two letters.", metavar="CODE"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, and write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do what the plan says without asking.")] = False,
) -> None:
    """Takes over existing members from a table that your systems export: shows the plan, asks, then does it.

    Members come in silently: no mail leaves unless --invite asks for it. A second time changes nothing; a row that
    says otherwise than is known is told, never written over. Without a terminal it wants --yes, or --dry-run.

    Columns may be named in French or English, or as a profile in config.toml says; the separator be ; , | or tab, the
    encoding UTF-8, UTF-16 or Windows, dates 2025-03-01 or 01/03/2025. Needed are: VIP number (numéro VIP), company
    (société), address, postal code, city, country, contact, e-mail. Read as well: segment (commercial, if left out),
    region, language, offer type, anniversary date (date anniversaire), managed by (géré par), notice recipients, your
    reference, invitation (accepted, to invite). Licences stand in one cell (65305156CA01A12 x 5 | Acrobat Pro for
    Teams x 2), or in columns product and quantity with a row per product. What `vipflow customer list --csv` writes is
    read as it is.

    The file of --authorizations has a row per product too: VIP number, created on (créée le), PO number, due on,
    ordered (oui or non), Adobe order number, product, quantity.

    Ends with 0 where all lines are done or there already, 2 where lines are to be put right, 3 where lines are
    refused, 5 where something changed between plan and doing; good lines are done in each case.
    """
    from vipflow.operations import importing

    with _progress(session, "Planning") as progress:
        plan = importing.plan_import(
            session.installation,
            session.who,
            file,
            authorizations=authorizations,
            profile=profile,
            country=country.upper() if country else None,
            invite=invite,
            progress=progress,
        )
    report = plan.report
    if not session.out.json:
        _show_tables(session, report)
        _show_lines(session, report)
        _show_counts(session, report)
    if plan.asks and not dry_run:
        _ask(session, plan.report, yes)
        try:
            with _progress(session, "Taking over") as progress:
                report = importing.carry_out(session.installation, session.who, plan, progress)
        except KeyboardInterrupt:
            session.out.problem("What is done stands: importing the same file again goes on from here.")
            raise
        if not session.out.json:
            _show_done(session, report)
    elif not session.out.json:
        session.out.note(_nothing_written(plan.asks))
    if session.out.json:
        session.out.write_json(replace(report, dry_run=dry_run))
    if report.otherwise:
        raise typer.Exit(CONFLICT)
    if report.count("wrong"):
        raise typer.Exit(BAD_INPUT)
    if report.count("refused"):
        raise typer.Exit(REFUSED)


def _nothing_written(asks: int) -> str:
    return "Nothing was written. Without --dry-run it is." if asks else "There is nothing to write."


def _ask(session: Session, report: ImportReport, yes: bool) -> None:
    """Goes on where somebody said yes. Raises BadInput where nobody can."""
    if yes:
        return
    what = _in_words(report, ("would be adopted", "take over {}"), ("would be invited", "invite {}"))
    what += " customer" if report.count(*_PLAINLY) == 1 else " customers"
    if session.out.json or not sys.stdin.isatty():
        raise BadInput("the import", f"it would {what}", "add --yes to do it, or --dry-run to see the plan alone")
    typer.confirm(f"{what[0].upper()}{what[1:]}?", abort=True, err=True)


# --- what is shown -------------------------------------------------------------------------------------------------


def _show_tables(session: Session, report: ImportReport) -> None:
    from vipflow.cli.output import facts_table

    for table in report.tables:
        profile = f", profile {report.profile}" if report.profile else ""
        session.out.console.print(
            facts_table(
                {
                    table.file: f"{table.encoding}, separated by {table.separator}{profile}",
                    "Columns": ", ".join(
                        name if name == heading else f"{heading} → {name}" for name, heading in table.columns.items()
                    ),
                    "Ignored": ", ".join(table.ignored) or None,
                }
            )
        )
    session.out.console.print()


def _show_lines(session: Session, report: ImportReport) -> None:
    """Every line that needs a look, and the first of those that do not."""
    from vipflow.cli.output import table

    shown: list[ImportedLine] = []
    left: dict[str, int] = {}
    for line in report.lines:
        if line.outcome == "there already":
            continue
        kind = f"{line.outcome}, looks like another" if line.alike and line.outcome in _PLAINLY else line.outcome
        seen = left[kind] = left.get(kind, 0) + 1
        if seen <= (FEW if kind in _PLAINLY else MANY):
            shown.append(line)
    if shown:
        columns: dict[str, Callable[[Any], Any]] = {
            "Line": lambda line: ", ".join(map(str, line.lines)),
            "VIP number": lambda line: line.vip_number,
            "Customer": lambda line: line.company,
            "Outcome": lambda line: line.outcome,
            "What to know": _remarks,
        }
        if not any(map(_remarks, shown)):
            del columns["What to know"]
        session.out.console.print(table(columns, shown))
    for kind, count in left.items():
        more = count - (FEW if kind in _PLAINLY else MANY)
        if more > 0:
            session.out.note(f"… and {more:,} more: {kind} (every line: --json)")


_PLAINLY: tuple[Outcome, ...] = ("would be adopted", "would be invited")


def _remarks(line: ImportedLine) -> str:
    told = [*line.problems]
    for reason in line.reasons:
        told.append(f"{reason.says.en} {reason.unblock.en}" if reason.unblock is not None else reason.says.en)
    for each in line.differences:
        told.append(f"{each.field} is {each.known} here, {each.said} in the file: {each.remedy}")
    for other in line.alike:
        where = f"line {other.line}" if other.customer is None else other.customer
        named = f", {other.company}" if other.company else ""
        told.append(f"looks like {where}{named} ({other.why})" + (f"; {other.remedy}" if other.remedy else ""))
    return "\n".join(told)


def _show_counts(session: Session, report: ImportReport) -> None:
    told = _in_words(
        report,
        ("would be adopted", "{} would be taken over"),
        ("would be invited", "{} would be invited"),
        ("there already", "{} there already"),
        ("different", "{} there already with other data"),
        ("left out", "{} left out"),
        ("refused", "{} refused"),
        ("wrong", "{} to be put right"),
    )
    alike = sum(line.outcome in _PLAINLY and bool(line.alike) for line in report.lines)
    say = session.out.console.print
    say(f"{report.file}: {told or 'no customer in it'}.", highlight=False, markup=False)
    if alike:
        look = "1 looks like another" if alike == 1 else f"{alike:,} look like others"
        session.out.warn(f"{look}. Two memberships cannot be merged later: look at them first.")
    if report.count(*_PLAINLY):
        count = sum(report.mails.values())
        which = ", ".join(f"{number:,} × {name.replace('_', ' ')}" for name, number in report.mails.items())
        mails = f"{count:,} mail{'s' if count > 1 else ''} would leave: {which}" if count else "No mail would leave"
        say(f"{mails}.", highlight=False)


def _show_done(session: Session, report: ImportReport) -> None:
    told = _in_words(
        report,
        ("adopted", "{} taken over"),
        ("invited", "{} invited"),
        ("there already", "{} there already"),
        ("different", "{} there already with other data"),
        ("left out", "{} left out"),
        ("refused", "{} refused"),
        ("wrong", "{} to be put right"),
    )
    say = session.out.console.print
    say(f"Done: {told}.", highlight=False, markup=False)
    if report.otherwise:
        session.out.warn(f"{report.otherwise:,} went otherwise than planned:")
        for line in report.lines:
            if line.outcome in ("left out", "there already", "refused", "wrong") and _remarks(line):
                at = ", ".join(map(str, line.lines))
                say(f"  line {at}, {line.company}: {_remarks(line)}", highlight=False, markup=False)
    elif not report.count("wrong", "refused"):
        session.out.note("See them: vipflow customer list")


def _in_words(report: ImportReport, *kinds: tuple[Outcome, str]) -> str:
    counts = ((report.count(outcome), words) for outcome, words in kinds)
    return ", ".join(words.format(f"{count:,}") for count, words in counts if count)


@contextmanager
def _progress(session: Session, what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal; nothing elsewhere."""
    if session.out.json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, all_: bar.update(task, completed=done, total=all_)
