"""A mail's HTML and its text are one mail: word for word the same, but for a heading and the words on a button."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from vipflow.delivery import samples, typography
from vipflow.delivery.render import Rendered, Templates

FOLDER = Path(__file__).resolve().parents[2] / "email_templates"
PARIS = ZoneInfo("Europe/Paris")
TEMPLATES = Templates([FOLDER])
EVERY = [(template, language) for template in samples.FACTS for language in typography.LANGUAGES]

ADMIN_CONSOLE = "https://adminconsole.adobe.com"  # the text spells it out, the HTML links to it
STEP_NUMBERS = Counter("123")  # <ol> writes them itself
CLASSES = {
    "greeting", "lead", "deadline", "warning", "steps", "button", "address", "record", "products", "contact",
    "signature", "whole",
}  # fmt: skip
IN_A_LINE = {"a", "strong", "span"}
ALONE = {"br", "img", "meta"}

pytestmark = pytest.mark.parametrize(("template", "language"), EVERY, ids=lambda each: each)


class Seen(HTMLParser):
    """What a reader sees of a mail's body: headings, words on buttons, all other words; where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.buttons: list[str] = []
        self.said = ""
        self.links: list[str] = []
        self.classes: set[str] = set()
        self.empty: list[str] = []
        self._open: list[tuple[str, str]] = []
        self._words: list[str] = []
        self._body = False
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = dict(attrs).get("class") or ""
        if not self._body:
            self._body = name == "body"
            return
        if tag not in IN_A_LINE:
            self.said += "\n"
        self.classes.update(name.split())
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")
        if tag not in ALONE:
            self._open.append((tag, name))
            self._words.append("")

    def handle_endtag(self, tag: str) -> None:
        if not self._body:
            return
        if not self._open:  # the body itself
            self._body = False
            return
        (opened, name), said = self._open.pop(), self._words.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"
        if not said.strip():
            self.empty.append(tag)
        if tag == "h1":
            self.headings.append(said.strip())
        elif name == "button":
            self.buttons.append(said)
        if self._words:
            self._words[-1] += said
        if tag not in IN_A_LINE:
            self.said += "\n"

    def handle_data(self, data: str) -> None:
        if not self._body:
            return
        if self._words:
            self._words[-1] += data
        if not any(tag == "h1" or name == "button" for tag, name in self._open):
            self.said += re.sub(r"\s*\n\s*", " ", data)


def every_mail(template: str, language: str) -> Iterator[tuple[str, Rendered, Seen]]:
    """The mail of each sample, as it stands alone and as an item of a digest."""
    for label, context in samples.contexts(template).items():
        alone = TEMPLATES.render(template, language, context, PARIS)
        item = TEMPLATES.render_item(template, language, context, PARIS)
        yield label, alone, Seen(alone.html or "")
        yield f"{label}, in a digest", item, Seen(f'<td class="body">{item.html}</td>')


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w[\w’'@.:/-]*\w|\w", re.sub(r"\s", " ", text)))


def test_the_html_says_word_for_word_what_the_text_says(template: str, language: str):
    for label, mail, seen in every_mail(template, language):
        untold, added = words(mail.text) - words(seen.said), words(seen.said) - words(mail.text)
        if untold.pop(ADMIN_CONSOLE, 0):
            assert ADMIN_CONSOLE in seen.links, label
        assert untold <= STEP_NUMBERS, (label, untold)
        assert not added, (label, added)


def test_a_mail_opens_with_one_heading_that_tells_no_fact_of_its_own(template: str, language: str):
    for label, mail, seen in every_mail(template, language):
        assert len(seen.headings) == 1, label
        assert not re.search(r"\d", seen.headings[0].replace("3D", "")), label
        assert len(seen.headings[0]) <= 60, seen.headings
        for name in ("customer", "reseller"):
            company = samples.FACTS[template][name].get("company")
            assert company is None or company not in seen.headings[0] or company in mail.text


def test_a_mail_asks_for_one_click_at_most_and_spells_out_where_a_resellers_link_leads(template: str, language: str):
    for label, _, seen in every_mail(template, language):
        assert len(seen.buttons) <= 1, label
        for link in seen.links:
            assert link == ADMIN_CONSOLE or link.removeprefix("mailto:") in seen.said, (label, link)


def test_no_element_of_a_mail_is_left_empty_and_none_bears_a_class_that_the_layout_does_not_know(
    template: str, language: str
):
    for label, _, seen in every_mail(template, language):
        assert seen.empty == [], label
        assert seen.classes <= CLASSES, label


def test_what_is_typed_between_tags_is_set_as_its_language_is_set(template: str, language: str):
    for label, _, seen in every_mail(template, language):
        if language == "fr":
            for said in (seen.said, *seen.headings, *seen.buttons):
                assert typography.french_faults(said) == [], label
        assert not re.search(r"\(\s*\)|\bNone\b|[{}\[\]]| [.,]|(?<=\S)  ", seen.said), label


def test_greeting_and_closing_stand_in_no_item_of_a_digest(template: str, language: str):
    for label, mail, seen in every_mail(template, language):
        item = label.endswith("in a digest")
        assert ("greeting" in seen.classes) == (mail.text.startswith(("Bonjour ", "Hello "))) == (not item), label
        assert not item or not seen.classes & {"contact", "signature"}, label
