"""Who may do what, asked before an act is posted: the role (`vipflow.vip.roles`), and whose customer it is."""

from __future__ import annotations

from typing import cast
from uuid import uuid4

from vipflow.engine.envelope import Verdict
from vipflow.operations.installation import Installation
from vipflow.operations.who import Who
from vipflow.store import reading
from vipflow.vip.customers import Role
from vipflow.vip.roles import ACT_OF, Act, may, may_do
from vipflow.workflow import Reason, Text

# What they say of the customer itself becomes known only by these: nobody's customer yet.
_OPEN_CUSTOMERS = frozenset({"customer.invite", "customer.adopt"})


def not_allowed(installation: Installation, who: Who, event_type: str, customer: str | None) -> Reason | None:
    """Why the asker may not send this event for `customer`; None where it may."""
    if who.actor is None:  # whoever sits at the machine itself could change the database as well
        return None if ACT_OF.get(event_type) is not None or may("admin", event_type, True) else _nobody(event_type)
    role = cast(Role, who.role)
    if may(role, event_type, own_customer=False):
        return None
    if not any(may(each, event_type, own_customer=True) for each in ROLES):
        return _nobody(event_type)
    if may(role, event_type, own_customer=True):
        if event_type in _OPEN_CUSTOMERS or (customer is not None and _owner(installation, who, customer) == who.actor):
            return None
        return _somebody_elses(who)
    return _role(who)


def not_allowed_to(who: Who, act: Act) -> Reason | None:
    """Why the asker may not do such a thing, which is no event of a customer (the team, a reseller's policy)."""
    return None if may_do(cast(Role, who.role), act) else _role(who)


ROLES: tuple[Role, ...] = ("viewer", "account_manager", "support", "operator", "admin")


def refused(who: Who, event_type: str, reason: Reason) -> Verdict:
    """The verdict of an act that never reached the engine: nothing was kept of it."""
    return Verdict(who.source, uuid4().hex, event_type, "refused", (reason,))


def _owner(installation: Installation, who: Who, customer: str) -> str | None:
    with installation.database.read() as connection:
        row = reading.customer_row(connection, who.tenant, customer)
    return row.owner if row is not None else None


def _role(who: Who) -> Reason:
    return Reason(
        "not_allowed",
        Text(f"Votre rôle ({who.role}) ne le permet pas.", f"Your role ({who.role}) does not allow this."),
        {"role": who.role},
        Text("Demandez à un administrateur.", "Ask an admin."),
    )


def _somebody_elses(who: Who) -> Reason:
    return Reason(
        "not_your_customer",
        Text("Ce client est géré par quelqu’un d’autre.", "This customer is managed by somebody else."),
        {"role": who.role},
        Text("Demandez à son gestionnaire, ou à l’assistance.", "Ask its manager, or support."),
    )


def _nobody(event_type: str) -> Reason:
    return Reason(
        "nobodys_act",
        Text(
            "Cela n’est du ressort de personne ici : seule l’horloge, ou le client lui-même, le fait.",
            "Nobody here does this by hand: the clock does, or the customer itself.",
        ),
        {"event": event_type},
    )
