"""After a silence: events first, then timers, then mails, and mails only once it is clear that they are wanted.

A daemon makes one `CatchUp` and asks it, in this order:

1. `begin(me)` once, before its own row is in `daemons` and before anything else: two that begin at the same time must
   not take each other for a sign of life.
2. `tick_parked`, and the events that arrive.
3. `tick_timers`, which by itself does nothing while the grace lasts and says when that is over.
4. `before_delivery()` before each round of delivery: nothing may leave while its gate is closed.
5. `before_beat(me)` before each heartbeat is written: it sees a silence, or a clock that jumped, while running. And
   `look_up(me)` before timers and mails: who slept, or stood still, wakes with all of that at once.
6. `note_progress()` with each heartbeat and at the end: so that a restored backup is recognised.

Transitions are always applied, with their own dates. What waits for a person is mail alone, in a hold on everything,
of the kind `backlog`, `clock` or `restored`, which `approve` lets go.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from vipflow.case import CLOCK
from vipflow.config import Settings
from vipflow.decide import still_true, superseded
from vipflow.engine.batch import Batch
from vipflow.errors import BadInput
from vipflow.operations import holds
from vipflow.operations.installation import Installation
from vipflow.operations.who import Who
from vipflow.store import catchup as store
from vipflow.store.audit import Act, remember_acts
from vipflow.store.database import Database
from vipflow.store.holds import HoldRow, Scope, all_holds, end_hold, take_turns
from vipflow.store.tenants import all_tenants
from vipflow.store.work import next_wake
from vipflow.workflow import Reason

SILENCE = timedelta(minutes=10)
"""Without a heartbeat of anybody for so long, events may have been held up: timers wait for them."""
ASTRAY = timedelta(minutes=10)
"""A clock that goes back by more, or disagrees by more with the time that passed, is not believed."""
TOO_FAR = timedelta(days=7)
"""A clock that stands further ahead of the last heartbeat is not believed: mail waits."""
LATE = timedelta(days=1)
AT_ONCE = 200
SAMPLES = 3
_LONGEST_SEAL = 4096

Kind = Literal["backlog", "clock", "restored"]


class Began(msgspec.Struct, frozen=True):
    """What a start, or the end of a silence, found: for the daemon's log."""

    last_beat: datetime | None
    silence: timedelta | None
    grace_until: datetime | None
    held: tuple[str, ...] = ()
    """Ids of the holds on mail that were made."""
    why: tuple[str, ...] = ()


class Gate(msgspec.Struct, frozen=True):
    """Whether mails may leave; where not, when to ask again at the latest (None: after the next timers)."""

    is_open: bool
    look_again_at: datetime | None = None


_OPEN = Gate(True)


