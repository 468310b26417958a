"""What stands in the source beside a declaration: read where it is written."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise


def notes(kind: type) -> dict[str, str]:
    """What stands as a text below each field in the source, in the class and those it is made from."""
    found: dict[str, str] = {}
    for cls in reversed(kind.__mro__):
        if not cls.__module__.startswith(("vipflow", "workflows")):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        except (OSError, TypeError):
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, note in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(note, ast.Expr):
                value = note.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found[field.target.id] = " ".join(value.value.split())
    return found
