"""The policies and their numbers, each with its source: from the TOML files and the schema."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from making.notes import notes
from vipflow.vip.numbers import SHIPPED_POLICIES, Numbers, load_policies


def numbers() -> Iterator[str]:
    book = load_policies()
    names = book.names
    sources = {name: _sources(name) for name in names}
    meanings = notes(Numbers)
    yield f"| number | {' | '.join(f'`{name}`' for name in names)} | what it says |"
    yield f"|---|{'---|' * len(names)}---|"
    for field in msgspec.structs.fields(Numbers):
        cells = []
        for name in names:
            value = getattr(book.versions(name)[-1], field.name)
            source = sources[name].get(field.name)
            cells.append(_shown(value) + (f" *{source}*" if source and value is not None else ""))
        said = re.sub(r"^\[[^\]]*\] ", "", meanings.get(field.name, "")).replace("|", "\\|")
        yield f"| `{field.name}` | {' | '.join(cells)} | {said} |"


def policies() -> Iterator[str]:
    book = load_policies()
    for name in book.names:
        versions = ", ".join(f"{version.valid_from}: `{version.id}`" for version in book.versions(name))
        yield f"- `{name}` ({versions}). {book.description(name)}"


def _sources(policy: str) -> dict[str, str]:
    """Where each number of a policy file comes from: the tag in the comment behind it."""
    for path in sorted(SHIPPED_POLICIES.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        if tomllib.loads(text)["name"] == policy:
            return {found[1]: found[2] for found in re.finditer(r"^(\w+) = .*?# \[(\w+)\]", text, re.MULTILINE)}
    return {}


def _shown(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case tuple():
            shown = ("/".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in value)
            return ", ".join(shown) or "none"
        case Mapping():
            return ", ".join(f"{key} {inner}" for key, inner in value.items())
        case _:
            return str(value)
