"""A purchase authorization: licences usable now, ordered later; what happens when they are not."""

from datetime import date
from typing import Any

import msgspec
from msgspec.structs import replace

from vipflow import (
    INTERNAL,
    REPORT,
    REQUEST,
    Change,
    Email,
    Name,
    NoData,
    Opening,
    Reason,
    Redating,
    Send,
    State,
    Text,
    Timer,
    View,
    Workflow,
    before,
    day_after,
    every,
    local_day,
    midnight,
    on,
    policy,
)
from vipflow.policy import Policy
from vipflow.vip.audiences import account_manager, contact
from vipflow.vip.between import (
    FirstAuthorization,
    FoundOrder,
    Gained,
    Lost,
    PlacedOrder,
    Shares,
    at_hand,
    membership,
    membership_that_noticed,
    membership_to_begin,
    membership_without_order,
    running_membership,
    state_of,
)
from vipflow.vip.buying import NEW_PRODUCTS, product_without_authorization
from vipflow.vip.calendar import (
    ONE_DAY,
    AuthorizationDates,
    authorization_dates,
    authorization_dates_due_on,
    next_anniversary,
    seat_duration,
)
from vipflow.vip.customers import has_accepted, reseller_of
from vipflow.vip.fields import ExternalNumber, PoNumber, problems_of_text, refuse
from vipflow.vip.forms import SomeLines, lines_of
from vipflow.vip.records import Authorization, less
from vipflow.vip.wording import day, plain_day, plain_lines, plain_moment, says

# --- what events say -----------------------------------------------------------------------------------------------


class NewAuthorization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form "Créer une autorisation d'achat"; also what the customer added in the Admin Console."""

    lines: SomeLines
    po_number: PoNumber | None = None

    def __post_init__(self) -> None:
        refuse(problems_of_text("po_number", self.po_number))


class OpenAuthorization(NewAuthorization, frozen=True, kw_only=True):
    """One that is open while its customer is adopted."""

    created_on: date
    due_on: date | None = None
    ordered: bool = False
    order_number: ExternalNumber | None = None


class Payment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Adobe accepted the order. `order` is ours and known only where the order told us itself."""

    order_number: ExternalNumber | None = None
    order: str | None = None


class Promise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The customer promised to settle: until when."""

    until: date


class Extension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Adobe granted another due day."""

    due_on: date


# --- what stands in the way ----------------------------------------------------------------------------------------


def no_longer_pending(facts: Authorization, _data: NoData, view: View) -> Reason | None:
    """Only a pending authorization can be cancelled; once ordered, the way back is a return. [seed]"""
    state = state_of(view)
    if state in ("ordered", "paid") or facts.order is not None:
        return Reason(
            "already_ordered",
            says(
                "Une commande a déjà été passée auprès d'Adobe : l'autorisation ne peut plus être annulée.",
                "An order was already placed with Adobe: the authorization cannot be cancelled any more.",
            ),
            {"state": state, "order": facts.order, "instead": "return_request.open"},
            says("Demandez une autorisation de retour.", "Ask for a return authorization."),
        )
    if state in ("late", "suspended"):
        return Reason(
            "too_late_to_cancel",
            says(
                "Seule une autorisation d'achat en attente peut être annulée ; celle-ci est en retard.",
                "Only a pending purchase authorization can be cancelled; this one is late.",
            ),
            {"state": state},
            says(
                "Passez commande auprès d'Adobe, ou demandez à un administrateur de l'abandonner.",
                "Order from Adobe, or ask an admin to write it off.",
            ),
        )
    return None


def due_day_over(facts: Authorization, _data: Any, view: View) -> Reason | None:
    """It is late by its dates."""
    if facts.due_on is None or view.today <= facts.due_on:
        return None
    due = day(facts.due_on)
    return Reason(
        "due_day_over",
        says(f"La commande était attendue jusqu'au {due.fr}.", f"The order was due by {due.en}."),
        {"due_on": facts.due_on.isoformat()},
    )


def deactivation_day_reached(facts: Authorization, _data: Any, view: View) -> Reason | None:
    """By its dates the licences are deactivated."""
    if facts.suspended_from is None or view.today < facts.suspended_from:
        return None
    since = day(facts.suspended_from)
    return Reason(
        "deactivation_day_reached",
        says(
            f"Les licences peuvent être désactivées depuis le {since.fr}.",
            f"The licences may be deactivated since {since.en}.",
        ),
        {"suspended_from": facts.suspended_from.isoformat()},
    )


