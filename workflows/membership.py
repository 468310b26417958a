"""A membership: the customer's year, from its first order through every renewal."""

from collections.abc import Iterable
from datetime import date
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from vipflow import (
    INTERNAL,
    REPORT,
    REQUEST,
    Change,
    Email,
    NoData,
    Opening,
    Reason,
    Redating,
    State,
    Text,
    Timer,
    View,
    Workflow,
    local_day,
    on,
    planned,
)
from vipflow.policy import Policy
from vipflow.vip.audiences import account_manager, contact
from vipflow.vip.between import (
    FirstAuthorization,
    FoundMembership,
    Gained,
    Lost,
    Renewed,
    state_of,
    within_lapsed_term,
)
from vipflow.vip.calendar import (
    ONE_DAY,
    add_months,
    first_anniversary,
    middle_of_window,
    next_anniversary,
    renewal_dates,
)
from vipflow.vip.customers import customer_of
from vipflow.vip.forms import PerhapsLines, lines_of
from vipflow.vip.records import Lines, Membership, Opened, common_part, covers, less, quantities_of, together
from vipflow.vip.wording import day, plain_day, plain_lines, says

# --- what events say -----------------------------------------------------------------------------------------------


class Renewal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Adobe says was renewed; without lines all that was left. `ordered_on`: the day that counts, if not today."""

    lines: PerhapsLines = ()
    ordered_on: date | None = None


SomeRenewal: TypeAlias = Renewal | Renewed
"""As reported from outside, or as an order of ours tells it: that always says which licences."""


# --- what stands in the way ----------------------------------------------------------------------------------------


def renewed_in_part(facts: Membership, data: SomeRenewal, _view: View) -> Reason | None:
    """Something is still left to renew."""
    left = less(_to_renew(facts), _renewed_with(facts, data))
    return _left(left) if left else None


def no_longer_covered(facts: Membership, data: Gained, _view: View) -> Reason | None:
    """New licences of the running term are left to renew too."""
    left = less(together(_held_until_then(facts), data.lines), facts.renewed)
    return _left(left) if left else None


def renewal_given_back(facts: Membership, data: Lost, _view: View) -> Reason | None:
    """What was renewed went back."""
    renewed = less(facts.renewed, data.lines) if data.renewal else facts.renewed
    licences = _held_until_then(facts) if data.renewal else less(_held_until_then(facts), data.lines)
    left = less(licences, renewed)
    return _left(left) if left else None


def nothing_renewed_any_more(facts: Membership, data: Lost, _view: View) -> Reason | None:
    """All that was renewed went back."""
    if not data.renewal or less(facts.renewed, data.lines):
        return None
    return Reason("nothing_renewed", says("Rien n'est plus renouvelé.", "Nothing is renewed any more."))


def _left(left: Lines) -> Reason:
    return Reason(
        "something_left_to_renew",
        says("Il reste des licences à renouveler.", "Some licences are left to renew."),
        {"left": quantities_of(left)},
    )


def renewed_after_closing(facts: Membership, data: SomeRenewal, view: View) -> Reason | None:
    """A renewal dated within the window counts, however late we learn of it; one after it does not."""
    if facts.lapsed_on is not None and (data.ordered_on or view.today) <= facts.lapsed_on:
        return None
    if facts.lapsed_on is None:
        return Reason(
            "window_not_open",
            says("La fenêtre de renouvellement n'est pas ouverte.", "The renewal window is not open."),
            {"window_opens": plain_day(facts.window_opens)},
        )
    closed = day(facts.lapsed_on)
    return Reason(
        "renewed_after_closing",
        says(
            f"La fenêtre de renouvellement s'est fermée le {closed.fr}.",
            f"The renewal window closed on {closed.en}.",
        ),
        {"window_closes": facts.lapsed_on.isoformat()},
        says("Un nouvel achat commence une nouvelle période.", "A new purchase starts a new term."),
    )


def nothing_to_confirm(facts: Membership, _data: SomeRenewal, _view: View) -> Reason | None:
    """Adobe's renewal is already known, or none was expected."""
    if not facts.renewal_confirmed:
        return None
    return Reason(
        "nothing_to_confirm",
        says("Aucun renouvellement n'est attendu.", "No renewal is expected."),
        {"anniversary": plain_day(facts.anniversary)},
    )


