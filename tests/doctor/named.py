"""Whether a line that people are told to type is a command, with options that it has."""

from typing import Any

from typer.main import get_command

from vipflow.cli import app

ROOT = get_command(app)


def what_is_wrong(line: str) -> str | None:
    """Of a line such as `vipflow mail list --state dead   # a comment`; None for one that can be typed."""
    words = line.partition(" #")[0].split()[1:]
    found: Any = ROOT
    while words and words[0] in getattr(found, "commands", {}):
        found = found.commands[words.pop(0)]
    if found is ROOT or hasattr(found, "commands"):
        return f"there is no such command: {line}"
    options = {option for parameter in found.params for option in parameter.opts}
    unknown = [word for word in words if word.startswith("-") and word not in options]
    return f"no option {unknown[0]}: {line}" if unknown else None
