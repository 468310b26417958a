"""Who may do what."""

import pytest

from tests.workflows.world import SHIPPED
from vipflow.vip.customers import Role
from vipflow.vip.roles import ACT_OF, may, may_do


@pytest.mark.parametrize(
    ("event", "roles"),
    [
        ("customer.invite", {"account_manager", "support", "admin"}),
        ("purchase_authorization.create", {"account_manager", "support", "admin"}),
        ("purchase_authorization.remind", {"account_manager", "support", "admin"}),
        ("return_request.open", {"account_manager", "support", "admin"}),
        ("order.accept", {"support", "admin"}),
        ("customer.assign", {"support", "admin"}),
        ("purchase_authorization.extend", {"support", "admin"}),
        ("purchase_authorization.write_off", {"admin"}),
        ("customer.override_policy", {"admin"}),
        ("invitation.accept", set()),
        ("purchase_authorization.fall_due", set()),
        ("membership.close_window", set()),
        ("crate.arrive", {"admin"}),
    ],
)
def test_each_role_may_send_its_events(event, roles):
    everybody: tuple[Role, ...] = ("viewer", "account_manager", "support", "operator", "admin")
    assert {role for role in everybody if may(role, event, False)} == roles


def test_an_account_manager_reports_for_his_own_customers_alone():
    assert may("account_manager", "order.accept", True)
    assert not may("account_manager", "order.accept", False)
    assert not may("viewer", "order.accept", True)


def test_operators_hold_and_release_but_do_not_sell():
    assert may_do("operator", "operate")
    assert not may_do("operator", "sell")
    assert may_do("viewer", "read")


def test_every_event_that_comes_from_outside_is_somebodys():
    from_outside = {
        f"{machine.name}.{event}"
        for machine in SHIPPED
        for event in (*machine.openings, *machine.changes)
        if machine.kind_of(event) != "internal"
    }
    assert from_outside - set(ACT_OF) == {"invitation.accept"}
    assert set(ACT_OF) - from_outside == {"history.undo", "message.bounce"}
