"""`vipflow calendar …`: the dates of the programme, for whoever wants to check one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.options import PolicyName, Zone
from vipflow.cli.session import Session, command, group

if TYPE_CHECKING:
    from vipflow.policy import PolicyBook

DEFAULT = "vip-2024"
PARIS = "Europe/Paris"

Anniversary = Annotated[str, typer.Option("--anniversary", help="The anniversary date.", metavar="DATE")]


def add_to(app: typer.Typer) -> None:
    calendar = group("calendar", "Work out the dates of the programme.")
    command(calendar, "renewal", needs="files")(renewal)
    command(calendar, "authorization", needs="files")(authorization)
    command(calendar, "seats", needs="files")(seats)
    command(calendar, "first-anniversary", needs="files")(first_anniversary)
    app.add_typer(calendar)


def renewal(session: Session, anniversary: Anniversary, policy: PolicyName = DEFAULT) -> None:
    """Shows all dates around an anniversary date.

    When the renewal window opens and closes, and what else hangs on it.
    """
    from vipflow.operations import dates

    found = dates.renewal(_book(session), policy, dates.day("--anniversary", anniversary))
    _show(
        session,
        found,
        {
            "upcoming from": found["comes_up"],
            "discount level looked up on": found["look_back"],
            "window opens": found["window_opens"],
            "last day of the term": found["term_ends"],
            "anniversary": found["anniversary"],
            "window closes": f"{found['window_closes']} (that day still in)",
        },
    )


def authorization(
    session: Session,
    created: Annotated[
        str,
        typer.Option(
            "--created", help="Its day (2024-03-01) or instant (2024-03-01T23:30:00Z) of creation.", metavar="DATE"
        ),
    ],
    policy: PolicyName = DEFAULT,
    zone: Zone = PARIS,
) -> None:
    """Shows when an authorization is due, late, deactivated or expired."""
    from vipflow.operations import dates

    found = dates.authorization(_book(session), policy, created, zone)
    _show(
        session,
        found,
        {
            "created": f"{found['created']} ({found['zone']})",
            "order due on": f"{found['due_on']} (that day still in)" if found["due_on"] else None,
            "late from": found["late_from"],
            "in UTC": found["late_at"] and f"{found['late_at']:%Y-%m-%dT%H:%M:%SZ}",
            "without licences from": found["suspended_from"],
            "expires": found["expires_at"] and f"{found['expires_at']:%Y-%m-%dT%H:%M:%SZ}",
        },
    )


def seats(
    session: Session,
    anniversary: Anniversary,
    added: Annotated[str, typer.Option("--added", help="The day on which the licence was added.", metavar="DATE")],
    policy: PolicyName = DEFAULT,
) -> None:
    """Shows how long a licence lasts that is added during a term."""
    from vipflow.operations import dates

    found = dates.seats(_book(session), policy, dates.day("--anniversary", anniversary), dates.day("--added", added))
    rows: dict[str, Any] = {"added": found["added"], "anniversary": found["anniversary"]}
    if found["days"] is not None:
        rows["lasts"] = f"{found['days']} days"
    else:
        rows["lasts"] = f"{found['amount']} months"
        rows["part month free"] = f"{found['months_next']} months"
        rows["part month counted"] = f"{found['months_current']} months"
    _show(session, found, rows)


def first_anniversary(
    session: Session,
    order: Annotated[str, typer.Option("--order", help="The day of the first accepted order.", metavar="DATE")],
    first_authorization: Annotated[
        str | None,
        typer.Option("--first-authorization", help="The day of the first authorization, if any.", metavar="DATE"),
    ] = None,
    policy: PolicyName = DEFAULT,
) -> None:
    """Shows the first anniversary date and the three after it."""
    from vipflow.operations import dates

    earlier = dates.day("--first-authorization", first_authorization) if first_authorization is not None else None
    found = dates.first_anniversary(_book(session), policy, dates.day("--order", order), earlier)
    _show(session, found, {"first anniversary": found["anniversary"], "then": found["following"]})


def _book(session: Session) -> PolicyBook:
    from vipflow.vip.numbers import load_policies

    return load_policies(*session.defaults.folders.policies)


def _show(session: Session, found: dict[str, Any], rows: dict[str, Any]) -> None:
    from vipflow.cli.output import facts_table

    session.out.answer(found, facts_table({**rows, "policy": found["policy"]}))