class CatchUp:
    """What one daemon knows of its catching up. `elapsed` counts the seconds of this machine, also asleep."""

    def __init__(self, installation: Installation, *, elapsed: Callable[[], float] | None = None) -> None:
        self._installation = installation
        self._elapsed = elapsed or _seconds_since_boot
        self._judged = False
        self._due_until: datetime | None = None
        self._seen: tuple[datetime, float] | None = None
        self._looking = threading.RLock()
        """What one thread finds is held before another goes on."""

    def begin(self, me: str | None = None) -> Began:
        """Looks at what went before: begins the grace after a silence, and holds mail where the clock or the database
        is not what it was. To be asked before anything is done; asked twice it does the same once.
        """
        return self._look(me, jumped=None)

    def before_beat(self, me: str) -> Began | None:
        """As `begin`, while running: None where nothing is remarkable. Before the heartbeat of `me` is written."""
        with self._looking:
            jumped = self._jumped()
            with self._installation.database.read() as connection:
                now = self._installation.engine.read_now(connection)
                last = store.last_beat(connection, None)
            if jumped is None and (last is None or now - last <= self._longest(SILENCE)):
                return None
            return self._look(None, jumped)

    def look_up(self, me: str) -> Began | None:
        """As `before_beat`, where this process cannot have seen what passed: it slept, stood still, or its clock was
        set. From memory otherwise: None.
        """
        with self._looking:
            if self._seen is None:
                return None
            before, since = self._seen
            wall, elapsed = self._installation.clock.now(), self._elapsed()
            missed = timedelta(seconds=elapsed - since)
            astray = timedelta() if self._installation.clock.tells_a_story else wall - before - missed
            if missed <= SILENCE and abs(astray) <= ASTRAY:
                return None
            return self.before_beat(me)

    def before_delivery(self) -> Gate:
        """Whether mails may leave: once the grace is over and everything that was due then has happened. Then a backlog
        of late mails is held, once, until somebody approves.
        """
        if self._judged:
            return _OPEN
        ours = self._installation
        with ours.database.read() as connection:
            now = ours.engine.read_now(connection)
            grace = store.grace_until(connection, now)
            if grace is not None:
                self._due_until = grace
                return Gate(False, grace)
            wake = next_wake(connection)
            if wake is not None and wake <= min(now, self._due_until or now):
                return Gate(False)
            waits = store.count_late_mails(connection, now - LATE)
        most = ours.settings.daemon.catch_up_mails
        if waits >= most:
            leaving = what_would_leave(ours)
            late = sum(each.late for each in leaving.groups)
            if late >= most:
                details = _details(leaving) | {"late": late}
                _hold_mail(ours, "backlog", f"{late:,} mails that would leave now are over a day late", details)
        self._judged = True
        return _OPEN

    def note_progress(self) -> None:
        """Writes down beside the database how far it has come. Raises OSError where that cannot be written."""
        note_progress(self._installation.settings, self._installation.database, self._installation.engine.now)

    def _look(self, me: str | None, jumped: str | None) -> Began:
        ours = self._installation
        why: list[str] = []
        held: list[str] = []

        def hold(kind: Kind, reason: str, **details: Any) -> None:
            ident = _hold_mail(ours, kind, reason, details)
            why.append(reason)
            if ident is not None:
                held.append(ident)

        with ours.database.write() as connection:
            now = ours.engine.now(connection)
            take_turns(connection, now)
            shown = ours.clock.now() if ours.database.dialect == "sqlite" else now
            last = store.last_beat(connection, me)
            silence = now - last if last is not None else None
            grace = store.grace_until(connection, now)
            wait = timedelta(minutes=ours.settings.daemon.grace_minutes)
            if silence is not None and silence > self._longest(SILENCE) and wait and grace is None:
                grace = now + wait
                store.keep_grace(connection, grace)
            # The note first: others write on, and what they note meanwhile is no sign of a backup.
            noted = _noted(ours, store.database_id(connection))
            further = noted if noted is not None and noted.position > store.last_position(connection) else None
        if last is not None and shown < last - ASTRAY:
            hold("clock", f"the clock stands at {_told(shown)}, before the last heartbeat at {_told(last)}")
        elif last is not None and shown > last + self._longest(TOO_FAR):
            days = (shown - last).days
            hold("clock", f"the clock stands {days} days after the last heartbeat at {_told(last)}")
        elif jumped is not None:
            hold("clock", jumped)
        if further is not None:
            reason = f"the database is older than it was at {_told(further.at)}: was a backup restored?"
            hold("restored", reason, was_at=further.position)
            self.note_progress()
        self._judged = False
        self._due_until = grace or now
        self._seen = (ours.clock.now(), self._elapsed())
        return Began(last, silence, grace, tuple(held), tuple(why))

    def _longest(self, span: timedelta) -> timedelta:
        """A span of the daemon's time: in a story that runs faster, as much more of it passes."""
        speed: float = getattr(self._installation.clock, "speed", 1.0)
        return span * max(1.0, speed)

    def _jumped(self) -> str | None:
        """How far the clock went astray since it was looked at last; None where it did not."""
        clock = self._installation.clock
        wall, elapsed = clock.now(), self._elapsed()
        before, self._seen = self._seen, (wall, elapsed)
        if before is None or clock.tells_a_story:
            return None
        astray = (wall - before[0]) - timedelta(seconds=elapsed - before[1])
        if abs(astray) <= ASTRAY:
            return None
        how = "forward" if astray > timedelta() else "back"
        return f"the clock was set {how} by {abs(astray)} while the daemon ran"


