"""Stories of memberships: the anniversary date, the lists of renewal, and every way a term ends."""

import json
from datetime import timedelta

import pytest

from tests.workflows.world import ALL_APPS, ILLUSTRATOR, PHOTOSHOP, VECTORS, World, codes, lines


def quantities(case_lines):
    return {line.sku: line.quantity for line in case_lines}


def with_first_order(day, policy="vip-2024", *pairs, **more):
    world = World(policy=policy, start=day, **more)
    world.invite()
    world.done("order.accept", case=world.order(world.authorize(*(pairs or ((PHOTOSHOP, 10),)))))
    return world


def renew(world, *pairs, at=None):
    order = world.order(kind="renewal", lines=lines(*pairs))
    return world.done("order.accept", case=order, at=at)


# --- the anniversary date ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text())["first_anniversary"], ids=lambda v: v["first_order"])
def test_the_anniversary_follows_the_first_order_and_keeps_its_day(vector):
    world = with_first_order(vector["first_order"])
    assert world.facts("membership").anniversary.isoformat() == vector["anniversary"]
    for following in vector.get("following", []):
        world.go_to(world.facts("membership").window_opens)
        renew(world)
        world.go_to(world.facts("membership").anniversary)
        assert world.facts("membership").anniversary.isoformat() == following


def test_under_vip_2019_the_first_authorization_starts_the_term():
    world = World(policy="vip-2019", start="2019-03-01")
    world.invite()
    pa = world.authorize()
    assert world.facts("membership").anniversary.isoformat() == "2020-03-01"
    assert world.state("membership") == "awaiting_first_order"
    world.go_to("2019-03-20")
    world.done("order.accept", case=world.order(pa))
    assert world.facts("membership").anniversary.isoformat() == "2020-03-01"
    assert world.state("membership") == "active"


def test_under_vip_2019_a_cancelled_first_authorization_starts_nothing():
    world = World(policy="vip-2019", start="2019-03-01")
    world.invite()
    first = world.authorize()
    world.go_to("2019-03-05")
    second = world.authorize()
    world.done("purchase_authorization.cancel", case=first)
    assert world.facts("membership").anniversary.isoformat() == "2020-03-05"
    world.done("purchase_authorization.cancel", case=second)
    assert world.facts("membership").anniversary is None


def test_under_vip_2019_cancelling_the_first_after_another_was_paid_moves_the_anniversary():
    world = World(policy="vip-2019", start="2019-03-01")
    world.invite()
    first = world.authorize()
    world.go_to("2019-03-05")
    second = world.authorize()
    world.done("order.accept", case=world.order(second))
    assert world.facts("membership").anniversary.isoformat() == "2020-03-01"
    world.done("purchase_authorization.cancel", case=first)
    assert world.facts("membership").anniversary.isoformat() == "2020-03-05"
    assert world.facts("membership").comes_up.isoformat() == "2019-12-06"


def test_under_vip_2024_an_authorization_alone_starts_nothing(invited):
    invited.authorize()
    assert invited.facts("membership").anniversary is None


def test_an_earlier_first_order_learnt_late_moves_the_anniversary_back():
    world = with_first_order("2024-03-10")
    other = world.authorize((ALL_APPS, 1))
    world.done("purchase_authorization.pay", case=other, at="2024-03-05")
    assert world.facts("membership").anniversary.isoformat() == "2025-03-05"


def test_a_custom_anniversary_stands_and_is_yearly_after():
    world = World(start="2024-03-04")
    world.invite(anniversary="2025-09-01")
    world.done("order.accept", case=world.order(world.authorize((PHOTOSHOP, 10))))
    assert world.facts("membership").anniversary.isoformat() == "2025-09-01"
    world.go_to("2025-08-05")
    renew(world)
    world.go_to("2025-09-01")
    assert world.facts("membership").anniversary.isoformat() == "2026-09-01"


def test_a_first_order_after_the_chosen_anniversary_goes_to_the_next_one():
    world = World(start="2024-03-04")
    world.invite(anniversary="2025-09-01")
    world.go_to("2025-12-01")
    world.done("order.accept", case=world.order(world.authorize()))
    assert world.facts("membership").anniversary.isoformat() == "2026-09-01"
    assert world.state("membership") == "active"


