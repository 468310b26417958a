"""Every mail that a year of events writes, rendered from its own frozen context in both languages."""

from pathlib import Path

import pytest

from tests.workflows.world import PHOTOSHOP, POLICIES, SHIPPED, World, lines, member_of_a_year
from vipflow.delivery.render import Templates

FOLDER = Path(__file__).parents[2] / "email_templates"


def a_late_year() -> World:
    world = World()
    world.invite(anniversary="2025-09-01")
    world.done("purchase_authorization.add", {"lines": lines((PHOTOSHOP, 2), ("99999999CA01A12", 1))})
    pa = world.authorize(po_number="BC-77")
    paid = world.authorize(po_number="BC-78")
    world.go_to("2024-03-08")
    world.done("purchase_authorization.customer_paid", case=paid)
    world.go_to("2024-05-01")
    world.done("purchase_authorization.deactivate", case=pa)
    order = world.order(pa)
    world.done("order.accept", {"order_number": "7001"}, case=order)
    part = {"order": order, "lines": lines((PHOTOSHOP, 1))}
    for answer in ("approve", "refuse"):
        request = world.done("return_request.open", part).steps[0].after.ref
        world.done(f"return_request.{answer}", {"explanation": "Voilà"}, case=request)
    world.done("customer.learn_of_bounce", {"address": "anna@elan.example", "diagnosis": "550"})
    world.done("invitation.accept")
    return world


def a_marketplace_year() -> World:
    world = World(policy="vip-marketplace", start="2024-01-16")
    world.invite()
    world.authorize()
    world.done("purchase_authorization.cancel")
    world.authorize()
    world.pass_days(8)
    world.done("order.accept", case=world.order(kind="direct", lines=lines((PHOTOSHOP, 3))))
    world.go_to("2025-01-26")
    world.done("membership.renew")
    return world


def a_year_renewed_in_part() -> World:
    world = member_of_a_year()
    world.go_to("2024-12-20")
    world.done("order.accept", case=world.order(kind="renewal", lines=lines((PHOTOSHOP, 4))))
    world.go_to("2026-03-01")
    return world


YEARS = [a_late_year, a_marketplace_year, a_year_renewed_in_part]


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("year", YEARS, ids=lambda year: year.__name__)
def test_every_mail_can_be_written_from_its_frozen_context(year, language):
    world = year()
    templates = Templates([FOLDER])
    for message in world.messages:
        rendered = templates.render(message.template, language, message.context, world.zone)
        assert rendered.subject, message.key
        assert "None" not in rendered.text, rendered.text
        reference = message.context["reference"]
        assert reference in rendered.text or reference in rendered.subject, (message.template, reference)


def test_these_years_write_every_mail_there_is():
    written = {message.template for year in YEARS for message in year().messages}
    assert set(SHIPPED.templates()) - written == set()


def test_every_number_that_a_workflow_names_is_in_every_policy():
    for name in POLICIES.names:
        for policy in POLICIES.versions(name):
            for machine in SHIPPED:
                for state in machine.states:
                    machine.timers_of(state, policy)
