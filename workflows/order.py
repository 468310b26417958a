"""An order with Adobe: for authorizations, for a renewal, or direct, the way for products without authorization."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from vipflow import INTERNAL, REPORT, Change, Name, Opening, Reason, Send, State, Text, View, Workflow, midnight
from vipflow.case import Case
from vipflow.vip.between import (
    FoundOrder,
    Gained,
    Lost,
    Paid,
    PlacedOrder,
    Renewed,
    Returned,
    Shares,
    at_hand,
    membership,
    membership_to_begin,
    running_membership,
)
from vipflow.vip.buying import NEW_PRODUCTS, invitation_withdrawn
from vipflow.vip.calendar import return_until
from vipflow.vip.fields import ExternalNumber, Remark, problems_of_remark, problems_of_text, refuse
from vipflow.vip.forms import PerhapsLines, lines_of
from vipflow.vip.records import Lines, Order, OrderKind, common_part, covers, less, quantities_of, together
from vipflow.vip.wording import day, listed, plain_day, plain_lines, product_name, says

Authorizations = Annotated[tuple[str, ...], Meta(max_length=499)]


# --- what events say -----------------------------------------------------------------------------------------------


class NewOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is ordered. For authorizations: all they hold; for a renewal without lines: all that is left to renew."""

    kind: OrderKind = "authorization"
    authorizations: Authorizations = ()
    lines: PerhapsLines = ()
    order_number: ExternalNumber | None = None

    def __post_init__(self) -> None:
        problems = [*problems_of_text("order_number", self.order_number)]
        if (self.kind == "authorization") != bool(self.authorizations):
            problems.append("authorizations: name those that are ordered, and only for an order of that kind")
        if self.kind == "direct" and not self.lines:
            problems.append("lines: a direct order says what is ordered")
        refuse(iter(problems))


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Adobe accepted it."""

    order_number: ExternalNumber | None = None

    def __post_init__(self) -> None:
        refuse(problems_of_text("order_number", self.order_number))


class Rejection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Adobe refused it, and perhaps said why."""

    explanation: Remark | None = None

    def __post_init__(self) -> None:
        refuse(problems_of_remark("explanation", self.explanation))


# --- what stands in the way ----------------------------------------------------------------------------------------


def buying_directly(guard: Any) -> Any:
    """The obstacle, for direct orders alone: renewals and authorized orders are never blocked by it."""

    def of_a_direct_order(facts: Order | None, data: NewOrder, view: View) -> Reason | None:
        found: Reason | None = guard(facts, data, view) if data.kind == "direct" else None
        return found

    of_a_direct_order.__name__ = guard.__name__
    of_a_direct_order.__doc__ = guard.__doc__
    return of_a_direct_order


def other_than_authorized(_facts: Order | None, data: NewOrder, view: View) -> Reason | None:
    """An authorization is ordered whole."""
    if data.kind != "authorization" or not data.lines:
        return None
    authorized = _authorized(data, view)
    if quantities_of(lines_of(data.lines)) == quantities_of(authorized):
        return None
    return Reason(
        "other_than_authorized",
        says(
            "Une autorisation d'achat se commande en entier : les lignes diffèrent de ce qu'elle contient.",
            "A purchase authorization is ordered whole: the lines differ from what it holds.",
        ),
        {"authorized": quantities_of(authorized), "asked": quantities_of(lines_of(data.lines))},
        says(
            "Commandez-la en entier, ou annulez-la et créez-en une autre.",
            "Order it whole, or cancel it and create another.",
        ),
    )


def not_ready_for_renewal(_facts: Order | None, data: NewOrder, view: View) -> Reason | None:
    """Renewal orders are placed while the window is open. [adobe]"""
    if data.kind != "renewal":
        return None
    case = view.only("membership")
    if case is not None and case.state in ("ready", "partly_renewed"):
        return None
    if case is None or case.facts.anniversary is None:
        return Reason(
            "nothing_to_renew",
            says("Ce client n'a encore rien à renouveler.", "This customer has nothing to renew yet."),
        )
    if case.state == "renewed":
        return Reason(
            "already_renewed",
            says("L'abonnement est déjà renouvelé en entier.", "The subscription is already renewed in full."),
            {"anniversary": plain_day(case.facts.anniversary)},
        )
    if case.state == "expired":
        closed = day(case.facts.window_closes)
        return Reason(
            "window_closed",
            says(
                f"La fenêtre de renouvellement est fermée depuis le {closed.fr}.",
                f"The renewal window closed on {closed.en}.",
            ),
            {"window_closes": plain_day(case.facts.window_closes)},
            says("Un nouvel achat commence une nouvelle période.", "A new purchase starts a new term."),
        )
    opens = day(case.facts.window_opens)
    return Reason(
        "window_not_open",
        says(
            f"La fenêtre de renouvellement s'ouvre le {opens.fr}.",
            f"The renewal window opens on {opens.en}.",
        ),
        {"window_opens": plain_day(case.facts.window_opens)},
        opens_at=midnight(case.facts.window_opens, view.tenant.zone),
    )


