"""Mails that come back: which addresses are not written to any more, and how the subject's workflow learns of it.

An address counts as gone where the server says so of the mailbox itself: enhanced codes 5.1.x (of the recipient) and
5.2.1, or 550, 551 and 553 in answer to RCPT without such a code and without words of a policy. What is refused for its
content, its size or its sender says nothing of the address.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from email.header import decode_header, make_header
from typing import Any

import msgspec

from vipflow.case import Actor, Tenant
from vipflow.delivery.claiming import headers_of
from vipflow.delivery.eml import plain_address
from vipflow.delivery.transport import Outcome, Parcel, Refused
from vipflow.engine import Engine
from vipflow.engine.envelope import LONGEST_WORD, Envelope
from vipflow.errors import VipflowError
from vipflow.machine import Workflows
from vipflow.policy import canonical_json

SOURCE = "vipflow/bounces"
"""The source of all events that tell of a bounce: whoever tells of it, it counts once for a message and an address."""

# Not a part of an IP address, which refusals by block lists quote.
_ENHANCED = re.compile(r"(?<![\w.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\w)")
_REPLY = re.compile(r"(?<![\w.])([2-5]\d\d)(?=[ -]|$)")
_SENDERS_FAULT = frozenset({("1", "7"), ("1", "8")})  # RFC 3463: of the sender's address
_OF_A_POLICY = re.compile(
    r"spam|block|black ?list|listed|denied|polic|relay|reputation|abuse|authenticat|\bspf\b|dkim|dmarc|rate|limit|"
    r"too many|greylist|content|virus",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class MessageBounce(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mail of ours came back to the mailbox that reads bounces: from which address, and in which words."""

    address: str
    diagnosis: str = ""
    """What the other server said."""
    message: str | None = None
    """Which of our messages it was: its key (the header X-Vipflow-Message), or its Message-ID."""
    permanent: bool = True
    """`false` for a delay: the address is still written to. So it is where the diagnosis speaks of a policy, not of the
    mailbox."""


def refused_for_good(outcome: Outcome) -> Sequence[Refused]:
    """Those of the addresses that an outcome refused which are not to be written to any more."""
    return [each for each in outcome.refused if is_gone(each.code, each.says)]


def is_gone(code: int, says: str) -> bool:
    """Whether an answer to RCPT says that there is no such mailbox, now and later.

    >>> is_gone(550, "5.1.1 no such user"), is_gone(550, "5.7.1 relaying denied"), is_gone(550, "no such user here")
    (True, False, True)
    >>> is_gone(550, "blocked, see example.com"), is_gone(552, "5.2.2 mailbox full"), is_gone(450, "4.2.0 greylisted")
    (False, False, False)
    >>> is_gone(550, "client 5.1.97.3 is blocked"), is_gone(550, "10.5.1.2 is listed")
    (False, False)
    """
    if not 500 <= code < 600:
        return False
    enhanced = _ENHANCED.search(says)
    if enhanced is not None:
        kind, subject, detail = enhanced.groups()
        known = subject == "1" and (subject, detail) not in _SENDERS_FAULT
        return kind == "5" and (known or (subject, detail) == ("2", "1"))
    return code in (550, 551, 553) and not _OF_A_POLICY.search(says)


def code_in(diagnosis: str) -> int:
    """The reply code that a bounce quotes; 550 where it quotes none.

    >>> code_in("smtp; 452 4.2.2 mailbox full"), code_in("550-5.1.1 no such user"), code_in("no such user")
    (452, 550, 550)
    """
    found = _REPLY.search(diagnosis)
    return int(found[1]) if found is not None else 550


def suppression_row(tenant: Tenant, message: str | None, refused: Refused, now: datetime) -> tuple[Any, ...]:
    """For `outgoing.SUPPRESS`."""
    return tenant.id, plain_address(refused.address), now, plain(f"{refused.code} {refused.says}", 300), message


def tell_subject(engine: Engine, tenant: Tenant, row: Any, parcel: Parcel | None, outcome: Outcome) -> None:
    """Tells the workflow of a message's subject which addresses refused it. Where that cannot be kept the incident of
    the dead mail still stands.
    """
    refused = outcome.refused
    if not refused and outcome.kind == "permanent" and outcome.stage != "sender" and parcel is not None:
        refused = tuple(Refused(each, outcome.code or 0, outcome.says) for each in parcel.recipients[:1])
    line = subject_line_of(parcel.content) if parcel is not None else ""
    for each in refused:
        event = bounce_event(
            engine.workflows, row.key, row.template, f"{engine.workflows.root.collection}/{row.subject}",
            each.address, plain(f"{each.code or ''} {each.says}"), line, Actor("system", SOURCE),
        )  # fmt: skip
        if event is not None:
            with suppress(VipflowError):
                engine.post(tenant.id, [event])


def bounce_event(
    workflows: Workflows,
    key: str,
    template: str,
    subject: str,
    address: str,
    diagnosis: str,
    subject_line: str,
    actor: Actor,
    occurred_at: datetime | None = None,
) -> Envelope | None:
    """The event by which a subject's workflow learns that a message came back from an address; the same however often
    that is told. None where the workflow does not ask, and for the mail that such an event itself writes.
    """
    root = workflows.root
    if root.on_bounce is None or is_about_a_bounce(workflows, template):
        return None
    said = {"address": address, "subject_line": subject_line, "diagnosis": diagnosis, "message": key}
    kind = root.data_of(root.on_bounce)
    known = getattr(kind, "__struct_fields__", ())
    data: Any = msgspec.convert({name: value for name, value in said.items() if name in known}, kind)
    event_type = f"{root.name}.{root.on_bounce}"
    body = canonical_json({"type": event_type, "subject": subject, "time": None, "data": said})
    # What it is identified by is the message and the address: the words differ from server to server.
    identity = hashlib.sha256(
        canonical_json({"type": event_type, "data": [key, plain_address(address)]}).encode()
    ).hexdigest()
    return Envelope(
        event_type, SOURCE, bounce_id(key, address), subject, occurred_at, data, actor, None, identity, body
    )  # fmt: skip


def is_about_a_bounce(workflows: Workflows, template: str) -> bool:
    """Whether a mail is one that tells of a bounce: of its own no further one is written."""
    root = workflows.root
    return any(mail.template == template for mail in root.mails_on_event.get(root.on_bounce or "", ()))


def bounce_id(key: str, address: str) -> str:
    """The event id of a bounce."""
    ident = f"{key}/{plain_address(address)}"
    if len(ident) > LONGEST_WORD:
        ident = f"{key[:120]}/{hashlib.sha256(ident.encode()).hexdigest()[:32]}"
    return ident


def subject_line_of(content: bytes) -> str:
    """The subject of a mail that was built before, as people read it."""
    return plain(str(make_header(decode_header(str(headers_of(content)["Subject"] or "")))), 240)


def plain(text: str, longest: int = 500) -> str:
    """One line that any database can keep, of what a server said."""
    return " ".join(_CONTROL.sub(" ", text).split())[:longest]
