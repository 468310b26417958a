"""Stories of orders: for authorizations, for renewals, direct."""

import msgspec
import pytest

from tests.workflows.world import ALL_APPS, CC_ENTERPRISE, ILLUSTRATOR, PHOTOSHOP, World, codes, lines
from vipflow.case import Stale
from workflows.order import NewOrder


def quantities(case_lines):
    return {line.sku: line.quantity for line in case_lines}


def test_an_accepted_order_pays_its_authorization_and_begins_the_term(invited):
    pa = invited.authorize((PHOTOSHOP, 10))
    order = invited.order(pa)
    invited.go_to("2024-03-06")
    decision = invited.done("order.accept", {"order_number": "7001"}, case=order)
    assert [f"{s.after.workflow}.{s.event}" for s in decision.steps] == [
        "order.accept",
        "purchase_authorization.pay",
        "membership.begin",
    ]
    assert invited.state(pa) == "paid"
    assert invited.facts(order).order_number == "7001"
    assert invited.facts(order).return_until.isoformat() == "2024-03-20"
    assert invited.state("membership") == "active"
    assert invited.facts("membership").anniversary.isoformat() == "2025-03-06"
    assert quantities(invited.facts("membership").licences) == {PHOTOSHOP: 10}


def test_an_order_holds_what_its_authorizations_hold(invited):
    first = invited.authorize((PHOTOSHOP, 10))
    second = invited.authorize((PHOTOSHOP, 1), (ALL_APPS, 2))
    order = invited.order(first, second)
    assert quantities(invited.facts(order).lines) == {PHOTOSHOP: 11, ALL_APPS: 2}
    assert invited.state(first) == invited.state(second) == "ordered"
    invited.done("order.accept", case=order)
    assert quantities(invited.facts("membership").licences) == {PHOTOSHOP: 11, ALL_APPS: 2}


def test_an_authorization_is_ordered_whole(invited):
    pa = invited.authorize((PHOTOSHOP, 10))
    data = {"authorizations": [pa], "lines": lines((PHOTOSHOP, 4))}
    assert codes(invited.refused("order.place", data)) == ["other_than_authorized"]
    invited.done("order.place", {**data, "lines": lines((PHOTOSHOP, 10))})


@pytest.mark.parametrize("event", ["cancel", "pay"])
def test_what_is_no_longer_open_cannot_be_ordered_and_nothing_is_placed(invited, event):
    pa = invited.authorize()
    invited.done(f"purchase_authorization.{event}", case=pa)
    steps = len(invited.steps)
    assert codes(invited.refused("order.place", {"authorizations": [pa]})) == ["not_in_this_state"]
    assert len(invited.steps) == steps


def test_an_authorization_is_not_ordered_twice(invited):
    pa = invited.authorize()
    invited.order(pa)
    assert codes(invited.refused("order.place", {"authorizations": [pa]})) == ["not_in_this_state"]


def test_a_refused_order_frees_its_authorization_for_another(invited):
    pa = invited.authorize()
    invited.done("order.refuse", {"explanation": "Crédit insuffisant"}, case=invited.order(pa))
    assert invited.state(pa) == "pending"
    invited.done("order.accept", case=invited.order(pa))
    assert invited.state(pa) == "paid"


def test_a_direct_order_begins_the_term_when_adobe_accepts_it(invited):
    order = invited.order(kind="direct", lines=lines((CC_ENTERPRISE, 20)))
    assert invited.lists == {"no_products"}
    invited.done("order.accept", case=order)
    assert invited.state("membership") == "active"
    assert quantities(invited.facts("membership").licences) == {CC_ENTERPRISE: 20}
    assert invited.lists == frozenset()


def test_a_second_order_adds_to_the_running_term_and_leaves_its_anniversary(member):
    before = member.facts("membership").anniversary
    member.go_to("2024-06-01")
    member.done("order.accept", case=member.order(kind="direct", lines=lines((CC_ENTERPRISE, 2))))
    member.done("order.accept", case=member.order(member.authorize((PHOTOSHOP, 1))))
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 11, CC_ENTERPRISE: 2}
    assert member.facts("membership").anniversary == before


def test_an_acceptance_told_twice_is_stale(invited):
    order = invited.order(invited.authorize())
    invited.done("order.accept", case=order)
    assert isinstance(invited.send("order.accept", case=order), Stale)
    assert invited.summary["licence_count"] == 5


