"""Styles are written into a page once for each shape of it; what differs from mail to mail is put in afterwards.

While a page is rendered each fact that may stand apart is kept in a list, and a mark (a character of private use) takes
its place. What is left is the shape: a few hundred of them make all mails, and those last used are kept with their
styles in their tags. A page comes out to the byte as if it had been inlined with its facts in it; where that is not
certain there is no shape, and the page is made whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from markupsafe import Markup

from vipflow.delivery.html import inlined

KEPT = 256
"""Shapes, some 50 kB each."""
ATTRIBUTES = frozenset({"alt", "href", "title"})
"""A fact in one of these makes no difference to styles: no rule may ask for them (see `_shape`)."""

_FIRST, _MOST = 0xE000, 6400
_MARKS = tuple(Markup(chr(_FIRST + index)) for index in range(_MOST))  # noqa: S704 # one character each
_MARK = re.compile("([\ue000-\uf8ff])")
# A blank in front may stand where text may not; control characters are changed when HTML is read; marks are ours.
_APART = re.compile("[^\\s\x00-\x1f\x7f-\x9f\ud800-\uf8ff][^\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\uf8ff]*")
_SHEET = re.compile(r"<style\b.*?</style", re.DOTALL | re.IGNORECASE)
_READ_OTHERWISE = re.compile(r"<(?:frameset|listing|math|noembed|noframes|noscript|plaintext|svg|template|xmp)\b", re.I)
_TAGS = re.compile(r"<!--.*?-->|<style\b.*?</style>|<[A-Za-z/!](?:[^\"<>]|\"[^\"]*\")*>", re.DOTALL)
_ATTRIBUTE = re.compile(r" ([^\s\"=<>/]+)=\"([^\"]*)\"")

Place = tuple[int, int, bool]


def set_apart(value: str, apart: list[str]) -> str:
    """The mark that stands for a fact, which `apart` gains; where it cannot stand apart, the fact itself."""
    if len(apart) == _MOST or not _APART.fullmatch(value):
        return value
    apart.append(value)
    return _MARKS[len(apart) - 1]


def filled(page: str, apart: Sequence[str]) -> str | None:
    """A page of marks with its styles in its tags and its facts in their places. None where it has to be made whole."""
    shape = _shape(page, len(apart))
    if shape is None:
        return None
    pieces, places = shape
    said = list(pieces)
    for at, index, quoted in places:
        said[at] = _in_quotes(apart[index]) if quoted else _in_text(apart[index])
    return "".join(said)


@lru_cache(maxsize=KEPT)
def _shape(page: str, count: int) -> tuple[tuple[str, ...], tuple[Place, ...]] | None:
    """The inlined page in pieces, and which of them are marks: where each stands, of which fact, and whether in quotes.
    None where a fact could make a difference to anything but itself.
    """
    wanted = [str(mark) for mark in _MARKS[:count]]
    if sorted(_MARK.findall(page)) != wanted:  # facts or templates hold such characters themselves
        return None
    if any("[" in sheet for sheet in _SHEET.findall(page)) or _READ_OTHERWISE.search(page):
        return None
    whole = inlined(page)
    quoted = _quoted(whole)
    if quoted is None:
        return None
    pieces = _MARK.split(whole)
    if sorted(set(pieces[1::2])) != wanted:
        return None
    places = tuple((at, ord(pieces[at]) - _FIRST, pieces[at] in quoted) for at in range(1, len(pieces), 2))
    return tuple(pieces), places


def _quoted(page: str) -> set[str] | None:
    """The marks that stand in quotes. None where one stands in a tag otherwise, a comment or a style sheet."""
    found: set[str] = set()
    for tag in _TAGS.findall(page):
        inside = _MARK.findall(tag)
        if not inside:
            continue
        if tag.startswith(("<!", "<style")):
            return None
        held = [mark for name, value in _ATTRIBUTE.findall(tag) if name in ATTRIBUTES for mark in _MARK.findall(value)]
        if held != inside:
            return None
        found.update(held)
    return found


# As `inlined` writes them (HTML Living Standard, 13.3, "escaping a string").


def _in_text(value: str) -> str:
    return value.replace("&", "&amp;").replace("\xa0", "&nbsp;").replace("<", "&lt;").replace(">", "&gt;")


def _in_quotes(value: str) -> str:
    return value.replace("&", "&amp;").replace("\xa0", "&nbsp;").replace('"', "&quot;")
