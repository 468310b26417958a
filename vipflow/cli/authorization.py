"""`vipflow authorization …`: licences at a customer's disposal before they are ordered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.acting import (
    AllStates,
    CustomerRef,
    EventId,
    Mine,
    OrderNumber,
    OwnRef,
    PerhapsCustomer,
    SomeProducts,
    States,
    Why,
    day_given,
    day_text,
    in_short,
    lines_text,
    moment_text,
    order_by,
    short_day,
    show_done,
    state_text,
)
from vipflow.cli.options import After, Limit
from vipflow.cli.session import Session, command, group
from vipflow.errors import BadInput

if TYPE_CHECKING:
    from vipflow.operations.done import Done

Authorization = Annotated[
    str, typer.Argument(help="The authorization: its reference (PA-4M2X-8TQH) or PO number.", metavar="AUTHORIZATION")
]


def add_to(app: typer.Typer) -> None:
    authorization = group("authorization", "Put licences at a customer's disposal, and follow what becomes of them.")
    command(authorization, "create", act="rehearsed", on=True)(create)
    command(authorization, "list", rows="vipflow.operations.rows.AuthorizationRow")(list_)
    command(authorization, "show")(show)
    command(authorization, "cancel", act="rehearsed", on=True)(cancel)
    command(authorization, "extend", act="rehearsed", on=True)(extend)
    command(authorization, "remind", act="rehearsed", on=True)(remind)
    command(authorization, "customer-paid", act="rehearsed", on=True)(customer_paid)
    command(authorization, "paid", act="rehearsed", on=True)(paid)
    command(authorization, "payment-reversed", act="rehearsed", on=True)(payment_reversed)
    command(authorization, "deactivated", act="rehearsed", on=True)(deactivated)
    command(authorization, "restored", act="rehearsed", on=True)(restored)
    command(authorization, "write-off", act="rehearsed", on=True)(write_off)
    app.add_typer(authorization)


def create(
    session: Session,
    customer: CustomerRef,
    product: SomeProducts,
    po: Annotated[
        str | None, typer.Option("--po", help="The customer's own purchase order number.", metavar="NUMBER")
    ] = None,
    ref: OwnRef = None,
    by_customer: Annotated[
        bool,
        typer.Option("--by-customer", help="The customer added them itself in the Admin Console: a report."),
    ] = False,
    id_: EventId = None,
) -> None:
    """Puts licences at a customer's disposal; the order to Adobe follows. Refused while the customer is late."""
    from vipflow.operations import authorizations

    done = authorizations.create(
        session.installation,
        session.who,
        customer,
        product,
        po_number=po,
        reference=ref,
        by_customer=by_customer,
        id=id_,
    )
    made = done.verdict.case
    say = ""
    if done.outcome == "applied":
        found = authorizations.show_authorization(session.installation, session.who, str(made))
        say = f"{made}: {in_short(found.lines)} at the disposal of {found.company}"
        if found.due_on is not None:
            say += f"; to be ordered by {day_text(found.due_on)}"
        elif found.expires_at is not None:
            say += f"; expires on {moment_text(found.expires_at, session.who.zone)}"
    show_done(session, done, say, f"Once ordered: vipflow order place --authorization {made}")


