"""What every story starts from."""

import pytest

from tests.workflows.world import World, invited_customer, member_of_a_year


@pytest.fixture
def world() -> World:
    """A reseller under vip-2024 on Monday, 4 March 2024, ten in the morning in Paris; nobody invited yet."""
    return World()


@pytest.fixture
def invited() -> World:
    """The same, its customer just invited."""
    return invited_customer()


@pytest.fixture
def member() -> World:
    """A customer with ten licences and the anniversary date 16 January 2025, on 16 January 2024."""
    return member_of_a_year()