def more_than_left_to_renew(_facts: Order | None, data: NewOrder, view: View) -> Reason | None:
    """What was not held cannot be renewed; new licences are bought as such."""
    case = view.only("membership")
    if data.kind != "renewal" or case is None or not data.lines:
        return None
    left = _left_to_renew(view)
    if covers(left, lines_of(data.lines)):
        return None
    beyond = less(lines_of(data.lines), left)
    names = ", ".join(f"{line.quantity} × {product_name(line.sku, view.trade.catalogue)}" for line in beyond)
    return Reason(
        "more_than_left_to_renew",
        says(f"Plus que ce qui reste à renouveler : {names}.", f"More than is left to renew: {names}."),
        {"left": quantities_of(left), "beyond": quantities_of(beyond)},
        says(
            "Ajoutez des licences par une autorisation d'achat ou une commande directe.",
            "Add licences by a purchase authorization or a direct order.",
        ),
    )


def nothing_left_to_renew(_facts: Order | None, data: NewOrder, view: View) -> Reason | None:
    """An order of nothing would renew nothing."""
    case = view.only("membership")
    if data.kind != "renewal" or data.lines or _left_to_renew(view):
        return None
    if case is None or case.state not in ("ready", "partly_renewed"):
        return None  # `not_ready_for_renewal` says why
    under_way = [order.ref for order in _renewals_under_way(view)]
    if not under_way:
        return Reason(
            "nothing_to_renew",
            says("Ce client n'a pas de licence à renouveler.", "This customer has no licence to renew."),
        )
    return Reason(
        "nothing_left_to_renew",
        says(
            f"Tout ce qui reste à renouveler est déjà en commande ({listed(under_way)}).",
            f"All that is left to renew is already under order ({listed(under_way)}).",
        ),
        {"orders": under_way},
        says("Attendez la réponse d'Adobe.", "Wait for Adobe's answer."),
    )


def something_remains(facts: Order, data: Returned, _view: View) -> Reason | None:
    """It is returned when nothing remains of it."""
    rest = less(facts.lines, data.lines)
    if not rest:
        return None
    return Reason(
        "something_remains",
        says("Une partie des licences demeure.", "Some of the licences remain."),
        {"remaining": quantities_of(rest)},
    )


# --- what is remembered --------------------------------------------------------------------------------------------


def ordered(data: NewOrder, view: View) -> Order:
    lines = lines_of(data.lines)
    if data.kind == "authorization":
        lines = _authorized(data, view)
    elif data.kind == "renewal" and not lines:
        lines = _left_to_renew(view)
    return Order(
        kind=data.kind,
        authorizations=tuple(dict.fromkeys(data.authorizations)),
        lines=lines,
        order_number=data.order_number,
        placed_on=view.today,
    )


def found_ordered(data: FoundOrder, view: View) -> Order:
    return Order(
        kind="authorization",
        authorizations=(data.authorization,),
        lines=data.lines,
        order_number=data.order_number,
        placed_on=view.today,
    )


def accepted_today(facts: Order, data: Acceptance, view: View) -> Order:
    """Adobe's answer begins the days in which it may be returned."""
    return replace(
        facts,
        order_number=data.order_number or facts.order_number,
        accepted_on=view.today,
        return_until=return_until(view.at, view.policy, view.tenant.zone),
    )


def with_explanation(facts: Order, data: Rejection, _view: View) -> Order:
    return replace(facts, explanation=data.explanation)


def less_what_was_returned(facts: Order, data: Returned, _view: View) -> Order:
    return replace(facts, lines=less(facts.lines, data.lines))


def _authorized(data: NewOrder, view: View) -> Lines:
    cases = (view.named(ref) for ref in dict.fromkeys(data.authorizations))
    return together(*(case.facts.lines for case in cases if case is not None))


def _left_to_renew(view: View) -> Lines:
    """What nobody renewed or ordered for renewal yet."""
    case = view.only("membership")
    if case is None:
        return ()
    under_way = (order.facts.lines for order in _renewals_under_way(view))
    return less(case.facts.licences, together(case.facts.ahead, case.facts.renewed, *under_way))


def _renewals_under_way(view: View) -> Iterator[Case]:
    return (order for order in view.of("order") if order.state == "placed" and order.facts.kind == "renewal")


# --- what is sent on -----------------------------------------------------------------------------------------------


def authorizations(facts: Order, _data: Any, _view: View) -> tuple[str, ...]:
    return facts.authorizations


def authorizations_to_pay(facts: Order, _data: Any, view: View) -> tuple[str, ...]:
    """Those whose payment nobody reported before."""
    cases = (view.named(ref) for ref in facts.authorizations)
    return tuple(case.ref for case in cases if case is not None and case.state != "paid")


