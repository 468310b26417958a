"""The HTML part of a mail: its layout and brand, styles written into the tags, and HTML made from a text.

Mail programs differ in what they read of a style sheet: most rules are written into the tags themselves, and only the
ones that ask for a dark screen or a narrow one stay in a sheet, for those that understand it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import css_inline
from markupsafe import Markup, escape

from vipflow.delivery.typography import glued

DEFAULT_COLOUR = "#2f5d8a"
WHITE, BLACK = "#ffffff", "#000000"
PAPER, NIGHT = "#ffffff", "#1c1f24"
"""What mails are written on, in a light and in a dark window: as in `layout.html`."""
READABLE = 4.5  # WCAG 2.2, 1.4.3: the contrast of text against what it stands on

_PREHEADER = 140
_HEADING = re.compile(r"<(/?)h1\b", re.IGNORECASE)
_INLINER = css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=False, load_remote_stylesheets=False)
_LINK = re.compile(r"https?://[^\s<>\"«»]*[^\s<>\"«».,;:!?)\]’']|[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


@dataclass(frozen=True)
class Brand:
    """How a reseller's mails look: its name, where its logo lies (https), and its colour (#rrggbb)."""

    name: str = ""
    logo: str | None = None
    colour: str = DEFAULT_COLOUR

    @property
    def words(self) -> dict[str, Any]:
        """What a layout is told of it; every colour can be read on what it stands on."""
        text, link, link_at_night = _readable_with(self.colour)
        return {
            "name": self.name,
            "logo": self.logo,
            "colour": self.colour,
            "text": text,
            "link": link,
            "link_at_night": link_at_night,
        }


def brand_of(tenant: Any) -> Brand:
    """The brand of a tenant, of what its settings say where its trade knows of logos and colours."""
    logo, colour = getattr(tenant.settings, "logo", None), getattr(tenant.settings, "colour", None)
    return Brand(tenant.name, logo or None, colour or DEFAULT_COLOUR)


def inlined(html: str) -> str:
    """A whole mail with the rules of its style sheets written into its tags; sheets marked to be kept stay."""
    return _INLINER.inline(html).replace(' data-css-inline="keep"', "")


def preheader(text: str) -> str:
    """What a list of mails shows beside the subject: the first sentences behind the greeting.

    >>> preheader("Hello Camille,\\n\\nOn 1 April Adobe declined\\nthe return.\\n")
    'On 1 April Adobe declined the return.'
    """
    paragraphs = re.split(r"\n[ \t]*\n", text.strip())
    said = (" ".join(each.split()) for each in paragraphs)
    first = next(
        (each for each in said if not (each.endswith(",") and len(each) < 80)), " ".join(paragraphs[0].split())
    )
    if len(first) <= _PREHEADER:
        return first
    return first[:_PREHEADER].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"


def from_text(body: str) -> str:
    """HTML of a body that was written as text only, by the rules of `typography.flow`.

    >>> from_text("Hello <you>,\\n\\nthe page:\\n\\n  https://example.com\\n")
    '<p>Hello &lt;you&gt;,</p>\\n<p>the page:</p>\\n<p class="block"><a href="https://example.com">https://example.com</a></p>\\n'
    """
    return "".join(f"{block}\n" for block in _blocks(body))


def _blocks(body: str) -> Iterator[str]:
    paragraph: list[str] = []
    indented: list[str] = []

    def closed() -> Iterator[str]:
        if paragraph:
            yield f"<p>{''.join(paragraph).removesuffix('<br>').strip()}</p>"
            paragraph.clear()
        if indented:
            least = min(len(line) - len(line.lstrip(" ")) for line in indented)
            yield f'<p class="block">{"<br>".join(_indented(line, least) for line in indented)}</p>'
            indented.clear()

    for line in body.replace("\r", "").split("\n"):
        bare = line.strip(" \t")
        if not bare:
            yield from closed()
        elif line[0] == " ":
            if paragraph:
                yield from closed()
            indented.append(line.rstrip())
        else:
            if indented:
                yield from closed()
            paragraph.append(_linked(bare) + ("<br>" if line.endswith("  ") else " "))
    yield from closed()


def _indented(line: str, least: int) -> str:
    bare = line.lstrip(" ")
    return "&nbsp;" * (len(line) - len(bare) - least) + _linked(bare)


def _linked(text: str) -> str:
    out: list[str] = []
    at = 0
    for found in _LINK.finditer(text):
        out.append(str(escape(glued(text[at : found.start()]))))
        shown = escape(found[0])
        target = shown if "://" in found[0] else f"mailto:{shown}"
        out.append(f'<a href="{target}">{shown}</a>')
        at = found.end()
    return "".join(out) + str(escape(glued(text[at:])))


def as_item(html: str, subject: str) -> str:
    """A mail's fragment below the heading of its company: its own heading is a smaller one, and is its subject where it
    has none.

    >>> as_item("<h1>To order</h1>", "Order"), as_item("<p>Go</p>", "Order")
    ('<h3>To order</h3>', '<h3>Order</h3>\\n<p>Go</p>')
    """
    if not _HEADING.search(html):
        return f"<h3>{escape(subject)}</h3>\n{html}"
    return _HEADING.sub(r"<\1h3", html)


def safe(html: str) -> Markup:
    """HTML that was made here: the layout is given it as it is."""
    return Markup(html)  # noqa: S704 # it comes from the templates' language, which escapes every fact


# --- colours that can be read ---------------------------------------------------------------------------------------


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG counts it: 1 (the same) to 21.

    >>> round(contrast("#000000", "#ffffff"))
    21
    """
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def readable(colour: str, ground: str) -> str:
    """The colour, darkened or lightened until text in it can be read on `ground`.

    >>> readable("#ffee00", "#ffffff"), readable("#2f5d8a", "#ffffff")
    ('#807700', '#2f5d8a')
    """
    aim = 0 if _luminance(ground) > 0.5 else 255
    parts = _parts(colour)
    for step in range(101):
        mixed = "#" + "".join(f"{round(part + (aim - part) * step / 100):02x}" for part in parts)
        if contrast(mixed, ground) >= READABLE:
            return mixed
    return WHITE if aim else BLACK


@lru_cache(maxsize=1024)
def _readable_with(colour: str) -> tuple[str, str, str]:
    """Text on the colour, and the colour as text on paper and at night."""
    text = WHITE if contrast(WHITE, colour) >= contrast(BLACK, colour) else BLACK
    return text, readable(colour, PAPER), readable(colour, NIGHT)


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (each / 255 for each in _parts(colour))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
