"""Taking mails in hand: claimed, written by the workshop or fetched as they were kept; kept before any of it leaves."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

import msgspec

from vipflow.delivery.claiming import Claiming, Claims, headers_of, mails_of, recipients_of
from vipflow.delivery.digest import DIGEST
from vipflow.delivery.eml import MESSAGE_HEADER, message_id
from vipflow.delivery.hand import Hand, Mail
from vipflow.delivery.html import brand_of
from vipflow.delivery.making import Job, JobItem, Made, Unmade
from vipflow.delivery.transport import Parcel
from vipflow.delivery.workshop import Workshop
from vipflow.engine import Engine
from vipflow.engine.batch import told
from vipflow.errors import VipflowError
from vipflow.store import outgoing

MARGIN = timedelta(seconds=30)
"""So long before its lease is over a hand begins no other mail."""


@dataclass
class Taken:
    """What a round has in hand."""

    claims: Claims = field(default_factory=Claims)
    ready: list[Mail] = field(default_factory=list)
    unwritable: list[Mail] = field(default_factory=list)

    @property
    def parcels(self) -> list[Parcel]:
        return [mail.parcel for mail in self.ready if mail.parcel is not None]


class Taking:
    """Takes mails for one delivery. `let_go` puts down, untried, what went wrong on the way."""

    def __init__(
        self,
        engine: Engine,
        claiming: Claiming,
        hand: Hand,
        workshop: Workshop,
        domain: str,
        let_go: Callable[[Taken], None],
    ) -> None:
        self._engine = engine
        self._claiming = claiming
        self._hand = hand
        self._workshop = workshop
        self._domain = domain
        self._let_go = let_go

    def take(self, most: int, *, only_one: bool, longest: timedelta) -> Taken:
        """Takes mails in hand, has them written, and keeps their bytes. What goes wrong on the way leaves nothing in
        hand. `longest`: for so long at most the transport has a mail in hand.
        """
        begun = time.monotonic()
        claims = self._claiming.claim(most, only_one=only_one)
        taken = Taken(claims)
        if not claims.leaving:
            return taken
        mails = [Mail(messages) for messages in mails_of(claims.leaving)]
        try:
            self._write(mails, begun + _lease(longest))
            taken.unwritable = [mail for mail in mails if mail.problem is not None]
            taken.ready = self._keep_bytes([mail for mail in mails if mail.parcel is not None])
        except BaseException:
            with suppress(VipflowError):  # where not even that can be written, the lease will be over
                self._let_go(Taken(claims, mails))
            raise
        return taken

    def _write(self, mails: list[Mail], until: float) -> None:
        """Gives each mail its parcel: of the bytes that were made before, or written now. What a digest cannot take up
        becomes a mail of its own, with its problem; the digest is written once more without it.
        """
        self._fetch_kept(mails, until)
        for mail in [mail for mail in mails if mail.lead.addressing is not None and len(mail.messages) > 1]:
            mails += self._without(mail, _unreadable(mail))
        mails[:] = [mail for mail in mails if mail.messages]
        new = [mail for mail in mails if mail.parcel is None and mail.problem is None]
        while new:
            answers = self._workshop.render_all([self._job(mail) for mail in new])
            again = []
            for mail, answer in zip(new, answers, strict=True):
                if isinstance(answer, Unmade):
                    mail.problem = answer.says
                elif answer.left_out:
                    mails += self._without(mail, dict(answer.left_out))
                    again.append(mail)
                else:
                    self._made(mail, answer, until)
            new = again

    def _made(self, mail: Mail, answer: Made, until: float) -> None:
        mail.digest = answer.digest
        mail.parcel = Parcel(
            mail.tenant.key,
            mail.lead.row.key,
            self._message_id(mail),
            answer.sender,
            mail.lead.recipients,
            answer.content,
            mail.dated_at,
            until,
        )

    @staticmethod
    def _without(mail: Mail, problems: dict[int, str]) -> list[Mail]:
        """Takes these messages out of a digest; a mail for each, which says why."""
        out = [Mail([mail.messages[place]], problem=problem) for place, problem in problems.items()]
        mail.messages = [each for place, each in enumerate(mail.messages) if place not in problems]
        return out

    def _job(self, mail: Mail) -> Job:
        row, tenant, addressing = mail.lead.row, mail.tenant, mail.lead.addressing
        assert addressing is not None  # noqa: S101 - claiming holds what goes to nobody
        template, context = row.template, row.context
        items: tuple[JobItem, ...] = ()
        if len(mail.messages) > 1:
            template = DIGEST
            context = _digest_context(mail)
            items = tuple(
                JobItem(each.row.template, each.row.context, _company(each.row.context)) for each in mail.messages
            )
        return Job(
            tenant.key,
            template,
            row.language,
            context,
            tenant.zone.key,
            brand_of(tenant),
            addressing,
            self._message_id(mail),
            mail.dated_at,
            {MESSAGE_HEADER: row.key},
            items,
        )

    def _message_id(self, mail: Mail) -> str:
        return message_id(mail.tenant.key, mail.lead.row.key, self._domain)

    def _fetch_kept(self, mails: Sequence[Mail], until: float) -> None:
        """The parcels of mails whose bytes were kept: by the message itself, or by the lead of its digest."""
        kept: dict[tuple[int, str], Any] = {}
        elsewhere: dict[int, set[str]] = {}
        for mail in mails:
            holder = mail.lead.row.digest or mail.lead.row.key
            own = next((each.row for each in mail.messages if each.row.body is not None), None)
            if own is not None:
                kept[mail.tenant.id, holder] = own
            elif mail.lead.row.digest is not None:
                elsewhere.setdefault(mail.tenant.id, set()).add(holder)
        for tenant, keys in elsewhere.items():  # its lead was held or discarded: rare
            with self._engine.database.read() as connection:
                kept |= {(tenant, row.key): row for row in outgoing.kept_mails(connection, tenant, keys)}
        for mail in mails:
            holder = mail.lead.row.digest or mail.lead.row.key
            row = kept.get((mail.tenant.id, holder))
            if row is not None:
                content = bytes(row.body)
                if hashlib.sha256(content).hexdigest() != row.content_hash:
                    mail.problem = (
                        "its kept bytes were damaged; `vipflow verify` says more, and it can only be discarded"
                    )
                    continue
                headers = headers_of(content)
                recipients = next((each.recipients for each in mail.messages if each.recipients), None)
                mail.digest = row.content_hash
                mail.parcel = Parcel(
                    mail.tenant.key,
                    row.key,
                    row.message_id,
                    getaddresses([str(headers["From"])])[0][1],
                    recipients or recipients_of(content),
                    content,
                    parsedate_to_datetime(headers["Date"]),
                    until,
                )
            elif mail.lead.row.digest is not None:
                mail.problem = f"its digest {holder} has lost its bytes"

    def _keep_bytes(self, mails: list[Mail]) -> list[Mail]:
        """Keeps the bytes of what is written for the first time, before any of it leaves; gives those mails that are
        still in hand.
        """
        new = [mail for mail in mails if mail.lead.row.body is None and mail.lead.row.digest is None]
        if not new:
            return mails
        with self._engine.database.write() as connection:
            lost = self._hand.lost(connection, new)
            rows = []
            for mail in new:
                if mail.parcel is None or lost & {each.where for each in mail.messages}:
                    continue
                lead = mail.lead.row.key
                digest = lead if len(mail.messages) > 1 else None
                for each in mail.messages:
                    body = mail.parcel.content if each is mail.lead else None
                    rows.append(
                        (*self._hand.key_of(each), mail.parcel.message_id, mail.digest, body, digest)
                    )  # fmt: skip
            outgoing.KEEP_BYTES.run(connection, rows)
        self._hand.note_refused(len(lost))
        return [mail for mail in mails if not lost & {each.where for each in mail.messages}]


def _lease(longest: timedelta) -> float:
    """For how many seconds after it was claimed a mail may still begin to leave."""
    return max(outgoing.LEASE - MARGIN - longest, outgoing.LEASE / 2).total_seconds()


def _digest_context(mail: Mail) -> str:
    """What a digest says beside its items: for whom and from whom it is, in the words of the first, and its day."""
    words = msgspec.json.decode(mail.lead.row.context)
    day = mail.dated_at.astimezone(mail.tenant.zone).date()
    said = {"person": words.get("person"), "reseller": words.get("reseller"), "day": day.isoformat()}
    return msgspec.json.encode(said).decode()


def _unreadable(mail: Mail) -> dict[int, str]:
    """The messages of a digest to be whose facts cannot be read: one bad record stops only itself."""
    problems = {}
    for place, each in enumerate(mail.messages):
        try:
            _company(each.row.context)
        except msgspec.MsgspecError as fault:
            problems[place] = told(fault)
    return problems


class _OfCustomer(msgspec.Struct, frozen=True):
    company: str = ""


class _Company(msgspec.Struct, frozen=True):
    customer: _OfCustomer = _OfCustomer()
    reference: str = ""


_company_words = msgspec.json.Decoder(_Company).decode


def _company(context: str) -> str:
    """Under whom a digest groups a mail."""
    words = _company_words(context)
    return words.customer.company or words.reference
