#!/usr/bin/env python3
"""Writes what these pages say of the code from the code itself: commands, events, states, policies, settings.

    python docs/generate.py           brings the pages up to date
    python docs/generate.py --check   names the pages that are not, and ends with 1

In a page, all between `<!-- generated: NAME -->` and `<!-- end -->` is ours; the rest is written by hand. What makes
each part stands in `making/`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from making.commands import commands
from making.errors import errors
from making.events import event_data, events
from making.lists import lists
from making.policies import numbers, policies
from making.settings import settings
from making.states import states
from vipflow.config import shipped
from vipflow.operations.workflow_files import load_workflow_files

DOCS = Path(__file__).resolve().parent
_MARKED = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    old = {path: made for path, made in pages().items() if path.read_text(encoding="utf-8") != made}
    if "--check" in arguments:
        for path in old:
            print(f"docs/{path.relative_to(DOCS)} is not current: run `python docs/generate.py`")
        return 1 if old else 0
    for path, made in old.items():
        path.write_text(made, encoding="utf-8")
        print(f"docs/{path.relative_to(DOCS)} written")
    return 0


def pages(folder: Path = DOCS) -> dict[Path, str]:
    """Every page with something generated in it, as it should be."""
    workflows = load_workflow_files(shipped("workflows"))
    parts: Mapping[str, Callable[[], Iterable[str]]] = {
        "commands": commands,
        "errors": errors,
        "events": lambda: events(workflows),
        "lists": lists,
        "event-data": lambda: event_data(workflows),
        "states": lambda: states(workflows),
        "numbers": numbers,
        "policies": policies,
        "settings": settings,
    }

    def filled(found: re.Match[str]) -> str:
        made = "\n".join(parts[found["name"]]())
        return f"{found[1]}\n{made.strip()}\n\n{found[3]}"

    made = {}
    for path in sorted(folder.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if _MARKED.search(text):
            made[path] = _MARKED.sub(filled, text)
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