def test_an_acceptance_after_a_refusal_is_shown_to_a_person(invited):
    order = invited.order(invited.authorize())
    invited.done("order.refuse", case=order)
    decision = invited.done("order.accept", case=order)
    assert [incident.kind for incident in decision.incidents] == ["contradiction"]


def test_renewal_orders_wait_for_the_window_and_say_when_it_opens(member):
    member.go_to("2024-12-16")
    refusal = member.refused("order.place", {"kind": "renewal"})
    assert codes(refusal) == ["window_not_open"]
    assert refusal.reasons[0].opens_at == member.moment("2024-12-17T00:00")
    member.go_to("2024-12-17")
    member.order(kind="renewal")


def test_a_customer_without_order_has_nothing_to_renew(invited):
    assert codes(invited.refused("order.place", {"kind": "renewal"})) == ["nothing_to_renew"]


def test_renewing_more_than_there_is_is_a_purchase(member):
    member.go_to("2024-12-18")
    data = {"kind": "renewal", "lines": lines((PHOTOSHOP, 11))}
    refusal = member.refused("order.place", data)
    assert codes(refusal) == ["more_than_left_to_renew"]
    assert refusal.reasons[0].facts["beyond"] == {PHOTOSHOP: 1}
    other = {"kind": "renewal", "lines": lines((ILLUSTRATOR, 1))}
    assert codes(member.refused("order.place", other)) == ["more_than_left_to_renew"]


def test_what_is_on_order_for_renewal_is_not_ordered_again(member):
    member.go_to("2024-12-18")
    member.order(kind="renewal", lines=lines((PHOTOSHOP, 6)))
    assert codes(member.refused("order.place", {"kind": "renewal", "lines": lines((PHOTOSHOP, 5))})) == [
        "more_than_left_to_renew"
    ]
    rest = member.order(kind="renewal")
    assert quantities(member.facts(rest).lines) == {PHOTOSHOP: 4}


def test_after_a_full_renewal_there_is_nothing_to_renew(member):
    member.go_to("2024-12-18")
    member.done("order.accept", case=member.order(kind="renewal"))
    assert codes(member.refused("order.place", {"kind": "renewal"})) == ["already_renewed"]


def test_after_closing_a_renewal_is_refused_and_a_purchase_begins_a_new_term(member):
    member.go_to("2025-01-17")
    assert codes(member.refused("order.place", {"kind": "renewal"})) == ["window_closed"]
    member.done("order.accept", case=member.order(member.authorize((ALL_APPS, 3))))
    assert member.state("membership") == "active"
    assert member.facts("membership").anniversary.isoformat() == "2026-01-17"
    assert quantities(member.facts("membership").licences) == {ALL_APPS: 3}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "direct"},
        {"kind": "renewal", "authorizations": ["PA-1"]},
        {"kind": "direct", "authorizations": ["PA-1"], "lines": lines((PHOTOSHOP, 1))},
        {"kind": "gift", "lines": lines((PHOTOSHOP, 1))},
        {"authorizations": ["PA-1"], "order_number": "a\nb"},
    ],
)
def test_an_order_that_makes_no_sense_is_bad_input(data):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(data, NewOrder)


def test_a_direct_order_is_checked_like_any_new_product():
    world = World()
    world.invite()
    data = {"kind": "direct", "lines": lines(("30002907CC01A12", 1))}
    assert codes(world.refused("order.place", data)) == ["wrong_segment"]
    data = {"kind": "direct", "lines": lines(("65300000CA01A12", 1))}
    assert codes(world.refused("order.place", data)) == ["unknown_product"]


# --- renewals ------------------------------------------------------------------------------------------------------


def test_an_order_that_would_renew_nothing_is_refused(member):
    member.go_to("2024-12-20")
    all_of_it = member.order(kind="renewal")
    refusal = member.refused("order.place", {"kind": "renewal"})
    assert codes(refusal) == ["nothing_left_to_renew"]
    assert refusal.reasons[0].facts["orders"] == [all_of_it]
    member.done("order.refuse", case=all_of_it)
    assert member.state("membership") == "ready"
    member.done("order.accept", case=member.order(kind="renewal"))
    assert member.state("membership") == "renewed"
    assert codes(member.refused("order.place", {"kind": "renewal"})) == ["already_renewed"]
