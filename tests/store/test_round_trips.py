"""What is written comes back the same, whichever database keeps it."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import bindparam, insert, select

from vipflow.store.tables import incidents, messages, meta, subjects, tenants, timers
from vipflow.store.types import any_of
from vipflow.store.writes import Delete, Insert, InsertAbsent, Update, Upsert

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

TEXTS = [
    "",
    "L'été, Zoé paiera « 12 500 € » à Œuvre & Cie…",
    "e\u0301 n'est pas \u00e9",
    "👩‍👩‍👧 \U0001f1eb\U0001f1f7",
    "a\tb\nc\r\nd\u2028e\u0085f",
    "\x01\x1f\x7f\ufeff\uffff",
    """'"`\\ \\u0041 \\n %s %(rows)s :name ?1 {} [] null""",
    "null",
    "NaN",
    "long " * 20_000,
]

INSTANTS = [
    NOON,
    NOON + timedelta(microseconds=1),
    NOON + timedelta(microseconds=999_999),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    # The hour that Paris has twice, and zones with half hours.
    datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris")),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")),
    datetime(2026, 1, 1, 0, 15, tzinfo=timezone(timedelta(hours=5, minutes=45))),
]

DATES = [date(2026, 2, 28), date(2028, 2, 29), date(1, 1, 1), date(9999, 12, 31)]

BYTES = [b"", b"\x00", bytes(range(256)), "Été".encode(), b"\\x00", b"x" * 100_000]

NUMBERS = [0, 1, -1, 2**31 - 1, -(2**31)]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
def test_text_comes_back_as_it_was(database, text):
    with database.write() as connection:
        Insert(meta, ["key", "value"]).run(connection, [("inserted", text), ("updated", "before")])
        Update(meta, key=["key"], set=["value"]).run(connection, [("updated", text)])
        Upsert(meta, key=["key"], set=["value"]).run(connection, [("upserted", text)])
        InsertAbsent(meta, ["key", "value"]).run(connection, [("absent", text), ("inserted", "too late")])
    with database.read() as connection:
        kept = dict(connection.execute(select(meta.c.key, meta.c.value)).all())
    assert kept == {"inserted": text, "updated": text, "upserted": text, "absent": text}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
def test_a_key_is_found_and_taken_away_by_any_text(database, text):
    found = select(meta.c.value).where(any_of(meta.c.key, "keys"))
    with database.write() as connection:
        Insert(meta, ["key", "value"]).run(connection, [(text, "found"), (text + "!", "another")])
        assert connection.execute(found, {"keys": ["x", text]}).scalars().all() == ["found"]
        assert Delete(meta, key=["key"]).run(connection, [(text,)]) == 1
        assert connection.execute(select(meta.c.key)).scalars().all() == [text + "!"]


def test_instants_come_back_aware_in_utc_and_to_the_microsecond(database):
    with database.write() as connection:
        Insert(timers, TIMER).run(connection, [timer(str(at), due) for at, due in enumerate(INSTANTS)])
    with database.read() as connection:
        kept = connection.execute(select(timers.c.due_at).order_by(timers.c.name)).scalars().all()
    # Python calls instants unequal to anything in another zone, where a zone has their hour twice.
    assert kept == [instant.astimezone(UTC) for instant in INSTANTS]
    assert all(instant.tzinfo is UTC for instant in kept)


def test_instants_sort_and_compare_as_time_does(database):
    due = select(timers.c.due_at).where(timers.c.due_at <= bindparam("now")).order_by(timers.c.due_at)
    with database.write() as connection:
        Insert(timers, TIMER).run(connection, [timer(str(at), due) for at, due in enumerate(INSTANTS)])
    with database.read() as connection:
        kept = connection.execute(due, {"now": NOON}).scalars().all()
        exactly = (
            connection.execute(
                select(timers.c.due_at).where(any_of(timers.c.due_at, "instants")),
                {"instants": [NOON, NOON + timedelta(microseconds=2)]},
            )
            .scalars()
            .all()
        )
    assert kept == sorted(instant for instant in INSTANTS if instant <= NOON)
    assert exactly == [NOON]


def test_an_instant_without_a_zone_is_refused(database):
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 - that is the point
    with database.write() as connection:
        with pytest.raises(ValueError, match="no time zone"):
            Insert(timers, TIMER).run(connection, [timer("new", naive)])
        with pytest.raises(ValueError, match="no time zone"):
            Update(timers, key=["tenant"], set=["due_at"]).run(connection, [(1, naive)])


