"""Delivery: what is written down leaves. A round takes messages in hand, has their bytes made and kept, sends them, and
puts them down. Where one round follows the other, the next is made ready while one is sent.

Taking and putting down are transactions of their own, so a mail may leave twice if the process dies in between, but
never silently not at all. The bytes are kept before they first leave: every copy is the same. Whoever lost its lease
meanwhile changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any, TypeVar

import msgspec

from vipflow.case import Tenant
from vipflow.delivery.bounces import refused_for_good, suppression_row, tell_subject
from vipflow.delivery.claiming import Claimed, Claiming, Claims, headers_of, mails_of, recipients_of
from vipflow.delivery.digest import DIGEST
from vipflow.delivery.eml import MESSAGE_HEADER, message_id
from vipflow.delivery.html import brand_of
from vipflow.delivery.making import Job, JobItem, Made, Unmade
from vipflow.delivery.render import Templates
from vipflow.delivery.settling import Becomes, Rules, after, incident_row
from vipflow.delivery.transport import Outcome, Parcel, Transport
from vipflow.delivery.workshop import Workshop
from vipflow.engine import Engine
from vipflow.engine.batch import told
from vipflow.errors import Busy, VipflowError
from vipflow.store import outgoing
from vipflow.store.database import DatabaseUnusable
from vipflow.store.incidents import REPORT

Answer = TypeVar("Answer")

MARGIN = timedelta(seconds=30)
"""So long before its lease is over a hand begins no other mail."""
AHEAD = 5.0
"""Seconds that a round may have been ready when its turn comes: then it is still true "just before"."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds between the tries to mark what left, where the database cannot be written: unmarked it would leave again."""
NOT_TRIED = Outcome("not_tried", "connect", "delivery was stopped")
PUT_BACK = Outcome("not_tried", "connect")


class DeliveryReport(msgspec.Struct, frozen=True):
    """What one round of delivery did, in messages."""

    sent: int = 0
    superseded: int = 0
    held: int = 0
    failed: int = 0
    """Put off by the server; they are tried again."""
    claimed: int = 0
    uncertain: int = 0
    """Of these a copy may have arrived."""
    dead: int = 0
    postponed: int = 0
    not_tried: int = 0
    refused: int = 0
    """Of these somebody else has the lease by now; nothing was written."""
    paused_until: datetime | None = None
    """The transport takes nothing before; so nothing was claimed."""
    taken_back: int = 0
    """Whoever had these in hand is gone: they wait again."""

    @property
    def came_to_nothing(self) -> bool:
        """Whether to begin the next round at once would be to turn in circles."""
        begun = self.claimed - self.not_tried
        return not (begun or self.superseded or self.held or self.postponed or self.taken_back)


@dataclass
class Mail:
    """One mail in hand: the messages that it consists of, its lead first, and, once written, its parcel."""

    messages: list[Claimed]
    parcel: Parcel | None = None
    digest: str = ""
    problem: str | None = None
    """Why it cannot be written."""

    @property
    def lead(self) -> Claimed:
        return self.messages[0]

    @property
    def tenant(self) -> Tenant:
        return self.lead.tenant


@dataclass
class Taken:
    """What a round has in hand."""

    claims: Claims = field(default_factory=Claims)
    ready: list[Mail] = field(default_factory=list)
    unwritable: list[Mail] = field(default_factory=list)

    @property
    def parcels(self) -> list[Parcel]:
        return [mail.parcel for mail in self.ready if mail.parcel is not None]


@dataclass(frozen=True)
class _Ahead:
    """A round that is being made ready, and when it was begun."""

    making: asyncio.Future[Taken]
    begun: float