def expired_before(facts: Authorization, data: PlacedOrder, view: View) -> Reason | None:
    """What happened before it expired still counts, however late we learn of it."""
    if facts.expires_at is None or view.at < facts.expires_at or data.found:
        return None
    end = day(local_day(facts.expires_at, view.tenant.zone))
    return Reason(
        "expired_before",
        says(f"L'autorisation a expiré le {end.fr}.", f"The authorization expired on {end.en}."),
        {"expires_at": plain_moment(facts.expires_at)},
        says("Créez une nouvelle autorisation d'achat.", "Create a new purchase authorization."),
    )


def not_under_order(facts: Authorization, _data: Any, _view: View) -> Reason | None:
    """No order is on its way for it."""
    if facts.order is not None:
        return None
    return Reason(
        "not_under_order",
        says("Aucune commande n'est en cours pour elle.", "No order is on its way for it."),
    )


def something_remains(facts: Authorization, data: Shares, view: View) -> Reason | None:
    """It is returned when nothing remains of it."""
    rest = less(facts.lines, data.of(view))
    if not rest:
        return None
    return Reason(
        "something_remains",
        says("Une partie des licences demeure.", "Some of the licences remain."),
        {"remaining": {line.sku: line.quantity for line in rest}},
    )


def reminding_in_vain(facts: Authorization, _data: NoData, view: View) -> Reason | None:
    """Nobody is reminded by hand while our mails to the customer are held, or have nothing to say."""
    if view.actor.kind == "clock":
        return None
    if facts.customer_paid_on is not None:
        paid = day(facts.customer_paid_on)
        return Reason(
            "customer_has_paid",
            says(
                f"Le client vous a payé le {paid.fr} : c'est à vous de passer commande auprès d'Adobe.",
                f"The customer paid you on {paid.en}: it is for you to order from Adobe.",
            ),
            {"customer_paid_on": facts.customer_paid_on.isoformat()},
        )
    if _promise_runs(facts, view) and facts.promised_until is not None:
        until = day(facts.promised_until)
        return Reason(
            "promise_runs",
            says(
                f"Le client a promis de régulariser : nos e-mails sont retenus jusqu'au {until.fr}.",
                f"The customer promised to settle: our mails are held until {until.en}.",
            ),
            {"promised_until": facts.promised_until.isoformat()},
            opens_at=midnight(facts.promised_until + ONE_DAY, view.tenant.zone),
        )
    if facts.due_on is None:
        return Reason(
            "never_due",
            says(
                "Cette autorisation n'a pas d'échéance dont le client pourrait être prévenu : elle expire d'elle-même.",
                "This authorization has no due day to remind the customer of: it expires by itself.",
            ),
        )
    return None


def promise_in_the_past(_facts: Authorization, data: Promise, view: View) -> Reason | None:
    """A promise holds our mails from today on."""
    if data.until >= view.today:
        return None
    return Reason(
        "promise_in_the_past",
        says("La date promise est déjà passée.", "The promised day is already over."),
        {"until": data.until.isoformat()},
        says("Choisissez aujourd'hui ou un jour à venir.", "Choose today or a day to come."),
    )


def deactivated_by_adobe(facts: Authorization, _data: Any, _view: View) -> Reason | None:
    """Adobe said so, and has not given the licences back."""
    if facts.deactivated_on is None:
        return None
    said = day(facts.deactivated_on)
    return Reason(
        "deactivated_by_adobe",
        says(
            f"Adobe a déjà signalé la désactivation, le {said.fr}.",
            f"Adobe already reported the deactivation, on {said.en}.",
        ),
    )


# --- what is remembered --------------------------------------------------------------------------------------------


def authorize(data: NewAuthorization, view: View) -> Authorization:
    """Licences at the customer's disposal from now on, to be ordered by the day that the policy says."""
    return _with_dates(
        Authorization(lines=lines_of(data.lines), po_number=data.po_number, created_at=view.at, created_on=view.today),
        authorization_dates(view.at, view.policy, view.tenant.zone),
    )


def add_by_customer(data: NewAuthorization, view: View) -> Authorization:
    return replace(authorize(data, view), by_customer=True)


