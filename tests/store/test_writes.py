"""The write shapes: what they count, what they refuse, and how few statements they send."""

from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import IntegrityError

from vipflow.store.tables import history, meta
from vipflow.store.types import UtcDateTime
from vipflow.store.writes import Delete, Insert, InsertAbsent, Update, Upsert

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

ADD = Insert(meta, ["key", "value"])
ADD_ABSENT = InsertAbsent(meta, ["key", "value"])
PUT = Upsert(meta, key=["key"], set=["value"])
CHANGE = Update(meta, key=["key"], set=["value"])
SWAP = Update(meta, key=["key", "value"], set=["value"])
TAKE = Delete(meta, key=["key"])


@pytest.mark.parametrize("write", [ADD, ADD_ABSENT, PUT, CHANGE, TAKE], ids=lambda write: type(write).__name__)
def test_no_rows_are_no_statement(database, write):
    with database.write() as connection, statements(connection) as sent:
        assert write.run(connection, []) == 0
    assert sent == []


@pytest.mark.parametrize("write", [ADD, ADD_ABSENT, PUT, CHANGE, TAKE], ids=lambda write: type(write).__name__)
def test_a_thousand_rows_are_one_statement(database, write):
    rows = [(f"k{at}", "v")[: len(write.columns)] for at in range(1000)]
    with database.write() as connection:
        if write in (CHANGE, TAKE):
            ADD.run(connection, [(f"k{at}", "") for at in range(1000)])
        with statements(connection) as sent:
            assert write.run(connection, rows) == 1000
    assert len(sent) == 1


def test_each_counts_the_rows_that_it_touched(database):
    with database.write() as connection:
        assert ADD.run(connection, [("a", "1"), ("b", "2")]) == 2
        assert ADD_ABSENT.run(connection, [("b", "x"), ("c", "3"), ("d", "4")]) == 2
        assert PUT.run(connection, [("d", "5"), ("e", "6")]) == 2
        assert CHANGE.run(connection, [("a", "7"), ("nobody", "8")]) == 1
        assert TAKE.run(connection, [("b",), ("nobody",)]) == 1
        assert everything(connection) == {"a": "7", "c": "3", "d": "5", "e": "6"}


def test_a_row_whose_key_moved_on_is_left_alone_and_not_counted(database):
    with database.write() as connection:
        ADD.run(connection, [("a", "1"), ("b", "2")])
        assert SWAP.run(connection, [("a", "1", "one"), ("b", "1", "one")]) == 1
        assert everything(connection) == {"a": "one", "b": "2"}


def test_a_taken_key_refuses_all_rows(database):
    with database.write() as connection:
        ADD.run(connection, [("a", "1")])
    with pytest.raises(IntegrityError), database.write() as connection:
        ADD.run(connection, [("b", "2"), ("a", "3")])
    with database.read() as connection:
        assert everything(connection) == {"a": "1"}


def test_a_row_that_is_too_long_or_too_short_is_refused(database):
    with database.write() as connection:
        for wrong in [("a",), ("a", "1", "2")]:
            with pytest.raises(ValueError, match="a row of meta has 2 values"):
                ADD.run(connection, [wrong])


def test_an_unknown_column_is_refused_at_once():
    with pytest.raises(KeyError, match="valeu"):
        Insert(meta, ["key", "valeu"])


def test_rows_may_be_any_sequence(database):
    with database.write() as connection:
        assert ADD.run(connection, (("a", "1"), ("b", "2"))) == 2
        assert everything(connection) == {"a": "1", "b": "2"}


def test_history_takes_its_positions_in_the_order_of_the_rows(database):
    columns = [column.name for column in history.columns if not column.nullable and column.name != "position"]
    with database.write() as connection:
        for start in (0, 50):
            Insert(history, columns).run(connection, [entry(columns, at) for at in range(start, start + 50)])
        sequences = connection.execute(select(history.c.sequence).order_by(history.c.position)).scalars().all()
        assert connection.execute(select(func.count(history.c.position.distinct()))).scalar() == 100
    assert sequences == list(range(100))


def entry(columns, at):
    filled = {"tenant": 1, "sequence": at, "cause": str(at)}
    return tuple(filled.get(name, NOW if isinstance(history.c[name].type, UtcDateTime) else "x") for name in columns)


def everything(connection):
    return dict(connection.execute(select(meta.c.key, meta.c.value)).all())


@contextmanager
def statements(connection):
    sent = []

    def note(connection, cursor, statement, parameters, context, executemany):
        sent.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    yield sent
    event.remove(connection, "before_cursor_execute", note)
