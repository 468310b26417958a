"""Holds: everything, a reseller or a customer stopped by somebody, with a reason, until he or a day lets it go again.

While a hold stands timers keep their dates, events of systems are kept in the inbox, and staff are told why they cannot
act; one of mail alone lets the year go on and stops what would leave. What a hold kept is applied before it goes, in
the order in which it happened, so that everything then is as if it had come late, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from vipflow.case import CLOCK, Actor
from vipflow.days import midnight
from vipflow.engine.envelope import check_text
from vipflow.engine.holds import waits_for
from vipflow.errors import BadInput, Conflict, NotFound
from vipflow.operations.allowed import not_allowed_to
from vipflow.operations.installation import Installation
from vipflow.operations.references import find_customer
from vipflow.operations.rows import Page, page_of
from vipflow.operations.ticks import Ticked
from vipflow.operations.who import OPERATOR, Who
from vipflow.references import as_typed, reference
from vipflow.store import holds as store
from vipflow.store.audit import Act, remember_acts
from vipflow.store.holds import Held, HoldRow, Scope, Stopped
from vipflow.store.tenants import TenantRow, all_tenants
from vipflow.store.work import lock_subjects
from vipflow.workflow import Reason, Text

Kind = Literal["asked", "backlog", "clock", "restored"]

LONGEST_REASON = 500


class Hold(msgspec.Struct, frozen=True):
    """A hold as people see it. `reseller` None: of everything; `customer` None: of all the reseller's customers."""

    id: str
    reseller: str | None
    customer: str | None
    mail_only: bool
    kind: Kind
    reason: str
    details: Mapping[str, Any] | None
    made_by: str
    made_at: datetime
    ends_at: datetime | None
    released_at: datetime | None
    released_by: str | None
    remark: str | None

    @property
    def of(self) -> str:
        """What it holds, in a few words."""
        return self.customer or (f"reseller {self.reseller}" if self.reseller else "everything")


class Counts(msgspec.Struct, frozen=True):
    """How much a hold stops, or how much follows when it goes."""

    customers: int
    timers: int
    mails: int
    events: int


class Making(msgspec.Struct, frozen=True):
    """A hold that was made, or is there already; what it stops; or why it may not."""

    outcome: Literal["made", "there already", "refused"]
    hold: Hold | None
    stops: Counts | None
    refused: Reason | None = None


class Releasing(msgspec.Struct, frozen=True):
    """Holds that were released, and what follows at once; or why they may not."""

    outcome: Literal["released", "refused"]
    holds: tuple[Hold, ...]
    follows: Counts
    applied: int = 0
    """Of the events kept, those applied now; the others came to wait for something else."""
    refused: Reason | None = None


# --- making --------------------------------------------------------------------------------------------------------


def hold_everything(
    installation: Installation,
    who: Who | None,
    *,
    mail_only: bool,
    reason: str,
    until: date | None = None,
) -> Making:
    """Stops everything, of all resellers; `who` None: whoever runs the machine. Of a team, while it is the only one."""
    return _make(installation, who, Scope(None), mail_only, reason, until)


def hold_reseller(
    installation: Installation,
    who: Who,
    *,
    mail_only: bool,
    reason: str,
    until: date | None = None,
) -> Making:
    """Stops everything of the asker's reseller."""
    return _make(installation, who, Scope(who.tenant), mail_only, reason, until)


def hold_customer(
    installation: Installation,
    who: Who,
    customer: str,
    *,
    mail_only: bool,
    reason: str,
    until: date | None = None,
) -> Making:
    """Stops one customer with all its cases. Raises NotFound for one that is not there."""
    scope = Scope(who.tenant, find_customer(installation, who, customer))
    return _make(installation, who, scope, mail_only, reason, until)


