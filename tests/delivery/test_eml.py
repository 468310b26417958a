"""The bytes of a mail: identical every time, deliverable, and safe whatever the names hold."""

from __future__ import annotations

import quopri
import random
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import getaddresses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipflow.delivery.eml import MESSAGE_HEADER, Address, MailError, build_mail, message_id
from vipflow.delivery.render import Rendered

MAIL = Rendered(
    "Licences Adobe\u00a0: règlement non reçu (PA-4M2X-8TQH)",
    "Bonjour,\n\n« L’été »\u00a0: 5 €\n.\nFrom ici \n" + "x" * 200 + "\n",
)
NOON = datetime(2025, 3, 17, 12, 0, tzinfo=UTC)
KEY = "PA-4M2X-8TQH:3:payment_overdue:contact"


def built(mail: Rendered = MAIL, **changes: object) -> bytes:
    asked: dict = {
        "message_id": message_id("atelier", KEY, "mail.example.com"),
        "sender": Address("Atelier Numérique", "licences@atelier.example"),
        "reply_to": Address("Hélène Marchetti", "helene@atelier.example"),
        "to": [Address("Le Goff, Camille", "camille@studio.example")],
        "cc": [],
        "date": NOON,
        "headers": {MESSAGE_HEADER: KEY},
    }
    return build_mail(mail, **{**asked, **changes})


def read(raw: bytes, header: str) -> str:
    return str(make_header(decode_header(message_from_bytes(raw)[header].replace("\r\n", ""))))


def people(raw: bytes, header: str) -> list[tuple[str, str]]:
    written = message_from_bytes(raw)[header].replace("\r\n", "")
    return [(str(make_header(decode_header(name))), email) for name, email in getaddresses([written])]


def test_the_mail_says_who_writes_to_whom_about_what():
    raw = built(cc=[Address("", "compta@studio.example")])
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["Message-ID"] == message_id("atelier", KEY, "mail.example.com")
    assert mail["Date"].datetime == NOON
    assert str(mail["From"]) == "Atelier Numérique <licences@atelier.example>"
    assert str(mail["Reply-To"]) == "Hélène Marchetti <helene@atelier.example>"
    assert str(mail["To"]) == '"Le Goff, Camille" <camille@studio.example>'
    assert str(mail["Cc"]) == "compta@studio.example"
    assert mail["Subject"] == MAIL.subject
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail[MESSAGE_HEADER] == KEY
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content_charset() == "utf-8"
    assert mail["Content-Transfer-Encoding"] == "quoted-printable"
    assert mail.get_content().replace("\r\n", "\n") == MAIL.text
    assert mail.defects == []


def test_the_same_mail_is_the_same_bytes():
    assert built() == built()


def test_the_bytes_are_ascii_in_crlf_lines_of_a_length_that_every_server_takes():
    raw = built(headers={MESSAGE_HEADER: KEY, "X-Shop": "é" * 300}, to=[Address("é" * 200, "a@b.example")] * 3)
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 78


BOTH = Rendered(MAIL.subject, MAIL.text, '<p title="é=">L’été\u00a0: 5 €</p>\n' + "<b>x</b>" * 300 + "\n")


def test_text_and_html_are_alternatives_the_better_one_last():
    mail = message_from_bytes(built(BOTH), policy=policy.default)
    assert mail.get_content_type() == "multipart/alternative"
    text, page = mail.iter_parts()
    assert [part.get_content_type() for part in (text, page)] == ["text/plain", "text/html"]
    assert [part["Content-Transfer-Encoding"] for part in (text, page)] == ["quoted-printable"] * 2
    assert text.get_content().replace("\r\n", "\n") == BOTH.text
    assert page.get_content().replace("\r\n", "\n") == BOTH.html
    assert mail.defects == text.defects == page.defects == []
    assert mail["Subject"] == BOTH.subject


def test_with_html_too_the_same_mail_is_the_same_bytes_in_short_ascii_lines():
    raw = built(BOTH)
    assert raw == built(BOTH)
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 78


def test_what_separates_the_parts_is_the_mails_own_and_stands_in_no_text():
    boundary = message_from_bytes(built(BOTH)).get_boundary()
    assert boundary is not None
    assert boundary != message_from_bytes(built(BOTH, message_id="<b@c.example>")).get_boundary()
    hostile = Rendered("x", f"--{boundary}\n--{boundary}--\n", f"<p>\n--{boundary}--\n</p>\n")
    mail = message_from_bytes(built(hostile), policy=policy.default)
    assert [part.get_content().replace("\r\n", "\n") for part in mail.iter_parts()] == [hostile.text, hostile.html]


def test_a_date_is_written_with_its_own_offset_and_must_have_one():
    raw = built(date=datetime(2025, 3, 17, 8, 0, tzinfo=timezone(timedelta(hours=1))))
    assert b"\r\nDate: Mon, 17 Mar 2025 08:00:00 +0100\r\n" in raw
    with pytest.raises(MailError, match="time zone"):
        built(date=NOON.replace(tzinfo=None))


