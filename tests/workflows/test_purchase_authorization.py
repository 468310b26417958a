"""Stories of purchase authorizations: the dates, the ways in and out of every state, and who is told what."""

import json

import pytest

from tests.workflows.world import (
    ACROBAT_DEVICE,
    ADMIN,
    ALL_APPS,
    CC_ENTERPRISE,
    CUSTOMER,
    EDUCATION_ALL_APPS,
    GOVERNMENT_ALL_APPS,
    MARIE,
    PHOTOSHOP,
    VECTORS,
    World,
    codes,
    lines,
)
from vipflow.case import Decision, Stale

ONE = {"lines": lines((PHOTOSHOP, 1))}


def authorized(policy="vip-2024", start="2024-03-04", **more):
    world = World(policy=policy, start=start, **more)
    world.invite()
    return world, world.authorize((PHOTOSHOP, 5), po_number="BC-77")


# --- the clock -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vector", json.loads(VECTORS.read_text())["purchase_authorization"], ids=lambda v: f"{v['created']}-{v['policy']}"
)
def test_the_dates_of_an_authorization_are_those_of_the_published_rule(vector):
    world, pa = authorized(vector["policy"], vector["created"])
    facts = world.facts(pa)
    assert (facts.due_on.isoformat() if facts.due_on else None) == vector.get("due_on")
    if "expires_at" in vector:
        assert facts.expires_at == world.moment(vector["expires_at"])
        return
    late_at = world.moment(vector.get("late_at") or f"{vector['late_from']}T00:00")
    world.go_to(late_at)
    assert world.state(pa) == "late"
    assert world.case(pa).since == late_at
    world.go_to(f"{vector['suspended_from']}T00:00")
    assert world.state(pa) == "suspended"


def test_an_authorization_is_never_late_early():
    world, pa = authorized(start="2024-03-01T23:30+00:00")
    world.go_to("2024-03-16T22:59:59+00:00")
    assert world.state(pa) == "pending"
    world.go_to("2024-03-16T23:00:00+00:00")
    assert world.state(pa) == "late"


def test_a_marketplace_authorization_expires_after_seven_days_to_the_second():
    world, pa = authorized("vip-marketplace", "2024-03-28T06:03:50+00:00")
    world.go_to("2024-04-04T06:03:49+00:00")
    assert world.state(pa) == "pending"
    world.go_to("2024-04-04T06:03:50+00:00")
    assert world.state(pa) == "expired"
    mail = world.mails("authorization_expired")[0]
    assert mail.context["expires_at"] == "2024-04-04T06:03:50Z"
    assert "payment_reminder" not in world.templates()
    assert world.lists == {"no_products"}


def test_the_customer_is_reminded_then_chased_then_warned():
    world, _ = authorized()
    world.go_to("2024-06-01")
    assert world.days_of("payment_reminder") == ["2024-03-15"]
    assert world.days_of("payment_overdue") == ["2024-03-19", "2024-03-26", "2024-04-02"]
    assert world.days_of("deactivation_notice") == ["2024-03-27", "2024-04-01"]
    assert world.days_of("licences_deactivated") == ["2024-04-03"]
    assert world.days_of("authorization_late") == ["2024-03-19"]
    assert world.days_of("deactivation_near") == ["2024-03-27", "2024-04-01"]
    assert world.mails("licences_deactivated")[0].context["confirmed"] is False
    overdue = world.mails("payment_overdue")[0].context
    assert overdue["po_number"] == "BC-77"
    assert overdue["lines"] == [{"product": "Photoshop for Teams", "sku": PHOTOSHOP, "quantity": 5}]
    assert (overdue["due_on"], overdue["suspended_from"]) == ("2024-03-18", "2024-04-03")


def test_the_manager_is_asked_at_once_to_order_then_after_two_days_and_every_three():
    world, _ = authorized()
    world.go_to("2024-03-16")
    assert world.days_of("order_to_place") == ["2024-03-04", "2024-03-06", "2024-03-09", "2024-03-12", "2024-03-15"]


def test_of_the_mails_about_payment_only_the_newest_still_true_one_leaves():
    world, pa = authorized()
    world.sleep_until("2024-04-10")
    world.wake()
    leaving = [m.template for m in world.leaving() if m.audience == "contact" and m.case == pa]
    assert leaving == ["products_added", "licences_deactivated"] or leaving == ["licences_deactivated"]
    world.done("purchase_authorization.pay", case=pa)
    leaving = [m.template for m in world.leaving() if m.audience == "contact" and m.case == pa]
    assert "licences_deactivated" not in leaving
    assert leaving[-1] == "payment_received"


