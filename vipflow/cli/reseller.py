"""`vipflow reseller …`: the companies that use this installation."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vipflow.cli.session import Session, command, group
from vipflow.cli.team import show_changed

Key = Annotated[str, typer.Argument(help="The reseller's short name, e.g. north.", metavar="KEY")]
PolicyOption = Annotated[
    str | None,
    typer.Option("--policy", help="vip-2019, vip-2024, vip-marketplace, or one of your own.", metavar="NAME"),
]
LanguageOption = Annotated[str | None, typer.Option("--language", help="fr or en.", metavar="CODE")]
ZoneOption = Annotated[
    str | None, typer.Option("--zone", help="Where its days begin, e.g. Europe/Paris.", metavar="ZONE")
]
Sender = Annotated[str | None, typer.Option("--sender", help="The address that mails come from.", metavar="EMAIL")]
Phone = Annotated[str | None, typer.Option("--phone", help="As mails give it.", metavar="NUMBER")]
Signature = Annotated[
    str | None, typer.Option("--signature", help="Below every mail; \\n begins a line.", metavar="TEXT")
]
Link = Annotated[
    str | None, typer.Option("--invitation-link", help="Where an invitation leads, at Adobe.", metavar="URL")
]
Logo = Annotated[
    str | None,
    typer.Option("--logo", help="Where its logo lies (https), 40 points high in mails; '' for none.", metavar="URL"),
]
Colour = Annotated[
    str | None, typer.Option("--colour", help="The colour of its mails, e.g. #2f5d8a; '' for ours.", metavar="#RRGGBB")
]
Numbers = Annotated[
    list[str] | None,
    typer.Option("--number", help="A number of the policy that is its own: order_due_days=21. Repeat.", metavar="N=V"),
]


def add_to(app: typer.Typer) -> None:
    reseller = group("reseller", "Say which companies use this installation, by which policy, language and zone.")
    command(reseller, "add", needs="database")(add)
    command(reseller, "list", needs="database")(list_)
    command(reseller, "show", needs="database")(show)
    command(reseller, "set")(set_)
    app.add_typer(reseller)


def add(
    session: Session,
    key: Key,
    name: Annotated[str, typer.Option("--name", help="The company's name, as mails say it.", metavar="NAME")],
    policy: PolicyOption = None,
    language: LanguageOption = None,
    zone: ZoneOption = None,
    sender: Sender = None,
    phone: Phone = None,
    signature: Signature = None,
    invitation_link: Link = None,
    logo: Logo = None,
    colour: Colour = None,
    number: Numbers = None,
) -> None:
    """Adds a reseller."""
    from vipflow.operations import resellers
    from vipflow.operations.policies import numbers_given

    chosen = {"policy": policy, "language": language, "zone": zone}
    changed = resellers.add_reseller(
        session.installation,
        key=key,
        name=name,
        settings=_settings(sender, phone, signature, invitation_link, logo, colour),
        overrides=numbers_given(number or (), "--number"),
        **{option: value for option, value in chosen.items() if value is not None},
    )
    session.out.answer(changed, f"{name} is added as {key}, with the policy {changed.after['policy']}")
    session.out.note(f"Its team: vipflow team add EMAIL --name NAME --role admin --reseller {key}")


def list_(session: Session) -> None:
    """Lists the resellers of this installation."""
    from vipflow.operations.resellers import list_resellers

    session.out.rows(
        list_resellers(session.installation),
        {
            "Key": lambda row: row.key,
            "Name": lambda row: row.name,
            "Policy": lambda row: row.policy + (" and own numbers" if row.overrides else ""),
            "Language": lambda row: row.language,
            "Zone": lambda row: row.zone,
            "Team": lambda row: row.team,
            "Customers": lambda row: row.customers,
        },
        empty="There is none yet: vipflow reseller add KEY --name NAME",
    )


def show(session: Session, key: Key) -> None:
    """Shows a reseller: its policy with its own numbers, what its mails say."""
    from vipflow.cli.output import facts_table
    from vipflow.operations.resellers import show_reseller

    found = show_reseller(session.installation, key)
    own = "\n".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in found.overrides.items())
    session.out.answer(
        found,
        facts_table(
            {
                "Reseller": f"{found.name} ({found.key})",
                "Policy": found.policy,
                "Own numbers": own or None,
                "Language": found.language,
                "Zone": found.zone,
                "Sender": found.sender or None,
                "Phone": found.phone,
                "Signature": found.signature or None,
                "Invitation link": found.invitation_link,
                "Logo": found.logo,
                "Colour": found.colour,
                "Team": found.team,
                "Customers": found.customers,
            }
        ),
    )


def set_(
    session: Session,
    name: Annotated[str | None, typer.Option("--name", help="The company's name.", metavar="NAME")] = None,
    policy: PolicyOption = None,
    language: LanguageOption = None,
    zone: ZoneOption = None,
    sender: Sender = None,
    phone: Phone = None,
    signature: Signature = None,
    invitation_link: Link = None,
    logo: Logo = None,
    colour: Colour = None,
) -> None:
    """Changes a reseller (see --reseller). Numbers of its own: vipflow policy set."""
    from vipflow.cli.policy import say_whom_it_concerns
    from vipflow.operations.policy_changes import EVERYTHING, count_concerned
    from vipflow.operations.resellers import change_reseller

    changed = change_reseller(
        session.installation,
        session.who,
        name=name,
        policy=policy,
        language=language,
        zone=zone,
        settings=_settings(sender, phone, signature, invitation_link, logo, colour),
    )
    told = [
        f"{each}: {json.dumps(changed.before[each], ensure_ascii=False)} → {json.dumps(after, ensure_ascii=False)}"
        for each, after in changed.after.items()
        if changed.before.get(each) != after
    ]
    show_changed(session, changed, "\n".join(told) or "Nothing changed.")
    if changed.before["policy"] != changed.after["policy"] and not session.out.json:
        concerned = count_concerned(session.installation, session.who)
        say_whom_it_concerns(session, EVERYTHING, concerned)


def _settings(
    sender: str | None,
    phone: str | None,
    signature: str | None,
    invitation_link: str | None,
    logo: str | None,
    colour: str | None,
) -> dict[str, str | None]:
    return {
        "sender": sender,
        "phone": phone,
        "signature": signature.replace("\\n", "\n") if signature is not None else None,
        "invitation_link": invitation_link,
        "logo": logo,
        "colour": colour,
    }
