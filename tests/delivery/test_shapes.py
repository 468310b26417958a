"""Pages inlined once a shape: to the byte what they are when each is inlined whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import css_inline
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipflow.delivery import samples, shapes
from vipflow.delivery.digest import Item, render_digest
from vipflow.delivery.html import Brand
from vipflow.delivery.render import Rendered, Templates

FOLDER = Path(__file__).resolve().parents[2] / "email_templates"
PARIS = ZoneInfo("Europe/Paris")
TEMPLATES = Templates([FOLDER])
MARK = "\ue000"
HOSTILE = [
    "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>",
    "& &amp; &lt;b&gt; &#34; &nbsp; \u00a0\u202f «\u00a0a\u00a0»",
    "שלום \u202eמרבא\u202c \u200f",
    f"{MARK}\ue001\uf8ff",
    "\U000f0000\U0010fffd🦊",
    "a\r\nb\rc\td\x00e\x0b\x7f\x85",
    " \n",
    "",
    "--> ]]> </style> </title> </table> {{ x }} <!--",
    'x" class="card" style="color:red',
]
ANY = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=40), st.text("<>&\"' \n\r\t\ue000\ue001\u00a0/=ab", max_size=30)
)


def whole(render: Callable[[], Any]) -> Any:
    """What is rendered where nothing may stand apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "may_stand_apart", lambda value: False)
        return outcome(render)


def outcome(render: Callable[[], Any]) -> Any:
    """What is rendered, or the fault where nothing can be."""
    try:
        return render()
    except css_inline.InlineError as fault:
        return str(fault)


def with_texts(facts: Any, text: Callable[[], str]) -> Any:
    """The facts, with other texts in them; dates stay dates."""
    if isinstance(facts, dict):
        return {name: with_texts(value, text) for name, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [with_texts(value, text) for value in facts]
    return text() if isinstance(facts, str) and not re.match(r"\d{4}-\d\d-\d\d", facts) else facts


def both(template: str, language: str, facts: Any, brand: Brand) -> tuple[Rendered, Rendered]:
    def render() -> Rendered:
        return TEMPLATES.render(template, language, facts, PARIS, brand)

    return render(), whole(render)


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("template", sorted(samples.FACTS))
def test_every_mail_is_the_same_whatever_its_facts_hold(template: str, language: str):
    brands = [samples.BRAND, Brand(), Brand(HOSTILE[0], "https://a.example/?a=1&b='\"", "#ffee00"), Brand(MARK)]
    for brand in brands:
        one, other = both(template, language, samples.FACTS[template], brand)
        assert one == other
    for text in HOSTILE:
        one, other = both(template, language, with_texts(samples.FACTS[template], partial(str, text)), brands[0])
        assert one == other


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(samples.FACTS)), st.sampled_from(["fr", "en"]), st.data())
def test_and_so_it_is_with_any_texts_side_by_side(template: str, language: str, data: st.DataObject):
    facts = with_texts(samples.FACTS[template], lambda: data.draw(ANY))
    one, other = both(template, language, facts, Brand(data.draw(ANY)))
    assert one == other


def test_a_digest_is_the_same():
    items = [
        Item(name, samples.FACTS[name], company) for name in ("invitation", "renewal_reminder") for company in "ab"
    ]
    words = {"person": {"name": "Ann <&> \ue001"}, "reseller": samples.RESELLER, "day": "2025-03-01"}

    def render() -> Any:
        return render_digest(TEMPLATES, "fr", words, items, PARIS, samples.BRAND)

    assert outcome(render) == whole(render)


def test_mails_that_differ_in_their_facts_alone_share_a_shape():
    templates = Templates([FOLDER])
    for name in ("Ann", "Zoë <&>", "שלום"):
        facts = samples.FACTS["invitation"]
        facts = {**facts, "person": {**facts["person"], "name": name}}
        templates.render("invitation", "fr", facts, PARIS, samples.BRAND)
    assert templates._shapes.cache_info()[:2] == (2, 1), "two found, one made"


