"""A customer's renewal: where it stands, what is left, and what Adobe or the customer say of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec

from vipflow.foresight.sight import sight
from vipflow.operations.customer_lists import PAGE, Customers, list_customers
from vipflow.operations.customer_page import Discount
from vipflow.operations.customers import buyer_of
from vipflow.operations.done import Done, perform
from vipflow.operations.installation import Installation
from vipflow.operations.orders import place_renewal
from vipflow.operations.products import ProductLine, asked_lines, named_lines
from vipflow.operations.references import find_customer
from vipflow.operations.who import Who
from vipflow.operations.words import state_label
from vipflow.vip.calendar import next_anniversary, renewal_dates
from vipflow.vip.customers import customer_of
from vipflow.vip.licences import current_discount_level
from vipflow.vip.records import Membership, less
from vipflow.vip.wording import day as in_words
from vipflow.workflow import Text

__all__ = ["decline", "list_renewals", "place_renewal", "renewal_status", "report", "status_says"]


class RenewalStatus(msgspec.Struct, frozen=True):
    """A customer's renewal. Dates are None while nothing has started the term.

    `counts_on`: the day whose licences decide the next discount level.
    """

    customer: str
    company: str
    membership: str
    state: str
    label: Text
    says: Text
    anniversary: date | None
    term_ends: date | None
    comes_up: date | None
    window_opens: date | None
    window_closes: date | None
    counts_on: date | None
    next_anniversary: date | None
    renews_by_itself: bool
    declined: bool
    confirmed: bool
    licences: tuple[ProductLine, ...]
    renewed: tuple[ProductLine, ...]
    left_to_renew: tuple[ProductLine, ...]
    discount: Discount
    policy: str


def renewal_status(installation: Installation, who: Who, customer: str) -> RenewalStatus:
    """Where the renewal of that customer stands today."""
    ref = find_customer(installation, who, customer)
    with sight(installation.engine, who.tenant, ref) as (seen, _):
        view = seen.view
        case = view.only("membership")
        facts: Membership = case.facts if case is not None else Membership()
        state = case.state if case is not None else "awaiting_first_order"
        known = customer_of(view)
        policy = view.policies[case.policy] if case is not None else view.trade.policy_in_force(view)
        dates = renewal_dates(facts.anniversary, policy) if facts.anniversary is not None else None
        following = (
            next_anniversary(facts.anniversary, facts.anchor_day)
            if facts.anniversary is not None and facts.anchor_day is not None
            else None
        )
        catalogue = installation.catalogue
        return RenewalStatus(
            customer=ref,
            company=known.company if known is not None else "",
            membership=case.ref if case is not None else "",
            state=state,
            label=state_label(installation.workflows, "membership", state),
            says=status_says(state, facts, view.today),
            anniversary=facts.anniversary,
            term_ends=dates.term_ends if dates is not None else None,
            comes_up=facts.comes_up,
            window_opens=facts.window_opens,
            window_closes=facts.window_closes,
            counts_on=dates.look_back if dates is not None else None,
            next_anniversary=following,
            renews_by_itself=policy.renews_by_itself,
            declined=facts.renewal_declined,
            confirmed=facts.renewal_confirmed,
            licences=named_lines(catalogue, facts.licences),
            renewed=named_lines(catalogue, facts.renewed),
            left_to_renew=named_lines(catalogue, less(facts.licences, facts.renewed)),
            discount=Discount(*current_discount_level(view)),
            policy=policy.name,
        )


def status_says(state: str, facts: Membership, today: date) -> Text:
    """The state in a sentence, with its day."""
    opens, closes = _days_until(facts.window_opens, today), _days_until(facts.window_closes, today)
    match state:
        case "awaiting_first_order":
            return Text(
                "Rien à renouveler : la première commande n’a pas encore été acceptée.",
                "Nothing to renew: no first order was accepted yet.",
            )
        case "active":
            return Text(f"La fenêtre de renouvellement s’ouvre {opens.fr}.", f"The renewal window opens {opens.en}.")
        case "upcoming":
            return Text(
                f"Renouvellement à venir : la fenêtre s’ouvre {opens.fr}.", f"Upcoming: the window opens {opens.en}."
            )
        case "ready":
            return Text(
                f"La fenêtre est ouverte ; elle se ferme {closes.fr}.", f"The window is open; it closes {closes.en}."
            )
        case "partly_renewed":
            return Text(
                f"Renouvelée en partie ; le reste peut l’être encore, la fenêtre se ferme {closes.fr}.",
                f"Partly renewed; the rest still can be: the window closes {closes.en}.",
            )
        case "renewed":
            return Text(
                "Renouvelée ; la nouvelle période commence à la date anniversaire.",
                "Renewed; the new term begins on the anniversary date.",
            )
        case "expired":
            return Text(
                "Expirée : rien n’a été renouvelé. Un nouvel achat commence une nouvelle période.",
                "Expired: nothing was renewed. A new purchase starts a new term.",
            )
        case _:
            return Text(state, state)


def list_renewals(
    installation: Installation,
    who: Who,
    *,
    mine: bool = False,
    after: str | None = None,
    most: int = PAGE,
    ready: bool = True,
) -> Customers:
    """Customers whose window is open (`ready`) or comes up, by anniversary date."""
    name = "ready" if ready else "upcoming"
    return list_customers(installation, who, list=name, mine=mine, sort="anniversary", after=after, most=most)


def remind(
    installation: Installation, who: Who, customer: str, *, reason: str | None = None, id: str | None = None
) -> Done:
    """Reminds the customer of the renewal now."""
    ref = find_customer(installation, who, customer)
    return _change(installation, who, ref, "remind", {}, reason, id)


def decline(
    installation: Installation, who: Who, customer: str, *, reason: str | None = None, id: str | None = None
) -> Done:
    """Tells that the customer does not renew, where Adobe would renew by itself."""
    ref = find_customer(installation, who, customer)
    return _change(installation, who, ref, "decline_renewal", {}, reason, id)


def report(
    installation: Installation,
    who: Who,
    customer: str,
    products: Sequence[str] = (),
    *,
    reason: str | None = None,
    id: str | None = None,
) -> Done:
    """Records that Adobe renewed by itself: `products` (texts `PRODUCT=QUANTITY`), or everything."""
    ref = find_customer(installation, who, customer)
    lines = asked_lines(installation.catalogue, products, buyer_of(installation, who, ref))
    return _change(installation, who, ref, "renew", {"lines": lines}, reason, id)


def _change(
    installation: Installation,
    who: Who,
    ref: str,
    event: str,
    data: dict[str, object],
    reason: str | None,
    id: str | None,
) -> Done:
    what = f"the renewal of {ref}"
    path = f"customers/{ref}"
    return perform(installation, who, f"membership.{event}", path, data, customer=ref, what=what, reason=reason, id=id)


def _days_until(day: date | None, today: date) -> Text:
    """`in 12 days, on 1 March 2025`."""
    if day is None:
        return Text("plus tard", "later")
    on = in_words(day)
    match (day - today).days:
        case 0:
            return Text(f"aujourd’hui, le {on.fr}", f"today, {on.en}")
        case 1:
            return Text(f"demain, le {on.fr}", f"tomorrow, {on.en}")
        case left if left < 0:
            return Text(f"le {on.fr}", f"on {on.en}")
        case left:
            return Text(f"dans {left} jours, le {on.fr}", f"in {left} days, on {on.en}")
