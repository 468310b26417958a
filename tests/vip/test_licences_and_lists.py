"""Lists, licences and the summary row: derived from the cases and nothing else."""

import pytest

from tests.workflows.world import ALL_APPS, PHOTOSHOP, STOCK_CREDITS, World, invited_customer, lines, member_of_a_year
from vipflow.vip.customers import company_domain, folded, invitation_state
from vipflow.vip.licences import current_discount_level, holdings, usable_lines
from vipflow.vip.lists import LISTS


def test_the_five_lists_bear_the_labels_of_the_console():
    assert [each.label.fr for each in LISTS] == [
        "Aucun produit",
        "Demandes en attente",
        "Demandes en retard",
        "Renouvellements à venir",
        "Prêts pour renouvellement",
    ]


def test_a_customer_may_stand_in_several_lists():
    world = World(start="2024-03-04")
    world.adopt(
        anniversary="2024-05-01",
        licences=lines((PHOTOSHOP, 10)),
        authorizations=[
            {"lines": lines((PHOTOSHOP, 1)), "created_on": "2024-03-01"},
            {"lines": lines((PHOTOSHOP, 2)), "created_on": "2024-02-10"},
        ],
    )
    assert world.lists == {"pending", "late", "upcoming"}
    summary = world.summary
    assert {name for name in summary if name.startswith("in_") and summary[name]} == {
        "in_pending",
        "in_late",
        "in_upcoming",
    }
    assert (summary["pending_count"], summary["late_count"]) == (1, 1)


@pytest.mark.parametrize("end", ["cancel", "return", "write_off", "expire"])
def test_no_products_counts_the_present_whatever_the_past(end):
    world = World(policy="vip-marketplace" if end == "expire" else "vip-2024")
    world.invite()
    assert world.lists == {"no_products"}
    pa = world.authorize()
    assert world.lists == {"pending"}
    if end == "cancel":
        world.done("purchase_authorization.cancel", case=pa)
    elif end == "expire":
        world.pass_days(8)
    elif end == "write_off":
        world.pass_days(20)
        assert world.lists == {"late"}
        world.done("purchase_authorization.write_off", case=pa, reason="x")
    else:
        order = world.order(pa)
        assert world.lists == frozenset()
        world.done("order.accept", case=order)
        assert world.lists == frozenset()
        request = world.done("return_request.open", {"order": order}).steps[0].after.ref
        world.done("return_request.approve", case=request)
    assert world.lists == {"no_products"}


def test_every_licence_says_how_sure_it_is():
    member = member_of_a_year()
    pending = member.authorize((ALL_APPS, 2))
    ordered = member.authorize((ALL_APPS, 3))
    member.order(ordered)
    found = {(h.status, h.quantity, h.usable, h.confirmed) for h in holdings(member.here)}
    assert found == {("paid", 10, True, True), ("at_disposal", 2, True, True), ("ordered", 3, True, True)}
    member.go_to("2024-02-15")
    assert {h.status for h in holdings(member.here) if h.authorization == pending} == {"deactivated"}
    expected = next(h for h in holdings(member.here) if h.authorization == pending)
    assert (expected.usable, expected.confirmed) == (False, False)
    member.done("purchase_authorization.deactivate", case=pending)
    assert next(h for h in holdings(member.here) if h.authorization == pending).confirmed
    assert {line.sku: line.quantity for line in usable_lines(member.here)} == {PHOTOSHOP: 10, ALL_APPS: 3}
    assert member.summary["licence_count"] == 13


def test_licences_that_ended_are_shown_as_removed():
    member = member_of_a_year()
    member.go_to("2025-01-17")
    assert [(h.status, h.quantity, h.usable) for h in holdings(member.here)] == [("removed", 10, False)]


@pytest.mark.parametrize(("quantity", "level"), [(1, 1), (9, 1), (10, 2), (49, 2), (50, 3), (99, 3), (100, 4)])
def test_the_discount_level_counts_licences_and_not_consumables(quantity, level):
    world = World()
    world.invite()
    world.authorize((PHOTOSHOP, quantity), (STOCK_CREDITS, 500))
    assert current_discount_level(world.here).level == level


def test_a_customer_without_licences_is_of_the_first_level():
    invited = invited_customer()
    assert current_discount_level(invited.here).level == 1


def test_the_summary_does_not_depend_on_settled_cases_being_loaded():
    member = member_of_a_year()
    member.done("invitation.accept")
    lean = member.here
    full = type(lean)(
        **{
            **{name: getattr(lean, name) for name in lean.__struct_fields__},
            "cases": {**lean.cases, **member.settled},
        }
    )
    assert lean.trade.summary(lean) == lean.trade.summary(full)
    assert invitation_state(lean) == "accepted"


def test_names_are_found_without_accents_and_capitals():
    assert folded("Élan  VERT  Sàrl") == "elan vert sarl"


def test_a_public_mail_domain_tells_no_company():
    assert company_domain("anna@GMAIL.com") is None
    assert company_domain("anna@Elan.example") == "elan.example"