# --- coming up, opening, closing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vector", json.loads(VECTORS.read_text())["renewal"], ids=lambda v: f"{v['anniversary']}-{v['policy']}"
)
@pytest.mark.parametrize("strict", [False, True])
def test_the_lists_of_renewal_change_on_the_published_days(vector, strict):
    world = World(policy=vector["policy"], start="2023-12-01", overrides={"upcoming_strict": strict})
    world.adopt(anniversary=vector["anniversary"], licences=lines((PHOTOSHOP, 10)))
    upcoming_from = vector["upcoming_from_strict" if strict else "upcoming_from"]
    if world.moment(upcoming_from) > world.now:
        world.go_to(world.moment(f"{upcoming_from}T00:00") - timedelta(minutes=1))
        assert world.state("membership") == "active"
    world.go_to(f"{upcoming_from}T00:00")
    assert world.lists == {"upcoming"}
    world.go_to(f"{vector['window_opens']}T00:00")
    assert world.lists == {"ready"}
    world.go_to(f"{vector['window_closes']}T23:59")
    assert world.state("membership") == "ready"
    world.pass_days(1)
    assert world.state("membership") == "expired"
    assert world.lists == {"no_products"}


def test_the_customer_hears_of_its_renewal_step_by_step(member):
    member.forget_mails()
    member.go_to("2025-02-01")
    contact = [
        (m.template, member.day_of(m.not_before))
        for m in member.messages
        if m.workflow == "membership" and m.audience == "contact"
    ]
    assert contact == [
        ("renewal_coming", "2024-10-18"),
        ("renewal_open", "2024-12-18"),
        ("renewal_reminder", "2025-01-01"),
        ("renewal_reminder", "2025-01-09"),
        ("renewal_reminder", "2025-01-15"),
        ("licences_ending", "2025-01-17"),
    ]
    manager = [
        (m.template, member.day_of(m.not_before))
        for m in member.messages
        if m.workflow == "membership" and m.audience == "account_manager"
    ]
    assert manager == [
        ("renewal_to_prepare", "2024-12-17"),
        ("renewal_to_follow", "2025-01-01"),
        ("renewal_to_follow", "2025-01-09"),
        ("renewal_to_follow", "2025-01-15"),
    ]
    said = member.mails("renewal_coming")[0].context
    assert (said["anniversary"], said["window_opens"], said["window_closes"]) == (
        "2025-01-16",
        "2024-12-17",
        "2025-01-16",
    )
    assert said["reference"] == member.customer
    assert said["licences"] == [{"product": "Photoshop for Teams", "sku": PHOTOSHOP, "quantity": 10}]
    assert member.mails("licences_ending")[0].context["licences"] == said["licences"]


def test_our_mails_to_the_contact_keep_off_the_days_on_which_adobe_writes():
    world = World(start="2024-01-10", overrides={"renewal_reminder_after_opening_days": 0})
    world.adopt(anniversary="2025-01-16", licences=lines((PHOTOSHOP, 10)))
    world.go_to("2024-12-18")
    assert world.day_of(world.mails("renewal_open")[0].effective_at) == "2024-12-17"
    assert world.day_of(world.mails("renewal_open")[0].not_before) == "2024-12-18"


def test_the_middle_of_a_window_that_falls_on_the_anniversary_is_told_the_day_after():
    world = with_first_order("2019-03-04", "vip-2019")
    world.go_to("2020-03-05")
    mail = world.mails("renewal_reminder")[0]
    assert world.day_of(mail.effective_at) == "2020-03-04"
    assert mail.not_before == world.moment("2020-03-05T08:00")


# --- renewing ------------------------------------------------------------------------------------------------------


def test_a_full_renewal_goes_on_for_twelve_months_from_the_anniversary(member):
    member.go_to("2024-12-18")
    renew(member)
    assert member.state("membership") == "renewed"
    assert member.lists == frozenset()
    mail = member.mails("renewal_confirmed")[0].context
    assert (mail["renewed_on"], mail["next_anniversary"]) == ("2024-12-18", "2026-01-16")
    member.go_to("2025-01-15T23:59")
    assert member.state("membership") == "renewed"
    member.go_to("2025-01-16T00:00")
    assert member.state("membership") == "active"
    assert member.facts("membership").anniversary.isoformat() == "2026-01-16"
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 10}
    assert member.facts("membership").renewed == ()


