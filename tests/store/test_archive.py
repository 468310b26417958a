"""Everything as JSON lines: out of one database and into another, the same to the byte; never from a touched file."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import Boolean, Date, Integer, func, insert, select, text

from tests.postgres import PostgresServer
from tests.store.test_round_trips import BYTES, NOON, TEXTS
from vipflow.errors import BadInput, SchemaError
from vipflow.store.archive import Archive
from vipflow.store.database import Database, open_database
from vipflow.store.moving import Unreadable, fill, holds_nothing, write_all
from vipflow.store.schema import create_all, head_revision, upgrade
from vipflow.store.tables import history, messages, meta, metadata, tenants
from vipflow.store.types import JsonText, PackedBytes, UtcDateTime

ROWS = 12
JSON = [
    '{"a":1}',
    '{"É":"\\u00e9 é","b":[1,2.50,1e400],  "b":3}',
    "[ ]",
    "null",
    '"text"',
    "12",
    '{"$text":"{}"}',
    '{"a":\n1}',
    ' {"a":1}',
    '{"a":1} ',
    '{"a":1}}',
    "",
]
"""JSON as we write it, and whatever else a column of text may hold: all of it comes back as it was."""


def odd(column, n):
    """A value for a column of the n-th row of its table: keys that fit, and otherwise whatever is hard to copy."""
    name, kind = str(column.name), column.type
    if name == "tenant":
        return 1
    if name in ("subject", "ref"):
        return f"C-{n}"
    if isinstance(kind, UtcDateTime):
        return NOON + timedelta(days=n, microseconds=n)
    if isinstance(kind, JsonText):
        return JSON[n % len(JSON)]
    if isinstance(kind, PackedBytes):
        return BYTES[n % len(BYTES)]
    if isinstance(kind, Boolean):
        return n % 2 == 0
    if isinstance(kind, Date):
        return date(2028, 2, 29) + timedelta(days=n)
    if isinstance(kind, Integer):
        return n + 1
    return f"{name} {n} {TEXTS[n % (len(TEXTS) - 1)]}"  # the last is too long for a key


def put_something_into_every_table(database: Database) -> None:
    with database.write() as connection:
        for table in metadata.sorted_tables:
            rows = [{c.name: odd(c, n) for c in table.columns} for n in range(ROWS)]
            for n, row in enumerate(rows):
                for column in table.columns:
                    if column.nullable and n % 3 == 1:
                        row[column.name] = None
            connection.execute(insert(table), rows)


def exported(database: Database) -> bytes:
    out = io.BytesIO()
    with database.read() as connection:
        write_all(connection, out.write, schema=head_revision())
    return out.getvalue()


def brought_in(database: Database, lines: bytes) -> None:
    with database.write() as connection:
        fill(connection, Archive(io.BytesIO(lines), "the file"))


@pytest.fixture
def another(
    tmp_path, postgres_server: PostgresServer
) -> Iterator[Callable[[str], Database]]:  # a database of either kind, with our tables
    made: list[Database] = []

    def make(kind: str) -> Database:
        if kind == "sqlite":
            url = f"sqlite:///{tmp_path / f'another-{len(made)}.db'}"
        else:
            url = postgres_server.url_for(postgres_server.create_database("another"))
        database = open_database(url, durability="off")
        create_all(database)
        made.append(database)
        return database

    yield make
    for database in made:
        database.dispose()


def test_from_one_kind_to_the_other_and_back_everything_stays_the_same_to_the_byte(another):
    first = another("sqlite")
    put_something_into_every_table(first)
    lines = exported(first)
    assert exported(first) == lines
    second, third = another("postgresql"), another("sqlite")
    brought_in(second, lines)
    assert exported(second) == lines
    brought_in(third, exported(second))
    assert exported(third) == lines
    for column in (history.c.facts_after, messages.c.body, messages.c.context):
        kept = [each for database in (first, second, third) for each in [_all(database, column)]]
        assert kept[0] == kept[1] == kept[2]


def _all(database, column):
    with database.read() as connection:
        return connection.execute(select(column).order_by(*column.table.primary_key)).all()


def test_a_line_is_plain_json(database):
    put_something_into_every_table(database)
    lines = [json.loads(line) for line in exported(database).splitlines()]
    assert lines[0]["vipflow"]["tables"]["history"]["recorded_at"] == "instant"
    first = next(line["history"] for line in lines if "history" in line)
    assert first["recorded_at"] == "2026-03-01T12:00:00Z"
    assert first["facts_after"] == {"a": 1}
    assert {"close": {"table": "history", "rows": ROWS}}.items() <= _without_hashes(lines)
    assert lines[-1]["end"]["rows"] == len(metadata.sorted_tables) * ROWS


def _without_hashes(lines):
    (close,) = [line["close"] for line in lines if line.get("close", {}).get("table") == "history"]
    return {"close": {"table": close["table"], "rows": close["rows"]}}.items()


def test_what_is_written_afterwards_goes_on_behind_what_came_in(database, another):
    put_something_into_every_table(database)
    target = another(database.dialect)
    brought_in(target, exported(database))
    row = {c.name: odd(c, 50) for c in history.columns if c.name != "position"}
    with target.write() as connection:
        connection.execute(insert(history).values(row))
        assert connection.execute(select(func.max(history.c.position))).scalar_one() == ROWS + 1


def test_a_file_that_was_cut_anywhere_is_refused_with_the_line(exported_once):
    lines = exported_once
    ends = [at for at, byte in enumerate(lines) if byte == ord("\n")]
    places = {0, 1, *ends[:-1], *(at + 1 for at in ends[:-1]), *(at - 1 for at in ends), *range(0, len(lines), 9973)}
    for at in sorted(places):
        with pytest.raises(BadInput, match=r"^the file line (\d+): ") as refused:
            Archive(io.BytesIO(lines[:at]), "the file").check()
        number = int(refused.value.what.rpartition(" ")[2])
        assert number == lines[:at].count(b"\n") + 1
        assert "it was cut" in refused.value.problem or at == 0 or "first line" in refused.value.problem


def test_a_file_in_which_one_byte_is_another_is_refused(exported_once):
    lines = bytearray(exported_once)
    for at in range(0, len(lines), 9973):
        before = lines[at]
        lines[at] = before ^ 1
        with pytest.raises(BadInput, match=r"^the file line \d+: "):
            Archive(io.BytesIO(bytes(lines)), "the file").check()
        lines[at] = before
    Archive(io.BytesIO(bytes(lines)), "the file").check()


def edited(change: Callable[[list[bytes]], None]) -> Callable[[bytes], bytes]:
    def edit(lines: bytes) -> bytes:
        found = lines.splitlines(keepends=True)
        change(found)
        return b"".join(found)

    return edit


def _swap(lines, one, other):
    lines[one], lines[other] = lines[other], lines[one]


def _line(lines, begins):
    return next(at for at, line in enumerate(lines) if line.startswith(begins))


def _replace(lines, begins, old, new):
    at = _line(lines, begins)
    assert old in lines[at]
    lines[at] = lines[at].replace(old, new, 1)


EDITS = {
    "a row is taken out": (lambda x: x.pop(_line(x, b'{"tenants"')), "12 rows of tenants were written, and 11"),
    "a row stands twice": (lambda x: x.insert(3, x[2]), r"rows of \w+ were written, and 13"),
    "two rows change places": (
        lambda x: _swap(x, _line(x, b'{"tenants"'), _line(x, b'{"tenants"') + 1),
        "not as it was",
    ),
    "a value is another": (
        lambda x: _replace(x, b'{"tenants"', b'"id":1,', b'"id":7,'),
        r"the lines \d+ to \d+ \(tenants",
    ),
    "a value is of another kind": (lambda x: _replace(x, b'{"tenants"', b'"id":1,', b'"id":"1",'), "no row of tenants"),
    "an instant has no zone": (lambda x: _replace(x, b'{"tenants"', b'Z"', b'"'), "no row of tenants"),
    "a column is unknown": (lambda x: _replace(x, b'{"tenants"', b'"id":', b'"di":'), "no row of tenants"),
    "a row is of another table": (lambda x: _replace(x, b'{"tenants"', b"tenants", b"tenant"), "no row of"),
    "a table is closed early": (lambda x: x.pop(_line(x, b'{"close"')), "no row of"),
    "the end is another": (lambda x: _replace(x, b'{"end"', b'"rows":', b'"rows":1'), "the end does not fit"),
    "something follows": (lambda x: x.append(b"{}\n"), "something stands behind the end"),
    "the header names a column less": (
        lambda x: _replace(x, b'{"vipflow"', b'"id":"integer",', b""),
        r"in the lines 1 to 13 \(audit\)",
    ),
    "the header is spaced": (
        lambda x: _replace(x, b'{"vipflow"', b'"tables":', b'"tables": '),
        "header is not as it was",
    ),
    "the format is a later one": (lambda x: _replace(x, b'{"vipflow"', b'"format":1', b'"format":2'), "in format 2"),
    "a line nests for ever": (lambda x: x.insert(1, b'{"audit":' + b"[" * 100_000 + b"\n"), "no row of"),
    "a line is endless": (lambda x: x.insert(1, b" " * (64 * 1024 * 1024 + 2)), "longer than"),
}


@pytest.mark.parametrize(("change", "says"), EDITS.values(), ids=EDITS)
def test_a_file_that_was_edited_is_refused_with_what_is_wrong(exported_once, change, says):
    with pytest.raises(BadInput, match=rf"^the file line \d+: .*{says}"):
        Archive(io.BytesIO(edited(change)(exported_once)), "the file").check()


@pytest.fixture(scope="module")
def exported_once(tmp_path_factory) -> bytes:
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('once') / 'vipflow.db'}", durability="off")
    create_all(database)
    put_something_into_every_table(database)
    found = exported(database)
    database.dispose()
    return found


def test_a_file_summed_anew_that_the_tables_do_not_take_leaves_nothing(database, exported_once):
    """Who writes checksums of his own gets past them, and not past the rules of the tables."""
    lines = exported_once.replace(b'{"tenants":{"id":2,', b'{"tenants":{"id":1,')
    with pytest.raises(BadInput, match=r"the file lines \d+ to \d+: the database does not take a row of tenants"):
        brought_in(database, _summed_anew(lines))
    with database.read() as connection:
        assert holds_nothing(connection)


def test_a_key_that_is_too_long_for_an_index_of_postgresql_is_named(another, tmp_path):
    first = another("sqlite")
    put_something_into_every_table(first)
    with first.write() as connection:
        connection.execute(insert(meta).values(key="".join(map(chr, range(0x4E00, 0x6E00))), value=""))
    with pytest.raises(BadInput, match="does not take a row of meta"):
        brought_in(another("postgresql"), exported(first))


def test_a_file_summed_anew_that_is_not_written_as_we_write_leaves_nothing(database, exported_once):
    lines = exported_once.replace(b'"created_at":"2026-03-01T12:00:00Z"', b'"created_at":"2026-03-01T13:00:00+01:00"')
    with pytest.raises(BadInput, match="what came of its table messages is not what it says"):
        brought_in(database, _summed_anew(lines))
    with database.read() as connection:
        assert holds_nothing(connection)


def _summed_anew(lines: bytes) -> bytes:
    checksum, out = sha256(), []
    for line in lines.splitlines(keepends=True):
        if line.startswith((b'{"close":', b'{"end":')):
            told = json.loads(line)
            next(iter(told.values()))["sha256"] = checksum.hexdigest()
            out.append(json.dumps(told, separators=(",", ":")).encode() + b"\n")
        else:
            out.append(line)
        checksum.update(out[-1])
    return b"".join(out)


# --- other releases ------------------------------------------------------------------------------------------------


def test_a_database_of_an_older_release_is_exported_as_it_is_and_brought_up_where_it_comes_in(database_url, tmp_path):
    old = open_database(database_url, durability="off")
    with old.write() as connection:
        upgrade(connection, "0001")
        columns = {c.name: odd(c, 0) for c in tenants.columns}
        connection.execute(insert(tenants).values(columns))
        out = io.BytesIO()
        write_all(connection, out.write, schema="0001")
    old.dispose()
    archive = Archive(io.BytesIO(out.getvalue()), "the file")
    assert archive.header.schema == "0001"
    assert "holds" not in archive.header.tables
    new = open_database(f"sqlite:///{tmp_path / 'new.db'}", durability="off")
    with new.write() as connection:
        upgrade(connection, archive.header.schema)
        fill(connection, archive)
        upgrade(connection)
        assert connection.execute(select(tenants.c.key)).scalar_one() == columns["key"]
    assert exported(new)
    new.dispose()


def test_a_column_that_this_release_does_not_know_is_not_left_out_in_silence(database):
    with database.write() as connection:
        connection.execute(text("ALTER TABLE subjects ADD COLUMN mood TEXT"))
    with database.read() as connection, pytest.raises(SchemaError, match=r"does not know subjects\.mood"):
        write_all(connection, lambda _: None, schema="0099")


def test_text_that_is_no_text_is_named_by_its_table(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'vipflow.db'}", durability="off")
    create_all(database)
    with database.write() as connection:
        connection.execute(insert(meta).values(key="a", value="b"))
        connection.execute(text("UPDATE meta SET value = CAST(x'ff' AS TEXT)"))
    with database.read() as connection, pytest.raises(Unreadable, match="the table meta: a row cannot be read"):
        write_all(connection, lambda _: None, schema=head_revision())
    database.dispose()
