"""The command line, noun by noun: from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from vipflow.cli import _PANELS, app


def commands() -> Iterator[str]:
    """A section for each panel of `vipflow --help`, a heading for each command, a table of its own options."""
    root: Any = get_command(app)
    for panel, modules in _PANELS.items():
        yield f"## {panel}\n"
        for name in modules.values():
            command = root.commands[name]
            inner = getattr(command, "commands", None)
            if inner is None:
                yield from _command(f"vipflow {name}", command)
                continue
            yield f"### `vipflow {name}`\n"
            yield f"{command.help}\n"
            for verb, each in inner.items():
                yield from _command(f"vipflow {name} {verb}", each, "####")


def _command(path: str, command: Any, level: str = "###") -> Iterator[str]:
    known = _SHARED | _OF_LISTS if any(each.name == "csv" for each in command.params) else _SHARED
    own = [each for each in command.params if each.param_type_name == "argument" or each.name not in known]
    arguments = [_argument(each) for each in own if each.param_type_name == "argument"]
    yield f"{level} `{' '.join([path, *arguments])}`\n"
    yield f"{_text(command.help)}\n"
    if own:
        yield "| | |"
        yield "|---|---|"
        for each in own:
            yield f"| {_names(each)} | {_cell(each.help)}{' *required*' if each.required else ''} |"
        yield ""
    shared = [f"`{each.opts[0]}`" for each in command.params if each not in own and each.name != "help"]
    yield f"And {', '.join(shared)}.\n"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_argument(parameter)}`"
    value = "" if parameter.is_flag else f" {_called(parameter) if parameter.metavar else 'N'}"
    return ", ".join(f"`{name}{value}`" for name in [*parameter.opts, *parameter.secondary_opts])


def _argument(argument: Any) -> str:
    """In brackets where it may be left out."""
    called = _called(argument) + ("..." if argument.nargs == -1 else "")
    return called if argument.required else f"[{called}]"


def _called(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _text(help_: str | None) -> str:
    return _plain(help_ or "")


def _cell(help_: str | None) -> str:
    return _plain(" ".join((help_ or "").split())).replace("|", "\\|")


def _plain(text: str) -> str:
    """What a page would take for a tag or for emphasis."""
    return text.replace("<", "&lt;").replace("*", "\\*")


_OF_LISTS = {"csv", "excel", "out"}
_SHARED = {"config", "reseller", "as_", "on", "dry_run", "json", "help"}
"""Options that many commands have: told once, at the top of the page."""