def test_a_full_renewal_after_the_anniversary_goes_on_at_once():
    world = with_first_order("2019-03-01", "vip-2019")
    world.go_to("2020-03-10")
    assert world.state("membership") == "ready"
    renew(world)
    assert world.state("membership") == "active"
    assert world.facts("membership").anniversary.isoformat() == "2021-03-01"
    assert world.case("membership").since == world.moment("2020-03-01T00:00")
    assert world.mails("renewal_confirmed")[0].context["next_anniversary"] == "2021-03-01"


def test_a_partial_renewal_continues_and_the_rest_ends_at_closing(member):
    member.go_to("2024-12-18")
    renew(member, (PHOTOSHOP, 4))
    assert member.state("membership") == "partly_renewed"
    assert member.lists == {"ready"}
    mail = member.mails("renewal_partly_confirmed")[0].context
    assert mail["renewed"][0]["quantity"] == 4
    assert (mail["window_closes"], mail["next_anniversary"]) == ("2025-01-16", "2026-01-16")
    assert member.summary["licence_count"] == 10  # usable until closing
    member.go_to("2025-01-17")
    assert member.state("membership") == "active"
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 4}
    assert member.facts("membership").anniversary.isoformat() == "2026-01-16"
    assert "licences_ending" not in member.templates()


def test_the_rest_can_be_renewed_until_closing(member):
    member.go_to("2024-12-18")
    renew(member, (PHOTOSHOP, 4))
    member.go_to("2025-01-02")
    renew(member, (PHOTOSHOP, 2))
    assert member.state("membership") == "partly_renewed"
    assert len(member.mails("renewal_partly_confirmed")) == 2
    renew(member)
    assert member.state("membership") == "renewed"
    member.go_to("2025-01-16")
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 10}


def test_without_renewal_the_licences_end_at_closing_and_not_before(member):
    member.go_to("2025-01-16T23:59")
    assert member.summary["licence_count"] == 10
    member.go_to("2025-01-17T00:00")
    assert member.state("membership") == "expired"
    assert member.summary["licence_count"] == 0
    assert member.lists == {"no_products"}


def test_a_renewal_dated_in_the_window_counts_though_we_learn_of_it_after_closing(member):
    member.go_to("2025-01-20")
    member.done("membership.renew", {"lines": lines((PHOTOSHOP, 10))}, at="2025-01-15")
    assert member.state("membership") == "active"
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 10}
    assert member.facts("membership").anniversary.isoformat() == "2026-01-16"
    assert "licences_ending" not in [m.template for m in member.leaving()]


def test_an_order_placed_in_the_window_and_accepted_after_it_renews(member):
    member.go_to("2025-01-16")
    order = member.order(kind="renewal")
    member.go_to("2025-01-20")
    assert member.state("membership") == "expired"
    member.done("order.accept", case=order)
    assert member.state("membership") == "active"
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 10}
    assert member.incidents == []


def test_the_rest_dated_in_the_window_comes_back_into_the_term_that_began(member):
    member.go_to("2024-12-18")
    renew(member, (PHOTOSHOP, 4))
    rest = member.order(kind="renewal")
    member.go_to("2025-01-20")
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 4}
    member.done("order.accept", case=rest)
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 10}
    assert member.facts("membership").anniversary.isoformat() == "2026-01-16"


def test_a_partial_renewal_learnt_after_closing_brings_back_its_part(member):
    member.go_to("2025-01-20")
    member.done("membership.renew", {"lines": lines((PHOTOSHOP, 3))}, at="2025-01-15")
    assert member.state("membership") == "active"
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 3}


def test_a_renewal_dated_after_closing_is_shown_to_a_person(member):
    member.go_to("2025-01-20")
    decision = member.done("membership.renew", {"lines": lines((PHOTOSHOP, 3))})
    assert [incident.kind for incident in decision.incidents] == ["contradiction"]
    assert member.state("membership") == "expired"