def found_open(data: OpenAuthorization, view: View) -> Authorization:
    """As if it had been created here, on its own day."""
    zone = view.tenant.zone
    created_at = midnight(data.created_on, zone)
    dates = (
        authorization_dates(created_at, view.policy, zone)
        if data.due_on is None
        else authorization_dates_due_on(data.due_on, view.policy, zone)
    )
    return _with_dates(
        Authorization(
            lines=lines_of(data.lines),
            po_number=data.po_number,
            created_at=created_at,
            created_on=data.created_on,
        ),
        dates,
    )


def _with_dates(facts: Authorization, dates: AuthorizationDates) -> Authorization:
    return replace(facts, due_on=dates.due_on, suspended_from=dates.suspended_from, expires_at=dates.expires_at)


def ordered_by(facts: Authorization, data: PlacedOrder, _view: View) -> Authorization:
    return replace(facts, order=data.order)


def without_order(facts: Authorization, _data: NoData, _view: View) -> Authorization:
    return replace(facts, order=None)


def paid_today(facts: Authorization, data: Payment, view: View) -> Authorization:
    return replace(facts, paid_on=view.today, order=data.order or facts.order, deactivated_on=None)


def payment_taken_back(facts: Authorization, _data: NoData, _view: View) -> Authorization:
    return replace(facts, paid_on=None, order=None)


def promised(facts: Authorization, data: Promise, _view: View) -> Authorization:
    return replace(facts, promised_until=data.until)


def extended_by_adobe(facts: Authorization, data: Extension, view: View) -> Authorization:
    """The due day moves, and all that hangs on it."""
    if facts.expires_at is not None:
        return replace(facts, expires_at=midnight(data.due_on + ONE_DAY, view.tenant.zone), deactivated_on=None)
    dates = authorization_dates_due_on(data.due_on, view.policy, view.tenant.zone)
    return replace(_with_dates(facts, dates), deactivated_on=None)


def redated(facts: Authorization, was: Policy, view: View) -> Authorization:
    """Its days by other numbers. A day that Adobe granted stands."""
    zone = view.tenant.zone
    old, new = (authorization_dates(facts.created_at, numbers, zone) for numbers in (was, view.policy))
    hung_on = authorization_dates_due_on(facts.due_on, was, zone).suspended_from
    if (facts.due_on, facts.expires_at) == (old.due_on, old.expires_at):
        facts = replace(facts, due_on=new.due_on, expires_at=new.expires_at)
    if facts.suspended_from != hung_on:
        return facts
    return replace(facts, suspended_from=authorization_dates_due_on(facts.due_on, view.policy, zone).suspended_from)


def back_by_its_days(facts: Authorization, view: View) -> State | None:
    """Where a day that was over lies ahead again. What Adobe deactivated it gives back itself."""
    here = PurchaseAuthorization
    over = {"late": due_day_over, "suspended": deactivation_day_reached}.get(state_of(view))
    if over is None or over(facts, None, view) is not None or facts.deactivated_on is not None:
        return None
    if facts.order is not None:
        return here.ordered
    return here.late if due_day_over(facts, None, view) is not None else here.pending


def paid_by_customer(facts: Authorization, _data: NoData, view: View) -> Authorization:
    return replace(facts, customer_paid_on=view.today)


def deactivated_today(facts: Authorization, _data: NoData, view: View) -> Authorization:
    return replace(facts, deactivated_on=view.today)


def restored_today(facts: Authorization, _data: NoData, view: View) -> Authorization:
    """Adobe gave the licences back. Where that day had come, nothing says any more when they would go."""
    over = facts.suspended_from is not None and facts.suspended_from <= view.today
    return replace(facts, deactivated_on=None, suspended_from=None if over else facts.suspended_from)


def less_what_was_returned(facts: Authorization, data: Shares, view: View) -> Authorization:
    return replace(facts, lines=less(facts.lines, data.of(view)))


# --- where it starts, what it sends --------------------------------------------------------------------------------


def by_its_dates(facts: Authorization, view: View) -> State:
    """Where an authorization stands that nobody touched since its creation."""
    if facts.expires_at is not None and facts.expires_at <= view.at:
        return PurchaseAuthorization.expired
    if deactivation_day_reached(facts, None, view):
        return PurchaseAuthorization.suspended
    return PurchaseAuthorization.late if due_day_over(facts, None, view) else PurchaseAuthorization.pending


