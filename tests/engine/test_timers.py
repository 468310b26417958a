"""Due timers: never early, exactly once, in their order, and with the same outcome however late they are looked at."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.engine.worlds import World, at
from vipflow.store import tables

# --- when ----------------------------------------------------------------------------------------------------------


def test_a_timer_never_fires_early(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    due = world.timers(rental)["remind due_on-3d,-1d"]
    assert due == at("2025-01-16 23:00")  # midnight in Paris, three days before 20 January
    world.move_to(due - timedelta(microseconds=1))
    assert world.sweep() == 0
    world.move_to(due)
    assert world.sweep() == 1
    assert world.steps(rental) == ["rent", "remind"]


def test_a_timer_fires_exactly_once(world: World, another: Callable[..., World]) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.move_to("2025-01-17")
    other = another()
    assert [world.sweep(), world.sweep(), other.sweep(), world.sweep()] == [1, 0, 0, 0]
    assert world.steps(rental) == ["rent", "remind"]


def test_a_fired_timer_tells_history_which_it_was_when_it_was_due_and_when_we_came(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.move_to("2025-01-17 07:30")
    world.sweep()
    row = world.row("history", event="remind", case_ref=rental)
    assert row.cause.startswith(f"timer:{rental}/remind due_on-3d,-1d/2025-01-16T23:00:00.000000Z")
    assert (row.effective_at, row.recorded_at) == (at("2025-01-16 23:00"), at("2025-01-17 07:30"))
    assert (row.actor_kind, json.loads(row.note)["timer"]) == ("clock", "remind due_on-3d,-1d")


def test_the_engine_knows_when_it_is_wanted_next(world: World) -> None:
    assert world.engine.next_due() is None
    ann = world.member()
    world.rental(ann)
    assert world.engine.next_due() == at("2025-01-16 23:00")
    assert world.row("subjects").next_due == at("2025-01-16 23:00")
    assert world.row("subjects").next_event == "rental.remind"
    world.move_to("2025-01-17")
    world.sweep()
    assert world.engine.next_due() == world.row("subjects").next_due == at("2025-01-18 23:00")


def test_days_begin_at_midnight_where_the_tenant_is_also_across_a_clock_change(world: World) -> None:
    world.move_to("2025-03-20 09:00")
    ann = world.member()
    rental = world.rental(ann)
    assert world.timers(rental)["remind due_on-3d,-1d"] == at("2025-03-30 22:00")  # summer time began that morning
    assert world.timers(rental)["fall_due due_on+1d"] == at("2025-04-03 22:00")


def test_an_instant_fact_counts_as_it_is(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.advance_to("2025-01-21")
    assert world.timers(rental)["go_missing missing_at"] == at("2025-02-19 15:00")
    world.advance_to("2025-02-19 14:59")
    assert world.state(rental) == "overdue"
    world.advance_to("2025-02-19 15:00")
    assert world.state(rental) == "missing"


def test_a_timer_whose_fact_is_not_known_is_not_armed(world: World) -> None:
    data = {"name": "Ann", "card_until": "2026-01-01", "rentals": [{"tool": "axe", "due_on": "2025-01-01"}]}
    world.applied("member.adopt", data=data)
    (rental,) = world.rows("cases", workflow="rental")
    assert rental.state == "overdue"
    assert list(world.timers(rental.ref)) == ["remind every 7d"]


def test_a_plan_gives_the_days_one_after_the_other(world: World) -> None:
    world.member()
    world.advance_to("2026-01-05")
    assert [row.effective_at for row in world.rows("history", event="check")] == [
        at("2025-04-10 22:00"),
        at("2025-07-09 22:00"),
        at("2025-10-07 22:00"),
    ]


# --- in which order ------------------------------------------------------------------------------------------------


def test_timers_of_a_subject_fire_by_due_instant_then_case_then_name(world: World) -> None:
    ann = world.member()
    rentals = sorted(world.rental(ann) for _ in range(3))
    world.move_to("2025-01-22")
    world.sweep()
    rows = [(row.effective_at, row.case_ref, row.event) for row in world.rows("history") if row.actor_kind == "clock"]
    assert rows == sorted(rows)
    assert [ref for _, ref, event in rows if event == "fall_due"] == rentals


def test_an_event_that_happened_before_a_timer_was_due_goes_first_though_both_come_late(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.move_to("2025-01-25")
    world.applied("rental.give_back", f"rentals/{rental}", time="2025-01-18 12:00")
    world.sweep()
    assert world.steps(rental) == ["rent", "remind", "give_back"]
    assert world.state(rental) == "back"
    assert "overdue" not in world.mails()


def test_an_event_that_happened_after_a_timer_was_due_finds_it_fired(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.move_to("2025-01-25")
    verdict = world.post("rental.rent", f"members/{ann}", {"tool": "axe"}, time="2025-01-24 12:00")
    assert [reason.code for reason in verdict.reasons] == ["something_is_late"]
    assert world.state(rental) == "overdue"
    assert world.row("history", event="fall_due").effective_at == at("2025-01-20 23:00")


def test_at_the_very_instant_the_timer_goes_first(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.move_to("2025-01-20 23:00")
    world.applied("rental.give_back", f"rentals/{rental}", time="2025-01-20 23:00")
    assert world.steps(rental)[-2:] == ["fall_due", "give_back"]


def test_timers_fired_for_a_refused_event_stand(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.move_to("2025-01-25")
    assert world.post("rental.cancel", f"rentals/{rental}").verdict == "refused"
    assert world.state(rental) == "overdue"
    assert world.sweep() == 0
    assert world.steps(rental) == ["rent", "remind", "fall_due", "remind"]


# --- late sweeps ---------------------------------------------------------------------------------------------------


def test_a_late_sweep_moves_no_later_deadline_and_skips_no_state(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.move_to("2025-03-15 12:00")
    world.sweep()
    rows = [(row.event, row.to_state, row.effective_at) for row in world.rows("history", case_ref=rental)]
    assert rows == [
        ("rent", "out", at("2025-01-06 09:00")),
        ("remind", "out", at("2025-01-16 23:00")),
        ("fall_due", "overdue", at("2025-01-20 23:00")),
        ("remind", "overdue", at("2025-01-22 23:00")),
        ("go_missing", "missing", at("2025-02-19 15:00")),
    ]
    assert {row.recorded_at for row in world.rows("history", case_ref=rental)[1:]} == {at("2025-03-15 12:00")}
    assert world.row("cases", ref=rental).since == at("2025-02-19 15:00")


def test_beats_that_were_missed_become_one_row_and_the_next_keeps_its_day(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.advance_to("2025-01-21")
    world.move_to("2025-02-08 12:00")  # beats of 22 and 29 January and of 5 February were missed
    world.sweep()
    beats = [row.effective_at for row in world.rows("history", case_ref=rental) if row.from_state == "overdue"]
    assert beats == [at("2025-01-22 23:00")]
    assert world.timers(rental)["remind every 7d"] == at("2025-02-12 23:00")


def test_a_repeat_counts_from_the_effective_instant_not_from_when_we_noticed(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.move_to("2025-01-21 18:00")
    world.sweep()
    assert world.timers(rental)["remind every 7d"] == at("2025-01-22 23:00")


def test_a_repeat_keeps_its_local_time_across_a_clock_change(world: World) -> None:
    world.move_to("2025-03-10 09:00")
    ann = world.member()
    rental = world.rental(ann)
    world.advance_to("2025-04-10")
    beats = [row.effective_at for row in world.rows("history", case_ref=rental) if row.from_state == "overdue"]
    assert beats == [at("2025-03-26 23:00"), at("2025-04-02 22:00"), at("2025-04-09 22:00")]


def test_a_year_with_an_outage_of_five_days_ends_as_one_without(database_url: str, world: World) -> None:
    """The same events, received when the machine is up again; the same states on the same effective dates."""
    healthy = world
    refs = {name: healthy.member(name) for name in ("Ann", "Bea", "Cyd")}
    broken = _second_tenant(healthy)
    # The same references in both worlds would hide a mix-up: they differ, and are told apart by name.
    down, up = at("2025-02-15 03:00"), at("2025-02-20 03:00")
    story: list[tuple[str, str, str, str, dict[str, Any]]] = [
        ("2025-01-06 10:00", "rental.rent", "Ann", "T1", {"tool": "saw"}),
        ("2025-01-08 10:00", "rental.rent", "Bea", "T2", {"tool": "axe"}),
        ("2025-01-15 10:00", "rental.extend", "Bea", "T2", {"days": 30}),
        ("2025-02-16 10:00", "rental.give_back", "Bea", "T2", {"damages": [4]}),
        ("2025-02-17 10:00", "rental.rent", "Cyd", "T3", {"tool": "drill"}),
        ("2025-04-01 10:00", "rental.give_back", "Cyd", "T3", {}),
        ("2025-06-01 10:00", "card.freeze", "Cyd", "", {}),
        ("2025-06-05 10:00", "card.thaw", "Cyd", "", {}),
        ("2025-12-01 10:00", "card.renew", "Ann", "", {}),
    ]
    for name in refs:
        broken.applied("member.join", f"members/{name}", {"name": name, "email": f"{name.lower()}@x.org"})
    for when, type, name, ticket, data in story:
        for each in (healthy, broken):
            subject = f"members/{refs[name]}" if each is healthy else f"members/{name}"
            given = data | ({"ticket": ticket} if type == "rental.rent" else {})
            path = f"{subject}/rentals/{ticket}" if ticket and type != "rental.rent" else subject
            event = each.event(type, path, given, time=when, id=f"{name}/{when}")
            arrives = at(when)
            if each is broken and down < arrives < up:
                each.move_to(max(up, each.clock.now()))
            elif each is broken and each.clock.now() < down < arrives:
                each.advance_to(down)
                each.move_to(up)
                each.sweep()
                each.advance_to(arrives)
            elif arrives > each.clock.now():
                each.advance_to(arrives)
            (verdict,) = each.post_all([event])
            assert verdict.verdict == "applied", verdict
    for each in (healthy, broken):
        each.advance_to("2026-02-01")
    assert _lived(broken) == _lived(healthy)
    missed = [row for row in broken.rows("history") if row.recorded_at > row.effective_at + timedelta(days=1)]
    assert missed, "the outage fell into a quiet time and proves nothing"


# --- ladders and reminders -----------------------------------------------------------------------------------------


def test_a_ladder_climbs_rung_by_rung(world: World) -> None:
    world.member()
    world.advance_to("2026-01-06 12:00")
    rungs = [row.effective_at for row in world.rows("history", event="remind")]
    assert rungs == [at("2025-12-06 23:00"), at("2025-12-29 23:00"), at("2026-01-04 23:00")]
    (card,) = world.rows("cases", workflow="card")
    assert "remind valid_until-30d,-7d,-1d" not in world.timers(card.ref)
    assert world.timers(card.ref) == {"expire valid_until+1d": at("2026-01-06 23:00")}


def test_of_a_ladder_that_was_slept_through_one_rung_is_told_and_the_next_is_ahead_of_now(world: World) -> None:
    world.member()
    world.move_to("2025-12-31")
    world.sweep()
    (row,) = world.rows("history", event="remind")
    assert row.effective_at == at("2025-12-06 23:00")
    (card,) = world.rows("cases", workflow="card")
    assert world.timers(card.ref)["remind valid_until-30d,-7d,-1d"] == at("2026-01-04 23:00")


def test_a_reminder_of_the_past_is_not_armed_but_a_move_of_the_past_fires_at_once(world: World) -> None:
    data = {"name": "Ann", "card_until": "2025-01-06", "rentals": [{"tool": "axe", "due_on": "2025-01-06"}]}
    world.applied("member.adopt", data=data)
    (rental,) = world.rows("cases", workflow="rental")
    assert world.timers(rental.ref) == {"fall_due due_on+1d": at("2025-01-06 23:00")}
    (card,) = world.rows("cases", workflow="card")
    assert list(world.timers(card.ref)) == ["expire valid_until+1d"]


def test_a_move_that_is_late_already_when_the_state_is_entered_keeps_its_own_date(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.applied("rental.give_back", f"rentals/{rental}", time="2025-01-06 09:00")
    world.move_to("2025-01-25")
    world.applied("rental.take_again", f"rentals/{rental}", time="2025-01-20 12:00")
    assert world.timers(rental) == {"fall_due due_on+1d": at("2025-01-20 23:00")}
    world.sweep()
    assert world.row("history", event="fall_due").effective_at == at("2025-01-20 23:00")


# --- what an event does to timers ----------------------------------------------------------------------------------


def test_a_moved_anchor_arms_anew_what_hangs_on_it_and_nothing_else(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.advance_to("2025-01-17")
    world.applied("rental.extend", f"rentals/{rental}", {"days": 10})
    assert world.timers(rental) == {
        "remind due_on-3d,-1d": at("2025-01-26 23:00"),
        "fall_due due_on+1d": at("2025-01-30 23:00"),
    }
    assert json.loads(world.row("history", event="extend").timers)["armed"].keys() == set(world.timers(rental))


def test_of_a_moved_anchor_a_reminder_that_lies_behind_is_not_armed(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.move_to("2025-01-10")
    world.applied("rental.extend", f"rentals/{rental}", {"days": -9})  # due on the 11th: both rungs lie behind
    assert world.timers(rental) == {"fall_due due_on+1d": at("2025-01-11 23:00")}


def test_a_self_transition_keeps_timers_as_they_stand(world: World) -> None:
    ann = world.member()
    (card,) = world.rows("cases", workflow="card")
    before = world.timers(card.ref)
    armed = {row.name: row.armed_by for row in world.rows("timers", case_ref=card.ref)}
    world.move_to("2025-02-01")
    world.rental(ann)
    assert world.steps(card.ref)[-1] == "count_rental"
    assert world.timers(card.ref) == before
    assert {row.name: row.armed_by for row in world.rows("timers", case_ref=card.ref)} == armed


def test_leaving_a_state_drops_its_timers_and_coming_back_arms_them(world: World) -> None:
    ann = world.member()
    (card,) = world.rows("cases", workflow="card")
    before = world.timers(card.ref)
    world.applied("card.freeze", f"members/{ann}")
    assert world.timers(card.ref) == {}
    assert json.loads(world.row("history", event="freeze").timers) == {"dropped": sorted(before)}
    world.applied("card.thaw", f"members/{ann}")
    assert world.timers(card.ref) == before


def test_a_case_that_comes_back_to_a_state_whose_deadline_is_over_falls_due_again(world: World) -> None:
    """The same timer with the same due instant counts once for each time the state is entered."""
    ann = world.member()
    rental = world.rental(ann)
    world.advance_to("2025-01-22")
    world.applied("rental.give_back", f"rentals/{rental}", time="2025-01-21 18:00")
    world.applied("rental.take_again", f"rentals/{rental}", time="2025-01-20 12:00")  # as if it never was late
    assert world.state(rental) == "out"
    world.sweep()
    assert world.state(rental) == "overdue"
    assert [row.effective_at for row in world.rows("history", event="fall_due")] == [at("2025-01-20 23:00")] * 2


def test_a_new_policy_gives_its_timers_to_a_case_that_pins_it(world: World) -> None:
    ann = world.member()
    (card,) = world.rows("cases", workflow="card")
    world.advance_to("2025-07-02")
    world.rental(ann)  # a case of its own: pins what is in force, and changes nothing for the card
    assert "remind valid_until-30d,-7d,-1d" in world.timers(card.ref)
    world.applied("card.refresh", f"members/{ann}")
    assert world.row("cases", ref=card.ref).policy != card.policy
    assert world.timers(card.ref) == {
        "check quarterly": at("2025-07-09 22:00"),
        "remind valid_until-45d,-10d": at("2025-11-21 23:00"),
        "expire valid_until+1d": at("2026-01-06 23:00"),
    }


def test_a_running_case_keeps_the_policy_that_it_was_opened_under(world: World) -> None:
    world.advance_to("2025-06-28")
    ann = world.member()
    rental = world.rental(ann)
    world.advance_to("2025-08-01")
    beats = [row.effective_at for row in world.rows("history", case_ref=rental) if row.from_state == "overdue"]
    assert [later - earlier for earlier, later in pairwise(beats)] == [timedelta(days=7)] * 2
    newer = world.member("Bea")
    assert world.row("cases", ref=newer).policy != world.row("cases", ref=ann).policy
    assert len(world.rows("policies")) == 2


# --- timers that go wrong ------------------------------------------------------------------------------------------


def test_a_timer_that_raises_backs_off_and_is_quarantined_after_the_fifth_time(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann, tool="cursed")
    tried: list[datetime] = []
    world.move_to("2025-01-17")
    for _ in range(8):
        before = world.row("timers", case_ref=rental, event="remind").errors
        world.sweep()
        timer = world.row("timers", case_ref=rental, event="remind")
        if timer.errors > before:
            tried.append(world.clock.now())
        if timer.wake_at is None:
            break
        assert timer.wake_at > world.clock.now()
        world.move_to(timer.wake_at)
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert waits == [timedelta(minutes=n) for n in (1, 4, 16, 64)]
    timer = world.row("timers", case_ref=rental, event="remind")
    assert (timer.errors, timer.wake_at, timer.due_at) == (5, None, at("2025-01-16 23:00"))
    incident = world.row("incidents")
    assert (incident.kind, incident.subject, incident.case_ref) == ("quarantined", ann, rental)
    assert "cursed" in incident.says
    assert world.sweep() == 0


def test_the_other_timers_of_the_subject_go_on(world: World) -> None:
    ann = world.member()
    cursed, fine = world.rental(ann, tool="cursed"), world.rental(ann)
    world.advance_to("2025-01-25")
    assert world.state(cursed) == world.state(fine) == "overdue"
    assert world.steps(fine).count("remind") == 3


def test_events_go_on_too_and_a_timer_armed_anew_starts_without_blame(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann, tool="cursed")
    world.move_to("2025-01-17")
    world.sweep()
    world.applied("rental.extend", f"rentals/{rental}", {"days": 30})
    timer = world.row("timers", case_ref=rental, event="remind")
    assert (timer.errors, timer.due_at, timer.wake_at) == (0, at("2025-02-15 23:00"), at("2025-02-15 23:00"))


def test_a_timer_that_raises_in_the_batch_that_arms_it_anew_is_left_in_peace(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann, tool="cursed")
    world.move_to("2025-01-17")
    world.applied("rental.extend", f"rentals/{rental}", {"days": 30})  # fires the reminder first, which raises
    timer = world.row("timers", case_ref=rental, event="remind")
    assert (timer.due_at, timer.wake_at) == (at("2025-02-15 23:00"), at("2025-02-15 23:00"))
    world.move_to("2025-01-18")
    assert not world.engine.sweep().more


def test_a_timer_that_a_guard_refuses_is_an_incident_once_and_stops_nobody(world: World) -> None:
    ann, bea = world.member("Ann"), world.member("Bea")
    rental, hers = world.rental(ann), world.rental(bea)
    world.advance_to("2025-02-18")
    world.applied("rental.promise", f"rentals/{rental}", {"until": "2025-12-01"})
    world.advance_to("2025-03-05")
    assert (world.state(rental), world.state(hers)) == ("overdue", "missing")
    assert [row.case_ref for row in world.rows("incidents")] == [rental]
    assert world.steps(rental).count("remind") == 8  # two before it was due, six beats: it goes on being reminded


def test_a_subject_whose_rows_the_database_refuses_stops_only_itself(world: World) -> None:
    ann, bea = world.member("Ann"), world.member("Bea")
    rental, hers = world.rental(ann), world.rental(bea)
    row = world.row("history", event="rent", case_ref=rental)._asdict()
    del row["position"]
    world.put("history", **{**row, "sequence": 5, "cause": "written by hand"})  # the number that comes next is taken
    world.move_to("2025-01-22")
    world.sweep()
    assert world.state(hers) == "overdue"
    assert world.state(rental) == "out"


def test_a_subject_whose_facts_cannot_be_read_stops_only_itself(world: World) -> None:
    ann, bea = world.member("Ann"), world.member("Bea")
    rental, hers = world.rental(ann), world.rental(bea)
    with world.database.write() as connection:
        connection.execute(tables.cases.update().where(tables.cases.c.ref == rental).values(facts="{}"))
    world.move_to("2025-01-22")
    world.sweep()
    assert world.state(hers) == "overdue"


# --- the sweep itself ----------------------------------------------------------------------------------------------


def test_a_sweep_takes_a_bounded_number_and_says_that_there_is_more(world: World) -> None:
    for n in range(5):
        world.rental(world.member(f"M{n}"))
    world.move_to("2025-01-17")
    first = world.engine.sweep(most=2)
    assert (first.subjects, first.transitions, first.more) == (2, 2, True)
    assert world.sweep() == 3
    last = world.engine.sweep()
    assert (last.subjects, last.transitions, last.more) == (0, 0, False)


def test_more_timers_of_one_subject_than_a_batch_takes_fire_in_the_next(world: World, monkeypatch: Any) -> None:
    ann = world.member()
    rentals = [world.rental(ann) for _ in range(12)]
    monkeypatch.setattr("vipflow.engine.batch.MOST_TIMERS_AT_ONCE", 5)
    world.move_to("2025-01-17")
    assert world.sweep() == 12
    assert all(world.steps(ref)[-1] == "remind" for ref in rentals)


def test_the_mails_of_a_late_sweep_wait_with_their_effective_date(world: World) -> None:
    ann = world.member()
    world.rental(ann)
    world.move_to("2025-01-21 07:00")
    world.sweep()
    message = world.row("messages", template="overdue")
    assert (message.state, message.effective_at, message.created_at) == (
        "waiting",
        at("2025-01-20 23:00"),
        world.clock.now(),
    )
    assert message.key.split(":")[2:] == ["overdue", "member"]


# --- small help ----------------------------------------------------------------------------------------------------


def _second_tenant(world: World) -> World:
    other = World(world.database, world.workflows, world.trade, world.clock.now())
    with world.database.write() as connection:
        row = connection.execute(tables.tenants.select()).one()
        connection.execute(tables.tenants.insert().values(**{**row._mapping, "id": 2, "key": "second"}))
    other.tenant = 2
    return other


def _lived(world: World) -> list[tuple[Any, ...]]:
    """What was lived, by name instead of reference; without reminders, of which an outage leaves fewer."""
    names = {row.ref: row.name for row in world.rows("subjects")}
    told = []
    for row in world.rows("history"):
        if row.event == "remind" or row.workflow == "member":
            continue
        told.append((names[row.subject], row.effective_at, row.workflow, row.event, row.from_state, row.to_state))
    return sorted(told, key=str)


@pytest.mark.parametrize("hours", [0, 1, 23, 24 * 5])
def test_however_late_we_look_the_last_state_is_the_same(world: World, hours: int) -> None:
    ann = world.member()
    rental = world.rental(ann)
    for day in ("2025-01-16 23:00", "2025-01-20 23:00", "2025-02-19 15:00"):
        world.move_to(at(day) + timedelta(hours=hours))
        world.sweep()
    assert world.state(rental) == "missing"
    assert world.row("cases", ref=rental).since == at("2025-02-19 15:00")