def test_after_an_outage_the_same_states_are_reached_with_the_same_effective_dates():
    running, _ = authorized()
    running.go_to("2024-04-10")
    stopped, _ = authorized()
    stopped.sleep_until("2024-04-10")
    stopped.wake()
    pa = "purchase_authorization"
    assert stopped.state(pa) == running.state(pa) == "suspended"
    assert stopped.case(pa).since == running.case(pa).since
    moves = [e for e in running.events(pa) if e in ("fall_due", "suspend")]
    assert [e for e in stopped.events(pa) if e in ("fall_due", "suspend")] == moves


# --- creating ------------------------------------------------------------------------------------------------------


def test_products_added_says_to_accept_first_until_the_customer_accepted(invited):
    invited.authorize()
    invited.done("invitation.accept", by=CUSTOMER)
    invited.authorize((ALL_APPS, 1))
    said = [mail.context["accepted"] for mail in invited.mails("products_added")]
    assert said == [False, True]


def test_acceptance_is_not_needed_to_buy(invited):
    order = invited.order(invited.authorize())
    invited.done("order.accept", case=order)
    assert invited.state("membership") == "active"
    assert invited.state("invitation") == "sent"


@pytest.mark.parametrize("state", ["late", "suspended"])
def test_a_late_customer_gets_no_new_authorization_and_no_direct_order(state):
    world, pa = authorized()
    world.go_to({"late": "2024-03-19", "suspended": "2024-04-03"}[state])
    assert world.state(pa) == state
    refusal = world.refused("purchase_authorization.create", ONE)
    assert codes(refusal) == ["late_payment"]
    assert pa in refusal.reasons[0].says.fr
    assert codes(world.refused("order.place", {**ONE, "kind": "direct"})) == ["late_payment"]


def test_a_deactivation_reported_on_a_pending_authorization_blocks_too(invited):
    pa = invited.authorize()
    invited.done("purchase_authorization.deactivate", case=pa)
    assert codes(invited.refused("purchase_authorization.create", ONE)) == ["late_payment"]


def test_the_block_is_lifted_once_all_is_settled():
    world, first = authorized()
    second = world.authorize((ALL_APPS, 1))
    world.go_to("2024-03-19")
    world.order(first)
    assert codes(world.refused("purchase_authorization.create", ONE)) == ["late_payment"]
    world.order(second)
    world.authorize()


def test_late_blocks_neither_renewals_nor_reports(member):
    member.go_to("2024-12-18")
    pa = member.authorize()
    member.go_to("2025-01-10")
    assert member.state(pa) == "late"
    member.order(kind="renewal")
    added = member.done("purchase_authorization.add", ONE)
    assert [incident.kind for incident in added.incidents] == ["contradiction"]
    assert added.steps[0].after.state == "pending"


@pytest.mark.parametrize(
    ("sku", "code"),
    [
        ("65300000CA01A12", "unknown_product"),
        (GOVERNMENT_ALL_APPS, "wrong_segment"),
        (EDUCATION_ALL_APPS, "wrong_segment"),
        (CC_ENTERPRISE, "product_without_authorization"),
        (ACROBAT_DEVICE, "product_without_authorization"),
    ],
)
def test_a_request_for_what_cannot_be_authorized_is_refused(invited, sku, code):
    refusal = invited.refused("purchase_authorization.create", {"lines": lines((sku, 1))})
    assert code in codes(refusal)


def test_what_has_no_authorization_is_offered_as_a_direct_order(invited):
    refusal = invited.refused("purchase_authorization.create", {"lines": lines((CC_ENTERPRISE, 3))})
    reason = refusal.reasons[0]
    assert reason.facts["instead"] == "order.place"
    assert "Adobe" in reason.says.en
    invited.done("order.place", {"kind": "direct", "lines": lines((CC_ENTERPRISE, 3))})


def test_an_override_opens_authorizations_for_a_category():
    world = World(overrides={"categories_without_authorization": ["cc-education-device"]})
    world.invite()
    world.authorize((CC_ENTERPRISE, 3))


def test_the_marketplace_knows_no_category_without_authorization():
    world = World(policy="vip-marketplace")
    world.invite()
    world.authorize((CC_ENTERPRISE, 3))


