"""Every line of config.toml: from the classes that read it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from vipflow.config import sections


def settings() -> Iterator[str]:
    """A table for each section of config.toml."""
    for name, section in sections().items():
        yield f"## `[{name}]`\n"
        doc = inspect.cleandoc(section.__doc__ or "") if "__doc__" in vars(section) else ""
        if doc and not doc.startswith("A table of the file"):
            yield f"{doc}\n"
        yield "| setting | what it says | a value | if left out |"
        yield "|---|---|---|---|"
        for key, field in section.model_fields.items():
            says = _safe(_plain(field.description or ""))
            yield f"| `{key}` | {says} | {_safe(_value_of(field))} | {_left_out(field)} |"
        yield ""


def _value_of(field: Any) -> str:
    """What may be written for a setting."""
    kind = field.annotation
    arguments = [each for each in get_args(kind) if each is not type(None)]
    if get_origin(kind) is Literal:
        return " or ".join(f'`"{value}"`' for value in arguments)
    if get_origin(kind) is tuple:
        return "a path, or a list of them"
    plain = arguments[0] if arguments else kind
    if plain in (int, float):
        bounds = {
            name: getattr(each, name.lower()) for each in field.metadata if (name := type(each).__name__) in _BOUNDS
        }
        least, above, most = (bounds.get(name) for name in _BOUNDS)
        word = "whole number" if plain is int else "number"
        if least is not None and most is not None:
            return f"{word}, {least:,g} to {most:,g}"
        start = f", {least:,g} or more" if least is not None else f" above {above:,g}" if above is not None else ""
        return f"{word}{start}" + (f", at most {most:,g}" if most is not None else "")
    return {Path: "path", datetime: "instant, as `2025-12-31T18:00:00Z`"}.get(plain, "text")


_BOUNDS = ("ge", "gt", "le")


def _left_out(field: Any) -> str:
    if field.default_factory is not None:
        return "what comes with vipflow"
    match field.default:
        case None | ():
            return "none"
        case float() as number:
            return f"`{number:g}`"
        case Path() | str() as text:
            return f'`"{text}"`'
        case other:
            return f"`{other}`"


def _plain(text: str) -> str:
    """Placeholders as code: a page would take them for tags."""
    return re.sub(r"\S*<\w+>\S*", lambda found: f"`{found[0]}`", text)


def _safe(text: str) -> str:
    return text.replace("|", "\\|")
