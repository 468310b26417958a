"""Stories of returns."""

import json

import msgspec
import pytest

from tests.workflows.world import ALL_APPS, PHOTOSHOP, VECTORS, World, codes, lines
from vipflow.case import Decision
from workflows.return_request import NewReturn


def quantities(case_lines):
    return {line.sku: line.quantity for line in case_lines}


def bought(quantity=70, policy="vip-2024"):
    world = World(start="2024-03-04", policy=policy)
    world.invite()
    pa = world.authorize((PHOTOSHOP, quantity))
    order = world.order(pa)
    world.done("order.accept", {"order_number": "7001"}, case=order)
    return world, pa, order


def asked(world, **data):
    return world.done("return_request.open", data).steps[0].after.ref


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text())["returns"], ids=lambda v: str(v["requests"]))
@pytest.mark.parametrize("at_once", [False, True])
def test_never_more_than_remains_goes_back(vector, at_once):
    world, pa, order = bought(vector["ordered"])
    expected = vector.get("refused") or [False] * len(vector["requests"])
    remaining = []
    open_requests = []
    for quantity, refused in zip(vector["requests"], expected, strict=True):
        outcome = world.send("return_request.open", {"order": order, "lines": lines((PHOTOSHOP, quantity))})
        assert isinstance(outcome, Decision) is not refused
        if refused:
            continue
        open_requests.append(outcome.steps[0].after.ref)
        if not at_once:
            world.done("return_request.approve", case=open_requests.pop())
            remaining.append(world.facts(order).lines[0].quantity)
    for request in open_requests:
        world.done("return_request.approve", case=request)
        remaining.append(world.facts(order).lines[0].quantity)
    if "remaining" in vector:
        assert remaining == vector["remaining"]
    assert quantities(world.facts(pa).lines) == quantities(world.facts(order).lines)
    assert quantities(world.facts("membership").licences) == quantities(world.facts(order).lines)


def test_an_approved_return_moves_order_authorization_and_membership_in_one():
    world, pa, order = bought()
    request = asked(world, order=order)
    decision = world.done("return_request.approve", case=request)
    assert [f"{s.after.workflow}.{s.event}" for s in decision.steps] == [
        "return_request.approve",
        "order.give_back",
        "purchase_authorization.give_back",
        "membership.give_back",
    ]
    assert (world.state(order), world.state(pa)) == ("returned", "returned")
    assert world.facts("membership").licences == ()
    assert world.lists == {"no_products"}
    mail = world.mails("return_approved")[0].context
    assert (mail["reference"], mail["order_number"], mail["decided_on"]) == (request, "7001", "2024-03-04")
    assert mail["lines"][0]["quantity"] == 70


def test_a_part_goes_back_and_order_and_authorization_stay_what_they_are():
    world, pa, order = bought()
    world.done("return_request.approve", case=asked(world, order=order, lines=lines((PHOTOSHOP, 10))))
    assert (world.state(order), world.state(pa)) == ("accepted", "paid")
    assert world.summary["licence_count"] == 60


def test_a_refused_return_changes_nothing_and_says_why():
    world, _, order = bought()
    request = asked(world, order=order)
    world.done("return_request.refuse", {"explanation": "Trop tard"}, case=request)
    assert world.summary["licence_count"] == 70
    assert world.mails("return_refused")[0].context["explanation"] == "Trop tard"
    asked(world, order=order)


def test_the_return_days_run_through_acceptance_plus_fourteen():
    world, _, order = bought()
    world.go_to("2024-03-18")
    asked(world, order=order, lines=lines((PHOTOSHOP, 1)))
    world.go_to("2024-03-19T00:00")
    assert codes(world.refused("return_request.open", {"order": order})) == ["too_late_to_return"]


def test_an_approval_after_the_return_days_still_counts():
    world, _, order = bought()
    request = asked(world, order=order)
    world.go_to("2024-04-20")
    world.done("return_request.approve", case=request)
    assert world.state(order) == "returned"


