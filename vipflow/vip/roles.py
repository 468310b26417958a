"""Who may do what: the reseller's staff by role. The clock's own events are nobody's, and only the customer accepts."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from vipflow.vip.customers import Role

Act: TypeAlias = Literal["read", "sell", "report", "operate", "administer"]
"""`sell`: invite, authorize, order, cancel, renew, return, remind. `report`: tell what happened outside, reassign,
retry a mail, note a promise. `operate`: holds, incidents, catch-up, daemons. `administer`: write off, policy, team,
tokens, webhooks."""

EVERYWHERE: Final[Mapping[Act, frozenset[Role]]] = {
    "read": frozenset({"viewer", "account_manager", "support", "operator", "admin"}),
    "sell": frozenset({"account_manager", "support", "admin"}),
    "report": frozenset({"support", "admin"}),
    "operate": frozenset({"operator", "admin"}),
    "administer": frozenset({"admin"}),
}
ONLY_OWN_CUSTOMERS: Final[Mapping[Act, frozenset[Role]]] = {"report": frozenset({"account_manager"})}

ACT_OF: Final[Mapping[str, Act]] = {
    **dict.fromkeys(
        (
            "customer.invite",
            "customer.adopt",
            "customer.set_recipients",
            "customer.add_offer_type",
            "customer.note",
            "customer.correct",
            "invitation.resend",
            "invitation.remind",
            "invitation.withdraw",
            "purchase_authorization.create",
            "purchase_authorization.cancel",
            "purchase_authorization.remind",
            "order.place",
            "membership.remind",
            "membership.decline_renewal",
            "return_request.open",
        ),
        "sell",
    ),
    **dict.fromkeys(
        (
            "customer.assign",
            "customer.record_number",
            "customer.learn_of_bounce",
            "purchase_authorization.add",
            "purchase_authorization.pay",
            "purchase_authorization.reverse_payment",
            "purchase_authorization.customer_paid",
            "purchase_authorization.grant_extension",
            "purchase_authorization.deactivate",
            "purchase_authorization.restore",
            "purchase_authorization.extend",
            "order.accept",
            "order.refuse",
            "membership.renew",
            "return_request.approve",
            "return_request.refuse",
            "history.undo",
            "message.bounce",
        ),
        "report",
    ),
    **dict.fromkeys(("purchase_authorization.write_off", "customer.override_policy"), "administer"),
}
"""What sort of act an event by hand is. An event of ours that is not here is nobody's: the clock's, the customer's."""

OURS: Final = frozenset({name.partition(".")[0] for name in ACT_OF})


def may(role: Role, event_type: str, own_customer: bool) -> bool:
    """Whether staff of that role may send the event by hand. An event of somebody else's workflow needs an admin.

    >>> may("account_manager", "purchase_authorization.extend", True), may("admin", "invitation.accept", True)
    (True, False)
    """
    act = ACT_OF.get(event_type)
    if act is None:
        return role == "admin" and event_type.partition(".")[0] not in OURS
    return may_do(role, act, own_customer)


def may_do(role: Role, act: Act, own_customer: bool = False) -> bool:
    """Whether staff of that role may do such a thing at all, or with a customer of its own."""
    return role in EVERYWHERE[act] or (own_customer and role in ONLY_OWN_CUSTOMERS.get(act, frozenset()))
