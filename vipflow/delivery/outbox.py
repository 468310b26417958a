"""Delivery: what is written down leaves. A message is claimed, checked once more, rendered once, sent, and marked.

Claiming and marking are transactions of their own; rendering and sending happen between them, so a mail may leave
twice if the process dies in between, but never silently not at all. The bytes are kept before they first leave: every
copy is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from email import message_from_bytes
from email.utils import getaddresses
from typing import Any

import msgspec
from msgspec.structs import replace

from vipflow.case import Addressing, Case, Mailbox, Tenant, View
from vipflow.decide import still_true, superseded
from vipflow.delivery.eml import MESSAGE_HEADER, Address, MailError, build_mail, message_id
from vipflow.delivery.render import TemplateError, Templates
from vipflow.delivery.transport import Parcel, Transport
from vipflow.engine import Engine
from vipflow.engine.batch import Batch, Work
from vipflow.references import reference
from vipflow.store import outgoing
from vipflow.workflow import Person


class Waiting(msgspec.Struct, frozen=True):
    """A message as it waits: the names that `decide.still_true` and `decide.superseded` read, and its stored row."""

    key: str
    case: str
    template: str
    audience: str
    ladder: str | None
    row: Any


class DeliveryReport(msgspec.Struct, frozen=True):
    """What one round of delivery did."""

    sent: int = 0
    superseded: int = 0
    held: int = 0
    claimed: int = 0


class _Claimed(msgspec.Struct):
    waiting: Waiting
    tenant: Tenant
    addressing: Addressing | None


class Delivery:
    """Sends what waits in the outbox of an engine's database."""

    def __init__(self, engine: Engine, templates: Templates, transport: Transport, domain: str) -> None:
        self.engine = engine
        self.templates = templates
        self.transport = transport
        self.domain = domain

    def deliver(self, *, most: int = 200) -> DeliveryReport:
        """One round: at most `most` messages that may leave now, with the ladders they stand on. What is no longer
        true, or was overtaken by a newer one, is superseded; what cannot be written is held, and shown.
        """
        claimed, overtaken = self._claim(most)
        outcomes: list[tuple[int, str, str, int, datetime | None, str | None]] = []
        kept: list[tuple[int, str, str, str, bytes]] = []
        parcels: list[tuple[_Claimed, Parcel]] = []
        unwritable: list[tuple[_Claimed, str]] = []
        now = self.engine.clock.now()
        for each in claimed:
            try:
                parcel, digest = self._parcel(each)
            except (TemplateError, MailError) as fault:
                outcomes.append(
                    (each.tenant.id, each.waiting.key, "held", each.waiting.row.copies, None, str(fault)[:500])
                )
                unwritable.append((each, str(fault)))
                continue
            kept.append((each.tenant.id, each.waiting.key, parcel.message_id, digest, parcel.content))
            parcels.append((each, parcel))
        self._keep_bytes(kept)
        for each, parcel in parcels:
            self.transport.send(parcel)
            outcomes.append((each.tenant.id, each.waiting.key, "sent", each.waiting.row.copies + 1, now, None))
        self._finish(outcomes, [self._incident(each, problem, now) for each, problem in unwritable])
        held = sum(1 for o in outcomes if o[2] == "held")
        return DeliveryReport(len(outcomes) - held, overtaken, held, len(claimed))

    def next_leaving(self) -> datetime | None:
        """When the next message may leave; None when none waits."""
        with self.engine.database.read() as connection:
            return outgoing.next_leaving(connection)

    # --- claiming -------------------------------------------------------------------------------------------------

    def _claim(self, most: int) -> tuple[list[_Claimed], int]:
        """Marks what may leave as being sent, in one transaction, and says what was overtaken."""
        claimed: list[_Claimed] = []
        overtaken = 0
        with self.engine.database.write() as connection:
            now = self.engine.now(connection)
            due = outgoing.subjects_with_mail(connection, now, most)
            for tenant_id in sorted({row.tenant for row in due}):
                subjects = sorted({row.subject for row in due if row.tenant == tenant_id})
                batch = self.engine.batch(connection, tenant_id, now)
                batch.lock(subjects, skip_locked=True)
                rows = outgoing.waiting_messages(connection, tenant_id, sorted(batch.works))
                waiting = sorted((_waiting(row) for row in rows), key=lambda each: each.key)
                batch.load_cases({w.case for w in waiting})
                leaving, gone = self._judge(batch, waiting, now)
                outgoing.CLAIM.run(
                    connection,
                    [(tenant_id, each.waiting.key, "sending", each.waiting.row.attempts + 1) for each in leaving],
                )
                outgoing.FINISH.run(
                    connection, [(tenant_id, w.key, "superseded", w.row.copies, None, why) for w, why in gone]
                )
                claimed += leaving
                overtaken += len(gone)
        return claimed, overtaken

    def _judge(
        self, batch: Batch, waiting: Sequence[Waiting], now: datetime
    ) -> tuple[list[_Claimed], list[tuple[Waiting, str]]]:
        leaving: list[_Claimed] = []
        gone: list[tuple[Waiting, str]] = []
        by_subject: dict[str, list[Waiting]] = {}
        for message in waiting:
            by_subject.setdefault(message.row.subject, []).append(message)
        for subject, messages in by_subject.items():
            work = batch.works[subject]
            true = []
            for message in messages:
                view, case = self._view(batch, work, message)
                if case is not None and still_true(self.engine.workflows[case.workflow], message, case, view):
                    true.append(message)
                else:
                    gone.append((message, "no longer true"))
            old = superseded(true)
            for message in true:
                if message.key in old:
                    gone.append((message, "a newer one of its ladder leaves"))
                elif message.row.not_before <= now:
                    view, _ = self._view(batch, work, message)
                    person = msgspec.json.decode(message.row.person, type=Person)
                    leaving.append(_Claimed(message, batch.tenant, self.engine.trade.addressing(view, person)))
        return leaving, gone

    def _view(self, batch: Batch, work: Work, message: Waiting) -> tuple[View, Case | None]:
        case = work.seen.get(message.case)
        return replace(work.view, case=case, at=batch.now), case

    # --- making and marking ---------------------------------------------------------------------------------------

    def _parcel(self, claimed: _Claimed) -> tuple[Parcel, str]:
        row, tenant = claimed.waiting.row, claimed.tenant
        if row.body is not None:
            content = bytes(row.body)
            digest = row.content_hash
            recipients = tuple(recipients_of(content))
        else:
            addressing = claimed.addressing
            if addressing is None:
                raise MailError(
                    f"message {row.key}", "nobody is left to write to", "name an account manager or an admin"
                )
            words = msgspec.json.decode(row.context)
            rendered = self.templates.render(row.template, row.language, words, tenant.zone)
            content = build_mail(
                rendered,
                message_id=message_id(tenant.key, row.key, self.domain),
                sender=_address(addressing.sender),
                reply_to=_address(addressing.reply_to) if addressing.reply_to is not None else None,
                to=[_address(each) for each in addressing.to],
                cc=[_address(each) for each in addressing.cc],
                date=_leaves_at(row),
                headers={MESSAGE_HEADER: row.key},
            )
            digest = hashlib.sha256(content).hexdigest()
            recipients = tuple(recipients_of(content))
        return Parcel(
            tenant.key, row.key, message_id(tenant.key, row.key, self.domain), recipients, content, _leaves_at(row)
        ), digest

    def _keep_bytes(self, kept: Sequence[tuple[int, str, str, str, bytes]]) -> None:
        if kept:
            with self.engine.database.write() as connection:
                outgoing.KEEP_BYTES.run(connection, list(kept))

    def _finish(
        self,
        outcomes: Sequence[tuple[int, str, str, int, datetime | None, str | None]],
        incidents: Sequence[tuple[Any, ...]],
    ) -> None:
        if outcomes:
            with self.engine.database.write() as connection:
                outgoing.FINISH.run(connection, list(outcomes))
                outgoing.OPEN_INCIDENT.run(connection, list(incidents))

    def _incident(self, claimed: _Claimed, problem: str, now: datetime) -> tuple[Any, ...]:
        """A mail that cannot be written waits for a person; the transition that asked for it stands."""
        row, tenant = claimed.waiting.row, claimed.tenant
        cause = f"message:{row.key}/held"
        says = {
            "event": f"message.{row.template}",
            "fr": f"Le message « {row.template} » pour {row.case_ref} ne peut pas être écrit : {problem}",
            "en": f"The mail “{row.template}” for {row.case_ref} cannot be written: {problem}",
        }
        ident = reference("N", tenant.key, cause)
        return (
            tenant.id,
            ident,
            row.subject,
            row.case_ref,
            "mail_held",
            cause,
            msgspec.json.encode(says).decode(),
            now,
        )


def recipients_of(content: bytes) -> list[str]:
    """The envelope addresses of a mail that was built before."""
    mail = message_from_bytes(content)
    return [address for _, address in getaddresses([*mail.get_all("To", []), *mail.get_all("Cc", [])])]


def _leaves_at(row: Any) -> datetime:
    """The date of a mail: when it may leave, the same on every copy."""
    return max(row.created_at, row.not_before)  # type: ignore[no-any-return] # rows are typed by their columns alone


def _address(mailbox: Mailbox) -> Address:
    return Address(mailbox.name, mailbox.email)


def _waiting(row: Any) -> Waiting:
    return Waiting(row.key, row.case_ref, row.template, row.audience, row.ladder, row)