def test_an_order_not_accepted_yet_can_go_back():
    world = World(start="2024-03-04")
    world.invite()
    pa = world.authorize((PHOTOSHOP, 5))
    order = world.order(pa)
    world.done("return_request.approve", case=asked(world, order=order))
    assert (world.state(order), world.state(pa)) == ("returned", "returned")
    assert world.state("membership") == "awaiting_first_order"


def test_an_authorization_may_be_named_instead_of_its_order():
    world, pa, order = bought()
    request = asked(world, authorization=pa, lines=lines((PHOTOSHOP, 3)))
    assert world.facts(request).order == order
    world.done("return_request.approve", case=request)
    assert quantities(world.facts(pa).lines) == {PHOTOSHOP: 67}


def test_what_was_paid_without_an_order_goes_back_by_its_authorization():
    world = World(start="2024-03-04")
    world.invite()
    pa = world.authorize((PHOTOSHOP, 5))
    world.done("purchase_authorization.pay", case=pa)
    world.done("return_request.approve", case=asked(world, authorization=pa, lines=lines((PHOTOSHOP, 2))))
    assert quantities(world.facts("membership").licences) == {PHOTOSHOP: 3}
    world.go_to("2024-03-19")
    assert codes(world.refused("return_request.open", {"authorization": pa})) == ["too_late_to_return"]


def test_what_was_not_ordered_cannot_go_back(invited):
    pa = invited.authorize()
    refusal = invited.refused("return_request.open", {"authorization": pa})
    assert codes(refusal) == ["nothing_ordered"]
    assert refusal.reasons[0].unblock is not None


def test_the_authorizations_of_one_order_give_back_in_turn(invited):
    first = invited.authorize((PHOTOSHOP, 2))
    second = invited.authorize((PHOTOSHOP, 3), (ALL_APPS, 1))
    order = invited.order(first, second)
    invited.done("order.accept", case=order)
    invited.done("return_request.approve", case=asked(invited, order=order, lines=lines((PHOTOSHOP, 4))))
    assert (invited.state(first), invited.state(second)) == ("returned", "paid")
    assert quantities(invited.facts(second).lines) == {PHOTOSHOP: 1, ALL_APPS: 1}
    assert quantities(invited.facts("membership").licences) == {PHOTOSHOP: 1, ALL_APPS: 1}


@pytest.mark.parametrize(("back", "state"), [((PHOTOSHOP, 4), "partly_renewed"), ((PHOTOSHOP, 10), "ready")])
def test_a_renewal_that_goes_back_is_left_to_renew_again(member, back, state):
    member.go_to("2024-12-18")
    order = member.order(kind="renewal")
    member.done("order.accept", case=order)
    member.done("return_request.approve", case=asked(member, order=order, lines=lines(back)))
    assert member.state("membership") == state
    assert member.summary["licence_count"] == 10
    member.order(kind="renewal")


def test_a_renewal_returned_after_the_term_began_takes_its_licences(member):
    member.go_to("2025-01-10")
    order = member.order(kind="renewal")
    member.done("order.accept", case=order)
    member.go_to("2025-01-17")
    member.done("return_request.approve", case=asked(member, order=order, lines=lines((PHOTOSHOP, 4))))
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 6}


@pytest.mark.parametrize("data", [{}, {"order": "O-1", "authorization": "PA-1"}])
def test_a_return_names_one_thing(data):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(data, NewReturn)


def test_what_adobe_deactivated_while_it_was_ordered_can_go_back(member):
    pa = member.authorize((PHOTOSHOP, 2))
    order = member.order(pa)
    member.done("purchase_authorization.deactivate", case=pa)
    for state in ("suspended", "returned"):
        opened = member.done("return_request.open", {"order": order, "lines": lines((PHOTOSHOP, 1))})
        decision = member.done("return_request.approve", case=opened.steps[0].after.ref)
        assert decision.incidents == ()
        assert member.state(pa) == state
    assert member.state(order) == "returned"
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 10}
    assert member.lists == frozenset()
    member.authorize((PHOTOSHOP, 1))