def test_a_renewal_reported_out_of_season_is_shown_to_a_person(member):
    for day in ("2024-06-01", "2024-11-01"):
        member.go_to(day)
        decision = member.done("membership.renew")
        assert [incident.kind for incident in decision.incidents] == ["contradiction"]


def test_licences_bought_after_a_full_renewal_are_left_to_renew(member):
    member.go_to("2024-12-18")
    renew(member)
    member.done("order.accept", case=member.order(member.authorize((ILLUSTRATOR, 1))))
    assert member.state("membership") == "partly_renewed"
    renew(member)
    assert member.state("membership") == "renewed"
    member.go_to("2025-01-16")
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 10, ILLUSTRATOR: 1}


def test_a_new_term_takes_the_numbers_then_in_force(member):
    member.done("customer.override_policy", {"numbers": {"window_opens_before_days": 20}})
    assert member.facts("membership").window_opens.isoformat() == "2024-12-17"
    member.go_to("2024-12-18")
    renew(member)
    member.go_to("2025-01-16")
    assert member.facts("membership").window_opens.isoformat() == "2025-12-27"


def test_staff_may_remind_of_a_renewal_by_hand(member):
    member.go_to("2024-12-19")
    member.forget_mails()
    member.done("membership.remind")
    assert member.templates() == ["renewal_open"]
    member.go_to("2025-01-05")
    member.forget_mails()
    member.done("membership.remind")
    assert member.templates() == ["renewal_reminder", "renewal_to_follow"]


# --- learnt late ---------------------------------------------------------------------------------------------------


def bought(world, *pairs, at=None):
    return world.done("purchase_authorization.pay", case=world.authorize(*pairs), at=at)


@pytest.mark.parametrize("told_on", ["2025-01-12", "2025-01-20"])
def test_what_was_bought_in_the_term_that_ended_ends_with_it_whenever_we_learn_of_it(member, told_on):
    member.go_to("2025-01-10")
    order = member.order(member.authorize((ILLUSTRATOR, 2)))
    member.go_to(told_on)
    member.done("order.accept", case=order, at="2025-01-12")
    member.go_to("2025-01-21")
    facts = member.facts("membership")
    assert member.state("membership") == "expired"
    assert (facts.anniversary.isoformat(), facts.licences) == ("2025-01-16", ())
    assert quantities(facts.lapsed) == {PHOTOSHOP: 10, ILLUSTRATOR: 2}
    assert member.state(order) == "accepted"
    assert member.incidents == []
    assert member.lists == {"no_products"}


@pytest.mark.parametrize("told_on", ["2025-01-12", "2025-01-20"])
def test_what_was_bought_after_the_renewal_and_not_renewed_ends_whenever_we_learn_of_it(member, told_on):
    member.go_to("2024-12-18")
    renew(member)
    member.go_to("2025-01-10")
    order = member.order(member.authorize((ILLUSTRATOR, 2)))
    member.go_to(told_on)
    member.done("order.accept", case=order, at="2025-01-12")
    member.go_to("2025-01-21")
    facts = member.facts("membership")
    assert member.state("membership") == "active"
    assert facts.anniversary.isoformat() == "2026-01-16"
    assert (quantities(facts.licences), quantities(facts.lapsed)) == ({PHOTOSHOP: 10}, {ILLUSTRATOR: 2})
    assert facts.lapsed_on.isoformat() == "2025-01-16"


def test_what_was_bought_in_the_ended_term_can_still_be_renewed_and_given_back(member):
    member.go_to("2025-01-20")
    pa = member.authorize((ILLUSTRATOR, 2))
    member.done("purchase_authorization.pay", case=pa, at="2025-01-12")
    member.done("purchase_authorization.reverse_payment", case=pa)
    assert quantities(member.facts("membership").lapsed) == {PHOTOSHOP: 10}
    member.done("purchase_authorization.pay", case=pa, at="2025-01-12")
    member.done("membership.renew", at="2025-01-15")
    assert quantities(member.facts("membership").licences) == {PHOTOSHOP: 10, ILLUSTRATOR: 2}


def test_what_was_bought_after_closing_starts_a_new_term(member):
    member.go_to("2025-01-20")
    bought(member, (ILLUSTRATOR, 2), at="2025-01-17")
    assert member.state("membership") == "active"
    assert member.facts("membership").anniversary.isoformat() == "2026-01-17"
    assert quantities(member.facts("membership").licences) == {ILLUSTRATOR: 2}