def _make(
    installation: Installation,
    who: Who | None,
    scope: Scope,
    mail_only: bool,
    reason: str,
    until: date | None,
) -> Making:
    refused = _not_allowed(installation, who, scope)
    if refused is not None:
        return Making("refused", None, None, refused)
    reason = checked_reason(reason, "--reason")
    with installation.database.read() as connection:
        now = installation.engine.read_now(connection)
        keys = tenant_keys(all_tenants(connection))
        ends_at = _end(until, zone_of(all_tenants(connection), who), now)
        stops = _counts(store.count_stopped(connection, scope, ends_at), mail_only)
        known = _same(store.all_holds(connection), scope, mail_only)
    if known is not None:
        return Making("there already", _hold(known, keys), stops)
    actor = acting(who)
    row = _row(scope, mail_only, "asked", reason, None, actor.name, now, ends_at)
    with installation.database.write() as connection:
        row, is_new = put_in_force(connection, row, actor, installation.engine.now(connection))
    return Making("made" if is_new else "there already", _hold(row, keys), stops)


def put_in_force(connection: Any, row: HoldRow, actor: Actor, now: datetime) -> tuple[HoldRow, bool]:
    """Makes the hold within the caller's transaction and writes it into the audit, unless one of its scope and kind is
    in force: then gives that one, and False.
    """
    store.take_turns(connection, now)
    scope = Scope(row.tenant, row.subject)
    known = _same(store.all_holds(connection), scope, row.mail_only, row.kind)
    if known is not None:
        return known, False
    if row.tenant is not None and row.subject is not None:
        lock_subjects(connection, row.tenant, [row.subject])  # what is being applied to it right now comes first
    salt = 0
    while store.hold_by_id(connection, row.id) is not None:
        salt += 1
        row = row._replace(id=_ident(row, salt))
    store.make_hold(connection, row)
    details = {"mail_only": row.mail_only, "kind": row.kind, "ends_at": row.ends_at, "of": _of(scope)}
    remember_acts(connection, [Act(row.tenant, actor.kind, actor.name, "hold.make", row.id, row.reason, details)], now)
    return row, True


def new_hold(
    scope: Scope, kind: Kind, reason: str, details: Mapping[str, Any] | None, by: str, now: datetime
) -> HoldRow:
    """A hold of mail alone, as vipflow itself makes it."""
    return _row(scope, True, kind, reason, details, by, now, None)


# --- looking -------------------------------------------------------------------------------------------------------


def list_holds(installation: Installation, who: Who | None, *, released: bool = False) -> tuple[Hold, ...]:
    """The holds in force that concern the asker's reseller, the oldest first; of everybody's, where `who` is None."""
    with installation.database.read() as connection:
        keys = tenant_keys(all_tenants(connection))
        rows = store.all_holds(connection, released=released)
    found = tuple(_hold(row, keys) for row in rows if who is None or row.tenant in (None, who.tenant))
    if who is None or who.actor is None or len(keys) < 2:
        return found
    # What a hold of everything counted tells of other resellers.
    return tuple(msgspec.structs.replace(hold, details=None) if hold.reseller is None else hold for hold in found)


def holds_page(holds: Sequence[Hold], *, after: str | None = None, most: int = 100) -> Page:
    """The first `most` of what `list_holds` gave, or those behind the cursor. Raises BadInput."""
    return page_of(holds, lambda hold: (hold.made_at.astimezone(UTC).isoformat(), hold.id), after, most)


def holds_of_customer(connection: Any, who: Who, customer: str) -> tuple[Hold, ...]:
    """The holds in force that stop this customer of the asker's reseller, whatever they are of; the oldest first."""
    scopes = [(None, None), (who.tenant, None), (who.tenant, customer)]
    rows = [row for row in store.all_holds(connection) if (row.tenant, row.subject) in scopes]
    return tuple(_hold(row, {who.tenant: who.key}) for row in rows)


# --- releasing -----------------------------------------------------------------------------------------------------


def release_hold(installation: Installation, who: Who | None, ident: str, *, reason: str) -> Releasing:
    """Lets one hold go. Raises NotFound for one that the asker cannot see, Conflict for one that has gone already."""
    ident = as_typed(ident)
    with installation.database.read() as connection:
        row = store.hold_by_id(connection, ident)
        if row is None or (who is not None and row.tenant not in (None, who.tenant)):
            raise NotFound("hold", ident, "`vipflow hold list` shows those in force")
        if row.released_at is not None:
            remedy = "`vipflow hold list` shows those in force"
            raise Conflict("the hold", ident, f"{row.released_by} has released it already", remedy)
    return _release(installation, who, [row], reason)


