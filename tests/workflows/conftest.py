"""What every story starts from."""

import pytest

from tests.workflows.world import World


@pytest.fixture
def world() -> World:
    """A reseller under vip-2024 on Monday, 4 March 2024, ten in the morning in Paris; nobody invited yet."""
    return World()


@pytest.fixture
def invited(world: World) -> World:
    """The same, its customer just invited."""
    world.invite()
    return world


@pytest.fixture
def member(world: World) -> World:
    """A customer whose first order, ten licences of Photoshop, Adobe accepted on 16 January 2024: AD 16 January 2025."""
    world = World(start="2024-01-10")
    world.invite()
    world.go_to("2024-01-16")
    order = world.order(world.authorize(("65305156CA01A12", 10)))
    world.done("order.accept", case=order)
    return world
