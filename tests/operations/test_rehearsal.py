"""Operations rehearsed: told with what they lead to, and undone."""

from datetime import timedelta

import pytest

from tests.operations.conftest import World
from tests.operations.test_holds import is_sound, rows
from vipflow.errors import Conflict
from vipflow.operations import authorizations, customers
from vipflow.operations.rehearsal import rehearsing

DAY = timedelta(days=1)


def test_what_is_rehearsed_leaves_no_trace_that_verify_or_a_later_act_could_find(world: World) -> None:
    customer = world.invite()
    with rehearsing(world.installation) as rehearsal:
        assert customers.note(rehearsal.installation, world.who(), customer, "one", id="1").outcome == "applied"
        assert customers.note(rehearsal.installation, world.who(), customer, "one", id="1").verdict.replayed
        with pytest.raises(Conflict):
            customers.note(rehearsal.installation, world.who(), customer, "other", id="1")
        assert len(rehearsal.followed().happened) == 1
    done = customers.note(world.installation, world.who(), customer, "other", id="1")
    assert (done.outcome, done.verdict.replayed) == ("applied", False)
    assert is_sound(world)


def test_what_the_clock_does_first_is_told_as_well(world: World) -> None:
    customer = world.invite()
    pa = world.authorize(customer)
    world.clock.move_to(world.clock.now() + 20 * DAY)
    with rehearsing(world.installation) as rehearsal:
        done = authorizations.cancel(rehearsal.installation, world.who(), pa, reason="error")
        told = rehearsal.followed()
    assert done.outcome == "refused"
    assert {step.by_kind for step in told.happened} == {"clock"}
    assert "late" in {step.to_state for step in told.happened}
    assert {mail.template for mail in told.mails} >= {"payment_overdue"}


def test_a_timer_that_moves_says_from_when_to_when(world: World) -> None:
    pa = world.authorize(world.invite())
    before = {row.name: row.due_at for row in rows(world, "timers", case_ref=pa)}
    done = authorizations.grant_extension(
        world.installation, world.who("ada"), pa, world.clock.now().date() + 30 * DAY, reason="granted"
    )
    after = {row.name: row.due_at for row in rows(world, "timers", case_ref=pa)}
    moved = {each.name: (each.was_due_at, each.due_at) for each in done.timers if each.was_due_at and each.due_at}
    assert moved == {name: (before[name], due) for name, due in after.items() if before.get(name, due) != due}
    assert moved


def test_of_very_many_steps_the_rest_is_counted(world: World) -> None:
    customer = world.invite()
    with rehearsing(world.installation) as rehearsal:
        for number in range(503):
            customers.note(rehearsal.installation, world.who(), customer, "again", id=f"{number}")
        told = rehearsal.followed()
    assert (len(told.happened), told.more) == (500, 3)