def release_all(installation: Installation, who: Who | None, *, reason: str) -> Releasing:
    """Lets all holds go that the asker may release: of its reseller and its customers; of everything, for whoever may.

    What vipflow itself holds back waits for `catchup approve`.
    """
    with installation.database.read() as connection:
        rows = [row for row in store.all_holds(connection) if row.kind == "asked"]
        sole = len(all_tenants(connection)) < 2
    if who is not None:
        everything = who.actor is None or sole
        rows = [row for row in rows if row.tenant == who.tenant or (row.tenant is None and everything)]
    return _release(installation, who, rows, reason)


def _release(installation: Installation, who: Who | None, rows: Sequence[HoldRow], reason: str) -> Releasing:
    for row in rows:
        refused = _not_allowed(installation, who, Scope(row.tenant, row.subject))
        if refused is not None:
            return Releasing("refused", (), Counts(0, 0, 0, 0), 0, refused)
    reason = checked_reason(reason, "--reason")
    with installation.database.read() as connection:
        now = installation.engine.read_now(connection)
        keys = tenant_keys(all_tenants(connection))
        follows = _counts(store.count_let_go(connection, rows, now), mail_only=False)
    applied = 0
    for row in rows:
        applied += let_go(installation, row, acting(who), reason)
    with installation.database.read() as connection:
        rows = [found for row in rows if (found := store.hold_by_id(connection, row.id)) is not None]
    return Releasing("released", tuple(_hold(row, keys) for row in rows), follows, applied)


def let_go(installation: Installation, row: HoldRow, actor: Actor, remark: str | None) -> int:
    """Applies what the hold kept, and then releases it: how many events moved on.

    What arrives meanwhile is still kept, and applied in its turn; the release itself finds none left. On PostgreSQL one
    may be kept at the very moment of the release: `tick_holds` wakes it.
    """
    applied = 0
    while True:
        moved = installation.engine.let_through(row.id)
        applied += moved
        with installation.database.write() as connection:
            now = installation.engine.now(connection)
            if moved and store.kept_by(connection, waits_for(_held(row)), 1):
                continue
            store.take_turns(connection, now)
            found = store.hold_by_id(connection, row.id)
            if found is not None and found.released_at is None:
                store.end_hold(connection, row.id, now, actor.name, remark)
                act = Act(row.tenant, actor.kind, actor.name, "hold.release", row.id, remark, {"events": applied})
                remember_acts(connection, [act], now)
            break
    return applied


def tick_holds(installation: Installation) -> Ticked:
    """Lets go the holds whose end has come, and wakes what was kept at the very moment of a release. A tick like those
    of `vipflow.operations.ticks`: called again, too early or late it does no harm.
    """
    done = 0
    with installation.database.read() as connection:
        over = store.holds_at_their_end(connection, installation.engine.read_now(connection))
        forgotten = store.left_behind(connection)
    for row in over:
        let_go(installation, row, CLOCK, "its end has come")
        done += 1
    for waiting_for in forgotten:
        done += installation.engine.let_through(waiting_for.removeprefix(store.WAITS_FOR))
    with installation.database.read() as connection:
        return Ticked(done, 0, store.next_end_of_a_hold(connection))


# --- who and what --------------------------------------------------------------------------------------------------


def acting(who: Who | None) -> Actor:
    """As the audit names whoever asks."""
    return Actor("staff", OPERATOR) if who is None else who.as_actor


