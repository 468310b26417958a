"""`vipflow team …`: the reseller's staff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.acting import refusal_text
from vipflow.cli.completing import one_of, team
from vipflow.cli.output import REFUSED
from vipflow.cli.session import Session, command, group

if TYPE_CHECKING:
    from vipflow.operations.team import Changed

Member = Annotated[str, typer.Argument(help="The member's e-mail address.", metavar="EMAIL", autocompletion=team())]
_ROLES = one_of("viewer", "account_manager", "support", "operator", "admin")
RoleOption = Annotated[
    str,
    typer.Option(
        "--role", help="viewer, account_manager, support, operator or admin.", metavar="ROLE", autocompletion=_ROLES
    ),
]

MailsOption = Annotated[
    str | None,
    typer.Option(
        "--mails", help="single: at once, as others; daily: one mail each working morning.", metavar="single|daily"
    ),
]


def add_to(app: typer.Typer) -> None:
    team = group("team", "Say who works here, and in which role.")
    command(team, "add", act="rehearsed")(add)
    command(team, "list", rows="vipflow.operations.team.Member")(list_)
    command(team, "role", act="rehearsed")(role)
    command(team, "change", act="rehearsed")(change)
    command(team, "deactivate", act="rehearsed")(deactivate)
    app.add_typer(team)


def add(
    session: Session,
    email: Member,
    name: Annotated[str, typer.Option("--name", help="As mails sign it.", metavar="NAME")],
    role: RoleOption = "account_manager",
    language: Annotated[
        str | None, typer.Option("--language", help="Of mails to it: fr or en. [the reseller's]", metavar="CODE")
    ] = None,
    phone: Annotated[str | None, typer.Option("--phone", help="As mails give it.", metavar="NUMBER")] = None,
    mails: MailsOption = None,
) -> None:
    """Adds a member, or takes one back who had left."""
    from vipflow.operations import team

    changed = team.add_member(
        session.installation,
        session.who,
        email=email,
        name=name,
        role=role,
        language=language,
        phone=phone,
        mails=mails or "single",
    )
    show_changed(session, changed, f"{name} <{email}> is in the team as {role.replace('_', ' ')}")


def list_(
    session: Session,
    all_: Annotated[bool, typer.Option("--all", help="Those who left as well.")] = False,
) -> None:
    """Lists the team, with how many customers each member manages."""
    from vipflow.operations.team import list_team

    columns = {
        "Name": lambda row: row.name,
        "E-mail": lambda row: row.email,
        "Role": lambda row: row.role.replace("_", " "),
        "Language": lambda row: row.language,
        "Phone": lambda row: row.phone,
        "Mails": lambda row: row.mails,
        "Customers": lambda row: row.customers,
    }
    if all_:
        columns["Active"] = lambda row: row.active
    session.out.rows(
        list_team(session.installation, session.who, everybody=all_),
        columns,
        empty="Nobody yet: vipflow team add EMAIL --name NAME --role admin",
    )


def role(
    session: Session,
    email: Member,
    role: Annotated[
        str,
        typer.Argument(
            help="viewer, account_manager, support, operator or admin.", metavar="ROLE", autocompletion=_ROLES
        ),
    ],
) -> None:
    """Gives a member another role."""
    from vipflow.operations.team import set_role

    changed = set_role(session.installation, session.who, email, role)
    show_changed(session, changed, f"{email} is now {role.replace('_', ' ')}")


def change(
    session: Session,
    email: Member,
    name: Annotated[str | None, typer.Option("--name", help="As mails sign it.", metavar="NAME")] = None,
    language: Annotated[str | None, typer.Option("--language", help="fr or en.", metavar="CODE")] = None,
    phone: Annotated[str | None, typer.Option("--phone", help="As mails give it.", metavar="NUMBER")] = None,
    mails: MailsOption = None,
) -> None:
    """Changes what mails say of a member, in which language it gets them, and how often."""
    from vipflow.operations.team import change_member

    changed = change_member(
        session.installation, session.who, email, name=name, language=language, phone=phone, mails=mails
    )
    show_changed(session, changed, f"{email} is changed")


def deactivate(session: Session, email: Member) -> None:
    """Takes a member out of the team. Its customers stay its own until assigned; an admin answers for them."""
    from vipflow.operations import team

    changed = team.deactivate_member(session.installation, session.who, email)
    show_changed(session, changed, f"{email} has left the team")
    if changed.refused is None:
        everybody = team.list_team(session.installation, session.who, everybody=True)
        left = next(each for each in everybody if each.email == changed.after["email"])
        if left.customers:
            count = f"{left.customers} customer{'s' if left.customers > 1 else ''}"
            session.out.note(f"It still manages {count}: vipflow customer list --manager {left.email}")


def show_changed(session: Session, changed: Changed, say: str) -> None:
    """What changed in a row of configuration; ends with 3 where it may not."""
    out = session.out
    if changed.refused is not None:
        if out.json:
            out.write_json(changed)
        else:
            out.problem(refusal_text(changed.refused, session.who.zone))
        raise typer.Exit(REFUSED)
    out.answer(changed, say)
