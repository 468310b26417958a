"""The HTML part: what it escapes, what it keeps for dark and narrow screens, what it refuses, and a text as HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipflow.delivery import samples
from vipflow.delivery.html import Brand, contrast, from_text, readable
from vipflow.delivery.render import TemplateError, Templates

FOLDER = Path(__file__).resolve().parents[2] / "email_templates"
PARIS = ZoneInfo("Europe/Paris")
NBSP = "\u00a0"
TEMPLATES = Templates([FOLDER])
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def say(tmp_path: Path):
    """Renders a `body.html`, and gives the whole HTML part: `say("<p>{{ name }}</p>", name="x")`."""

    def say_(page: str, language: str = "en", brand: Brand | None = None, **facts: object) -> str:
        folder = tmp_path / "note" / language
        folder.mkdir(parents=True, exist_ok=True)
        for part, content in (("subject.txt", "x"), ("body.txt", "y"), ("body.html", page)):
            (folder / part).write_text(content, encoding="utf-8")
        made = Templates([tmp_path]).render("note", language, facts, PARIS, brand or Brand()).html
        assert made is not None
        return made

    return say_


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


# --- facts ---------------------------------------------------------------------------------------------------------


def test_no_fact_becomes_markup_wherever_it_stands(say):
    page = Tags(say('<p>{{ name }}</p><a href="{{ name }}">x</a>{{ lines | lines }}', name=HOSTILE, lines=HOSTILE))
    assert not page.named("script")
    assert not page.named("img")
    assert page.text.count("<script>alert(1)</script>") == 2
    assert page.named("a")[0]["href"] == HOSTILE


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_whatever_a_fact_holds_the_page_keeps_its_shape(name: str):
    def shape(fact: str) -> list[str]:
        facts = {**samples.FACTS["invitation_reminder"], "invitation_link": fact}
        facts["customer"] = {**facts["customer"], "company": fact}
        page = Tags(TEMPLATES.render("invitation_reminder", "fr", facts, PARIS, Brand(fact)).html or "")
        return [tag for tag, _ in page.tags]

    assert shape(name) == shape("x")


def test_a_hostile_name_stays_a_name_in_every_shipped_mail():
    brand = Brand(HOSTILE, "https://a.example/logo.png")
    for template, facts in samples.FACTS.items():
        told = {**facts, "customer": {**facts["customer"], "company": HOSTILE}}
        told["reseller"] = {**facts["reseller"], "signature": f"{HOSTILE}\n{HOSTILE}"}
        for language in ("fr", "en"):
            page = Tags(TEMPLATES.render(template, language, told, PARIS, brand).html or "")
            assert not page.named("script")
            assert [image["alt"] for image in page.named("img")] == [HOSTILE]


def test_lines_are_broken_as_html_breaks_them(say):
    assert "One<br>Two &amp; three" in say("<p>{{ s | lines }}</p>", s="One\nTwo & three")


def test_a_date_stays_in_one_piece(say):
    assert f"16{NBSP}mars{NBSP}2025" in say("<p>{{ on | day }}</p>", "fr", on="2025-03-16").replace("&nbsp;", NBSP)


def test_french_is_set_between_tags_and_nowhere_else(say):
    page = say("<p title=\"l'un : x\">L'offre « <strong>{{ n }}</strong> » : prête ?</p>", "fr", n="O'Neil : x")
    page = page.replace("&nbsp;", NBSP)
    assert f"L’offre «{NBSP}<strong" in page
    assert f">O'Neil : x</strong>{NBSP}»{NBSP}: prête{NBSP}?" in page.replace("&#39;", "'")
    assert 'title="l\'un : x"' in page


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("<p>\n<a href={{ link }}>x</a></p>", "stands in quotes"),
        ("<p>\n</p><p {{ link }}>x</p>", "stands in quotes"),
        ("<p>\n<script>1</script></p>", "<script> has no place in a mail"),
        ("<p>\n<link rel='stylesheet' href='https://a.example/a.css'>", "<link> has no place in a mail"),
        ("<p>\n<style>p { color: red }</style>", "<style> has no place in a mail outside layout.html"),
        ('<p>\n<a href="x" onclick="y()">x</a>', "a mail runs no scripts"),
        ('<p>\n<p class="x', "ends inside a tag"),
        ("<p>\n{{ link | safe }}", "there is no filter 'safe'"),
        ("<p>\n{% autoescape false %}{{ link }}{% endautoescape %}", "not part of the templates' language"),
        ("<p>\n{% include '_shared/en/x.txt' %}", "an HTML file includes HTML files"),
    ],
)
def test_html_that_would_let_a_fact_out_or_that_no_mail_can_hold_is_refused(say, page: str, says: str):
    with pytest.raises(TemplateError) as error:
        say(page, link="x")
    assert says in error.value.problem
    assert error.value.file is not None
    assert error.value.file.endswith("note/en/body.html")
    assert error.value.line == 2


# --- the layout ----------------------------------------------------------------------------------------------------


@pytest.fixture
def page() -> Tags:
    facts = samples.FACTS["renewal_reminder"]
    return Tags(Templates([FOLDER]).render("renewal_reminder", "fr", facts, PARIS, samples.BRAND).html or "")


def test_styles_stand_in_the_tags_and_what_asks_for_dark_or_narrow_stays_in_a_sheet(page: Tags):
    assert all(cell.get("style") for cell in page.named("th"))
    assert "background-color" in (page.named("body")[0]["style"] or "")
    kept = re.findall(r"@media [^{]*", page.text)
    assert kept == ["@media only screen and (max-width: 520px) ", "@media (prefers-color-scheme: dark) "]


def test_a_mail_says_its_language_its_schemes_and_which_tables_hold_no_data(page: Tags):
    assert page.named("html")[0]["lang"] == "fr"
    metas = {meta.get("name"): meta.get("content") for meta in page.named("meta")}
    assert metas["color-scheme"] == metas["supported-color-schemes"] == "light dark"
    layout = [table for table in page.named("table") if table.get("class") in ("page", "card")]
    assert [table["role"] for table in layout] == ["presentation"] * 2


def test_a_mail_loads_nothing_but_its_logo(page: Tags):
    assert not page.named("link")
    assert [image["src"] for image in page.named("img")] == [samples.BRAND.logo]
    assert "url(" not in page.text
    assert [image["alt"] for image in page.named("img")] == ["Atelier Numérique"]


def test_without_a_logo_the_name_stands_in_its_place(say):
    page = Tags(say("<p>x</p>", brand=Brand("Nord Licences")))
    assert not page.named("img")
    assert "Nord Licences" in page.text


def test_a_list_of_mails_shows_the_first_sentence_and_not_the_greeting():
    facts = samples.FACTS["renewal_reminder"]
    page = Templates([FOLDER]).render("renewal_reminder", "en", facts, PARIS).html or ""
    shown = re.search(r'<div class="preheader"[^>]*>([^<]*)', page)
    assert shown is not None
    assert shown[1].startswith("Your Adobe licences are not all renewed yet.")


@pytest.mark.parametrize("colour", ["#ffee00", "#ffffff", "#000000", "#0d6e6e", "#ff0000", "#777777"])
def test_whatever_the_colour_text_can_be_read(colour: str):
    words = Brand("x", colour=colour).words
    assert contrast(words["text"], colour) >= 4.5
    assert contrast(words["link"], "#ffffff") >= 4.5
    assert contrast(words["link_at_night"], "#1c1f24") >= 4.5


def test_a_colour_that_can_be_read_is_left_alone():
    assert readable("#0d6e6e", "#ffffff") == "#0d6e6e"


# --- a text as HTML ------------------------------------------------------------------------------------------------


def test_a_mail_that_is_written_as_text_only_has_html_too(tmp_path: Path):
    folder = tmp_path / "note" / "fr"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("x")
    body = "Bonjour {{ name }},\n\nvoyez :\n\n  https://a.example/b\n    - un\n\n{{ s | lines }}\nfin\n"
    (folder / "body.txt").write_text(body)
    rendered = Templates([tmp_path]).render("note", "fr", {"name": "<b>A & B</b>", "s": "Un\nDeux"}, PARIS)
    page = Tags(rendered.html or "")
    assert not page.named("b")
    assert "Bonjour <b>A & B</b>," in page.text
    assert f"voyez{NBSP}:" in page.text
    assert page.named("a") == [{"href": "https://a.example/b", "style": page.named("a")[0]["style"]}]
    assert page.named("p")[2]["class"] == "block"
    assert re.search(r"Un<br>Deux fin</p>", rendered.html or "")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a\nb\n\nc\n", "<p>a b</p>\n<p>c</p>\n"),
        ("  1. a\n     b\n", '<p class="block">1. a<br>&nbsp;&nbsp;&nbsp;b</p>\n'),
        ("see https://a.example/x?y=1&z=2.", '<p>see <a href="https://a.example/x?y=1&amp;z=2">'),
        ("a@b.example, c", '<p><a href="mailto:a@b.example">a@b.example</a>, c</p>\n'),
        ('javascript:alert("1")', "<p>javascript:alert(&#34;1&#34;)</p>\n"),
        ("", ""),
    ],
)
def test_a_text_becomes_html_by_the_rules_by_which_it_flows(text: str, html: str):
    assert from_text(text).startswith(html)