# --- what would leave ----------------------------------------------------------------------------------------------


class LeavingGroup(msgspec.Struct, frozen=True):
    """The mails of one template that would leave for one reseller."""

    reseller: str
    template: str
    mails: int
    late: int
    """Of these, how many could have left over a day ago."""
    oldest: datetime
    samples: tuple[str, ...]


class Leaving(msgspec.Struct, frozen=True):
    """What would leave now if nothing held it, judged as delivery judges it; and what would not any more."""

    groups: tuple[LeavingGroup, ...]
    superseded: Mapping[str, int]
    """By template: true no more, or overtaken by a newer one of their ladder."""
    unclear: int
    """Of these nobody can tell: delivery will hold them, each with an incident."""

    @property
    def mails(self) -> int:
        return sum(each.mails for each in self.groups)


class _Mail(msgspec.Struct, frozen=True):
    key: str
    case: str
    template: str
    audience: str
    ladder: str | None
    not_before: datetime


def what_would_leave(installation: Installation, *, tenant: int | None = None, held: bool = False) -> Leaving:
    """Judges every mail that could leave now (with `held` those on hold as well): of all resellers, or one. It reads
    everything that it judges, some thousands a second.
    """
    found: dict[tuple[str, str], list[datetime]] = {}
    samples: dict[tuple[str, str], list[str]] = {}
    gone: dict[str, int] = {}
    unclear = 0
    with installation.database.read() as connection:
        now = installation.engine.read_now(connection)
        keys = {each.id: each.key for each in all_tenants(connection)}
        rows = store.subjects_with_due_mail(connection, now, held=held)
        for owner, subjects in _pages(rows, tenant):
            batch = installation.engine.batch(connection, owner, now)
            batch.look_at(subjects)
            leaving, needless, unknown = _judge(installation, batch, connection, subjects)
            unclear += unknown
            for mail in needless:
                gone[mail.template] = gone.get(mail.template, 0) + 1
            for mail in leaving:
                group = (keys[owner], mail.template)
                found.setdefault(group, []).append(mail.not_before)
                samples.setdefault(group, []).append(mail.key)
    groups = [
        LeavingGroup(
            *group, len(dates), sum(at <= now - LATE for at in dates), min(dates), tuple(samples[group][:SAMPLES])
        )
        for group, dates in sorted(found.items())
    ]
    return Leaving(tuple(groups), dict(sorted(gone.items())), unclear)


def _pages(rows: Sequence[Any], tenant: int | None) -> Iterator[tuple[int, list[str]]]:
    """Tenant by tenant, some subjects at once."""
    by_tenant: dict[int, list[str]] = {}
    for row in rows:
        if tenant in (None, row.tenant):
            by_tenant.setdefault(row.tenant, []).append(row.subject)
    for owner, subjects in by_tenant.items():
        for start in range(0, len(subjects), AT_ONCE):
            yield owner, subjects[start : start + AT_ONCE]


