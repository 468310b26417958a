"""Stories of customers: inviting, adopting, and the fixed record."""

import msgspec
import pytest

from tests.workflows.world import ADMIN, ELAN, MARIE, PHOTOSHOP, SHOP, World, codes, lines
from vipflow.case import Stale
from vipflow.vip.customers import provisional_number, warnings_before_inviting
from workflows.customer import BouncedMail, Correction, ExistingMember, NewCustomer


def test_an_invitation_gives_a_vip_number_at_once_visibly_provisional(world):
    customer = world.invite()
    facts = world.facts(customer)
    assert facts.vip_number == provisional_number(customer)
    assert facts.vip_number_provisional
    assert world.summary["vip_number"].startswith("VIP-PROV-")
    assert world.mails("invitation")[0].context["customer"]["vip_number_provisional"] is True


def test_a_vip_number_given_with_the_invitation_is_adobes(world):
    world.invite(vip_number="A1B2C3")
    assert world.facts("customer").vip_number == "A1B2C3"
    assert not world.facts("customer").vip_number_provisional


def test_adobes_number_replaces_the_provisional_one_once(invited):
    invited.done("customer.record_number", {"vip_number": "A1B2C3"})
    assert invited.facts("customer").vip_number == "A1B2C3"
    again = invited.done("customer.record_number", {"vip_number": "A1B2C3"})
    assert not again.incidents
    other = invited.done("customer.record_number", {"vip_number": "ZZZ"})
    assert [incident.kind for incident in other.incidents] == ["contradiction"]
    assert invited.facts("customer").vip_number == "A1B2C3"


def test_inviting_opens_the_invitation_and_the_membership(invited):
    assert invited.state("invitation") == "sent"
    assert invited.state("membership") == "awaiting_first_order"
    assert invited.templates() == ["invitation"]
    assert invited.lists == {"no_products"}


def test_who_invites_is_in_charge_and_another_can_be_named(world):
    world.invite()
    assert world.facts("customer").owner == MARIE.name
    other = World()
    other.invite(owner="bob@north.example")
    assert other.facts("customer").owner == "bob@north.example"


def test_a_shop_that_names_nobody_leaves_the_customer_to_an_admin(world):
    world.invite(by=SHOP)
    assert world.facts("customer").owner == "alice@north.example"


@pytest.mark.parametrize("owner", ["nobody@north.example", "gone@north.example"])
def test_somebody_who_is_not_of_the_team_cannot_be_in_charge(world, owner):
    assert codes(world.refused("customer.invite", {**ELAN, "owner": owner})) == ["unknown_owner"]
    world.invite()
    assert codes(world.refused("customer.assign", {"owner": owner})) == ["unknown_owner"]


def test_a_customer_is_reassigned_and_its_mails_name_the_new_manager(invited):
    invited.done("customer.assign", {"owner": "bob@north.example"}, by=ADMIN)
    assert invited.summary["owner"] == "bob@north.example"
    invited.forget_mails()
    invited.done("invitation.accept")
    mail = invited.mails("invitation_accepted")[0]
    assert (mail.person.name, mail.person.language) == ("Bob Hill", "en")


def test_a_customer_of_somebody_who_left_falls_to_an_admin(invited):
    team = dict(invited.tenant.settings.team)
    team["marie@north.example"] = msgspec.structs.replace(team["marie@north.example"], active=False)
    settings = msgspec.structs.replace(invited.tenant.settings, team=team)
    invited.view = msgspec.structs.replace(
        invited.view, tenant=msgspec.structs.replace(invited.tenant, settings=settings)
    )
    invited.done("invitation.accept")
    assert invited.mails("invitation_accepted")[0].person.key == "team:alice@north.example"


@pytest.mark.parametrize(
    ("anniversary", "segment", "allowed"),
    [
        ("2025-03-04", "commercial", False),  # 12 months exactly: must be more
        ("2025-03-05", "commercial", True),
        ("2027-03-04", "commercial", True),  # 36 months
        ("2027-03-05", "commercial", False),
        ("2027-03-05", "government", True),
        ("2028-03-04", "education", True),  # 48 months
        ("2028-03-05", "education", False),
    ],
)
def test_a_custom_anniversary_lies_over_12_months_ahead_and_within_the_longest_term(
    world, anniversary, segment, allowed
):
    data = {**ELAN, "segment": segment, "anniversary": anniversary}
    if allowed:
        world.done("customer.invite", data)
        assert world.facts("customer").custom_anniversary.isoformat() == anniversary
        assert world.facts("membership").anniversary.isoformat() == anniversary
        assert world.mails("invitation")[0].context["anniversary"] == anniversary
    else:
        refusal = world.refused("customer.invite", data)
        assert codes(refusal) == ["anniversary_out_of_bounds"]
        assert refusal.reasons[0].facts.keys() == {"earliest", "latest"}