def not_allowed_over(who: Who | None, scope: Scope, tenants: Sequence[TenantRow]) -> Reason | None:
    """Why the asker may not stop or let go this; None where it may. What is of everything is for whoever runs the
    machine, and for the operators of the only reseller there is.
    """
    if who is None or who.actor is None:
        return None
    refused = not_allowed_to(who, "operate")
    if refused is not None or scope.tenant is not None or len(tenants) < 2:
        return refused
    return Reason(
        "not_allowed",
        Text("Cela concerne aussi d’autres revendeurs.", "This concerns other resellers as well."),
        {"role": who.role},
        Text(
            "Agissez sur votre revendeur seul, ou demandez à l’exploitant de la machine.",
            "Do it for your reseller alone, or ask whoever runs the machine.",
        ),
    )


def _not_allowed(installation: Installation, who: Who | None, scope: Scope) -> Reason | None:
    with installation.database.read() as connection:
        return not_allowed_over(who, scope, all_tenants(connection))


def checked_reason(reason: str, option: str) -> str:
    """A reason as it is kept. Raises BadInput for one that says nothing, or too much."""
    reason = reason.strip()
    if not reason:
        raise BadInput(option, "it is empty", "say why in a few words: it is kept")
    if len(reason) > LONGEST_REASON:
        raise BadInput(option, f"it has {len(reason)} characters", f"say it in {LONGEST_REASON}")
    check_text(reason, option, "text")
    return reason


def zone_of(tenants: Sequence[TenantRow], who: Who | None) -> ZoneInfo:
    """Where days begin for the asker: for whoever runs the machine, as for the first reseller."""
    if who is not None:
        return who.zone
    return ZoneInfo(tenants[0].zone if tenants else "UTC")


def tenant_keys(tenants: Sequence[TenantRow]) -> Mapping[int, str]:
    """What each reseller calls itself."""
    return {tenant.id: tenant.key for tenant in tenants}


def _end(until: date | None, zone: ZoneInfo, now: datetime) -> datetime | None:
    if until is None:
        return None
    ends_at = midnight(until, zone)
    if ends_at <= now:
        raise BadInput("--until", f"{until} has begun already", "give a later day: at its beginning all goes on")
    return ends_at


def _same(rows: Sequence[HoldRow], scope: Scope, mail_only: bool, kind: str = "asked") -> HoldRow | None:
    wanted = (scope.tenant, scope.subject, mail_only, kind)
    return next((row for row in rows if (row.tenant, row.subject, row.mail_only, row.kind) == wanted), None)


def _row(
    scope: Scope,
    mail_only: bool,
    kind: Kind,
    reason: str,
    details: Mapping[str, Any] | None,
    by: str,
    now: datetime,
    ends_at: datetime | None,
) -> HoldRow:
    told = msgspec.json.encode(details).decode() if details is not None else None
    row = HoldRow("", scope.tenant, scope.subject, mail_only, kind, reason, told, by, now, ends_at)
    return row._replace(id=_ident(row, 0))


def _ident(row: HoldRow, salt: int) -> str:
    cause = f"{row.tenant}/{row.subject}/{row.mail_only}/{row.kind}/{row.made_at.isoformat()}"
    return reference("H", "", cause, salt)


def _held(row: HoldRow) -> Held:
    return Held(row.id, row.subject, row.reason, row.made_by, row.ends_at)


def _of(scope: Scope) -> str:
    return scope.subject or ("everything" if scope.tenant is None else "the reseller")


def _hold(row: HoldRow, keys: Mapping[int, str]) -> Hold:
    return Hold(
        id=row.id,
        reseller=keys.get(row.tenant, str(row.tenant)) if row.tenant is not None else None,
        customer=row.subject,
        mail_only=row.mail_only,
        kind=row.kind,  # type: ignore[arg-type]  # why: the column is text; only these are written
        reason=row.reason,
        details=msgspec.json.decode(row.details) if row.details else None,
        made_by=row.made_by,
        made_at=row.made_at,
        ends_at=row.ends_at,
        released_at=row.released_at,
        released_by=row.released_by,
        remark=row.remark,
    )


def _counts(stopped: Stopped, mail_only: bool) -> Counts:
    if mail_only:
        return Counts(stopped.subjects, 0, stopped.mails, 0)
    return Counts(stopped.subjects, stopped.timers, stopped.mails, stopped.events)