def _judge(
    installation: Installation, batch: Batch, connection: Connection, subjects: list[str]
) -> tuple[list[_Mail], list[_Mail], int]:
    """The mails that would leave, those that need not any more, and of how many nobody can tell."""
    rows = store.mails_that_wait(connection, batch.tenant.id, subjects)
    batch.load_cases({row.case_ref for row in rows})
    leaving: list[_Mail] = []
    needless: list[_Mail] = []
    unclear = 0
    by_subject: dict[str, list[_Mail]] = {}
    for row in sorted(rows, key=lambda row: str(row.key)):
        mail = _Mail(row.key, row.case_ref, row.template, row.audience, row.ladder, row.not_before)
        by_subject.setdefault(row.subject, []).append(mail)
    for subject, mails in by_subject.items():
        work = batch.works[subject]
        true: list[_Mail] = []
        for mail in mails:
            case = work.seen.get(mail.case)
            try:
                view = replace(work.view, case=case, at=batch.now)
                is_true = case is not None and still_true(installation.workflows[case.workflow], mail, case, view)
            except Exception:  # one bad record stops only itself
                unclear += 1
                continue
            (true if is_true else needless).append(mail)
        old = superseded(true)
        needless += [mail for mail in true if mail.key in old]
        leaving += [mail for mail in true if mail.key not in old and mail.not_before <= batch.now]
    return leaving, needless, unclear


# --- seen and approved ---------------------------------------------------------------------------------------------


class Standing(msgspec.Struct, frozen=True):
    """Where the catching up stands: the grace, the holds that wait for an approval, and what would leave."""

    grace_until: datetime | None
    holds: tuple[holds.Hold, ...]
    leaving: Leaving


class Approved(msgspec.Struct, frozen=True):
    """The holds let go, those that others still wait for, and how many mails were given up; or why it may not."""

    released: tuple[str, ...] = ()
    still_held: tuple[str, ...] = ()
    discarded: int = 0
    refused: Reason | None = None


def show(installation: Installation, who: Who | None) -> Standing:
    """What waits for an approval; of everybody, where `who` is None."""
    with installation.database.read() as connection:
        grace = store.grace_until(connection, installation.engine.read_now(connection))
    waiting = [hold for hold in holds.list_holds(installation, who) if hold.kind != "asked"]
    tenant = who.tenant if who is not None else None
    return Standing(grace, tuple(waiting), what_would_leave(installation, tenant=tenant, held=True))


def approve(
    installation: Installation, who: Who | None, *, reason: str, discard_older_than: int | None = None
) -> Approved:
    """Lets the mails leave that a backlog, a clock or a restored backup held, of the asker's reseller alone or, where
    `who` is None, of all; those older than so many days are given up first.
    """
    reason = holds.checked_reason(reason, "--reason")
    if discard_older_than is not None and not 0 <= discard_older_than <= 36_500:
        raise BadInput("--discard-older-than", f"{discard_older_than} are no days", "give 0 or more")
    with installation.database.write() as connection:
        now = installation.engine.now(connection)
        take_turns(connection, now)
        tenants = all_tenants(connection)
        tenant = who.tenant if who is not None and len(tenants) > 1 else None
        refused = holds.not_allowed_over(who, Scope(tenant), tenants)
        if refused is not None:
            return Approved(refused=refused)
        rows = [row for row in all_holds(connection) if row.kind != "asked" and tenant in (None, row.tenant or tenant)]
        actor = holds.acting(who)
        still_held: list[str] = []
        for row in rows:
            if row.tenant is None and tenant is not None:
                others = [each.id for each in tenants if each.id != tenant]
                still_held += [_hold_on(connection, row, other, now) for other in others]
            end_hold(connection, row.id, now, actor.name, reason)
        discarded = 0
        if discard_older_than is not None:
            before = now - timedelta(days=discard_older_than)
            gone = store.discard_mails(connection, tenant, before, f"discarded by {actor.name}: {reason}")
            discarded = len(gone)
            told = {"from": "waiting", "to": "discarded"}
            each = [Act(m.tenant, actor.kind, actor.name, "mail.discard", m.key, reason, told) for m in gone]
            remember_acts(connection, each, now)
        details = {"discarded": discarded, "discard_older_than_days": discard_older_than, "still_held": still_held}
        targets = [row.id for row in rows] or ["catchup"]
        acts = [Act(tenant, actor.kind, actor.name, "catchup.approve", ident, reason, details) for ident in targets]
        if rows or discarded:
            remember_acts(connection, acts, now)
    return Approved(tuple(row.id for row in rows), tuple(still_held), discarded)


