"""Every shipped template, in every language, with every sample context: it says what it must, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.workflows.world import SHIPPED
from vipflow.delivery import samples, typography
from vipflow.delivery.checking import check_templates
from vipflow.delivery.digest import DIGEST
from vipflow.delivery.render import Rendered, Templates
from vipflow.operations.templates import facts_of, samples_of

FOLDER = Path(__file__).resolve().parents[2] / "email_templates"
PARIS = ZoneInfo("Europe/Paris")
LANGUAGES = ("fr", "en")
TEMPLATES = Templates([FOLDER])

EVERY = [(template, language) for template in samples.FACTS for language in LANGUAGES]

# Words that only we know: our states, the names in our files, and « en attente » and its like. What we say instead is
# what happened: nothing was received, a day has passed, licences may be deactivated.
OUR_WORDS = {
    "en": (
        r"\bpending\b|\blate\b|\bsuspended\b|\bexpired\b|\bcancelled\b|\bwithdrawn\b|\bupcoming\b|\bready\b|\bpartly\b"
        r"|\bwritten[ -]off\b|\bsuperseded\b|\bawaiting\b|\bsettled\b|\breturned\b|\bactive\b"
        r"|\bpurchase authori[sz]ations?\b|\bPAs?\b(?!-)|\bmembership (?:is|was)\b"
    ),
    "fr": (
        r"\ben attente\b|\ben retard\b|\bsuspendue?s?\b|\bexpirée?s?\b|\bannulée?s?\b|\babandonnée?s?\b|\bà venir\b"
        r"|\bprêtes?\b|\bretournée?s?\b|\badhésion\b|\bPA\b(?!-)|\bautorisations? d[’']achat\b|\bsièges?\b"
    ),
}
OUR_CODE = (
    r"\b(?:[a-z]+_[a-z_]+|vipflow|tenant|workflow|guard|customers?/)\b|\b(?:order|invitation|membership)\.[a-z]+\b"
)
HOLES = r"\bNone\b|\bnull\b|undefined|\bTrue\b|\bFalse\b|[{}\[\]]|(?<=\S)  |\(\s*\)|\n\n\n|[ \t]\n|-\n"


@pytest.fixture(params=EVERY, ids=lambda each: f"{each[0]}-{each[1]}")
def mail_in(request: pytest.FixtureRequest) -> tuple[str, str]:
    template, language = request.param
    return template, language


def rendered(template: str, language: str) -> Iterator[tuple[str, Mapping[str, Any], Rendered]]:
    for label, context in samples.contexts(template).items():
        yield label, context, TEMPLATES.render(template, language, context, PARIS)


def joined(text: str) -> str:
    """The text as one line, so that a name is found wherever its line was broken."""
    return re.sub(r"[ \n]+", " ", text)


def facts_said(template: str, language: str, context: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The facts that the mail must say, each as it reads in that language."""
    to_manager = template in samples.TO_MANAGERS

    def said(path: str, value: Any) -> Iterator[tuple[str, str]]:
        name = path.rpartition(".")[2]
        if value is None or isinstance(value, bool):
            return
        if to_manager and path.startswith(("manager.", "reseller.")):  # he knows himself and his company
            return
        if path.startswith("contact.") and not to_manager and template != "invitation":  # he knows himself too
            return
        if path == "seat_duration.unit" or (name == "sku" and not to_manager):  # code words
            return
        if isinstance(value, dict) and set(value) == set(LANGUAGES):
            yield path, value[language]
        elif isinstance(value, dict):
            for key, inner in value.items():
                yield from said(f"{path}.{key}", inner)
        elif isinstance(value, list):
            colon = f"{typography.NBSP}:" if language == "fr" else ":"
            for line in value:
                if isinstance(line, str):
                    yield path, line
                    continue
                sku = f" ({line['sku']})" if to_manager else ""
                yield path, f"- {line['product']}{sku}{colon} {typography.licences(language, line['quantity'])}"
        elif isinstance(value, int):
            yield path, str(value)
        elif re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            yield path, typography.day(language, value)
        elif name.endswith("_at"):
            yield path, typography.moment(language, PARIS, value)
        else:
            yield path, value

    for name, value in context.items():
        yield from said(name, value)


def test_every_template_exists_in_every_language_and_says_only_what_it_is_told():
    expected = {template: list(facts) for template, facts in [*samples.FACTS.items(), (DIGEST, samples.DIGEST)]}
    known = {**samples.all_contexts(), DIGEST: {"one mail": samples.DIGEST}}
    assert check_templates(TEMPLATES, expected, known) == []
    assert set(TEMPLATES.names) == set(expected)


