"""`vipflow mail …`: mails that wait, that left, and as they read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.options import After, Limit, PerhapsRef
from vipflow.cli.session import Session, command, group
from vipflow.errors import BadInput

if TYPE_CHECKING:
    from vipflow.operations.inspection import MessageText

Key = Annotated[str, typer.Argument(help="The mail's key, as the list shows it.", metavar="KEY")]


def add_to(app: typer.Typer) -> None:
    mail = group("mail", "See the mails that wait or left, and read them.")
    command(mail, "list")(list_)
    command(mail, "show")(show)
    command(mail, "preview", needs="files")(preview)
    app.add_typer(mail)


def list_(
    session: Session,
    ref: PerhapsRef = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="Only those in this state; may be repeated.", metavar="STATE"),
    ] = None,
    template: Annotated[
        str | None, typer.Option("--template", help="Only those of this template.", metavar="NAME")
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
                "case": message.case,
                **(found.headers or {"To": message.to}),
                "Subject": found.subject_line,
            }
        ),
        _text(found),
    )


def preview(
    session: Session,
    template: Annotated[
        str | None, typer.Argument(help="The template; left out, their names are listed.", metavar="[TEMPLATE]")
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


def _text(found: MessageText) -> str:
    return "\n" + found.text.rstrip("\n")


def _lines(text: str) -> tuple[str, ...]:
    return (text.rstrip("\n"),)
