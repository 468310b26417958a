"""Help that is quick and whole: plain text, each command with its first sentence uncut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click.core import Context
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
