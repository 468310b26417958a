"""Which settings count, and who said so: a line of the file, a variable, or nobody. Secrets are masked."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from pydantic import SecretStr
from sqlalchemy import make_url

from vipflow.config import Settings, sections, variables, written_in

MASK = "***"
_SECRET_WORDS = frozenset({"password", "sslpassword"})
"""Words of a URL's query that are passwords too."""


class Setting(msgspec.Struct, frozen=True):
    """One setting, its value as it counts (paths absolute, secrets masked) and where it was said.

    `line` is known where the file says it on a line of its own; `variable` where the environment does.
    """

    name: str
    value: Any
    source: Literal["default", "file", "environment"]
    line: int | None = None
    variable: str | None = None


class Configuration(msgspec.Struct, frozen=True):
    """All settings in the order of the shipped file; without a `file` those that nobody wrote."""

    file: Path | None
    settings: list[Setting]


def configuration(settings: Settings) -> Configuration:
    """Every setting of an installation. Raises ConfigError where its file cannot be read any more."""
    file = settings.file
    text = file.read_text(encoding="utf-8") if file is not None else ""
    written = written_in(file) if file is not None else {}
    by_variable = {place: name for name, place in variables().items()}
    set_now = {name.upper() for name in os.environ}
    found = []
    for section in sections():
        table = getattr(settings, section)
        for key in type(table).model_fields:
            name, value = f"{section}.{key}", told(getattr(table, key))
            variable = by_variable[section, key]
            if variable in set_now:
                found.append(Setting(name, value, "environment", variable=variable))
            elif key in written.get(section, {}):
                found.append(Setting(name, value, "file", line=_line(text, section, key)))
            else:
                found.append(Setting(name, value, "default"))
    for profile, of_it in settings.imports.items():  # has no defaults and no variables
        for key, value in of_it.model_dump(exclude_unset=True).items():
            found.append(
                Setting(f"imports.{profile}.{key}", told(value), "file", line=_line(text, f"imports.{profile}", key))
            )
    return Configuration(file.resolve() if file is not None else None, found)


def told(value: Any) -> Any:
    """A value as others may read it: plain, and without what is secret."""
    match value:
        case SecretStr():
            return MASK
        case Path() | datetime():
            return str(value)
        case tuple():
            return [told(each) for each in value]
        case str() if "://" in value:
            return _masked(value)
        case _:
            return value


def _masked(url: str) -> str:
    """A database's URL without its passwords."""
    named = make_url(url)
    secret = {word: MASK for word in named.query if word.lower() in _SECRET_WORDS}
    shown = named.update_query_dict(secret).render_as_string(hide_password=True)
    return shown.replace(quote(MASK), MASK)


def _line(text: str, section: str, key: str) -> int | None:
    """The line of the file on which a setting stands, where it stands on one as `key = …` or `section.key = …`."""
    at, here = 0, ""
    for at, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\s*([\w-]+)\s*\]", line)
        if header:
            here = header[1]
        elif re.match(rf"\s*{key}\s*=" if here == section else rf"\s*{section}\s*\.\s*{key}\s*=", line):
            return at
    return None
