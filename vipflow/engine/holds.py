"""What a hold answers: an event of a system is kept until the hold goes, a member of staff is told who said stop."""

from __future__ import annotations

from vipflow.store.holds import WAITS_FOR, Held
from vipflow.workflow import Reason, Text

AGAIN = "incident/"
"""What an event waits for while somebody tries it again: this, and the incident's id."""


def waits_for(held: Held) -> str:
    """What an event waits for that this hold keeps."""
    return f"{WAITS_FOR}{held.id}"


def is_a_hold(waiting_for: str | None) -> bool:
    """Whether what an event waits for is a hold's release."""
    return waiting_for is not None and waiting_for.startswith(WAITS_FOR)


def was_kept(waiting_for: str | None) -> bool:
    """Whether an event waited for us rather than for a case: then its wait for one begins now."""
    return waiting_for is not None and waiting_for.startswith((WAITS_FOR, AGAIN))


def on_hold(held: Held) -> Reason:
    """Why staff may not act on what is held."""
    what = Text("Ce client est", "This customer is") if held.subject else Text("Tout est", "Everything here is")
    return Reason(
        "on_hold",
        Text(
            f"{what.fr} suspendu par {held.made_by}\u00a0: {held.reason}",
            f"{what.en} on hold, by {held.made_by}: {held.reason}",
        ),
        {"hold": held.id, "made_by": held.made_by, "reason": held.reason},
        Text(f"Levez la suspension {held.id}.", f"Release the hold {held.id}."),
        held.ends_at,
    )
