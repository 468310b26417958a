"""Inviting, finding and changing customers."""

import pytest

from tests.operations.conftest import FORM, World
from vipflow.errors import BadInput, NotFound
from vipflow.operations import customers
from vipflow.operations.customer_lists import list_customers
from vipflow.operations.customer_page import show_customer
from vipflow.vip.records import Recipient


def test_inviting_says_what_followed_and_which_mail_waits(world: World) -> None:
    done = customers.invite(world.installation, world.who(), FORM)
    assert done.outcome == "applied"
    assert [step.event for step in done.happened] == ["customer.invite", "invitation.issue", "membership.open"]
    assert [(mail.template, mail.to) for mail in done.mails] == [("invitation", "Zoé Roux")]


def test_whoever_invites_is_in_charge(world: World) -> None:
    ref = world.invite()
    assert customers.facts_of_customer(world.installation, world.who(), ref).owner == "bob@north.example"


def test_for_the_operator_of_the_machine_an_admin_is_in_charge(world: World) -> None:
    done = customers.invite(world.installation, world.who(None), FORM)
    assert (
        customers.facts_of_customer(world.installation, world.who(), str(done.verdict.subject)).owner
        == "ada@north.example"
    )


def test_an_act_repeated_with_its_id_counts_once(world: World) -> None:
    first = customers.invite(world.installation, world.who(), FORM, id="form-1")
    again = customers.invite(world.installation, world.who(), FORM, id="form-1")
    assert again.verdict.replayed
    assert again.verdict.subject == first.verdict.subject
    assert again.happened == first.happened


def test_a_company_of_the_same_name_or_domain_in_the_country_is_warned_of(world: World) -> None:
    ref = world.invite("Élan Vert")
    ask = {"country": "FR", "email": "x@other.example"}
    assert [row.ref for row in _alike(world, company="ELAN  vert", **ask)] == [ref]
    assert [row.ref for row in _alike(world, company="Zebra", country="FR", email="y@elan-vert.example")] == [ref]
    assert _alike(world, company="Élan Vert", country="BE", email="x@other.example") == []
    assert _alike(world, company="Zebra", **ask) == []


def _alike(world: World, **asked: str) -> list:
    return list(customers.before_inviting(world.installation, world.who(), **asked).look_alikes)


def test_a_mail_provider_that_everybody_uses_makes_nobody_alike(world: World) -> None:
    world.invite("Zebra", contact={"name": "Z", "email": "zebra@gmail.com"})
    assert _alike(world, company="Other", country="FR", email="other@gmail.com") == []


def test_wrong_fields_are_said_as_fields(world: World) -> None:
    with pytest.raises(BadInput, match="postal_code: '7501' is none of FR"):
        customers.invite(world.installation, world.who(), {**FORM, "postal_code": "7501"})
    with pytest.raises(BadInput, match="company: at most 80 characters"):
        customers.invite(world.installation, world.who(), {**FORM, "company": "x" * 81})
    with pytest.raises(BadInput, match=r"contact.email: '.*' is not exactly one address"):
        customers.invite(world.installation, world.who(), {**FORM, "contact": {"name": "Z", "email": "nobody"}})


def test_a_viewer_may_not_invite(world: World) -> None:
    done = customers.invite(world.installation, world.who("vic"), FORM)
    assert done.outcome == "refused"
    assert done.verdict.reasons[0].code == "not_allowed"
    assert list_customers(world.installation, world.who("vic")).items == ()


def test_an_account_manager_reassigns_only_customers_of_its_own(world: World) -> None:
    ref = world.invite(name="bob")
    refused = customers.assign(world.installation, world.who("cleo"), ref, "cleo")
    assert refused.verdict.reasons[0].code == "not_your_customer"
    assert customers.assign(world.installation, world.who("bob"), ref, "Cleo").outcome == "applied"
    assert customers.assign(world.installation, world.who("sam"), ref, "bob@north.example").outcome == "applied"


def test_a_manager_who_is_none_of_the_team_is_not_found(world: World) -> None:
    ref = world.invite()
    with pytest.raises(BadInput, match="'zed' is none of them"):
        customers.assign(world.installation, world.who(), ref, "zed")


def test_recipients_are_added_and_removed_one_by_one(world: World) -> None:
    ref = world.invite()
    bob = world.who()
    customers.set_recipients(world.installation, bob, ref, add=[Recipient("Max", "max@elan.example")])
    customers.set_recipients(
        world.installation, bob, ref, add=[Recipient("Ida", "ida@elan.example")], remove=["MAX@elan.example"]
    )
    assert customers.facts_of_customer(world.installation, bob, ref).recipients == (
        Recipient("Ida", "ida@elan.example"),
    )
    with pytest.raises(BadInput, match=r"max@elan\.example is none of them"):
        customers.set_recipients(world.installation, bob, ref, remove=["max@elan.example"])


def test_a_customer_is_found_by_reference_number_and_address(world: World) -> None:
    ref = world.invite(vip_number="1A2B")
    for name in (ref, ref.lower(), "1A2B", "elan@elan-vert.example"):
        assert show_customer(world.installation, world.who(), name).summary.ref == ref
    with pytest.raises(NotFound):
        show_customer(world.installation, world.who(), "nobody@elan.example")


def test_an_address_of_two_customers_is_ambiguous(world: World) -> None:
    both = {"name": "Zoé", "email": "zoe@both.example"}
    refs = {world.invite("One", contact=both), world.invite("Two", contact=both)}
    with pytest.raises(BadInput) as told:
        show_customer(world.installation, world.who(), "zoe@both.example")
    assert all(ref in str(told.value) for ref in refs)


def test_notes_stand_on_the_page(world: World) -> None:
    ref = world.invite()
    customers.note(world.installation, world.who(), ref, "Prefers mornings.")
    page = show_customer(world.installation, world.who(), ref)
    assert [note.note["data"]["text"] for note in page.notes] == ["Prefers mornings."]
    assert page.notes[0].by == "bob@north.example"


def test_the_vip_number_is_recorded_once(world: World) -> None:
    ref = world.invite()
    assert customers.record_number(world.installation, world.who(), ref, "9Z9Z").outcome == "applied"
    assert show_customer(world.installation, world.who(), "9Z9Z").summary.ref == ref


def test_withdrawing_needs_a_reason(world: World) -> None:
    ref = world.invite()
    refused = customers.withdraw_invitation(world.installation, world.who(), ref, reason=None)
    assert refused.outcome == "refused"
    done = customers.withdraw_invitation(world.installation, world.who(), ref, reason="typing mistake")
    assert done.outcome == "applied"
    assert show_customer(world.installation, world.who(), ref).summary.lists == ()


def test_another_resellers_customer_does_not_exist(world: World) -> None:
    from vipflow.operations import resellers
    from vipflow.operations.who import who_asks

    ref = world.invite(vip_number="1A2B")
    resellers.add_reseller(world.installation, key="south", name="South")
    south = who_asks(world.installation, reseller="south", email=None)
    for name in (ref, "1A2B", "elan@elan-vert.example"):
        with pytest.raises(NotFound):
            show_customer(world.installation, south, name)
    assert list_customers(world.installation, south).counts[0].count == 0
