"""`vipflow mail …`: mails that wait, that left, and as they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.options import After, Limit, PerhapsRef
from vipflow.cli.session import Session, command, group

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
) -> None:
    """Shows what a template makes of sample facts, without any database."""
    from vipflow.operations.templates import preview_template, templates_known

    if template is None:
        session.out.rows(
            templates_known(session.files),
            {"Template": lambda each: each.name, "To": lambda each: each.to, "Sent by": lambda each: each.workflow},
        )
        return
    found = preview_template(session.files, template, language, sample)
    session.out.answer(found, f"Subject: {found.subject_line}\n", *_lines(found.text))


def _text(found: MessageText) -> str:
    return "\n" + found.text.rstrip("\n")


def _lines(text: str) -> tuple[str, ...]:
    return (text.rstrip("\n"),)
