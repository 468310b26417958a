"""The table of bad input: what somebody does, the sentence he reads, the exit code, and what is kept of it.

Every sentence names the thing, what is wrong with it and what would be right. `{folder}` is where the command runs,
`{database}` how messages name the database of the installation.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.cli.told import INVITE
from vipflow.config import shipped

OUTCOMES = {2: "bad input", 3: "refused", 5: "conflict"}


@dataclass(frozen=True)
class Row:
    """`kept`: rows that the inbox has more, where an event gets a verdict. `alone`: no database is asked for."""

    name: str
    arguments: tuple[str, ...]
    says: str
    code: int = 2
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    kept: int = 0
    alone: bool = False


def asked(
    name: str, says: str, *arguments: str, code: int = 2, kept: int = 0, files: Mapping[str, bytes] | None = None
) -> Row:
    """A command, and the whole of what it says on stderr."""
    return Row(name, arguments, says, code, files=files or {}, kept=kept)


def alone(name: str, says: str, *arguments: str, code: int = 2, files: Mapping[str, bytes]) -> Row:
    """A command that looks at files only."""
    return Row(name, arguments, says, code, files=files, alone=True)


def posted(name: str, says: str, line: bytes | Mapping[str, Any], code: int = 2) -> Row:
    """One line given to `event post`, and what is said of it."""
    if not isinstance(line, bytes) and line["id"] == "7":
        line = {**line, "id": name.replace(" ", "-")}  # of its own: verdicts are kept
    given = line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode()
    told = f"line 1: {OUTCOMES[code]}: {says}"
    return Row(name, ("event", "post", "-"), told, code, stdin=given + b"\n", kept=code == 3)


def event(type: str = "customer.note", subject: str = "customers/1A2B", /, **data: Any) -> dict[str, Any]:
    """An event of the shop."""
    return {"specversion": "1.0", "type": type, "source": "shop", "id": "7", "subject": subject, "data": data}


def authorize(**data: Any) -> dict[str, Any]:
    """One that creates an authorization, and would be good but for `data`."""
    lines = [{"sku": "65304579CA01A12", "quantity": 5}]
    return event("purchase_authorization.create", "customers/1A2B/authorizations/n", **{"lines": lines, **data})


def of(sku: str, quantity: Any) -> dict[str, Any]:
    return authorize(lines=[{"sku": sku, "quantity": quantity}])


def invite(**data: Any) -> dict[str, Any]:
    """One that invites a customer, and would be good but for `data`."""
    fit = {"company": "Neu", "segment": "commercial", "country": "FR", "address": "1 rue", "city": "Nantes"}
    fit |= {"postal_code": "44000", "language": "fr", "owner": "bob@nord.example"}
    return event(
        "customer.invite", "customers/n", **{**fit, "contact": {"name": "Zoé", "email": "z@n.example"}, **data}
    )


def contact(name: str = "Zoé", email: str = "z@n.example") -> dict[str, Any]:
    return invite(contact={"name": name, "email": email})


def inviting(option: str, value: str) -> tuple[str, ...]:
    """The command that invites, one option of it another, or one more."""
    if option not in INVITE:
        return (*INVITE, option, value)
    at = INVITE.index(option) + 1
    return (*INVITE[:at], value, *INVITE[at + 1 :])


NOTE = json.dumps(event(text="x")).encode()
AUTHORIZE = ("authorization", "create", "1A2B", "--product")

EVENTS = [
    posted(
        "unknown product",
        (
            "purchase_authorization.create shop/unknown-product: Not in the catalogue: 99999999CA01A12. "
            "Products close to it: 65304599CA01A12 (After Effects for Teams)."
        ),
        of("99999999CA01A12", 5),
        3,
    ),
    posted(
        "a word for a product",
        (
            "purchase_authorization.create shop/a-word-for-a-product: Not in the catalogue: photoshop. Give "
            "the SKU as Adobe writes it, such as 65304579CA01A12."
        ),
        of("photoshop", 5),
        3,
    ),
    posted(
        "wrong segment",
        (
            "purchase_authorization.create shop/wrong-segment: The customer is of the commercial segment; "
            "these products are of another: Acrobat Pro for Teams. Choose products of the commercial segment."
        ),
        of("30001850CB01A12", 5),
        3,
    ),
    posted(
        "quantity 0",
        (
            "event shop/quantity-0: in its data, lines[0].quantity: must be at least 1, not 0; put it right "
            "and send it again: its id is still free"
        ),
        of("65304579CA01A12", 0),
    ),
    posted(
        "quantity -1",
        (
            "event shop/quantity--1: in its data, lines[0].quantity: must be at least 1, not -1; put it "
            "right and send it again: its id is still free"
        ),
        of("65304579CA01A12", -1),
    ),
    posted(
        "quantity as text",
        (
            "event shop/quantity-as-text: in its data, lines[0].quantity: write a whole number, not '5 000'; "
            "put it right and send it again: its id is still free"
        ),
        of("65304579CA01A12", "5 000"),
    ),
    posted(
        "quantity 1e3",
        (
            "event shop/quantity-1e3: in its data, lines[0].quantity: write a whole number, not 1000.0; put "
            "it right and send it again: its id is still free"
        ),
        of("65304579CA01A12", 1e3),
    ),
    posted(
        "quantity true",
        (
            "event shop/quantity-true: in its data, lines[0].quantity: write a whole number, not true; put "
            "it right and send it again: its id is still free"
        ),
        of("65304579CA01A12", True),
    ),
    posted(
        "more than anybody has",
        (
            "event shop/more-than-anybody-has: in its data, lines[0].quantity: must be at most "
            "1,000,000,000, not 1000000000000; put it right and send it again: its id is still free"
        ),
        of("65304579CA01A12", 10**12),
    ),
    posted(
        "empty authorization",
        (
            "event shop/empty-authorization: in its data, lines: at least one is needed; put it right and "
            "send it again: its id is still free"
        ),
        authorize(lines=[]),
    ),
    posted(
        "no lines at all",
        (
            "event shop/no-lines-at-all: in its data, lines is missing; purchase_authorization.create takes "
            "lines, po_number"
        ),
        event("purchase_authorization.create", "customers/1A2B/authorizations/n"),
    ),
    posted(
        "500 lines",
        (
            "event shop/500-lines: in its data, lines: at most 499, not 500; put it right and send it again: "
            "its id is still free"
        ),
        authorize(lines=[{"sku": "65304579CA01A12", "quantity": 1}] * 500),
    ),
    posted(
        "PO number too long",
        (
            "event shop/PO-number-too-long: in its data, po_number: at most 35 characters, not 36; put it "
            "right and send it again: its id is still free"
        ),
        authorize(po_number="x" * 36),
    ),
    posted(
        "PO number empty",
        (
            "event shop/PO-number-empty: in its data, po_number: cannot be empty; put it right and send it "
            "again: its id is still free"
        ),
        authorize(po_number=""),
    ),
    posted(
        "PO number with a tag",
        (
            "event shop/PO-number-with-a-tag: in its data, po_number: < > cannot be used here; put it right "
            "and send it again: its id is still free"
        ),
        authorize(po_number="<script>"),
    ),
    posted(
        "a field nobody knows",
        (
            "event shop/a-field-nobody-knows: in its data, there is no field po_nmber (did you mean "
            "po_number?); purchase_authorization.create takes lines, po_number"
        ),
        authorize(po_nmber="PO-3"),
    ),
    posted(
        "an article instead of data",
        (
            "event shop/an-article-instead-of-data: in its data, write an object, {…}, not a list; put it "
            "right and send it again: its id is still free"
        ),
        {**authorize(), "data": ["65304579CA01A12"]},
    ),
    posted(
        "cancelling a paid authorization",
        (
            "purchase_authorization.cancel shop/cancelling-a-paid-authorization: An order was already placed "
            "with Adobe: the authorization cannot be cancelled any more. Ask for a return authorization."
        ),
        event("purchase_authorization.cancel", "customers/1A2B/authorizations/PO-1"),
        3,
    ),
    posted(
        "immutable field",
        (
            "customer.correct shop/immutable-field: The customer's information cannot be changed after the "
            "invitation was sent (a rule of the VIP programme). For a new person add a notice recipient; "
            "while nothing was asked for, the invitation can be withdrawn and sent anew."
        ),
        event("customer.correct", company="Other"),
        3,
    ),
    posted(
        "customer there already",
        (
            "customer.invite shop/customer-there-already: “1A2B” already names C-1K4V-SQM2. Choose another "
            "reference, or act on the existing record."
        ),
        {**invite(), "subject": "customers/1A2B"},
        3,
    ),
    posted(
        "two addresses in one field",
        (
            "event shop/two-addresses-in-one-field: in its data, contact.email: 'a@b.example, c@d.example' "
            "is not exactly one address, such as anna@example.com; put it right and send it again: its id is "
            "still free"
        ),
        contact(email="a@b.example, c@d.example"),
    ),
    posted(
        "no address",
        (
            "event shop/no-address: in its data, contact.email: 'nobody' is not exactly one address, such as "
            "anna@example.com; put it right and send it again: its id is still free"
        ),
        contact(email="nobody"),
    ),
    posted(
        "address with a trailing dot",
        (
            "event shop/address-with-a-trailing-dot: in its data, contact.email: 'a@b.example.' has no "
            "domain name after the @, such as example.com; put it right and send it again: its id is still "
            "free"
        ),
        contact(email="a@b.example."),
    ),
    posted(
        "address with accents",
        (
            "event shop/address-with-accents: in its data, contact.email: 'anaïs@b.example' cannot be "
            "delivered everywhere: before the @ write at most 64 letters without accents, digits and . _ - "
            "+; put it right and send it again: its id is still free"
        ),
        contact(email="anaïs@b.example"),
    ),
    posted(
        "address of 300 characters",
        (
            "event shop/address-of-300-characters: in its data, contact.email: at most 240 characters, not "
            "300; put it right and send it again: its id is still free"
        ),
        contact(email="a@" + "b" * 290 + ".example"),
    ),
    posted(
        "address with an endless label",
        (
            "event shop/address-with-an-endless-label: in its data, contact.email: "
            "'a@bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.example' has no domain name "
            "after the @, such as example.com; put it right and send it again: its id is still free"
        ),
        contact(email="a@" + "b" * 64 + ".example"),
    ),
    posted(
        "header injection in a name",
        (
            "event shop/header-injection-in-a-name: in its data, contact.name: control characters and line "
            "breaks cannot be used here; put it right and send it again: its id is still free"
        ),
        contact(name="Zoé\r\nBcc: all@x.example"),
    ),
    posted(
        "name that turns its direction",
        (
            "event shop/name-that-turns-its-direction: in its data, contact.name: characters that turn the "
            "direction of writing cannot be used here; put it right and send it again: its id is still free"
        ),
        contact(name="Zoé \u202egnp.exe"),
    ),
    posted(
        "name too long",
        (
            "event shop/name-too-long: in its data, contact.name: at most 35 characters, not 36; put it "
            "right and send it again: its id is still free"
        ),
        contact(name="x" * 36),
    ),
    posted(
        "name of spaces",
        (
            "event shop/name-of-spaces: in its data, contact.name: is empty; put it right and send it again: "
            "its id is still free"
        ),
        contact(name="  "),
    ),
    posted(
        "company with a line separator",
        (
            "event shop/company-with-a-line-separator: in its data, company: control characters and line "
            "breaks cannot be used here; put it right and send it again: its id is still free"
        ),
        invite(company="Neu\u2028Alt"),
    ),
    posted(
        "company with an escape",
        "the event: /data/company holds the character U+001B, which text cannot hold; remove it",
        invite(company="Neu\x1b[31m"),
    ),
    posted(
        "company with a C1 escape",
        "the event: /data/company holds the character U+009B, which text cannot hold; remove it",
        invite(company="Neu\x9b31m"),
    ),
    posted(
        "segment nobody has",
        (
            "event shop/segment-nobody-has: in its data, segment: 'comercial' is none of commercial, "
            "education, government (did you mean commercial?); put it right and send it again: its id is "
            "still free"
        ),
        invite(segment="comercial"),
    ),
    posted(
        "country as a word",
        (
            "event shop/country-as-a-word: in its data, country: 'France' is not two capital letters, such "
            "as FR; put it right and send it again: its id is still free"
        ),
        invite(country="France"),
    ),
    posted(
        "country that is none",
        (
            "event shop/country-that-is-none: in its data, country: 'ZZ' is no country of ISO 3166 (two "
            "capital letters); put it right and send it again: its id is still free"
        ),
        invite(country="ZZ"),
    ),
    posted(
        "postal code of another country",
        (
            "event shop/postal-code-of-another-country: in its data, postal_code: 'SW1A 1AA' is none of FR, "
            "such as 75011; put it right and send it again: its id is still free"
        ),
        invite(postal_code="SW1A 1AA"),
    ),
    posted(
        "postal code missing",
        (
            "event shop/postal-code-missing: in its data, postal_code: is missing; FR has them, such as "
            "75011; put it right and send it again: its id is still free"
        ),
        invite(postal_code=None),
    ),
    posted(
        "language we do not write",
        (
            "event shop/language-we-do-not-write: in its data, language: 'de' is none of en, fr; put it "
            "right and send it again: its id is still free"
        ),
        invite(language="de"),
    ),
    posted(
        "offer type nobody has",
        (
            "customer.invite shop/offer-type-nobody-has: Unknown offer type: gold. There are: teams, "
            "enterprise, education."
        ),
        invite(offer_types=["gold"]),
        3,
    ),
    posted(
        "manager who left",
        (
            "customer.invite shop/manager-who-left: eve@nord.example is not, or no longer, a member of your "
            "team. Choose an active member of the team."
        ),
        invite(owner="eve@nord.example"),
        3,
    ),
    posted(
        "anniversary 6 months ahead",
        (
            "customer.invite shop/anniversary-6-months-ahead: The anniversary date chosen must lie between 5 "
            "April 2025 and 4 April 2027. Choose a date between these days, or none."
        ),
        invite(anniversary="2024-10-04"),
        3,
    ),
    posted(
        "impossible date",
        (
            "event shop/impossible-date: in its data, anniversary: '2025-02-29' is no day of the calendar, "
            "written as 2024-03-01; put it right and send it again: its id is still free"
        ),
        invite(anniversary="2025-02-29"),
    ),
    posted(
        "date of another kind",
        (
            "event shop/date-of-another-kind: in its data, anniversary: '31/04/2025' is no day of the "
            "calendar, written as 2024-03-01; put it right and send it again: its id is still free"
        ),
        invite(anniversary="31/04/2025"),
    ),
    posted(
        "year 10000",
        (
            "event shop/year-10000: in its data, anniversary: '10000-01-01' is no day of the calendar, "
            "written as 2024-03-01; put it right and send it again: its id is still free"
        ),
        invite(anniversary="10000-01-01"),
    ),
    posted(
        "a day no rule can count from",
        (
            "event shop/a-day-no-rule-can-count-from: in its data, due_on: 0001-01-01 is beyond every "
            "calendar here, from 1990-01-01 to 2999-12-31; put it right and send it again: its id is still "
            "free"
        ),
        event("purchase_authorization.grant_extension", "customers/1A2B/authorizations/PO-2", due_on="0001-01-01"),
    ),
    posted(
        "a day no rule can count to",
        (
            "event shop/a-day-no-rule-can-count-to: in its data, due_on: 9999-12-31 is beyond every calendar "
            "here, from 1990-01-01 to 2999-12-31; put it right and send it again: its id is still free"
        ),
        event("purchase_authorization.grant_extension", "customers/1A2B/authorizations/PO-2", due_on="9999-12-31"),
    ),
    posted(
        "impossible instant",
        (
            "event shop/impossible-instant: its time '2024-02-30T09:00:00Z' is no instant; write RFC 3339 "
            "with an offset, such as 2024-03-01T09:30:00Z"
        ),
        {**event(text="x"), "time": "2024-02-30T09:00:00Z"},
    ),
    posted(
        "instant without offset",
        (
            "event shop/instant-without-offset: its time '2024-03-01T09:00:00' is no instant, since it has "
            "no offset from UTC; write RFC 3339 with an offset, such as 2024-03-01T09:30:00Z"
        ),
        {**event(text="x"), "time": "2024-03-01T09:00:00"},
    ),
    posted(
        "a day for an instant",
        (
            "event shop/a-day-for-an-instant: its time '2024-03-01' is no instant but a day; write RFC 3339 "
            "with an offset, such as 2024-03-01T09:30:00Z"
        ),
        {**event(text="x"), "time": "2024-03-01"},
    ),
    posted(
        "instant to come",
        (
            "event shop/instant-to-come: its time 2024-04-04T09:06:00Z is ahead of the clock "
            "(2024-04-04T09:00:00Z); send it once it has happened, or check the sender's clock"
        ),
        {**event(text="x"), "time": "2024-04-04T09:06:00Z"},
    ),
    posted(
        "instant of long ago",
        (
            "event shop/instant-of-long-ago: its time '1066-10-14T09:00:00Z' is no instant of a membership; "
            "write RFC 3339 with an offset, such as 2024-03-01T09:30:00Z"
        ),
        {**event(text="x"), "time": "1066-10-14T09:00:00Z"},
    ),
    posted(
        "instant as a number",
        (
            "event shop/instant-as-a-number: its time 1709283600 is no instant; write RFC 3339 with an "
            "offset, such as 2024-03-01T09:30:00Z"
        ),
        {**event(text="x"), "time": 1709283600},
    ),
    posted(
        "type mistyped",
        (
            "event shop/type-mistyped: there is no event type 'purchase_authorization.cancl' (did you mean "
            "purchase_authorization.cancel?); `vipflow workflow list` shows all"
        ),
        event("purchase_authorization.cancl"),
    ),
    posted(
        "type of the clock's own",
        (
            "event shop/type-of-the-clock's-own: purchase_authorization.fall_due is sent by the engine "
            "itself; post what happened; the engine does the rest"
        ),
        event("purchase_authorization.fall_due", "customers/1A2B/authorizations/PO-2"),
    ),
    posted(
        "type missing",
        "the event: its type is missing; give type as 1 to 240 characters",
        b'{"source": "shop", "id": "7"}',
    ),
    posted("source missing", "the event: its source is missing; give source as 1 to 240 characters", b"{}"),
    posted(
        "id as a number",
        "the event: its id is not a text; give id as 1 to 240 characters",
        {**event(text="x"), "id": 7},
    ),
    posted(
        "id of spaces", "the event: its id is empty; give id as 1 to 240 characters", {**event(text="x"), "id": "  "}
    ),
    posted(
        "id without end",
        "the event: its id has 241 characters; give id as 1 to 240 characters",
        {**event(text="x"), "id": "x" * 241},
    ),
    posted(
        "subject that is no path",
        (
            "event shop/subject-that-is-no-path: its subject '1A2B' does not fit customer.note; write "
            "customers/<reference>"
        ),
        event("customer.note", "1A2B", text="x"),
    ),
    posted(
        "subject of another kind",
        (
            "event shop/subject-of-another-kind: its subject 'customers/1A2B/authorizations/PO-1' does not "
            "fit order.accept; write customers/<reference> or customers/<reference>/orders/<reference>"
        ),
        event("order.accept", "customers/1A2B/authorizations/PO-1"),
    ),
    posted(
        "subject without end",
        (
            "event shop/subject-without-end: its subject has 250 characters; write at most 240, such as "
            "customers/C-7K3F-9QTD"
        ),
        event("customer.note", "customers/" + "x" * 240, text="x"),
    ),
    posted(
        "subject as a number",
        ("event shop/subject-as-a-number: its subject is not a text; write at most 240, such as customers/C-7K3F-9QTD"),
        {**event(text="x"), "subject": 7},
    ),
    posted(
        "reason of spaces",
        ("event shop/reason-of-spaces: its reason is empty; say why in 1 to 500 characters, or leave it out"),
        {**event(text="x"), "reason": " "},
    ),
    posted(
        "another CloudEvents",
        "the event: specversion is '0.3'; vipflow reads CloudEvents \"1.0\"",
        {**event(text="x"), "specversion": "0.3"},
    ),
    posted(
        "an attribute nobody may add",
        "the event: the attribute 'Trace-Id' is no CloudEvents name; use lower-case letters and digits",
        {**event(text="x"), "Trace-Id": "1"},
    ),
    posted(
        "data in XML",
        "the event: datacontenttype is 'text/xml'; send application/json",
        {**event(text="x"), "datacontenttype": "text/xml"},
    ),
    posted("data in base64", "the event: its data is base64; send data as JSON", {**event(), "data_base64": "eA=="}),
    posted(
        "note too long",
        (
            "event shop/note-too-long: in its data, text: at most 2,000 characters, not 2,001; put it right "
            "and send it again: its id is still free"
        ),
        event(text="x" * 2001),
    ),
    posted(
        "same id with another body",
        "event shop/known: it was received before with another body; send the new fact under a new id",
        {**event(text="y"), "id": "known"},
        5,
    ),
    posted(
        "10 MB line", "the event: it is longer than 262,144 bytes; say less in it, or in several", b"x" * 10_000_000
    ),
    posted("broken UTF-8", "the event: it is not UTF-8 (byte 10); write it in UTF-8", b'{"type": "\xff"}'),
    posted(
        "NUL",
        "the event: /data/text holds the character U+0000, which text cannot hold; remove it",
        NOTE.replace(b'"x"', b'"a\\u0000b"'),
    ),
    posted(
        "NUL as it is",
        ("the event: it is no JSON (Invalid control character, at character 126); send one JSON object per line"),
        NOTE.replace(b'"x"', b'"a\x00b"'),
    ),
    posted(
        "lone surrogate",
        "the event: /data/text holds the character U+D800, which text cannot hold; remove it",
        NOTE.replace(b'"x"', b'"\\ud800"'),
    ),
    posted(
        "NaN",
        "the event: it holds NaN, which is no number in JSON; leave it out, or send a number",
        NOTE.replace(b'"x"', b"NaN"),
    ),
    posted(
        "beyond all measure",
        "the event: it holds a number beyond all measure, 1e999; send one that can be",
        NOTE.replace(b'"x"', b"1e999"),
    ),
    posted(
        "6,000-digit number",
        "the event: it holds a number of 6,000 digits; a number has at most 19 here",
        NOTE.replace(b'"x"', b"9" * 6000),
    ),
    posted(
        "JSON nested 100,000 deep",
        "the event: its JSON is nested 100,000 deep; at most 32 levels are read",
        b"[" * 100_000 + b"]" * 100_000,
    ),
    posted(
        "duplicate keys",
        "the event: the key 'text' stands twice in one object; send each key once",
        NOTE.replace(b'"text": "x"', b'"text": "x", "text": "y"'),
    ),
    posted(
        "no JSON",
        "the event: it is no JSON (Expecting value, at character 1); send one JSON object per line",
        b"company,segment,country",
    ),
    posted(
        "JSON cut off",
        ("the event: it is no JSON (Unterminated string starting, at character 32); send one JSON object per line"),
        NOTE[:40],
    ),
    posted(
        "two objects in a line",
        "the event: it is no JSON (Extra data, at character 129); send one JSON object per line",
        NOTE + NOTE,
    ),
    posted(
        "a list",
        ('the event: it is not a JSON object; write {"specversion": "1.0", "type": …, "source": …, "id": …, …}'),
        b"[]",
    ),
    posted(
        "bounce of nobody's mail",
        (
            "event shop/bounce-of-nobody's-mail: it names no mail of ours; give data.message (the header "
            "X-Vipflow-Message, or the Message-ID), or the subject customers/<reference>"
        ),
        event("message.bounce", "", address="a@b.example"),
    ),
    posted(
        "bounce without an address",
        (
            "event shop/bounce-without-an-address: in its data, address is missing; message.bounce takes "
            "address, diagnosis, message, permanent"
        ),
        event("message.bounce", permanent=True),
    ),
]

ACTS = [
    *(
        asked(f"inviting with {option} {value!r:.20}", says, *inviting(option, value))
        for option, value, says in [
            ("--company", "", "--company: it is empty; write what it is to be"),
            (
                "--company",
                "x" * 81,
                "the customer: company: at most 80 characters, not 81; put this right and try again",
            ),
            (
                "--company",
                "a\nb",
                (
                    "the customer: company: control characters and line breaks cannot be used here; put this right "
                    "and try again"
                ),
            ),
            (
                "--segment",
                "comercial",
                (
                    "the customer: segment: 'comercial' is none of commercial, education, government (did you mean "
                    "commercial?); put this right and try again"
                ),
            ),
            (
                "--contact",
                "Zoé\r\nBcc: all@x.example",
                (
                    "the customer: contact.name: control characters and line breaks cannot be used here; put this "
                    "right and try again"
                ),
            ),
            (
                "--email",
                "a@b.example, c@d.example",
                (
                    "the customer: contact.email: 'a@b.example, c@d.example' is not exactly one address, such as "
                    "anna@example.com; put this right and try again"
                ),
            ),
            (
                "--country",
                "France",
                (
                    "the customer: country: 'FRANCE' is not two capital letters, such as FR; put this right and try "
                    "again"
                ),
            ),
            (
                "--postal-code",
                "4400",
                "the customer: postal_code: '4400' is none of FR, such as 75011; put this right and try again",
            ),
            ("--language", "", "--language: it is empty; write what it is to be, or leave it out"),
            ("--anniversary", "31/04", "--anniversary: '31/04' is no day; write it as 2024-03-01"),
            ("--anniversary", "2025-02-29", "--anniversary: '2025-02-29' is no day; write it as 2024-03-01"),
            (
                "--vip-number",
                "x" * 65,
                "the customer: vip_number: at most 64 characters, not 65; put this right and try again",
            ),
            (
                "--manager",
                "nobody",
                (
                    "Warning: The customer's information cannot be changed after sending: make sure that it contains "
                    "no mistake.\n"
                    "Warning: A company like this one is already among your customers (same name or domain, same "
                    "country). Two memberships cannot be merged \n"
                    "later.\n"
                    "  C-1K4V-SQM2  Élan Vert, zoe@elan.example, VIP number 1A2B\n"
                    "the team: 'nobody' is none of them, or no longer; there is Ada <ada@nord.example>, Bob "
                    "<bob@nord.example>, Vic <vic@nord.example>"
                ),
            ),
            (
                "--copy-to",
                "Max <max>",
                (
                    "the customer: recipients[0].email: 'max' is not exactly one address, such as anna@example.com; "
                    "put this right and try again"
                ),
            ),
            ("--ref", "a/b", "the reference 'a/b': it holds a slash; write it without"),
            (
                "--ref",
                "x" * 65,
                (
                    "the reference 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…' (65 characters): "
                    "it has 65 characters; write at most 64"
                ),
            ),
            ("--id", "x" * 241, "the id: it has 241 characters; write 1 to 240 characters"),
            ("--id", "\x07", "the id: it holds the character U+0007, which text cannot hold; remove it"),
            (
                "--on",
                "2025-02-29",
                ("--on: '2025-02-29' is neither a day nor an instant; write 2024-03-01 or 2024-03-01T09:30:00+01:00"),
            ),
            ("--on", "2030-01-01", "--on: 2030-01-01 has not come yet; give a day that has, or leave it out for now"),
            ("--on", "1066-10-14", "--on: 1066-10-14 is before every membership; give a day from 1990-01-01 on"),
            (
                "--on",
                "2024-03-01T09:00:00 Paris",
                (
                    "--on: '2024-03-01T09:00:00 Paris' is neither a day nor an instant; write 2024-03-01 or "
                    "2024-03-01T09:30:00+01:00"
                ),
            ),
        ]
    ),
    asked(
        "as a customer of a reseller unknown",
        "there is no reseller nrod; there are nord (did you mean nord?)",
        *INVITE,
        "--reseller",
        "nrod",
        code=4,
    ),
    asked(
        "as somebody unknown",
        (
            "there is no member of the team of nord with the address boob@nord.example; `vipflow team list` "
            "shows who is there (did you mean bob@nord.example?)"
        ),
        *INVITE,
        "--as",
        "boob@nord.example",
        code=4,
    ),
    asked(
        "as somebody who left",
        (
            "there is no active member of the team of nord with the address eve@nord.example; who left is "
            "taken back with `vipflow team add`"
        ),
        *INVITE,
        "--as",
        "eve@nord.example",
        code=4,
    ),
    asked("as nobody", "--as: it is empty; write what it is to be, or leave it out", *INVITE, "--as", ""),
    *(
        asked(f"authorizing {product!r:.20}", says, *AUTHORIZE, product)
        for product, says in [
            (
                "photoshop",
                ("the product 'photoshop': it does not say how many; write PRODUCT=QUANTITY, for example Photoshop=5"),
            ),
            ("=5", "the product '=5': it names none; write PRODUCT=QUANTITY, for example Photoshop=5"),
            ("photoshop=0", "the product 'photoshop=0': none is not a quantity; write 1 or more"),
            (
                "photoshop=-1",
                (
                    "the product 'photoshop=-1': '-1' is no quantity; write a whole number in digits, for example "
                    "Photoshop=5"
                ),
            ),
            (
                "photoshop=1e3",
                (
                    "the product 'photoshop=1e3': '1e3' is no quantity; write a whole number in digits, for example "
                    "Photoshop=5"
                ),
            ),
            (
                "photoshop=5 000",
                (
                    "the product 'photoshop=5 000': '5 000' is no quantity; write a whole number in digits, for "
                    "example Photoshop=5"
                ),
            ),
            (
                "photoshop=٣",
                (
                    "the product 'photoshop=٣': '٣' is no quantity; write a whole number in digits, for example "
                    "Photoshop=5"
                ),
            ),
            (
                "photoshop=" + "9" * 6000,
                (
                    "the product 'photoshop=99999999999999999999999999999999999999999999999999…' (6,010 characters): "
                    "nobody has so many; write at most 1,000,000,000"
                ),
            ),
            (
                "acrobat=5",
                (
                    "the product 'acrobat': it fits 5: Acrobat Pro for Teams (65304521CA01A12), Acrobat Standard for "
                    "Teams (65304886CA01A12), Acrobat Sign Solutions for Enterprise, transactions (65322434CAT1A12), "
                    "Acrobat Standard for Enterprise (65322607CA01A12), Acrobat Pro for Enterprise "
                    "(65322648CA01A12); write more of the name, or the SKU"
                ),
            ),
        ]
    ),
    asked(
        "authorizing a product nobody has",
        (
            "there is no product 65304579CA01A13; did you mean 65304579CA01A12 (Creative Cloud All Apps for "
            "Teams) or 65304599CA01A12 (After Effects for Teams) or 65305370CA01A12 (Premiere Pro for Teams)?"
        ),
        *AUTHORIZE,
        "65304579CA01A13=5",
        code=4,
    ),
    asked(
        "authorizing of another segment",
        (
            "Refused: The customer is of the commercial segment; these products are of another: Acrobat Pro "
            "for Teams.\n"
            "  What helps: Choose products of the commercial segment."
        ),
        *AUTHORIZE,
        "30001850CB01A12=5",
        code=3,
        kept=1,
    ),
    asked(
        "authorizing under an emoji bell",
        (
            "the authorization: po_number: control characters and line breaks cannot be used here; put this "
            "right and try again"
        ),
        *AUTHORIZE,
        "photoshop=5",
        "--po",
        "🎉\x07",
    ),
    asked(
        "authorizing for nobody known",
        "there is no customer C-0000-0000; `vipflow customer list --search TEXT` looks for customers",
        "authorization",
        "create",
        "C-0000-0000",
        "--product",
        "x=1",
        code=4,
    ),
    asked(
        "a name with an escape",
        "there is no record x\\x1b[2J\\u202eexe; `vipflow customer list --search TEXT` looks for customers",
        "history",
        "x\x1b[2J\u202eexe",
        code=4,
    ),
    asked("an empty name", "REF: it is empty; write what it is to be", "history", ""),
    asked(
        "cancelling what is paid",
        (
            "Refused: An order was already placed with Adobe: the authorization cannot be cancelled any "
            "more.\n"
            "  What helps: Ask for a return authorization."
        ),
        "authorization",
        "cancel",
        "PO-1",
        code=3,
        kept=1,
    ),
    asked(
        "cancelling what is not there",
        ("there is no purchase authorization PO-9; `vipflow authorization list --all` shows those there are"),
        "authorization",
        "cancel",
        "PO-9",
        code=4,
    ),
    asked(
        "cancelling as a viewer",
        ("Refused: Your role (viewer) does not allow this.\n  What helps: Ask an admin."),
        "authorization",
        "cancel",
        "PO-2",
        "--as",
        "vic@nord.example",
        code=3,
    ),
    asked(
        "a promise of no day",
        "--until: '2024-02-30' is no day; write it as 2024-03-01",
        "authorization",
        "extend",
        "PO-2",
        "--until",
        "2024-02-30",
    ),
    asked(
        "a promise of the past",
        ("Refused: The promised day is already over.\n  What helps: Choose today or a day to come."),
        "authorization",
        "extend",
        "PO-2",
        "--until",
        "2020-01-01",
        "--reason",
        "x",
        code=3,
        kept=1,
    ),
    asked(
        "a reason without end",
        "the reason: it has 501 characters; write 1 to 500 characters",
        "authorization",
        "extend",
        "PO-2",
        "--until",
        "2025-01-01",
        "--reason",
        "x" * 501,
    ),
    asked(
        "a state nobody has",
        (
            "the state: there is no 'laet' (did you mean late?); choose pending, ordered, late, suspended, "
            "paid, expired, written_off, cancelled, returned"
        ),
        "authorization",
        "list",
        "--state",
        "laet",
    ),
    asked(
        "a page of none",
        (
            "Invalid value for '--limit': Input should be greater than or equal to 1\n"
            "\n"
            "Usage: vipflow authorization list [OPTIONS]\n"
            "More: vipflow authorization list --help"
        ),
        "authorization",
        "list",
        "--limit",
        "0",
    ),
    asked(
        "a page from nowhere",
        "the cursor 'x': no page ends there; take it from `next` of the page before, as it is",
        "authorization",
        "list",
        "--after",
        "x",
    ),
    asked(
        "a list nobody has",
        ("the list: there is no 'laet' (did you mean late?); choose no_products, pending, late, upcoming, ready"),
        "customer",
        "list",
        "--list",
        "laet",
    ),
    asked("an empty note", "TEXT: it is empty; write what it is to be", "customer", "note", "1A2B", ""),
    asked(
        "a note with an escape",
        "customer C-1K4V-SQM2: text: control characters cannot be used here; put this right and try again",
        "customer",
        "note",
        "1A2B",
        "a\x1bb",
    ),
    asked(
        "a second VIP number too long",
        "customer C-1K4V-SQM2: vip_number: at most 64 characters, not 65; put this right and try again",
        "customer",
        "vip-number",
        "1A2B",
        "x" * 65,
    ),
    asked(
        "copies to no address",
        (
            "customer C-1K4V-SQM2: recipients[0].email: 'max' is not exactly one address, such as "
            "anna@example.com; put this right and try again"
        ),
        "customer",
        "recipients",
        "1A2B",
        "--add",
        "Max <max>",
    ),
    asked(
        "copies from nobody",
        "the notice recipients: x@y.example is none of them; there is nobody",
        "customer",
        "recipients",
        "1A2B",
        "--remove",
        "x@y.example",
    ),
    asked(
        "a manager who left",
        (
            "the team: 'eve@nord.example' is none of them, or no longer; there is Ada <ada@nord.example>, "
            "Bob <bob@nord.example>, Vic <vic@nord.example>"
        ),
        "customer",
        "assign",
        "1A2B",
        "--to",
        "eve@nord.example",
    ),
    asked(
        "an order of two things",
        "the order: it is for several things at once; name one of --authorization, --renewal and --direct",
        "order",
        "place",
        "--authorization",
        "PO-2",
        "--renewal",
        "1A2B",
    ),
    asked(
        "an order of nothing",
        ("the order: it says nothing of what it is for; name one of --authorization, --renewal and --direct"),
        "order",
        "place",
    ),
    asked(
        "an order nobody placed",
        "there is no order AO-9; `vipflow order list --all` shows those there are",
        "order",
        "accept",
        "AO-9",
        code=4,
    ),
    asked(
        "returning more than there is",
        (
            "Refused: The return asks for more than remains of the order.\n"
            "  What helps: Lower the quantities.\n"
            "Refused: The return could be asked for until 18 March 2024."
        ),
        "return",
        "open",
        "AO-1",
        "--product",
        "photoshop=6",
        code=3,
        kept=1,
    ),
    asked(
        "a reseller with capitals",
        "the key: 'Nord Sud' is none; write small letters, digits and hyphens, for example north",
        "reseller",
        "add",
        "Nord Sud",
        "--name",
        "x",
    ),
    asked(
        "a reseller there already",
        "the reseller nord: it is there already; change it with `vipflow reseller set`",
        "reseller",
        "add",
        "nord",
        "--name",
        "x",
        code=5,
    ),
    asked(
        "a reseller in a zone unknown",
        (
            "the reseller: zone: there is no time zone 'Europe/Pariss' (did you mean Europe/Paris?); put "
            "this right and try again"
        ),
        "reseller",
        "add",
        "sud",
        "--name",
        "x",
        "--zone",
        "Europe/Pariss",
    ),
    asked(
        "a reseller with a policy unknown",
        ("policy vip-2042: no such policy (did you mean vip-2024?); there are: vip-2019, vip-2024, vip-marketplace"),
        "reseller",
        "add",
        "sud",
        "--name",
        "x",
        "--policy",
        "vip-2042",
    ),
    asked(
        "a number that no policy has",
        "policy vip-2024: order_du_days is not a number of this policy (did you mean order_due_days?)",
        "policy",
        "set",
        "order_du_days=3",
    ),
    asked(
        "a number that is none",
        'policy vip-2024: order_due_days = "soon": write a whole number or "none", not a text',
        "policy",
        "set",
        "order_due_days=soon",
    ),
    asked(
        "a number nested too deep",
        "the numbers: order_due_days is nested too deep; write NAME=VALUE",
        "policy",
        "set",
        "order_due_days=" + "[" * 20_000,
    ),
    asked(
        "a colour that is none",
        ("the reseller: colour: 'red' is none; write # and six digits, such as #2f5d8a; put this right and try again"),
        "reseller",
        "set",
        "--colour",
        "red",
    ),
    asked(
        "a logo in the clear",
        (
            "the reseller: logo: its address begins with https://, since mail programs load no picture in "
            "the clear; put this right and try again"
        ),
        "reseller",
        "set",
        "--logo",
        "http://x.example/l.png",
    ),
    asked(
        "a member without an address",
        (
            "the member: email: 'nobody' is not exactly one address, such as anna@example.com; put this "
            "right and try again"
        ),
        "team",
        "add",
        "nobody",
        "--name",
        "N",
    ),
    asked(
        "a member there already",
        "the member ada@nord.example: it is there already; change the role with `vipflow team role`",
        "team",
        "add",
        "ada@nord.example",
        "--name",
        "Ada",
        code=5,
    ),
    asked(
        "a role nobody has",
        (
            "the role: there is no 'amdin' (did you mean admin?); choose viewer, account_manager, support, "
            "operator, admin"
        ),
        "team",
        "role",
        "bob@nord.example",
        "amdin",
    ),
    asked(
        "the last admin demoted",
        "the member ada@nord.example: it is the last active admin; make somebody else admin first",
        "team",
        "role",
        "ada@nord.example",
        "viewer",
    ),
    asked(
        "a day of no calendar",
        "--anniversary: '2025-02-29' is no day of the calendar; write it as 2024-03-01",
        "calendar",
        "renewal",
        "--anniversary",
        "2025-02-29",
    ),
    asked(
        "a day beyond every membership",
        "--anniversary: 9999-12-31 is no day of a membership; give one from 1990-01-01 to 2999-12-31",
        "calendar",
        "renewal",
        "--anniversary",
        "9999-12-31",
    ),
    asked(
        "a zone nobody knows",
        "the time zone: there is no 'Mars/Base'; write e.g. Europe/Paris",
        "calendar",
        "authorization",
        "--created",
        "2024-03-01",
        "--zone",
        "Mars/Base",
    ),
    asked(
        "an incident nobody had",
        "there is no incident N-0000-0000; `vipflow incident list` shows those that are open",
        "incident",
        "show",
        "N-0000-0000",
        code=4,
    ),
    asked(
        "a mail nobody wrote",
        "there is no message x; `vipflow mail list` shows their keys",
        "mail",
        "show",
        "x",
        code=4,
    ),
    asked(
        "all mails onto a file",
        "--out: /dev/full cannot be made: File exists; name another folder",
        "mail",
        "preview",
        "--all",
        "--out",
        "/dev/full",
        code=2,
    ),
    asked(
        "a template nobody has",
        (
            "there is no template invitaton; there are authorization_cancelled, authorization_expired, "
            "authorization_late, customer_added_products, deactivation_near, deactivation_notice, digest, "
            "incident_opened, invitation, invitation_accepted, invitation_reminder, licences_deactivated, "
            "licences_ending, mail_bounced, order_to_place, payment_overdue, payment_received, "
            "payment_reminder, products_added, renewal_coming, renewal_confirmed, renewal_open, "
            "renewal_partly_confirmed, renewal_reminder, renewal_to_follow, renewal_to_prepare, "
            "return_approved, return_refused (did you mean invitation?)"
        ),
        "mail",
        "preview",
        "invitaton",
        code=4,
    ),
    asked(
        "a command mistyped",
        (
            "No such command 'custmer'. Did you mean 'customer', 'timers'?\n"
            "\n"
            "Usage: vipflow [OPTIONS] COMMAND [ARGS]...\n"
            "More: vipflow --help"
        ),
        "custmer",
        "list",
    ),
    asked(
        "an option mistyped",
        (
            "No such option: --serach (Possible options: --search)\n"
            "\n"
            "Usage: vipflow customer list [OPTIONS]\n"
            "More: vipflow customer list --help"
        ),
        "customer",
        "list",
        "--serach",
        "x",
    ),
    asked(
        "an argument that is no UTF-8", "The argument 'x\\udcff' is not UTF-8; type it in UTF-8.", "history", "x\udcff"
    ),
]

SEVERAL = b"""
[database]
url = "mysql://x"
[mail]
transport = "pigeon"
[smtp]
rate = 0
[daemon]
port = "http"
[databse]
"""
WORKFLOW = b"""from vipflow import State, Workflow