def renewal(facts: Order, _data: Any, _view: View) -> bool:
    return facts.kind == "renewal"


def direct(facts: Order, _data: Any, _view: View) -> bool:
    return facts.kind == "direct"


def not_through_authorizations(facts: Order, _data: Any, _view: View) -> bool:
    return facts.kind != "authorization" and facts.accepted_on is not None


def itself(_facts: Order, _data: Any, view: View) -> PlacedOrder:
    return PlacedOrder(at_hand(view))


def itself_found(_facts: Order, _data: Any, view: View) -> PlacedOrder:
    return PlacedOrder(at_hand(view), found=True)


def payment(facts: Order, _data: Any, view: View) -> Paid:
    return Paid(facts.order_number, at_hand(view))


def its_renewal(facts: Order, _data: Any, _view: View) -> Renewed:
    return Renewed(facts.lines, facts.placed_on)


def its_lines(facts: Order, _data: Any, _view: View) -> Gained:
    return Gained(facts.lines)


def its_share_of_each(facts: Order, data: Returned, view: View) -> Shares:
    """The authorizations give back in their order, each as much as it holds."""
    rest: Lines = data.lines
    shares: dict[str, Lines] = {}
    for ref in facts.authorizations:
        case = view.named(ref)
        if case is not None:
            shares[ref] = common_part(case.facts.lines, rest)
            rest = less(rest, shares[ref])
    return Shares({ref: share for ref, share in shares.items() if share})


def authorizations_that_give_back(facts: Order, data: Returned, view: View) -> tuple[str, ...]:
    return tuple(its_share_of_each(facts, data, view).shares)


def what_was_returned(facts: Order, data: Returned, _view: View) -> Lost:
    return Lost(data.lines, facts.kind == "renewal")


def vocabulary(facts: Order, view: View) -> dict[str, Any]:
    return {
        "order_number": facts.order_number,
        "lines": plain_lines(facts.lines, view.trade.catalogue),
        "placed_on": plain_day(facts.placed_on),
        "accepted_on": plain_day(facts.accepted_on),
    }


class OrderWorkflow(Workflow):
    """What is ordered from Adobe (seed: pensez à passer commande auprès d'Adobe via la procédure habituelle)."""

    name_in_events = "order"
    collection = "orders"
    prefix = "O"
    title = Text("Commande", "Order")
    facts = Order

    placed = State(initial=True)
    accepted = State()
    refused = State(final=True)
    returned = State(final=True)
    settled = [accepted, refused, returned]
    labels = {
        "placed": Text("passée", "placed"),
        "accepted": Text("acceptée", "accepted"),
        "refused": Text("refusée", "refused"),
        "returned": Text("retournée", "returned"),
    }
    names = [Name("order_number", "order_number", exclusive=True)]

    accept = placed.to(accepted)
    refuse = placed.to(refused)
    give_back = (
        placed.to(returned, unless=something_remains)
        | placed.to(placed)
        | accepted.to(returned, unless=something_remains)
        | accepted.to(accepted)
    )

    openings = [
        Opening(
            "place",
            placed,
            data=NewOrder,
            build=ordered,
            unless=[
                invitation_withdrawn,
                *(buying_directly(guard) for guard in NEW_PRODUCTS),
                other_than_authorized,
                not_ready_for_renewal,
                more_than_left_to_renew,
                nothing_left_to_renew,
            ],
            refers={"authorizations": "authorizations"},
            then=[Send("purchase_authorization.place_order", to=authorizations, data=itself)],
        ),
        Opening(
            "adopt",
            placed,
            data=FoundOrder,
            build=found_ordered,
            kind=INTERNAL,
            silent=True,
            then=[Send("purchase_authorization.place_order", to=authorizations, data=itself_found)],
        ),
    ]
    changes = [
        Change(
            accept,
            data=Acceptance,
            record=accepted_today,
            kind=REPORT,
            then=[
                Send("purchase_authorization.pay", to=authorizations_to_pay, data=payment),
                Send("membership.renew", to=membership, data=its_renewal, if_=renewal),
                Send("membership.take_up", to=running_membership, data=its_lines, if_=direct),
                Send("membership.begin", to=membership_to_begin, data=its_lines, if_=direct),
            ],
        ),
        Change(
            refuse,
            data=Rejection,
            record=with_explanation,
            kind=REPORT,
            then=[Send("purchase_authorization.order_refused", to=authorizations)],
        ),
        Change(
            give_back,
            data=Returned,
            record=less_what_was_returned,
            then=[
                Send("purchase_authorization.give_back", to=authorizations_that_give_back, data=its_share_of_each),
                Send("membership.give_back", to=membership, data=what_was_returned, if_=not_through_authorizations),
            ],
        ),
    ]
    vocabulary = staticmethod(vocabulary)