def membership_it_may_start(facts: Authorization, data: Any, view: View) -> str | None:
    """The membership without order, where the policy lets an authorization start the first term."""
    ref = membership_without_order(facts, data, view)
    if ref is None or view.policies[view.cases[ref].policy].first_anniversary_from != "authorization_or_order":
        return None
    return ref


def itself(facts: Authorization, _data: Any, view: View) -> FirstAuthorization:
    return FirstAuthorization(at_hand(view), facts.created_on)


def its_licences(facts: Authorization, _data: Any, _view: View) -> Gained:
    return Gained(facts.lines)


def its_licences_again(facts: Authorization, _data: Any, _view: View) -> Lost:
    return Lost(facts.lines)


def what_was_returned(_facts: Authorization, data: Shares, view: View) -> Lost:
    return Lost(data.of(view))


def its_order(facts: Authorization, data: OpenAuthorization, view: View) -> FoundOrder:
    return FoundOrder(at_hand(view), facts.lines, data.order_number)


def it_was_ordered(_facts: Authorization, data: OpenAuthorization, _view: View) -> bool:
    return data.ordered


def it_was_paid(facts: Authorization, _data: Any, _view: View) -> bool:
    return facts.paid_on is not None


# --- what is said --------------------------------------------------------------------------------------------------


def _promise_runs(facts: Authorization, view: View) -> bool:
    return facts.promised_until is not None and view.today <= facts.promised_until


def _chased(facts: Authorization, view: View) -> bool:
    return facts.due_on is not None and facts.customer_paid_on is None and not _promise_runs(facts, view)


def still_to_pay(facts: Authorization, view: View) -> bool:
    return state_of(view) == "pending" and _chased(facts, view)


def still_late(facts: Authorization, view: View) -> bool:
    return state_of(view) == "late" and _chased(facts, view)


def still_late_for_us(_facts: Authorization, view: View) -> bool:
    return state_of(view) == "late"


def still_deactivated(facts: Authorization, view: View) -> bool:
    return state_of(view) == "suspended" and facts.customer_paid_on is None and not _promise_runs(facts, view)


def not_yet_ordered(_facts: Authorization, view: View) -> bool:
    return state_of(view) in ("pending", "late", "suspended")


def at_disposal(_facts: Authorization, view: View) -> bool:
    return state_of(view) in ("pending", "ordered", "late", "paid")


def vocabulary(facts: Authorization, view: View) -> dict[str, Any]:
    accepted = has_accepted(view)
    waiting_days = (view.today - facts.created_on).days
    return {
        "po_number": facts.po_number,
        "lines": plain_lines(facts.lines, view.trade.catalogue),
        "created_on": plain_day(facts.created_on),
        "due_on": plain_day(facts.due_on),
        "expires_at": plain_moment(facts.expires_at),
        "suspended_from": plain_day(facts.suspended_from),
        "paid_on": plain_day(facts.paid_on),
        "customer_paid_on": plain_day(facts.customer_paid_on),
        "cancelled_on": plain_day(view.today),
        "confirmed": facts.deactivated_on is not None,
        "accepted": accepted,
        "invitation_link": None if accepted else reseller_of(view).invitation_link,
        "waiting_days": waiting_days if waiting_days > 0 else None,
        "overdue": due_day_over(facts, None, view) is not None,
        "seat_duration": _seat_duration(view),
    }


def _seat_duration(view: View) -> dict[str, Any] | None:
    """How long the seats to order last; None while no anniversary date is known."""
    case = view.only("membership")
    if case is None or case.facts.anniversary is None or case.state == "expired":
        return None
    anniversary, anchor_day = case.facts.anniversary, case.facts.anchor_day
    if view.today >= anniversary:
        anniversary = next_anniversary(anniversary, anchor_day)
    lasts = seat_duration(anniversary, anchor_day, view.today, view.policy)
    return {"unit": lasts.unit, "count": lasts.amount}


reminders_to_order = every(first=policy.order_reminder_after_days, days=policy.order_reminder_every_days)


