"""Writing mails: from a job, which is plain data, to the bytes that leave. Here, or in a child process that takes the
same jobs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from vipflow.case import Addressing, Mailbox, Tenant
from vipflow.delivery.digest import render_digest
from vipflow.delivery.eml import Address, build_mail
from vipflow.delivery.render import Rendered, Templates
from vipflow.engine.batch import told


class Part(msgspec.Struct, frozen=True):
    """A template and the words that it is given, as JSON text."""

    template: str
    context: str


class Job(msgspec.Struct, frozen=True):
    """One mail to be written, in the tenant's own words and colours. With several `parts` it is a digest of them."""

    tenant: Tenant
    parts: tuple[Part, ...]
    language: str
    addressing: Addressing
    message_id: str
    dated_at: datetime
    headers: dict[str, str]


class Written(msgspec.Struct, frozen=True):
    """The bytes of a mail, and their SHA-256 in hexadecimal."""

    content: bytes
    digest: str


class Unwritable(msgspec.Struct, frozen=True):
    """Why a mail cannot be written: the template and its words do not go together, or an address is none."""

    problem: str


class Writer(Protocol):
    """Writes mails. Called in a thread, by one round at a time."""

    def write_all(self, jobs: Sequence[Job]) -> Sequence[Written | Unwritable]:
        """What became of each job, in their order. It raises only where no mail at all can be written."""


class WriterHere:
    """Writes in this process: for the templates that come with vipflow, a demo, a simulation."""

    def __init__(self, templates: Templates) -> None:
        self.templates = templates

    def write_all(self, jobs: Sequence[Job]) -> Sequence[Written | Unwritable]:
        return [self._write(job) for job in jobs]

    def _write(self, job: Job) -> Written | Unwritable:
        try:
            content = _built(job, self._rendered(job))
        except Exception as fault:  # one bad record stops only itself
            return Unwritable(told(fault))
        return Written(content, hashlib.sha256(content).hexdigest())

    def _rendered(self, job: Job) -> Rendered:
        zone = job.tenant.zone
        contexts = [msgspec.json.decode(part.context) for part in job.parts]
        rendered = [
            self.templates.render(part.template, job.language, context, zone)
            for part, context in zip(job.parts, contexts, strict=True)
        ]
        if len(rendered) == 1:
            return rendered[0]
        return render_digest(self.templates, job.language, contexts[0], job.dated_at, zone, rendered)


def _built(job: Job, rendered: Rendered) -> bytes:
    people = job.addressing
    return build_mail(
        rendered,
        message_id=job.message_id,
        sender=_address(people.sender),
        reply_to=_address(people.reply_to) if people.reply_to is not None else None,
        to=[_address(each) for each in people.to],
        cc=[_address(each) for each in people.cc],
        date=job.dated_at,
        headers=job.headers,
    )


def _address(mailbox: Mailbox) -> Address:
    return Address(mailbox.name, mailbox.email)
