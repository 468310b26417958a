"""Several at once: each has looked around before any of them locks, and they go on in the order that the story says.

On PostgreSQL they run side by side and are held where a statement is about to be sent. On SQLite the gate lets one in
at a time: there the others come while the first is inside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import event

from tests.engine.worlds import World
from vipflow.engine import Verdict
from vipflow.store import tables

LOCK = "FROM subjects"
"""The statement that locks subjects (or, on SQLite, reads them behind the gate)."""
FOR_EVER = 20.0  # seconds; who waits that long waits for nobody


class Runner:
    """One participant: its world, what it does there, and where it stands."""

    def __init__(self, world: World, act: Callable[[World], Any]) -> None:
        self.world = world
        self.act = act
        self.through = threading.Event()
        self.answer: Any = None
        self.fault: BaseException | None = None
        self.held = False

    def run(self) -> None:
        try:
            self.answer = self.act(self.world)
        except BaseException as fault:  # handed to the story's own thread
            self.fault = fault
        finally:
            self.through.set()


def race(*participants: tuple[World, Callable[[World], Any]], at: str = LOCK) -> list[Any]:
    """Runs all at once and gives their answers. Each is held before its first statement that holds the text `at`, until
    all are there; then they send it in the order given, each when the one before has its answer.
    """
    runners = [Runner(world, act) for world, act in participants]
    side_by_side = runners[0].world.database.dialect == "postgresql"
    everybody = threading.Barrier(len(runners))
    threads = []
    with ExitStack() as stack:
        for index, runner in enumerate(runners):
            before = runners[index - 1] if index else None
            stack.enter_context(_held(runner, before, everybody if side_by_side else None, at))
            threads.append(threading.Thread(target=runner.run))
        for index, thread in enumerate(threads):
            if index and not side_by_side:
                assert runners[index - 1].through.wait(FOR_EVER)  # it is inside the gate, or done
            thread.start()
        for thread in threads:
            thread.join(FOR_EVER)
            assert not thread.is_alive(), "somebody waits for ever"
    for runner in runners:
        if runner.fault is not None:
            raise runner.fault
    return [runner.answer for runner in runners]


@contextmanager
def _held(runner: Runner, before: Runner | None, everybody: threading.Barrier | None, at: str) -> Any:
    engine = runner.world.database._writes

    def hold(_c: Any, _cursor: Any, statement: str, _p: Any, _context: Any, _m: bool) -> None:
        if at not in statement or runner.held:
            return
        runner.held = True
        if everybody is not None:
            everybody.wait(FOR_EVER)
            if before is not None:
                assert before.through.wait(FOR_EVER)

    def let_on(_c: Any, _cursor: Any, statement: str, _p: Any, _context: Any, _m: bool) -> None:
        if at in statement:
            runner.through.set()

    event.listen(engine, "before_cursor_execute", hold)
    event.listen(engine, "after_cursor_execute", let_on)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", hold)
        event.remove(engine, "after_cursor_execute", let_on)


@pytest.fixture
def worlds(world: World, another: Callable[[], World]) -> Sequence[World]:
    """Three processes on one database. Each has stored its policy, which would otherwise be what they wait for."""
    found = [world, another(), another()]
    for each in found:
        each.member("Warm")
    return found


# --- guards across cases -------------------------------------------------------------------------------------------


def _late_member(world: World) -> tuple[str, str]:
    """A member whose rental was due on 20 January; it is the 22nd, and nobody has concluded so yet."""
    ann = world.member()
    rental = world.rental(ann)
    world.move_to("2025-01-22 12:00")
    return ann, rental


@pytest.mark.parametrize("order", list(permutations(["return", "lateness", "creation"])), ids="-".join)
def test_a_return_a_lateness_and_a_creation_at_once_end_as_one_after_the_other(
    worlds: Sequence[World], order: tuple[str, ...]
) -> None:
    world = worlds[0]
    ann, rental = _late_member(world)
    acts: dict[str, Callable[[World], Any]] = {
        "return": lambda w: w.post("rental.give_back", f"rentals/{rental}", time="2025-01-22 11:00", id="back"),
        "lateness": lambda w: w.engine.sweep(),
        "creation": lambda w: w.post(
            "rental.rent", f"members/{ann}", {"tool": "axe"}, time="2025-01-19 12:00", id="new"
        ),
    }
    answers = dict(zip(order, race(*((w, acts[what]) for w, what in zip(worlds, order, strict=True))), strict=True))
    world.sweep()
    # Whoever came first: it was late from the 21st until it came back, and that is told once.
    assert world.steps(rental) == ["rent", "remind", "fall_due", "give_back"]
    assert answers["return"].verdict == "applied"
    # Dated before the deadline, the creation is refused only where it finds the lateness, and not yet the return.
    assert answers["creation"].verdict == ("refused" if order == ("lateness", "creation", "return") else "applied")
    _is_sound(world)


@pytest.mark.parametrize("first", ["lateness", "creation"])
def test_a_creation_sees_a_lateness_that_was_concluded_while_it_waited(worlds: Sequence[World], first: str) -> None:
    world = worlds[0]
    ann, rental = _late_member(world)

    def sweep(w: World) -> Any:
        return w.engine.sweep()

    def rent(w: World) -> Any:
        return w.post("rental.rent", f"members/{ann}", {"tool": "axe"}, time="2025-01-19 12:00")

    if first == "lateness":
        _, verdict = race((worlds[1], sweep), (worlds[2], rent))
        assert (verdict.verdict, verdict.reasons[0].facts) == ("refused", {"late": [rental]})
    else:
        verdict, _ = race((worlds[1], rent), (worlds[2], sweep))
        assert verdict.verdict == "applied"
    world.sweep()
    assert world.state(rental) == "overdue"
    _is_sound(world)


@pytest.mark.parametrize("first", ["payment", "creation"])
def test_a_creation_sees_what_came_back_while_it_waited(worlds: Sequence[World], first: str) -> None:
    world = worlds[0]
    ann, rental = _late_member(world)
    world.sweep()

    def give_back(w: World) -> Any:
        return w.post("rental.give_back", f"rentals/{rental}", time="2025-01-18 12:00")

    def rent(w: World) -> Any:
        return w.post("rental.rent", f"members/{ann}", {"tool": "axe"})

    if first == "payment":
        _, verdict = race((worlds[1], give_back), (worlds[2], rent))
        assert verdict.verdict == "applied"
    else:
        verdict, _ = race((worlds[1], rent), (worlds[2], give_back))
        assert verdict.verdict == "refused"
    assert world.state(rental) == "back"
    _is_sound(world)


# --- the same thing twice ------------------------------------------------------------------------------------------


def test_of_the_same_event_posted_by_two_at_once_one_is_applied_and_the_other_replayed(worlds: Sequence[World]) -> None:
    ann = worlds[0].member()

    def rent(w: World) -> Any:
        return w.post("rental.rent", f"members/{ann}", {"tool": "saw"}, id="once")

    first, second = race((worlds[1], rent), (worlds[2], rent))
    assert (first.verdict, first.replayed) == ("applied", False)
    assert (second.verdict, second.replayed, second.case) == ("applied", True, first.case)
    assert len(worlds[0].rows("cases", workflow="rental")) == 1
    _is_sound(worlds[0])


def test_so_it_is_in_the_middle_of_larger_batches_and_their_neighbours_stand(worlds: Sequence[World]) -> None:
    ann = worlds[0].member()

    def rents(w: World) -> Any:
        mine = [w.event("rental.rent", f"members/{ann}", {"tool": "saw"}, id=f"{id(w)}-{n}") for n in range(4)]
        return w.post_all([*mine[:2], w.event("rental.rent", f"members/{ann}", {"tool": "saw"}, id="once"), *mine[2:]])

    first, second = race((worlds[1], rents), (worlds[2], rents))
    assert [v.verdict for v in first + second] == ["applied"] * 10
    assert [v.replayed for v in first + second] == [False] * 7 + [True] + [False] * 2
    assert len(worlds[0].rows("cases", workflow="rental")) == 9
    _is_sound(worlds[0])


@pytest.mark.parametrize("what", ["refused", "parked"])
def test_a_verdict_that_moves_nothing_is_given_once_too(worlds: Sequence[World], what: str) -> None:
    ann = worlds[0].member()
    subject, at = (f"members/{ann}", LOCK) if what == "refused" else ("members/somebody", "INSERT INTO inbox")

    def rename(w: World) -> Any:
        return w.post("member.rename", subject, {"name": "SHOUTING"}, id="once")

    first, second = race((worlds[1], rename), (worlds[2], rename), at=at)
    assert (first.verdict, second.verdict) == (what, what)
    assert (first.replayed, second.replayed) == (False, True)
    assert len(worlds[0].rows("inbox", event_id="once")) == 1


def test_of_two_members_under_the_same_reference_of_the_sender_only_one_is_opened(worlds: Sequence[World]) -> None:
    def join(w: World) -> Any:
        return w.post("member.join", "members/shop-1", {"name": f"Process {worlds.index(w)}"}, id=f"{worlds.index(w)}")

    first, second = race((worlds[1], join), (worlds[2], join), at="INSERT INTO names")
    assert first.verdict == "applied"
    assert (second.verdict, second.reasons[0].code, second.case) == ("refused", "name_taken", first.case)
    assert [row.name for row in worlds[0].rows("subjects") if row.name != "Warm"] == ["Process 1"]
    _is_sound(worlds[0])


def test_of_two_cases_under_the_same_reference_of_the_sender_only_one_is_opened(worlds: Sequence[World]) -> None:
    ann = worlds[0].member()

    def rent(w: World) -> Any:
        return w.post("rental.rent", f"members/{ann}/rentals/TICKET-1", {"tool": "saw"}, id=f"{worlds.index(w)}")

    first, second = race((worlds[1], rent), (worlds[2], rent))
    assert first.verdict == "applied"
    assert (second.verdict, second.case) == ("refused", first.case)
    assert len(worlds[0].rows("cases", workflow="rental")) == 1


def test_of_two_members_who_get_the_same_number_at_once_one_bears_it_alone(worlds: Sequence[World]) -> None:
    ann, bea = worlds[0].member("Ann"), worlds[0].member("Bea")

    def numbered(ref: str) -> Callable[[World], Any]:
        return lambda w: w.post("member.record_number", f"members/{ref}", {"card_number": "N1"}, id=f"n-{ref}")

    answers = race((worlds[1], numbered(ann)), (worlds[2], numbered(bea)), at="INSERT INTO names")
    assert [v.verdict for v in answers] == ["applied", "applied"]
    assert {(row.case_ref, row.exclusive) for row in worlds[0].rows("names", value="N1")} == {(ann, True), (bea, False)}
    assert worlds[0].incidents() == ["name_taken"]
    _is_sound(worlds[0])


def test_an_event_that_parks_while_its_case_is_being_opened_is_found_by_the_next_round(worlds: Sequence[World]) -> None:
    world = worlds[0]

    def rename(w: World) -> Any:
        return w.post("member.rename", "members/shop-1", {"name": "Anna"}, id="early")

    def join(w: World) -> Any:
        return w.post("member.join", "members/shop-1", {"name": "Ann"}, id="join", time="2025-01-05 09:00")

    answers = race((worlds[1], rename), (worlds[2], join), at="INSERT INTO inbox")
    assert isinstance(answers[0], Verdict)
    world.engine.retry_parked()
    assert [row.name for row in world.rows("subjects") if row.name != "Warm"] == ["Anna"]
    assert world.row("inbox", event_id="early").verdict == "applied"


# --- sweeps and batches --------------------------------------------------------------------------------------------


def test_two_sweeps_at_once_fire_each_timer_once(worlds: Sequence[World]) -> None:
    world = worlds[0]
    rentals = [world.rental(world.member(f"M{n}")) for n in range(6)]
    world.move_to("2025-01-17")

    def sweep(w: World) -> Any:
        return w.engine.sweep()

    reports = race((worlds[1], sweep), (worlds[2], sweep))
    assert sum(report.transitions for report in reports) == 6
    assert all(world.steps(ref) == ["rent", "remind"] for ref in rentals)
    assert world.sweep() == 0
    _is_sound(world)


def test_two_batches_that_name_the_same_members_the_other_way_round_do_not_wait_for_each_other(
    worlds: Sequence[World],
) -> None:
    refs = [worlds[0].member(f"M{n}") for n in range(4)]

    def rename(order: Sequence[str]) -> Callable[[World], Any]:
        return lambda w: w.post_all(
            [
                w.event("member.rename", f"members/{ref}", {"name": "New"}, id=f"{worlds.index(w)}-{ref}")
                for ref in order
            ]
        )

    answers = race((worlds[1], rename(refs)), (worlds[2], rename(refs[::-1])))
    assert [v.verdict for verdicts in answers for v in verdicts] == ["applied"] * 8
    _is_sound(worlds[0])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_batch_that_learns_late_of_another_member_and_one_that_holds_it_both_come_through(
    worlds: Sequence[World],
) -> None:
    """Locks are taken in key order; what is woken may lock out of it. PostgreSQL then undoes one of the two."""
    world = worlds[0]
    first, last = sorted(world.member(f"M{n}") for n in range(2))
    assert world.post("rental.give_back", "rentals/T1", id="early").verdict == "parked"
    assert world.post("rental.give_back", f"members/{first}/rentals/T1", id="hers").verdict == "parked"

    def rent(w: World) -> Any:
        return w.post("rental.rent", f"members/{last}/rentals/T1", {"tool": "saw"})

    def rename(w: World) -> Any:
        return w.post_all([w.event("member.rename", f"members/{ref}", {"name": "New"}) for ref in (first, last)])

    with _second_lock_held_until_somebody_waits(worlds[1], world):
        rented, renamed = race((worlds[1], rent), (worlds[2], rename))
    assert [v.verdict for v in (rented, *renamed)] == ["applied"] * 3
    assert world.row("inbox", event_id="early").verdict == "applied"
    assert world.row("inbox", event_id="hers").verdict == "parked"
    _is_sound(world)


@contextmanager
def _second_lock_held_until_somebody_waits(runner: World, watcher: World) -> Iterator[None]:
    """Holds the second time that subjects are locked until another transaction waits for a lock."""
    engine = runner.database._writes
    locks = 0

    def hold(_c: Any, _cursor: Any, statement: str, _p: Any, _context: Any, _m: bool) -> None:
        nonlocal locks
        locks += LOCK in statement and "FOR UPDATE" in statement
        if locks != 2 or "FOR UPDATE" not in statement:
            return
        with watcher.database.write() as connection:
            for _ in range(2000):
                if connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar_one():
                    return

    event.listen(engine, "before_cursor_execute", hold)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", hold)


def test_many_at_once_leave_a_history_without_gaps(worlds: Sequence[World]) -> None:
    refs = [worlds[0].member(f"M{n}") for n in range(3)]

    def post_many(w: World) -> Any:
        me = worlds.index(w)
        for n in range(9):
            w.applied("rental.rent", f"members/{refs[(n + me) % 3]}", {"tool": "saw"}, id=f"{me}-{n}", source="many")

    race(*((w, post_many) for w in worlds))
    assert len(worlds[0].rows("cases", workflow="rental")) == 27
    for ref in refs:
        (card,) = (row.ref for row in worlds[0].rows("cases", workflow="card", subject=ref))
        assert worlds[0].facts(card)["rentals"] == 9
    _is_sound(worlds[0])


def _is_sound(world: World) -> None:
    """What must hold whoever won: sequences without gaps, every timer in its state, counts that are right."""
    for subject in world.rows("subjects"):
        rows = world.rows("history", subject=subject.ref)
        assert [row.sequence for row in rows] == list(range(1, subject.sequence + 1))
    for case in world.rows("cases"):
        last = world.rows("history", case_ref=case.ref)[-1]
        assert last.to_state == case.state
        if case.settled:
            assert world.timers(case.ref) == {}
    assert len({row.cause for row in world.rows("history")}) == len(world.rows("history"))


# --- events that wait ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_that_wake_the_same_event_wake_it_once(worlds: list[World]) -> None:
    here = worlds[0]
    here.post("member.rename", "members/shop-1", {"name": "Anna"}, id="early")
    _let_it_wait_for_nobody(here)
    here.applied("member.join", "members/shop-1", {"name": "Ann"})

    race((worlds[1], lambda world: world.engine.retry_parked()), (worlds[2], lambda world: world.engine.retry_parked()))

    assert here.row("inbox", event_id="early").verdict == "applied"
    assert [row.event for row in here.rows("history")].count("rename") == 1
    _is_sound(here)


def _let_it_wait_for_nobody(world: World) -> None:
    """As if the event and the opening of its case had missed each other."""
    with world.database.write() as connection:
        connection.execute(tables.inbox.update().values(waiting_for="members/nobody"))
