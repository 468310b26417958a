"""What every command shares: its options, and the installation behind them, opened when first asked for.

    @command(app, "show")
    def show(session: Session, ref: Annotated[str, typer.Argument(help="…")]) -> None:
        \"\"\"Shows …\"\"\"
        page = operations.show(session.installation, session.who, ref)

`command` adds `--config`, `--reseller`, `--as` and `--json` (and `--on` where `on=True`) to the command's own options.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from vipflow.cli.helping import group
from vipflow.cli.output import Output
from vipflow.errors import BadInput

__all__ = ["Session", "command", "group"]

if TYPE_CHECKING:
    from vipflow.config import Settings
    from vipflow.operations.installation import Files, Installation
    from vipflow.operations.who import Who

Needs = Literal["nothing", "files", "database", "reseller"]
"""What a command works on, and so which options it has."""

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Read the settings from this file. (Else VIPFLOW_CONFIG, else ./config.toml.)", metavar="FILE"
    ),
]
Reseller = Annotated[
    str | None,
    typer.Option("--reseller", help="Which reseller, once there are several. (Or VIPFLOW_RESELLER.)", metavar="KEY"),
]
As = Annotated[
    str | None,
    typer.Option("--as", help="Act as this member of the team: history names them. (Or VIPFLOW_AS.)", metavar="EMAIL"),
]
On = Annotated[
    str | None,
    typer.Option("--on", help="The day (2024-03-01) or instant on which it happened, if not now.", metavar="DATE"),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]

_SHARED: dict[Needs, dict[str, Any]] = {
    "nothing": {"json": Json},
    "files": {"config": Config, "json": Json},
    "database": {"config": Config, "json": Json},
    "reseller": {"config": Config, "reseller": Reseller, "as_": As, "json": Json},
}
_PANEL = "Everywhere"


class Session:
    """One run of one command."""

    def __init__(
        self,
        *,
        config: Path | None = None,
        reseller: str | None = None,
        as_: str | None = None,
        on: str | None = None,
        json: bool = False,
    ) -> None:
        self.config = config
        self.reseller = reseller if reseller is not None else os.environ.get("VIPFLOW_RESELLER") or None
        self.as_ = as_ if as_ is not None else os.environ.get("VIPFLOW_AS") or None
        self.on = on
        self.out = Output(json=json)

    @cached_property
    def defaults(self) -> Settings:
        """The settings, or the shipped defaults where there is no config file."""
        from vipflow.config import load_settings

        return load_settings(self.config)

    @cached_property
    def settings(self) -> Settings:
        """The settings of a config file; BadInput says what to do where there is none."""
        from vipflow.config import NO_CONFIG, find_config

        if find_config(self.config) is None:
            raise BadInput(*NO_CONFIG)
        return self.defaults

    @cached_property
    def files(self) -> Files:
        """Workflows, policies, catalogue and templates: no database, and no config file either where there is none."""
        from vipflow.operations.installation import load_files

        return load_files(self.defaults)

    @cached_property
    def installation(self) -> Installation:
        """Everything, its database at this release's schema."""
        from vipflow.operations.installation import open_installation

        return open_installation(self.settings)

    @cached_property
    def who(self) -> Who:
        """Who asks, and for which reseller."""
        import dataclasses

        from vipflow.operations.who import who_asks

        who = who_asks(self.installation, reseller=self.reseller, email=self.as_)
        return who if self.on is None else dataclasses.replace(who, on=self.instant(self.on, who))

    def instant(self, given: str, who: Who) -> datetime | None:
        """What `--on` means: an instant as it is; of another day noon in the reseller's zone; of today now (None)."""
        from vipflow.operations.who import effective_instant

        return effective_instant(given, who.zone, self.installation.clock.now())

    def close(self) -> None:
        """Closes what was opened."""
        installation = self.__dict__.get("installation")
        if installation is not None:
            installation.close()


Command = TypeVar("Command", bound=Callable[..., None])


def command(
    app: typer.Typer, name: str, *, needs: Needs = "reseller", on: bool = False, **settings: Any
) -> Callable[[Command], Command]:
    """Makes a function whose first argument is the `Session` a command of `app`, with the options that all share."""

    def decorate(function: Command) -> Command:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[1:]
        shared = dict(_SHARED[needs])
        if on:
            shared["on"] = On
        extra = [
            inspect.Parameter(
                option,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if option == "json" else None,
                annotation=annotation,
            )
            for option, annotation in shared.items()
        ]

        @functools.wraps(function)
        def run(*args: Any, **given: Any) -> None:
            _refuse_empty(given, called)
            session = Session(**{option: given.pop(option) for option in shared})
            try:
                function(session, *args, **given)
            finally:
                session.close()

        called = {p.name: (_called(p), p.default is inspect.Parameter.empty) for p in (*own, *extra)}
        by_keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        parameters = [*by_keyword, *extra]
        run.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]  # why: Typer reads it
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name, help=_about(function), **settings)(run)
        return function

    return decorate


_MAY_BE_EMPTY = frozenset({"search", "sender", "phone", "signature", "invitation_link", "logo", "colour"})
"""What takes a value back when it is empty, or looks for nothing."""


def _refuse_empty(given: dict[str, Any], called: dict[str, tuple[str, bool]]) -> None:
    """An empty text is a variable of a script that was not set: to take it for an option left out would do something
    else than was asked.
    """
    for name, value in given.items():
        texts = value if isinstance(value, list) else [value]
        if name not in _MAY_BE_EMPTY and any(isinstance(each, str) and not each.strip() for each in texts):
            what, is_required = called[name]
            raise BadInput(what, "it is empty", "write what it is to be" + ("" if is_required else ", or leave it out"))


def _called(parameter: inspect.Parameter) -> str:
    """What help calls an option or an argument."""
    about = getattr(parameter.annotation, "__metadata__", (None,))[0]
    names = [getattr(about, "default", None), *(getattr(about, "param_decls", None) or ())]
    option = next((each for each in names if isinstance(each, str) and each.startswith("-")), None)
    return option or getattr(about, "metavar", None) or parameter.name.upper()


def _about(function: Callable[..., None]) -> str:
    """A docstring as help: a paragraph is one line, for the terminal to break."""
    return "\n\n".join(" ".join(part.split()) for part in (inspect.getdoc(function) or "").split("\n\n"))
