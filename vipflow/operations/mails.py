"""Acts on mails, one by one or many: try again, hold, release, discard; and the addresses that are not written to.

Each is written into the audit, with what it was before. Done twice it counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, cast

import msgspec

from vipflow.decide import REASON_REQUIRED
from vipflow.delivery.eml import plain_address
from vipflow.engine.envelope import check_text
from vipflow.errors import BadInput, NotFound, did_you_mean
from vipflow.operations.allowed import not_allowed_to
from vipflow.operations.inspection import MESSAGE_STATES, Page
from vipflow.operations.installation import Installation
from vipflow.operations.references import find
from vipflow.operations.who import Who
from vipflow.store import messages as store
from vipflow.store.audit import Act, remember_acts
from vipflow.store.outgoing import LIFT_SUPPRESSION
from vipflow.vip.customers import Role
from vipflow.vip.roles import may_do
from vipflow.workflow import Person, Reason

MailAct = Literal["retry", "hold", "release", "discard"]

FROM: Final[dict[MailAct, tuple[str, ...]]] = {
    "retry": ("dead", "uncertain", "held"),
    "hold": ("waiting",),
    "release": ("held",),
    "discard": ("waiting", "held", "dead", "uncertain"),
}
"""In which states a mail must be for it. A mail that was sent is never sent again; one in hand is left alone."""
TO: Final[dict[MailAct, str]] = {"retry": "waiting", "hold": "held", "release": "waiting", "discard": "discarded"}
NEED_A_REASON: Final = frozenset({"release", "discard"})
HELD_BY_HAND: Final = "held by "
_KINDS = ("mail_held", "mail_dead", "mail_uncertain")
_ENDS: Final[dict[MailAct, str]] = {"retry": "retried", "release": "retried", "discard": "dismissed"}
LONGEST_REASON = 500


class Wanted(msgspec.Struct, frozen=True):
    """Which mails, where they are not named one by one. States left out: all those that the act is for."""

    states: tuple[str, ...] = ()
    template: str | None = None
    customer: str | None = None
    """A customer with all its cases, or one case: whatever names it."""


class Moved(msgspec.Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """A mail that an act moves. `copies`: so many of it may have arrived already."""

    key: str
    template: str
    recipient: str
    case: str
    before: str
    after: str
    copies: int


class Left(msgspec.Struct, frozen=True):
    """A mail that an act leaves as it is, and why. `done`: it is as the act would make it."""

    key: str
    state: str
    why: str
    done: bool


class Acted(msgspec.Struct, frozen=True):
    """What an act did, or with `dry_run` would do. `refused`: the asker may not at all."""

    act: MailAct
    moved: tuple[Moved, ...] = ()
    left: tuple[Left, ...] = ()
    dry_run: bool = False
    refused: Reason | None = None


class Suppressed(msgspec.Struct, frozen=True):
    """An address that is not written to any more: since when, in which words it refused, and which mail."""

    address: str
    since: datetime
    says: str
    message: str | None


def act_on_mails(
    installation: Installation,
    who: Who,
    act: MailAct,
    keys: Sequence[str] = (),
    wanted: Wanted | None = None,
    *,
    reason: str | None = None,
    dry_run: bool = False,
) -> Acted:
    """Moves the mails with these keys, or all that are `wanted`. Those of one digest go together.

    Raises NotFound for a key that no mail has, BadInput for states that there are not.
    """
    refused = _refusal(who, act, reason)
    if refused is not None:
        return Acted(act, dry_run=dry_run, refused=refused)
    fits = _filter(installation, who, act, wanted) if wanted is not None else None
    if dry_run:
        with installation.database.read() as connection:
            rows = _rows(connection, who, keys, fits, lock=False)
        moved, left = _sorted_out(who, act, rows)
        return Acted(act, tuple(map(_moved(act), moved)), tuple(left), dry_run=True)
    with installation.database.write() as connection:
        now = installation.engine.now(connection)
        rows = _rows(connection, who, keys, fits, lock=True)
        moved, left = _sorted_out(who, act, rows)
        store.MOVE.run(connection, [_move(who, act, row, now, reason) for row in moved])
        if act == "retry":
            _write_anew(connection, who, moved)
        if act in _ENDS:
            _close_incidents(connection, who, moved, now, _ENDS[act], reason)
        remember_acts(connection, [_audited(who, act, row, reason) for row in moved], now)
    return Acted(act, tuple(map(_moved(act), moved)), tuple(left))


def put_back(
    connection: Any, who: Who, key: str, now: datetime, reason: str | None, details: Mapping[str, Any]
) -> tuple[str | None, list[Act]]:
    """Within a transaction of somebody's: lets a mail that was given up wait again, with all of its digest. Its state
    before, and the acts for the audit; none where it is not given up (any more).
    """
    try:
        rows = _rows(connection, who, [key], None, lock=True)
    except NotFound:
        return None, []
    before = next(row.state for row in rows if row.key == key)
    if before not in FROM["retry"]:
        return before, []
    moved = [row for row in rows if row.state in FROM["retry"]]
    store.MOVE.run(connection, [_move(who, "retry", row, now, reason) for row in moved])
    _write_anew(connection, who, moved)
    acts = [_audited(who, "retry", row, reason) for row in moved]
    return before, [msgspec.structs.replace(act, details={**act.details, **details}) for act in acts]


# --- which ---------------------------------------------------------------------------------------------------------


def _filter(installation: Installation, who: Who, act: MailAct, wanted: Wanted) -> store.Filter:
    for state in wanted.states:
        if state not in MESSAGE_STATES:
            near = did_you_mean(state, MESSAGE_STATES)
            raise BadInput(f"the state {state!r}", f"no mail has it{near}", f"there are {', '.join(FROM[act])}")
    if wanted.template is not None and wanted.template not in installation.templates.names:
        raise NotFound("template", wanted.template, f"there are {', '.join(installation.templates.names)}")
    subject = case = None
    if wanted.customer is not None:
        found = find(installation, who, wanted.customer)
        subject, case = found.subject, None if found.ref == found.subject else found.ref
    return store.Filter(wanted.states or FROM[act], wanted.template, subject, case)


def _rows(connection: Any, who: Who, keys: Sequence[str], fits: store.Filter | None, *, lock: bool) -> list[Any]:
    rows: dict[str, Any] = {}
    if keys:
        rows |= {row.key: row for row in store.messages_by_key(connection, who.tenant, keys, lock=lock)}
        unknown = next((key for key in keys if key not in rows), None)
        if unknown is not None:
            raise NotFound("message", unknown, "`vipflow mail list` shows their keys")
    if fits is not None:
        rows |= {row.key: row for row in store.messages_matching(connection, who.tenant, fits, lock=lock)}
    digests = sorted({row.digest for row in rows.values() if row.digest is not None})
    if digests:
        rows |= {row.key: row for row in store.messages_of_digests(connection, who.tenant, digests, lock=lock)}
    return list(rows.values())


def _sorted_out(who: Who, act: MailAct, rows: Iterable[Any]) -> tuple[list[Any], list[Left]]:
    moved, left = [], []
    for row in rows:
        why = _why_not(who, act, row)
        if why is None:
            moved.append(row)
        else:
            left.append(Left(row.key, row.state, why, row.state == TO[act]))
    return moved, left


def _why_not(who: Who, act: MailAct, row: Any) -> str | None:
    if not _may(who, act, own=row.owner == who.actor):
        return "its customer is managed by somebody else"
    if row.state == TO[act]:
        return f"it is {row.state} already"
    if row.state not in FROM[act]:
        return "it was sent, and what was sent is not sent again" if row.state == "sent" else f"it is {row.state}"
    if act == "retry" and (row.note or "").startswith(HELD_BY_HAND):
        return f"{row.note}; release it"
    return None


# --- what ----------------------------------------------------------------------------------------------------------


def _move(who: Who, act: MailAct, row: Any, now: datetime, reason: str | None) -> tuple[Any, ...]:
    by = who.as_actor.name
    says = f": {reason}" if reason else ""
    at, failures, first = row.not_before, row.failures, row.first_tried_at
    match act:
        case "retry":
            at, failures, first = now, 0, None
            note = f"asked for again by {by}{says}"
        case "hold":
            note = f"{HELD_BY_HAND}{by}{says}"
        case "release":
            note = f"released by {by}{says}"
        case "discard":
            note = f"discarded by {by}{says}"
    return who.tenant, row.key, row.state, row.attempts, TO[act], at, failures, first, note


def _write_anew(connection: Any, who: Who, rows: Sequence[Any]) -> None:
    """Forgets the bytes of mails of which no copy can have arrived: they are written again, to whom each customer has
    now. The parts of a digest keep theirs.
    """
    anew = [row for row in rows if row.copies == 0 and row.digest is None]
    store.FORGET_BYTES.run(connection, [(who.tenant, row.key, None, None, None) for row in anew])


def _audited(who: Who, act: MailAct, row: Any, reason: str | None) -> Act:
    actor = who.as_actor
    details = {"from": row.state, "to": TO[act], "note": row.note, "copies": row.copies, "attempts": row.attempts}
    return Act(who.tenant, actor.kind, actor.name, f"mail.{act}", row.key, reason, details)


def _moved(act: MailAct) -> Any:
    def moved(row: Any) -> Moved:
        person = msgspec.json.decode(row.person, type=Person)
        return Moved(row.key, row.template, person.name, row.case_ref, row.state, TO[act], row.copies)

    return moved


def _close_incidents(
    connection: Any, who: Who, rows: Sequence[Any], now: datetime, outcome: str, remark: str | None
) -> None:
    """What told that these mails need a person has been answered."""
    if not rows:
        return
    of_mails = tuple(f"message:{row.key}/" for row in rows)
    subjects = sorted({row.subject for row in rows})
    found = store.open_incidents(connection, who.tenant, subjects, _KINDS)
    closing = [row.id for row in found if row.cause.startswith(of_mails)]
    by = who.as_actor.name
    store.CLOSE_INCIDENTS.run(connection, [(who.tenant, ident, now, by, outcome, remark) for ident in closing])


# --- who -----------------------------------------------------------------------------------------------------------


def _refusal(who: Who, act: MailAct, reason: str | None) -> Reason | None:
    if not _may(who, act, own=True):
        return not_allowed_to(who, "report" if act == "retry" else "operate")
    if act in NEED_A_REASON and not (reason or "").strip():
        return REASON_REQUIRED
    _check_reason(reason)
    return None


def _may(who: Who, act: MailAct, *, own: bool) -> bool:
    """To try again is everyday work; to hold is harmless; to let go what was held, or never to send it, is not."""
    role = cast(Role, who.role)
    if act == "retry":
        return may_do(role, "report", own)
    return may_do(role, "operate") or (act == "hold" and may_do(role, "report", own))


def _check_reason(reason: str | None) -> None:
    if reason is None:
        return
    check_text(reason, "the reason")
    if len(reason) > LONGEST_REASON:
        raise BadInput("the reason", f"it has {len(reason)} characters", f"say it in {LONGEST_REASON}")


# --- addresses that bounced for good -------------------------------------------------------------------------------


def suppressed_addresses(
    installation: Installation, who: Who, *, limit: int = 100, after: str | None = None
) -> Page[Suppressed]:
    """The addresses that are not written to any more, in their order."""
    with installation.database.read() as connection:
        rows = store.suppressions_page(connection, who.tenant, after or "", limit + 1)
    items = [Suppressed(row.address, row.since, row.says, row.message) for row in rows[:limit]]
    return Page(items, items[-1].address if len(rows) > limit else None)


class Lifted(msgspec.Struct, frozen=True):
    """An address that is written to again; or why that is refused."""

    address: str
    suppressed: Suppressed | None
    refused: Reason | None = None


def unsuppress(installation: Installation, who: Who, address: str, *, reason: str | None = None) -> Lifted:
    """Lets an address be written to again. Mails held for it wait until somebody retries them. Raises NotFound."""
    address = plain_address(address.strip())
    role = cast(Role, who.role)
    if not (may_do(role, "report") or may_do(role, "operate")):
        return Lifted(address, None, not_allowed_to(who, "report"))
    if not (reason or "").strip():
        return Lifted(address, None, REASON_REQUIRED)
    _check_reason(reason)
    actor = who.as_actor
    with installation.database.write() as connection:
        now = installation.engine.now(connection)
        row = store.suppression(connection, who.tenant, address)
        if row is None:
            raise NotFound("suppressed address", address, "`vipflow mail suppressed` lists them")
        LIFT_SUPPRESSION.run(connection, [(who.tenant, address)])
        details = {"since": row.since.isoformat(), "says": row.says, "message": row.message}
        act = Act(who.tenant, actor.kind, actor.name, "mail.unsuppress", address, reason, details)
        remember_acts(connection, [act], now)
    return Lifted(address, Suppressed(row.address, row.since, row.says, row.message))
