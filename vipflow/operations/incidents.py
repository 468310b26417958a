"""Incidents settled by a person: seen together by what they have in common, tried again, or dismissed with a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from vipflow.engine.batch import ERRORS_AT_MOST
from vipflow.engine.holds import AGAIN
from vipflow.engine.incidents import group_of
from vipflow.engine.quarantine import crash_cause
from vipflow.errors import BadInput, NotFound
from vipflow.operations.allowed import not_allowed_to
from vipflow.operations.holds import checked_reason
from vipflow.operations.inspection import incident
from vipflow.operations.installation import Installation
from vipflow.operations.mails import put_back
from vipflow.operations.rows import Page, page_of
from vipflow.operations.who import Who
from vipflow.references import as_typed
from vipflow.store import incidents as store
from vipflow.store.audit import Act, remember_acts
from vipflow.store.inspection import incident as incident_row
from vipflow.store.work import lock_subjects
from vipflow.workflow import Reason, Text

Outcome = Literal["retried", "dismissed", "resolved", "still_waiting", "nothing_to_retry", "closed_already"]


class Group(msgspec.Struct, frozen=True):
    """Open incidents of one cause, told without what is each one's own."""

    group: str
    kind: str
    fault: str
    count: int
    first_at: datetime
    last_at: datetime
    example: str
    remedy: Text


class Settled(msgspec.Struct, frozen=True):
    """What became of one incident."""

    id: str
    kind: str
    outcome: Outcome
    says: str


class Settling(msgspec.Struct, frozen=True):
    """What became of all that were named; or why the asker may not."""

    settled: tuple[Settled, ...] = ()
    refused: Reason | None = None


_REMEDIES = {
    "quarantined": Text(
        "Corrigez la cause (souvent un fichier de workflow ou une donnée), puis relancez.",
        "Mend the cause (often a workflow file, or a fact), then retry.",
    ),
    "parked_too_long": Text(
        "Créez ou importez le dossier attendu\u00a0; l’événement suivra. Sinon, classez.",
        "Create or import the record it waits for; the event then follows. Else dismiss.",
    ),
    "contradiction": Text(
        "Vérifiez avec le client ou Adobe ce qui est vrai, corrigez, puis classez.",
        "Ask the customer or Adobe which is true, put it right, then dismiss.",
    ),
    "name_taken": Text(
        "Vérifiez lequel des deux dossiers porte vraiment ce nom, puis classez.",
        "Check which of the two records really bears the name, then dismiss.",
    ),
    "held_back": Text(
        "Décidez à la main de ce que l’horloge n’a pas fait, puis classez.",
        "Decide by hand what the clock did not do, then dismiss.",
    ),
    "follow_up_refused": Text(
        "Faites à la main ce qui n’a pas suivi, puis classez.",
        "Do by hand what could not follow, then dismiss.",
    ),
    "mail_held": Text(
        "Corrigez le modèle ou les données, puis relancez.", "Mend the template or the facts, then retry."
    ),
    "mail_dead": Text(
        "Corrigez l’adresse ou le serveur, puis relancez.", "Mend the address or the server, then retry."
    ),
    "mail_uncertain": Text(
        "Demandez s’il est arrivé\u00a0; sinon, relancez.", "Ask whether it arrived; if not, retry."
    ),
    "mail_bounced": Text(
        "Corrigez l’adresse du client, puis classez.", "Correct the customer's address, then dismiss."
    ),
}
_LOOK = Text("Regardez-le, puis relancez ou classez.", "Look at it, then retry or dismiss.")


def remedy_of(kind: str) -> Text:
    """What usually helps against incidents of this kind."""
    return _REMEDIES.get(kind, _LOOK)


# --- seeing --------------------------------------------------------------------------------------------------------


def incident_groups(installation: Installation, who: Who, *, kind: str | None = None) -> tuple[Group, ...]:
    """All open incidents by cause, the most frequent first."""
    with installation.database.read() as connection:
        rows = store.groups(connection, who.tenant)
    return tuple(
        Group(
            group_of(_fault(row)),
            row.kind,
            _fault(row).removeprefix(f"{row.kind}: "),
            row.count,
            row.first_at,
            row.last_at,
            row.example,
            remedy_of(row.kind),
        )
        for row in rows
        if kind in (None, row.kind)
    )