def test_nothing_of_the_fixed_record_can_be_changed_after_sending(world):
    world.invite(anniversary="2025-09-01")
    for field, value in {
        "company": "Elan Bleu",
        "segment": "education",
        "country": "BE",
        "region": "IDF",
        "address": "2 rue X",
        "city": "Lyon",
        "postal_code": "69001",
        "contact": {"name": "Zoe", "email": "zoe@elan.example"},
        "anniversary": "2025-10-01",
    }.items():
        refusal = world.refused("customer.correct", {field: value})
        assert codes(refusal) == ["fixed_after_sending"]
        assert refusal.reasons[0].facts == {"fields": [field]}
    world.done("customer.correct", {"company": "Élan Vert", "anniversary": "2025-09-01"})


def test_notice_recipients_live_beside_the_fixed_record_and_get_copies(invited):
    invited.done("customer.set_recipients", {"recipients": [{"name": "Zoe", "email": "zoe@elan.example"}]})
    mail = invited.mails("invitation")[0]
    found = invited.here.trade.addressing(invited.here, mail.person)
    assert [box.email for box in found.to] == ["anna@elan.example"]
    assert [box.email for box in found.cc] == ["zoe@elan.example"]
    assert found.reply_to.email == MARIE.name
    invited.done("customer.set_recipients", {})
    assert invited.facts("customer").recipients == ()


def test_any_offer_type_may_be_added_later(invited):
    assert invited.facts("customer").offer_types == ("teams",)
    invited.done("customer.add_offer_type", {"offer_type": "enterprise"})
    assert invited.facts("customer").offer_types == ("teams", "enterprise")
    assert codes(invited.refused("customer.add_offer_type", {"offer_type": "gold"})) == ["unknown_offer_type"]


def test_a_note_leaves_a_row_of_history_and_nothing_else(invited):
    before = invited.facts("customer")
    decision = invited.done("customer.note", {"text": "Appelé : rappeler lundi.\nMerci."})
    assert decision.steps[0].data.text.startswith("Appelé")
    assert invited.facts("customer") == before


def test_numbers_of_one_customers_own_hold_for_what_begins_after(invited):
    before = invited.authorize()
    invited.done("customer.override_policy", {"numbers": {"order_due_days": 20}}, by=ADMIN)
    after = invited.authorize()
    assert invited.facts(before).due_on.isoformat() == "2024-03-18"
    assert invited.facts(after).due_on.isoformat() == "2024-03-24"
    refusal = invited.refused("customer.override_policy", {"numbers": {"order_due_dais": 20}}, by=ADMIN)
    assert codes(refusal) == ["impossible_numbers"]


def test_a_bounced_mail_is_told_to_the_manager(invited):
    invited.done(
        "customer.learn_of_bounce",
        {"address": "anna@elan.example", "subject_line": "Invitation", "diagnosis": "550 unknown"},
    )
    context = invited.mails("mail_bounced")[0].context
    assert context["reference"] == invited.customer
    assert (context["address"], context["diagnosis"]) == ("anna@elan.example", "550 unknown")


def test_an_incident_is_told_to_the_manager_in_both_languages(invited):
    pa = invited.authorize()
    invited.done("purchase_authorization.cancel", case=pa)
    invited.done("purchase_authorization.deactivate", case=pa)
    context = invited.mails("incident_opened")[0].context
    assert context["reference"] == pa
    assert context["says"]["fr"] != context["says"]["en"]
    assert context["happened"] == {"fr": "licences désactivées par Adobe", "en": "licences deactivated by Adobe"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("company", ""),
        ("company", "x" * 81),
        ("company", "A<B"),
        ("company", 'A"B'),
        ("company", "A\x00B"),
        ("company", "   "),
        ("address", "x" * 61),
        ("address", "1 rue\nX"),
        ("city", "x" * 41),
        ("city", "Pa[ris"),
        ("postal_code", "7500"),
        ("postal_code", None),
        ("postal_code", "750022"),
        ("country", "XX"),
        ("country", "France"),
        ("language", "de"),
        ("segment", "private"),
        ("contact", {"name": "", "email": "a@b.example"}),
        ("contact", {"name": "x" * 36, "email": "a@b.example"}),
        ("contact", {"name": "Anna", "email": "anna"}),
        ("contact", {"name": "Anna", "email": "a@b.example, c@d.example"}),
        ("contact", {"name": "Anna", "email": "a@b.example;c@d.example"}),
        ("contact", {"name": "Anna", "email": "a b@b.example"}),
        ("contact", {"name": "Anna", "email": "a" * 240 + "@b.example"}),
        ("contact", {"name": "Anna", "email": "anna@b.example\nBcc: x@y.example"}),
        ("surprise", 1),
    ],
)
def test_a_field_that_adobe_would_not_take_is_bad_input(field, value):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**ELAN, field: value}, NewCustomer)


@pytest.mark.parametrize(
    ("country", "code"),
    [("FR", "75002"), ("BE", "1000"), ("NL", "1012 AB"), ("GB", "SW1A 1AA"), ("IE", "D02 X285"), ("US", "94107-1234")],
)
def test_postal_codes_take_the_form_of_their_country(country, code):
    assert msgspec.convert({**ELAN, "country": country, "postal_code": code}, NewCustomer).postal_code == code


