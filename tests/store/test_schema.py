"""Migrations: what they make, what they refuse, and that they may be asked for by several at once."""

import subprocess
import sys

import pytest
from sqlalchemy import inspect, text

from vipflow.errors import SchemaError
from vipflow.store.database import open_database
from vipflow.store.schema import create_all, migrate, require_current, schema_status, status_of


@pytest.fixture
def empty(database_url):
    database = open_database(database_url, durability="off")
    yield database
    database.dispose()


def test_migrations_make_what_the_tables_say(empty, tmp_path, request):
    migrate(empty)
    migrated = schema_of(empty)
    if empty.dialect == "sqlite":
        other = open_database(f"sqlite:///{tmp_path}/other.db", durability="off")
    else:
        server = request.getfixturevalue("postgres_server")
        name = server.create_database("other")
        other = open_database(server.url_for(name), durability="off")
    create_all(other)
    created = schema_of(other)
    other.dispose()
    assert migrated == created
    assert len(created) > 40


def test_an_empty_database_is_missing_its_schema_until_it_is_migrated(empty):
    assert schema_status(empty).state == "missing"
    with pytest.raises(SchemaError, match="run `vipflow db migrate`"):
        require_current(empty)
    assert migrate(empty).state == "missing"
    status = schema_status(empty)
    assert (status.state, status.current) == ("current", status.head)
    require_current(empty)


def test_migrating_again_changes_nothing(empty):
    migrate(empty)
    before = schema_of(empty)
    assert migrate(empty).state == "current"
    assert schema_of(empty) == before


def test_a_url_will_do(database_url):
    assert migrate(database_url).state == "missing"
    assert migrate(database_url).state == "current"


def test_a_database_written_by_a_newer_release_is_left_alone(empty):
    create_all(empty)
    with empty.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert schema_status(empty).state == "newer"
    for refused in (require_current, migrate):
        with pytest.raises(SchemaError, match=r"newer vipflow \(revision 9999\): install that one or a later one"):
            refused(empty)


def test_revisions_on_the_way_to_ours_are_older_and_unknown_ones_newer():
    known = {"0001", "0002", "0003"}
    found = {current: status_of(current, "0003", known).state for current in (None, "0001", "0003", "0004")}
    assert found == {None: "missing", "0001": "older", "0003": "current", "0004": "newer"}


def test_a_migration_that_fails_leaves_nothing(empty):
    # In its way: the last table that the first migration makes.
    with empty.write() as connection:
        connection.execute(text("CREATE TABLE meta (something text)"))
    with pytest.raises(Exception, match="exists"):
        migrate(empty)
    with empty.read() as connection:
        assert inspect(connection).get_table_names() == ["meta"]


def test_of_several_migrating_at_once_one_does_it(database_url):
    code = "import sys; from vipflow.store.schema import migrate; print(migrate(sys.argv[1]).state)"
    started = [
        subprocess.Popen([sys.executable, "-c", code, database_url], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in started)
    assert said == ["current", "current", "current", "missing"]


def schema_of(database):
    """Every table, column, constraint and index, in the database's own words; columns in any order, since those that a
    later release adds stand at the end.
    """
    with database.read() as connection:
        if database.dialect == "sqlite":
            query = "SELECT type, name, sql FROM sqlite_master"
            return {(kind, name, _parts(sql or "")) for kind, name, sql in connection.execute(text(query))}
        return {tuple(row) for query in POSTGRESQL_SCHEMA for row in connection.execute(text(query))}


def _parts(sql):
    """What a CREATE statement says: its head, and what stands between its commas, sorted."""
    head, _, inside = " ".join(sql.split()).partition("(")
    parts, depth = [""], 0
    for character in inside:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    *columns, last = parts
    last, _, tail = last.rpartition(")")
    return head, tuple(sorted(part.strip() for part in (*columns, last))), tail


POSTGRESQL_SCHEMA = [
    """SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default,
              is_identity, identity_generation
       FROM information_schema.columns WHERE table_schema = 'public'""",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
       FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
]
