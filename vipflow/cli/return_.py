"""`vipflow return …`: what was ordered and goes back."""

from __future__ import annotations

from typing import Annotated

import typer

from vipflow.cli.acting import (
    AllStates,
    EventId,
    Mine,
    OwnRef,
    PerhapsCustomer,
    PerhapsProducts,
    States,
    Why,
    day_text,
    in_short,
    lines_text,
    moment_text,
    short_day,
    show_done,
    state_text,
)
from vipflow.cli.options import After, Limit
from vipflow.cli.session import Session, command, group

Return = Annotated[str, typer.Argument(help="The return: its reference (R-2B7K-41ZD).", metavar="RETURN")]
Explanation = Annotated[str | None, typer.Option("--explanation", help="What Adobe said.", metavar="TEXT")]


def add_to(app: typer.Typer) -> None:
    return_ = group("return", "Ask for a return authorization of what was ordered, and record the answer.")
    command(return_, "open", act="rehearsed", on=True)(open_)
    command(return_, "approve", act="rehearsed", on=True)(approve)
    command(return_, "refuse", act="rehearsed", on=True)(refuse)
    command(return_, "list", rows="vipflow.operations.rows.ReturnRow")(list_)
    command(return_, "show")(show)
    app.add_typer(return_)


def open_(
    session: Session,
    ordered: Annotated[
        str,
        typer.Argument(
            help="What goes back: an order (reference or Adobe's number) or authorization.", metavar="ORDER"
        ),
    ],
    product: PerhapsProducts = None,
    reason: Why = None,
    ref: OwnRef = None,
    id_: EventId = None,
) -> None:
    """Asks for a return authorization: of the whole order, or of some products; a later one may take more."""
    from vipflow.operations import returns

    done = returns.open_return(
        session.installation, session.who, ordered, product or (), reason=reason, reference=ref, id=id_
    )
    made = done.verdict.case
    say = ""
    if done.outcome == "applied":
        found = returns.show_return(session.installation, session.who, str(made))
        say = f"{made}: return of {in_short(found.lines)} asked for {found.company}"
    show_done(session, done, say, f"When Adobe answers: vipflow return approve {made} (or refuse)")


def approve(session: Session, return_request: Return, explanation: Explanation = None, id_: EventId = None) -> None:
    """Records that Adobe granted a return: the licences are removed."""
    from vipflow.operations import returns

    done = returns.approve(session.installation, session.who, return_request, explanation=explanation, id=id_)
    show_done(session, done, f"{done.verdict.case} is granted; its licences are removed")


def refuse(session: Session, return_request: Return, explanation: Explanation = None, id_: EventId = None) -> None:
    """Records that Adobe refused a return: nothing changes."""
    from vipflow.operations import returns

    done = returns.refuse(session.installation, session.who, return_request, explanation=explanation, id=id_)
    show_done(session, done, f"{done.verdict.case} is refused; the licences stay")


def list_(
    session: Session,
    state: States = None,
    all_: AllStates = False,
    customer: PerhapsCustomer = None,
    mine: Mine = False,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """Lists returns that wait for Adobe's answer, customer by customer."""
    from vipflow.operations import returns

    page = returns.list_returns(
        session.installation,
        session.who,
        states=() if all_ else tuple(state or returns.UNDECIDED),
        customer=customer,
        mine=mine,
        after=after,
        most=limit,
    )
    session.out.rows(
        page.items,
        {
            "Return": lambda row: row.ref,
            "Customer": lambda row: f"{row.company}\n{row.customer}",
            "Of": lambda row: row.order or row.authorization,
            "Adobe's number": lambda row: row.order_number,
            "Status": state_text,
            "Products": lambda row: lines_text(row.lines),
            "Asked": lambda row: short_day(row.requested_on),
        },
        next=page.next,
        empty="No return waits for an answer." if not (state or all_) else "There is none.",
    )


def show(session: Session, return_request: Return) -> None:
    """Shows a return: what goes back, and what Adobe answered."""
    from vipflow.cli.output import facts_table
    from vipflow.operations.returns import show_return

    found = show_return(session.installation, session.who, return_request)
    session.out.answer(
        found,
        facts_table(
            {
                "Return": found.ref,
                "Customer": f"{found.company} ({found.customer})",
                "Of": found.order or found.authorization,
                "Adobe's number": found.order_number,
                "Status": f"{found.label.en}, since {moment_text(found.since, session.who.zone)}",
                "Products": lines_text(found.lines),
                "Asked on": day_text(found.requested_on),
                "Decided on": day_text(found.decided_on) or None,
                "Explanation": found.explanation,
            }
        ),
    )
