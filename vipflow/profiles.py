"""Profiles of tables to import, as `config.toml` writes them: `[imports.NAME]`."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class ImportProfile(BaseModel):
    """How the tables of one source are read by `vipflow customer import --profile`."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    columns: dict[str, tuple[str, ...]] = Field(
        default={}, description="for our names of columns the headings that say them; with an empty list none does"
    )
    authorizations: dict[str, tuple[str, ...]] = Field(
        default={}, description="the same for the table of --authorizations"
    )
    constants: dict[str, str] = Field(default={}, description="what stands in every row that says nothing else")
    words: dict[str, dict[str, str]] = Field(
        default={}, description="for our names of columns: words of the source, and what we call them"
    )
    separator: Literal[";", ",", "tab", "|"] | None = Field(default=None, description="recognised, if left out")
    encoding: str | None = Field(default=None, description="recognised, if left out")
    dates: Literal["day/month/year", "month/day/year"] = Field(
        default="day/month/year", description="the order of a date's numbers; 2025-03-01 is always read"
    )
    decimal: Literal[",", "."] | None = Field(
        default=None, description="what stands before the decimals of a number; the other one then parts thousands"
    )

    @field_validator("columns", "authorizations", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: (each,) if isinstance(each, str) else each for name, each in value.items()}

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        if encoding is None:
            return None
        try:
            found = codecs.lookup(encoding)
            "a".encode(found.name)
        except (LookupError, ValueError, TypeError, UnicodeError):
            raise ValueError("no such encoding is known; write utf-8, cp1252, latin-1, cp850, mac-roman…") from None
        return found.name
