"""Amending running cases: other numbers, a state or timers called otherwise; seen in history, and `verify` is clean."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.engine.lending import LATER, LENT, LIBRARY, LibraryTrade, numbers
from tests.engine.worlds import START, World, at, counted_statements
from vipflow.amending import Amendment
from vipflow.case import Actor
from vipflow.engine.amending import Answer, amend_cases, foresee
from vipflow.engine.verify import verify
from vipflow.errors import BadInput, WorkflowError
from vipflow.machine import compile_workflow
from vipflow.store.database import Database
from vipflow.workflow import Opening, State, Text, Workflow

BOSS = Actor("staff", "boss@x.org")


@pytest.fixture
def library(database: Database) -> World:
    return World(database, LIBRARY, LibraryTrade())


def later(library: World) -> World:
    """The same library, once somebody has edited the workflow file."""
    world = World(library.database, LATER, LibraryTrade(), ids="later")
    world.clock = world.engine.clock = library.clock
    return world


def loan(world: World, reader: str | None = None, book: str = "Emma") -> str:
    if reader is None:
        reader = str(world.applied("reader.enrol").subject)
    return str(world.applied("loan.lend", f"readers/{reader}", {"book": book}).case)


def amended(world: World, *amendments: Amendment, reason: str = "new house rules", at_once: int = 500) -> list[Answer]:
    return amend_cases(
        world.engine, world.tenant, amendments, BOSS, reason, act="policy.apply", target="policy/library",
        at_once=at_once,
    )  # fmt: skip


def assert_clean(world: World) -> None:
    report = verify(world.database, world.workflows, world.trade, now=world.clock.now(), idle_at=world.clock.now())
    assert [(f.invariant, f.record, f.problem) for f in report.findings] == []


def due_on(world: World, ref: str) -> str:
    return str(world.facts(ref)["due_on"])


# --- other numbers -------------------------------------------------------------------------------------------------


def test_an_amended_case_has_the_days_and_timers_of_its_new_numbers(library: World) -> None:
    ref = loan(library)
    new = numbers(loan_days=20, recall_days=[5])
    (answer,) = amended(library, Amendment(ref, new))
    assert answer.amended is not None
    assert due_on(library, ref) == "2025-01-26"
    assert library.timers(ref) == {
        "remind due_on-5d": at("2025-01-20 23:00"),
        "fall_due due_on+1d": at("2025-01-26 23:00"),
    }
    assert library.row("cases", ref=ref).policy == new.id
    assert library.row("subjects").next_due == at("2025-01-20 23:00")
    assert_clean(library)


def test_history_tells_who_amended_it_why_and_what_was_before(library: World) -> None:
    ref = loan(library)
    new = numbers(loan_days=20)
    amended(library, Amendment(ref, new), reason="the board decided it")
    row = library.row("history", event="amend")
    assert (row.actor_kind, row.actor, row.reason) == ("staff", "boss@x.org", "the board decided it")
    assert (row.from_state, row.to_state, row.policy) == ("out", "out", new.id)
    assert json.loads(row.facts_before) == {"due_on": "2025-01-20"}
    told = json.loads(row.note)["data"]
    assert told["policy"] == [LENT.id, new.id]
    moved = {each["event"]: (each["before"], each["after"]) for each in told["timers"]}
    assert moved["fall_due"] == ("2025-01-20T23:00:00Z", "2025-01-26T23:00:00Z")
    act = library.row("audit")
    assert (act.act, act.target, act.actor, json.loads(act.details)) == (
        "policy.apply",
        "policy/library",
        "boss@x.org",
        {"cases": 1},
    )


def test_a_second_time_nothing_changes(library: World) -> None:
    ref = loan(library)
    amended(library, Amendment(ref, numbers(loan_days=20)))
    before = library.everything()
    assert amended(library, Amendment(ref, numbers(loan_days=20))) == [Answer(ref, library.row("subjects").ref)]
    assert library.everything() == before


def test_a_day_that_somebody_else_granted_stands(library: World) -> None:
    ref = loan(library)
    library.applied("loan.extend", f"loans/{ref}", {"due_on": "2025-03-01"})
    amended(library, Amendment(ref, numbers(loan_days=5)))
    assert due_on(library, ref) == "2025-03-01"
    assert_clean(library)


def test_a_deadline_that_is_over_now_falls_due_at_once_with_its_own_date_and_one_mail(library: World) -> None:
    ref = loan(library)
    library.advance_to("2025-01-19 12:00")
    assert library.mails() == ["recall", "recall"]
    amended(library, Amendment(ref, numbers(loan_days=8)))
    assert library.timers(ref) == {"fall_due due_on+1d": at("2025-01-14 23:00")}
    assert library.state(ref) == "out"
    library.sweep()
    assert library.state(ref) == "late"
    assert library.row("cases", ref=ref).since == at("2025-01-14 23:00")
    assert library.row("subjects").late_count == 1
    assert library.mails() == ["recall", "recall", "overdue", "recall"]  # of the ladder only the newest leaves
    assert_clean(library)


def test_a_reminder_whose_day_is_over_now_is_not_sent(library: World) -> None:
    ref = loan(library)
    library.advance_to("2025-01-12 12:00")
    amended(library, Amendment(ref, numbers(recall_days=[10, 9])))
    assert "remind due_on-10d,-9d" not in library.timers(ref)
    assert library.sweep() == 0
    assert_clean(library)


def test_a_deadline_that_lies_ahead_again_leads_the_case_back(library: World) -> None:
    ref = loan(library)
    library.advance_to("2025-01-21 12:00")
    assert library.state(ref) == "late"
    amended(library, Amendment(ref, numbers(loan_days=30)))
    assert library.state(ref) == "out"
    assert library.row("cases", ref=ref).since == at("2025-01-21 12:00")
    assert library.timers(ref)["fall_due due_on+1d"] == at("2025-02-05 23:00")
    assert library.row("subjects").late_count == 0
    assert_clean(library)
    library.advance_to("2025-02-06")
    assert library.state(ref) == "late"
    assert_clean(library)


def test_what_the_numbers_do_not_touch_stands_as_it_is(library: World) -> None:
    ref = loan(library)
    library.advance_to("2025-01-21 12:00")
    before = library.timers(ref)
    amended(library, Amendment(ref, numbers(recall_days=[3])))
    assert library.timers(ref) == before == {"remind every 7d": at("2025-01-21 23:00")}
    amended(library, Amendment(ref, numbers(nag_days=3, nag_first=2)))
    assert library.timers(ref) == {"remind every 3d": at("2025-01-22 23:00")}
    assert_clean(library)


def test_what_fell_due_before_has_fallen_due_before(library: World) -> None:
    ref = loan(library)
    library.move_to("2025-01-22")
    amended(library, Amendment(ref, numbers(nag_days=5)))
    assert library.steps(ref) == ["lend", "remind", "fall_due", "remind", "amend"]
    assert_clean(library)


def test_nothing_of_a_settled_case_depends_on_the_numbers(library: World) -> None:
    ref = loan(library)
    library.applied("loan.give_back", f"loans/{ref}")
    before = library.everything()
    (answer,) = amended(library, Amendment(ref, numbers(loan_days=20)))
    assert [reason.code for reason in answer.left] == ["settled"]
    assert library.everything() == before


def test_one_case_that_cannot_be_amended_is_left_and_told_and_the_others_stand(library: World) -> None:
    reader = str(library.applied("reader.enrol").subject)
    good, cursed, other = (loan(library, reader, book) for book in ("Emma", "cursed", "Ulysses"))
    answers = amended(library, *(Amendment(ref, numbers(loan_days=20)) for ref in (good, cursed, "L-0000-0000", other)))
    assert [[reason.code for reason in answer.left] for answer in answers] == [[], ["fault"], ["not_there"], []]
    assert "nobody can say when this is due" in answers[1].left[0].says.en
    assert [due_on(library, ref) for ref in (good, cursed, other)] == ["2025-01-26", "2025-01-20", "2025-01-26"]
    assert_clean(library)


def test_a_customer_on_hold_is_left(library: World) -> None:
    ref = loan(library)
    library.put(
        "holds",
        id="H-1",
        tenant=library.tenant,
        subject=library.row("subjects").ref,
        mail_only=False,
        kind="manual",
        reason="a quarrel",
        made_by="boss@x.org",
        made_at=START,
    )
    (answer,) = amended(library, Amendment(ref, numbers(loan_days=20)))
    assert [reason.code for reason in answer.left] == ["on_hold"]
    assert library.steps(ref) == ["lend"]


def test_without_a_reason_nothing_is_amended(library: World) -> None:
    ref = loan(library)
    with pytest.raises(BadInput, match="say why"):
        amended(library, Amendment(ref, numbers(loan_days=20)), reason=" ")


def test_what_would_become_of_it_is_told_as_it_then_is_and_nothing_written(library: World) -> None:
    refs = [loan(library) for _ in range(3)]
    library.move_to("2025-01-16")  # nobody swept since: what is due is foreseen too
    new = numbers(loan_days=8)
    amendments = [Amendment(ref, new) for ref in refs]
    before = library.everything()
    with library.database.read() as connection:
        batch = library.engine.batch(connection, library.tenant, library.clock.now())
        foreseen = foresee(batch, amendments, BOSS, "new house rules")
    assert library.everything() == before
    assert amended(library, *amendments) == foreseen
    assert all(answer.amended is not None for answer in foreseen)


def test_its_statements_do_not_grow_with_the_cases(library: World) -> None:
    few = [loan(library) for _ in range(2)]
    with counted_statements(library.database) as some:
        amended(library, *(Amendment(ref, numbers(loan_days=20)) for ref in few))
    many = [loan(library) for _ in range(40)]
    with counted_statements(library.database) as more:
        amended(library, *(Amendment(ref, numbers(loan_days=21)) for ref in many))
    assert len(more) == len(some)


def test_more_than_one_batch_is_amended_batch_by_batch(library: World) -> None:
    refs = [loan(library) for _ in range(5)]
    amended(library, *(Amendment(ref, numbers(loan_days=20)) for ref in refs), at_once=2)
    assert [json.loads(row.details)["cases"] for row in library.rows("audit")] == [2, 2, 1]
    assert_clean(library)


def test_a_case_amended_meanwhile_by_somebody_else_is_amended_once(
    library: World, another: Callable[..., World]
) -> None:
    ref = loan(library)
    other = World(library.database, LIBRARY, LibraryTrade(), ids="other")
    other.clock = other.engine.clock = library.clock
    assert amended(other, Amendment(ref, numbers(loan_days=20)))[0].amended is not None
    assert amended(library, Amendment(ref, numbers(loan_days=20)))[0].amended is None
    assert library.steps(ref) == ["lend", "amend"]


# --- another file --------------------------------------------------------------------------------------------------


def test_a_renamed_state_keeps_since_when_and_its_timers_under_their_new_names(library: World) -> None:
    ref = loan(library)
    library.advance_to("2025-01-25 12:00")
    due = library.timers(ref)["remind every 7d"]
    world = later(library)
    amendment = Amendment(ref, state="overdue", timers={"remind every 7d": "nag every 7d"})
    (answer,) = amended(world, amendment)
    assert answer.amended is not None
    assert world.state(ref) == "overdue"
    assert world.row("cases", ref=ref).since == at("2025-01-20 23:00")
    assert world.timers(ref) == {"nag every 7d": due, "give_up every 100d": at("2025-04-30 22:00")}
    assert json.loads(world.row("history", event="amend").note)["data"]["renamed"] == ["late", "overdue"]
    assert_clean(world)
    assert amended(world, amendment)[0].amended is None
    world.advance_to("2025-05-01")
    assert world.state(ref) == "home"
    assert_clean(world)


def test_a_timer_that_is_no_more_is_dropped_and_the_rest_follows_from_the_file(library: World) -> None:
    ref = loan(library)
    library.advance_to("2025-01-21 12:00")
    world = later(library)
    amended(world, Amendment(ref, state="out", timers={"remind every 7d": None}))
    assert world.timers(ref) == {"fall_due due_on+1d": at("2025-01-20 23:00")}
    world.sweep()
    assert world.state(ref) == "overdue"
    assert_clean(world)


def test_a_settled_case_moves_in_the_tally_too(library: World) -> None:
    ref = loan(library)
    library.applied("loan.give_back", f"loans/{ref}")
    world = later(library)
    amended(world, Amendment(ref, state="home"))
    assert json.loads(world.row("subjects").tally) == {"loan.home": 1}
    assert_clean(world)


def test_several_stranded_cases_of_one_customer_are_amended_together(library: World) -> None:
    reader = str(library.applied("reader.enrol").subject)
    refs = [loan(library, reader) for _ in range(3)]
    library.advance_to("2025-01-21 12:00")
    library.applied("loan.give_back", f"loans/{refs[2]}")
    library.move_to("2025-01-30")  # its timers are due, and could not fire
    world = later(library)
    names = {"remind every 7d": "nag every 7d"}
    answers = amended(
        world,
        Amendment(refs[0], state="overdue", timers=names),
        Amendment(refs[1], state="overdue", timers=names),
        Amendment(refs[2], state="home"),
    )
    assert all(answer.amended is not None for answer in answers)
    world.sweep()
    assert world.row("subjects").late_count == 2
    assert_clean(world)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"state": "overdu"}, "no_such_state"),
        ({"policy": numbers(loan_days=20)}, "no_such_state"),
        ({"state": "overdue"}, "timer_not_declared"),
        ({"state": "overdue", "timers": {"remind every 7d": "nagg every 7d"}}, "timer_not_declared"),
    ],
)
def test_what_the_file_does_not_declare_is_left_and_told(library: World, how: dict[str, Any], code: str) -> None:
    ref = loan(library)
    library.advance_to("2025-01-21 12:00")
    world = later(library)
    before = world.everything()
    (answer,) = amended(world, Amendment(ref, **how))
    assert [reason.code for reason in answer.left] == [code]
    assert world.everything() == before


# --- what history says of it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "column", "value", "invariant"),
    [
        ("history", "policy", LENT.id, "I2"),
        ("history", "reason", "nobody asked", "I8"),
        ("history", "note", None, "I8"),
        ("history", "timers", "{}", "I4"),
        ("cases", "policy", LENT.id, "I2"),
        ("cases", "since", START + timedelta(days=3), "I2"),
    ],
)
def test_verify_names_an_amended_row_that_was_changed(
    library: World, table: str, column: str, value: Any, invariant: str
) -> None:
    ref = loan(library)
    amended(library, Amendment(ref, numbers(loan_days=20)))
    where = {"event": "amend"} if table == "history" else {"ref": ref}
    library.change(table, where, **{column: value})
    report = verify(library.database, LIBRARY, library.trade)
    assert report.found(invariant)


def test_no_workflow_may_call_an_event_amend() -> None:
    class Own(Workflow):
        name_in_events = "own"
        collection = "owns"
        prefix = "O"
        title = Text("o", "o")
        facts = LIBRARY["reader"].facts
        known = State(initial=True)
        labels = {"known": Text("k", "k")}
        amend = known.to(known)
        openings = [Opening("begin", known)]

    with pytest.raises(WorkflowError, match="'amend' is reserved"):
        compile_workflow(Own)