@pytest.mark.parametrize("told_on", ["2020-03-06", "2020-04-05"])
@pytest.mark.parametrize("in_full", [True, False])
def test_what_was_bought_after_the_anniversary_is_of_the_next_term(told_on, in_full):
    world = with_first_order("2019-03-01", "vip-2019")
    world.go_to("2020-03-06")
    pa = world.authorize((ILLUSTRATOR, 2))
    if in_full:
        world.done("purchase_authorization.pay", case=pa)
        assert world.state("membership") == "ready"
        renew(world)
        assert world.mails("renewal_partly_confirmed") == []
    else:
        world.go_to(told_on)
        world.done("purchase_authorization.pay", case=pa, at="2020-03-06")
    world.go_to("2020-04-06")
    facts = world.facts("membership")
    assert world.state("membership") == "active"
    assert facts.anniversary.isoformat() == "2021-03-01"
    assert quantities(facts.licences) == ({PHOTOSHOP: 10, ILLUSTRATOR: 2} if in_full else {ILLUSTRATOR: 2})
    assert quantities(facts.lapsed) == ({} if in_full else {PHOTOSHOP: 10})


def test_what_was_bought_after_adobe_renewed_stays_whatever_adobe_then_says_of_the_rest():
    for told_on in ("2025-01-20", "2025-02-03"):
        world = with_first_order("2024-01-16", "vip-marketplace")
        world.go_to("2025-01-19")
        bought(world, (ILLUSTRATOR, 2))
        world.go_to(told_on)
        world.done("membership.renew", {"lines": lines((PHOTOSHOP, 10))})
        world.go_to("2025-02-04")
        assert world.state("membership") == "active"
        assert quantities(world.facts("membership").licences) == {PHOTOSHOP: 10, ILLUSTRATOR: 2}


# --- nothing to renew ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["vip-2024", "vip-marketplace"])
def test_a_customer_with_nothing_to_renew_hears_nothing_of_a_renewal(policy):
    world = with_first_order("2024-01-16", policy)
    world.done("return_request.open", {"order": world.ref_of("order")})
    world.done("return_request.approve")
    assert world.facts("membership").licences == ()
    world.go_to("2025-01-10")
    assert world.state("membership") == "ready"
    assert codes(world.refused("membership.remind")) == ["nothing_to_renew"]
    assert codes(world.refused("order.place", {"kind": "renewal"})) == ["nothing_to_renew"]
    world.go_to("2025-02-01")
    assert world.state("membership") == "expired"
    assert [mail.template for mail in world.messages if (mail.ladder or "").startswith("renewal")] == []
    assert world.incidents == []


def test_a_renewal_of_nothing_is_shown_to_a_person(member):
    member.done("return_request.open", {"order": member.ref_of("order")})
    member.done("return_request.approve")
    member.go_to("2025-01-10")
    decision = member.done("membership.renew")
    assert [incident.kind for incident in decision.incidents] == ["contradiction"]
    assert member.state("membership") == "ready"
    assert "renewal_confirmed" not in member.templates()


# --- the marketplace -----------------------------------------------------------------------------------------------


@pytest.fixture
def marketplace():
    return with_first_order("2024-01-16", "vip-marketplace")


def test_adobe_renews_by_itself_and_says_so(marketplace):
    marketplace.go_to("2025-01-16")
    assert marketplace.state("membership") == "ready"
    assert marketplace.mails("renewal_coming")[0].context["renews_by_itself"] is True
    marketplace.done("membership.renew")
    assert marketplace.state("membership") == "active"
    assert marketplace.facts("membership").anniversary.isoformat() == "2026-01-16"
    assert len(marketplace.mails("renewal_confirmed")) == 1


def test_adobe_may_report_a_renewal_in_part(marketplace):
    marketplace.go_to("2025-01-16")
    marketplace.done("membership.renew", {"lines": lines((PHOTOSHOP, 7))})
    assert marketplace.state("membership") == "partly_renewed"
    marketplace.go_to("2025-01-31")
    assert quantities(marketplace.facts("membership").licences) == {PHOTOSHOP: 7}


