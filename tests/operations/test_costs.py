"""What lists and pages cost: a number of statements that does not grow with what they show."""

import pytest
from sqlalchemy import event

from tests.operations.conftest import World
from vipflow.operations.customer_lists import list_customers
from vipflow.operations.customer_page import show_customer
from vipflow.vip.lists import LISTS


@pytest.mark.parametrize("name", [None, *(each.name for each in LISTS)])
def test_a_list_costs_the_same_few_statements_whatever_it_holds(world: World, name: str | None) -> None:
    for number in range(3):
        world.invite(f"Customer {number}")
    assert statements(world, lambda: list_customers(world.installation, world.who(None), list=name)) <= 8


def test_a_page_costs_the_same_few_statements_whatever_it_holds(world: World) -> None:
    customer = world.invite()
    before = statements(world, lambda: show_customer(world.installation, world.who(None), customer))
    for number in range(5):
        world.authorize(customer, f"Photoshop={number + 1}")
    after = statements(world, lambda: show_customer(world.installation, world.who(None), customer))
    assert after == before


def statements(world: World, act) -> int:
    engine = world.installation.database._reads
    counted: list[str] = []

    def count(_connection, _cursor, statement, *_rest) -> None:
        counted.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    try:
        act()
    finally:
        event.remove(engine, "before_cursor_execute", count)
    return len([each for each in counted if each.lstrip().upper().startswith("SELECT")])