def not_renewed_by_adobe(facts: Membership, _data: Any, view: View) -> Reason | None:
    """Adobe renews by itself only where the programme says so, and unless told not to. [adobe, marketplace]"""
    if not view.policy.renews_by_itself:
        return Reason(
            "not_renewed_by_adobe",
            says(
                "Dans ce programme, rien ne se renouvelle sans commande : il n'y a rien à décliner.",
                "In this programme nothing renews without an order: there is nothing to decline.",
            ),
            {"policy": view.policy.name},
        )
    return _declined() if facts.renewal_declined else None


def _declined() -> Reason:
    return Reason("renewal_declined", says("Le renouvellement a été décliné.", "The renewal was declined."))


def nothing_to_renew(facts: Membership, _data: Any, _view: View) -> Reason | None:
    """It holds no licence, say because all went back."""
    if _held_until_then(facts):
        return None
    return Reason(
        "nothing_to_renew",
        says("Ce client n'a pas de licence à renouveler.", "This customer has no licence to renew."),
    )


def nothing_ahead(facts: Membership, _data: NoData, _view: View) -> Reason | None:
    """Nothing of the next term was bought yet."""
    if facts.ahead:
        return None
    return Reason("nothing_ahead", says("La période suivante n'a pas commencé.", "The next term has not begun."))


def nothing_was_renewed(facts: Membership, data: SomeRenewal, view: View) -> Reason | None:
    """All that was left was renewed, and nothing was left."""
    return None if _renewed_with(facts, data) else nothing_to_renew(facts, data, view)


def reminding_in_vain(facts: Membership, data: NoData, view: View) -> Reason | None:
    """Nobody is reminded of a renewal that is not to come, or that Adobe has made by itself."""
    if facts.renewal_declined:
        return _declined()
    if facts.anniversary is not None and _taken_for_renewed(facts, facts.anniversary, view):
        on_day = day(facts.anniversary)
        return Reason(
            "renewed_by_adobe",
            says(
                f"Adobe a dû renouveler l'abonnement le {on_day.fr} : nous attendons sa confirmation.",
                f"Adobe will have renewed the subscription on {on_day.en}: we await its confirmation.",
            ),
            {"anniversary": plain_day(facts.anniversary)},
        )
    return nothing_to_renew(facts, data, view)


# --- what is remembered --------------------------------------------------------------------------------------------


def founded(_data: NoData, view: View) -> Membership:
    """An anniversary date chosen at the invitation stands from the first day. [seed]"""
    customer = customer_of(view)
    chosen = customer.custom_anniversary if customer is not None else None
    facts = Membership(custom_anniversary=chosen)
    return facts if chosen is None else _with_anniversary(facts, chosen, chosen.day, view.policy)


def found(data: FoundMembership, view: View) -> Membership:
    """An existing member, in the middle of its year."""
    facts = Membership(licences=data.licences, renewed=data.renewed)
    if data.anniversary is None:
        return facts
    facts = _with_anniversary(facts, data.anniversary, data.anchor_day or data.anniversary.day, view.policy)
    return _ended(facts) if _passed(facts.closed_from, view) and not facts.renewed else facts


def with_first_authorization(facts: Membership, data: FirstAuthorization, view: View) -> Membership:
    return _first_term(replace(facts, opened=(*facts.opened, Opened(data.authorization, data.on))), view, view.policy)


def without_authorization(facts: Membership, data: FirstAuthorization, view: View) -> Membership:
    """A cancelled authorization starts no term."""
    left = tuple(each for each in facts.opened if each.authorization != data.authorization)
    return _first_term(replace(facts, opened=left), view, view.policy)


