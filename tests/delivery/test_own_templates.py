"""What a reseller writes instead of ours: text and HTML as a pair, a layout of its own, and how it is checked."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from vipflow.delivery.checking import check_templates
from vipflow.delivery.render import TemplateError, Templates

PARIS = ZoneInfo("Europe/Paris")
OURS = {
    "note/en/subject.txt": "ours",
    "note/en/body.txt": "our text {% include '_shared/en/end.txt' %}",
    "note/en/body.html": "<p>our page</p>{% include '_shared/en/end.html' %}",
    "note/fr/subject.txt": "ours",
    "note/fr/body.txt": "our text",
    "_shared/en/end.txt": "bye",
    "_shared/en/end.html": "<p>bye</p>",
    "layout.html": "<html><body><p>{{ brand.name }}</p>{{ content }}</body></html>",
}


@pytest.fixture
def installation(tmp_path: Path):
    """Templates of ours, and what the reseller north has of its own: `installation({"note/en/body.txt": "…"})`."""

    def installation_(own: dict[str, str], key: str = "north") -> Templates:
        written = [(f"ours/{name}", text) for name, text in OURS.items()]
        written += [(f"resellers/{key}/{name}", text) for name, text in own.items()]
        for name, text in written:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Templates([tmp_path / "ours"], tmp_path / "resellers")

    return installation_


def told(templates: Templates, key: str = "north") -> tuple[str, str, str]:
    mail = templates.of(key).render("note", "en", {}, PARIS)
    assert mail.html is not None
    return mail.subject, mail.text, mail.html


def check(templates: Templates) -> list[str]:
    return check_templates(templates, {"note": ["customer"]}, {"note": {"all": {"customer": "c"}}}, PARIS)


def test_a_reseller_without_a_folder_sends_ours(installation):
    templates = installation({})
    assert templates.of("south") is templates
    assert told(templates, "south")[:2] == ("ours", "our text bye\n")


def test_a_text_of_its_own_brings_its_own_html(installation):
    subject, text, page = told(installation({"note/en/body.txt": "their text"}))
    assert (subject, text) == ("ours", "their text\n")
    assert "their text" in page
    assert "our page" not in page


def test_text_and_html_of_its_own_are_both_used(installation):
    own = {"note/en/body.txt": "their text", "note/en/body.html": "<p>their page</p>"}
    _, text, page = told(installation(own))
    assert text == "their text\n"
    assert "their page" in page
    assert "our page" not in page


def test_html_alone_is_half_a_mail_and_is_refused(installation):
    templates = installation({"note/en/body.html": "<p>their page</p>"})
    with pytest.raises(TemplateError, match=r"resellers/north/note/en/body\.txt: is missing; write this file"):
        told(templates)
    assert [each.partition("resellers/")[2] for each in check(templates)] == [
        "north/note/en/body.txt: is missing; write this file"
    ]


def test_a_subject_of_its_own_leaves_the_rest_ours(installation):
    subject, text, page = told(installation({"note/en/subject.txt": "theirs"}))
    assert (subject, text) == ("theirs", "our text bye\n")
    assert "our page" in page


def test_a_layout_of_its_own_holds_all_its_mails(installation):
    templates = installation({"layout.html": "<html><body><i>{{ subject }}</i>{{ content }}</body></html>"})
    assert "<i>ours</i><p>our page</p>" in told(templates)[2]
    assert "<i>" not in told(templates, "south")[2]
    assert check(templates) == []


def test_what_is_shared_may_be_replaced_in_both_forms(installation):
    templates = installation({"_shared/en/end.txt": "cheers", "_shared/en/end.html": "<p>cheers</p>"})
    _, text, page = told(templates)
    assert "cheers" in text
    assert "<p>cheers</p>" in page
    assert check(templates) == []


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (
            {"note/en/body.txt": "a\n{{ custmer }}"},
            "north/note/en/body.txt line 2: mails of note know no fact 'custmer' (did you mean customer?)",
        ),
        (
            {"note/en/body.txt": "x", "note/en/body.html": "<p>\n{{ custmer }}</p>"},
            "north/note/en/body.html line 2: mails of note know no fact 'custmer' (did you mean customer?)",
        ),
        (
            {"note/en/body.txt": "x", "note/en/body.html": "<p>\n<script>"},
            "north/note/en/body.html line 2: <script> has no place in a mail",
        ),
        (
            {"note/en/body.htm": "x"},
            "north/note/en/body.htm: is not read (did you mean body.html?); "
            "a template is subject.txt, body.txt, body.html",
        ),
        ({"note/es/body.txt": "x"}, "north/note/es: is not read; mails are written in fr and en"),
        (
            {"_shared/en/end.txt": "x"},
            "north/_shared/en/end.html: is missing; end.txt beside it replaces a text that has both, so write both",
        ),
        (
            {"layout.html": "<p>\n{{ contnet }}{{ content }}</p>"},
            "north/layout.html line 2: a layout knows no fact 'contnet' (did you mean content?)",
        ),
        (
            {"layout.html": "<p>{{ subject }}</p>"},
            "north/layout.html: the mail itself has no place; write {{ content }} where it stands",
        ),
        ({"notte/en/body.txt": "x"}, "template notte: no workflow sends it (did you mean note?); "),
    ],
)
def test_what_is_wrong_with_its_own_is_told_with_file_and_line(installation, own: dict[str, str], says: str):
    (problem,) = check(installation(own))
    assert problem.partition("resellers/")[2].startswith(says) or problem.startswith(says)


def test_a_folder_that_can_be_no_resellers_is_told(installation):
    (problem,) = check(installation({"note/en/body.txt": "x"}, key="North Software"))
    assert problem.endswith(
        "North Software: no reseller can have the key 'North Software'; rename the folder to the reseller's key"
    )


def test_no_key_leads_out_of_the_folder(installation, tmp_path: Path):
    templates = installation({})
    for key in ("../ours", "/etc", "", "."):
        assert templates.of(key) is templates
