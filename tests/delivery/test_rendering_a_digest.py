"""Several mails as one: grouped by company, greeted once, escaped like any other, and never failed by one of them."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from vipflow.delivery import samples
from vipflow.delivery.digest import DIGEST, Digest, Item, render_digest
from vipflow.delivery.render import TemplateError, Templates

FOLDER = Path(__file__).resolve().parents[2] / "email_templates"
PARIS = ZoneInfo("Europe/Paris")
TEMPLATES = Templates([FOLDER])
LANGUAGES = ("fr", "en")


def digest(items: list[Item], language: str = "en") -> Digest:
    context = {name: samples.DIGEST[name] for name in ("person", "reseller", "day")}
    return render_digest(TEMPLATES, language, context, items, PARIS, samples.BRAND)


def item(template: str, company: str = "Studio Kerguelen", **facts: object) -> Item:
    return Item(template, {**samples.FACTS[template], **facts}, company)


def test_mails_are_grouped_by_company_in_the_order_given():
    made = digest(
        [
            item("order_to_place", "B", reference="PA-1"),
            item("mail_bounced", "A", reference="PA-2"),
            item("order_to_place", "B", reference="PA-3"),
        ]
    )
    text = made.rendered.text
    assert [text.index(each) for each in ("=== B ===", "PA-1", "PA-3", "=== A ===", "PA-2")] == sorted(
        text.index(each) for each in ("PA-1", "PA-2", "PA-3", "=== A ===", "=== B ===")
    )
    assert text.count("=== B ===") == 1
    assert re.findall(r"<h2[^>]*>([^<]*)", made.rendered.html or "") == ["B", "A"]
    assert made.left_out == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_digest_greets_and_closes_once(language: str):
    everything = [item(template) for template in sorted(samples.TO_MANAGERS)]
    made = digest(everything, language).rendered
    greeting = "Bonjour" if language == "fr" else "Hello"
    for said in (made.text, made.html or ""):
        assert said.count(f"{greeting} Hélène Marchetti,") == 1
    assert (made.html or "").count("<h1") == 1
    assert (made.html or "").count('<div class="item"') == len(everything)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_item_of_any_template_greets_or_closes(language: str):
    greetings = re.compile(r"Bonjour|Hello|Bien cordialement|Kind regards|Une question|Any questions")
    for template, facts in samples.FACTS.items():
        made = TEMPLATES.render_item(template, language, facts, PARIS)
        assert not greetings.search(made.text), template
        assert not greetings.search(made.html or ""), template
        assert made.text.strip()
        assert "<html" not in (made.html or "")


def test_an_item_is_escaped_like_any_mail():
    hostile = "<script>alert(1)</script>"
    customer = {**samples.FACTS["order_to_place"]["customer"], "company": hostile}
    made = digest([item("order_to_place", hostile, customer=customer)]).rendered
    assert "<script" not in (made.html or "")
    assert "&lt;script&gt;" in (made.html or "")


def test_an_item_that_cannot_be_written_is_left_out_and_told():
    made = digest([item("order_to_place"), item("mail_bounced", customer={}), item("renewal_to_follow")])
    ((place, why),) = made.left_out
    assert place == 1
    assert "mail_bounced" in why
    assert "2 messages" in made.rendered.subject


def test_a_digest_of_nothing_that_can_be_written_is_not_written():
    with pytest.raises(TemplateError, match="mail_bounced"):
        digest([item("mail_bounced", customer={})])


def test_a_mail_that_is_text_only_stands_below_its_subject(tmp_path: Path):
    folder = tmp_path / "note" / "en"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("A & B")
    (folder / "body.txt").write_text("Go\n\n  on\n")
    templates = Templates([FOLDER, tmp_path])
    made = render_digest(templates, "en", samples.DIGEST, [Item("note", {}, "C")], PARIS)
    assert re.search(r"<h3[^>]*>A &amp; B</h3>\s*<p[^>]*>Go</p>", made.rendered.html or "")


def test_the_digests_own_template_is_like_any_other():
    for language in LANGUAGES:
        assert TEMPLATES.variables(DIGEST, language) == {"count", "day", "items", "person", "reseller"}
        made = TEMPLATES.render(DIGEST, language, samples.DIGEST, PARIS)
        assert ("messages" in made.subject) is False
