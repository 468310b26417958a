"""Traps of the libraries we stand on, each sprung once, so that an upgrade cannot bring it back unseen."""

import asyncio
import json
import threading
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from statemachine import State, StateChart, StateMachine
from statemachine.exceptions import InvalidDefinition, InvalidStateValue, TransitionNotAllowed

from tests.engine.flows import CLUB, Extend, RentalWorkflow
from tests.engine.worlds import World
from vipflow.engine.envelope import DEEPEST_JSON, LONGEST_LINE, LONGEST_WORD, envelope_of, read_envelope, strict_json
from vipflow.errors import BadInput
from vipflow.store.database import Database
from vipflow.store.tables import subjects
from vipflow.workflow import Workflow

# --- python-statemachine -------------------------------------------------------------------------------------------


def test_our_base_class_is_strict_whatever_the_librarys_defaults_are() -> None:
    assert Workflow.catch_errors_as_events is False
    assert Workflow.allow_event_without_transition is False


def test_an_unknown_event_and_one_that_means_nothing_here_are_refused() -> None:
    machine = RentalWorkflow(start_value="back")
    for event in ("fly", "extend"):
        with pytest.raises(TransitionNotAllowed):
            machine.send(event, None, None, None)
    assert [state.id for state in machine.configuration] == ["back"]


def test_an_error_in_a_guard_comes_through_and_the_state_stays() -> None:
    class Fragile(Workflow):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b, unless=lambda facts: 1 / facts)

    machine = Fragile()
    with pytest.raises(ZeroDivisionError):
        machine.send("go", 0)
    assert [state.id for state in machine.configuration] == ["a"]


def test_the_library_itself_still_forgives_which_is_why_we_ask_for_strictness() -> None:
    class Forgiving(StateChart):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b)

    machine = Forgiving()
    machine.send("fly")
    assert [state.id for state in machine.configuration] == ["a"]
    assert StateChart.catch_errors_as_events is True


def test_a_state_that_is_none_is_not_taken_for_the_first() -> None:
    with pytest.raises(InvalidStateValue):
        RentalWorkflow(start_value="nowhere")


def test_the_class_is_checked_when_it_is_made() -> None:
    with pytest.raises(InvalidDefinition):

        class Trap(StateMachine):
            a = State(initial=True)
            b = State()


def test_guards_take_their_arguments_by_position_whatever_they_call_them() -> None:
    """The library binds by name; ours say `_data` or `view` as they like, and facts are given first."""
    seen: list[Any] = []

    class Curious(Workflow):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b, unless=lambda _facts, whatever, view: seen.append((_facts, whatever, view)))

    Curious().send("go", 1, 2, 3)
    assert seen == [(1, 2, 3)]


def test_a_workflow_is_drawn_without_being_run() -> None:
    drawn = format(RentalWorkflow, "mermaid")
    assert drawn.startswith("stateDiagram-v2")
    assert "overdue" in drawn
    assert "Take again" in drawn


# --- SQLAlchemy, SQLite, PostgreSQL --------------------------------------------------------------------------------


def test_skip_locked_is_compiled_away_on_sqlite_so_that_one_statement_serves_both() -> None:
    statement = select(subjects.c.ref).with_for_update(skip_locked=True)
    assert "FOR UPDATE" not in str(statement.compile(dialect=sqlite.dialect()))
    assert "FOR UPDATE SKIP LOCKED" in str(statement.compile(dialect=postgresql.dialect()))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_write_transaction_takes_the_lock_at_its_first_statement_not_at_its_first_write(database: Database) -> None:
    """A deferred transaction that reads first and writes later fails at once; the busy timeout does not apply."""
    with database.write() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        assert driver.in_transaction
        assert driver.isolation_level is None
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 2000
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 0  # OFF: tests only, see below
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_two_who_read_before_they_write_lose_no_update(world: World, another: Any) -> None:
    """Read-modify-write through the engine, from two threads with connections of their own."""
    ann = world.member()
    worlds = [another(), another()]
    faults: list[BaseException] = []

    def rent(w: World) -> None:
        try:
            for _ in range(5):
                w.rental(ann)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=rent, args=(w,)) for w in worlds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert faults == []
    (card,) = world.rows("cases", workflow="card")
    assert world.facts(card.ref)["rentals"] == 10


