"""What becomes of an event: each verdict, how it came about, and that nothing else was written."""

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace

from tests.engine.flows import Join, Member, MemberWorkflow, joined
from tests.engine.worlds import World, at, counted_statements
from vipflow.case import View
from vipflow.errors import BadInput, Conflict, NotFound
from vipflow.machine import compile_workflows
from vipflow.references import PATTERN, reference
from vipflow.store import tables
from vipflow.store.database import Database
from vipflow.workflow import REQUEST, Change, Opening, State, Text, Workflow

# --- applied, refused, stale ---------------------------------------------------------------------------------------


def test_an_applied_event_says_which_case_it_moved_and_where_history_has_it(world: World) -> None:
    verdict = world.post("member.join", "members/shop-1", {"name": "Ann"}, id="a1")
    assert (verdict.verdict, verdict.replayed, verdict.sequence) == ("applied", False, 1)
    assert verdict.case == verdict.subject
    assert PATTERN.match(verdict.case)
    row = world.row("history", sequence=1)
    assert (row.event, row.cause, row.source, row.event_id) == ("join", "event:desk/a1", "desk", "a1")
    assert (row.effective_at, row.recorded_at) == (world.clock.now(), world.clock.now())
    kept = world.row("inbox")
    assert (kept.verdict, kept.case_ref, kept.subject_ref, kept.sequence, kept.body) == (
        "applied",
        verdict.case,
        verdict.subject,
        1,
        None,
    )


def test_an_event_without_a_time_happened_when_it_arrived_and_one_with_a_time_then(world: World) -> None:
    ann = world.member()
    world.move_to("2025-01-10 12:00")
    world.applied("member.rename", f"members/{ann}", {"name": "Anna"})
    world.applied("member.rename", f"members/{ann}", {"name": "Anne"}, time="2025-01-08 15:30")
    first, second = world.rows("history", event="rename")
    assert first.effective_at == first.recorded_at == at("2025-01-10 12:00")
    assert (second.effective_at, second.recorded_at) == (at("2025-01-08 15:30"), at("2025-01-10 12:00"))


def test_a_follow_up_is_a_row_of_its_own_in_the_same_history(world: World) -> None:
    ann = world.member("Ann", rents="saw")
    rows = world.rows("history", subject=ann)
    assert [(r.sequence, f"{r.workflow}.{r.event}", r.cause) for r in rows] == [
        (1, "member.join", "event:desk/e1"),
        (2, "card.issue", "event:desk/e1/0"),
        (3, "rental.rent", "event:desk/e1/1"),
        (4, "card.count_rental", "event:desk/e1/1/0"),
    ]


def test_a_refusal_gives_every_reason_and_writes_nothing_but_the_verdict(world: World) -> None:
    ann = world.member()
    late = world.rental(ann)
    world.advance_to("2025-01-22")
    before = world.everything()
    verdict = world.post("rental.rent", f"members/{ann}", {"tool": ""}, id="r1")
    assert verdict.verdict == "refused"
    assert [reason.code for reason in verdict.reasons] == ["something_is_late", "no_tool"]
    assert verdict.reasons[0].facts == {"late": [late]}
    now = world.everything()
    assert {name for name in now if now[name] != before[name]} == {"inbox"}


