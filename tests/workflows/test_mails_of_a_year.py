"""Every mail that a year of events writes, rendered from its own frozen context in both languages."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from tests.workflows.world import PHOTOSHOP, POLICIES, SHIPPED, World, lines, member_of_a_year
from vipflow.delivery import typography
from vipflow.delivery.render import Templates

TEMPLATES = Templates([Path(__file__).parents[2] / "email_templates"])
PARIS = ZoneInfo("Europe/Paris")
LINK = "https://adobe.example/vip/join/north"
CODE_WORDS = r"\b[a-z]+_[a-z_]+\b|\b(?:order|invitation|membership)\.[a-z]+\b"
HOLES = r"\bNone\b|(?<=\S)  |\(\s*\)|\n\n\n|[ \t]\n|[:,]\n\n?\Z"


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


def a_year_without_deactivation() -> World:
    """Nothing says when licences would go: the policy knows no such day."""
    world = World(overrides={"deactivation_after_due_days": None, "invitation_life_days": 90})
    settings = replace(world.tenant.settings, invitation_link=LINK)
    world.tenant = replace(world.tenant, settings=settings)
    world.invite(region="Île-de-France", offer_types=["teams", "enterprise"])
    world.authorize()
    world.go_to("2024-05-01")
    world.done("purchase_authorization.deactivate")
    world.done("purchase_authorization.restore")
    world.go_to("2024-05-20")
    return world


def a_year_of_licences_given_back() -> World:
    """Adobe restored them after the day on which they were to go: that day says nothing any more."""
    world = World()
    world.invite()
    world.authorize()
    world.go_to("2024-04-10")
    world.done("purchase_authorization.deactivate")
    world.done("purchase_authorization.restore")
    world.go_to("2024-05-10")
    world.done("purchase_authorization.customer_paid")
    return world


def a_marketplace_year() -> World:
    world = World(policy="vip-marketplace", start="2024-01-16")
    world.invite()
    cancelled = world.authorize()
    world.done("purchase_authorization.cancel", case=cancelled)
    world.done("purchase_authorization.deactivate", case=cancelled)
    authorization = world.authorize()
    world.done("purchase_authorization.deactivate", case=authorization)
    world.done("purchase_authorization.restore", case=authorization)
    world.pass_days(8)
    world.done("order.accept", case=world.order(kind="direct", lines=lines((PHOTOSHOP, 3))))
    world.go_to("2025-01-26")
    world.done("membership.renew")
    return world


def a_marketplace_year_left_to_adobe() -> World:
    world = World(policy="vip-marketplace", start="2024-01-16")
    world.invite()
    world.done("order.accept", case=world.order(kind="direct", lines=lines((PHOTOSHOP, 3))))
    world.go_to("2025-02-10")
    world.done("membership.renew")
    return world


def a_year_renewed_in_part() -> World:
    world = member_of_a_year()
    world.go_to("2024-12-20")
    world.done("order.accept", case=world.order(kind="renewal", lines=lines((PHOTOSHOP, 4))))
    world.go_to("2026-03-01")
    return world


YEARS = [
    a_late_year,
    a_year_without_deactivation,
    a_year_of_licences_given_back,
    a_marketplace_year,
    a_marketplace_year_left_to_adobe,
    a_year_renewed_in_part,
]


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("year", YEARS, ids=lambda year: year.__name__)
def test_every_mail_can_be_written_from_its_frozen_context(year, language):
    world = year()
    for message in world.messages:
        rendered = TEMPLATES.render(message.template, language, message.context, world.zone)
        assert rendered.subject, message.key
        assert not re.search(f"{HOLES}|{CODE_WORDS}", rendered.subject), rendered.subject
        assert not re.search(f"{HOLES}|{CODE_WORDS}", rendered.text), rendered.text
        if language == "fr":
            assert typography.french_faults(rendered.subject) == []
            assert typography.french_faults(rendered.text) == [], rendered.text
        reference = message.context["reference"]
        assert reference in rendered.text or reference in rendered.subject, (message.template, reference)


def test_these_years_write_every_mail_there_is():
    written = {message.template for year in YEARS for message in year().messages}
    assert set(SHIPPED.templates()) - written == set()


def test_without_a_day_of_deactivation_nothing_speaks_of_one():
    for year in (a_year_without_deactivation, a_year_of_licences_given_back):
        world = year()
        overdue = [message for message in world.mails("payment_overdue") if message.context["suspended_from"] is None]
        assert overdue, year.__name__
        for message in overdue:
            said = TEMPLATES.render(message.template, "en", message.context, world.zone).text
            assert "You can still use them. Until" in " ".join(said.split())


def test_the_invitation_says_what_cannot_be_changed_later():
    message = a_year_without_deactivation().mails("invitation")[0]
    said = {
        language: " ".join(TEMPLATES.render("invitation", language, message.context, PARIS).text.split(" "))
        for language in ("fr", "en")
    }
    for words in ("1 rue de la Paix", "75002 Paris", "Île-de-France", "Anna Blanc", "anna@elan.example", LINK):
        assert words in said["fr"]
        assert words in said["en"]
    assert f"Type d’offre{typography.NBSP}: équipe, entreprise" in said["fr"]
    assert "Offer type: teams, enterprise" in said["en"]


def test_a_manager_is_told_with_each_reminder_how_long_the_order_has_been_waiting():
    world = World()
    world.invite()
    world.authorize()
    world.go_to("2024-03-21")
    mails = world.mails("order_to_place")
    assert [mail.context["waiting_days"] for mail in mails] == [None, 2, 5, 8, 11, 14]
    assert len({TEMPLATES.render("order_to_place", "fr", mail.context, PARIS) for mail in mails}) == len(mails)


def test_what_was_not_renewed_is_named_until_it_is_too_late():
    world = member_of_a_year()
    world.go_to("2025-01-05")
    world.done("order.accept", case=world.order(kind="renewal", lines=lines((PHOTOSHOP, 4))))
    world.go_to("2025-01-16")
    partly = world.mails("renewal_partly_confirmed")[0].context
    assert [line["quantity"] for line in partly["renewed"]] == [4]
    assert [line["quantity"] for line in partly["remaining"]] == [6]
    assert (partly["anniversary"], partly["next_anniversary"]) == ("2025-01-16", "2026-01-16")
    reminders = [mail.context for mail in world.mails("renewal_reminder")]
    said = [(mail["remaining"][0]["quantity"], mail["last_week"], mail["last_call"]) for mail in reminders]
    assert said == [(10, False, False), (6, True, False), (6, True, True)]


def test_nobody_is_asked_to_order_what_adobe_will_have_renewed_by_itself():
    world = a_marketplace_year_left_to_adobe()
    for template in ("renewal_to_follow", "renewal_reminder"):
        said = {world.day_of(mail.effective_at): mail.context["renews_by_itself"] for mail in world.mails(template)}
        assert said == {"2025-01-08": True}
    confirmed = world.mails("renewal_confirmed")[0].context
    assert (confirmed["anniversary"], confirmed["next_anniversary"]) == ("2025-01-16", "2026-01-16")


def test_every_number_that_a_workflow_names_is_in_every_policy():
    for name in POLICIES.names:
        for policy in POLICIES.versions(name):
            for machine in SHIPPED:
                for state in machine.states:
                    machine.timers_of(state, policy)
