"""The kinds of errors: every class of ours, with its exit code, when it is raised, and what its JSON knows."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import vipflow
from vipflow.errors import VipflowError

_OWN = frozenset({"args", "fault", "code", "kind", "message"})
"""What is no field, or would be one of those that every error has."""
_NOT_TO_IMPORT = ("vipflow.__main__", "vipflow.store.migrations")


def errors() -> Iterator[str]:
    """A table: kind, exit code, when, and the fields beside `code`, `kind` and `message`."""
    yield "| `kind` | `code` | When | Also in its JSON |"
    yield "|---|---|---|---|"
    for kind in sorted(kinds(), key=lambda kind: (kind.exit_code, kind.__name__)):
        when = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()).removeprefix("Raised ")
        fields = ", ".join(f"`{name}`" for name in knows(kind)) or "–"
        yield f"| `{kind.__name__}` | {kind.exit_code} | {when[:1].upper()}{when[1:]} | {fields} |"


def kinds() -> list[type[VipflowError]]:
    """Every kind, wherever it is declared."""
    for module in pkgutil.walk_packages(vipflow.__path__, "vipflow."):
        if not module.name.startswith(_NOT_TO_IMPORT):
            import_module(module.name)
    found: list[type[VipflowError]] = []
    waiting = [VipflowError]
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found.append(kind)
            waiting += kind.__subclasses__()
    return [kind for kind in found if kind.__module__.startswith("vipflow")]


def knows(kind: type[VipflowError]) -> list[str]:
    """What it keeps of what it was made from: the names of its fields."""
    if kind.__init__ is Exception.__init__:
        return []
    return [name for name in list(inspect.signature(kind.__init__).parameters)[1:] if name not in _OWN]