def test_somebody_addressed_twice_gets_one_copy():
    raw = built(cc=[Address("", "camille@studio.example")])
    assert "Cc" not in message_from_bytes(raw)


def test_a_mail_to_nobody_is_refused():
    with pytest.raises(MailError, match="nobody"):
        built(to=[])


@pytest.mark.parametrize(
    "name",
    [
        "Le Goff, Camille",
        "L’Été, Élodie",
        'Jean "Jeannot" Ünal',
        "a\\b",
        "<b@c.example>",
        "x@y.example",
        "=?utf-8?q?x?=",
        "日本 語",
        "",
        "é" * 80,
    ],
)
def test_names_arrive_as_they_are_and_name_nobody_else(name: str):
    raw = built(sender=Address(name, "a@b.example"), to=[Address(name, "c@d.example"), Address("Zoé", "e@f.example")])
    assert people(raw, "From") == [(name, "a@b.example")]
    assert people(raw, "To") == [(name, "c@d.example"), ("Zoé", "e@f.example")]


def test_a_thousand_odd_names_and_subjects_survive():
    """EmailMessage folds some of these into what cannot be read back (Python 3.11), so eml.py writes headers."""
    dice = random.Random(7)
    letters = "abcDEF ,;\"\\()<>éàœçÉ’'.-&@:=?_日本 «»\u00a0\u202f😀"

    def odd(most: int) -> str:
        return "".join(dice.choices(letters, k=dice.randint(1, most))).strip(" ") or "x"

    for _ in range(1000):
        subject, sender, to = odd(140), odd(90), [Address(odd(60), f"a{n}@b.example") for n in range(3)]
        raw = built(Rendered(subject, "x\n"), sender=Address(sender, "a@b.example"), to=to)
        assert read(raw, "Subject") == subject
        assert people(raw, "From") == [(sender, "a@b.example")]
        assert people(raw, "To") == [(person.name, person.email) for person in to]


@pytest.mark.parametrize(
    "email",
    [
        "",
        " ",
        "a@b.example, c@d.example",
        "a@b.example;c@d.example",
        "a@b.example c@d.example",
        "A <a@b.example>",
        "a@b@c.example",
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example\x00",
        "no-at.example",
        "@b.example",
        "a@",
        "a@-b.example",
        "a@b..example",
        "a@.example",
        ".a@b.example",
        "a..b@c.example",
        "é@b.example",
        '"a b"@c.example',
        "a@[127.0.0.1]",
        "a" * 65 + "@b.example",
        "a@" + "b" * 64 + ".example",
        "a@" + "b." * 130 + "example",
        "a@b.example\u2028",
    ],
)
def test_what_is_not_exactly_one_address_is_refused(email: str):
    with pytest.raises(MailError):
        Address("x", email)


def test_an_accented_domain_takes_its_ascii_form():
    assert Address("x", "a@société.example").email == "a@xn--socit-esab.example"


@pytest.mark.parametrize("text", ["a\r\nBcc: b@c.example", "a\nb", "a\x00", "a\u2028b", "a\x7f", "\ud800"])
def test_no_header_can_be_slipped_in(text: str):
    with pytest.raises(MailError):
        built(Rendered(text, "x"))
    with pytest.raises(MailError):
        Address(text, "a@b.example")
    with pytest.raises(MailError):
        built(headers={"X-Shop": text})
    with pytest.raises(MailError):
        built(headers={f"X-{text}": "x"})
    with pytest.raises(MailError):
        built(message_id=f"<a{text}@b.example>")
    with pytest.raises(MailError):
        message_id("t", "k", f"b.example{text}")


@pytest.mark.parametrize("name", ["Subject", "bcc", "FROM", "Content-Type", "X Y", "X:Y", "", "Message-Id"])
def test_a_header_of_ours_cannot_be_given_twice(name: str):
    with pytest.raises(MailError):
        built(headers={name: "x"})


def test_a_message_id_is_the_same_for_one_message_and_no_other():
    one = message_id("atelier", KEY, "mail.example.com")
    assert one == message_id("atelier", KEY, "mail.example.com")
    others = {
        message_id("autre", KEY, "mail.example.com"),
        message_id("atelier", KEY + "x", "mail.example.com"),
        message_id("a", "b", "c.example"),
    }
    assert one not in others
    assert message_id("ab", "c", "x.example") != message_id("a", "bc", "x.example")
    assert one.startswith("<")
    assert one.endswith("@mail.example.com>")
    assert len(one) <= 78


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.text("a é=.\t \r\n\u00a0\ud800", max_size=200)))
def test_a_part_is_what_quoted_printable_makes_of_the_whole_of_it(text: str):
    body = built(Rendered("x", text)).partition(b"\r\n\r\n")[2]
    plain = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    assert body == quopri.encodestring(plain).replace(b"\n", b"\r\n")