def begun(facts: Membership, data: Gained, view: View) -> Membership:
    """The first accepted order begins the first term; a purchase after the membership expired begins another."""
    numbers = view.trade.policy_in_force(view)
    if state_of(view) == "expired":
        if facts.lapsed_on is not None and view.today <= facts.lapsed_on:
            # Learnt late: bought after the anniversary, before closing.
            in_the_next = _next_term(replace(facts, ahead=data.lines), view)
            return replace(in_the_next, lapsed=facts.lapsed, lapsed_on=facts.lapsed_on)
        anniversary = first_anniversary(view.today, None, numbers)
        fresh = Membership(licences=data.lines, first_order_on=view.today)
        return _with_anniversary(fresh, anniversary, view.today.day, numbers)
    facts = _first_term(replace(facts, licences=data.lines, first_order_on=view.today), view, numbers)
    # The first order may come after the anniversary that was chosen, or that an old authorization gave: it is yearly.
    while facts.anniversary is not None and facts.anchor_day is not None and facts.anniversary <= view.today:
        following = next_anniversary(facts.anniversary, facts.anchor_day)
        facts = _with_anniversary(facts, following, facts.anchor_day, numbers)
    return facts


def with_more_licences(facts: Membership, data: Gained, view: View) -> Membership:
    if _of_a_closed_term(facts, view):
        # Learnt late: the closing would have ended it with the rest, or taken it for renewed with the rest.
        if facts.renewal_confirmed:
            lapsed = together(facts.lapsed, data.lines)
            return replace(facts, lapsed=lapsed, lapsed_on=_last_closing(facts, view))
        facts = replace(facts, taken_for_renewed=together(facts.taken_for_renewed, data.lines))
    elif facts.anniversary is not None and view.today >= facts.anniversary:
        facts = replace(facts, ahead=together(facts.ahead, data.lines))
    facts = replace(facts, licences=together(facts.licences, data.lines))
    if facts.first_order_on is None or view.today >= facts.first_order_on:
        return facts
    # Learnt late: an order accepted before the one that we took for the first.
    return _first_term(replace(facts, first_order_on=view.today), view, view.policy)


def with_fewer_licences(facts: Membership, data: Lost, view: View) -> Membership:
    if data.renewal and facts.renewed:
        return replace(facts, renewed=less(facts.renewed, data.lines))
    if state_of(view) == "expired":
        return replace(facts, lapsed=less(facts.lapsed, data.lines))
    return replace(facts, licences=less(facts.licences, data.lines), ahead=less(facts.ahead, data.lines))


def renewed_today(facts: Membership, data: SomeRenewal, view: View) -> Membership:
    state = state_of(view)
    if state == "expired":
        facts = replace(facts, licences=facts.lapsed, lapsed=(), lapsed_on=None)
    elif state == "active" and not facts.renewal_confirmed:
        licences = _as_reported(facts, _said(data))
        return replace(facts, licences=licences, renewed_on=view.today, renewal_confirmed=True, taken_for_renewed=())
    elif state == "active":
        # Dated within the window that closed since: it runs on in the term that began meanwhile.
        kept = common_part(facts.lapsed, _said(data) or facts.lapsed)
        return replace(
            facts, licences=together(facts.licences, kept), lapsed=less(facts.lapsed, kept), renewed_on=view.today
        )
    renewed = _renewed_with(facts, data)
    return replace(facts, renewed=renewed, renewed_on=view.today, renewal_confirmed=True, taken_for_renewed=())


def declined(facts: Membership, _data: NoData, _view: View) -> Membership:
    return replace(facts, renewal_declined=True)


def closed(facts: Membership, _data: NoData, view: View) -> Membership:
    """What was not renewed ends: all of it, or the rest. Where Adobe renews by itself, we take it that it did."""
    held = _held_until_then(facts)
    by_adobe = not_renewed_by_adobe(facts, None, view) is None and bool(held)
    if state_of(view) == "ready" and by_adobe:
        return replace(
            facts, renewed=held, renewed_on=facts.anniversary, renewal_confirmed=False, taken_for_renewed=held
        )
    if facts.renewed or facts.ahead:
        rest = less(held, facts.renewed)
        return replace(_next_term(facts, view), lapsed=rest, lapsed_on=facts.window_closes)
    return _ended(facts)


