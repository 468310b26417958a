"""Help that is quick and whole: plain text, each command with its first sentence uncut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click.core import Command, Context
    from typer._click.formatting import HelpFormatter

_UNCUT = 200


class Tree(TyperGroup):
    """A command of commands."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        self.list_some("Commands", list(self.commands), formatter)

    def list_some(self, title: str, names: Sequence[str], formatter: HelpFormatter) -> None:
        """The commands of these names under a title; nothing where there are none."""
        if names:
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=_UNCUT)) for name in names])


def help_asked_for(root: TyperGroup, arguments: Sequence[str]) -> str | None:
    """The help of the command that the arguments name, where they ask for it; None where they do not, or name none.

    Answered before anything is parsed: parsing costs more than all the rest.
    """
    if {"--help", "-h"}.isdisjoint(arguments):
        return None
    command: Command = root
    context = _context(command, "vipflow", None)
    for word in arguments:
        if word.startswith("-"):
            break
        if not isinstance(command, TyperGroup):
            continue  # an argument of the command
        if word not in command.commands:
            return None
        command = command.commands[word]
        context = _context(command, word, context)
    return context.get_help()


def _context(command: Command, name: str, parent: Context | None) -> Context:
    return command.context_class(command, info_name=name, parent=parent, **command.context_settings)


def group(name: str, about: str) -> typer.Typer:
    """A noun with its own commands: `vipflow customer …`."""
    return typer.Typer(
        name=name,
        cls=Tree,
        help=about,
        no_args_is_help=True,
        rich_markup_mode=None,  # rich's help costs more time than all the rest
        pretty_exceptions_enable=False,
    )
