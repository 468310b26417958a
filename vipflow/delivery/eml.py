"""From what a mail says to the bytes that are sent: the same input gives the same bytes, today and on every retry.

Addresses are checked here, once, because the libraries below forgive too much: one of them sends only to the first of
two addresses in one text, and accepts an empty one.
"""

from __future__ import annotations

import base64
import hashlib
import re
from binascii import b2a_qp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from vipflow.delivery.render import Rendered
from vipflow.errors import VipflowError

MESSAGE_HEADER = "X-Vipflow-Message"
"""The header that carries a message's key, so that a bounce finds it again."""

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_EOL = "\r\n"
_LONGEST_PLAIN = 200  # a line may have 998 characters (RFC 5322, 2.1.1), and most programs fold at 78
_WORD = 75 - len("=?utf-8?q??=")  # RFC 2047, 2
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_OURS = {
    "from",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "auto-submitted",
    "mime-version",
    "sender",
}


class MailError(VipflowError):
    """Raised when a mail cannot be built as asked: an address that is none, a line break in a header, no recipient.

    >>> print(MailError("the address ''", "it is empty", "give one, such as name@example.com"))
    the address '': it is empty; give one, such as name@example.com
    """

    exit_code = 2

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        super().__init__(f"{what}: {problem}; {remedy}")
        self.what = what
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True)
class Address:
    """One person's address, checked: `email` is plain ASCII, `name` any text of one line.

    An accented domain becomes its `xn--` form. Raises `MailError` where it is not exactly one address.
    """

    name: str
    email: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "email", _checked(self.email))
        if _CONTROL.search(self.name):
            raise MailError(
                f"the name {self.name!r}", "it holds a line break or another control character", "remove it"
            )

    def __str__(self) -> str:
        """As people read it.

        >>> str(Address("Le Goff, Camille", "camille@example.com"))
        '"Le Goff, Camille" <camille@example.com>'
        """
        return f"{_quoted(self.name)} <{self.email}>" if self.name else self.email


def plain_address(email: str) -> str:
    """An address as it is compared: in small letters, an accented domain in its `xn--` form; as it is where it is none.

    >>> plain_address("Zoe@Élan.example")
    'zoe@xn--lan-9la.example'
    """
    try:
        return _checked(email).lower()
    except MailError:
        return email.lower()