def test_the_workflows_tell_each_mail_what_its_samples_tell():
    told = facts_of(SHIPPED)
    assert {template: sorted(facts) for template, facts in samples.FACTS.items()} == told
    told[DIGEST] = sorted(samples.DIGEST)
    assert check_templates(TEMPLATES, told, samples_of(SHIPPED)) == []


def test_a_mail_says_every_fact_it_is_told(mail_in: tuple[str, str]):
    template, language = mail_in
    for label, context, mail in rendered(template, language):
        text = joined(mail.text)
        missing = [
            (path, words) for path, words in facts_said(template, language, context) if joined(words) not in text
        ]
        assert not missing, (label, mail.text)


def test_a_mail_names_its_record_and_whom_to_ask(mail_in: tuple[str, str]):
    template, language = mail_in
    for _, context, mail in rendered(template, language):
        assert context["reference"] in mail.text
        assert context["reference"] in mail.subject
        if template in samples.TO_MANAGERS:
            assert context["customer"]["company"] in mail.text
            assert context["customer"]["company"] in mail.subject
        else:
            assert f"  {context['manager']['email']}\n" in mail.text
            assert context["reseller"]["name"] in mail.text


def test_a_mail_speaks_no_word_that_only_we_know(mail_in: tuple[str, str]):
    template, language = mail_in
    for label, context, mail in rendered(template, language):
        said = f"{mail.subject}\n{mail.text}".replace(context.get("address", "@"), "")
        for words in (OUR_WORDS[language], OUR_CODE):
            assert not re.findall(words, said, re.IGNORECASE if words is OUR_CODE else 0), (label, said)


def test_no_mail_has_a_hole_where_a_fact_is_absent(mail_in: tuple[str, str]):
    template, language = mail_in
    for label, _, mail in rendered(template, language):
        assert not re.search(HOLES, mail.subject), (label, mail.subject)
        assert not re.search(HOLES, mail.text), (label, mail.text)
        lines = mail.text.splitlines()
        for line, next_line in zip(lines, [*lines[1:], ""], strict=True):
            if line.startswith(" ") and line.endswith(":"):  # « Produits : » and the like
                assert next_line.startswith("    "), (label, mail.text)


def test_a_mail_reads_well_as_plain_text(mail_in: tuple[str, str]):
    template, language = mail_in
    for label, _, mail in rendered(template, language):
        assert "\n" not in mail.subject
        assert len(mail.subject) <= 78, mail.subject
        assert [line for line in mail.text.splitlines() if len(line) > typography.WIDTH] == [], label
        assert mail.text.endswith("\n")
        assert not mail.text.startswith("\n")


@pytest.mark.parametrize("template", samples.FACTS)
def test_french_is_set_as_french_is_set(template: str):
    for label, _, mail in rendered(template, "fr"):
        assert typography.french_faults(mail.subject) == [], label
        assert typography.french_faults(mail.text) == [], label


@pytest.mark.parametrize("template", samples.FACTS)
def test_both_languages_ask_for_the_same_facts(template: str):
    assert TEMPLATES.variables(template, "fr") == TEMPLATES.variables(template, "en")


@pytest.mark.parametrize("template", samples.FACTS)
def test_no_language_borrows_from_the_other(template: str):
    for _, _, mail in rendered(template, "en"):
        assert not re.search(r"\b(?:vous|votre|nous|sont|Bonjour)\b|[«»]", mail.text)
    for _, _, mail in rendered(template, "fr"):
        assert not re.search(r"\b(?:you|your|have been|please|Hello)\b", mail.text)


@pytest.mark.parametrize(("template", "language"), EVERY)
def test_what_the_clock_concluded_is_never_told_as_certain(template: str, language: str):
    """The clock concludes: « peuvent être désactivées » until a report says they are."""
    certain = (
        r"(?:have been|are|were|will be) deactivated" if language == "en" else r"(?:sont|ont été|seront) désactivées"
    )
    for label, context, mail in rendered(template, language):
        told = re.search(certain, joined(mail.subject + mail.text))
        assert bool(told) == bool(context.get("confirmed")), label


