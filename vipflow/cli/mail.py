"""`vipflow mail …`: mails that wait, that left, and as they read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.acting import refusal_text
from vipflow.cli.completing import message_states, templates
from vipflow.cli.options import After, Limit, PerhapsRef
from vipflow.cli.output import REFUSED
from vipflow.cli.session import Session, command, group
from vipflow.errors import BadInput

if TYPE_CHECKING:
    from vipflow.operations.inspection import MessageText
    from vipflow.operations.mails import Acted, MailAct

Keys = Annotated[list[str] | None, typer.Argument(help="Keys of mails, as the list shows them.", metavar="KEY")]
AllMatching = Annotated[bool, typer.Option("--all-matching", help="All mails that fit the options below.")]
ActStates = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        help="With --all-matching: only those in this state; may be repeated.",
        metavar="STATE",
        autocompletion=message_states(),
    ),
]
ActTemplate = Annotated[
    str | None,
    typer.Option(
        "--template",
        help="With --all-matching: only those of this template.",
        metavar="NAME",
        autocompletion=templates(),
    ),
]
ActCustomer = Annotated[
    str | None,
    typer.Option("--customer", help="With --all-matching: only those of this customer or case.", metavar="REF"),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="With --all-matching: do not ask.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why: kept in the audit.", metavar="TEXT")]
Key = Annotated[str, typer.Argument(help="The mail's key, as the list shows it.", metavar="KEY")]


def add_to(app: typer.Typer) -> None:
    mail = group("mail", "See the mails that wait or left, read them, and say what becomes of them.")
    command(mail, "list", rows="vipflow.operations.inspection.MessageEntry")(list_)
    command(mail, "show")(show)
    command(mail, "preview", needs="files")(preview)
    for act in ACTS:
        command(mail, act, act="previewed")(_acting(act))
    command(mail, "suppressed", rows="vipflow.operations.mails.Suppressed")(suppressed)
    command(mail, "unsuppress", act="rehearsed")(unsuppress)
    app.add_typer(mail)


def list_(
    session: Session,
    ref: PerhapsRef = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            help="Only those in this state; may be repeated.",
            metavar="STATE",
            autocompletion=message_states(),
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option("--template", help="Only those of this template.", metavar="NAME", autocompletion=templates()),
    ] = None,
    limit: Limit = 100,
    after: After = None,
) -> None:
    """Lists mails in the order in which they were written.

    Of a customer with all its cases, of one case, or of everybody.
    """
    from vipflow.cli.output import when
    from vipflow.operations.inspection import messages

    page = messages(
        session.installation, session.who, ref, states=state or (), template=template, limit=limit, after=after
    )
    zone = session.who.zone
    session.out.rows(
        page.items,
        {
            "State": lambda each: each.state,
            "Sent, or not before": lambda each: when(each.sent_at or each.not_before, zone),
            "Tries": lambda each: each.attempts,
            "Copies": lambda each: each.copies,
            "Came to": lambda each: each.stage,
            "To": lambda each: each.to,
            "Key": lambda each: each.key,
            "Note": lambda each: each.note,
        },
        next=page.next,
        empty="There is no such mail.",
    )


def show(session: Session, key: Key) -> None:
    """Shows a mail as it reads.

    That is, in the very words that left, or in those that would leave now.
    """
    from vipflow.cli.output import facts_table, when
    from vipflow.operations.inspection import message_text

    found = message_text(session.installation, session.who, key)
    zone, message = session.who.zone, found.message
    session.out.answer(
        found,
        facts_table(
            {
                "state": f"{message.state}{': ' + message.note if message.note else ''}",
                "sent" if message.sent_at else "not before": when(message.sent_at or message.not_before, zone),
                "tries": message.attempts or None,
                "copies": message.copies or None,
                "in the digest": message.digest,
                "case": message.case,
                **(found.headers or {"To": message.to}),
                "Subject": found.subject_line,
            }
        ),
        _text(found),
    )
    for act in found.acts if not session.out.json else ():
        why = f": {act.reason}" if act.reason else ""
        session.out.note(f"{when(act.at, zone)} {act.act} by {act.by}{why}")


def preview(
    session: Session,
    template: Annotated[
        str | None,
        typer.Argument(
            help="The template; left out, their names are listed.", metavar="TEMPLATE", autocompletion=templates()
        ),
    ] = None,
    language: Annotated[str, typer.Option("--language", help="fr or en.", metavar="LANG")] = "en",
    sample: Annotated[
        str | None, typer.Option("--sample", help="Which sample facts; an unknown name lists them.", metavar="NAME")
    ] = None,
    reseller: Annotated[
        str | None,
        typer.Option("--reseller", help="With the templates that this one has of its own.", metavar="KEY"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every mail in every language, as files.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="With --all: the folder that they are written to.", metavar="DIR")
    ] = None,
) -> None:
    """Shows what a template makes of sample facts, without any database.

    With --all every mail is written as .html, .txt and .eml, with a page that shows them all: index.html.
    """
    from vipflow.operations.templates import preview_template, templates_known

    if every or out is not None:
        _write_all(session, template, reseller, every, out)
        return
    if template is None:
        session.out.rows(
            templates_known(session.files),
            {"Template": lambda each: each.name, "To": lambda each: each.to, "Sent by": lambda each: each.workflow},
        )
        return
    found = preview_template(session.files, template, language, sample, reseller)
    session.out.answer(found, f"Subject: {found.subject_line}\n", *_lines(found.text))


def _write_all(session: Session, template: str | None, reseller: str | None, every: bool, out: Path | None) -> None:
    from vipflow.operations.sheet import write_sheet

    if out is None:
        raise BadInput("--all", "it does not say where to", "name a folder: vipflow mail preview --all --out mails")
    if not every:
        raise BadInput("--out", "a single mail is shown, not written", "write them all: --all --out DIR")
    if template is not None:
        raise BadInput("--all", f"it is all mails, not {template} alone", "leave one of them out")
    written = write_sheet(session.files, out, reseller)
    session.out.answer(written, f"{written.mails} mails are written. Open {written.index}")
    if written.without_samples:
        session.out.note(f"Without samples, and so left out: {', '.join(written.without_samples)}")


# --- acts ----------------------------------------------------------------------------------------------------------


ACTS: dict[MailAct, str] = {
    "retry": """Lets mails leave again that were given up: dead, uncertain or held.

    A mail that was sent is never sent again. Of an uncertain one a copy may have arrived; the next is the same.
    """,
    "hold": "Keeps mails that wait from leaving, until they are released.",
    "release": "Lets mails go that were held. They leave if they are still true. A reason is needed.",
    "discard": "Gives mails up for good: they never leave. A reason is needed.",
}


def _acting(act: MailAct) -> Callable[..., None]:
    """The command of an act; all of them take the same options."""

    def run(
        session: Session,
        keys: Keys = None,
        all_matching: AllMatching = False,
        state: ActStates = None,
        template: ActTemplate = None,
        customer: ActCustomer = None,
        reason: Why = None,
        yes: Yes = False,
    ) -> None:
        _act(session, act, keys, all_matching, state, template, customer, reason, yes)

    run.__doc__ = ACTS[act]
    return run


def _act(
    session: Session,
    act: MailAct,
    keys: list[str] | None,
    all_matching: bool,
    states: list[str] | None,
    template: str | None,
    customer: str | None,
    reason: str | None,
    yes: bool,
) -> None:
    from vipflow.operations.mails import Wanted, act_on_mails

    filters = bool(states or template or customer)
    if all_matching and keys:
        raise BadInput("--all-matching", "there are keys as well", "give one or the other")
    if filters and not all_matching:
        raise BadInput("the mails", "filters say which, and --all-matching is missing", "add it, or name mails by key")
    if not keys and not all_matching:
        raise BadInput("the mails", "none is named", "give keys as `vipflow mail list` shows them, or --all-matching")
    wanted = Wanted(tuple(states or ()), template, customer) if all_matching else None
    installation, who = session.installation, session.who

    def done(*, dry: bool) -> Acted:
        return act_on_mails(installation, who, act, keys or (), wanted, reason=reason, dry_run=dry)

    if wanted is not None and not session.dry_run and not yes:
        count = len(_allowed(session, done(dry=True)).moved)
        if session.out.json or not sys.stdin.isatty():
            raise BadInput("--all-matching", f"it fits {count} mails", "add --yes to do it, or --dry-run to see them")
        typer.confirm(f"{act.capitalize()} {count} mails?", abort=True, err=True)
    _show_acted(session, _allowed(session, done(dry=session.dry_run)))


def _allowed(session: Session, acted: Acted) -> Acted:
    """Ends with 3 where the asker may not."""
    if acted.refused is not None:
        if session.out.json:
            session.out.write_json(acted)
        else:
            session.out.problem(refusal_text(acted.refused, session.who.zone))
        raise typer.Exit(REFUSED)
    return acted


def _show_acted(session: Session, acted: Acted) -> None:
    from vipflow.cli.output import change

    out = session.out
    if out.json:
        out.write_json(acted)
    else:
        columns = {
            "Mail": lambda each: each.key,
            "State": lambda each: change(each.before, each.after),
            "To": lambda each: each.recipient,
        }
        out.rows(acted.moved, columns, empty="No mail is touched.")
    for each in acted.left:
        out.note(f"{each.key} stays: {each.why}")
    if not acted.dry_run and acted.act == "retry" and any(each.copies for each in acted.moved):
        out.warn("Of some of these a copy may have arrived already; the next one is the same, to the byte.")
    if acted.dry_run:
        out.note(f"{len(acted.moved)} mails would be changed.")
    if not acted.moved and any(not each.done for each in acted.left):
        raise typer.Exit(REFUSED)


def suppressed(session: Session, limit: Limit = 100, after: After = None) -> None:
    """Lists the addresses that are not written to any more, because they refused a mail for good."""
    from vipflow.cli.output import when
    from vipflow.operations.mails import suppressed_addresses

    page = suppressed_addresses(session.installation, session.who, limit=limit, after=after)
    zone = session.who.zone
    session.out.rows(
        page.items,
        {
            "Address": lambda each: each.address,
            "Since": lambda each: when(each.since, zone),
            "What was said": lambda each: each.says,
            "Mail": lambda each: each.message,
        },
        next=page.next,
        empty="Every address may be written to.",
    )


def unsuppress(
    session: Session,
    address: Annotated[str, typer.Argument(help="The address, as the list shows it.", metavar="ADDRESS")],
    reason: Why = None,
) -> None:
    """Lets an address be written to again. A reason is needed.

    Mails that are held for it leave once you retry them.
    """
    from vipflow.operations import mails

    lifted = mails.unsuppress(session.installation, session.who, address, reason=reason)
    if lifted.refused is not None:
        if session.out.json:
            session.out.write_json(lifted)
        else:
            session.out.problem(refusal_text(lifted.refused, session.who.zone))
        raise typer.Exit(REFUSED)
    session.out.answer(lifted, f"{lifted.address} is written to again.")
    session.out.note("Mails that are held for it: vipflow mail retry --all-matching --state held --customer REF")


def _text(found: MessageText) -> str:
    return "\n" + found.text.rstrip("\n")


def _lines(text: str) -> tuple[str, ...]:
    return (text.rstrip("\n"),)