@pytest.mark.parametrize(
    ("sku", "quantity", "allowed"),
    [
        (PHOTOSHOP, 10_000, True),
        (PHOTOSHOP, 10_001, False),
        (CC_ENTERPRISE, 599_000, True),
        (CC_ENTERPRISE, 599_001, False),
    ],
)
def test_quantities_have_a_limit(sku, quantity, allowed):
    world = World(policy="vip-marketplace")
    world.invite()
    data = {"lines": lines((sku, quantity))}
    if allowed:
        world.done("purchase_authorization.create", data)
    else:
        assert codes(world.refused("purchase_authorization.create", data)) == ["too_many_licences"]


def test_lines_have_a_limit_that_a_policy_may_lower():
    world = World(overrides={"lines_at_most": 1})
    world.invite()
    data = {"lines": lines((PHOTOSHOP, 1), (ALL_APPS, 1))}
    assert codes(world.refused("purchase_authorization.create", data)) == ["too_many_lines"]


@pytest.mark.parametrize(
    "data",
    [
        {"lines": []},
        {"lines": lines((PHOTOSHOP, 0))},
        {"lines": lines((PHOTOSHOP, -1))},
        {"lines": lines(*[(PHOTOSHOP, 1)] * 500)},
        {**ONE, "po_number": "x" * 36},
        {**ONE, "po_number": "a<b"},
        {**ONE, "surprise": 1},
    ],
)
def test_an_authorization_that_makes_no_sense_is_bad_input(invited, data):
    with pytest.raises(Exception, match=r".") as problem:
        invited.send("purchase_authorization.create", data)
    assert type(problem.value).__name__ == "ValidationError"


def test_the_same_product_twice_becomes_one_line(invited):
    pa = invited.authorize((PHOTOSHOP, 2), (PHOTOSHOP, 3))
    assert [(line.sku, line.quantity) for line in invited.facts(pa).lines] == [(PHOTOSHOP, 5)]


def test_what_the_customer_added_is_told_to_the_manager(invited):
    invited.done("purchase_authorization.add", ONE)
    assert invited.state("purchase_authorization") == "pending"
    assert invited.facts("purchase_authorization").by_customer
    assert invited.templates()[-2:] == ["products_added", "customer_added_products"]
    assert invited.mails("order_to_place") == []


def test_a_report_of_an_unknown_product_is_recorded_all_the_same(invited):
    decision = invited.done("purchase_authorization.add", {"lines": lines(("99999999CA01A12", 2))})
    assert [incident.kind for incident in decision.incidents] == ["contradiction"]
    assert invited.mails("products_added")[0].context["lines"][0]["product"] == "99999999CA01A12"
    assert invited.mails("incident_opened")


# --- ordering and paying -------------------------------------------------------------------------------------------


def test_placing_the_order_takes_it_off_the_pending_list_and_stops_its_clock():
    world, pa = authorized()
    world.order(pa)
    assert world.state(pa) == "ordered"
    assert world.lists == frozenset()
    world.go_to("2024-12-01")
    assert world.state(pa) == "ordered"
    assert "payment_overdue" not in world.templates()


@pytest.mark.parametrize("day", ["2024-03-10", "2024-03-20", "2024-04-05"])
def test_an_order_may_be_placed_from_any_open_state(day):
    world, pa = authorized()
    world.go_to(day)
    world.order(pa)
    assert world.state(pa) == "ordered"


@pytest.mark.parametrize(
    ("day", "state"),
    [("2024-03-18", "pending"), ("2024-03-19", "late"), ("2024-04-02", "late"), ("2024-04-03", "suspended")],
)
def test_a_refused_order_puts_it_back_where_its_dates_say(day, state):
    world, pa = authorized()
    order = world.order(pa)
    world.go_to(day)
    world.done("order.refuse", {"explanation": "credit"}, case=order)
    assert world.state(pa) == state
    assert world.state(order) == "refused"
    assert world.facts(pa).order is None


@pytest.mark.parametrize(
    ("day", "state"), [("2024-03-10", "pending"), ("2024-03-20", "late"), ("2024-04-05", "suspended")]
)
def test_a_payment_reported_without_an_order_settles_it_from_any_state(day, state):
    world, pa = authorized()
    world.go_to(day)
    assert world.state(pa) == state
    world.done("purchase_authorization.pay", case=pa)
    assert world.state(pa) == "paid"
    assert world.facts("membership").licences[0].quantity == 5
    assert world.mails("payment_received")[0].context["paid_on"] == day


