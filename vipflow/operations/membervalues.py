"""What stands in the cells of members' tables, read: words in French and English, dates, numbers, countries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from vipflow.operations.csvfiles import folded_heading

DAY_FIRST: Final = "day/month/year"
MONTH_FIRST: Final = "month/day/year"


class Habits(NamedTuple):
    """How a source writes what it exports, where that is said (`[imports.NAME]`)."""

    constants: Mapping[str, str] = {}
    words: Mapping[str, Mapping[str, str]] = {}
    dates: str = DAY_FIRST
    decimal: str | None = None

    def translated(self, cells: Mapping[str, str]) -> dict[str, str]:
        """The cells in our words, with what every row says that says nothing else."""
        found = {**self.constants, **cells}
        for name, ours in self.words.items():
            if name in found:
                found[name] = ours.get(folded_heading(found[name]), found[name])
        return found


SEGMENT_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("commercial", "com", "entreprise", "entreprises", "prive", "secteur prive", "business"), "commercial"
    ),
    **dict.fromkeys(
        ("government", "gov", "gouvernement", "secteur public", "public", "administration", "public sector"),
        "government",
    ),
    **dict.fromkeys(("education", "edu", "enseignement", "academic"), "education"),
}
OFFER_WORDS: Final[Mapping[str, str]] = {
    "equipe": "teams",
    "equipes": "teams",
    "team": "teams",
    "teams": "teams",
    "entreprise": "enterprise",
    "enterprise": "enterprise",
    "education": "education",
}
LANGUAGE_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("fr", "francais", "french", "fr fr"), "fr"),
    **dict.fromkeys(("en", "anglais", "english", "en gb", "en us"), "en"),
}
MEMBER: Final = "accepted"
TO_INVITE: Final = "to invite"
WITHDRAWN: Final = "withdrawn"
INVITATION_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("accepted", "acceptee", "member", "membre", "active", "actif", "active member"), MEMBER),
    **dict.fromkeys(("to invite", "a inviter", "invite", "prospect"), TO_INVITE),
    **dict.fromkeys(("sent", "envoyee", "expired", "expiree"), TO_INVITE),
    **dict.fromkeys(("withdrawn", "retiree"), WITHDRAWN),
}
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "segment": SEGMENT_WORDS,
    "language": LANGUAGE_WORDS,
    "offer_types": OFFER_WORDS,
    "invitation": INVITATION_WORDS,
}
"""Of columns that hold one word of a few: how it may be written, as headings are compared, and what we call it."""
YES: Final = frozenset({"oui", "yes", "o", "y", "x", "vrai", "true", "1"})
NO: Final = frozenset({"non", "no", "n", "faux", "false", "0", ""})


def word(column: str, given: str) -> str:
    """What we call a word of this column. Raises ValueError.

    >>> word("segment", "Secteur public"), word("invitation", "à inviter")
    ('government', 'to invite')
    """
    known = WORDS[column]
    found = known.get(folded_heading(given))
    if found is None:
        raise ValueError(f"{given!r} is none of {', '.join(dict.fromkeys(known.values()))}")
    return found


def words(column: str, given: str) -> list[str]:
    """Several of them in one cell: `équipe, entreprise`. Raises ValueError."""
    return list(dict.fromkeys(word(column, each) for each in re.split(r"[\s,;/|+&]+", given) if each))


def day_in(text: str, order: str = DAY_FIRST) -> date:
    """A day, written 2025-03-01, or with slashes, dots or hyphens in this `order`. Raises ValueError.

    >>> day_in("01/03/2025"), day_in("2025-03-01 00:00:00"), day_in("3/1/2025", "month/day/year")
    (datetime.date(2025, 3, 1), datetime.date(2025, 3, 1), datetime.date(2025, 3, 1))
    """
    day = text.strip().partition(" ")[0].partition("T")[0]
    parts = day.replace("/", "-").replace(".", "-").split("-")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
        raise ValueError(f"{text!r} is no date; write 2025-03-01 or 01/03/2025")
    if len(parts[0]) == 4:
        year, month, number = parts
    elif order == MONTH_FIRST:
        month, number, year = parts
    else:
        number, month, year = parts
    if len(year) != 4:
        raise ValueError(f"{text!r} is no date; write the year with four digits")
    try:
        return date(int(year), int(month), int(number))
    except ValueError:
        other = DAY_FIRST if order == MONTH_FIRST else MONTH_FIRST
        swapped = int(number) <= 12 < int(month) <= 31
        hint = f'; if the source writes {other}, say so in a profile: dates = "{other}"' if swapped else ""
        raise ValueError(f"{text!r} is no date; there is no such day{hint}") from None


def whole_number(text: str, decimal: str | None = None) -> int:
    """A number of things, as countries write it: 1 200, 5,00, 1'200. Raises ValueError.

    `decimal`: what stands before decimals; where it is not known, 1.200 may be one or twelve hundred, and is neither.

    >>> whole_number("1 200"), whole_number("5,00"), whole_number("1.200,0", ",")
    (1200, 5, 1200)
    """
    bare = re.sub(r"[\s\u00a0\u202f'’]", "", text)
    if decimal is not None:
        thousands = "." if decimal == "," else ","
        found = re.fullmatch(rf"(\d+|\d{{1,3}}(?:\{thousands}\d{{3}})+)(?:\{decimal}0*)?", bare, re.ASCII)
    else:
        found = re.fullmatch(r"(\d+)(?:[.,]0{1,2})?", bare, re.ASCII)
    if found is not None and len(found[1]) <= 12:
        return int(re.sub(r"\D", "", found[1]))
    if decimal is None and re.fullmatch(r"\d{1,3}([.,]\d{3})+", bare, re.ASCII):
        raise ValueError(f"{text!r} may be thousands or decimals; write it without, or say `decimal` in a profile")
    raise ValueError(f"{text!r} is no whole number")


def country_code(given: str) -> str:
    """The two letters of a country, or of its name in French or English. Raises ValueError."""
    code = given.upper() if len(given) == 2 else country_names().get(folded_heading(given))
    if code is None:
        raise ValueError(f"{given!r} is no country; write its name, or its two letters")
    return code


def problem_with(column: str, value: str) -> str | None:
    """Why a value could not be read in a row; None where it could, or where only the whole row can tell."""
    try:
        if column == "offer_types":
            words(column, value)
        elif column in WORDS:
            word(column, value)
        elif column == "country":
            country_code(value)
        elif column == "anniversary":
            day_in(value)
    except ValueError as wrong:
        return f"{column}: {wrong}"
    return None


@lru_cache(maxsize=1)
def country_names() -> dict[str, str]:
    """The countries' names in French and English, as headings are compared, with their codes."""
    from babel import Locale

    from vipflow.vip.fields import COUNTRIES

    found: dict[str, str] = {}
    for language in ("en", "fr"):
        territories = Locale(language).territories
        found |= {folded_heading(territories[code]): code for code in sorted(COUNTRIES) if code in territories}
    return found
