"""What every command shares: its options, and the installation behind them, opened when first asked for.

    @command(app, "show")
    def show(session: Session, ref: Annotated[str, typer.Argument(help="…")]) -> None:
        \"\"\"Shows …\"\"\"
        page = operations.show(session.installation, session.who, ref)

`command` adds `--config`, `--reseller`, `--as` and `--json` to the own options of a command; `--on` where `on=True`; to
what lists `--csv`, `--excel` and `--out`; `--dry-run` where it is an `act`: then nothing stays of what it does.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from vipflow.cli import listing
from vipflow.cli.completing import resellers, team
from vipflow.cli.helping import group
from vipflow.cli.output import Output
from vipflow.errors import BadInput

__all__ = ["Session", "command", "for_reseller", "group"]

if TYPE_CHECKING:
    from vipflow.config import Settings
    from vipflow.operations.installation import Files, Installation
    from vipflow.operations.who import Who

Needs = Literal["nothing", "files", "database", "reseller"]
"""What a command works on, and so which options it has."""
Act = Literal["rehearsed", "previewed"]
"""How a command that changes something answers `--dry-run`: it runs, and all is undone; or (`previewed`) it has a way
of its own to say what it would do, and reads only.
"""

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Read the settings from this file. (Else VIPFLOW_CONFIG, else ./config.toml.)", metavar="FILE"
    ),
]
Reseller = Annotated[
    str | None,
    typer.Option(
        "--reseller",
        help="Which reseller, once there are several. (Or VIPFLOW_RESELLER.)",
        metavar="KEY",
        autocompletion=resellers(),
    ),
]
As = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="Act as this member of the team: history names them. (Or VIPFLOW_AS.)",
        metavar="EMAIL",
        autocompletion=team(),
    ),
]
On = Annotated[
    str | None,
    typer.Option("--on", help="The day (2024-03-01) or instant on which it happened, if not now.", metavar="DATE"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would do, and write nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]

_SHARED: dict[Needs, dict[str, Any]] = {
    "nothing": {"json": Json},
    "files": {"config": Config, "json": Json},
    "database": {"config": Config, "json": Json},
    "reseller": {"config": Config, "reseller": Reseller, "as_": As, "json": Json},
}
_OF_A_RESELLER: set[str] = set()
"""Commands that have --reseller: `customer show`."""
_NAMED = re.compile(r"\bvipflow ([a-z-]+(?: [a-z-]+)?)(?![^`\n]*--reseller)")


class Session:
    """One run of one command."""

    def __init__(
        self,
        *,
        config: Path | None = None,
        reseller: str | None = None,
        as_: str | None = None,
        on: str | None = None,
        dry_run: bool = False,
        json: bool = False,
        rehearsed: bool = False,
    ) -> None:
        self.config = config
        self.reseller = reseller if reseller is not None else os.environ.get("VIPFLOW_RESELLER") or None
        self.as_ = as_ if as_ is not None else os.environ.get("VIPFLOW_AS") or None
        self.on = on
        self.dry_run = dry_run
        self.rehearsed = dry_run and rehearsed
        self.out = Output(json=json, dry_run=dry_run)
        if reseller is not None:
            self.out.told = lambda text: for_reseller(text, reseller)
        self.new_names = False
        """Whether what it makes is named by an id that will be another next time."""
        self._opened = ExitStack()

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
        """Everything, its database at this release's schema. Of a rehearsal: one in which nothing stays."""
        from vipflow.operations.installation import open_installation

        opened = open_installation(self.settings)
        self._opened.callback(opened.close)
        if not self.rehearsed:
            return opened
        from vipflow.operations.rehearsal import rehearsing

        rehearsal = self._opened.enter_context(rehearsing(opened))
        self.out.followed = rehearsal.followed
        return rehearsal.installation

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

    def end(self) -> None:
        """Says what a dry run has to say at its end."""
        if not self.dry_run:
            return
        if not self.out.json and self.out.followed is not None:
            from vipflow.cli.following import show_followed

            show_followed(self, self.out.followed())
        self.out.note("Nothing was written (--dry-run).")

    def close(self) -> None:
        """Closes what was opened, and undoes what was rehearsed."""
        self._opened.close()


Command = TypeVar("Command", bound=Callable[..., None])


def command(
    app: typer.Typer,
    name: str,
    *,
    needs: Needs = "reseller",
    act: Act | None = None,
    on: bool = False,
    rows: str | None = None,
    **settings: Any,
) -> Callable[[Command], Command]:
    """Makes a function whose first argument is the `Session` a command of `app`, with the options that all share.

    Whatever changes something is an `act`. What is called `list`, or says the class of its `rows`
    (`vipflow.operations.team.Member`), writes them as CSV too: it gives them to `session.out.rows`.
    """

    def decorate(function: Command) -> Command:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[1:]
        shared = dict(_SHARED[needs])
        if on:
            shared["on"] = On
        if act is not None:
            shared["dry_run"] = DryRun
        lists = name == "list" or rows is not None
        extra = [
            inspect.Parameter(
                option,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if option in ("json", "dry_run") else None,
                annotation=annotation,
            )
            for option, annotation in shared.items()
        ]
        if lists:
            extra += listing.PARAMETERS

        @functools.wraps(function)
        def run(*args: Any, **given: Any) -> None:
            _refuse_empty(given, called)
            session = Session(**{option: given.pop(option) for option in shared}, rehearsed=act == "rehearsed")
            session.new_names = given.get("id_", "") is None
            try:
                try:
                    if lists:
                        listing.run_list(session, function, given, rows)
                    else:
                        function(session, *args, **given)
                except typer.Exit:  # an answer too: refused, or a fault found
                    session.end()
                    raise
                session.end()
            finally:
                session.close()

        called = {p.name: (_called(p), p.default is inspect.Parameter.empty) for p in (*own, *extra)}
        by_keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        run.rows = rows  # type: ignore[attr-defined]  # why: pages say of each list which columns its CSV has
        parameters = [*by_keyword, *extra]
        run.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]  # why: Typer reads it
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        if needs == "reseller":
            _OF_A_RESELLER.add(name if app.info.name in (None, "vipflow") else f"{app.info.name} {name}")
        app.command(name, help=_about(function), **settings)(run)
        return function

    return decorate


def for_reseller(text: str, key: str) -> str:
    """A text whose commands name a reseller, as the one did that led to it: so that they can be typed as they stand.

    >>> _OF_A_RESELLER.add("order place")
    >>> for_reseller("Once ordered: vipflow order place --authorization PA-4M2X-8TQH", "north")
    'Once ordered: vipflow order place --reseller north --authorization PA-4M2X-8TQH'
    """

    def named(found: re.Match[str]) -> str:
        words = found[1]
        path = words if words in _OF_A_RESELLER else words.partition(" ")[0]
        return f"vipflow {path} --reseller {key}{words[len(path) :]}" if path in _OF_A_RESELLER else found[0]

    return _NAMED.sub(named, text)


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