def in_the_next_term(facts: Membership, _data: NoData, view: View) -> Membership:
    return _next_term(facts, view)


def redated(facts: Membership, _was: Policy, view: View) -> Membership:
    """The days around its renewal by other numbers. The anniversary date stands: it is Adobe's."""
    if state_of(view) == "expired":
        return facts
    return _with_anniversary(facts, facts.anniversary, facts.anchor_day, view.policy)


def back_by_its_days(facts: Membership, view: View) -> State | None:
    """Where the days before its renewal lie ahead again. What is over, or renewed, stays so."""
    here, state = MembershipWorkflow, state_of(view)
    if state == "ready" and not _passed(facts.window_opens, view):
        return here.upcoming if _passed(facts.comes_up, view) else here.active
    return here.active if state == "upcoming" and not _passed(facts.comes_up, view) else None


def _ended(facts: Membership) -> Membership:
    lapsed = facts.licences
    return replace(facts, licences=(), renewed=(), taken_for_renewed=(), lapsed=lapsed, lapsed_on=facts.window_closes)


def _next_term(facts: Membership, view: View) -> Membership:
    """A year later, with what was renewed and the numbers then in force."""
    if facts.anniversary is None or facts.anchor_day is None:
        return facts
    following = replace(
        facts,
        licences=together(facts.renewed, facts.ahead),
        renewed=(),
        ahead=(),
        term_from=facts.anniversary,
        renewal_declined=False,
        first_order_on=None,
        lapsed=(),
        lapsed_on=None,
        opened=(),
    )
    anniversary = next_anniversary(facts.anniversary, facts.anchor_day)
    return _with_anniversary(following, anniversary, facts.anchor_day, view.trade.policy_in_force(view))


def _first_term(facts: Membership, view: View, numbers: Policy) -> Membership:
    """The first anniversary date by the rule that was in force when the membership was opened; a chosen one stands."""
    if facts.custom_anniversary is not None:
        return _with_anniversary(facts, facts.custom_anniversary, facts.custom_anniversary.day, numbers)
    first_authorization = min((each.on for each in facts.opened), default=None)
    rule = view.policy
    anniversary = first_anniversary(facts.first_order_on, first_authorization, rule)
    by_authorization = first_authorization if rule.first_anniversary_from == "authorization_or_order" else None
    started = min((each for each in (facts.first_order_on, by_authorization) if each is not None), default=None)
    return _with_anniversary(facts, anniversary, started.day if started is not None else None, numbers)


def _with_anniversary(
    facts: Membership, anniversary: date | None, anchor_day: int | None, numbers: Policy
) -> Membership:
    """`facts` with the anniversary date and all days that hang on it."""
    if anniversary is None:
        return replace(
            facts,
            anniversary=None,
            anchor_day=None,
            comes_up=None,
            window_opens=None,
            window_closes=None,
            closed_from=None,
        )
    dates = renewal_dates(anniversary, numbers)
    return replace(
        facts,
        anniversary=anniversary,
        anchor_day=anchor_day,
        comes_up=dates.comes_up,
        window_opens=dates.window_opens,
        window_closes=dates.window_closes,
        closed_from=dates.closed_from,
    )


def _to_renew(facts: Membership) -> Lines:
    return _held_until_then(facts) or facts.lapsed


def _held_until_then(facts: Membership) -> Lines:
    """The licences of the term that the anniversary date ends."""
    return less(facts.licences, facts.ahead)


def _renewed_with(facts: Membership, data: SomeRenewal) -> Lines:
    """What is renewed once `data` counts. Only a report from outside means everything when it says nothing."""
    said = _said(data)
    if not said and isinstance(data, Renewal):
        return _to_renew(facts)
    return together(facts.renewed, said)


def _said(data: SomeRenewal) -> Lines:
    return data.lines if isinstance(data, Renewed) else lines_of(data.lines)


