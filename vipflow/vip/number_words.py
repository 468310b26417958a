"""What each number of a policy says in words, and where its value comes from: read from where both are written."""

import ast
import inspect
import re
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from vipflow.vip.numbers import SHIPPED_POLICIES, Numbers

SOURCES = ("adobe", "seed", "ours")
"""Published by Adobe; of the document that vipflow was asked for with; our own choice where nothing is published."""
_TAGGED = re.compile(r"^(\w+)\s*=.*?#\s*\[(\w+)\]", re.MULTILINE)
_TAG = re.compile(r"^\[[^\]]*\]\s*")


@cache
def numbers_in_words() -> Mapping[str, str]:
    """What each number of the schema says: its docstring, without the word for its source.

    >>> numbers_in_words()["return_days"]
    'A return may be requested through this many days after Adobe accepted the order.'
    """
    (cls,) = ast.parse(textwrap.dedent(inspect.getsource(Numbers))).body
    assert isinstance(cls, ast.ClassDef)  # noqa: S101 - a class it is
    found = {}
    for field, doc in zip(cls.body, cls.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(doc, ast.Expr):
            found[field.target.id] = _TAG.sub("", " ".join(str(ast.literal_eval(doc.value)).split()))
    return found


def sources_of(policy: str, folders: Iterable[Path] = ()) -> Mapping[str, str]:
    """Where each number of a policy's file comes from, as the comment behind it says: `# [adobe]`."""
    for folder in (SHIPPED_POLICIES, *folders):
        for path in sorted(folder.glob("*.toml")):
            text = path.read_text(encoding="utf-8")
            if tomllib.loads(text).get("name") == policy:
                return {name: source for name, source in _TAGGED.findall(text) if source in SOURCES}
    return {}