class PurchaseAuthorization(Workflow):
    """Licences at the customer's disposal before they are ordered (seed: Créer une autorisation d'achat)."""

    name_in_events = "purchase_authorization"
    collection = "authorizations"
    prefix = "PA"
    title = Text("Autorisation d’achat", "Purchase authorization")
    facts = Authorization

    pending = State(initial=True)
    ordered = State()
    late = State()
    suspended = State()
    paid = State()
    expired = State()
    written_off = State()
    cancelled = State(final=True)
    returned = State(final=True)
    settled = [paid, expired, written_off, cancelled, returned]
    labels = {
        "pending": Text("en attente", "pending"),
        "ordered": Text("commandée", "ordered"),
        "late": Text("en retard", "late"),
        "suspended": Text("licences désactivées", "licences deactivated"),
        "paid": Text("payée", "paid"),
        "expired": Text("expirée", "expired"),
        "written_off": Text("abandonnée", "written off"),
        "cancelled": Text("annulée", "cancelled"),
        "returned": Text("retournée", "returned"),
    }
    redating = Redating(redated, choose=back_by_its_days)
    names = [Name("po_number", "po_number")]

    # The road it should take: ordered, and paid when Adobe accepts the order.
    place_order = ordered.from_(pending, late, suspended) | expired.to(ordered, unless=expired_before)
    pay = paid.from_(ordered, pending, late, suspended, expired, written_off)
    order_refused = (
        ordered.to(pending, unless=[due_day_over, deactivated_by_adobe])
        | ordered.to(late, unless=[deactivation_day_reached, deactivated_by_adobe])
        | ordered.to(suspended)
        | suspended.to(suspended)
    )
    reverse_payment = (
        paid.to(pending, unless=due_day_over) | paid.to(late, unless=deactivation_day_reached) | paid.to(suspended)
    )

    # What the clock does while nobody orders.
    fall_due = pending.to(late)
    warn = late.to(late)
    suspend = late.to(suspended)
    expire = pending.to(expired)
    remind = (
        pending.to(pending, unless=reminding_in_vain)
        | late.to(late, unless=reminding_in_vain)
        | suspended.to(suspended, unless=reminding_in_vain)
    )
    remind_to_order = pending.to(pending) | late.to(late)

    # What people and Adobe do about it.
    cancel = pending.to(cancelled)
    extend = (
        pending.to(pending, unless=promise_in_the_past)
        | late.to(late, unless=promise_in_the_past)
        | suspended.to(suspended, unless=promise_in_the_past)
    )
    grant_extension = pending.to(pending) | late.to(pending) | suspended.to(pending) | ordered.to(ordered)
    customer_paid = pending.to(pending) | ordered.to(ordered) | late.to(late) | suspended.to(suspended) | paid.to(paid)
    deactivate = (
        suspended.from_(pending, ordered, late)
        | suspended.to(suspended, unless=deactivated_by_adobe)
        | expired.to(expired)  # what was expected of them
        | written_off.to(written_off)
    )
    restore = (
        suspended.to(ordered, unless=not_under_order)
        | suspended.to(pending, unless=due_day_over)
        | suspended.to(late)
        | ordered.to(ordered)
    )
    write_off = written_off.from_(late, suspended)
    give_back = (
        ordered.to(returned, unless=something_remains)
        | ordered.to(ordered)
        | suspended.to(returned, unless=[not_under_order, something_remains])
        | suspended.to(suspended, unless=not_under_order)
        | paid.to(returned, unless=something_remains)
        | paid.to(paid)
    )

    openings = [
        Opening(
            "create",
            pending,
            data=NewAuthorization,
            build=authorize,
            unless=[*NEW_PRODUCTS, product_without_authorization],
            then=[Send("membership.notice_authorization", to=membership_it_may_start, data=itself)],
        ),
        Opening(
            "add",
            pending,
            data=NewAuthorization,
            build=add_by_customer,
            unless=[*NEW_PRODUCTS, product_without_authorization],  # a report: they only open an incident
            kind=REPORT,
            then=[Send("membership.notice_authorization", to=membership_it_may_start, data=itself)],
        ),
        Opening(
            "adopt",
            [pending, late, suspended, expired],
            data=OpenAuthorization,
            build=found_open,
            choose=by_its_dates,
            kind=INTERNAL,
            silent=True,
            then=[
                Send("membership.notice_authorization", to=membership_it_may_start, data=itself),
                Send("order.adopt", data=its_order, if_=it_was_ordered),
            ],
        ),
    ]
    changes = [
        Change(place_order, data=PlacedOrder, record=ordered_by),
        Change(
            pay,
            data=Payment,
            record=paid_today,
            kind=REPORT,
            then=[
                Send("membership.take_up", to=running_membership, data=its_licences),
                Send("membership.begin", to=membership_to_begin, data=its_licences),
            ],
        ),
        Change(order_refused, record=without_order),
        Change(
            reverse_payment,
            record=payment_taken_back,
            kind=REPORT,
            then=[Send("membership.give_back", to=membership, data=its_licences_again)],
        ),
        Change(
            cancel,
            kind=REQUEST,
            otherwise=no_longer_pending,
            then=[Send("membership.forget_authorization", to=membership_that_noticed, data=itself)],
        ),
        Change(extend, data=Promise, record=promised, kind=REQUEST, reason_required=True),
        Change(grant_extension, data=Extension, record=extended_by_adobe, kind=REPORT),
        Change(customer_paid, record=paid_by_customer, kind=REPORT),
        Change(deactivate, record=deactivated_today, kind=REPORT),
        Change(restore, record=restored_today, kind=REPORT),
        Change(write_off, kind=REQUEST, reason_required=True),
        Change(remind, kind=REQUEST),
        Change(
            give_back,
            data=Shares,
            record=less_what_was_returned,
            then=[Send("membership.give_back", to=membership, data=what_was_returned, if_=it_was_paid)],
        ),
    ]
    timers = [
        Timer(pending, before("due_on", days=policy.payment_reminder_days), send=remind),
        Timer(pending, day_after("promised_until"), send=remind),
        Timer(pending, reminders_to_order, send=remind_to_order),
        Timer(pending, day_after("due_on"), send=fall_due),
        Timer(pending, on("expires_at"), send=expire),
        Timer(late, every(days=policy.overdue_every_days), send=remind),
        Timer(late, day_after("promised_until"), send=remind),
        Timer(late, every(days=policy.order_reminder_every_days), send=remind_to_order),
        Timer(late, before("suspended_from", days=policy.deactivation_notice_days), send=warn),
        Timer(late, on("suspended_from"), send=suspend),
        Timer(suspended, day_after("promised_until"), send=remind),
    ]

    record_block = ["po_number", "lines"]
    ending = ["due_on", "suspended_from"]
    to_order = ["created_on", "due_on", "overdue", "expires_at", "seat_duration"]
    emails = [
        # To the customer. Of the mails about payment only the newest leaves.
        Email(
            "products_added",
            to=contact,
            on=("create", "add"),
            while_=at_disposal,
            says=["created_on", "due_on", "expires_at", "accepted", "invitation_link"],
        ),
        Email(
            "payment_reminder",
            to=contact,
            on=pending.on(remind),
            while_=still_to_pay,
            ladder="payment",
            says=ending,
        ),
        Email(
            "payment_overdue",
            to=contact,
            on=(late, late.on(remind)),
            while_=still_late,
            ladder="payment",
            says=ending,
        ),
        Email("deactivation_notice", to=contact, on=warn, while_=still_late, ladder="payment", says=ending),
        Email(
            "licences_deactivated",
            to=contact,
            on=(suspended, suspended.on(deactivate), suspended.on(remind)),
            while_=still_deactivated,
            ladder="payment",
            says=[*ending, "confirmed"],
        ),
        Email("payment_received", to=contact, on=paid, ladder="payment", says=["paid_on", "customer_paid_on"]),
        Email("authorization_cancelled", to=contact, on=cancelled, says=["cancelled_on"]),
        Email("authorization_expired", to=contact, on=expired, says=["expires_at"]),
        # To the account manager.
        Email(
            "order_to_place",
            to=account_manager,
            on=(
                "create",
                remind_to_order,
                pending.on(customer_paid),
                late.on(customer_paid),
                suspended.on(customer_paid),
            ),
            while_=not_yet_ordered,
            ladder="order",
            says=[*to_order, "waiting_days", "customer_paid_on"],
        ),
        Email(
            "customer_added_products",
            to=account_manager,
            on="add",
            while_=not_yet_ordered,
            ladder="order",
            says=to_order,
        ),
        Email("authorization_late", to=account_manager, on=late, says=[*ending, "customer_paid_on"]),
        Email(
            "deactivation_near",
            to=account_manager,
            on=warn,
            while_=still_late_for_us,
            says=[*ending, "customer_paid_on"],
        ),
    ]
    vocabulary = staticmethod(vocabulary)
