"""Stories of invitations."""

import pytest

from tests.workflows.world import ADOBE, CUSTOMER, MARIE, World, codes


def test_reminders_climb_their_ladder_and_end(invited):
    invited.go_to("2025-03-01")
    assert invited.days_of("invitation_reminder") == ["2024-03-11", "2024-03-25", "2024-04-24", "2024-05-24"]
    assert invited.state("invitation") == "sent"


def test_a_resend_starts_the_ladder_again(invited):
    invited.go_to("2024-03-20")
    invited.done("invitation.resend")
    invited.go_to("2025-03-01")
    assert invited.days_of("invitation") == ["2024-03-04", "2024-03-20"]
    assert invited.days_of("invitation_reminder") == [
        "2024-03-11",
        "2024-03-27",
        "2024-04-10",
        "2024-05-10",
        "2024-06-09",
    ]


def test_staff_may_remind_by_hand(invited):
    invited.done("invitation.remind")
    assert invited.mails("invitation_reminder")[0].context["sent_on"] == "2024-03-04"
    invited.go_to("2024-03-11")
    assert len(invited.mails("invitation_reminder")) == 2


def test_acceptance_ends_reminders_and_tells_the_manager(invited):
    invited.go_to("2024-03-06")
    invited.done("invitation.accept", by=CUSTOMER)
    invited.go_to("2025-03-01")
    assert invited.mails("invitation_reminder") == []
    assert invited.mails("invitation_accepted")[0].context["accepted_on"] == "2024-03-06"
    assert invited.summary["invitation_state"] == "accepted"


def test_a_waiting_reminder_does_not_leave_once_accepted(invited):
    invited.go_to("2024-03-11T07:00")
    assert [m.template for m in invited.leaving()] == ["invitation", "invitation_reminder"]
    invited.done("invitation.accept")
    assert [m.template for m in invited.leaving()] == ["invitation_accepted"]


@pytest.mark.parametrize("actor", [CUSTOMER, ADOBE])
def test_the_customer_accepts_or_a_system_says_so(invited, actor):
    invited.done("invitation.accept", by=actor)
    assert invited.state("invitation") == "accepted"


def test_staff_never_accepts_in_the_customers_place(invited):
    decision = invited.done("invitation.accept", by=MARIE)
    assert [incident.kind for incident in decision.incidents] == ["contradiction"]
    assert invited.state("invitation") == "sent"


def test_withdrawing_needs_a_reason(invited):
    assert codes(invited.refused("invitation.withdraw")) == ["reason_required"]
    invited.done("invitation.withdraw", reason="wrong address")
    assert invited.state("invitation") == "withdrawn"


def test_a_withdrawn_customer_stands_in_no_list_and_buys_nothing(invited):
    invited.done("invitation.withdraw", reason="wrong address")
    assert invited.lists == frozenset()
    assert invited.summary["in_no_products"] is False
    data = {"lines": [{"sku": "65305156CA01A12", "quantity": 1}]}
    assert "invitation_withdrawn" in codes(invited.refused("purchase_authorization.create", data))
    assert "invitation_withdrawn" in codes(invited.refused("order.place", {**data, "kind": "direct"}))
    invited.go_to("2025-01-01")
    assert invited.mails("invitation_reminder") == []


def test_an_invitation_cannot_be_withdrawn_once_something_was_bought(invited):
    pa = invited.authorize()
    assert codes(invited.refused("invitation.withdraw", reason="x")) == ["something_was_bought"]
    invited.done("purchase_authorization.cancel", case=pa)
    invited.done("invitation.withdraw", reason="x")


def test_a_direct_order_forbids_withdrawing_even_when_refused(invited):
    order = invited.order(kind="direct", lines=[{"sku": "65322443CA01A12", "quantity": 1}])
    assert codes(invited.refused("invitation.withdraw", reason="x")) == ["something_was_bought"]
    invited.done("order.refuse", case=order)
    assert codes(invited.refused("invitation.withdraw", reason="x")) == ["something_was_bought"]


def test_a_paid_authorization_forbids_withdrawing(invited):
    pa = invited.authorize()
    invited.done("purchase_authorization.pay", case=pa)
    assert codes(invited.refused("invitation.withdraw", reason="x")) == ["something_was_bought"]


def test_an_invitation_lives_for_ever_where_the_policy_sets_no_end(invited):
    invited.go_to("2030-01-01")
    assert invited.state("invitation") == "sent"
    assert invited.mails("invitation")[0].context["expires_on"] is None


def test_where_the_policy_sets_a_life_an_invitation_expires_and_is_sent_anew():
    world = World(overrides={"invitation_life_days": 30})
    world.invite()
    assert world.mails("invitation")[0].context["expires_on"] == "2024-04-03"
    world.go_to("2024-04-03T23:59")
    assert world.state("invitation") == "sent"
    world.go_to("2024-04-04T00:00")
    assert world.state("invitation") == "expired"
    world.done("invitation.resend")
    assert world.state("invitation") == "sent"
    world.go_to("2024-05-05")
    assert world.state("invitation") == "expired"
    world.done("invitation.accept")
    assert world.state("invitation") == "accepted"


def test_mails_to_the_contact_wait_for_office_hours():
    world = World(start="2024-03-08T20:30")  # a Friday evening
    world.invite()
    assert world.mails("invitation")[0].not_before == world.moment("2024-03-11T08:00")