def test_licences_are_counted_once_however_the_payment_arrives():
    world, pa = authorized()
    order = world.order(pa)
    world.done("purchase_authorization.pay", case=pa)
    world.done("order.accept", case=order)
    assert world.facts("membership").licences[0].quantity == 5
    assert world.summary["licence_count"] == 5
    assert world.incidents == []


def test_a_payment_dated_before_the_deadline_counts_however_late_we_learn_of_it():
    world, pa = authorized()
    world.go_to("2024-03-20")
    world.done("purchase_authorization.pay", case=pa, at="2024-03-17")
    assert world.state(pa) == "paid"
    assert world.facts(pa).paid_on.isoformat() == "2024-03-17"
    assert world.facts("membership").anniversary.isoformat() == "2025-03-17"
    assert "payment_overdue" not in [m.template for m in world.leaving()]


def test_an_order_dated_before_it_expired_takes_a_marketplace_authorization_back():
    world, pa = authorized("vip-marketplace")
    world.go_to("2024-03-12")
    assert world.state(pa) == "expired"
    assert codes(world.refused("order.place", {"authorizations": [pa]})) == ["expired_before"]
    world.order(pa, at="2024-03-10")
    assert world.state(pa) == "ordered"


def test_what_the_customer_paid_us_stops_mails_and_makes_the_order_urgent():
    world, pa = authorized()
    world.go_to("2024-03-10")
    world.forget_mails()
    world.done("purchase_authorization.customer_paid", case=pa)
    assert world.mails("order_to_place")[0].context["customer_paid_on"] == "2024-03-10"
    world.go_to("2024-04-10")
    assert [m.template for m in world.messages if m.audience == "contact" and m.case == pa] == []
    assert world.state(pa) == "suspended"
    assert codes(world.refused("purchase_authorization.remind", case=pa)) != []


def test_a_reversed_payment_puts_it_back_and_takes_the_licences():
    for day, state in (("2024-03-18", "pending"), ("2024-03-19", "late"), ("2024-04-03", "suspended")):
        world, pa = authorized()
        world.done("purchase_authorization.pay", case=pa)
        world.go_to(day)
        world.done("purchase_authorization.reverse_payment", case=pa)
        assert world.state(pa) == state
        assert world.facts("membership").licences == ()


# --- cancelling ----------------------------------------------------------------------------------------------------


def test_a_pending_authorization_is_cancelled_and_the_customer_loses_its_products():
    world, pa = authorized()
    world.done("purchase_authorization.cancel", case=pa)
    assert world.state(pa) == "cancelled"
    assert world.lists == {"no_products"}
    assert world.mails("authorization_cancelled")[0].context["cancelled_on"] == "2024-03-04"
    assert isinstance(world.send("purchase_authorization.cancel", case=pa), Stale)


@pytest.mark.parametrize("paid", [False, True])
def test_once_ordered_the_way_back_is_a_return_request(paid):
    world, pa = authorized()
    order = world.order(pa)
    if paid:
        world.done("order.accept", case=order)
    refusal = world.refused("purchase_authorization.cancel", case=pa)
    assert codes(refusal) == ["already_ordered"]
    assert refusal.reasons[0].facts["instead"] == "return_request.open"


def test_a_late_authorization_cannot_be_cancelled():
    world, pa = authorized()
    world.go_to("2024-03-19")
    assert codes(world.refused("purchase_authorization.cancel", case=pa)) == ["too_late_to_cancel"]


def test_a_payment_for_a_cancelled_authorization_is_recorded_and_shown_to_a_person():
    world, pa = authorized()
    world.done("purchase_authorization.cancel", case=pa)
    decision = world.done("purchase_authorization.pay", case=pa)
    assert [incident.kind for incident in decision.incidents] == ["contradiction"]
    assert world.state(pa) == "cancelled"


# --- promises, extensions, deactivations ---------------------------------------------------------------------------


def test_a_promise_holds_our_mails_until_its_day_and_nothing_else():
    world, pa = authorized()
    world.go_to("2024-03-19")
    world.forget_mails()
    assert codes(world.refused("purchase_authorization.extend", {"until": "2024-03-28"}, pa)) == ["reason_required"]
    world.done("purchase_authorization.extend", {"until": "2024-03-28"}, pa, reason="paid next week")
    refusal = world.refused("purchase_authorization.remind", case=pa)
    assert codes(refusal) == ["promise_runs"]
    assert refusal.reasons[0].opens_at == world.moment("2024-03-29T00:00")
    world.go_to("2024-03-28")
    assert [m.template for m in world.messages if m.audience == "contact" and m.case == pa] == []
    world.go_to("2024-04-10")
    assert world.days_of("payment_overdue") == ["2024-03-29", "2024-04-02"]
    assert world.state(pa) == "suspended"
    assert world.facts(pa).due_on.isoformat() == "2024-03-18"