def test_an_instant_without_a_zone_is_refused_at_the_border_and_in_the_story(world: World) -> None:
    event = {"type": "member.join", "source": "s", "id": "1", "data": {"name": "A"}}
    for time in ("2025-01-06T09:00:00", "2025-01-06", "20250106", "now", "", "1889-01-06T09:00:00Z", 1736154000, True):
        with pytest.raises(BadInput, match="is no instant"):
            envelope_of(event | {"time": time}, CLUB)
    assert envelope_of(event | {"time": "2025-01-06T10:00:00+01:00"}, CLUB).occurred_at == datetime(
        2025, 1, 6, 9, tzinfo=UTC
    )


def test_instants_come_back_from_the_database_aware(world: World) -> None:
    ann = world.member()
    world.rental(ann)
    for table in ("history", "timers", "cases", "inbox"):
        for row in world.rows(table):
            for value in row:
                assert not isinstance(value, datetime) or value.tzinfo is UTC


# --- JSON and msgspec ----------------------------------------------------------------------------------------------


def _line(**changes: Any) -> str:
    given = {"specversion": "1.0", "type": "member.join", "source": "s", "id": "1", "data": {"name": "Ann"}}
    return json.dumps(given | changes)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ('{"type": "a", "type": "b"}', "the key 'type' stands twice"),
        ('{"data": {"name": "A", "name": "B"}}', "the key 'name' stands twice"),
        ('{"data": NaN}', "holds NaN, which is no number"),
        ('{"data": -Infinity}', "holds -Infinity, which is no number"),
        ('{"data": 1e999}', "a number beyond all measure"),
        ('{"data": 123456789012345678901234567890}', "a number of 30 digits"),
        ("[" * 100_000 + "]" * 100_000, "is nested 100,000 deep"),
        ('{"a":' * (DEEPEST_JSON + 1) + "1" + "}" * (DEEPEST_JSON + 1), f"is nested {DEEPEST_JSON + 1} deep"),
        ("", "it is no JSON"),
        ("{'type': 'a'}", "it is no JSON"),
        ('{"type": "a"} {"type": "b"}', "it is no JSON"),
    ],
    ids=range(11),
)
def test_json_that_readers_understand_differently_is_refused(line: str, hint: str) -> None:
    with pytest.raises(BadInput, match=hint):
        strict_json(line)


def test_json_as_deep_as_allowed_and_brackets_inside_text_are_read() -> None:
    deep = "[" * DEEPEST_JSON + "]" * DEEPEST_JSON
    assert strict_json(deep) is not None
    assert strict_json(json.dumps({"text": "[{" * 500 + '\\"'})) == {"text": "[{" * 500 + '\\"'}


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    with pytest.raises(BadInput, match="not UTF-8"):
        read_envelope(b'{"type": "\xff"}', CLUB)


def test_a_line_without_end_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadInput, match="bytes long"):
        read_envelope(_line(data={"name": "x" * LONGEST_LINE}), CLUB)


@pytest.mark.parametrize(
    "text", ["a\x00b", "a\ud83db", "\x1b[2J", "a\x7f"], ids=["NUL", "half a pair", "escape", "DEL"]
)
@pytest.mark.parametrize("where", ["name", "key", "subject", "id", "reason"])
def test_text_that_a_database_would_refuse_or_mangle_is_stopped_with_its_place(text: str, where: str) -> None:
    changes: dict[str, dict[str, Any]] = {
        "name": {"data": {"name": text}},
        "key": {"data": {text: 1}},
        "subject": {"subject": f"members/{text}"},
        "id": {"id": text},
        "reason": {"reason": text},
    }
    with pytest.raises(BadInput, match=r"U\+[0-9A-F]{4}"):
        read_envelope(_line(**changes[where]), CLUB)


