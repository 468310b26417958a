"""`vipflow renewal …`: a customer's yearly renewal."""

from __future__ import annotations

from typing import Annotated

import typer

from vipflow.cli.acting import (
    CustomerRef,
    EventId,
    Mine,
    OrderNumber,
    OwnRef,
    PerhapsProducts,
    Why,
    answer_hint,
    day_text,
    in_short,
    lines_text,
    short_day,
    show_done,
)
from vipflow.cli.options import After, Limit
from vipflow.cli.session import Session, command, group


def add_to(app: typer.Typer) -> None:
    renewal = group("renewal", "See where a customer's renewal stands, order it, report it.")
    command(renewal, "status")(status)
    command(renewal, "list", rows="vipflow.operations.customer_lists.CustomerRow")(list_)
    command(renewal, "order", act="rehearsed", on=True)(order)
    command(renewal, "remind", act="rehearsed", on=True)(remind)
    command(renewal, "decline", act="rehearsed", on=True)(decline)
    command(renewal, "report", act="rehearsed", on=True)(report)
    app.add_typer(renewal)


def status(session: Session, customer: CustomerRef) -> None:
    """Shows where a customer's renewal stands: its days, what is renewed, what is left."""
    from rich.text import Text

    from vipflow.cli.output import facts_table
    from vipflow.operations.renewals import renewal_status

    found = renewal_status(session.installation, session.who, customer)
    percent = f" ({found.discount.percent} %)" if found.discount.percent else ""
    session.out.answer(
        found,
        Text.assemble((found.company, "bold"), "   ", (found.customer, "cyan"), f"\n{found.says.en}\n"),
        facts_table(
            {
                "Anniversary date": day_text(found.anniversary) or None,
                "Running term ends": day_text(found.term_ends) or None,
                "Window": f"{day_text(found.window_opens)} to {day_text(found.window_closes)}, that day still in"
                if found.window_opens
                else None,
                "Held": lines_text(found.licences) or None,
                "Renewed": lines_text(found.renewed) or None,
                "To renew": lines_text(found.left_to_renew) or None,
                "Renews by itself": _by_itself(found.renews_by_itself, found.declined),
                "Discount level": f"{found.discount.level}{percent}; the level counts on {day_text(found.counts_on)}"
                if found.counts_on
                else None,
                "Next anniversary date": day_text(found.next_anniversary) or None,
                "Policy": found.policy,
            }
        ),
    )


def list_(
    session: Session,
    upcoming: Annotated[bool, typer.Option("--upcoming", help="Those whose window has not opened yet.")] = False,
    mine: Mine = False,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """Lists customers who can renew now, or soon, by anniversary date."""
    from vipflow.operations.renewals import list_renewals

    page = list_renewals(session.installation, session.who, mine=mine, after=after, most=limit, ready=not upcoming)
    session.out.rows(
        page.items,
        {
            "Anniversary": lambda row: short_day(row.anniversary),
            "Customer": lambda row: row.company,
            "Reference": lambda row: row.ref,
            "Status": lambda row: row.membership_label.en,
            "Licences": lambda row: row.licences,
            "Managed by": lambda row: row.manager,
        },
        next=page.next,
        empty="No renewal comes up." if upcoming else "Nobody is ready for renewal.",
    )


def order(
    session: Session,
    customer: CustomerRef,
    product: PerhapsProducts = None,
    order_number: OrderNumber = None,
    ref: OwnRef = None,
    id_: EventId = None,
) -> None:
    """Records a renewal order: of all that is left, or of some products; the rest can follow while the window lasts."""
    from vipflow.operations.orders import show_order
    from vipflow.operations.renewals import place_renewal

    done = place_renewal(
        session.installation,
        session.who,
        customer,
        product or (),
        order_number=order_number,
        reference=ref,
        id=id_,
    )
    made = done.verdict.case
    say = ""
    if done.outcome == "applied":
        found = show_order(session.installation, session.who, str(made))
        say = f"{made}: renewal of {in_short(found.lines)} ordered for {found.company}"
    show_done(session, done, say, answer_hint(made, order_number))


def remind(session: Session, customer: CustomerRef, reason: Why = None, id_: EventId = None) -> None:
    """Reminds the customer of the renewal now."""
    from vipflow.operations import renewals

    done = renewals.remind(session.installation, session.who, customer, reason=reason, id=id_)
    show_done(session, done, f"{done.verdict.subject} is reminded of the renewal")


def decline(session: Session, customer: CustomerRef, reason: Why = None, id_: EventId = None) -> None:
    """Tells that a customer does not renew, where Adobe would renew by itself (marketplace)."""
    from vipflow.operations import renewals

    done = renewals.decline(session.installation, session.who, customer, reason=reason, id=id_)
    show_done(session, done, f"{done.verdict.subject} will not be renewed by itself")


def report(
    session: Session,
    customer: CustomerRef,
    product: PerhapsProducts = None,
    reason: Why = None,
    id_: EventId = None,
) -> None:
    """Records that Adobe renewed a customer without an order of yours: everything, or some products."""
    from vipflow.operations import renewals

    done = renewals.report(session.installation, session.who, customer, product or (), reason=reason, id=id_)
    label = next((step.label.en for step in done.happened), "")
    show_done(session, done, f"The renewal of {done.verdict.subject} is recorded: {label}")


def _by_itself(renews: bool, declined: bool) -> str | None:
    if not renews:
        return None
    return "no: declined" if declined else "yes, on the anniversary date, unless declined"