def test_a_promise_of_yesterday_is_refused():
    world, pa = authorized()
    refusal = world.refused("purchase_authorization.extend", {"until": "2024-03-03"}, pa, reason="x")
    assert codes(refusal) == ["promise_in_the_past"]


def test_what_is_said_of_deactivated_licences_waits_for_the_end_of_a_promise():
    world, pa = authorized()
    world.go_to("2024-03-20")
    world.done("purchase_authorization.extend", {"until": "2024-04-05"}, pa, reason="holiday")
    world.go_to("2024-04-05T23:59")
    assert world.state(pa) == "suspended"
    assert world.mails("licences_deactivated") == []
    assert codes(world.refused("purchase_authorization.remind", case=pa)) == ["promise_runs"]
    world.go_to("2024-04-06")
    assert [mail.not_before for mail in world.mails("licences_deactivated")] == [world.moment("2024-04-08T08:00")]


def test_a_promise_holds_what_waits_to_be_said_of_deactivated_licences_and_it_is_said_after():
    world, pa = authorized()
    world.go_to("2024-04-03T00:30")  # deactivated at midnight, the mail waits for eight o'clock
    world.done("purchase_authorization.extend", {"until": "2024-04-10"}, pa, reason="holiday")
    assert "licences_deactivated" not in [mail.template for mail in world.leaving()]
    world.go_to("2024-04-11T00:00")
    first, second = world.mails("licences_deactivated")
    assert (first.not_before, second.not_before) == (world.moment("2024-04-03T08:00"), world.moment("2024-04-11T08:00"))
    assert second in world.leaving()


def test_after_a_promise_nothing_is_said_of_licences_that_were_settled_meanwhile():
    world, pa = authorized()
    world.go_to("2024-04-03T00:30")
    world.done("purchase_authorization.extend", {"until": "2024-04-10"}, pa, reason="holiday")
    world.done("purchase_authorization.customer_paid", case=pa)
    world.go_to("2024-05-01")
    assert "licences_deactivated" not in [mail.template for mail in world.leaving()]
    assert len(world.mails("licences_deactivated")) == 1


def test_adobe_deactivating_what_was_expected_is_no_contradiction():
    expired, pa = authorized("vip-marketplace")
    expired.go_to("2024-03-20")
    written_off, other = authorized()
    written_off.go_to("2024-04-20")
    written_off.done("purchase_authorization.write_off", case=other, by=ADMIN, reason="gone")
    for world, ref, state in ((expired, pa, "expired"), (written_off, other, "written_off")):
        world.forget_mails()
        assert world.done("purchase_authorization.deactivate", case=ref).incidents == ()
        assert world.state(ref) == state
        assert world.facts(ref).deactivated_on == world.here.today
        assert world.messages == []


@pytest.mark.parametrize("day", ["2024-03-10", "2024-03-20", "2024-04-05"])
def test_an_extension_granted_by_adobe_moves_the_due_day_and_all_that_hangs_on_it(day):
    world, pa = authorized()
    world.go_to(day)
    world.done("purchase_authorization.grant_extension", {"due_on": "2024-04-15"}, pa)
    assert world.state(pa) == "pending"
    assert world.facts(pa).suspended_from.isoformat() == "2024-05-01"
    world.forget_mails()
    world.go_to("2024-06-01")
    assert world.days_of("payment_reminder") == ["2024-04-12"]
    assert world.days_of("authorization_late") == ["2024-04-16"]
    assert world.days_of("licences_deactivated") == ["2024-05-01"]


@pytest.mark.parametrize("day", ["2024-03-10", "2024-03-20"])
def test_deactivation_and_restoration_are_reported_by_adobe(day):
    world, pa = authorized()
    world.go_to(day)
    state = world.state(pa)
    world.done("purchase_authorization.deactivate", case=pa)
    assert world.state(pa) == "suspended"
    assert world.mails("licences_deactivated")[-1].context["confirmed"] is True
    world.done("purchase_authorization.restore", case=pa)
    assert world.state(pa) == state


