"""The audit: what staff did that is no event of a customer, the seals over everything, and whether all is untouched."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from vipflow.engine import seals as engine
from vipflow.engine.sealfile import SealPlace
from vipflow.engine.verify import AuditReport, Progress
from vipflow.engine.verify import verify_audit as verify_all
from vipflow.errors import BadInput, NotFound, VipflowError
from vipflow.operations.allowed import not_allowed_to
from vipflow.operations.inspection import Page
from vipflow.operations.installation import Installation
from vipflow.operations.who import Who
from vipflow.store import audit as store
from vipflow.store.audit import Act, remember_acts
from vipflow.store.holds import Scope
from vipflow.store.tenants import all_tenants
from vipflow.workflow import Reason


class NotAllowed(VipflowError):
    """Raised when somebody asks to see what their role may not see."""

    exit_code = 3

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"Refused: {reason.says.en}" + (f" {reason.unblock.en}" if reason.unblock is not None else ""))
        self.reason_code = reason.code


class ActEntry(msgspec.Struct, frozen=True):
    """One act. `of_installation`: it concerned everybody, not this reseller alone."""

    number: int
    at: datetime
    actor: str
    actor_kind: str
    act: str
    target: str
    reason: str | None
    details: Mapping[str, Any]
    of_installation: bool


class Restored(msgspec.Struct, frozen=True):
    """What `restored` did: `aside` is the name that the file of seals has now, None where there was none."""

    seals: int
    aside: str | None


# --- acts ----------------------------------------------------------------------------------------------------------


def list_acts(
    installation: Installation,
    who: Who,
    *,
    target: str | None = None,
    act: str | None = None,
    actor: str | None = None,
    limit: int = 100,
    after: str | None = None,
) -> Page[ActEntry]:
    """Acts, the newest first. `act` may be a noun alone (`mail`), `after` is an act's number. Raises NotAllowed."""
    _check_allowed(who)
    before = None if after is None else _number(after, "--after")
    with installation.database.read() as connection:
        rows = store.acts_page(connection, who.tenant, limit + 1, before=before, target=target, act=act, actor=actor)
    entries = [_entry(row) for row in rows[:limit]]
    return Page(entries, str(entries[-1].number) if len(rows) > limit else None)


def show_act(installation: Installation, who: Who, number: str) -> ActEntry:
    """One act. Raises NotFound, NotAllowed."""
    _check_allowed(who)
    with installation.database.read() as connection:
        row = store.act_at(connection, who.tenant, _number(number, "the number"))
    if row is None:
        raise NotFound("act", number, "`vipflow audit list` shows their numbers")
    return _entry(row)


def remember_change(
    connection: Connection,
    tenant: int,
    by: str,
    act: str,
    target: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    now: datetime,
) -> None:
    """Writes a changed row of configuration into the audit: what was otherwise before. Nothing where nothing was."""
    changed = [name for name, value in after.items() if name not in before or before[name] != value]
    if changed:
        details = {
            "before": {name: before[name] for name in changed if name in before},
            "after": {name: after[name] for name in changed},
        }
        remember_acts(connection, [Act(tenant, "staff", by, act, target, details=details)], now)


def _entry(row: Any) -> ActEntry:
    details = msgspec.json.decode(row.details)
    return ActEntry(
        row.position, row.at, row.actor, row.actor_kind, row.act, row.target, row.reason, details, row.tenant is None
    )


def _check_allowed(who: Who) -> None:
    reason = not_allowed_to(who, "operate")
    if reason is not None:
        raise NotAllowed(reason)


def _number(given: str, what: str) -> int:
    if not given.isdecimal() or not given.isascii() or len(given) > 15:
        raise BadInput(what, f"{given!r} is no number of an act", "`vipflow audit list` shows them")
    return int(given)


# --- seals ---------------------------------------------------------------------------------------------------------


def seal_place(installation: Installation) -> SealPlace:
    """Where this installation's key and file of seals are."""
    audit = installation.settings.audit
    return SealPlace(audit.key, audit.seals)


def seal_now(installation: Installation) -> engine.Sealed:
    """Seals what is new, if anything is. Raises SealFault, and Busy where writers leave no moment."""
    return engine.seal(installation.database, seal_place(installation), installation.engine.read_now)


def seal_state(installation: Installation) -> engine.SealState:
    """How far the seals reach, and what is in their way: a glance, for those who watch."""
    return engine.seal_state(installation.database, seal_place(installation))


def verify_audit(installation: Installation, *, most: int = 20, progress: Progress | None = None) -> AuditReport:
    """Whether history, audit and seals are as they were written."""
    return verify_all(installation.database, seal_place(installation), most=most, progress=progress)


def restored(installation: Installation, who: Who, reason: str, *, dry_run: bool = False) -> Restored:
    """Goes on after a restored backup, which lacks seals that the file has: sets the file aside and begins it anew.

    With `dry_run` it only says what it would do. Raises NotAllowed, BadInput without a reason, and SealFault for a key
    that is not the seals'.
    """
    from vipflow.operations.holds import not_allowed_over  # they import the ticks, and those this

    with installation.database.read() as connection:
        refused = not_allowed_over(who, Scope(None), all_tenants(connection))
    if refused is not None:
        raise NotAllowed(refused)
    if not reason.strip():
        raise BadInput("the reason", "it is empty", "say which backup was restored, and why")
    place = seal_place(installation)
    lost = place.last()
    aside = engine.begin_file_anew(installation.database, place, installation.clock.now(), dry_run=dry_run)
    if dry_run:
        return Restored(engine.seal_state(installation.database, place).seals, aside)
    kept = place.last()
    details = {"file": aside, "seals_of_file": lost.number if lost else 0, "seals_kept": kept.number if kept else 0}
    actor = who.as_actor
    with installation.database.write() as connection:
        act = Act(None, actor.kind, actor.name, "audit.restored", "seals", reason.strip(), details)
        remember_acts(connection, [act], installation.engine.now(connection))
    return Restored(kept.number if kept else 0, aside)
