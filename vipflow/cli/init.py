"""`vipflow init`: from nothing to a folder that one can work in."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vipflow.cli.session import Session, command


class With(StrEnum):
    """What may be copied. (Typer takes no list of literals.)"""

    WORKFLOWS = "workflows"
    EMAIL_TEMPLATES = "email-templates"
    POLICIES = "policies"
    CATALOGUE = "catalogue"
    ALL = "all"


def add_to(app: typer.Typer) -> None:
    command(app, "init", needs="nothing")(init)


def init(
    session: Session,
    folder: Annotated[
        Path, typer.Argument(help="The folder to make; one that is there keeps what it has.", metavar="DIR")
    ],
    with_: Annotated[
        list[With] | None,
        typer.Option(
            "--with",
            help="With copies to change: workflows, email-templates, policies, catalogue or all. Repeat.",
            metavar="WHAT",
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option("--database", help="Its database, instead of an SQLite file in var/.", metavar="URL"),
    ] = None,
) -> None:
    """Makes the folder of a new installation, its settings explained.

    What comes with vipflow (workflows, e-mail templates, policies, products) counts without a copy, and is renewed with
    it: copy what you want to change, with --with. Nothing that is there is overwritten.
    """
    from rich.text import Text

    from vipflow.operations.copies import PARTS
    from vipflow.operations.scaffold import make_folder

    wanted = with_ or []
    parts = [part for part in PARTS if part in wanted or With.ALL in wanted]
    made = make_folder(folder, parts=parts, database=database)
    session.out.answer(made, Text(_told(made.folder, made.made, made.next)))
    _warn_of_another(session, made.folder)


def _told(folder: Path, made: list[str], next_: list[str]) -> str:
    from vipflow.cli.demo import reaching_this_program

    commands = "\n".join(f"  {line}" for line in (*reaching_this_program(), *next_))
    return f"Made {folder}: {', '.join(made)}.\n\nNext, with a name and addresses of your own:\n{commands}"


def _warn_of_another(session: Session, folder: Path) -> None:
    """A variable that names another installation would silently win over the new one."""
    import os

    from vipflow.config import CONFIG, FILE

    named = os.environ.get(CONFIG)
    if named and Path(named).resolve() != folder / FILE:
        session.out.warn(f"{CONFIG} names {named}: until it is unset, commands work on that one.")