def test_a_country_without_postal_codes_needs_none():
    assert msgspec.convert({**ELAN, "country": "HK", "postal_code": None}, NewCustomer).postal_code is None


def test_warnings_come_before_inviting_and_forbid_nothing():
    assert len(warnings_before_inviting("Élan Vert")) == 1
    assert len(warnings_before_inviting("ABC")) == 2
    assert len(warnings_before_inviting("ABC", look_alikes=1)) == 3


# --- adopting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("anniversary", "renewed", "state"),
    [
        (None, (), "awaiting_first_order"),
        ("2025-02-01", (), "active"),
        ("2024-06-03", (), "active"),  # upcoming from 5 March
        ("2024-06-02", (), "upcoming"),
        ("2024-04-03", (), "ready"),  # the window opened today
        ("2024-03-04", (), "ready"),  # the window closes today
        ("2024-03-03", (), "expired"),
        ("2024-04-03", ((PHOTOSHOP, 10),), "renewed"),
        ("2024-04-03", ((PHOTOSHOP, 4),), "partly_renewed"),
    ],
)
def test_an_existing_member_starts_where_its_dates_say_without_mails(world, anniversary, renewed, state):
    fields = {"anniversary": anniversary} if anniversary else {}
    if anniversary:
        fields |= {"licences": lines((PHOTOSHOP, 10)), "renewed": lines(*renewed)}
    world.adopt(**fields)
    assert world.state("membership") == state
    assert world.messages == []
    assert world.summary["invitation_state"] == "accepted"


def test_a_member_adopted_in_a_window_of_vip_2019_is_ready_after_its_anniversary():
    world = World(policy="vip-2019")
    world.adopt(anniversary="2024-02-03", licences=lines((PHOTOSHOP, 10)))
    assert world.state("membership") == "ready"
    world.go_to("2024-03-05")
    assert world.state("membership") == "expired"


def test_open_authorizations_are_adopted_in_the_state_their_dates_say(world):
    world.adopt(
        anniversary="2025-01-16",
        licences=lines((PHOTOSHOP, 10)),
        authorizations=[
            {"lines": lines((PHOTOSHOP, 1)), "created_on": "2024-03-01"},
            {"lines": lines((PHOTOSHOP, 2)), "created_on": "2024-02-15"},
            {"lines": lines((PHOTOSHOP, 3)), "created_on": "2024-01-15"},
            {"lines": lines((PHOTOSHOP, 4)), "created_on": "2024-02-28", "ordered": True, "order_number": "7001"},
        ],
    )
    states = {c.facts.lines[0].quantity: c.state for c in world.view.of("purchase_authorization")}
    assert states == {1: "pending", 2: "late", 3: "suspended", 4: "ordered"}
    assert world.messages == []
    assert world.lists == {"pending", "late"}
    world.done("order.accept")
    assert world.summary["licence_count"] == 14 + 1 + 2


def test_an_adopted_member_gets_the_mails_that_lie_ahead(world):
    world.adopt(anniversary="2024-06-02", licences=lines((PHOTOSHOP, 10)))
    world.go_to("2024-05-10")
    assert "renewal_coming" not in world.templates()
    assert world.templates() == ["renewal_to_prepare", "renewal_open"]


def test_a_member_that_takes_the_number_of_an_anniversary_but_none_given_is_bad_input():
    with pytest.raises(msgspec.ValidationError, match="anniversary"):
        msgspec.convert({**ELAN, "vip_number": "X", "licences": lines((PHOTOSHOP, 1))}, ExistingMember)


def test_accepting_an_invitation_twice_is_stale(invited):
    invited.done("invitation.accept")
    assert isinstance(invited.send("invitation.accept"), Stale)


def test_a_member_is_adopted_with_an_old_authorization_that_was_ordered():
    marketplace = World(policy="vip-marketplace", start="2024-06-01")
    old = {"lines": lines((PHOTOSHOP, 2)), "created_on": "2024-05-01"}
    marketplace.adopt(authorizations=[{**old, "ordered": True, "order_number": "AD1"}, old])
    cases = [*marketplace.settled.values(), *marketplace.here.cases.values()]
    states = sorted(case.state for case in cases if case.workflow == "purchase_authorization")
    assert states == ["expired", "ordered"]
    assert marketplace.messages == []
    marketplace.done("order.accept")
    assert marketplace.state("membership") == "active"


@pytest.mark.parametrize(
    ("cls", "data"),
    [
        (Correction, {"company": "x" * 241}),
        (BouncedMail, {"address": "x" * 501}),
        (BouncedMail, {"address": "a@b.example", "diagnosis": "x" * 2001}),
        (BouncedMail, {"address": "a@b.example", "subject_line": "x" * 2001}),
    ],
)
def test_free_texts_have_an_end(cls, data):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(data, cls)
