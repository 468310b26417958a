"""`vipflow order …`: what is placed with Adobe, and what Adobe answers."""

from __future__ import annotations

from typing import Annotated

import typer

from vipflow.cli.acting import (
    AllStates,
    EventId,
    Mine,
    OrderNumber,
    OwnRef,
    PerhapsCustomer,
    PerhapsProducts,
    States,
    answer_hint,
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
from vipflow.errors import BadInput

Order = Annotated[str, typer.Argument(help="The order: its reference or Adobe's number.", metavar="ORDER")]


def add_to(app: typer.Typer) -> None:
    order = group("order", "Record what was ordered from Adobe, and what Adobe answered.")
    command(order, "place", act="rehearsed", on=True)(place)
    command(order, "accept", act="rehearsed", on=True)(accept)
    command(order, "refuse", act="rehearsed", on=True)(refuse)
    command(order, "list", rows="vipflow.operations.rows.OrderRow")(list_)
    command(order, "show")(show)
    app.add_typer(order)


def place(
    session: Session,
    authorization: Annotated[
        list[str] | None,
        typer.Option("--authorization", help="Ordered for this authorization, as a whole. Repeat.", metavar="REF"),
    ] = None,
    renewal: Annotated[
        str | None,
        typer.Option("--renewal", help="Ordered to renew this customer: all, or --product.", metavar="CUSTOMER"),
    ] = None,
    direct: Annotated[
        str | None,
        typer.Option("--direct", help="Ordered for this customer without authorization.", metavar="CUSTOMER"),
    ] = None,
    product: PerhapsProducts = None,
    order_number: OrderNumber = None,
    ref: OwnRef = None,
    id_: EventId = None,
) -> None:
    """Records an order that was placed with Adobe: for authorizations, for a renewal, or direct."""
    from vipflow.operations import orders

    ways = [given for given in (authorization, renewal, direct) if given]
    if len(ways) != 1:
        problem = "it says nothing of what it is for" if not ways else "it is for several things at once"
        raise BadInput("the order", problem, "name one of --authorization, --renewal and --direct")
    installation, who = session.installation, session.who
    if authorization:
        if product:
            raise BadInput("the order", "an authorization is ordered as a whole", "leave out --product")
        done = orders.place_for_authorizations(
            installation, who, authorization, order_number=order_number, reference=ref, id=id_
        )
    elif renewal:
        done = orders.place_renewal(
            installation, who, renewal, product or (), order_number=order_number, reference=ref, id=id_
        )
    else:
        if not product:
            raise BadInput("the order", "a direct order names no product", "add --product PRODUCT=QUANTITY")
        done = orders.place_direct(
            installation, who, str(direct), product, order_number=order_number, reference=ref, id=id_
        )
    made = done.verdict.case
    say = ""
    if done.outcome == "applied":
        found = orders.show_order(installation, who, str(made))
        say = f"{made}: ordered {in_short(found.lines)} for {found.company}"
    show_done(session, done, say, answer_hint(made, order_number))


def accept(session: Session, order: Order, order_number: OrderNumber = None, id_: EventId = None) -> None:
    """Records that Adobe accepted an order: authorizations are paid, the renewal or the term begins."""
    from vipflow.operations import orders

    done = orders.accept(session.installation, session.who, order, order_number=order_number, id=id_)
    say = ""
    if done.outcome == "applied":
        found = orders.show_order(session.installation, session.who, str(done.verdict.case))
        say = f"{found.ref} is accepted: {in_short(found.lines)} for {found.company}"
        if found.return_until is not None:
            say += f"; returnable until {day_text(found.return_until)}"
    show_done(session, done, say)


def refuse(
    session: Session,
    order: Order,
    explanation: Annotated[str | None, typer.Option("--explanation", help="What Adobe said.", metavar="TEXT")] = None,
    id_: EventId = None,
) -> None:
    """Records that Adobe refused an order: its authorizations go back to where their dates say."""
    from vipflow.operations import orders

    done = orders.refuse(session.installation, session.who, order, explanation=explanation, id=id_)
    back = [step for step in done.happened if step.event == "purchase_authorization.order_refused"]
    told = "; ".join(f"{step.case} is {step.label.en} again" for step in back)
    show_done(session, done, f"{done.verdict.case} is refused" + (f"; {told}" if told else ""))


def list_(
    session: Session,
    state: States = None,
    all_: AllStates = False,
    customer: PerhapsCustomer = None,
    mine: Mine = False,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """Lists orders that wait for Adobe's answer, customer by customer."""
    from vipflow.operations import orders

    page = orders.list_orders(
        session.installation,
        session.who,
        states=() if all_ else tuple(state or orders.RUNNING),
        customer=customer,
        mine=mine,
        after=after,
        most=limit,
    )
    session.out.rows(
        page.items,
        {
            "Order": lambda row: row.ref,
            "Adobe's number": lambda row: row.order_number,
            "Customer": lambda row: f"{row.company}\n{row.customer}",
            "For": lambda row: "\n".join(row.authorizations) or row.kind,
            "Status": state_text,
            "Products": lambda row: lines_text(row.lines),
            "Placed": lambda row: short_day(row.placed_on),
        },
        next=page.next,
        empty="No order waits for an answer." if not (state or all_) else "There is none.",
    )


def show(session: Session, order: Order) -> None:
    """Shows an order: its products, what it is for, what Adobe answered."""
    from vipflow.cli.output import facts_table
    from vipflow.operations.orders import show_order

    found = show_order(session.installation, session.who, order)
    session.out.answer(
        found,
        facts_table(
            {
                "Order": found.ref,
                "Adobe's number": found.order_number,
                "Customer": f"{found.company} ({found.customer})",
                "For": ", ".join(found.authorizations) or found.kind,
                "Status": f"{found.label.en}, since {moment_text(found.since, session.who.zone)}",
                "Products": lines_text(found.lines) or "nothing left",
                "Placed on": day_text(found.placed_on),
                "Accepted on": day_text(found.accepted_on) or None,
                "Returnable until": day_text(found.return_until) or None,
                "Explanation": found.explanation,
            }
        ),
    )