def _as_reported(facts: Membership, said: Lines) -> Lines:
    """What Adobe renewed in the place of what we took for renewed, and what was bought since."""
    return together(said, less(facts.licences, facts.taken_for_renewed)) if said else facts.licences


def _of_a_closed_term(facts: Membership, view: View) -> bool:
    """Whether what happened belongs to a term whose window has closed since."""
    if state_of(view) == "expired":
        return within_lapsed_term(facts, view)
    closed_on = _last_closing(facts, view)
    if facts.term_from is None or closed_on is None or local_day(view.now, view.tenant.zone) <= closed_on:
        return False
    return view.today < facts.term_from


def _last_closing(facts: Membership, view: View) -> date | None:
    """The last day of the window in which the running term was renewed."""
    if facts.lapsed_on is not None or facts.term_from is None:
        return facts.lapsed_on
    return renewal_dates(facts.term_from, view.policy).window_closes


def _taken_for_renewed(facts: Membership, anniversary: date, view: View) -> bool:
    """Whether Adobe renewed by itself, as far as we know: its day is over, and nobody said anything else."""
    over = state_of(view) == "ready" and view.today > anniversary
    return over and not_renewed_by_adobe(facts, None, view) is None


# --- where it starts, when it reminds ------------------------------------------------------------------------------


def by_its_dates(facts: Membership, view: View) -> State:
    """Where an existing member stands today."""
    here = MembershipWorkflow
    if facts.anniversary is None:
        return here.awaiting_first_order
    if facts.renewed:
        return here.renewed if covers(facts.renewed, facts.licences) else here.partly_renewed
    if _passed(facts.closed_from, view):
        return here.expired
    if _passed(facts.window_opens, view):
        return here.ready
    return here.upcoming if _passed(facts.comes_up, view) else here.active


def _passed(on: date | None, view: View) -> bool:
    return on is not None and view.today >= on


def reminder_days(facts: Membership, numbers: Policy) -> Iterable[date]:
    """After opening, in the middle, before closing. [ours]"""
    if facts.window_opens is None:
        return ()
    return (
        facts.window_opens + numbers.renewal_reminder_after_opening_days * ONE_DAY,
        *_later_reminders(facts, numbers),
    )


def _later_reminders(facts: Membership, numbers: Policy) -> list[date]:
    if facts.anniversary is None:
        return []
    dates = renewal_dates(facts.anniversary, numbers)
    days = [middle_of_window(dates)] if numbers.renewal_reminder_in_the_middle else []
    return [*days, *(dates.window_closes - before * ONE_DAY for before in numbers.renewal_reminder_before_closing_days)]


# --- what is said --------------------------------------------------------------------------------------------------


def vocabulary(facts: Membership, view: View) -> dict[str, Any]:
    catalogue = view.trade.catalogue
    renewal = following = facts.anniversary
    if facts.anniversary is not None and facts.anchor_day is not None:
        if state_of(view) == "active":  # a renewal learnt of late: its term runs already
            renewal = add_months(facts.anniversary, -12, facts.anchor_day)
        else:
            following = next_anniversary(facts.anniversary, facts.anchor_day)
    days_left = (facts.window_closes - view.today).days if facts.window_closes is not None else 0
    return {
        "reference": view.subject,
        "anniversary": plain_day(renewal),
        "licences": plain_lines(_to_renew(facts), catalogue),
        "window_opens": plain_day(facts.window_opens),
        "window_closes": plain_day(facts.window_closes),
        "last_week": days_left <= 7,
        "last_call": days_left <= 1,
        "renews_by_itself": _adobe_will_renew(facts, view),
        "renewed_on": plain_day(facts.renewed_on),
        "next_anniversary": plain_day(following),
        "renewed": plain_lines(facts.renewed or facts.licences, catalogue),
        "remaining": plain_lines(less(_held_until_then(facts), facts.renewed), catalogue),
    }


def _adobe_will_renew(facts: Membership, view: View) -> bool:
    """Whether Adobe is still expected to renew everything: not once its day is over, nor after a renewal in part."""
    ahead = facts.anniversary is not None and view.today <= facts.anniversary
    return ahead and state_of(view) != "partly_renewed" and not_renewed_by_adobe(facts, None, view) is None


