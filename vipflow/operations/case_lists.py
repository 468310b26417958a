"""Lists of authorizations, orders and returns: customer by customer, page by page; and one of them by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from vipflow.errors import BadInput, did_you_mean
from vipflow.operations.customer_lists import PAGE_AT_MOST, whose
from vipflow.operations.installation import Installation
from vipflow.operations.references import find, find_customer
from vipflow.operations.rows import Page, after_case, case_place
from vipflow.operations.who import Who
from vipflow.store import reading
from vipflow.store.reading import WantedCases

Row = TypeVar("Row")
MakeRow = Callable[[Installation, Any, str], Row]
"""A row of a list from the stored case and the name of its customer."""


def case_page(
    installation: Installation,
    who: Who,
    workflow: str,
    make: MakeRow[Any],
    *,
    states: Sequence[str],
    customer: str | None,
    mine: bool,
    after: str | None,
    most: int,
    lists: tuple[str, ...] = (),
) -> Page:
    """Cases in these states (all states: an empty sequence), in order of their customers' names.

    `lists`: only customers in one of these can have such cases, so no other is looked at. Raises BadInput.
    """
    valid = installation.workflows[workflow].states
    for state in states:
        if state not in valid:
            near = did_you_mean(state, valid)
            raise BadInput("the state", f"there is no {state!r}{near}", f"choose {', '.join(valid)}")
    if not 1 <= most <= PAGE_AT_MOST:
        raise BadInput("the page", f"{most} rows", f"ask for 1 to {PAGE_AT_MOST}")
    subject = find_customer(installation, who, customer) if customer is not None else None
    wanted = WantedCases(workflow, tuple(states), subject, whose(who, mine, None), lists)
    with installation.database.read() as connection:
        rows = reading.cases_page(connection, who.tenant, wanted, most + 1, case_place(after))
    shown = rows[:most]
    cursor = after_case(shown[-1]) if len(rows) > most else None
    return Page(tuple(make(installation, row, row.name) for row in shown), cursor)


def one_case(installation: Installation, who: Who, name: str, collection: str, make: MakeRow[Row]) -> Row:
    """The case of the collection that bears this name. Raises NotFound; BadInput where it fits several."""
    found = find(installation, who, name, collection)
    with installation.database.read() as connection:
        row = reading.cases_by_ref(connection, who.tenant, [found.ref])[0]
        customer = reading.customers_by_ref(connection, who.tenant, [found.subject])[0]
    return make(installation, row, customer.name)