class Delivery:
    """Sends what waits in the outbox of an engine's database. One round at a time.

    `daemon` names the hand; no two that run beside each other bear the same. `told_refused` hears how many writes of a
    round were refused because the lease was over; `refused_writes` counts them all. Without a `workshop` of child
    processes mails are written in this one.
    """

    def __init__(
        self,
        engine: Engine,
        templates: Templates,
        transport: Transport,
        domain: str,
        *,
        daemon: str = "delivery",
        rules: Rules | None = None,
        workshop: Workshop | None = None,
        told_refused: Callable[[int], None] = lambda count: None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self.engine = engine
        self.transport = transport
        self.domain = domain
        self.daemon = daemon
        self.rules = rules if rules is not None else Rules()
        self.workshop = workshop if workshop is not None else Workshop(templates, workers=0)
        self.told_refused = told_refused
        self.refused_writes = 0
        self._counting = threading.Lock()
        self._pauses = pauses
        self._claiming = Claiming(engine, daemon, self.rules)
        self._careful = False
        self._looks_ahead = False
        self._quick = True
        """Whether the last round was sent so fast that what was made ready meanwhile is fresh."""
        self._ahead: _Ahead | None = None

    @asynccontextmanager
    async def looking_ahead(self) -> AsyncIterator[None]:
        """While this lasts a full round has the next one made ready while it is sent: never more than one. What was
        made ready and has not begun to leave is put back at the end.
        """
        self._looks_ahead = True
        try:
            yield
        finally:
            self._looks_ahead = False
            await _Stopped().to_the_end(self._put_back())

    @property
    def has_more_in_hand(self) -> bool:
        """Whether a round was made ready ahead."""
        return self._ahead is not None

    async def deliver(self, *, most: int = 200) -> DeliveryReport:
        """One round: at most `most` messages that may leave now, with the ladders and digests they belong to.

        What is no longer true, or was overtaken by a newer one, is superseded; what cannot be written is held, and
        shown; what cannot be sent is tried again later. While the transport is paused nothing is claimed, and
        afterwards one mail goes ahead. Cancelled, it begins no further mail and still marks what became of the others.
        """
        now = self.engine.clock.now()
        stopped = _Stopped()
        if paused := self.transport.paused(now):
            self._careful = True
            back = await stopped.to_the_end(self._put_back())
            if stopped:
                raise asyncio.CancelledError
            return msgspec.structs.replace(back, paused_until=paused.until)
        taken = await stopped.to_the_end(self._next(most))
        if not stopped:
            self._look_ahead(taken, most)
        begun = time.monotonic()
        outcomes: Sequence[Outcome] = [NOT_TRIED] * len(taken.ready)
        fault: Exception | None = None
        if taken.ready and not stopped:
            try:
                outcomes = await stopped.sending(self.transport.send(taken.parcels, now))
            except asyncio.CancelledError:  # it said nothing any more
                outcomes = [Outcome("uncertain", "content", "delivery was stopped")] * len(taken.ready)
            except Exception as wrong:  # a transport that breaks its word: nobody knows what left
                fault = wrong
                outcomes = [Outcome("uncertain", "content", told(wrong))] * len(taken.ready)
        self._quick = time.monotonic() - begun < AHEAD
        report = await self._mark(taken, outcomes, stopped)
        self._careful = self.transport.paused(self.engine.clock.now()) is not None
        if fault is not None:
            raise fault
        if stopped:
            raise asyncio.CancelledError
        return report

    async def _mark(self, taken: Taken, outcomes: Sequence[Outcome], stopped: _Stopped) -> DeliveryReport:
        """Puts down, however busy the database is, for minutes: what left is known here alone."""
        for pause in self._pauses:
            try:
                return await stopped.to_the_end(asyncio.to_thread(self.put_down, taken, outcomes))
            except (Busy, DatabaseUnusable):
                if stopped:
                    raise
            await stopped.pause(pause)
        return await stopped.to_the_end(asyncio.to_thread(self.put_down, taken, outcomes))

    def take_back_from(self, gone: Collection[str]) -> int:
        """Takes back, lease or no lease, what these daemons had in hand, which are known to be gone. How many messages
        wait again.
        """
        return self._claiming.take_back(gone) if gone else 0

    def next_leaving(self) -> datetime | None:
        """When the next message may leave; None when none waits."""
        with self.engine.database.read() as connection:
            return outgoing.next_leaving(connection)

    # --- looking ahead --------------------------------------------------------------------------------------------

    def _look_ahead(self, taken: Taken, most: int) -> None:
        """Begins to make the next round ready, where there is likely to be one."""
        if self._looks_ahead and self._quick and not self._careful and len(taken.claims.leaving) >= most:
            making = asyncio.ensure_future(asyncio.to_thread(self.take, most))
            self._ahead = _Ahead(making, time.monotonic())

    async def _next(self, most: int) -> Taken:
        """The next round: the one made ready, where that is fresh; else a new one."""
        ahead = self._ahead
        if ahead is not None and not self._careful and time.monotonic() - ahead.begun < AHEAD:
            self._ahead = None
            return await ahead.making
        back = await self._put_back()
        taken = await asyncio.to_thread(self.take, most)
        taken.claims.add(Claims([], back.superseded, back.held, back.postponed))
        return taken

    async def _put_back(self) -> DeliveryReport:
        """Puts back what was made ready ahead: it waits as before."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return DeliveryReport()
        try:
            taken = await ahead.making
        except VipflowError:  # it has left nothing in hand; the next round meets the same, and tells
            return DeliveryReport()
        return await asyncio.to_thread(self.put_down, taken, [PUT_BACK] * len(taken.ready))

    # --- taking in hand -------------------------------------------------------------------------------------------

    def take(self, most: int) -> Taken:
        """Takes mails in hand, has them written, and keeps their bytes. What goes wrong on the way leaves nothing in
        hand.
        """
        begun = time.monotonic()
        claims = self._claiming.claim(most, only_one=self._careful)
        taken = Taken(claims)
        if not claims.leaving:
            return taken
        mails = [Mail(messages) for messages in mails_of(claims.leaving)]
        try:
            self._write(mails, begun + self._lease())
            taken.unwritable = [mail for mail in mails if mail.problem is not None]
            taken.ready = self._keep_bytes([mail for mail in mails if mail.parcel is not None])
        except BaseException:
            with suppress(VipflowError):  # where not even that can be written, the lease will be over
                self.put_down(Taken(claims, mails), [NOT_TRIED] * len(mails))
            raise
        return taken

    def _lease(self) -> float:
        """For how many seconds after it was claimed a mail may still begin to leave."""
        longest = getattr(self.transport, "longest", timedelta(0))  # in hand of some transports; others are quick
        return max(outgoing.LEASE - MARGIN - longest, outgoing.LEASE / 2).total_seconds()

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
            answers = self.workshop.render_all([self._job(mail) for mail in new])
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
            _dated_at(mail),
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
            _dated_at(mail),
            {MESSAGE_HEADER: row.key},
            items,
        )

    def _message_id(self, mail: Mail) -> str:
        return message_id(mail.tenant.key, mail.lead.row.key, self.domain)

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
            with self.engine.database.read() as connection:
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
        with self.engine.database.write() as connection:
            lost = self._lost(connection, new)
            rows = []
            for mail in new:
                if mail.parcel is None or lost & {each.where for each in mail.messages}:
                    continue
                lead = mail.lead.row.key
                digest = lead if len(mail.messages) > 1 else None
                for each in mail.messages:
                    body = mail.parcel.content if each is mail.lead else None
                    rows.append(
                        (*self._in_hand(each), mail.parcel.message_id, mail.digest, body, digest)
                    )  # fmt: skip
            outgoing.KEEP_BYTES.run(connection, rows)
        self._note_refused(len(lost))
        return [mail for mail in mails if not lost & {each.where for each in mail.messages}]

    # --- putting down ---------------------------------------------------------------------------------------------

    def put_down(self, taken: Taken, outcomes: Sequence[Outcome]) -> DeliveryReport:
        """Marks what became of the mails of a round. Only of messages that are still in this hand."""
        claims = taken.claims
        settled = list(zip(taken.ready, outcomes, strict=True))
        if not settled and not taken.unwritable:
            return DeliveryReport(
                superseded=claims.superseded,
                held=claims.held,
                claimed=len(claims.leaving),
                postponed=claims.postponed,
                taken_back=claims.taken_back,
            )
        self._tell_of_bounces(settled)
        counts: dict[str, int] = {}
        refused = held = 0
        with self.engine.database.write() as connection:
            now = self.engine.now(connection)
            lost = self._lost(connection, [*taken.ready, *taken.unwritable])
            marks, incidents, suppressions = [], [], []
            for mail, outcome in settled:
                mine = [each for each in mail.messages if each.where not in lost]
                refused += len(mail.messages) - len(mine)
                suppressions += [
                    suppression_row(mail.tenant, mail.lead.row.key, each, now) for each in refused_for_good(outcome)
                ]
                counts[outcome.kind] = counts.get(outcome.kind, 0) + len(mine)
                for each in mine:
                    becomes = after(each.row, outcome, now, self.rules)
                    marks.append((*self._in_hand(each), *_columns(becomes)))
                    if becomes.trouble is not None:
                        incidents.append(incident_row(mail.tenant, each.row, becomes.trouble, str(becomes.note), now))
            for mail in taken.unwritable:
                problem = str(mail.problem)
                for each in mail.messages:
                    if each.where in lost:
                        refused += 1
                        continue
                    held += 1
                    marks.append((*self._in_hand(each), *_columns(_unwritten(each.row, problem))))
                    incidents.append(incident_row(mail.tenant, each.row, "mail_held", problem, now))
            outgoing.PUT_DOWN.run(connection, marks)
            outgoing.SUPPRESS.run(connection, suppressions)
            REPORT.run(connection, incidents)
        self._note_refused(refused)
        return DeliveryReport(
            sent=counts.get("sent", 0),
            superseded=claims.superseded,
            held=claims.held + held,
            failed=counts.get("temporary", 0),
            claimed=len(claims.leaving),
            uncertain=counts.get("uncertain", 0),
            dead=counts.get("permanent", 0),
            postponed=claims.postponed,
            not_tried=counts.get("not_tried", 0),
            refused=refused,
            taken_back=claims.taken_back,
        )

    def _tell_of_bounces(self, settled: Sequence[tuple[Mail, Outcome]]) -> None:
        """Before the mails are marked: told twice it counts once, and a process that dies now tells it again."""
        for mail, outcome in settled:
            if outcome.kind in ("permanent", "sent") and (outcome.kind == "permanent" or outcome.refused):
                tell_subject(self.engine, mail.tenant, mail.lead.row, mail.parcel, outcome)

    def _note_refused(self, count: int) -> None:
        if count:
            with self._counting:  # one round may be put down while the next is made ready
                self.refused_writes += count
            self.told_refused(count)

    def _in_hand(self, claimed: Claimed) -> tuple[Any, ...]:
        return claimed.tenant.id, claimed.row.key, "sending", claimed.row.attempts + 1, self.daemon

    def _lost(self, connection: Any, mails: Sequence[Mail]) -> set[tuple[int, str]]:
        """Which messages of these mails are in this hand no longer."""
        messages = [each for mail in mails for each in mail.messages]
        held = outgoing.still_in_hand(connection, self.daemon, [each.where for each in messages])
        return {each.where for each in messages if (*each.where, each.row.attempts + 1) not in held}


class _Stopped:
    """Whether somebody cancelled meanwhile: what was begun is brought to its end first."""

    def __init__(self) -> None:
        self._asked = False

    def __bool__(self) -> bool:
        return self._asked

    async def to_the_end(self, work: Awaitable[Answer]) -> Answer:
        """Waits for it, however often it is asked to stop: a transaction in a thread cannot be left."""
        task = asyncio.ensure_future(work)
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                self._asked = True
        return task.result()

    async def pause(self, seconds: float) -> None:
        """Waits so long, or until somebody asks to stop."""
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self._asked = True

    async def sending(self, work: Awaitable[Sequence[Outcome]]) -> Sequence[Outcome]:
        """Asks it to stop when it is asked to: a transport then says what became of what it had in hand."""
        task = asyncio.ensure_future(work)
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.done():
                    break
                self._asked = True
                task.cancel()
        return task.result()


def _columns(becomes: Becomes) -> tuple[Any, ...]:
    """For `outgoing.PUT_DOWN`."""
    return (
        becomes.state,
        becomes.attempts,
        becomes.copies,
        becomes.failures,
        becomes.first_tried_at,
        becomes.not_before,
        becomes.sent_at,
        becomes.stage,
        becomes.note,
    )


def _unwritten(row: Any, problem: str) -> Becomes:
    return Becomes(
        "held", row.attempts + 1, row.copies, row.failures, row.first_tried_at, row.not_before, note=problem[:500]
    )


def _dated_at(mail: Mail) -> datetime:
    """The date of a mail: when the last of it may leave, the same on every copy."""
    instants: list[datetime] = [at for each in mail.messages for at in (each.row.created_at, each.row.not_before)]
    return max(instants)


def _digest_context(mail: Mail) -> str:
    """What a digest says beside its items: for whom and from whom it is, in the words of the first, and its day."""
    words = msgspec.json.decode(mail.lead.row.context)
    day = _dated_at(mail).astimezone(mail.tenant.zone).date()
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