def confirmed(facts: Membership, view: View) -> bool:
    return facts.renewal_confirmed and state_of(view) in ("renewed", "active")


def coming_up(facts: Membership, view: View) -> bool:
    return state_of(view) == "upcoming" and _to_be_reminded(facts, view)


def to_prepare(facts: Membership, view: View) -> bool:
    return state_of(view) == "ready" and _to_be_reminded(facts, view)


def licences_ended(facts: Membership, view: View) -> bool:
    return state_of(view) == "expired" and bool(facts.lapsed)


def _to_be_reminded(facts: Membership, view: View) -> bool:
    return reminding_in_vain(facts, NoData(), view) is None


def still_partly(_facts: Membership, view: View) -> bool:
    return state_of(view) == "partly_renewed"


def just_opened(facts: Membership, view: View) -> bool:
    """Before the first reminder that speaks of the middle or the end."""
    later = min(_later_reminders(facts, view.policy), default=None)
    return to_prepare(facts, view) and (later is None or view.today < later)


def still_to_renew(facts: Membership, view: View) -> bool:
    if state_of(view) not in ("ready", "partly_renewed") or not _to_be_reminded(facts, view):
        return False
    return not just_opened(facts, view)


class MembershipWorkflow(Workflow):
    """The customer's year (seed: Renouvellements à venir, Prêts pour renouvellement)."""

    name_in_events = "membership"
    collection = "memberships"
    prefix = "M"
    title = Text("Adhésion", "Membership")
    one_per_subject = True
    facts = Membership

    awaiting_first_order = State(initial=True)
    active = State()
    upcoming = State()
    ready = State()
    renewed = State()
    partly_renewed = State()
    expired = State()
    labels = {
        "awaiting_first_order": Text("sans commande", "awaiting first order"),
        "active": Text("active", "active"),
        "upcoming": Text("renouvellement à venir", "renewal upcoming"),
        "ready": Text("prête", "ready for renewal"),
        "renewed": Text("renouvelée", "renewed"),
        "partly_renewed": Text("en partie renouvelée", "partly renewed"),
        "expired": Text("expirée", "expired"),
    }
    redating = Redating(redated, choose=back_by_its_days)

    # How a term begins.
    notice_authorization = awaiting_first_order.to(awaiting_first_order)
    forget_authorization = (
        awaiting_first_order.to(awaiting_first_order) | active.to(active) | upcoming.to(upcoming) | ready.to(ready)
    )
    begin = active.from_(awaiting_first_order, expired)
    start_term = renewed.to(active)

    # What the clock does.
    come_up = active.to(upcoming)
    open_window = upcoming.to(ready)
    remind = ready.to(ready, unless=reminding_in_vain) | partly_renewed.to(partly_renewed, unless=reminding_in_vain)
    close_window = (
        ready.to(renewed, unless=[not_renewed_by_adobe, nothing_to_renew])
        | ready.to(active, unless=nothing_ahead)
        | ready.to(expired)
        | partly_renewed.to(active)
    )

    # Renewal, in whole or in part.
    renew = (
        ready.to(renewed, unless=[nothing_was_renewed, renewed_in_part])
        | ready.to(partly_renewed, unless=nothing_was_renewed)
        | partly_renewed.to(renewed, unless=renewed_in_part)
        | partly_renewed.to(partly_renewed)
        | expired.to(renewed, unless=[renewed_after_closing, renewed_in_part])
        | expired.to(partly_renewed, unless=renewed_after_closing)
        | active.to(active, unless=nothing_to_confirm)
        | active.to(active, unless=renewed_after_closing)
    )
    decline_renewal = (
        active.to(active, unless=not_renewed_by_adobe)
        | upcoming.to(upcoming, unless=not_renewed_by_adobe)
        | ready.to(ready, unless=not_renewed_by_adobe)
    )

    # Licences come and go within the term.
    take_up = (
        active.to(active)
        | upcoming.to(upcoming)
        | ready.to(ready)
        | renewed.to(renewed, unless=no_longer_covered)
        | renewed.to(partly_renewed)
        | partly_renewed.to(partly_renewed)
        | expired.to(expired)  # bought in the term that ended, learnt late
    )
    give_back = (
        awaiting_first_order.to(awaiting_first_order)
        | active.to(active)
        | upcoming.to(upcoming)
        | ready.to(ready)
        | renewed.to(renewed, unless=renewal_given_back)
        | renewed.to(partly_renewed, unless=nothing_renewed_any_more)
        | renewed.to(ready)
        | partly_renewed.to(renewed, unless=renewal_given_back)
        | partly_renewed.to(partly_renewed, unless=nothing_renewed_any_more)
        | partly_renewed.to(ready)
        | expired.to(expired)
    )
    pins = [begin, start_term, close_window]

    openings = [
        Opening("open", awaiting_first_order, build=founded, kind=INTERNAL),
        Opening(
            "adopt",
            [awaiting_first_order, active, upcoming, ready, renewed, partly_renewed, expired],
            data=FoundMembership,
            build=found,
            choose=by_its_dates,
            kind=INTERNAL,
            silent=True,
        ),
    ]
    changes = [
        Change(notice_authorization, data=FirstAuthorization, record=with_first_authorization),
        Change(forget_authorization, data=FirstAuthorization, record=without_authorization),
        Change(begin, data=Gained, record=begun),
        Change(start_term, record=in_the_next_term),
        Change(close_window, record=closed),
        Change(remind, kind=REQUEST),
        Change(renew, data=Renewal, record=renewed_today, kind=REPORT),
        Change(decline_renewal, record=declined, kind=REQUEST),
        Change(take_up, data=Gained, record=with_more_licences),
        Change(give_back, data=Lost, record=with_fewer_licences),
    ]
    timers = [
        Timer(active, on("comes_up"), send=come_up),
        Timer(upcoming, on("window_opens"), send=open_window),
        Timer(ready, planned("remind plan", reminder_days), send=remind),
        Timer(partly_renewed, planned("remind plan", reminder_days), send=remind),
        Timer(ready, on("closed_from"), send=close_window),
        Timer(partly_renewed, on("closed_from"), send=close_window),
        Timer(renewed, on("anniversary"), send=start_term),
    ]
    record_block = ["reference", "anniversary"]
    window_words = ["licences", "window_opens", "window_closes", "renews_by_itself"]
    reminder_words = ["remaining", "window_closes", "last_week", "last_call", "renews_by_itself"]
    renewal_words = ["renewed", "renewed_on", "next_anniversary"]
    emails = [
        Email("renewal_coming", to=contact, on=upcoming, while_=coming_up, ladder="renewal", says=window_words),
        Email("renewal_open", to=contact, on=remind, while_=just_opened, ladder="renewal", says=window_words),
        Email(
            "renewal_reminder",
            to=contact,
            on=remind,
            while_=still_to_renew,
            ladder="renewal",
            says=reminder_words,
        ),
        Email(
            "renewal_confirmed",
            to=contact,
            on=(renewed, active.on(renew)),
            while_=confirmed,
            ladder="renewal/outcome",
            says=renewal_words,
        ),
        Email(
            "renewal_partly_confirmed",
            to=contact,
            on=(ready.on(renew), partly_renewed.on(renew), expired.on(renew)),
            while_=still_partly,
            ladder="renewal/outcome",
            says=[*renewal_words, "remaining", "window_closes"],
        ),
        Email(
            "licences_ending",
            to=contact,
            on=expired,
            while_=licences_ended,
            ladder="renewal/outcome",
            says=["licences", "window_closes"],
        ),
        Email(
            "renewal_to_prepare",
            to=account_manager,
            on=ready,
            while_=to_prepare,
            ladder="renewal",
            says=window_words,
        ),
        Email(
            "renewal_to_follow",
            to=account_manager,
            on=remind,
            while_=still_to_renew,
            ladder="renewal",
            says=reminder_words,
        ),
    ]
    vocabulary = staticmethod(vocabulary)