def skip_grace(installation: Installation, who: Who | None, *, reason: str | None = None) -> datetime | Reason | None:
    """Ends the grace: timers fire at once. Gives until when it would have lasted, None where there is none, or why the
    asker may not.
    """
    with installation.database.write() as connection:
        now = installation.engine.now(connection)
        refused = holds.not_allowed_over(who, Scope(None), all_tenants(connection))
        until = store.grace_until(connection, now)
        if refused is not None or until is None:
            return refused
        store.keep_grace(connection, None)
        actor = holds.acting(who)
        act = Act(None, actor.kind, actor.name, "catchup.skip_grace", "grace", reason, {"until": until})
        remember_acts(connection, [act], now)
    return until


def _hold_on(connection: Connection, row: HoldRow, tenant: int, now: datetime) -> str:
    """For another reseller the hold goes on."""
    details = msgspec.json.decode(row.details) if row.details else None
    new = holds.new_hold(Scope(tenant), row.kind, row.reason, details, row.made_by, now)  # type: ignore[arg-type]  # why: the column is text
    return holds.put_in_force(connection, new, CLOCK, now)[0].id


def _hold_mail(installation: Installation, kind: Kind, reason: str, details: Mapping[str, Any]) -> str | None:
    """Holds all mail until somebody approves; None where such a hold is in force already."""
    with installation.database.write() as connection:
        now = installation.engine.now(connection)
        row = holds.new_hold(Scope(None), kind, reason, details, CLOCK.name, now)
        row, is_new = holds.put_in_force(connection, row, CLOCK, now)
    return row.id if is_new else None


def _details(leaving: Leaving) -> dict[str, Any]:
    by_template: dict[str, int] = {}
    by_reseller: dict[str, int] = {}
    for group in leaving.groups:
        by_template[group.template] = by_template.get(group.template, 0) + group.mails
        by_reseller[group.reseller] = by_reseller.get(group.reseller, 0) + group.mails
    oldest = min((group.oldest for group in leaving.groups), default=None)
    return {"by_template": by_template, "by_reseller": by_reseller, "oldest": oldest, "mails": leaving.mails}


# --- beside the database -------------------------------------------------------------------------------------------


class _Note(msgspec.Struct, frozen=True):
    """What a machine last saw of a database."""

    database: str
    position: int
    at: datetime


def note_progress(settings: Settings, database: Database, now_of: Callable[[Connection], datetime]) -> None:
    """Writes down beside the database how far it has come: what is further is no backup. Raises OSError."""
    with database.write() as connection:
        now = now_of(connection)
        note = _Note(store.database_id(connection), store.last_position(connection), now)
    path = _note_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_bytes(msgspec.json.encode(note))
    new.replace(path)


def _note_path(settings: Settings) -> Path:
    return settings.daemon.folder / "last_seen.json"


def _noted(installation: Installation, ident: str) -> _Note | None:
    """What was noted here of this database. A note that cannot be read says nothing."""
    try:
        note = msgspec.json.decode(_note_path(installation.settings).read_bytes(), type=_Note)
    except (OSError, msgspec.MsgspecError):
        note = None
    if note is None or note.database != ident:
        note = _last_seal(installation, ident)  # this machine has not seen the database yet; its seals may have
    return note


class _Seal(msgspec.Struct, frozen=True):
    """What is asked here of a line of the seals' file; whether it is genuine, `audit verify` says."""

    history_to: int
    made_at: datetime


def _last_seal(installation: Installation, ident: str) -> _Note | None:
    try:
        with installation.settings.audit.seals.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LONGEST_SEAL))
            seal = msgspec.json.decode(file.read().rstrip(b"\n").rpartition(b"\n")[2], type=_Seal)
    except (OSError, msgspec.MsgspecError):
        return None
    return _Note(ident, seal.history_to, seal.made_at)


def _told(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _seconds_since_boot() -> float:
    """A clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
