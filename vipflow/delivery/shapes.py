"""Styles are written into a page once for each shape of it; what differs from mail to mail is put in afterwards.

While a page is rendered each fact that may stand apart is kept in a list, and a mark (a character of private use) takes
its place. What is left is the shape: a few hundred of them make all mails, and those last used are kept with their
styles in their tags. A page comes out to the byte as if it had been inlined with its facts in it; where that is not
certain there is no shape, and the page is made whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vipflow.delivery.html import inlined

KEPT = 256
"""Shapes, some 30 kB each."""
ATTRIBUTES = frozenset({"alt", "href", "title"})
"""A fact in one of these makes no difference to styles: no rule may ask for them (see `shape_of`)."""

MOST = 6000
"""Facts of a page that may stand apart."""

_FIRST = 0xE000
_MARKS = tuple(Markup(chr(_FIRST + index)) for index in range(MOST + 2))  # noqa: S704 # one character each
_MARK = re.compile("([\ue000-\uf8ff])")
# A blank in front may stand where text may not; control characters are changed when HTML is read; marks are ours.
_APART = re.compile("[^\\s\x00-\x1f\x7f-\x9f\ud800-\uf8ff][^\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\uf8ff]*")
_SHEET = re.compile(r"<style\b.*?</style", re.DOTALL | re.IGNORECASE)
_READ_OTHERWISE = re.compile(r"<(?:frameset|listing|math|noembed|noframes|noscript|plaintext|svg|template|xmp)\b", re.I)
_TAGS = re.compile(r"<!--.*?-->|<style\b.*?</style>|<[A-Za-z/!](?:[^\"<>]|\"[^\"]*\")*>", re.DOTALL)
_ATTRIBUTE = re.compile(r" ([^\s\"=<>/]+)=\"([^\"]*)\"")


@dataclass(frozen=True)
class Shape:
    """An inlined page in pieces. `places`: which of them are marks, of which fact, and whether it stands in quotes."""

    pieces: tuple[str, ...]
    places: tuple[tuple[int, int, bool], ...]

    def filled(self, facts: Sequence[str]) -> str:
        """The page with its facts in their places."""
        said = list(self.pieces)
        for at, index, quoted in self.places:
            said[at] = _in_quotes(facts[index]) if quoted else _in_text(facts[index])
        return "".join(said)


def may_stand_apart(value: str) -> bool:
    """Whether a page is the same around it as around any other such value."""
    return _APART.fullmatch(value) is not None


def set_apart(value: str, apart: list[str]) -> str:
    """The mark that stands for a fact, which `apart` gains; where it cannot stand apart, the fact itself."""
    if len(apart) >= MOST or not may_stand_apart(value):
        return value
    apart.append(value)
    return _MARKS[len(apart) - 1]


def mark(index: int) -> Markup:
    """What stands for the fact of that index."""
    return _MARKS[index]


def shape_of(page: str, indices: Iterable[int]) -> Shape | None:
    """The shape of a page that holds the marks of these facts. None where one of them could make a difference to
    anything but itself, or where it cannot be told.
    """
    wanted = [str(_MARKS[index]) for index in indices]
    if sorted(_MARK.findall(page)) != wanted:  # facts or templates hold such characters themselves
        return None
    if any("[" in sheet for sheet in _SHEET.findall(page)) or _READ_OTHERWISE.search(page):
        return None
    whole = inlined(page)
    quoted = _quoted(whole)
    pieces = tuple(_MARK.split(whole))
    if quoted is None or sorted(set(pieces[1::2])) != wanted:
        return None
    places = tuple((at, ord(pieces[at]) - _FIRST, pieces[at] in quoted) for at in range(1, len(pieces), 2))
    return Shape(pieces, places)


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