def test_a_silent_adobe_is_taken_to_have_renewed_and_nobody_is_told_of_an_end(marketplace):
    marketplace.go_to("2025-01-31")
    facts = marketplace.facts("membership")
    assert marketplace.state("membership") == "active"
    assert facts.anniversary.isoformat() == "2026-01-16"
    assert facts.renewal_confirmed is False
    assert "licences_ending" not in marketplace.templates()
    assert "renewal_confirmed" not in marketplace.templates()
    marketplace.done("membership.renew", {"lines": lines((PHOTOSHOP, 9))})
    assert marketplace.facts("membership").renewal_confirmed is True
    assert quantities(marketplace.facts("membership").licences) == {PHOTOSHOP: 9}
    assert marketplace.mails("renewal_confirmed")[0].context["next_anniversary"] == "2026-01-16"


def test_what_was_bought_after_closing_stays_when_adobe_reports_its_renewal(marketplace):
    marketplace.go_to("2025-02-01")
    bought(marketplace, (ILLUSTRATOR, 2))
    bought(marketplace, (PHOTOSHOP, 1))
    marketplace.done("membership.renew", {"lines": lines((PHOTOSHOP, 7))})
    facts = marketplace.facts("membership")
    assert quantities(facts.licences) == {PHOTOSHOP: 8, ILLUSTRATOR: 2}
    assert (facts.renewal_confirmed, facts.taken_for_renewed) == (True, ())


def test_a_report_that_everything_was_renewed_leaves_the_licences_as_they_are(marketplace):
    marketplace.go_to("2025-02-01")
    bought(marketplace, (ILLUSTRATOR, 2))
    marketplace.done("membership.renew")
    assert quantities(marketplace.facts("membership").licences) == {PHOTOSHOP: 10, ILLUSTRATOR: 2}


@pytest.mark.parametrize("told_on", ["2025-01-12", "2025-02-02"])
def test_what_was_bought_before_adobe_renewed_by_itself_is_taken_for_renewed_too(marketplace, told_on):
    marketplace.go_to("2025-01-10")
    order = marketplace.order(marketplace.authorize((ILLUSTRATOR, 2)))
    marketplace.go_to(told_on)
    marketplace.done("order.accept", case=order, at="2025-01-12")
    marketplace.go_to("2025-02-03")
    facts = marketplace.facts("membership")
    assert quantities(facts.licences) == quantities(facts.taken_for_renewed) == {PHOTOSHOP: 10, ILLUSTRATOR: 2}


def test_nobody_reminds_by_hand_of_what_adobe_will_have_renewed(marketplace):
    marketplace.go_to("2025-01-16")
    marketplace.done("membership.remind")
    marketplace.go_to("2025-01-17")
    assert codes(marketplace.refused("membership.remind")) == ["renewed_by_adobe"]
    assert not [mail for mail in marketplace.leaving() if (mail.ladder or "").startswith("renewal")]


@pytest.mark.parametrize("day", ["2024-06-01", "2024-11-01", "2025-01-10"])
def test_a_declined_renewal_lets_the_licences_end(marketplace, day):
    marketplace.go_to(day)
    marketplace.done("membership.decline_renewal")
    marketplace.go_to("2025-01-30")
    assert marketplace.state("membership") == "ready"
    assert codes(marketplace.refused("membership.remind")) == ["renewal_declined"]
    assert not [mail for mail in marketplace.leaving() if (mail.ladder or "").startswith("renewal")]
    marketplace.go_to("2025-01-31")
    assert marketplace.state("membership") == "expired"
    about_renewal = [mail for mail in marketplace.messages if (mail.ladder or "").startswith("renewal")]
    since = [mail.template for mail in about_renewal if mail.effective_at > marketplace.moment(day)]
    assert since == ["licences_ending"]
    assert codes(marketplace.refused("membership.decline_renewal")) == ["not_in_this_state"]


def test_declining_twice_or_where_nothing_renews_by_itself_is_refused(marketplace, member):
    marketplace.done("membership.decline_renewal")
    assert codes(marketplace.refused("membership.decline_renewal")) == ["renewal_declined"]
    assert codes(member.refused("membership.decline_renewal")) == ["not_renewed_by_adobe"]
