"""Delivery: what is written down leaves. A message is claimed, checked once more, rendered once, sent, and marked.

Claiming and marking are transactions of their own; rendering and sending happen between them, so a mail may leave
twice if the process dies in between, but never silently not at all. The bytes are kept before they first leave: every
copy is the same.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from email import message_from_bytes
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from vipflow.case import Addressing, Case, Mailbox, Tenant, View
from vipflow.decide import still_true, superseded
from vipflow.delivery.eml import MESSAGE_HEADER, Address, MailError, build_mail, message_id
from vipflow.delivery.html import brand_of
from vipflow.delivery.render import Templates
from vipflow.delivery.transport import Parcel, Transport
from vipflow.engine import Engine
from vipflow.engine.batch import Batch, Work, told
from vipflow.errors import Busy
from vipflow.references import reference
from vipflow.store import outgoing
from vipflow.store.database import DatabaseUnusable
from vipflow.workflow import Person

MAYBE_LEFT = "whoever had it in hand is gone; a copy may have left"


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
    failed: int = 0
    """Of these the transport took none; they are tried again."""
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
        true, or was overtaken by a newer one, is superseded; what cannot be written is held, and shown; what cannot be
        sent is tried again later. What an earlier round took in hand and never put down is taken up again.
        """
        self._take_up_again(most)
        claimed, overtaken, held = self._claim(most)
        ready: list[tuple[_Claimed, Parcel, str]] = []
        unwritable: list[tuple[_Claimed, str]] = []
        for each in claimed:
            try:
                ready.append((each, *self._parcel(each)))
            except Exception as fault:  # one bad record stops only itself
                unwritable.append((each, told(fault)))
        sent: list[_Claimed] = []
        failed: list[tuple[_Claimed, str]] = []
        try:
            self._keep_bytes(ready)
            parcels = [parcel for _, parcel, _ in ready]
            outcomes = asyncio.run(self.transport.send(parcels, self.engine.clock.now())) if parcels else ()
            for (each, _, _), outcome in zip(ready, outcomes, strict=True):
                if outcome.kind == "sent":
                    sent.append(each)
                else:
                    failed.append((each, outcome.says))
        finally:  # whatever ends the round, what has left is marked
            self._put_down(sent, failed, unwritable)
        return DeliveryReport(len(sent), overtaken, held + len(unwritable), len(failed), len(claimed))

    def next_leaving(self) -> datetime | None:
        """When the next message may leave; None when none waits."""
        with self.engine.database.read() as connection:
            return outgoing.next_leaving(connection)

    # --- claiming -------------------------------------------------------------------------------------------------

    def _take_up_again(self, most: int) -> None:
        """Messages in hand for longer than a lease wait again: whoever had them is gone."""
        with self.engine.database.read() as connection:
            until = self.engine.read_now(connection) - outgoing.LEASE
            forgotten = outgoing.left_in_hand(connection, until, most)
        if forgotten:
            with self.engine.database.write() as connection:
                outgoing.RELEASE.run(
                    connection,
                    [(r.tenant, r.key, "sending", r.claimed_at, "waiting", None, MAYBE_LEFT) for r in forgotten],
                )

    def _claim(self, most: int) -> tuple[list[_Claimed], int, int]:
        """Marks what may leave as being sent, and says how many were overtaken and how many are held."""
        with self.engine.database.read() as connection:
            due = outgoing.subjects_with_mail(connection, self.engine.read_now(connection), most)
        claimed: list[_Claimed] = []
        overtaken = held = 0
        for tenant_id in sorted({row.tenant for row in due}):
            subjects = sorted({row.subject for row in due if row.tenant == tenant_id})
            leaving, gone, kept_back = self._claim_for(tenant_id, subjects)
            claimed += leaving
            overtaken += gone
            held += kept_back
        return claimed, overtaken, held

    def _claim_for(self, tenant_id: int, subjects: list[str]) -> tuple[list[_Claimed], int, int]:
        """In one transaction; where a subject makes it fail it is found by halving, and its mails are held."""
        try:
            return self._claim_together(tenant_id, subjects)
        except (Busy, DatabaseUnusable):
            raise
        except Exception as fault:
            if len(subjects) == 1:
                return [], 0, self._hold_all(tenant_id, subjects[0], told(fault))
        half = len(subjects) // 2
        one, other = self._claim_for(tenant_id, subjects[:half]), self._claim_for(tenant_id, subjects[half:])
        return one[0] + other[0], one[1] + other[1], one[2] + other[2]

    def _claim_together(self, tenant_id: int, subjects: list[str]) -> tuple[list[_Claimed], int, int]:
        with self.engine.database.write() as connection:
            now = self.engine.now(connection)
            batch = self.engine.batch(connection, tenant_id, now)
            batch.lock(subjects, skip_locked=True)
            rows = outgoing.waiting_messages(connection, tenant_id, sorted(batch.works))
            waiting = sorted((_waiting(row) for row in rows), key=lambda each: each.key)
            batch.load_cases({w.case for w in waiting})
            leaving, gone, unclear = self._judge(batch, waiting, now)
            outgoing.CLAIM.run(
                connection,
                [(tenant_id, each.waiting.key, "sending", each.waiting.row.attempts + 1, now) for each in leaving],
            )
            marks = [_mark(tenant_id, w.row, *_given_up(w.row, why)) for w, why in gone]
            marks += [_mark(tenant_id, w.row, "held", why) for w, why in unclear]
            outgoing.FINISH.run(connection, marks)
            outgoing.OPEN_INCIDENT.run(connection, [_incident(batch.tenant, w.row, why, now) for w, why in unclear])
        return leaving, len(gone), len(unclear)

    def _hold_all(self, tenant_id: int, subject: str, problem: str) -> int:
        """Holds the mails of a subject that cannot even be loaded; nothing of it is decoded."""
        with self.engine.database.write() as connection:
            now = self.engine.now(connection)
            tenant = self.engine.batch(connection, tenant_id, now).tenant
            rows = outgoing.waiting_messages(connection, tenant_id, [subject])
            outgoing.FINISH.run(connection, [_mark(tenant_id, row, "held", problem) for row in rows])
            outgoing.OPEN_INCIDENT.run(connection, [_incident(tenant, row, problem, now) for row in rows])
        return len(rows)

    def _judge(
        self, batch: Batch, waiting: Sequence[Waiting], now: datetime
    ) -> tuple[list[_Claimed], list[tuple[Waiting, str]], list[tuple[Waiting, str]]]:
        """Which messages leave, which need not any more, and of which nobody can tell."""
        leaving: list[_Claimed] = []
        gone: list[tuple[Waiting, str]] = []
        unclear: list[tuple[Waiting, str]] = []
        by_subject: dict[str, list[Waiting]] = {}
        for message in waiting:
            by_subject.setdefault(message.row.subject, []).append(message)
        for subject, messages in by_subject.items():
            work = batch.works[subject]
            true: list[tuple[Waiting, Addressing | None]] = []
            for message in messages:
                try:
                    view, case = self._view(batch, work, message)
                    if case is not None and still_true(self.engine.workflows[case.workflow], message, case, view):
                        person = msgspec.json.decode(message.row.person, type=Person)
                        true.append((message, self.engine.trade.addressing(view, person)))
                    else:
                        gone.append((message, "no longer true"))
                except Exception as fault:  # one bad record stops only itself
                    unclear.append((message, told(fault)))
            old = superseded([message for message, _ in true])
            for message, addressing in true:
                if message.key in old:
                    gone.append((message, "a newer one of its ladder leaves"))
                elif message.row.not_before <= now:
                    leaving.append(_Claimed(message, batch.tenant, addressing))
        return leaving, gone, unclear

    def _view(self, batch: Batch, work: Work, message: Waiting) -> tuple[View, Case | None]:
        case = work.seen.get(message.case)
        return replace(work.view, case=case, at=batch.now), case

    # --- making and marking ---------------------------------------------------------------------------------------

    def _parcel(self, claimed: _Claimed) -> tuple[Parcel, str]:
        row, tenant = claimed.waiting.row, claimed.tenant
        if row.body is not None:
            content = bytes(row.body)
            digest = row.content_hash
            recipients, dated_at = of_a_kept_mail(content)
        else:
            addressing = claimed.addressing
            if addressing is None:
                raise MailError(
                    f"message {row.key}", "nobody is left to write to", "name an account manager or an admin"
                )
            words = msgspec.json.decode(row.context)
            templates = self.templates.of(tenant.key)
            rendered = templates.render(row.template, row.language, words, tenant.zone, brand_of(tenant))
            to, cc = [_address(each) for each in addressing.to], [_address(each) for each in addressing.cc]
            content = build_mail(
                rendered,
                message_id=message_id(tenant.key, row.key, self.domain),
                sender=_address(addressing.sender),
                reply_to=_address(addressing.reply_to) if addressing.reply_to is not None else None,
                to=to,
                cc=cc,
                date=_leaves_at(row),
                headers={MESSAGE_HEADER: row.key},
            )
            digest = hashlib.sha256(content).hexdigest()
            recipients = tuple(dict.fromkeys(address.email for address in (*to, *cc)))
            dated_at = _leaves_at(row)
        ident = message_id(tenant.key, row.key, self.domain)
        return Parcel(tenant.key, row.key, ident, sender_of(content), recipients, content, dated_at), digest

    def _keep_bytes(self, ready: Sequence[tuple[_Claimed, Parcel, str]]) -> None:
        """Keeps the bytes of what is rendered for the first time, before any of it leaves. Raises Busy where somebody
        else took a message of the round meanwhile: then nothing leaves.
        """
        kept = [
            (c.tenant.id, r.key, "sending", r.attempts + 1, parcel.message_id, digest, parcel.content)
            for c, parcel, digest in ready
            for r in (c.waiting.row,)
            if r.body is None
        ]
        if kept:
            with self.engine.database.write() as connection:
                if outgoing.KEEP_BYTES.run(connection, kept) < len(kept):
                    raise Busy("the outbox", "somebody else took these mails in hand", "they leave from there")

    def _put_down(
        self,
        sent: Sequence[_Claimed],
        failed: Sequence[tuple[_Claimed, str]],
        unwritable: Sequence[tuple[_Claimed, str]],
    ) -> None:
        """Marks what became of the messages of a round."""
        if not (sent or failed or unwritable):
            return
        with self.engine.database.write() as connection:
            now = self.engine.now(connection)
            marks = [_mark(c.tenant.id, c.waiting.row, "sent", None, in_hand=True, sent_at=now) for c in sent]
            marks += [_mark(c.tenant.id, c.waiting.row, "held", why, in_hand=True) for c, why in unwritable]
            again = [
                (c.tenant.id, r.key, "sending", r.attempts + 1, "waiting", now + _pause(r.attempts), why)
                for c, why in failed
                for r in (c.waiting.row,)
            ]
            outgoing.FINISH.run(connection, marks)
            outgoing.RETRY.run(connection, again)
            incidents = [_incident(c.tenant, c.waiting.row, why, now) for c, why in unwritable]
            outgoing.OPEN_INCIDENT.run(connection, incidents)


