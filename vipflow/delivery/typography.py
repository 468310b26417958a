"""Words as each language writes them: dates, counts and lists, French spacing, and text that flows into lines.

Template authors type plain spaces and straight apostrophes; `french` sets them right in what they wrote, never in the
facts that are filled in. Everything here is pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, tzinfo
from functools import lru_cache
from typing import Any

from babel import Locale

NBSP = "\u00a0"
NARROW_NBSP = "\u202f"
WIDTH = 76

LANGUAGES = ("fr", "en")
_MONTHS: Mapping[str, Mapping[int, str]] = {code: Locale.parse(code).months["format"]["wide"] for code in LANGUAGES}
_AND = {"fr": "et", "en": "and"}

# --- what the filters of templates write ---------------------------------------------------------------------------


def day(language: str, value: str | date) -> str:
    """A date in full.

    >>> day("fr", "2025-03-01"), day("fr", "2025-03-16"), day("en", "2025-03-01")
    ('1er mars 2025', '16 mars 2025', '1 March 2025')
    """
    when = _as_date(value)
    first = "1er" if language == "fr" and when.day == 1 else str(when.day)
    return f"{first} {_MONTHS[language][when.month]} {when.year}"


def month(language: str, value: str | date) -> str:
    """The month of a date.

    >>> month("fr", "2025-03-16"), month("en", "2025-03-16")
    ('mars 2025', 'March 2025')
    """
    when = _as_date(value)
    return f"{_MONTHS[language][when.month]} {when.year}"


def moment(language: str, zone: tzinfo, value: str | datetime) -> str:
    """An instant as the clocks of `zone` show it.

    >>> from zoneinfo import ZoneInfo
    >>> moment("en", ZoneInfo("Europe/Paris"), "2024-04-04T06:03:00Z")
    '4 April 2024 at 08:03'
    """
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    if when.tzinfo is None:
        raise ValueError(f"{value} names no time zone: an instant is written 2024-04-04T06:03:00Z")
    local = when.astimezone(zone)
    if language == "fr":
        return f"{day(language, local.date())} à {local.hour}{NBSP}h{NBSP}{local.minute:02}"
    return f"{day(language, local.date())} at {local.hour:02}:{local.minute:02}"


def number(language: str, value: int) -> str:
    """A count with its thousands set apart.

    >>> number("en", 12000), number("fr", 12000) == "12" + NARROW_NBSP + "000"
    ('12,000', True)
    """
    grouped = f"{value:,}"
    return grouped.replace(",", NARROW_NBSP) if language == "fr" else grouped


def licences(language: str, count: int) -> str:
    """A count with its noun; French says zero in the singular.

    >>> licences("fr", 1), licences("fr", 5), licences("fr", 0), licences("en", 0)
    ('1 licence', '5 licences', '0 licence', '0 licences')
    """
    if isinstance(count, bool) or not isinstance(count, int):
        raise ValueError(f"licences wants a whole number, not {count!r}")
    singular = count < 2 if language == "fr" else count == 1
    return f"{number(language, count)} licence{'' if singular else 's'}"


def listing(language: str, items: Sequence[str | Mapping[str, Any]]) -> str:
    """Names, or products with their quantities, as one would say them in a sentence.

    >>> listing("fr", ["Photoshop", "InDesign", "Acrobat"])
    'Photoshop, InDesign et Acrobat'
    >>> listing("en", [{"product": "Photoshop", "quantity": 5}, {"product": "Acrobat", "quantity": 1}])
    '5 licences of Photoshop and 1 licence of Acrobat'
    """
    of = " of " if language == "en" else " "
    said = [
        item if isinstance(item, str) else licences(language, item["quantity"]) + of + item["product"] for item in items
    ]
    if len(said) < 2:
        return "".join(said)
    return f"{', '.join(said[:-1])} {_AND[language]} {said[-1]}"


def lines(value: str) -> str:
    """Text whose line breaks shall stay where they are (a signature): each gets the two spaces that `flow` respects."""
    return "  \n".join(value.splitlines())


def _as_date(value: str | date) -> date:
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no date: a date is written 2025-03-16")
    return date.fromisoformat(value)


# --- French --------------------------------------------------------------------------------------------------------


def french(text: str) -> str:
    """Plain typing with French spacing: no-break spaces before : ; ? ! % and inside « », the apostrophe ’.

    >>> french("l'offre : prête ?") == "l’offre" + NBSP + ": prête" + NBSP + "?"
    True
    """
    text = text.replace("'", "’")
    text = re.sub(r"(?: +\n? *|\n *)(?=[:;?!%»])", NBSP, text)
    return re.sub(r"(?<=«)[ \n]+", NBSP, text)


_FRENCH_FAULTS = (
    (re.compile("'"), "a straight apostrophe, where ’ belongs"),
    (re.compile('["“”]'), "English quotation marks, where « » belong"),
    (re.compile(r"[ \t\n][:;?!%»]|«[ \t\n]"), "a space at which a line may break, where a no-break space belongs"),
    (re.compile(r"[^\s:;?!][:;?!](?=\s|$)|\S»|«\S", re.MULTILINE), "no space, where a no-break space belongs"),
    (
        re.compile(r"\b1 (?:janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre)\b"),
        "« 1 » for « 1er »",
    ),
    (re.compile(r"\b1er\w|\b(?!1er\b)\d+er\b"), "« er » that belongs to 1 alone"),
    (re.compile(r"\.\.\."), "three points, where … belongs"),
    (re.compile(r"\b[Ee]mail\b"), "« email », where we write « e-mail »"),
)


def french_faults(text: str) -> list[str]:
    """What is wrong with the typography of a French text, each fault with the words around it."""
    return [
        f"{fault}: {text[max(0, found.start() - 20) : found.end() + 20]!r}"
        for pattern, fault in _FRENCH_FAULTS
        for found in pattern.finditer(text)
        if not (found.group().endswith("»") or found.group().startswith("«")) or not _has_no_break_space(found.group())
    ]


def _has_no_break_space(text: str) -> bool:
    return NBSP in text or NARROW_NBSP in text


# --- lines ---------------------------------------------------------------------------------------------------------

# A number stays with the word it counts, a date in one piece; no-break spaces hold anyway.
_BREAK = re.compile(r"(?<!\b\d)(?<!\b\d\d)(?<!\b1er) +(?!\d{4}\b)")
_GLUE = re.compile(r"(?<=\b\d) +|(?<=\b\d\d) +|(?<=\b1er) +| +(?=\d{4}\b)")
_BLANKS = " \t\r"
_BLANK_LINES = re.compile(r"\n(?:[ \t\r]*\n)+")


def flow(text: str, width: int = WIDTH) -> str:
    """Paragraphs filled to `width`, as in Markdown: lines flow together until a blank line.

    An indented line stands alone (a longer one continues under itself), two spaces at a line's end keep its break,
    blank lines never pile up. Words longer than the line, such as addresses of web pages, are never broken.
    """
    blocks = [_block(each, width) for each in _BLANK_LINES.split(text)]
    return "\n\n".join(each for each in blocks if each).strip("\n") + "\n"


@lru_cache(maxsize=2048)
def _block(text: str, width: int) -> str:
    """The lines between two blank ones. Most blocks of a mail are those of its template."""
    out: list[str] = []
    paragraph: list[str] = []

    def close() -> None:
        if paragraph:
            _fill(" ".join(paragraph), "", "", width, out)
            paragraph.clear()

    for line in text.split("\n"):
        bare = line.strip(_BLANKS)
        if not bare:
            close()
        elif line[0] == " ":
            close()
            indent = line[: len(line) - len(line.lstrip(" "))]
            _fill(bare, indent, indent + "  ", width, out)
        else:
            paragraph.append(bare)
            if line.endswith("  "):
                close()
    close()
    return "\n".join(out)


def glued(text: str) -> str:
    """Text with no-break spaces where `flow` would not break a line.

    >>> glued("le 16 mars 2025") == f"le 16{NBSP}mars{NBSP}2025"
    True
    """
    return NBSP.join(piece for piece in _GLUE.split(text))


def one_line(text: str) -> str:
    """Text fit for a header: no line breaks or control characters, no doubled or outer spaces; no-break spaces stay."""
    return re.sub(r"[ \t\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+", " ", text).strip(" ")


def _fill(text: str, indent: str, hanging: str, width: int, out: list[str]) -> None:
    if len(indent) + len(text) <= width and "  " not in text:
        out.append(indent + text)
        return
    line = indent
    started = False
    for word in _BREAK.split(text):
        if started and len(line) + 1 + len(word) > width:
            out.append(line)
            line, started = hanging, False
        line = f"{line} {word}" if started else line + word
        started = True
    out.append(line)