def build_mail(
    rendered: Rendered,
    *,
    message_id: str,
    sender: Address,
    reply_to: Address | None,
    to: Sequence[Address],
    cc: Sequence[Address] = (),
    date: datetime,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """The mail, ready for SMTP: its text and its HTML as alternatives, CRLF line ends, ASCII, quoted-printable.

    `date` is aware; `headers` are further ones. The envelope's recipients are the `email` of `to` and `cc`; who
    stands in both is written in `to` alone. Raises `MailError`.
    """
    if not to:
        raise MailError("a mail", "it is addressed to nobody", "give at least one address")
    if date.tzinfo is None:
        raise MailError(f"the date {date}", "it names no time zone", "pass an aware datetime")
    if not re.fullmatch(r"<[!-;=?-~]+@[!-;=?-~]+>", message_id):
        raise MailError(
            f"the Message-ID {message_id!r}", "it is not of the form <left@domain>", "make it with message_id()"
        )

    lines = [
        f"Message-ID: {message_id}",
        f"Date: {format_datetime(date)}",
        _people("From", [sender]),
        *([_people("Reply-To", [reply_to])] if reply_to else []),
        _people("To", to),
    ]
    written = {person.email for person in to}
    if copies := [person for person in cc if person.email not in written]:
        lines.append(_people("Cc", copies))
    lines += [_words("Subject", rendered.subject), "Auto-Submitted: auto-generated"]
    for name, value in (headers or {}).items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS or name.lower().startswith("content-"):
            raise MailError(
                f"the header {name!r}", "it is not one that may be added", "use a name such as X-Shop-Order"
            )
        lines.append(_words(name, value))
    lines.append("MIME-Version: 1.0")
    text = _part("plain", rendered.text)
    if rendered.html is None:
        return _EOL.join(lines).encode("ascii") + _EOL.encode() + text
    # "=_" stands in no quoted-printable text, so no part can hold the boundary (RFC 2045, 6.7).
    boundary = f"=_{hashlib.sha256(message_id.encode()).hexdigest()[:32]}"
    lines += ["Content-Type: multipart/alternative;", f' boundary="{boundary}"', "", ""]
    parts = b"".join(
        f"--{boundary}{_EOL}".encode() + part + _EOL.encode() for part in (text, _part("html", rendered.html))
    )
    return _EOL.join(lines).encode("ascii") + parts + f"--{boundary}--{_EOL}".encode()


def _part(kind: str, content: str) -> bytes:
    """A part with its headers. What mail programs show best stands last (RFC 2046, 5.1.4)."""
    head = f'Content-Type: text/{kind}; charset="utf-8"{_EOL}Content-Transfer-Encoding: quoted-printable{_EOL * 2}'
    plain = content.replace("\r\n", "\n").replace("\r", "\n")
    return head.encode() + b"\r\n".join(map(_quoted_printable, plain.split("\n")))


@lru_cache(maxsize=4096)
def _quoted_printable(line: str) -> bytes:
    """A line in quoted-printable, soft breaks and all. Most lines of a mail are those of its template and layout."""
    return b2a_qp(line.encode("utf-8", "replace")).replace(b"\n", b"\r\n")


def message_id(tenant_key: str, message_key: str, domain: str) -> str:
    """The Message-ID of a message: the same whenever it is asked for, different for every other message and tenant.

    >>> message_id("atelier", "PA-4M2X-8TQH:3:payment_reminder:contact", "mail.example.com")
    '<146dd7406fce3acfaac69f326be739bd@mail.example.com>'
    """
    digest = hashlib.sha256(f"{tenant_key}\0{message_key}".encode()).hexdigest()[:32]
    return f"<{digest}@{_domain(domain, f'the domain {domain!r}')}>"


def _checked(email: str) -> str:
    what = f"the address {email!r}"
    if not email.strip():
        raise MailError(what, "it is empty", "give one, such as name@example.com")
    if _CONTROL.search(email):
        raise MailError(what, "it holds a line break or another control character", "remove it")
    if email.count("@") > 1 or re.search(r"[,;\s<>]", email):
        raise MailError(
            what, "it is not exactly one bare address", "write name@example.com alone, one address per field"
        )
    local, at, domain = email.partition("@")
    if not at or not local or not domain:
        raise MailError(what, "it is no e-mail address", "it is written name@example.com")
    if not _LOCAL.fullmatch(local) or len(local) > 64:
        raise MailError(
            what,
            f"{local!r} before the @ cannot be delivered everywhere",
            "use letters without accents, digits and . _ - +",
        )
    address = f"{local}@{_domain(domain, what)}"
    if len(address) > 254:
        raise MailError(what, "it is longer than 254 characters", "check it")
    return address


def _domain(domain: str, what: str) -> str:
    try:
        plain = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        plain = ""
    labels = plain.split(".")
    if len(plain) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise MailError(what, f"{domain!r} is no domain name", "check what stands after the @, such as example.com")
    return plain


# The headers are written here and not by EmailMessage: up to Python 3.11 at least it folds long names with accents into
# something that it cannot read back, and each release folds differently. Encoded words are ours too: `email.header`
# takes as long for them as the rest of a mail takes.


def _people(header: str, people: Sequence[Address]) -> str:
    return f"{header}: " + f",{_EOL} ".join(map(_mailbox, people))


def _mailbox(person: Address) -> str:
    if not person.name:
        return person.email
    return f"{_quoted(person.name) if _is_plain(person.name) else _encoded(person.name)} <{person.email}>"


def _words(header: str, text: str) -> str:
    if _CONTROL.search(text):
        raise MailError(f"the header {header}", "it holds a line break or another control character", "remove it")
    return f"{header}: {text if _is_plain(text) else _encoded(text, header)}"


def _is_plain(text: str) -> bool:
    """Whether a header can hold it as it is: ASCII, not looking like an encoded word, and a line's length at most."""
    return text.isascii() and "=?" not in text and len(text) <= _LONGEST_PLAIN


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@lru_cache(maxsize=1024)
def _encoded(text: str, header: str = "Reply-To") -> str:
    """Text as encoded words (RFC 2047), each of at most 75 characters and of whole characters, folded between words."""
    written = [_q(each) for each in text]
    in_base64 = sum(map(len, written)) > len(text.encode()) * 4 / 3
    words: list[str] = []
    piece, size, room = "", 0, _WORD - len(header) - 2
    for character, as_q in zip(text, written, strict=True):
        length = len(character.encode()) if in_base64 else len(as_q)
        if piece and (4 * ((size + length + 2) // 3) if in_base64 else size + length) > room:
            words.append(piece)
            piece, size, room = "", 0, _WORD
        piece, size = piece + (character if in_base64 else as_q), size + length
    words.append(piece)
    if in_base64:
        return f"{_EOL} ".join(f"=?utf-8?b?{base64.b64encode(word.encode()).decode()}?=" for word in words)
    return f"{_EOL} ".join(f"=?utf-8?q?{word}?=" for word in words)


@lru_cache(maxsize=4096)
def _q(character: str) -> str:
    """A character in the Q encoding, in the form that may stand in a name too."""
    if character == " ":
        return "_"
    if character.isascii() and (character.isalnum() or character in "!*+-/"):
        return character
    return "".join(f"={byte:02X}" for byte in character.encode())
