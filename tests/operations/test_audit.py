"""The audit as operations give it: what staff did, seals from time to time, and who may look."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.operations.conftest import World
from vipflow.config import AuditSettings
from vipflow.engine.sealfile import SealFault
from vipflow.errors import BadInput, NotFound
from vipflow.operations import audit, resellers, team
from vipflow.operations.ticks import SEALED_EVERY, tick_seal


@pytest.fixture
def sealing(world: World, tmp_path: Path) -> World:
    """The world, with a key and a file of its own."""
    places = AuditSettings(key=tmp_path / "audit" / "key", seals=tmp_path / "audit" / "seals.jsonl")
    settings = world.installation.settings.model_copy(update={"audit": places})
    return replace(world, installation=replace(world.installation, settings=settings))


def acts(world: World, **wanted: Any) -> list[tuple[str, str, str]]:
    page = audit.list_acts(world.installation, world.who("ada"), **wanted)
    return [(each.act, each.target, each.actor) for each in page.items]


def test_who_is_added_or_changed_is_in_the_audit_with_what_was_before(sealing: World) -> None:
    team.set_role(sealing.installation, sealing.who("ada"), "bob@north.example", "support")
    resellers.change_reseller(sealing.installation, sealing.who("ada"), name="North & Co")

    newest, before = audit.list_acts(sealing.installation, sealing.who("ada")).items[:2]
    assert (newest.act, newest.target, newest.actor) == ("reseller.set", "reseller/north", "ada@north.example")
    assert newest.details == {"before": {"name": "North Licences"}, "after": {"name": "North & Co"}}
    assert (before.act, before.target) == ("team.set", "team/bob@north.example")
    assert before.details == {"before": {"role": "account_manager"}, "after": {"role": "support"}}
    assert acts(sealing)[-1] == ("reseller.add", "reseller/north", "operator")
    assert acts(sealing, act="team")[-1] == ("team.add", "team/ada@north.example", "operator")


def test_what_changes_nothing_is_no_act(sealing: World) -> None:
    before = acts(sealing)
    team.set_role(sealing.installation, sealing.who("ada"), "bob@north.example", "account_manager")
    resellers.change_reseller(sealing.installation, sealing.who("ada"))
    assert acts(sealing) == before


def test_acts_are_found_by_target_act_and_actor(sealing: World) -> None:
    team.set_role(sealing.installation, sealing.who("ada"), "bob@north.example", "support")
    found = [("team.set", "team/bob@north.example", "ada@north.example")]
    assert acts(sealing, actor="ada@north.example") == found
    assert acts(sealing, act="team.set") == found
    assert acts(sealing, target="team/bob@north.example") == [*found, ("team.add", found[0][1], "operator")]
    assert acts(sealing, act="tea") == []


def test_pages_of_acts_leave_nothing_out(sealing: World) -> None:
    ada = sealing.who("ada")
    whole = audit.list_acts(sealing.installation, ada).items
    found: list[audit.ActEntry] = []
    after = None
    while True:
        page = audit.list_acts(sealing.installation, ada, limit=2, after=after)
        found += page.items
        after = page.next
        if after is None:
            break
    assert found == list(whole)
    assert len(found) == 6


def test_acts_of_another_reseller_are_not_seen(sealing: World) -> None:
    resellers.add_reseller(sealing.installation, key="south", name="South")
    assert all(target != "reseller/south" for _, target, _ in acts(sealing))
    number = str(len(acts(sealing)) + 1)
    with pytest.raises(NotFound):
        audit.show_act(sealing.installation, sealing.who("ada"), number)


def test_only_operators_and_admins_may_look(sealing: World) -> None:
    team.add_member(sealing.installation, sealing.who("ada"), email="op@north.example", name="Op", role="operator")
    assert audit.show_act(sealing.installation, sealing.who("op"), "1").act == "reseller.add"
    for name in ("bob", "sam", "vic"):
        with pytest.raises(audit.NotAllowed, match="does not allow this"):
            audit.list_acts(sealing.installation, sealing.who(name))


@pytest.mark.parametrize("number", ["x", "-1", "1" * 30, "²"])
def test_what_is_no_number_is_told_so(sealing: World, number: str) -> None:
    with pytest.raises(BadInput, match="is no number of an act"):
        audit.show_act(sealing.installation, sealing.who("ada"), number)


def test_the_tick_seals_what_is_new_and_comes_back_within_the_minute(sealing: World) -> None:
    sealing.invite()
    first = tick_seal(sealing.installation)
    assert first.done > 6
    assert first.next_at == sealing.clock.now() + SEALED_EVERY
    assert timedelta(minutes=1) > SEALED_EVERY
    assert tick_seal(sealing.installation).done == 0
    assert audit.seal_state(sealing.installation).unsealed == 0
    sealing.invite("Bleu SA")
    assert audit.seal_state(sealing.installation).unsealed > 0
    assert tick_seal(sealing.installation).done > 0
    assert audit.verify_audit(sealing.installation).ok


def test_a_tick_that_cannot_seal_says_why(sealing: World) -> None:
    tick_seal(sealing.installation)
    audit.seal_place(sealing.installation).key.chmod(0o644)
    sealing.invite()
    with pytest.raises(SealFault, match="chmod 600"):
        tick_seal(sealing.installation)


def test_going_on_after_a_restored_backup_is_an_act(sealing: World) -> None:
    sealing.invite()
    audit.seal_now(sealing.installation)
    place = audit.seal_place(sealing.installation)
    sealing.invite("Bleu SA")
    made = audit.seal_now(sealing.installation)
    with sealing.installation.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM seals WHERE number = 2")
    with pytest.raises(SealFault, match="not in the database"):
        audit.seal_now(sealing.installation)
    with pytest.raises(audit.NotAllowed):
        audit.restored(sealing.installation, sealing.who("bob"), "the disk died")
    with pytest.raises(BadInput, match="say which backup"):
        audit.restored(sealing.installation, sealing.who("ada"), " ")

    resellers.add_reseller(sealing.installation, key="south", name="South")
    with pytest.raises(audit.NotAllowed):  # the seals are of both
        audit.restored(sealing.installation, sealing.who("ada"), "the disk died")

    done = audit.restored(sealing.installation, sealing.who(None), "the disk died")

    assert done.seals == 1
    assert done.aside is not None
    assert made.seal is not None
    kept = (place.file.parent / done.aside).read_text().splitlines()
    assert json.loads(kept[-1])["mac"] == made.seal.mac
    act = audit.list_acts(sealing.installation, sealing.who("ada"), act="audit").items[0]
    assert act.of_installation
    assert (act.reason, act.details["seals_of_file"], act.details["seals_kept"]) == ("the disk died", 2, 1)
    audit.seal_now(sealing.installation)
    assert audit.verify_audit(sealing.installation).ok