def list_(
    session: Session,
    state: States = None,
    all_: AllStates = False,
    customer: PerhapsCustomer = None,
    mine: Mine = False,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """Lists authorizations that wait for an order (pending, late, deactivated), customer by customer."""
    from vipflow.operations import authorizations

    page = authorizations.list_authorizations(
        session.installation,
        session.who,
        states=() if all_ else tuple(state or authorizations.OPEN),
        customer=customer,
        mine=mine,
        after=after,
        most=limit,
    )
    session.out.rows(
        page.items,
        {
            "Authorization": lambda row: row.ref,
            "Customer": lambda row: f"{row.company}\n{row.customer}",
            "PO": lambda row: row.po_number,
            "Status": state_text,
            "Products": lambda row: lines_text(row.lines),
            "Created": lambda row: short_day(row.created_on),
            "Order by": lambda row: short_day(order_by(row, session.who.zone)),
        },
        next=page.next,
        empty="No authorization waits for an order." if not (state or all_) else "There is none.",
    )


def show(session: Session, authorization: Authorization) -> None:
    """Shows an authorization: its products, its days, what became of it."""
    from vipflow.cli.output import facts_table
    from vipflow.operations.authorizations import show_authorization

    found = show_authorization(session.installation, session.who, authorization)
    zone = session.who.zone
    status = found.label.en
    if found.state == "suspended" and not found.confirmed:
        status = "licences may be deactivated (expected; Adobe has not said so)"
    session.out.answer(
        found,
        facts_table(
            {
                "Authorization": found.ref,
                "Customer": f"{found.company} ({found.customer})",
                "Status": f"{status}, since {moment_text(found.since, zone)}",
                "PO number": found.po_number,
                "Products": lines_text(found.lines) or "nothing left",
                "Created": day_text(found.created_on) + (", by the customer itself" if found.by_customer else ""),
                "Order by": day_text(found.due_on) or None,
                "Expires": moment_text(found.expires_at, zone) if found.expires_at else None,
                "Licences may be deactivated from": day_text(found.suspended_from) or None,
                "Promised until": day_text(found.promised_until) or None,
                "Customer paid on": day_text(found.customer_paid_on) or None,
                "Order": found.order,
                "Paid on": day_text(found.paid_on) or None,
            }
        ),
    )
    session.out.note(f"\nWhat may be done: vipflow explain {found.ref}    What happened: vipflow history {found.ref}")


def cancel(session: Session, authorization: Authorization, reason: Why = None, id_: EventId = None) -> None:
    """Takes the licences back. Only while it is pending; once ordered, ask for a return."""
    from vipflow.operations import authorizations

    done = authorizations.cancel(session.installation, session.who, authorization, reason=reason, id=id_)
    show_done(session, done, f"{done.verdict.case} is cancelled; the customer loses its products")


def extend(
    session: Session,
    authorization: Authorization,
    until: Annotated[str, typer.Option("--until", help="The new day: promised, or granted.", metavar="DATE")],
    granted_by_adobe: Annotated[
        bool,
        typer.Option("--granted-by-adobe", help="Adobe granted it: the due day moves, and all that hangs on it."),
    ] = False,
    reason: Why = None,
    id_: EventId = None,
) -> None:
    """Notes that the customer promised to settle by a day: our mails are held until then. A reason is needed.

    With --granted-by-adobe it is Adobe that gives more time.
    """
    from vipflow.operations import authorizations

    day = day_given(until, "--until")
    if granted_by_adobe:
        done = authorizations.grant_extension(
            session.installation, session.who, authorization, day, reason=reason, id=id_
        )
        show_done(session, done, f"{done.verdict.case} is due on {day_text(day)}, as Adobe granted")
        return
    done = authorizations.promise(session.installation, session.who, authorization, day, reason=reason, id=id_)
    show_done(
        session, done, f"{done.verdict.case}: promised until {day_text(day)}; mails to the customer wait till then"
    )


def remind(session: Session, authorization: Authorization, reason: Why = None, id_: EventId = None) -> None:
    """Reminds the customer now."""
    from vipflow.operations import authorizations

    done = authorizations.remind(session.installation, session.who, authorization, reason=reason, id=id_)
    show_done(session, done, f"The customer of {done.verdict.case} is reminded")


def customer_paid(session: Session, authorization: Authorization, reason: Why = None, id_: EventId = None) -> None:
    """Records that the customer paid you: mails to it about payment stop, the order to Adobe becomes urgent."""
    from vipflow.operations import authorizations

    done = authorizations.customer_paid(session.installation, session.who, authorization, reason=reason, id=id_)
    ref = done.verdict.case
    show_done(session, done, f"{ref}: the customer paid you", f"Now order: vipflow order place --authorization {ref}")


def paid(
    session: Session,
    authorization: Authorization,
    order_number: OrderNumber = None,
    reason: Why = None,
    id_: EventId = None,
) -> None:
    """Records that Adobe accepted an order for it that was never entered here; else: vipflow order accept."""
    from vipflow.operations import authorizations

    done = authorizations.paid(
        session.installation, session.who, authorization, order_number=order_number, reason=reason, id=id_
    )
    show_done(session, done, f"{done.verdict.case} is paid")


def payment_reversed(session: Session, authorization: Authorization, reason: Why = None, id_: EventId = None) -> None:
    """Records that Adobe took back that it is paid: it goes back to where its dates say."""
    from vipflow.operations import authorizations

    done = authorizations.payment_reversed(session.installation, session.who, authorization, reason=reason, id=id_)
    show_done(session, done, f"{done.verdict.case} is {_state(done)} again: its payment was reversed")


def deactivated(session: Session, authorization: Authorization, reason: Why = None, id_: EventId = None) -> None:
    """Records that Adobe deactivated its licences."""
    from vipflow.operations import authorizations

    done = authorizations.deactivated(session.installation, session.who, authorization, reason=reason, id=id_)
    show_done(session, done, f"The licences of {done.verdict.case} are deactivated")


def restored(session: Session, authorization: Authorization, reason: Why = None, id_: EventId = None) -> None:
    """Records that Adobe restored its licences."""
    from vipflow.operations import authorizations

    done = authorizations.restored(session.installation, session.who, authorization, reason=reason, id=id_)
    show_done(session, done, f"The licences of {done.verdict.case} are restored; it is {_state(done)}")


def _state(done: Done) -> str:
    return done.happened[0].label.en if done.happened else ""


def write_off(session: Session, authorization: Authorization, reason: Why = None, id_: EventId = None) -> None:
    """Gives up a late authorization: its licences are removed, the customer may buy again. Admins only."""
    from vipflow.operations import authorizations

    if reason is not None and not reason.strip():
        raise BadInput("--reason", "it is empty", "say why in a sentence")
    done = authorizations.write_off(session.installation, session.who, authorization, reason=reason, id=id_)
    show_done(session, done, f"{done.verdict.case} is written off")
