"""Resellers and their teams: rows of configuration, and what changed in them."""

import pytest

from tests.operations.conftest import World, shipped_files
from vipflow.errors import BadInput, Conflict, NotFound, PolicyError
from vipflow.operations import authorizations, resellers, team
from vipflow.vip.events import EVENTS


def test_the_team_is_listed_with_how_many_customers_each_manages(world: World) -> None:
    world.invite()
    found = {member.email: member.customers for member in team.list_team(world.installation, world.who())}
    assert found["bob@north.example"] == 1
    assert found["cleo@north.example"] == 0


def test_a_change_says_what_was_and_what_is(world: World) -> None:
    changed = team.set_role(world.installation, world.who("ada"), "Bob@north.example", "support")
    assert (changed.before["role"], changed.after["role"], changed.by) == (
        "account_manager",
        "support",
        "ada@north.example",
    )


def test_only_an_admin_changes_the_team(world: World) -> None:
    for act in (
        lambda who: team.add_member(world.installation, who, email="x@north.example", name="X"),
        lambda who: team.set_role(world.installation, who, "vic@north.example", "admin"),
        lambda who: team.deactivate_member(world.installation, who, "vic@north.example"),
    ):
        changed = act(world.who("sam"))
        assert changed.refused is not None
        assert changed.refused.code == "not_allowed"
    assert len(team.list_team(world.installation, world.who())) == 5


def test_one_who_left_is_kept_and_can_come_back(world: World) -> None:
    ada = world.who("ada")
    team.deactivate_member(world.installation, ada, "bob@north.example")
    assert "bob@north.example" not in {member.email for member in team.list_team(world.installation, ada)}
    assert "bob@north.example" in {member.email for member in team.list_team(world.installation, ada, everybody=True)}
    with pytest.raises(NotFound):
        world.who("bob")
    team.add_member(world.installation, ada, email="bob@north.example", name="Robert", role="support")
    assert world.who("bob").role == "support"


def test_an_admin_is_always_left(world: World) -> None:
    ada = world.who("ada")
    for act in (
        lambda: team.set_role(world.installation, ada, "ada@north.example", "viewer"),
        lambda: team.deactivate_member(world.installation, ada, "ada@north.example"),
    ):
        with pytest.raises(BadInput, match="the last active admin"):
            act()


def test_who_is_there_cannot_be_added_again(world: World) -> None:
    with pytest.raises(Conflict):
        team.add_member(world.installation, world.who("ada"), email="BOB@north.example", name="Bob")
    with pytest.raises(BadInput, match="is not exactly one address"):
        team.add_member(world.installation, world.who("ada"), email="bob", name="Bob")
    with pytest.raises(BadInput, match=r"there is no 'amdin' \(did you mean admin\?\)"):
        team.add_member(world.installation, world.who("ada"), email="x@north.example", name="X", role="amdin")


def test_a_number_of_its_own_holds_for_what_begins_after(world: World) -> None:
    customer = world.invite()
    before = world.authorize(customer)
    changed = resellers.change_reseller(world.installation, world.who("ada"), overrides={"order_due_days": 21})
    assert (changed.before["overrides"], changed.after["overrides"]) == ({}, {"order_due_days": 21})
    after = world.authorize(customer, "Acrobat Pro=1")
    days = [
        (row.due_on - row.created_on).days
        for row in (authorizations.show_authorization(world.installation, world.who(), ref) for ref in (before, after))
        if row.due_on is not None
    ]
    assert days == [14, 21]
    dropped = resellers.change_reseller(world.installation, world.who("ada"), drop=["order_due_days"])
    assert dropped.after["overrides"] == {}


def test_numbers_that_cannot_hold_are_refused_with_all_problems(world: World) -> None:
    with pytest.raises(PolicyError, match="did you mean order_due_days"):
        resellers.change_reseller(world.installation, world.who("ada"), overrides={"order_due_day": 3})
    with pytest.raises(PolicyError):
        resellers.change_reseller(world.installation, world.who("ada"), overrides={"order_due_days": 0})
    with pytest.raises(PolicyError, match="no such policy"):
        resellers.change_reseller(world.installation, world.who("ada"), policy="vip-2025")
    with pytest.raises(BadInput, match=r"(?s)language: .*zone: there is no time zone"):
        resellers.change_reseller(world.installation, world.who("ada"), language="de", zone="Europe/Pari")
    assert resellers.show_reseller(world.installation, "north").overrides == {}


def test_a_key_is_taken_once(world: World) -> None:
    with pytest.raises(Conflict):
        resellers.add_reseller(world.installation, key="north", name="Again")
    with pytest.raises(BadInput, match="write small letters"):
        resellers.add_reseller(world.installation, key="North!", name="Again")
    assert [each.key for each in resellers.list_resellers(world.installation)] == ["north"]


def test_every_event_of_the_shipped_workflows_has_words_of_its_own() -> None:
    for machine in shipped_files().workflows:
        for event in (*machine.openings, *machine.events):
            assert f"{machine.name}.{event}" in EVENTS
