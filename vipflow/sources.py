"""Where in its file a class or a function says what: for whoever must put it right there."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

Place = tuple[str | None, int | None]
"""A file and a line of it, as far as they are known."""

NOWHERE: Place = (None, None)


class Places:
    """The lines of a class body, by the name that stands there and, in a list, by the place in it."""

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def of(self, attribute: str | None = None, at: int | None = None) -> Place:
        """Where `attribute` is written, or its entry number `at`; the class itself where that cannot be found."""
        file = getattr(sys.modules.get(self._cls.__module__), "__file__", None)
        body = _class(file, self._cls.__qualname__) if file else None
        if body is None:
            return NOWHERE
        value = _assigned(body, attribute) if attribute is not None else None
        if value is None:
            return file, body.lineno
        entries = getattr(value, "elts", None) or getattr(value, "keys", None) or []
        found = entries[at] if at is not None and at < len(entries) else value
        return file, found.lineno

    def key(self, attribute: str, key: str) -> Place:
        """Where an entry of that key stands in the table `attribute`."""
        file, line = self.of(attribute)
        body = _class(file, self._cls.__qualname__) if file else None
        value = _assigned(body, attribute) if body is not None else None
        for each in getattr(value, "keys", ()):
            if isinstance(each, ast.Constant) and each.value == key:
                return file, each.lineno
        return file, line


def place_of(function: Callable[..., Any]) -> Place:
    """Where a function is written."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else NOWHERE


def line_of(file: str, line: int) -> str:
    """That line, without the blanks around it; empty where there is none."""
    linecache.checkcache(file)
    return linecache.getline(file, line).strip()


def toml_line(file: Path, key: str, after: Sequence[str] = ()) -> int | None:
    """The line of a TOML file on which `key` is given a value, behind the lines that begin with each of `after`; the
    last of these where it is given none.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    begins = [*(re.escape(each) for each in after), rf"\"?{re.escape(key)}\"?\s*="]
    last = None
    for number, line in enumerate(lines, 1):
        if re.match(begins[0], line.strip()):
            begins.pop(0)
            last = number
            if not begins:
                break
    return last


def _class(file: str, name: str) -> ast.ClassDef | None:
    found: ast.AST | None = _parsed(file)
    for part in name.split("."):
        inside = ast.iter_child_nodes(found) if found is not None else ()
        found = next((each for each in inside if isinstance(each, ast.ClassDef) and each.name == part), None)
    return found if isinstance(found, ast.ClassDef) else None


def _assigned(body: ast.ClassDef, attribute: str) -> ast.expr | None:
    for statement in body.body:
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == attribute for target in targets):
            value: ast.expr | None = getattr(statement, "value", None)
            return value
    return None


@lru_cache(maxsize=32)
def _parsed(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None