@pytest.mark.parametrize(
    ("language", "words"), [("fr", "alors seulement, attribuer"), ("en", "only then, can you assign")]
)
def test_before_the_invitation_is_accepted_a_mail_says_to_accept_it_first(language: str, words: str):
    texts = {context["accepted"]: joined(mail.text) for _, context, mail in rendered("products_added", language)}
    assert words in texts[False]
    assert "Adobe ID" in texts[False]
    assert words not in texts[True]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("fr", "nous ne pouvons pas vous fournir de nouveaux produits"),
        ("en", "we cannot provide you with new products"),
    ],
)
@pytest.mark.parametrize("template", ["payment_overdue", "deactivation_notice", "licences_deactivated"])
def test_a_late_customer_learns_that_nothing_new_can_be_bought(template: str, language: str, words: str):
    for _, _, mail in rendered(template, language):
        assert words in joined(mail.text)


@pytest.mark.parametrize(
    ("language", "words"), [("fr", "ne pourront plus être modifiés"), ("en", "cannot be changed later")]
)
def test_the_invitation_says_that_its_details_cannot_be_corrected_later(language: str, words: str):
    for _, context, mail in rendered("invitation", language):
        assert words in joined(mail.text)
        assert "Adobe ID" in mail.text
        assert ("anniversa" in mail.text) == (context["anniversary"] is not None)


@pytest.mark.parametrize(("language", "word"), [("fr", "provisoire"), ("en", "Provisional")])
def test_a_provisional_vip_number_is_called_so(language: str, word: str):
    for template in samples.FACTS:
        for _, context, mail in rendered(template, language):
            assert (word in mail.text) == context["customer"]["vip_number_provisional"], template


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_order_the_customer_has_paid_for_is_urgent(language: str):
    for _, context, mail in rendered("order_to_place", language):
        assert mail.subject.startswith("Urgent") == (context["customer_paid_on"] is not None)


@pytest.mark.parametrize(("language", "word"), [("fr", "Rappel"), ("en", "Reminder")])
def test_a_reminder_to_order_says_so_and_how_long_it_has_been(language: str, word: str):
    for _, context, mail in rendered("order_to_place", language):
        days = context["waiting_days"]
        reminder = days is not None and context["customer_paid_on"] is None
        assert mail.subject.startswith(word) == (word in mail.text) == reminder
        assert days is None or f" {days} {'jour' if language == 'fr' else 'day'}" in mail.subject


@pytest.mark.parametrize(("language", "words"), [("fr", "est passée"), ("en", "has passed")])
def test_no_order_is_asked_for_by_a_day_that_is_over(language: str, words: str):
    for _, context, mail in rendered("order_to_place", language):
        assert (words in joined(mail.text)) == (context["overdue"] and context["due_on"] is not None)


@pytest.mark.parametrize(
    ("language", "thanks", "pay"), [("fr", "merci", "règlement|régler|réglé"), ("en", "thank", r"\bpay")]
)
def test_licences_confirmed_thank_for_a_payment_only_where_one_is_known_and_ask_for_none(
    language: str, thanks: str, pay: str
):
    for _, context, mail in rendered("payment_received", language):
        paid = context["customer_paid_on"] is not None
        assert (thanks in mail.text) == bool(re.search(pay, mail.subject + mail.text)) == paid


@pytest.mark.parametrize(
    ("language", "by_adobe", "order"),
    [
        ("fr", "Adobe doit renouveler", "la commande auprès|commandez le"),
        ("en", "Adobe is due to", "order with|order the"),
    ],
)
@pytest.mark.parametrize("template", ["renewal_reminder", "renewal_to_follow"])
def test_what_adobe_renews_by_itself_is_not_to_be_ordered(template: str, language: str, by_adobe: str, order: str):
    for _, context, mail in rendered(template, language):
        text = joined(mail.text)
        assert (by_adobe in text) == context["renews_by_itself"]
        assert bool(re.search(order, text)) != context["renews_by_itself"]


@pytest.mark.parametrize(
    ("language", "last", "today"),
    [("fr", "ernier rappel|Urgent", "aujourd’hui"), ("en", "ast reminder|Urgent", "today")],
)
@pytest.mark.parametrize("template", ["renewal_reminder", "renewal_to_follow"])
def test_the_last_reminder_of_a_renewal_asks_to_act_today(template: str, language: str, last: str, today: str):
    for _, context, mail in rendered(template, language):
        if context["renews_by_itself"]:
            continue
        assert bool(re.search(last, mail.subject)) == context["last_call"]
        assert (today in mail.text) == context["last_call"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_link_of_the_invitation_stands_alone_where_there_is_one(language: str):
    for template in ("invitation", "invitation_reminder", "products_added"):
        for _, context, mail in rendered(template, language):
            link = context["invitation_link"]
            assert (link is not None) == ("https://adobe.example/" in mail.text)
            assert link is None or f"     {link}\n" in mail.text