def test_a_whole_pair_of_surrogates_is_an_ordinary_letter(world: World) -> None:
    verdict = world.post_all([read_envelope(_line(data={"name": "Zoé 😀 \u2028"}), CLUB)])[0]
    assert world.facts(verdict.case)["name"] == "Zoé 😀 \u2028"


@pytest.mark.parametrize("days", [True, "7", 7.0, 7.5, None, [7]])
def test_a_number_is_a_number_and_nothing_else(days: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"days": days}, Extend, strict=True) if days != 7.0 else msgspec.json.decode(
            b'{"days": 7.5}', type=Extend
        )
    if days == 7.0:
        return
    with pytest.raises(BadInput, match="its data"):
        read_envelope(_line(type="rental.extend", subject="rentals/x", data={"days": days}), CLUB)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"name": "A", "nmae": "B"}},
        {"data": {}},
        {"data": [1]},
        {"data": "text"},
        {"data": {"name": 1}},
        {"data": {"name": None}},
        {"specversion": "0.3"},
        {"datacontenttype": "text/xml"},
        {"data_base64": "eA=="},
        {"Type": "x"},
        {"id": ""},
        {"id": " "},
        {"id": 7},
        {"id": "x" * (LONGEST_WORD + 1)},
        {"source": None},
        {"subject": ["members/x"]},
        {"reason": ""},
        {"type": "member"},
        {"type": "member.learn_of_incident"},
        {"type": "card.issue"},
    ],
    ids=str,
)
def test_an_event_that_is_not_what_its_type_says_is_stopped_at_the_border(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        read_envelope(_line(**changes), CLUB)


def test_a_type_that_is_nearly_right_is_told_what_was_meant() -> None:
    with pytest.raises(BadInput, match=r"did you mean member\.join\?"):
        read_envelope(_line(type="member.jion"), CLUB)


def test_extension_attributes_of_cloudevents_are_let_through() -> None:
    assert read_envelope(_line(traceparent="00-abc", partitionkey="7"), CLUB).id == "1"


def test_the_hash_of_a_body_does_not_depend_on_how_it_is_written() -> None:
    compact = read_envelope('{"type":"member.join","source":"s","id":"1","data":{"name":"A","email":"x"}}', CLUB)
    loose = read_envelope(
        '{ "id": "1", "data": {"email": "x", "name": "\\u0041"}, "source": "s", "type": "member.join" }', CLUB
    )
    assert compact.body_hash == loose.body_hash
    different: list[dict[str, Any]] = [
        {"subject": "members/x"},
        {"time": "2025-01-06T09:00:00Z"},
        {"data": {"name": "A"}},
    ]
    for changes in different:
        other: dict[str, Any] = {"type": "member.join", "source": "s", "id": "1", "data": {"name": "A", "email": "x"}}
        assert envelope_of(other | changes, CLUB).body_hash != compact.body_hash


# --- others --------------------------------------------------------------------------------------------------------


def test_the_engine_works_from_a_thread_beside_an_event_loop(world: World) -> None:
    """python-statemachine starts loops where it meets a running one; the engine runs no machine, and no loop."""

    async def main() -> Any:
        return await asyncio.to_thread(world.post, "member.join", "", {"name": "Ann"})

    assert asyncio.run(main()).verdict == "applied"


def test_the_29th_of_february_has_a_year_like_every_other_day(world: World) -> None:
    world.move_to("2028-02-29 12:00")
    ann = world.member()
    card = world.applied("card.freeze", f"members/{ann}").case
    assert world.facts(card)["valid_until"] == str(date(2029, 2, 28))
