"""Where a piece of HTML stands: between tags, in a tag, in quotes, in a comment or in a style sheet.

The templates' language asks, to set French between tags only, and to refuse a fact where escaping would not hold it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from vipflow.delivery.shapes import ATTRIBUTES

Place = Literal["text", "tag", "quotes", "comment", "style"]

NEVER = frozenset({"script", "link", "base", "iframe", "frame", "object", "embed", "form", "input", "svg", "noscript"})
"""Tags that no mail program lets through, or that fetch something: no template holds them."""
LAYOUT_ONLY = frozenset({"html", "head", "body", "style", "meta", "title"})

_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)|<!(?!--)")
_OPENS = re.compile(r"<(?=[A-Za-z/!])")
_TURNS = re.compile("[\"'>]")
_NAMED = re.compile(r"(?:^|\s)([A-Za-z-]+)\s*=\s*[\"']$")
_HANDLER = re.compile(r"\son[a-z]+\s*=", re.IGNORECASE)


class MarkupProblem(ValueError):
    """Raised for HTML that no mail can hold; the message says why. `line`: so many lines below the piece's first."""

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(problem)
        self.line = line


class Markings:
    """Reads HTML piece by piece, as a template's lexer gives it; what stands between two pieces is a fact or a tag of
    the templates' language.
    """

    def __init__(self, *, layout: bool) -> None:
        self.place: Place = "text"
        self.forbidden = NEVER if layout else NEVER | LAYOUT_ONLY
        self._name = ""
        self._quote = ""
        self._attribute = ""

    @property
    def may_stand_apart(self) -> bool:
        """Whether a fact that stands here makes a difference to nothing but itself (see `shapes`)."""
        return self.place == "text" or (self.place == "quotes" and self._attribute in ATTRIBUTES)

    def feed(self, data: str, setting: Callable[[str], str]) -> str:
        """The piece again, with `setting` applied to what stands between tags. Raises MarkupProblem."""
        out: list[str] = []
        at = 0
        while at < len(data):
            try:
                if self.place == "text":
                    at = self._text(data, at, setting, out)
                elif self.place == "tag":
                    at = self._tag(data, at, out)
                else:
                    at = self._until(data, at, out)
            except MarkupProblem as problem:
                raise MarkupProblem(str(problem), data.count("\n", 0, at)) from None
        return "".join(out)

    def fact(self) -> None:
        """A fact stands here. Raises MarkupProblem where escaping does not hold it."""
        if self.place == "tag":
            raise MarkupProblem('inside a tag a fact stands in quotes: <a href="{{ link }}">')

    def end(self) -> None:
        """The file ends here. Raises MarkupProblem where that is inside a tag."""
        if self.place != "text":
            raise MarkupProblem(f"the file ends inside a {'tag' if self.place == 'quotes' else self.place}; close it")

    def _text(self, data: str, at: int, setting: Callable[[str], str], out: list[str]) -> int:
        found = _OPENS.search(data, at)
        upto = found.start() if found else len(data)
        if upto > at:
            out.append(setting(data[at:upto]))
            return upto
        if data.startswith("<!--", upto):
            self.place = "comment"
            out.append("<!--")
            return upto + 4
        tag = _TAG.match(data, upto)
        self._name = (tag[1] or "").lower() if tag else ""
        if self._name in self.forbidden:
            only = " outside layout.html" if self._name in LAYOUT_ONLY else ""
            raise MarkupProblem(f"<{self._name}> has no place in a mail{only}")
        if data.startswith("</", upto):
            self._name = ""
        self.place = "tag"
        end = tag.end() if tag else upto + 1
        out.append(data[upto:end])
        return end

    def _tag(self, data: str, at: int, out: list[str]) -> int:
        found = _TURNS.search(data, at)
        upto = found.end() if found else len(data)
        if _HANDLER.search(data, max(0, at - 1), upto):
            raise MarkupProblem("a mail runs no scripts; remove the on… attribute")
        out.append(data[at:upto])
        if found is not None and found[0] == ">":
            self.place = "style" if self._name == "style" else "text"
        elif found is not None:
            self.place, self._quote = "quotes", found[0]
            named = _NAMED.search(data, at, upto)
            self._attribute = named[1].lower() if named else ""
        return upto

    def _until(self, data: str, at: int, out: list[str]) -> int:
        """Goes on to the end of quotes, of a comment or of a style sheet."""
        closing, after = {"quotes": (self._quote, "tag"), "comment": ("-->", "text"), "style": ("</style>", "text")}[
            self.place
        ]
        found = data.find(closing, at)
        upto = found + len(closing) if found >= 0 else len(data)
        out.append(data[at:upto])
        if found >= 0:
            self.place = after  # type: ignore[assignment]  # why: the table above holds places
        return upto