def test_a_parameter_without_a_zone_is_refused(database):
    due = select(timers).where(timers.c.due_at <= bindparam("now"))
    with database.read() as connection, pytest.raises(Exception, match="no time zone"):
        connection.execute(due, {"now": datetime(2026, 3, 1)})  # noqa: DTZ001 - that is the point


def test_dates_numbers_and_flags_come_back_as_they_were(database):
    columns = ["tenant", "ref", "workflow", "sequence", "tally", "opened_at", "anniversary", "in_late"]
    rows = [
        (1, f"{day}{number}{flag}", "customer", number, "{}", NOON, day, flag)
        for day in [None, *DATES]
        for number in NUMBERS
        for flag in [True, False]
    ]
    with database.write() as connection:
        given_a_tenant(connection)
        Insert(subjects, columns).run(connection, rows)
        kept = connection.execute(select(*(subjects.c[name] for name in columns))).all()
    assert sorted(kept, key=lambda row: row[1]) == sorted(rows, key=lambda row: row[1])
    assert {type(row[-1]) for row in kept} == {bool}


def test_flags_and_dates_can_be_changed_to_nothing(database):
    with database.write() as connection:
        given_a_tenant(connection)
        Insert(subjects, ["tenant", "ref", "workflow", "sequence", "tally", "opened_at", "anniversary", "in_late"]).run(
            connection, [(1, "C-1", "customer", 1, "{}", NOON, date(2026, 1, 1), True)]
        )
        Update(subjects, key=["tenant", "ref"], set=["anniversary", "in_late", "next_due"]).run(
            connection, [(1, "C-1", None, False, None)]
        )
        kept = connection.execute(select(subjects.c.anniversary, subjects.c.in_late, subjects.c.next_due)).one()
    assert tuple(kept) == (None, False, None)


def test_bytes_come_back_as_they_were(database):
    columns = [column.name for column in messages.columns if not column.nullable and column.server_default is None]
    filled = {"tenant": 1, "person": "{}", "context": "{}"} | dict.fromkeys(
        ["created_at", "effective_at", "not_before"], NOON
    )
    rows = [(*(filled.get(name, str(at)) for name in columns), body) for at, body in enumerate([None, *BYTES])]
    with database.write() as connection:
        Insert(messages, [*columns, "body"]).run(connection, rows)
        kept = dict(connection.execute(select(messages.c.key, messages.c.body)).all())
        assert kept == {str(at): body for at, body in enumerate([None, *BYTES])}
        Update(messages, key=["tenant", "key"], set=["body"]).run(connection, [(1, "0", BYTES[2]), (1, "1", None)])
        kept = dict(connection.execute(select(messages.c.key, messages.c.body)).all())
    assert kept["0"] == BYTES[2]
    assert kept["1"] is None


def test_core_statements_and_ours_write_the_same(database):
    columns = ["tenant", "id", "subject", "kind", "cause", "says", "opened_at", "closed_at"]
    row = (1, "ours", None, "crash", "Zoé", "{}", INSTANTS[6], None)
    with database.write() as connection:
        given_a_tenant(connection)
        Insert(incidents, columns).run(connection, [row])
        connection.execute(insert(incidents), [dict(zip(columns, row, strict=True)) | {"id": "core"}])
        kept = connection.execute(select(incidents).order_by(incidents.c.id)).all()
    assert kept[0][0] == kept[1][0]
    assert kept[0][2:] == kept[1][2:]


def test_text_sorts_by_code_point_as_in_python(database):
    words = ["a", "B", "Z", "z", "é", "É", "ab", "a b", "a-b", "œ", "𝄞", "\uffff", "_", "1", "10", "2"]
    with database.write() as connection:
        Insert(meta, ["key", "value"]).run(connection, [(word, "") for word in words])
        kept = connection.execute(select(meta.c.key).order_by(meta.c.key)).scalars().all()
    assert kept == sorted(words)


TIMER = ["tenant", "case_ref", "name", "subject", "workflow", "event", "due_at", "armed_by"]


def timer(name, due_at):
    return (1, "PA-1", name, "C-1", "purchase_authorization", "remind", due_at, 1)


def given_a_tenant(connection):
    columns = ["id", "key", "name", "language", "zone", "policy", "settings", "created_at"]
    Insert(tenants, columns).run(connection, [(1, "a", "A", "fr", "Europe/Paris", "p", "{}", NOON)])
