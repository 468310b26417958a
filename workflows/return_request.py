"""A return: the wish to give back what was ordered, which Adobe grants or not."""

from typing import Any

import msgspec
from msgspec.structs import replace

from vipflow import REPORT, Change, Email, Opening, Reason, Send, State, Text, View, Workflow, midnight
from vipflow.case import Case
from vipflow.vip.audiences import contact
from vipflow.vip.between import Returned, Shares
from vipflow.vip.calendar import return_until
from vipflow.vip.fields import Remark, problems_of_remark, refuse
from vipflow.vip.forms import PerhapsLines, lines_of
from vipflow.vip.records import Lines, Return, covers, less, quantities_of, together
from vipflow.vip.wording import day, plain_day, plain_lines, says

# --- what events say -----------------------------------------------------------------------------------------------


class NewReturn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to go back: of an order, or of an authorization; without lines all that remains."""

    order: str | None = None
    authorization: str | None = None
    lines: PerhapsLines = ()

    def __post_init__(self) -> None:
        if (self.order is None) == (self.authorization is None):
            raise ValueError("order, authorization: name one of them, the one to return")


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Adobe answered, and perhaps why."""

    explanation: Remark | None = None

    def __post_init__(self) -> None:
        refuse(problems_of_remark("explanation", self.explanation))


# --- what is returned ----------------------------------------------------------------------------------------------


def _ordered(data: NewReturn, view: View) -> Case | None:
    """The order, or the authorization whose acceptance came without one."""
    if data.order is not None:
        return view.named(data.order)
    authorization = view.named(data.authorization or "")
    if authorization is not None and authorization.facts.order is not None:
        return view.named(authorization.facts.order)
    return authorization


def _remaining(case: Case, data: NewReturn, view: View) -> Lines:
    """What can still go back: what is there less what other requests already ask for."""
    asked = (
        other.facts.lines
        for other in view.of("return_request")
        if other.state == "requested" and case.ref in (other.facts.order, other.facts.authorization)
    )
    remaining = less(case.facts.lines, together(*asked))
    if data.authorization is not None and data.authorization != case.ref:
        authorization = view.named(data.authorization)
        if authorization is not None:
            return less(remaining, less(remaining, authorization.facts.lines))
    return remaining


def _wanted(case: Case, data: NewReturn, view: View) -> Lines:
    return lines_of(data.lines) or _remaining(case, data, view)


# --- what stands in the way ----------------------------------------------------------------------------------------


def nothing_ordered(_facts: Return | None, data: NewReturn, view: View) -> Reason | None:
    """Only what was ordered can go back."""
    case = _ordered(data, view)
    if case is None:
        return Reason(
            "unknown_order",
            says("Ce client n'a pas de telle commande.", "This customer has no such order."),
            {"order": data.order, "authorization": data.authorization},
        )
    if case.state in ("placed", "accepted", "paid"):
        return None
    return Reason(
        "nothing_ordered",
        says(
            f"{case.ref} n'est pas commandée auprès d'Adobe, ou ne l'est plus : il n'y a rien à retourner.",
            f"{case.ref} is not, or no longer, ordered from Adobe: there is nothing to return.",
        ),
        {"state": case.state},
        says("Une autorisation en attente peut être annulée.", "A pending authorization can be cancelled.")
        if case.workflow == "purchase_authorization" and case.state == "pending"
        else None,
    )


def more_than_remains(_facts: Return | None, data: NewReturn, view: View) -> Reason | None:
    """Never more than remains. [adobe]"""
    case = _ordered(data, view)
    if case is None:
        return None
    remaining = _remaining(case, data, view)
    wanted = _wanted(case, data, view)
    if wanted and covers(remaining, wanted):
        return None
    return Reason(
        "more_than_remains",
        says(
            "La demande de retour dépasse ce qui reste de la commande.",
            "The return asks for more than remains of the order.",
        ),
        {"remaining": quantities_of(remaining), "asked": quantities_of(wanted)},
        says("Diminuez les quantités.", "Lower the quantities."),
    )


