"""What an event is answered, said in full: refused, stale, quarantined."""

from __future__ import annotations

from vipflow.case import Incident
from vipflow.engine.addresses import Found, Target
from vipflow.engine.batch import Work, told
from vipflow.engine.envelope import Envelope, Verdict
from vipflow.engine.holds import on_hold
from vipflow.errors import VipflowError
from vipflow.store.holds import Held
from vipflow.workflow import REPORT, Reason, Text

Answer = Verdict | VipflowError
"""What `post` gives for each event: its verdict, or why it was rejected at the border (no verdict, the id stays
free).
"""


def the_case_meant(envelope: Envelope, work: Work) -> str | None:
    """The case a refused event was for, where it is one of the subject in hand."""
    last = envelope.subject.rpartition("/")[2]
    return last if last in work.seen else None


def quarantined(envelope: Envelope, subject: str | None, fault: Exception) -> tuple[Verdict, Incident]:
    """What an event that raised is answered, and whom it is shown to."""
    event, problem = f"{envelope.source}/{envelope.id}", told(fault)
    says = Text(
        f"L’événement {event} n’a pas pu être traité et attend une personne\u00a0: {problem}",
        f"The event {event} could not be processed and waits for a person: {problem}",
    )
    verdict = Verdict(
        envelope.source, envelope.id, envelope.type, "quarantined", (Reason("fault", says),), None, subject
    )
    return verdict, Incident("quarantined", None, envelope.type, says, envelope.cause)


def known_by(work: Work) -> str | None:
    """The subject's reference, where it is one that will be kept."""
    return None if work.is_new and not work.steps else work.ref


def refused_by_hold(envelope: Envelope, target: Target, held: Held) -> Verdict:
    """What staff are answered who act on what is held."""
    return Verdict(
        envelope.source, envelope.id, envelope.type, "refused", (on_hold(held),), target.case, target.subject
    )


def reference_taken(envelope: Envelope, target: Target, found: Found, kind: str) -> Verdict:
    """An opening under a reference that a case bears already: a report says again what we know, a request is
    refused.
    """
    if kind == REPORT:
        return Verdict(envelope.source, envelope.id, envelope.type, "stale", (), found.ref, found.subject)
    reason = taken_reason(str(target.given_ref), found.ref)
    return Verdict(envelope.source, envelope.id, envelope.type, "refused", (reason,), found.ref, found.subject)


def taken_reason(value: str, ref: str) -> Reason:
    """Why a name cannot be given: `ref` bears it."""
    return Reason(
        "name_taken",
        Text(f"«\u00a0{value}\u00a0» désigne déjà {ref}.", f"“{value}” already names {ref}."),
        {"value": value, "case": ref},
        Text(
            "Choisissez une autre référence, ou agissez sur le dossier existant.",
            "Choose another reference, or act on the existing record.",
        ),
    )


def waited_too_long(envelope: Envelope, waiting_for: str) -> Incident:
    """What a person is told of an event that nothing came for."""
    event = f"{envelope.source}/{envelope.id} ({envelope.type})"
    says = Text(
        f"L’événement {event} attend toujours {waiting_for}, que personne n’a créé.",
        f"The event {event} still waits for {waiting_for}, which nobody has created.",
    )
    return Incident("parked_too_long", None, envelope.type, says, f"{envelope.cause}/parked")