ODD = [
    '<p class="{{ x }}">a</p>',
    "<p style='color: {{ x }}'>a</p>",
    "<a href=\"https://a.example/{{ x }}?b={{ y }}\" title='{{ x }}'>a</a>",
    '<a {% if x %}title{% endif %}="{{ x }}">a</a>',
    '<p title="{% include "_shared/en/x.html" %}" class="{% include "_shared/en/x.html" %}">a</p>',
    "<!-- {{ x }} --><p>a</p>",
    "<!-- {% include '_shared/en/x.html' %} --><p>a</p>",
    "<pre>{{ x }}</pre><xmp>{{ x }}</xmp><textarea>{{ x }}</textarea>",
    "<table>{{ x }}<tr>{{ y }}<td>{{ x }}</td></tr></table>",
    "<select><option>{{ x }}</option></select>",
    '<a href="{{ x }}"><p>{{ y }}<a href="{{ y }}">b</p>c</a>',
    "<b><p>{{ x }}</b>{{ y }}</p>\ue000",
    "{% for line in lines %}<p>{{ line }}{{ loop.index }}</p>{% endfor %}",
    "{{ x if y == 'a' else lines[0] }}{{ 'a' }}{{ 1 }}{{ x | lines }}",
]


@pytest.mark.parametrize("page", ODD)
def test_a_resellers_own_page_is_the_same_however_odd(tmp_path: Path, page: str):
    folder, shared = tmp_path / "note" / "en", tmp_path / "_shared" / "en"
    folder.mkdir(parents=True)
    shared.mkdir(parents=True)
    (shared / "x.html").write_text("{{ x }}")
    for part, content in (("subject.txt", "{{ x }}s"), ("body.txt", "b"), ("body.html", page)):
        (folder / part).write_text(content, encoding="utf-8")
    templates = Templates([tmp_path])
    for x in [*HOSTILE, "deadline", "red; margin: 0"]:
        for y in ["a", *HOSTILE[:4]]:
            facts = {"x": x, "y": y, "lines": ["1", x, y]}

            def render(facts: Any = facts) -> Rendered:
                return templates.render("note", "en", facts, PARIS, samples.BRAND)

            assert outcome(render) == whole(render)


@pytest.mark.parametrize(
    "sheet",
    [
        'a[href^="https:"] { color: red } p[title] { color: blue }',
        ".{{ subject }} { color: red }",
        "{% if subject == 'one' %}p { color: green }{% endif %} a { color: {{ brand.colour }} }",
        "{% if preheader %}p { color: green }{% endif %}",
        "",
    ],
)
@pytest.mark.parametrize(
    "title",
    [
        "{{ subject }}",
        "",
        "{{ subject }}{{ subject }}",
        "{{ subject if brand.name == 'x' else '\ue002' }}",
        "{{ content | length }}",
        "\ue001\ue002\ue003",
        "{{ preheader }}",
    ],
)
def test_a_layout_of_its_own_is_obeyed_whatever_it_asks(tmp_path: Path, sheet: str, title: str):
    folder = tmp_path / "note" / "en"
    folder.mkdir(parents=True)
    page = '<p title="{{ x }}" class="one">a</p><a href="{{ x }}">{{ x }}</a>'
    for part, content in (("subject.txt", "{{ x }}"), ("body.txt", "b"), ("body.html", page)):
        (folder / part).write_text(content, encoding="utf-8")
    layout = f"<html><head><style>{sheet}</style><title>{title}</title></head><body>{{{{ content }}}}"
    (tmp_path / "layout.html").write_text(f"{layout}</body></html>", encoding="utf-8")
    templates = Templates([tmp_path])
    for x in ("", "\ue003", "one", "https://a.example", "http://a.example", "two"):

        def render(x: str = x) -> Rendered:
            return templates.render("note", "en", {"x": x}, PARIS, samples.BRAND)

        assert outcome(render) == whole(render)
