"""`vipflow audit …`: who did what, and whether anybody changed the past."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.options import After, Limit
from vipflow.cli.session import Session, command, group

if TYPE_CHECKING:
    from vipflow.engine.seals import SealState


def add_to(app: typer.Typer) -> None:
    audit = group("audit", "See who did what, and prove that nobody changed the past.")
    command(audit, "list", rows="vipflow.operations.audit.ActEntry")(list_)
    command(audit, "show")(show)
    command(audit, "verify", needs="database")(verify)
    command(audit, "seal", needs="database", act="previewed")(seal)
    command(audit, "restored", act="previewed")(restored)
    app.add_typer(audit)


def list_(
    session: Session,
    target: Annotated[
        str | None, typer.Option("--target", help="Only acts on this: team/bob@north.example.", metavar="TARGET")
    ] = None,
    act: Annotated[
        str | None, typer.Option("--act", help="Only such acts: mail.retry, or mail for all on mails.", metavar="ACT")
    ] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only what this person did.", metavar="EMAIL")] = None,
    limit: Limit = 100,
    after: After = None,
) -> None:
    """Lists what staff did beside the events of customers, the newest first.

    What they did to customers is in their history: vipflow history.
    """
    from vipflow.cli.output import moment
    from vipflow.operations.audit import list_acts

    page = list_acts(session.installation, session.who, target=target, act=act, actor=actor, limit=limit, after=after)
    zone = session.who.zone
    columns = {
        "Act": lambda each: each.number,
        "When": lambda each: moment(each.at, zone),
        "Who": lambda each: each.actor,
        "What": lambda each: each.act,
        "To what": lambda each: each.target,
        "Why": lambda each: each.reason,
    }
    session.out.rows(page.items, columns, next=page.next, empty="No such act is known.")


def show(
    session: Session,
    number: Annotated[str, typer.Argument(help="The act's number, as the list shows it.", metavar="NUMBER")],
) -> None:
    """Shows one act with all that is known of it."""
    from vipflow.cli.output import facts_table, json_line, moment
    from vipflow.operations.audit import show_act

    found = show_act(session.installation, session.who, number)
    details = {
        name: value if isinstance(value, str) else json_line(value) for name, value in sorted(found.details.items())
    }
    session.out.answer(
        found,
        facts_table(
            {
                "act": found.number,
                "when": moment(found.at, session.who.zone),
                "who": found.actor,
                "what": found.act,
                "to what": found.target,
                "of": "the whole installation" if found.of_installation else None,
                "why": found.reason,
                **details,
            }
        ),
    )


def verify(
    session: Session,
    show: Annotated[
        int, typer.Option("--show", min=1, max=10_000, help="Show at most so many findings.", metavar="N")
    ] = 20,
) -> None:
    """Finds whatever was changed, added or taken away in history, audit or seals; changes nothing.

    Ends with 1 where something was. It may run while others work. vipflow verify does the same and much more.
    """
    from vipflow.cli.output import FAULT
    from vipflow.operations.audit import verify_audit

    out = session.out
    with _progress(session) as progress:
        report = verify_audit(session.installation, most=show, progress=progress)
    reach = [f"{_counted(report.history, 'step')} of history, {_counted(report.acts, 'act')}."]
    if report.sealed_until is not None:
        reach.append(f"{_counted(report.seals, 'seal')}, the last of {report.sealed_until:%Y-%m-%d %H:%M:%S} UTC.")
    if report.unsealed:
        since = f", since {report.unsealed_since:%Y-%m-%d %H:%M:%S} UTC" if report.unsealed_since else ""
        reach.append(f"Not sealed yet: {_counted(report.unsealed, 'row')}{since}.")
    reach += [f"Not checked: {each}." for each in report.not_checked]
    out.answer(report, "\n".join(reach))
    if not out.json:
        for finding in report.findings:
            where = " ".join(part for part in (finding.tenant, finding.subject, finding.record) if part)
            out.problem(f"{where}: {finding.problem}{'; ' + finding.remedy if finding.remedy else ''}")
        if report.found > len(report.findings):
            out.problem(f"… and {report.found - len(report.findings):,} more; --show N shows more.")
        out.answer(None, "\nNobody changed anything that could be checked." if report.ok else "")
    if not report.ok:
        raise typer.Exit(FAULT)


def seal(session: Session) -> None:
    """Seals now what is new, as the daemon does once a minute."""
    from vipflow.errors import Busy
    from vipflow.operations.audit import seal_now, seal_state

    if session.dry_run:
        _would_seal(session, seal_state(session.installation))
        return
    sealed = seal_now(session.installation)
    if sealed.busy:
        raise Busy("the seals", "somebody else is sealing", "nothing to do, or try again")
    if sealed.seal is None:
        said = "Nothing is new since the last seal."
    else:
        said = f"Seal {sealed.seal.number}: {_counted(sealed.rows, 'step')} of history, {_counted(sealed.acts, 'act')}."
    session.out.answer(sealed, said)


def _would_seal(session: Session, state: SealState) -> None:
    from vipflow.errors import VipflowError

    if state.problem is not None:
        raise VipflowError(f"{state.problem}; {state.remedy}")
    said = f"Seal {state.seals + 1}: {_counted(state.unsealed, 'row')} of history and audit."
    session.out.answer(state, said if state.unsealed else "Nothing is new since the last seal.")


def restored(
    session: Session,
    reason: Annotated[str, typer.Argument(help="Which backup was restored, and why.", metavar="REASON")],
) -> None:
    """Lets sealing go on after a backup of the database was restored.

    The backup lacks the seals made since: the file of seals is set aside, kept, and begun anew.
    """
    from vipflow.operations.audit import restored as go_on

    done = go_on(session.installation, session.who, reason, dry_run=session.dry_run)
    kept = "would be" if session.dry_run else "is"
    was = f" The old file {kept} kept as {done.aside}." if done.aside else ""
    session.out.answer(done, f"Sealing goes on behind seal {done.seals}.{was}")


@contextmanager
def _progress(session: Session) -> Iterator[Callable[[int, int], None] | None]:
    """A bar over the customers, on a terminal only."""
    if session.out.json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Customers", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