def test_an_event_in_the_wrong_state_is_told_where_it_would_be_possible(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    verdict = world.post("rental.declare_lost", f"members/{ann}/rentals/{rental}", reason="cannot find it")
    (reason,) = verdict.reasons
    assert (verdict.verdict, reason.code, reason.facts["state"]) == ("refused", "not_in_this_state", "out")
    assert reason.facts["possible_in"] == ["overdue", "missing"]
    assert rental in reason.says.en


def test_a_workflow_may_say_itself_why_an_event_means_nothing_here(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.advance_to("2025-01-22")
    verdict = world.post("rental.cancel", f"rentals/{rental}")
    assert [reason.code for reason in verdict.reasons] == ["too_late_to_cancel"]


def test_staff_must_give_a_reason_where_one_is_required_and_history_keeps_it(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.advance_to("2025-01-22")
    silent = world.post("rental.declare_lost", f"rentals/{rental}", actor="bob@club.org")
    assert [reason.code for reason in silent.reasons] == ["reason_required"]
    world.applied("rental.declare_lost", f"rentals/{rental}", actor="bob@club.org", reason="fell in the lake")
    row = world.row("history", event="declare_lost")
    assert (row.actor_kind, row.actor, row.reason) == ("staff", "bob@club.org", "fell in the lake")


def test_an_event_that_repeats_what_the_case_has_passed_is_stale(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    bill = _bill(world, ann, rental)
    world.applied("bill.pay", f"bills/{bill}")
    again = world.post("bill.pay", f"bills/{bill}")
    assert (again.verdict, again.case) == ("stale", bill)
    assert world.state(bill) == "paid"


def test_what_the_clock_did_never_makes_an_event_stale(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.advance_to("2025-03-01")
    assert world.state(rental) == "missing"
    world.applied("rental.give_back", f"rentals/{rental}", time="2025-01-15 10:00")
    row = world.row("history", event="give_back")
    assert (row.from_state, row.to_state, row.effective_at) == ("missing", "back", at("2025-01-15 10:00"))


def test_of_several_ways_the_first_that_is_free_is_taken(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.applied("rental.give_back", f"rentals/{rental}")
    world.applied("rental.take_again", f"rentals/{rental}")
    assert world.state(rental) == "out"
    world.applied("rental.give_back", f"rentals/{rental}")
    world.move_to("2025-02-01")
    world.applied("rental.take_again", f"rentals/{rental}")
    assert world.state(rental) == "overdue"


# --- parked --------------------------------------------------------------------------------------------------------


def test_a_systems_event_for_nobody_we_know_waits_and_is_woken_by_the_opening_in_its_own_batch(world: World) -> None:
    early = world.event("member.rename", "members/shop-1", {"name": "Anna"})
    opening = world.event("member.join", "members/shop-1", {"name": "Ann"})
    first, second = world.post_all([early, opening])
    assert (first.verdict, second.verdict) == ("applied", "applied")
    assert world.steps() == ["join", "issue", "rename"]
    assert {row.verdict for row in world.rows("inbox")} == {"applied"}


def test_it_is_woken_by_the_opening_in_a_later_batch(world: World) -> None:
    parked = world.post("member.rename", "members/shop-1", {"name": "Anna"}, id="early")
    assert (parked.verdict, parked.waiting_for) == ("parked", "members/shop-1")
    kept = world.row("inbox")
    assert kept.body is not None
    assert kept.expires_at == world.clock.now() + timedelta(hours=72)
    world.move_to("2025-01-07")
    ann = world.applied("member.join", "members/shop-1", {"name": "Ann"}).case
    assert world.facts(ann)["name"] == "Anna"
    row = world.row("inbox", event_id="early")
    assert (row.verdict, row.waiting_for, row.expires_at, row.body) == ("applied", None, None, None)
    told = world.row("history", event="rename")
    assert told.effective_at == at("2025-01-06 09:00")
    assert told.recorded_at == at("2025-01-07")


@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "one by one"])
def test_events_that_wait_for_the_same_name_are_taken_up_in_the_order_in_which_they_happened(
    world: World, at_once: bool
) -> None:
    events = [
        world.event("member.rename", "members/shop-1", {"name": "Third"}, time="2025-01-05 12:00"),
        world.event("member.rename", "members/shop-1", {"name": "First"}, time="2025-01-03 12:00"),
        world.event("member.rename", "members/shop-1", {"name": "Second"}, time="2025-01-04 12:00"),
        world.event("member.join", "members/shop-1", {"name": "Ann"}, time="2025-01-02 12:00"),
    ]
    for batch in [events] if at_once else [[each] for each in events]:
        world.post_all(batch)
    names = [json.loads(row.facts_after)["name"] for row in world.rows("history", event="rename")]
    assert names == ["First", "Second", "Third"]


def test_a_name_that_a_record_gives_wakes_what_waits_for_it(world: World) -> None:
    ann = world.member()
    assert world.post("member.rename", "members/CARD-7", {"name": "Anna"}).verdict == "parked"
    world.applied("member.record_number", f"members/{ann}", {"card_number": "CARD-7"})
    assert world.facts(ann)["name"] == "Anna"


def test_an_event_that_was_woken_may_wake_others(world: World) -> None:
    """A chain: the return waits for the rental, the rental for the member."""
    events = [
        world.event("rental.give_back", "rentals/TICKET-1", time="2025-01-05 12:00"),
        world.event("rental.rent", "members/shop-1/rentals/TICKET-1", {"tool": "saw"}, time="2025-01-04 12:00"),
        world.event("member.join", "members/shop-1", {"name": "Ann"}, time="2025-01-03 12:00"),
    ]
    assert [world.post_all([each])[0].verdict for each in events] == ["parked", "parked", "applied"]
    assert [row.verdict for row in world.rows("inbox")] == ["applied"] * 3
    assert world.steps()[-1] == "give_back"


def test_what_is_woken_and_lacks_another_name_is_woken_again_by_that_one(world: World) -> None:
    """It waited for the member; the member came, and now it waits for the rental."""
    path = "members/shop-1/rentals/TICKET-1"
    assert world.post("rental.give_back", path, id="back").waiting_for == "members/shop-1"
    world.applied("member.join", "members/shop-1", {"name": "Ann"})
    assert world.row("inbox", event_id="back").waiting_for == "rentals/TICKET-1"
    world.applied("rental.rent", path, {"tool": "saw"}, time="2025-01-05 12:00")
    assert world.row("inbox", event_id="back").verdict == "applied"


def test_an_event_whose_data_names_a_case_waits_for_that_case(world: World) -> None:
    ann = world.member()
    charge = world.post("bill.charge", f"members/{ann}", {"rental": "TICKET-9", "amount": 5}, id="c")
    assert (charge.verdict, charge.waiting_for) == ("parked", "rentals/TICKET-9")
    rental = world.rental(ann, ticket="TICKET-9")
    assert world.row("inbox", event_id="c").verdict == "applied"
    (bill,) = world.rows("cases", workflow="bill")
    assert world.facts(bill.ref)["rental"] == rental


def test_several_names_in_a_list_become_our_references(world: World) -> None:
    ann = world.member()
    refs = [world.rental(ann, ticket="T1"), world.rental(ann, ticket="T2")]
    bill = world.applied("bill.charge_several", f"members/{ann}", {"rentals": ["T1", "T2"], "amount": 5}).case
    assert world.facts(bill)["rental"] == ",".join(refs)


def test_staff_are_told_at_once_that_there_is_nothing_of_that_name_and_the_id_stays_free(world: World) -> None:
    answer = world.post("member.rename", "members/M-0000-0000", {"name": "X"}, id="s1", actor="bob@club.org")
    assert isinstance(answer, NotFound)
    assert answer.exit_code == 4
    assert world.rows("inbox") == []
    ann = world.member()
    world.applied("member.rename", f"members/{ann}", {"name": "X"}, id="s1", actor="bob@club.org")


def test_who_waits_three_days_becomes_an_incident_once_and_is_still_woken_later(world: World) -> None:
    world.post("member.rename", "members/shop-1", {"name": "Anna"}, id="early")
    world.move_to("2025-01-09 08:59")
    assert world.engine.expire_parked() == 0
    world.move_to("2025-01-09 09:00")
    assert world.engine.expire_parked() == 1
    assert world.engine.expire_parked() == 0
    assert world.incidents() == ["parked_too_long"]
    assert "shop-1" in world.row("incidents").says
    assert world.row("inbox").verdict == "parked"
    world.move_to("2025-01-20")
    ann = world.applied("member.join", "members/shop-1", {"name": "Ann"}, time="2025-01-01 09:00").case
    assert world.facts(ann)["name"] == "Anna"
    assert world.row("inbox", event_id="early").verdict == "applied"


def test_what_missed_its_opening_is_found_by_the_round_of_retries(world: World) -> None:
    """Two transactions may pass each other: the event parks while the opening is being committed."""
    world.post("member.rename", "members/shop-1", {"name": "Anna"}, id="early")
    with world.database.write() as connection:
        connection.execute(tables.inbox.update().values(waiting_for="members/nobody"))
    world.applied("member.join", "members/shop-1", {"name": "Ann"})
    assert world.row("inbox", event_id="early").verdict == "parked"
    assert world.engine.retry_parked() == 1
    assert world.row("inbox", event_id="early").verdict == "applied"
    assert world.engine.retry_parked() == 0


# --- replays -------------------------------------------------------------------------------------------------------


def test_the_same_event_again_has_no_second_effect_and_gets_the_present_verdict(world: World) -> None:
    ann = world.member()
    first = world.post("rental.rent", f"members/{ann}", {"tool": "saw"}, id="r1")
    before = world.everything()
    world.move_to("2025-01-07")
    again = world.post("rental.rent", f"members/{ann}", {"tool": "saw"}, id="r1")
    assert again == replace(first, replayed=True)
    assert world.everything() == before


def test_a_refusal_is_final_for_its_id_and_comes_back_with_its_reasons(world: World) -> None:
    ann = world.member()
    first = world.post("member.rename", f"members/{ann}", {"name": "ANN"}, id="r1")
    again = world.post("member.rename", f"members/{ann}", {"name": "ANN"}, id="r1")
    assert again == replace(first, replayed=True)
    assert again.reasons[0].code == "shouting"


def test_a_replay_of_what_was_parked_gets_what_became_of_it(world: World) -> None:
    world.post("member.rename", "members/shop-1", {"name": "Anna"}, id="early")
    world.applied("member.join", "members/shop-1", {"name": "Ann"})
    again = world.post("member.rename", "members/shop-1", {"name": "Anna"}, id="early")
    assert (again.verdict, again.replayed, again.sequence) == ("applied", True, 3)


@pytest.mark.parametrize(
    "change", [{"data": {"name": "Bea"}}, {"subject": "members/other"}, {"time": "2025-01-05 09:00"}]
)
def test_the_same_id_with_another_body_is_a_conflict(world: World, change: dict[str, Any]) -> None:
    sent: dict[str, Any] = {
        "subject": "members/shop-1",
        "data": {"name": "Ann"},
        "time": "2025-01-06 08:00",
        "id": "j1",
    }
    world.applied("member.join", **sent)
    before = world.everything()
    answer = world.post("member.join", **(sent | change))
    assert isinstance(answer, Conflict)
    assert answer.exit_code == 5
    assert world.everything() == before


def test_the_same_id_from_another_source_is_another_event(world: World) -> None:
    ann = world.member()
    world.applied("member.rename", f"members/{ann}", {"name": "Anna"}, id="1", source="shop")
    world.applied("member.rename", f"members/{ann}", {"name": "Anne"}, id="1", source="office")
    assert world.facts(ann)["name"] == "Anne"


def test_duplicates_inside_one_batch_count_once(world: World) -> None:
    ann = world.member()
    event = world.event("rental.rent", f"members/{ann}", {"tool": "saw"}, id="r1")
    other = world.event("rental.rent", f"members/{ann}", {"tool": "drill"}, id="r1")
    first, second, third = world.post_all([event, event, other])
    assert (first.verdict, first.replayed) == ("applied", False)
    assert second == replace(first, replayed=True)
    assert isinstance(third, Conflict)
    assert len(world.rows("cases", workflow="rental")) == 1


def test_a_duplicate_of_what_waits_in_the_same_batch_learns_what_became_of_it(world: World) -> None:
    early = world.event("member.rename", "members/shop-1", {"name": "Anna"})
    opening = world.event("member.join", "members/shop-1", {"name": "Ann"})
    first, second, third = world.post_all([early, early, opening])
    assert (first.verdict, first.replayed) == ("applied", False)
    assert (second.verdict, second.replayed) == ("applied", True)
    assert third.verdict == "applied"


# --- rejected at the border, the id stays free ---------------------------------------------------------------------


def test_an_event_over_five_minutes_ahead_is_rejected_and_its_id_stays_free(world: World) -> None:
    ann = world.member()
    world.applied("member.rename", f"members/{ann}", {"name": "A"}, time=world.clock.now() + timedelta(minutes=5))
    ahead = world.event(
        "member.rename",
        f"members/{ann}",
        {"name": "B"},
        id="x",
        time=world.clock.now() + timedelta(minutes=5, seconds=1),
    )
    (answer,) = world.post_all([ahead])
    assert isinstance(answer, BadInput)
    assert world.rows("inbox", event_id="x") == []
    world.move_to(world.clock.now() + timedelta(minutes=1))
    assert world.post_all([ahead])[0].verdict == "applied"


def test_a_name_that_fits_two_cases_is_rejected_and_both_are_named(world: World) -> None:
    ann = world.member()
    refs = sorted([world.rental(ann, ticket="T1"), world.rental(ann, ticket="T1")])
    answer = world.post("rental.give_back", "rentals/T1", id="x")
    assert isinstance(answer, BadInput)
    assert all(ref in str(answer) for ref in refs)
    assert world.rows("inbox", event_id="x") == []


def test_a_name_that_two_members_use_is_told_apart_by_the_member(world: World) -> None:
    ann, bea = world.member("Ann"), world.member("Bea")
    world.rental(ann, ticket="T1")
    hers = world.rental(bea, ticket="T1")
    assert world.applied("rental.give_back", f"members/{bea}/rentals/T1").case == hers


@pytest.mark.parametrize(
    ("type", "subject", "hint"),
    [
        ("rental.give_back", "bills/x", "does not fit"),
        ("rental.give_back", "members/a/rentals", "is no path"),
        ("rental.give_back", "members/a/bills/b", "does not fit"),
        ("rental.give_back", "", "does not fit"),
        ("bill.charge", "bills/b", "does not say for whom"),
        ("member.join", "members/M-0000-0000", "has the form of our references"),
    ],
)
def test_a_subject_that_makes_no_sense_is_rejected_with_what_would_be_right(
    world: World, type: str, subject: str, hint: str
) -> None:
    data = {"name": "A"} if type == "member.join" else {"rental": "r", "amount": 1} if type == "bill.charge" else {}
    answer = world.post(type, subject, data)
    assert isinstance(answer, BadInput)
    assert hint in str(answer)
    assert world.rows("inbox") == []


def test_a_reference_typed_by_hand_is_understood(world: World) -> None:
    ann = world.member()
    typed = ann.lower().replace("0", "o").replace("1", "l")
    assert world.applied("member.rename", f"members/{typed}", {"name": "Anna"}).case == ann


def test_a_rejected_event_leaves_its_neighbours_alone(world: World) -> None:
    ann = world.member()
    ahead = world.event("member.rename", f"members/{ann}", {"name": "B"}, time="2026-01-01")
    good = world.event("member.rename", f"members/{ann}", {"name": "C"})
    first, second = world.post_all([ahead, good])
    assert isinstance(first, BadInput)
    assert second.verdict == "applied"


# --- quarantined ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["Guard breaks", "Record breaks"])
def test_a_guard_or_record_that_raises_touches_only_its_own_event(world: World, what: str) -> None:
    ann = world.member()
    envelopes = [
        world.event("member.rename", f"members/{ann}", {"name": "Before"}),
        world.event("member.rename", f"members/{ann}", {"name": what}, id="bad"),
        world.event("member.rename", f"members/{ann}", {"name": "After"}),
    ]
    verdicts = world.post_all(envelopes)
    assert [v.verdict for v in verdicts] == ["applied", "quarantined", "applied"]
    assert world.facts(ann)["name"] == "After"
    kept = world.row("inbox", event_id="bad")
    assert kept.verdict == "quarantined"
    assert kept.body is not None
    (incident,) = world.rows("incidents")
    assert (incident.kind, incident.subject, incident.cause) == ("quarantined", ann, "event:desk/bad")


def test_a_builder_that_raises_opens_nothing(world: World) -> None:
    bad, good = world.post_all(
        [world.event("member.join", data={"name": "Builder breaks"}), world.event("member.join", data={"name": "Ann"})]
    )
    assert (bad.verdict, bad.case, bad.subject) == ("quarantined", None, None)
    assert good.verdict == "applied"
    assert [row.ref for row in world.rows("subjects")] == [good.subject]
    assert world.incidents() == ["quarantined"]


def test_a_replay_of_what_was_quarantined_says_so_and_opens_no_second_incident(world: World) -> None:
    ann = world.member()
    for replayed in (False, True):
        verdict = world.post("member.rename", f"members/{ann}", {"name": "Guard breaks"}, id="bad")
        assert (verdict.verdict, verdict.replayed) == ("quarantined", replayed)
    assert world.incidents() == ["quarantined"]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_of_a_batch_that_the_database_refuses_only_the_culprit_is_quarantined(world: World, size: int) -> None:
    ann = world.member()
    # A history row that bears the cause of an event to come, written by hand: the unique key will refuse the real one.
    world.put("history", **_history_row(world, ann, cause="event:desk/bad"))
    events = [world.event("member.rename", f"members/{ann}", {"name": f"N{n}"}) for n in range(size)]
    culprit = world.event("member.rename", f"members/{ann}", {"name": "Culprit"}, id="bad")
    events.insert(size // 2, culprit)
    verdicts = world.post_all(events)
    assert [v.verdict for v in verdicts] == ["quarantined" if e is culprit else "applied" for e in events]
    assert [row.event_id for row in world.rows("inbox", verdict="quarantined")] == ["bad"]
    assert world.incidents() == ["quarantined"]
    assert world.facts(ann)["name"] == f"N{size - 1}"


def test_text_that_no_database_can_hold_quarantines_only_its_own_event(world: World) -> None:
    """The border refuses lone surrogates; should one slip past it, its neighbours still stand."""
    ann, bea = world.member("Ann"), world.member("Bea")
    broken = world.event("member.rename", f"members/{ann}", {"name": "x"}, id="bad")
    broken = replace(broken, data=replace(broken.data, name="half a \ud83d letter"))
    good = world.event("member.rename", f"members/{bea}", {"name": "Beate"})
    verdicts = world.post_all([good, broken])
    assert [v.verdict for v in verdicts] == ["applied", "quarantined"]
    assert world.facts(bea)["name"] == "Beate"
    assert world.facts(ann)["name"] == "Ann"


def test_a_reference_that_is_taken_already_is_exchanged_for_another(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    taken = [reference("R", "club", "event:desk/r1", salt) for salt in (0, 1)]
    for ref in taken:
        _copy_case(world, rental, ref)
    verdict = world.applied("rental.rent", f"members/{ann}", {"tool": "saw"}, id="r1")
    assert verdict.case == reference("R", "club", "event:desk/r1", 2)
    again = world.post("rental.rent", f"members/{ann}", {"tool": "saw"}, id="r1")
    assert again == replace(verdict, replayed=True)


def test_a_subjects_reference_that_is_taken_already_is_exchanged_for_another(world: World) -> None:
    ann = world.member()
    row = world.row("subjects", ref=ann)
    world.put("subjects", **{**row._mapping, "ref": reference("M", "club", "event:desk/j1")})
    verdict = world.applied("member.join", data={"name": "Bea"}, id="j1")
    assert verdict.case == reference("M", "club", "event:desk/j1", 1)


# --- reports and follow-ups ----------------------------------------------------------------------------------------


def test_a_report_that_contradicts_us_is_recorded_with_an_incident_that_people_are_told_of(world: World) -> None:
    ann = world.member()
    bill = _bill(world, ann, world.rental(ann))
    world.applied("bill.waive", f"bills/{bill}", reason="goodwill")
    verdict = world.post("bill.pay", f"bills/{bill}", id="p1")
    assert verdict.verdict == "applied"
    row = world.row("history", event="pay")
    assert (row.from_state, row.to_state, json.loads(row.note)["note"]) == ("waived", "waived", "contradiction")
    incident = world.row("incidents")
    assert (incident.kind, incident.case_ref, incident.cause) == ("contradiction", bill, "event:desk/p1")
    assert "incident_opened" in world.mails(subject=ann)
    assert world.facts(ann)["incident"].startswith("contradiction:")


def test_a_report_that_opens_is_never_refused_and_its_guards_become_an_incident(world: World) -> None:
    ann = world.member()
    late = world.rental(ann)
    world.advance_to("2025-01-22")
    taken = world.applied("rental.take", f"members/{ann}", {"tool": "ladder"})
    assert world.state(taken.case) == "out"
    incident = world.row("incidents")
    assert (incident.kind, incident.case_ref) == ("contradiction", taken.case)
    assert world.state(late) == "overdue"


def test_a_report_of_what_we_know_already_is_recorded_without_an_incident(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.applied("rental.give_back", f"rentals/{rental}")
    again = world.applied("rental.give_back", f"rentals/{rental}", {"damages": [3]})
    assert again.case == rental
    assert world.incidents() == []
    _, second = world.rows("history", event="give_back")
    assert json.loads(second.note)["note"] == "repeated"
    assert world.rows("cases", workflow="bill") == []


def test_in_a_requests_chain_the_refusal_of_one_refuses_all_and_nothing_is_written(world: World) -> None:
    ann = world.member()
    late, other = world.rental(ann), world.rental(ann)
    world.applied("rental.extend", f"rentals/{other}", {"days": 30})
    world.advance_to("2025-01-22")
    before = world.everything()
    verdict = world.post("rental.swap", f"rentals/{other}", {"other": late})
    assert (verdict.verdict, [r.code for r in verdict.reasons]) == ("refused", ["too_late_to_cancel"])
    now = world.everything()
    assert {name for name in now if now[name] != before[name]} == {"inbox"}


def test_in_a_reports_chain_the_refusal_of_one_is_an_incident_and_the_rest_stands(world: World) -> None:
    ann = world.member()
    late, other = world.rental(ann), world.rental(ann)
    world.applied("rental.extend", f"rentals/{other}", {"days": 30})
    world.advance_to("2025-01-22")
    world.applied("rental.swap_seen", f"rentals/{other}", {"other": late}, id="s1")
    assert world.steps(other)[-1] == "swap_seen"
    assert world.state(late) == "overdue"
    incident = world.row("incidents")
    assert (incident.kind, incident.case_ref, incident.cause) == ("follow_up_refused", late, "event:desk/s1/0")
    assert world.mails(subject=ann).count("incident_opened") == 1


def test_a_follow_up_that_is_possible_moves_the_other_case(world: World) -> None:
    ann = world.member()
    first, second = world.rental(ann), world.rental(ann)
    world.applied("rental.swap", f"rentals/{second}", {"other": first})
    assert (world.state(first), world.state(second)) == ("cancelled", "out")


def test_a_follow_up_may_open_several_cases_each_with_its_own_cause(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.applied("rental.give_back", f"rentals/{rental}", {"damages": [5, 7, 9]}, id="g1")
    rows = world.rows("history", event="follow")
    assert [row.cause for row in rows] == ["event:desk/g1/0", "event:desk/g1/0.1", "event:desk/g1/0.2"]
    assert [world.facts(row.case_ref)["amount"] for row in rows] == [5, 7, 9]


def test_a_follow_up_reaches_a_settled_case_that_is_loaded_on_demand(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.applied("rental.give_back", f"rentals/{rental}", {"damages": [5]})
    (bill,) = world.rows("cases", workflow="bill")
    world.applied("bill.pay", f"bills/{bill.ref}")
    assert world.facts(rental)["bills_paid"] == 1
    assert world.state(rental) == "back"


def test_events_wait_for_a_settled_case_in_their_order(world: World) -> None:
    """The payment needs the settled rental; what follows for the same member must not overtake it."""
    ann, bea = world.member("Ann"), world.member("Bea")
    rental = world.rental(ann)
    world.applied("rental.give_back", f"rentals/{rental}", {"damages": [5]})
    (bill,) = world.rows("cases", workflow="bill")
    verdicts = world.post_all(
        [
            world.event("bill.pay", f"bills/{bill.ref}"),
            world.event("member.rename", f"members/{ann}", {"name": "Later"}),
            world.event("member.rename", f"members/{bea}", {"name": "Elsewhere"}),
            world.event("bill.pay", f"bills/{bill.ref}"),
        ]
    )
    assert [v.verdict for v in verdicts] == ["applied", "applied", "applied", "stale"]
    assert [row.event for row in world.rows("history", subject=ann)][-3:] == ["pay", "settle_bill", "rename"]


def test_a_guard_may_ask_for_a_settled_case(world: World) -> None:
    ann = world.member()
    back, lost = world.rental(ann), world.rental(ann)
    world.applied("rental.give_back", f"rentals/{back}")
    world.advance_to("2025-01-22")
    world.applied("rental.declare_lost", f"rentals/{lost}", reason="fell in the lake")
    first, second = world.post_all(
        [world.event("bill.charge", f"members/{ann}", {"rental": rental, "amount": 3}) for rental in (back, lost)]
    )
    assert first.verdict == "applied"
    assert [reason.code for reason in second.reasons] == ["rental_is_lost"]


# --- names ---------------------------------------------------------------------------------------------------------


def test_a_request_for_an_exclusive_name_that_is_taken_is_refused_and_says_by_whom(world: World) -> None:
    ann = world.member("Ann", card_number="N1")
    verdict = world.post("member.join", data={"name": "Bea", "card_number": "N1"})
    (reason,) = verdict.reasons
    assert (verdict.verdict, reason.code, reason.facts) == ("refused", "name_taken", {"value": "N1", "case": ann})
    assert len(world.rows("subjects")) == 1


def test_a_report_of_an_exclusive_name_that_is_taken_is_recorded_with_an_incident(world: World) -> None:
    ann, bea = world.member("Ann", card_number="N1"), world.member("Bea")
    world.applied("member.record_number", f"members/{bea}", {"card_number": "N1"})
    assert world.facts(bea)["card_number"] == "N1"
    assert world.incidents() == ["name_taken"]
    assert {(row.case_ref, row.exclusive) for row in world.rows("names", value="N1")} == {(ann, True), (bea, False)}


def test_an_exclusive_name_is_taken_inside_one_batch_too(world: World) -> None:
    first, second = world.post_all(
        [world.event("member.join", data={"name": name, "card_number": "N1"}) for name in ("Ann", "Bea")]
    )
    assert (first.verdict, second.verdict) == ("applied", "refused")


def test_a_reference_of_the_senders_own_names_one_case_only(world: World) -> None:
    ann = world.applied("member.join", "members/shop-1", {"name": "Ann"}).case
    again = world.post("member.join", "members/shop-1", {"name": "Ann"})
    assert (again.verdict, again.reasons[0].code, again.case) == ("refused", "name_taken", ann)
    told = world.post("member.adopt", "members/shop-1", {"name": "Ann", "card_until": "2025-12-01"})
    assert (told.verdict, told.case) == ("stale", ann)


def test_a_second_case_of_a_workflow_that_has_one_per_subject_is_refused(world: World) -> None:
    ann = world.member()
    verdict = world.post("card.replace", f"members/{ann}")
    assert verdict.verdict == "refused"
    assert len(world.rows("cases", workflow="card")) == 1


def test_everybody_is_called_by_any_of_their_names(world: World) -> None:
    ann = world.member("Ann", card_number="N1")
    for n, name in enumerate([ann, "N1", "ann@x.org"]):
        assert world.applied("member.rename", f"members/{name}", {"name": f"Ann {n}"}).case == ann
    card = world.applied("card.freeze", "members/N1").case
    assert world.state(card) == "frozen"
    assert world.applied("card.thaw", f"cards/{card}").case == card


# --- openings ------------------------------------------------------------------------------------------------------


def test_an_adopted_member_starts_where_the_dates_say_and_gets_no_mail(world: World) -> None:
    data = {
        "name": "Ann",
        "email": "ann@x.org",
        "card_until": "2024-12-01",
        "rentals": [{"tool": "saw", "due_on": "2025-01-20"}, {"tool": "axe", "due_on": "2025-01-05", "ticket": "T9"}],
    }
    ann = world.applied("member.adopt", "members/old-1", data).case
    states = {row.workflow: row.state for row in world.rows("cases", subject=ann) if row.workflow != "rental"}
    assert states == {"member": "active", "card": "expired"}
    rentals = {world.facts(row.ref)["tool"]: row.state for row in world.rows("cases", workflow="rental")}
    assert rentals == {"saw": "out", "axe": "overdue"}
    assert world.mails() == []
    assert world.row("subjects").tally == '{"card.expired":1}'


def test_a_guard_of_a_new_member_that_asks_for_a_case_is_told_that_there_is_none(database: Database) -> None:
    """Nothing of a subject that is only being opened can be missing: it has no settled cases to load."""
    asked = []

    def sponsored(_facts: None, _data: Join, view: View) -> None:
        asked.append(view.named("R-0000-0000"))

    class Sponsored(Workflow):
        name_in_events, collection, prefix, title = "member", "members", "M", Text("membre", "member")
        is_subject = True
        facts = Member
        active = State(initial=True)
        gone = State(final=True)
        labels = MemberWorkflow.labels
        leave = active.to(gone)
        openings = [Opening("join", active, data=Join, build=joined, unless=[_counted(sponsored)])]
        changes = [Change(leave, kind=REQUEST)]

    world = World(database, compile_workflows([Sponsored]))
    assert world.post("member.join", data={"name": "Ann"}).verdict == "applied"
    assert asked[-1] is None


def _counted(guard: Callable[..., None]) -> Callable[..., None]:
    """Fails in the end, where it would be asked for ever."""
    calls = count()

    def ask(facts: Any, data: Any, view: View) -> None:
        assert next(calls) < 50, "asked again and again"
        guard(facts, data, view)

    return ask


def test_the_tally_counts_settled_cases_and_follows_those_that_come_back(world: World) -> None:
    ann = world.member()
    rental = world.rental(ann)
    world.applied("rental.give_back", f"rentals/{rental}")
    assert world.row("subjects").tally == '{"rental.back":1}'
    world.applied("rental.take_again", f"rentals/{rental}")
    assert world.row("subjects").tally == "{}"
    assert "fall_due due_on+1d" in world.timers(rental)


def test_nothing_posted_asks_the_database_nothing(world: World) -> None:
    with counted_statements(world.database) as counted:
        assert world.post_all([]) == []
    assert len(counted) == 0


def test_two_tenants_never_meet(world: World, another: Callable[..., World]) -> None:
    ann = world.member("Ann", card_number="N1")
    other = another()
    with other.database.write() as connection:
        connection.execute(
            tables.tenants.insert().values(
                id=77, key="rival", name="Rival", language="en", zone="Europe/Paris", policy="club", settings="{}",
                created_at=world.clock.now(),
            )
        )  # fmt: skip
    other.tenant = 77
    assert other.post("member.rename", f"members/{ann}", {"name": "Stolen"}).verdict == "parked"
    other.applied("member.join", "members/N1", {"name": "Bea", "card_number": "N1"}, id="same")
    world.applied("member.rename", f"members/{ann}", {"name": "Anna"}, id="same")
    other.applied("member.rename", "members/N1", {"name": "Beate"})
    assert [row.name for row in world.rows("subjects")] == ["Anna"]
    assert [row.name for row in other.rows("subjects")] == ["Beate"]


# --- small help ----------------------------------------------------------------------------------------------------


def _bill(world: World, member: str, rental: str) -> str:
    return str(world.applied("bill.charge", f"members/{member}", {"rental": rental, "amount": 10}).case)


def _history_row(world: World, subject: str, **changes: Any) -> dict[str, Any]:
    row = world.rows("history", subject=subject)[0]._asdict()
    del row["position"]
    return {**row, "sequence": 1000, **changes}


def _copy_case(world: World, ref: str, new: str) -> None:
    world.put("cases", **{**world.row("cases", ref=ref)._mapping, "ref": new, "settled": True})