def test_a_report_confirms_what_the_clock_expected():
    world, pa = authorized()
    world.go_to("2024-04-04")
    world.done("purchase_authorization.deactivate", case=pa)
    assert [m.context["confirmed"] for m in world.mails("licences_deactivated")] == [False, True]
    again = world.done("purchase_authorization.deactivate", case=pa)
    assert again.steps[0].messages == ()


def test_an_ordered_authorization_that_adobe_deactivates_comes_back_as_ordered():
    world, pa = authorized()
    order = world.order(pa)
    world.done("purchase_authorization.deactivate", case=pa)
    assert world.state(pa) == "suspended"
    world.done("purchase_authorization.restore", case=pa)
    assert world.state(pa) == "ordered"
    world.done("order.accept", case=order)
    assert world.state(pa) == "paid"


def test_licences_that_adobe_deactivated_stay_so_when_the_order_is_refused():
    world, pa = authorized()
    world.done("purchase_authorization.deactivate", case=pa)
    order = world.order(pa)
    assert world.summary["licence_count"] == 0
    world.done("order.refuse", case=order)
    assert world.state(pa) == "suspended"
    world.order(pa)
    world.done("purchase_authorization.restore", case=pa)
    assert world.state(pa) == "ordered"
    assert world.summary["licence_count"] == 5


def test_licences_restored_after_their_day_stay_until_adobe_says_otherwise():
    world, pa = authorized()
    world.go_to("2024-04-10")
    world.done("purchase_authorization.restore", case=pa)
    assert world.state(pa) == "late"
    world.go_to("2024-07-01")
    assert world.state(pa) == "late"


@pytest.mark.parametrize("day", ["2024-03-20", "2024-04-10"])
def test_writing_off_needs_a_reason_removes_the_licences_and_lifts_the_block(day):
    world, pa = authorized()
    world.go_to(day)
    assert codes(world.refused("purchase_authorization.write_off", case=pa, by=ADMIN)) == ["reason_required"]
    world.done("purchase_authorization.write_off", case=pa, by=ADMIN, reason="bankrupt")
    assert world.state(pa) == "written_off"
    assert world.lists == {"no_products"}
    world.authorize()


def test_a_pending_authorization_is_not_written_off():
    world, pa = authorized()
    refusal = world.refused("purchase_authorization.write_off", case=pa, by=ADMIN, reason="x")
    assert codes(refusal) == ["not_in_this_state"]


def test_staff_may_remind_by_hand_in_the_words_of_the_state():
    world, pa = authorized()
    world.done("purchase_authorization.remind", case=pa, by=MARIE)
    assert world.templates()[-1] == "payment_reminder"
    world.go_to("2024-03-20")
    world.done("purchase_authorization.remind", case=pa, by=MARIE)
    assert world.templates()[-1] == "payment_overdue"


def test_a_marketplace_customer_is_not_reminded_of_a_due_day_it_has_not():
    world, pa = authorized("vip-marketplace")
    assert codes(world.refused("purchase_authorization.remind", case=pa)) == ["never_due"]


def test_a_policy_that_changes_leaves_running_authorizations_alone():
    world, pa = authorized()
    assert world.case(pa).policy.startswith("vip-2024@")
    assert isinstance(world.send("customer.override_policy", {"numbers": {"overdue_every_days": 1}}), Decision)
    world.go_to("2024-03-30")
    assert world.days_of("payment_overdue") == ["2024-03-19", "2024-03-26"]


# --- how long a seat lasts -----------------------------------------------------------------------------------------


def test_no_seat_duration_is_said_before_there_is_an_anniversary(invited):
    invited.authorize()
    assert invited.mails("order_to_place")[0].context["seat_duration"] is None


def test_the_seat_duration_counts_whole_months_to_the_anniversary():
    world = World(start="2018-01-15", policy="vip-2019")
    world.invite()
    world.done("order.accept", case=world.order(world.authorize()))
    world.go_to("2018-06-20")
    world.forget_mails()
    world.authorize()
    assert world.mails("order_to_place")[0].context["seat_duration"] == {"unit": "months", "count": 6}


def test_the_marketplace_counts_days():
    world = World(start="2024-04-01", policy="vip-marketplace")
    world.invite()
    world.done("order.accept", case=world.order(world.authorize()))
    world.go_to("2024-12-10")
    world.forget_mails()
    world.authorize()
    assert world.mails("order_to_place")[0].context["seat_duration"] == {"unit": "days", "count": 112}