def _mark(
    tenant: int, row: Any, state: str, note: str | None, *, in_hand: bool = False, sent_at: datetime | None = None
) -> tuple[Any, ...]:
    """A row for `outgoing.FINISH`: which message, as it must still stand, and what it becomes."""
    standing = ("sending", row.attempts + 1) if in_hand else ("waiting", row.attempts)
    return (tenant, row.key, *standing, state, row.copies + (sent_at is not None), sent_at, note)


def _given_up(row: Any, why: str) -> tuple[str, str]:
    """A message that need not leave any more is superseded; where a copy may have left nobody can say so."""
    return ("uncertain", MAYBE_LEFT) if row.note == MAYBE_LEFT else ("superseded", why)


def _incident(tenant: Tenant, row: Any, problem: str, now: datetime) -> tuple[Any, ...]:
    """A mail that cannot be written waits for a person; the transition that asked for it stands."""
    cause = f"message:{row.key}/held"
    says = {
        "event": f"message.{row.template}",
        "fr": f"Le message «\u00a0{row.template}\u00a0» pour {row.case_ref} ne peut pas être écrit\u00a0: {problem}",
        "en": f"The mail “{row.template}” for {row.case_ref} cannot be written: {problem}",
    }
    ident = reference("N", tenant.key, cause)
    return (tenant.id, ident, row.subject, row.case_ref, "mail_held", cause, msgspec.json.encode(says).decode(), now)


def _pause(attempts: int) -> timedelta:
    """How long a mail waits after its transport failed: a minute, then four, sixteen, … at most six hours."""
    return min(timedelta(minutes=4 ** min(attempts, 6)), timedelta(hours=6))


def sender_of(content: bytes) -> str:
    """The address that a mail says it comes from."""
    return getaddresses([str(message_from_bytes(content)["From"])])[0][1]


def of_a_kept_mail(content: bytes) -> tuple[tuple[str, ...], datetime]:
    """The envelope addresses and the date of a mail that was built before."""
    mail = message_from_bytes(content)
    addresses = getaddresses([*mail.get_all("To", []), *mail.get_all("Cc", [])])
    return tuple(dict.fromkeys(address for _, address in addresses)), parsedate_to_datetime(mail["Date"])


def _leaves_at(row: Any) -> datetime:
    """The date of a mail: when it may leave, the same on every copy."""
    return max(row.created_at, row.not_before)  # type: ignore[no-any-return] # rows are typed by their columns alone


def _address(mailbox: Mailbox) -> Address:
    return Address(mailbox.name, mailbox.email)


def _waiting(row: Any) -> Waiting:
    return Waiting(row.key, row.case_ref, row.template, row.audience, row.ladder, row)