def too_late_to_return(_facts: Return | None, data: NewReturn, view: View) -> Reason | None:
    """Through so many days after Adobe accepted it. [adobe]"""
    case = _ordered(data, view)
    if case is None:
        return None
    last_day = _return_until(case, view)
    if last_day is None or view.today <= last_day:
        return None
    until = day(last_day)
    return Reason(
        "too_late_to_return",
        says(
            f"Le retour pouvait être demandé jusqu'au {until.fr}.",
            f"The return could be asked for until {until.en}.",
        ),
        {"return_until": last_day.isoformat()},
    )


def _return_until(case: Case, view: View) -> Any:
    if case.workflow == "order":
        return case.facts.return_until
    if case.facts.paid_on is None:
        return None
    return return_until(midnight(case.facts.paid_on, view.tenant.zone), view.policies[case.policy], view.tenant.zone)


# --- what is remembered --------------------------------------------------------------------------------------------


def asked_back(data: NewReturn, view: View) -> Return:
    case = _ordered(data, view)
    if case is None:
        raise ValueError(f"{view.subject} has nothing that {data} names")
    is_order = case.workflow == "order"
    return Return(
        order=case.ref if is_order else None,
        authorization=None if is_order else case.ref,
        order_number=case.facts.order_number if is_order else None,
        lines=_wanted(case, data, view),
        requested_on=view.today,
    )


def answered(facts: Return, data: Answer, view: View) -> Return:
    return replace(facts, decided_on=view.today, explanation=data.explanation)


# --- what is sent on and said --------------------------------------------------------------------------------------


def the_order(facts: Return, _data: Answer, _view: View) -> str | None:
    return facts.order


def the_authorization(facts: Return, _data: Answer, _view: View) -> str | None:
    return facts.authorization


def its_lines(facts: Return, _data: Answer, _view: View) -> Returned:
    return Returned(facts.lines)


def its_share(facts: Return, _data: Answer, _view: View) -> Shares:
    return Shares({facts.authorization: facts.lines} if facts.authorization is not None else {})


def vocabulary(facts: Return, view: View) -> dict[str, Any]:
    return {
        "order_number": facts.order_number,
        "lines": plain_lines(facts.lines, view.trade.catalogue),
        "decided_on": plain_day(facts.decided_on),
        "explanation": facts.explanation,
    }


class ReturnRequest(Workflow):
    """A return authorization asked of Adobe (seed: demandez une autorisation de retour)."""

    name_in_events = "return_request"
    collection = "returns"
    prefix = "R"
    title = Text("Demande de retour", "Return request")
    facts = Return

    requested = State(initial=True)
    approved = State(final=True)
    refused = State(final=True)
    settled = [approved, refused]
    labels = {
        "requested": Text("demandée", "requested"),
        "approved": Text("accordée", "approved"),
        "refused": Text("refusée", "refused"),
    }

    approve = requested.to(approved)
    refuse = requested.to(refused)

    openings = [
        Opening(
            "open",
            requested,
            data=NewReturn,
            build=asked_back,
            unless=[nothing_ordered, more_than_remains, too_late_to_return],
            refers={"order": "orders", "authorization": "authorizations"},
        ),
    ]
    changes = [
        Change(
            approve,
            data=Answer,
            record=answered,
            kind=REPORT,
            then=[
                Send("order.give_back", to=the_order, data=its_lines),
                Send("purchase_authorization.give_back", to=the_authorization, data=its_share),
            ],
        ),
        Change(refuse, data=Answer, record=answered, kind=REPORT),
    ]
    record_block = ["order_number", "lines", "decided_on"]
    emails = [
        Email("return_approved", to=contact, on=approved),
        Email("return_refused", to=contact, on=refused, says=["explanation"]),
    ]
    vocabulary = staticmethod(vocabulary)
