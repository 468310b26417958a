"""Taking mails in hand: what a dead hand held is taken back, what may leave is marked as being sent, the rest is set
aside.

Each tenant's share is one transaction. Subjects are locked first, in key order: those of a digest are waited for, so
that it is whole; of the others those that somebody else holds are left for the next round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import Message as ParsedMail
from email.utils import getaddresses
from typing import Any

from msgspec.structs import replace

from vipflow.case import Addressing, Mailbox, Tenant
from vipflow.delivery.eml import plain_address
from vipflow.delivery.judging import Judgement, Waiting, judge
from vipflow.delivery.settling import Rules, after_a_lost_hand, given_up, incident_row
from vipflow.engine import Engine
from vipflow.engine.batch import told
from vipflow.errors import Busy
from vipflow.store import outgoing
from vipflow.store.database import DatabaseUnusable
from vipflow.store.incidents import REPORT

NOBODY = "nobody is left to write to; name an account manager or an admin"


APART = timedelta(minutes=10)
"""A digest of which a part is on hold is looked at again so often."""


@dataclass(frozen=True)
class Claimed:
    """A message in hand. `addressing`: whom it is written to; None where its bytes were made before."""

    tenant: Tenant
    row: Any
    addressing: Addressing | None
    recipients: tuple[str, ...]
    """The envelope's; empty for a digest's message whose bytes another one keeps."""
    wants_digest: bool

    @property
    def where(self) -> tuple[int, str]:
        return self.tenant.id, self.row.key


@dataclass
class Claims:
    """What one round took in hand, and what it set aside on the way."""

    leaving: list[Claimed] = field(default_factory=list)
    superseded: int = 0
    held: int = 0
    postponed: int = 0
    taken_back: int = 0

    def add(self, other: Claims) -> None:
        self.leaving += other.leaving
        self.superseded += other.superseded
        self.held += other.held
        self.postponed += other.postponed


class Claiming:
    """Takes messages in hand for one daemon."""

    def __init__(self, engine: Engine, daemon: str, rules: Rules) -> None:
        self.engine = engine
        self.daemon = daemon
        self.rules = rules

    def claim(self, most: int, *, only_one: bool = False) -> Claims:
        """At most `most` messages that are due, with the ladders they stand on and the digests they belong to;
        `only_one`: one mail. Raises Busy or DatabaseUnusable where nothing could be taken.
        """
        claims = Claims(taken_back=self.take_back())
        for tenant, daily, subjects in self._due(most):
            try:
                claims.add(self._claim_for(tenant, daily, subjects, only_one))
            except (Busy, DatabaseUnusable):
                if not (claims.leaving or claims.taken_back):
                    raise
                break  # what is in hand goes first
            if only_one and claims.leaving:
                break
        return claims

    def _due(self, most: int) -> list[tuple[Tenant, list[str], list[str]]]:
        """Tenants with the subjects of what is due: first those of digests, then all others."""
        with self.engine.database.read() as connection:
            now = self.engine.read_now(connection)
            due = outgoing.due_messages(connection, now, most)
            found = []
            for tenant_id in sorted({row.tenant for row in due}):
                tenant = self.engine.batch(connection, tenant_id, now).tenant
                rows = [row for row in due if row.tenant == tenant_id]
                gathered = {
                    row.recipient
                    for row in rows
                    if row.digest is not None or self.engine.trade.wants_digest(tenant, row.recipient)
                }
                daily: Iterable[str] = ()
                if gathered:
                    daily = outgoing.subjects_with_mail_for(connection, tenant_id, gathered, now)
                daily = sorted(daily)
                found.append((tenant, daily, sorted({row.subject for row in rows} - set(daily))))
        return found

    def take_back(self, gone: Collection[str] | None = None) -> int:
        """Messages in hand for longer than a lease wait again: whoever had them is gone. With `gone`, those in hand of
        these daemons, of which that is known without waiting.
        """
        with self.engine.database.read() as connection:
            now = self.engine.read_now(connection)
            forgotten = outgoing.left_in_hand(connection, now if gone is not None else now - outgoing.LEASE)
        if gone is not None:
            forgotten = [row for row in forgotten if row.daemon in gone]
        if not forgotten:
            return 0
        with self.engine.database.write() as connection:
            now = self.engine.now(connection)
            rows, troubled = [], []
            for row in forgotten:
                state, copies, note = after_a_lost_hand(row, self.rules)
                rows.append(
                    (row.tenant, row.key, "sending", row.attempts, row.claimed_at, state, copies, note)
                )  # fmt: skip
                if state == "uncertain":
                    troubled.append((row, note))
            taken = outgoing.TAKE_BACK.run(connection, rows)
            incidents = []
            for row, note in troubled:
                tenant = self.engine.batch(connection, row.tenant, now).tenant
                incidents.append(incident_row(tenant, row, "mail_uncertain", str(note), now))
            REPORT.run(connection, incidents)
        return taken

    # --- one tenant -----------------------------------------------------------------------------------------------

    def _claim_for(self, tenant: Tenant, daily: list[str], others: list[str], only_one: bool) -> Claims:
        """In one transaction; where a subject makes it fail it is found by halving, and its mails are held."""
        try:
            return self._claim_together(tenant, daily, others, only_one)
        except (Busy, DatabaseUnusable):
            raise
        except Exception as fault:
            subjects = [*daily, *others]
            if len(subjects) == 1:
                return Claims(held=self._hold_all(tenant, subjects[0], told(fault)))
        half = len(subjects) // 2
        claims = Claims()
        for part in (subjects[:half], subjects[half:]):
            mine, rest = [each for each in daily if each in part], [each for each in others if each in part]
            claims.add(self._claim_for(tenant, mine, rest, only_one))
            if only_one and claims.leaving:
                break
        return claims

    def _claim_together(self, tenant: Tenant, daily: list[str], others: list[str], only_one: bool) -> Claims:
        with self.engine.database.write() as connection:
            now = self.engine.now(connection)
            batch = self.engine.batch(connection, tenant.id, now)
            batch.lock(daily)
            batch.lock(others, skip_locked=True)
            rows = outgoing.waiting_messages(connection, tenant.id, sorted(batch.works))
            rows = self._whole_digests(connection, tenant, rows, now)
            batch.load_cases({row.case_ref for row in rows})
            judged = judge(batch, rows, self.engine.workflows, self.engine.trade, now)
            leaving = self._addressed(connection, batch.tenant, judged)
            if only_one:
                leaving = _first_mail(leaving)
            outgoing.CLAIM.run(
                connection,
                [(*_standing(c.tenant, c.row), "sending", c.row.attempts + 1, self.daemon, now) for c in leaving],
            )
            self._set_aside(connection, batch.tenant, judged, now)
        return Claims(leaving, len(judged.gone), len(judged.unclear), len(judged.postponed))

    def _whole_digests(self, connection: Any, tenant: Tenant, rows: Sequence[Any], now: datetime) -> Sequence[Any]:
        """Without the parts of digests that were written and of which another part is on hold, or elsewhere: they leave
        together or not at all, so they are looked at again a while later.
        """
        loaded = Counter(row.digest for row in rows if row.digest is not None)
        if not loaded:
            return rows
        recipients = {row.recipient for row in rows if row.digest is not None}
        waiting = outgoing.parts_of_digests(connection, tenant.id, recipients, loaded)
        torn = {digest for digest, count in loaded.items() if waiting.get(digest, 0) > count}
        later = [row for row in rows if row.digest in torn and row.not_before <= now]
        outgoing.SET_ASIDE.run(connection, [(*_standing(tenant, r), "waiting", now + APART, r.note) for r in later])
        return [row for row in rows if row.digest not in torn]

    def _addressed(self, connection: Any, tenant: Tenant, judged: Judgement) -> list[Claimed]:
        """What leaves, with the addresses that did not bounce for good; what has none left becomes unclear."""
        reached = {message.key: _addresses(message, addressing) for message, addressing in judged.leaving}
        everybody = {plain_address(address) for addresses in reached.values() for address in addresses}
        dead = outgoing.suppressed(connection, tenant.id, everybody) if everybody else {}
        leaving: list[Claimed] = []
        stranded: dict[str, str] = {}
        for message, addressing in judged.leaving:
            row, addresses = message.row, reached[message.key]
            left = tuple(address for address in addresses if plain_address(address) not in dead)
            wants = row.digest is None and row.body is None and self.engine.trade.wants_digest(tenant, row.recipient)
            if left or (row.digest is not None and row.body is None):
                to = _without(addressing, dead) if addressing is not None and left != addresses else addressing
                leaving.append(Claimed(tenant, row, to, left, wants))
            else:
                problem = _suppressed_text(addresses, dead, row) if addresses else NOBODY
                stranded[row.key] = problem
                judged.unclear.append((message, problem))
        if not stranded:
            return leaving
        # What is in a digest whose only reader cannot be reached is stranded with it.
        for claimed in [c for c in leaving if c.row.digest in stranded]:
            leaving.remove(claimed)
            row = claimed.row
            message = Waiting(row.key, row.case_ref, row.template, row.audience, row.ladder, row)
            judged.unclear.append((message, stranded[row.digest]))
        return leaving

    def _set_aside(self, connection: Any, tenant: Tenant, judged: Judgement, now: datetime) -> None:
        aside = []
        for message, why in judged.gone:
            state, note = given_up(message.row, why)
            aside.append((*_standing(tenant, message.row), state, message.row.not_before, note))
        for message, problem in judged.unclear:
            aside.append((*_standing(tenant, message.row), "held", message.row.not_before, problem))
        for message, at in judged.postponed:
            aside.append((*_standing(tenant, message.row), "waiting", at, message.row.note))
        outgoing.SET_ASIDE.run(connection, aside)
        REPORT.run(
            connection,
            [incident_row(tenant, message.row, "mail_held", problem, now) for message, problem in judged.unclear],
        )

    def _hold_all(self, tenant: Tenant, subject: str, problem: str) -> int:
        """Holds the mails of a subject that cannot even be loaded; nothing of it is decoded."""
        with self.engine.database.write() as connection:
            now = self.engine.now(connection)
            rows = outgoing.waiting_messages(connection, tenant.id, [subject])
            outgoing.SET_ASIDE.run(
                connection, [(*_standing(tenant, row), "held", row.not_before, problem) for row in rows]
            )
            REPORT.run(connection, [incident_row(tenant, row, "mail_held", problem, now) for row in rows])
        return len(rows)


def mails_of(leaving: Sequence[Claimed]) -> list[list[Claimed]]:
    """Messages in hand as the mails they become: those of one digest together, its lead (the smallest key) first."""
    mails: dict[tuple[Any, ...], list[Claimed]] = {}
    for claimed in leaving:
        mails.setdefault(_mail_of(claimed), []).append(claimed)
    return [sorted(each, key=lambda claimed: claimed.row.key) for each in mails.values()]


def _mail_of(claimed: Claimed) -> tuple[Any, ...]:
    tenant, row = claimed.tenant.id, claimed.row
    if row.digest is not None:
        return tenant, "digest", row.digest
    if claimed.wants_digest:
        return tenant, "daily", row.recipient, row.language
    return tenant, "single", row.key


def _first_mail(leaving: Sequence[Claimed]) -> list[Claimed]:
    """The mail that waits for the longest, with all that it is made of."""
    if not leaving:
        return []
    first = _mail_of(min(leaving, key=lambda claimed: (claimed.row.not_before, claimed.row.key)))
    return [claimed for claimed in leaving if _mail_of(claimed) == first]


def _standing(tenant: Tenant, row: Any) -> tuple[Any, ...]:
    return tenant.id, row.key, row.state, row.attempts


def _addresses(message: Waiting, addressing: Addressing | None) -> tuple[str, ...]:
    if message.row.body is not None:
        return recipients_of(bytes(message.row.body))
    if addressing is None:
        return ()
    return tuple(dict.fromkeys(each.email for each in (*addressing.to, *addressing.cc)))


def _without(addressing: Addressing, dead: dict[str, str]) -> Addressing:
    """To those who can be reached; where that is only copies, they are written to."""

    def reached(people: tuple[Mailbox, ...]) -> tuple[Mailbox, ...]:
        return tuple(each for each in people if plain_address(each.email) not in dead)

    to, cc = reached(addressing.to), reached(addressing.cc)
    return replace(addressing, to=to or cc, cc=cc if to else ())


def _suppressed_text(addresses: Sequence[str], dead: dict[str, str], row: Any) -> str:
    said = "; ".join(f"{address} refused a mail for good ({dead[plain_address(address)]})" for address in addresses)
    works_again = f"where the address works again, `vipflow mail unsuppress {addresses[0]}`"
    if row.copies or row.digest is not None:  # its bytes are fixed, and so is whom they are for
        return f"{said}: {works_again}, then `vipflow mail retry {row.key}`; else `vipflow mail discard {row.key}`"
    return f"{said}: name a notice recipient, or, {works_again}; then `vipflow mail retry {row.key}`"


def recipients_of(content: bytes) -> tuple[str, ...]:
    """The envelope addresses of a mail that was built before."""
    mail = headers_of(content)
    addresses = getaddresses([*mail.get_all("To", []), *mail.get_all("Cc", [])])
    return tuple(dict.fromkeys(address for _, address in addresses))


def headers_of(content: bytes) -> ParsedMail:
    """The headers of a mail; its body, which may be long, is not looked at."""
    return message_from_bytes(content.partition(b"\r\n\r\n")[0])
