"""Bounces that a system reads in their mailbox and posts as `message.bounce`: which mail of ours it was, and what its
customer's workflow is told.
"""

from __future__ import annotations

from typing import Any

import msgspec

from vipflow.case import Actor
from vipflow.delivery.bounces import (
    SOURCE,
    MessageBounce,
    bounce_event,
    bounce_id,
    code_in,
    is_gone,
    plain,
    subject_line_of,
)
from vipflow.delivery.eml import plain_address
from vipflow.delivery.settling import incident_row
from vipflow.engine.envelope import (
    Envelope,
    Verdict,
    bad_data,
    check_not_ahead,
    check_text,
    envelope_of,
    strict_json,
    word,
)
from vipflow.errors import BadInput
from vipflow.operations.installation import Installation
from vipflow.operations.who import Who
from vipflow.store import messages as store
from vipflow.store import outgoing, work
from vipflow.store.incidents import REPORT

TYPE = "message.bounce"


class Asked(msgspec.Struct, frozen=True):
    """How whoever told of a bounce calls his event."""

    source: str
    id: str
    type: str = TYPE


def is_bounce(line: bytes) -> bool:
    """Whether a line may hold such an event: a look that costs nothing."""
    return b"message.bounce" in line


def read_bounce(
    installation: Installation, who: Who, line: bytes, default_source: str | None
) -> tuple[Envelope | Verdict, Asked] | None:
    """The event that a bounce is for its customer, or the verdict where no workflow asks for it. None for a line that
    holds another type. Raises BadInput.

    What the bounce says of the address is kept here already: told twice, it counts once.
    """
    given = strict_json(line)
    if not isinstance(given, dict) or given.get("type") != TYPE:
        return None
    # Checked like any other event, as one that every installation has.
    asked = Asked(word(given, "source", default_source), word(given, "id", None))
    what = f"event {asked.source}/{asked.id}"
    check_text(given, what)
    try:
        bounce = msgspec.convert(given.get("data") or {}, MessageBounce, strict=True)
    except msgspec.ValidationError as wrong:
        raise bad_data(what, TYPE, MessageBounce, given.get("data"), wrong) from wrong
    if "@" not in bounce.address or len(bounce.address) > 254:
        raise BadInput(what, f"{bounce.address!r} is no e-mail address", "say from which address the mail came back")
    with installation.database.read() as connection:
        row = store.message_named(connection, who.tenant, bounce.message) if bounce.message is not None else None
    subject = given.get("subject") or ""
    if row is None and not subject:
        raise BadInput(
            what,
            "it names no mail of ours" if bounce.message is None else f"no mail of ours is {bounce.message!r}",
            "give data.message (the header X-Vipflow-Message, or the Message-ID), or the subject customers/<reference>",
        )
    if row is not None:  # whatever else is said: whose mail it was is known here
        subject = f"{installation.workflows.root.collection}/{row.subject}"
    given = {**given, "source": asked.source, "id": asked.id, "subject": subject}
    return _told(installation, who, given, bounce, row), asked


def _told(
    installation: Installation, who: Who, given: dict[str, Any], bounce: MessageBounce, row: Any
) -> Envelope | Verdict:
    root = installation.workflows.root
    diagnosis = plain(bounce.diagnosis)
    event = None
    if root.on_bounce is not None:
        data = {"address": bounce.address, "diagnosis": diagnosis, "message": row.key if row is not None else None}
        # As the customer's own event it passes every check of the border: time, text, subject.
        own = {**given, "type": f"{root.name}.{root.on_bounce}"}
        known = getattr(root.data_of(root.on_bounce), "__struct_fields__", ())
        own["data"] = {name: value for name, value in data.items() if name in known and value is not None}
        event = envelope_of(own, installation.workflows, actor=Actor("system", given["source"]))
        if row is not None:
            line = subject_line_of(bytes(row.body)) if row.body is not None else ""
            event = bounce_event(
                installation.workflows, row.key, row.template, event.subject, bounce.address, diagnosis, line,
                event.actor, event.occurred_at,
            )  # fmt: skip
    fresh = _keep(installation, who, bounce, row, diagnosis, event)
    if event is not None:
        return event
    if row is None:
        raise BadInput(f"event {given['source']}/{given['id']}", "it names no mail of ours", "give data.message")
    return Verdict(given["source"], given["id"], TYPE, "applied", (), row.case_ref, row.subject, replayed=not fresh)


def _keep(
    installation: Installation, who: Who, bounce: MessageBounce, row: Any, diagnosis: str, event: Envelope | None
) -> bool:
    """Notes, once, what came back: on the mail, and of the address. Without an `event` of its customer an incident
    tells of it. Whether it is new. Nothing is noted of an event that cannot count: raises BadInput for one that has
    not happened yet, and leaves one whose id had another body to the engine.
    """
    key = row.key if row is not None else None
    with installation.database.write() as connection:
        now = installation.engine.now(connection)
        if event is not None:
            check_not_ahead(event, now)
            if any(
                (known.source, known.event_id) == (event.source, event.id) and known.body_hash != event.body_hash
                for known in work.received(connection, who.tenant, [event.source], [event.id])
            ):
                return False
        tenant = installation.engine.batch(connection, who.tenant, now).tenant
        if key is not None and work.received(connection, who.tenant, [SOURCE], [bounce_id(key, bounce.address)]):
            return False
        if bounce.permanent and is_gone(code_in(diagnosis), diagnosis):
            says = diagnosis[:300] or "it came back for good"
            outgoing.SUPPRESS.run(connection, [(who.tenant, plain_address(bounce.address), now, says, key)])
        if row is None:
            return True
        note = f"it came back from {bounce.address}: {diagnosis}"[:500]
        store.NOTE.run(connection, [(who.tenant, row.key, note)])
        if event is not None:
            return True
        incident = incident_row(tenant, row, "mail_bounced", note, now, of=plain_address(bounce.address))
        return REPORT.run(connection, [incident]) > 0