raise RuntimeError("nobody thought of this")
"""
OWN = b'[folders]\nworkflows = "w"\n'
TEMPLATES = f"[folders]\nemail_templates = ['{shipped('email_templates')}', 't']\n".encode()


def configured(name: str, says: str, config: bytes, code: int = 2) -> Row:
    """A command where config.toml reads so."""
    return alone(name, says, "timers", code=code, files={"config.toml": config})


def checked(name: str, says: str, code: int = 1, /, **files: bytes) -> Row:
    """`check` of files of one's own."""
    return alone(name, says, "check", code=code, files=files)


FILES = [
    asked(
        "posting a file that is not there",
        "nowhere.jsonl: it cannot be read (No such file or directory); name a file of JSON lines, or -",
        "event",
        "post",
        "nowhere.jsonl",
    ),
    asked(
        "posting a folder",
        ".: it cannot be read (Is a directory); name a file of JSON lines, or -",
        "event",
        "post",
        ".",
    ),
    asked(
        "posting a spreadsheet",
        ("x.xlsx: it is a spreadsheet or another zipped file, not JSON lines; name a file of JSON lines, or -"),
        "event",
        "post",
        "x.xlsx",
        files={"x.xlsx": b"PK\x03\x04\x14\0\x06\0"},
    ),
    asked(
        "posting UTF-16",
        "x.jsonl: it is text in UTF-16, not JSON lines; name a file of JSON lines, or -",
        "event",
        "post",
        "x.jsonl",
        files={"x.jsonl": "{}\n".encode("utf-16")},
    ),
    asked(
        "posting a binary",
        (
            "line 1: bad input: the event: it is no JSON (Expecting value, at character 1); send one JSON "
            "object per line\n"
            "line 2: bad input: the event: it is not UTF-8 (byte 0); write it in UTF-8"
        ),
        "event",
        "post",
        "x",
        files={"x": b"\x7fELF\x02\x01\n\x80"},
    ),
    asked(
        "posting with Windows line ends",
        (
            "line 1: bad input: the event: its source is missing; give source as 1 to 240 characters\n"
            'line 3: bad input: the event: it is not a JSON object; write {"specversion": "1.0", "type": …, '
            '"source": …, "id": …, …}'
        ),
        "event",
        "post",
        "x",
        files={"x": b"{}\r\n\r\n[]\r\n"},
    ),
    asked(
        "posting from a source with an escape",
        (
            "line 1: bad input: the source of events that name none: it holds the character U+001B, which "
            "text cannot hold; remove it"
        ),
        "event",
        "post",
        "x",
        "--source",
        "a\x1b[1m",
        files={"x": b"{}"},
    ),
    asked(
        "verdicts into a folder",
        ".: it cannot be written (Is a directory); name another file",
        "event",
        "post",
        "x",
        "--verdicts",
        ".",
        files={"x": b""},
    ),
    asked(
        "verdicts onto a full disk",
        (
            "/dev/full: it cannot be written (No space left on device); all that was posted stands: make "
            "room and post the same file again"
        ),
        "event",
        "post",
        "x",
        "--verdicts",
        "/dev/full",
        code=1,
        files={"x": b"{}"},
    ),
    asked("importing a folder", ".: it cannot be read: it is a folder; name a CSV file", "customer", "import", "."),
    asked(
        "importing an empty file",
        "x.csv: it is empty; its first line names the columns",
        "customer",
        "import",
        "x.csv",
        files={"x.csv": b""},
    ),
    asked(
        "importing a spreadsheet",
        "x.csv: it is a spreadsheet; save it as CSV",
        "customer",
        "import",
        "x.csv",
        files={"x.csv": b"PK\x03\x04\x14\0\x06\0"},
    ),
    asked(
        "simulating what is not there",
        "x: it cannot be read (No such file or directory); name a file of JSON lines",
        "simulate",
        "x",
        "--from",
        "2024-01-01",
        "--until",
        "2024-02-01",
    ),
    asked(
        "simulating backwards",
        "--until: 2024-01-01 is before --from 2024-02-01; give a later day",
        "simulate",
        "x",
        "--from",
        "2024-02-01",
        "--until",
        "2024-01-01",
        files={"x": b""},
    ),
    asked(
        "a config that is not there",
        "nowhere.toml: there is no such file (named with --config)",
        "timers",
        "--config",
        "nowhere.toml",
    ),
    asked(
        "a folder for a config",
        ".: it cannot be read (Is a directory); name a file that this user may read (named with --config)",
        "timers",
        "--config",
        ".",
    ),
    configured(
        "a config with five mistakes",
        (
            "config.toml: 5 problems\n"
            "  - database.url = 'mysql://x': write sqlite:///<path> or "
            "postgresql://<user>:<password>@<host>/<name>\n"
            '  - mail.transport = \'pigeon\': write "file" or "smtp"\n'
            "  - smtp.rate = 0: write more than 0\n"
            "  - daemon.port = 'http': write a whole number\n"
            "  - there is no section databse (did you mean database?)"
        ),
        SEVERAL,
    ),
    configured(
        "a config that is no UTF-8", "config.toml: it is not UTF-8 (byte 0); name a text file saved in UTF-8", b"\xff"
    ),
    configured(
        "a config that is no TOML",
        (
            "config.toml: it is not TOML: Invalid value (at end of document); settings are written [section] "
            "and, below, name = value"
        ),
        b"a = ",
    ),
    configured(
        "a config nested too deep",
        "config.toml: it is nested too deep to be read; settings have sections and values",
        b"x = " + b"[" * 20_000,
    ),
    configured(
        "a config with a number of 6,000 digits",
        "config.toml: it holds a number of too many digits; write one that can be",
        b"[mail]\ncopies = " + b"9" * 6000,
    ),
    configured(
        "an empty database",
        "config.toml: database.url = '': it is empty; write a text, or leave it out",
        b'[database]\nurl = ""',
    ),
    configured(
        "a database with a NUL",
        "config.toml: database.url = 'sqlite:///a\\x00b': it holds control characters; remove them",
        b'[database]\nurl = "sqlite:///a\\u0000b"',
    ),
    configured(
        "a database with a name too long",
        (
            "the database "
            "{folder}/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxxxxx: it cannot be reached (File name too long); check its path and permissions"
        ),
        b'[database]\nurl = "sqlite:///' + b"x" * 300 + b'"',
        1,
    ),
    configured(
        "a database in no folder",
        "the database {folder}/nowhere/v.db: there is none yet; make it with `vipflow db migrate`",
        b'[database]\nurl = "sqlite:///nowhere/v.db"',
        1,
    ),
    configured(
        "a database on no server",
        (
            "the database postgresql://u:***@127.0.0.1:1/x: no connection (connection failed: connection to "
            'server at "127.0.0.1", port 1 failed: Connection refused); check that the server runs, and the '
            "address, names and password"
        ),
        b'[database]\nurl = "postgresql://u:tops3cret@127.0.0.1:1/x"',
        1,
    ),
    configured(
        "a port that is a word",
        (
            "config.toml: database.url = 'postgresql://host:port/name': it is no URL; write sqlite:///<path> "
            "or postgresql://<user>:<password>@<host>/<name>"
        ),
        b'[database]\nurl = "postgresql://host:port/name"',
    ),
    configured(
        "a clock at the end of time",
        "config.toml: clock.stands_at = 9999-12-31 23:59:59+00:00: write an instant from 1990 to 2999",
        b"[clock]\nstands_at = 9999-12-31T23:59:59Z",
    ),
    configured(
        "a clock of no place",
        ("config.toml: clock.stands_at = 2024-01-01 00:00:00: write it with its offset, e.g. 2025-12-31T18:00:00Z"),
        b"[clock]\nstands_at = 2024-01-01T00:00:00",
    ),
    configured("a speed that is no number", "config.toml: clock.speed = nan: write a number", b"[clock]\nspeed = nan"),
    configured(
        "a domain that is none",
        "config.toml: mail.domain = '-': write a domain name, such as mail.example.com",
        b'[mail]\ndomain = "-"',
    ),
    configured(
        "a grace for ever",
        "config.toml: daemon.grace_minutes = 1e+308: write 10,080 or less",
        b"[daemon]\ngrace_minutes = 1e308",
    ),
    checked(
        "a workflow file that leaves",
        (
            "\nworkflows:\n  - w/mine.py line 3: it ends the program (sys.exit); a workflow file only declares\n"
            "        sys.exit(3)\n\n1 problem."
        ),
        1,
        **{"config.toml": OWN, "w/mine.py": b"import sys\n\nsys.exit(3)\n"},
    ),
    checked(
        "a workflow file that wants what is not there",
        (
            "\n"
            "workflows:\n"
            "  - w/mine.py line 1: there is no module 'nowhere_at_all'; install it beside vipflow, or do without it\n"
            "        import nowhere_at_all\n"
            "\n"
            "1 problem."
        ),
        1,
        **{"config.toml": OWN, "w/mine.py": b"import nowhere_at_all\n"},
    ),
    checked(
        "a workflow file that is no Python",
        ("\nworkflows:\n  - w/mine.py line 1: this is no Python: invalid syntax\n        def\n\n1 problem."),
        1,
        **{"config.toml": OWN, "w/mine.py": b"def"},
    ),
    checked(
        "a workflow file that is binary",
        ("\nworkflows:\n  - w/mine.py: this is no Python: source code string cannot contain null bytes\n\n1 problem."),
        1,
        **{"config.toml": OWN, "w/mine.py": b"\x7fELF\0\xff"},
    ),
    checked(
        "a workflow folder without any",
        (
            "\n"
            "workflows:\n"
            "  - the folder {folder}/w: it holds no workflow file; write one, or name another folder\n"
            "\n"
            "1 problem."
        ),
        1,
        **{"config.toml": OWN, "w/mine.txt": b""},
    ),
    checked(
        "templates that loop, and other things no mail should do",
        (
            "\n"
            "e-mail templates:\n"
            "  - t/payment_reminder/de: is not read; mails are written in fr and en\n"
            "  - t/invitation/fr/subject.txt line 1: '__mro__' is no fact\n"
            "        {{ customer.__class__.__mro__ }}\n"
            "  - t/invitation/en/subject.txt line 1: nothing can be computed; let the workflow's vocabulary give the "
            "fact\n"
            "        {{ 9**9**9 }}\n"
            "  - t/payment_reminder/fr/body.txt: it is not UTF-8 (byte 0); save it in UTF-8\n"
            "  - t/payment_reminder/en/body.txt line 1: {% if %} is never closed; write {% endif %} where it ends\n"
            "        {% if company %}\n"
            "  - t/payment_received/fr/body.txt line 1: payment_received/fr/body.txt includes "
            "payment_received/fr/body.txt, without end; take one {% include %} out\n"
            "        {% include 'payment_received/fr/body.txt' %}\n"
            "  - t/payment_received/en/body.txt line 1: a loop is written {% for line in lines %}, "
            "over a list of the facts\n"
            "        {% for x in range(10**9) %}.{% endfor %}\n"
            "\n"
            "7 problems."
        ),
        1,
        **{
            "config.toml": TEMPLATES,
            "t/payment_received/en/body.txt": b"{% for x in range(10**9) %}.{% endfor %}",
            "t/payment_received/fr/body.txt": b"{% include 'payment_received/fr/body.txt' %}",
            "t/invitation/en/subject.txt": b"{{ 9**9**9 }}",
            "t/invitation/fr/subject.txt": b"{{ customer.__class__.__mro__ }}",
            "t/payment_reminder/en/body.txt": b"{% if company %}",
            "t/payment_reminder/fr/body.txt": b"\xff",
            "t/payment_reminder/de/body.txt": b"x",
        },
    ),
    checked(
        "a policy that is no TOML",
        (
            "\n"
            "policies:\n"
            "  - p/mine.toml: Invalid value (at end of document); a policy file has name, description and "
            "[[versions]]\n"
            "\n"
            "1 problem."
        ),
        1,
        **{"config.toml": b'[folders]\npolicies = "p"', "p/mine.toml": b"name = "},
    ),
    checked(
        "a catalogue that is no catalogue",
        (
            "\n"
            "catalogue:\n"
            "  - c.toml line 1: product 1 (3): sku = 3: expected 8 digits, CA, CB or CC, two characters of level, "
            "A12\n"
            "        [[products]]\n"
            "  - c.toml line 1: product 1 (3): name is missing\n"
            "        [[products]]\n"
            "  - c.toml line 1: product 1 (3): segment is missing\n"
            "        [[products]]\n"
            "  - c.toml line 1: product 1 (3): family is missing\n"
            "        [[products]]\n"
            "\n"
            "4 problems."
        ),
        1,
        **{"config.toml": b'[folders]\ncatalogues = "c.toml"', "c.toml": b"[[products]]\nsku = 3\n"},
    ),
    checked(
        "a workflow file that raises",
        (
            "\nworkflows:\n  - w/mine.py line 3: it raises RuntimeError: nobody thought of this\n"
            '        raise RuntimeError("nobody thought of this")\n\n1 problem.'
        ),
        1,
        **{"config.toml": OWN, "w/mine.py": WORKFLOW},
    ),
]
