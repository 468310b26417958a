"""The columns that each list has as CSV: from the classes of their rows."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from typer.main import get_command

from vipflow.cli import _PANELS, app
from vipflow.operations.csvwriting import columns_of


def lists() -> Iterator[str]:
    """A row for each command that lists."""
    root: Any = get_command(app)
    yield "| list | columns |"
    yield "|---|---|"
    for modules in _PANELS.values():
        for noun in modules.values():
            command = root.commands[noun]
            for verb, each in (getattr(command, "commands", None) or {"": command}).items():
                rows = getattr(each.callback, "rows", None)
                if rows is not None:
                    module, _, name = rows.rpartition(".")
                    columns = columns_of(getattr(import_module(module), name))
                    path = f"vipflow {noun} {verb}".strip()
                    yield f"| `{path}` | {', '.join(f'`{column.name}`' for column in columns)} |"
