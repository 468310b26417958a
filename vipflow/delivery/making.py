"""The making of a mail: from what is stored of it to the bytes that leave. All of it is computing, and nothing else.

What goes in and what comes out is plain data, so that it may happen in another process (`workshop.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import msgspec

from vipflow.case import Addressing, Mailbox
from vipflow.delivery.digest import Item, render_digest
from vipflow.delivery.eml import Address, build_mail
from vipflow.delivery.html import Brand
from vipflow.delivery.render import Templates
from vipflow.errors import VipflowError


class JobItem(msgspec.Struct, frozen=True):
    """A mail that becomes an item of a digest. `context`: its frozen facts, as the JSON text that is stored."""

    template: str
    context: str
    company: str


class Job(msgspec.Struct, frozen=True):
    """A mail to be made. `context`: its frozen facts, as the JSON text that is stored; `zone`: a time zone's name.

    With `items` it is a digest, and its template is told of them.
    """

    tenant: str
    template: str
    language: str
    context: str
    zone: str
    brand: Brand
    addressing: Addressing
    message_id: str
    date: datetime
    headers: Mapping[str, str] = {}
    items: tuple[JobItem, ...] = ()


class Made(msgspec.Struct, frozen=True, tag="made"):
    """A mail, ready to leave: its bytes with their SHA-256, and the envelope's addresses.

    `left_out`: the items that a digest could not take up, the place of each and why.
    """

    content: bytes
    digest: str
    sender: str
    recipients: tuple[str, ...]
    left_out: tuple[tuple[int, str], ...] = ()


class Unmade(msgspec.Struct, frozen=True, tag="unmade"):
    """A mail that cannot be made: `says` is for people, with file and line where a template is at fault."""

    says: str


def make(job: Job, templates: Templates) -> Made | Unmade:
    """The mail that a job asks for. `templates` are all there are: the reseller's own are found in them.

    The same job gives the same bytes. MemoryError alone is raised.
    """
    try:
        return _made(job, templates.of(job.tenant))
    except VipflowError as fault:
        return Unmade(str(fault))
    except MemoryError:
        raise
    except Exception as fault:  # one bad record stops only itself
        return Unmade(f"{type(fault).__name__}: {fault}")


def _made(job: Job, templates: Templates) -> Made:
    words, zone = msgspec.json.decode(job.context), _zone(job.zone)
    left_out: tuple[tuple[int, str], ...] = ()
    if job.items:
        items = [Item(each.template, msgspec.json.decode(each.context), each.company) for each in job.items]
        digest = render_digest(templates, job.language, words, items, zone, job.brand)
        rendered, left_out = digest.rendered, digest.left_out
    else:
        rendered = templates.render(job.template, job.language, words, zone, job.brand)
    asked = job.addressing
    sender = _address(asked.sender)
    to, cc = [_address(each) for each in asked.to], [_address(each) for each in asked.cc]
    content = build_mail(
        rendered,
        message_id=job.message_id,
        sender=sender,
        reply_to=_address(asked.reply_to) if asked.reply_to is not None else None,
        to=to,
        cc=cc,
        date=job.date,
        headers=job.headers,
    )
    recipients = tuple(dict.fromkeys(address.email for address in (*to, *cc)))
    return Made(content, hashlib.sha256(content).hexdigest(), sender.email, recipients, left_out)


def _address(mailbox: Mailbox) -> Address:
    return Address(mailbox.name, mailbox.email)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