def incident_group(
    installation: Installation, who: Who, ident: str, *, after: str | None = None, most: int = 100
) -> tuple[Group, Page]:
    """A group with its incidents (`IncidentEntry`), the oldest first. Raises NotFound."""
    wanted = as_typed(ident)
    found = next((group for group in incident_groups(installation, who) if group.group == wanted), None)
    if found is None:
        raise NotFound("group of incidents", ident, "`vipflow incident list` shows those with open incidents")
    with installation.database.read() as connection:
        rows = _of_group(connection, who, wanted)
    page = page_of(rows, lambda row: (row.opened_at.astimezone(UTC).isoformat(), row.id), after, most)
    return found, Page(tuple(incident(installation, who, row.id) for row in page.items), page.next)


def _of_group(connection: Connection, who: Who, wanted: str) -> Sequence[Any]:
    for row in store.groups(connection, who.tenant):
        if group_of(_fault(row)) == wanted:
            return store.open_of_fault(connection, who.tenant, row.fault, row.kind)
    return ()


def _fault(row: Any) -> str:
    """What a group has in common; of incidents from before that was kept, their kind alone."""
    return row.fault or f"{row.kind}: {row.kind.replace('_', ' ')}"


# --- settling ------------------------------------------------------------------------------------------------------


def retry_incidents(
    installation: Installation,
    who: Who,
    ident: str | None = None,
    *,
    group: str | None = None,
    reason: str | None = None,
) -> Settling:
    """Tries again what one incident stopped, or all of a group; what fails again opens its incident again.

    A timer wakes at once and is fired by the next sweep; an event is applied here and now; a mail waits to leave.
    """
    if reason is not None:
        reason = checked_reason(reason, "--reason")
    return _settle(installation, who, ident, group, lambda row: _retry(installation, who, row, reason))


def dismiss_incidents(
    installation: Installation, who: Who, ident: str | None = None, *, group: str | None = None, reason: str
) -> Settling:
    """Closes one incident, or all of a group, without doing anything: what it stopped stays stopped."""
    reason = checked_reason(reason, "--reason")

    def dismiss(row: Any) -> Settled:
        with installation.database.write() as connection:
            now = installation.engine.now(connection)
            return _close(connection, who, row, now, "dismissed", reason, "It is closed; nothing else was done.")

    return _settle(installation, who, ident, group, dismiss)


def _settle(
    installation: Installation, who: Who, ident: str | None, group: str | None, settle: Callable[[Any], Settled]
) -> Settling:
    refused = not_allowed_to(who, "operate")
    if refused is not None:
        return Settling(refused=refused)
    if (ident is None) == (group is None):
        raise BadInput("the incident", "name one, or a group with --cause", "`vipflow incident list` shows both")
    with installation.database.read() as connection:
        if ident is not None:
            row = incident_row(connection, who.tenant, as_typed(ident))
            rows = [row] if row is not None else []
        else:
            rows = list(_of_group(connection, who, as_typed(str(group))))
    if not rows:
        what, named = ("incident", ident) if ident is not None else ("group of incidents", group)
        raise NotFound(what, str(named), "`vipflow incident list` shows those that are open")
    return Settling(tuple(_closed(row) if row.closed_at is not None else settle(row) for row in rows))


def _closed(row: Any) -> Settled:
    return Settled(row.id, row.kind, "closed_already", f"It was closed by {row.closed_by}.")


def _close(
    connection: Connection, who: Who, row: Any, now: datetime, outcome: Outcome, remark: str | None, says: str
) -> Settled:
    """Within the transaction that does what is to be done: the incident closed, and the act in the audit."""
    actor = who.as_actor
    if not store.close(connection, who.tenant, row, now, actor.name, outcome, remark):
        return Settled(row.id, row.kind, "closed_already", "Somebody else settled it meanwhile.")
    act = "incident.dismiss" if outcome == "dismissed" else "incident.retry"
    details = {"kind": row.kind, "cause": row.cause, "outcome": outcome}
    remember_acts(connection, [Act(who.tenant, actor.kind, actor.name, act, row.id, remark, details)], now)
    return Settled(row.id, row.kind, outcome, says)


