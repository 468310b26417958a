"""History that was written before rows carried hashes gets them when the database is migrated."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import inspect, select

from tests.engine.test_verify import story
from tests.engine.workshop import WORKSHOP, WorkshopTrade
from tests.engine.worlds import opened
from vipflow.engine.verify import verify
from vipflow.store import chain
from vipflow.store.database import Database
from vipflow.store.schema import _scripts, migrate
from vipflow.store.tables import history, metadata


@pytest.fixture
def of_the_first_release(database: Database, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """The story of `test_verify` in a database of schema 0001."""
    story(database)
    old = _empty(database, request, tmp_path)
    with old.write() as connection, _scripts() as config:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with old.write() as connection, database.read() as source:
        known = inspect(connection)
        for table in metadata.sorted_tables:
            if known.has_table(table.name):
                columns = [table.c[column["name"]] for column in known.get_columns(table.name)]
                for row in source.execute(select(*columns)).all():
                    connection.execute(table.insert().values(dict(row._mapping)))
    yield old
    old.dispose()


def _empty(database: Database, request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if database.dialect == "sqlite":
        return opened(f"sqlite:///{tmp_path / 'old.db'}")
    server = request.getfixturevalue("postgres_server")
    name = server.create_database("old")
    request.addfinalizer(lambda: server.drop_database(name))
    return opened(server.url_for(name))


def test_the_migration_chains_what_is_there(of_the_first_release: Database) -> None:
    old = of_the_first_release

    migrate(old)

    report = verify(old, WORKSHOP, WorkshopTrade())
    assert report.findings == ()
    assert report.history > 20
    with old.read() as connection:
        hashes = connection.execute(select(history.c.salt, history.c.hash)).all()
    assert len(set(hashes)) == len(hashes)
    assert {(len(row.salt), len(row.hash)) for row in hashes} == {(22, 43)}


def test_rows_are_hashed_in_the_order_of_the_table() -> None:
    assert [column.name for column in history.columns] == ["position", *chain.HISTORY, "salt", "digest", "hash"]