def _retry(installation: Installation, who: Who, row: Any, reason: str | None) -> Settled:
    cause = str(row.cause)
    if row.kind in ("mail_held", "mail_dead", "mail_uncertain"):
        return _retry_mail(installation, who, row, reason)
    if row.kind == "quarantined" and cause.startswith("timer:"):
        return _retry_timers(installation, who, row, reason, lambda timer: _cause_of(timer) == cause)
    if row.kind == "quarantined" and row.subject is not None and cause == crash_cause(row.subject):
        return _retry_timers(installation, who, row, reason, lambda timer: timer.errors < ERRORS_AT_MOST)
    if row.kind in ("quarantined", "parked_too_long") and cause.startswith("event:"):
        return _retry_event(installation, who, row, reason)
    says = f"There is nothing to try again. {remedy_of(row.kind).en}"
    return Settled(row.id, row.kind, "nothing_to_retry", says)


def _retry_timers(
    installation: Installation, who: Who, row: Any, reason: str | None, means: Callable[[Any], bool]
) -> Settled:
    with installation.database.write() as connection:
        now = installation.engine.now(connection)
        lock_subjects(connection, who.tenant, [row.subject])
        stopped = [timer for timer in store.stopped_timers(connection, who.tenant, row.subject) if means(timer)]
        again = [(who.tenant, t.case_ref, t.name, t.due_at, 0, t.due_at) for t in stopped]
        store.WAKE_TIMERS.run(connection, again)
        store.forgive_crashes(connection, who.tenant, row.subject)
        if stopped:
            return _close(connection, who, row, now, "retried", reason, "Its timer is awake: the next sweep fires it.")
        return _close(connection, who, row, now, "resolved", reason, "Its timer is not armed any more: it is closed.")


def _cause_of(timer: Any) -> str:
    return f"timer:{timer.case_ref}/{timer.name}/{timer.due_at.isoformat()}/fault"


def _retry_event(installation: Installation, who: Who, row: Any, reason: str | None) -> Settled:
    source, event_id = _event_of(row.cause)
    with installation.database.write() as connection:
        now = installation.engine.now(connection)
        kept = store.event_of(connection, who.tenant, source, event_id)
        if kept is None or kept.verdict not in ("parked", "quarantined"):
            verdict = "gone" if kept is None else kept.verdict
            says = f"Its event was {verdict} meanwhile: it is closed."
            return _close(connection, who, row, now, "resolved", reason, says)
        if kept.verdict == "quarantined":
            # First closed, so that a second failure opens it again; until it is applied it waits, and is seen to.
            settled = _close(connection, who, row, now, "retried", reason, "")
            if settled.outcome == "closed_already":
                return settled
            for key in filter(None, (row.cause, row.subject)):
                store.forgive_crashes(connection, who.tenant, key)
            waiting = (who.tenant, source, event_id, "quarantined", "parked", f"{AGAIN}{row.id}", now)
            store.PARK_AGAIN.run(connection, [waiting])
    verdict, waits_for = installation.engine.retry_event(who.tenant, source, event_id)
    if kept.verdict == "parked":
        if verdict == "parked":
            return Settled(row.id, row.kind, "still_waiting", f"Its event still waits for {waits_for}.")
        with installation.database.write() as connection:
            now = installation.engine.now(connection)
            return _close(connection, who, row, now, "retried", reason, f"Its event is {verdict} now.")
    ends = f"waits for {waits_for}" if verdict == "parked" else f"is {verdict} now"
    if verdict == "quarantined":
        ends = "failed again, and its incident is open again"
    return Settled(row.id, row.kind, "retried", f"Its event {ends}.")


def _event_of(cause: str) -> tuple[str, str]:
    """Source and id of the event in the cause of an incident; see `envelope.event_cause`."""
    source, _, rest = cause.removeprefix("event:").partition("/")
    ident = rest.partition("/")[0]
    return _unescaped(source), _unescaped(ident)


def _unescaped(text: str) -> str:
    return text.replace("%2F", "/").replace("%25", "%")


def _retry_mail(installation: Installation, who: Who, row: Any, reason: str | None) -> Settled:
    key = row.cause.removeprefix("message:").partition("/")[0]
    with installation.database.write() as connection:
        now = installation.engine.now(connection)
        state, acts = put_back(connection, who, key, now, reason, {"incident": row.id})
        if not acts:
            says = f"Its mail is {state or 'gone'} by now: it is closed."
            return _close(connection, who, row, now, "resolved", reason, says)
        says = "Its mail waits again, and leaves if still true."
        settled = _close(connection, who, row, now, "retried", reason, says)
        remember_acts(connection, acts, now)  # last: who holds the audit waits for nobody
        return settled
