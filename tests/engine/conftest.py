"""A world for each story: a database with its tables, on SQLite and on PostgreSQL."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import postgres
from tests.engine.worlds import World, opened
from vipflow.store.database import Database, open_database
from vipflow.store.schema import create_all


def _with_tables(url: str) -> None:
    database = open_database(url, durability="off")
    create_all(database)
    database.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and nothing in them: copying it is faster than making them."""
    file = tmp_path_factory.mktemp("template") / "vipflow.db"
    _with_tables(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh database that has its tables; elsewhere the fixture of this name gives empty ones."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copy(template, tmp_path / "vipflow.db")
        yield f"sqlite:///{tmp_path / 'vipflow.db'}"
        return
    server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database("story", template=server.template("schema", _with_tables))
    yield server.url_for(name)
    server.drop_database(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = opened(database_url)
    yield found
    found.dispose()


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def another(database_url: str, world: World) -> Iterator[Callable[[], World]]:
    """Another process, so to speak: its own engine on its own connections, the same database and clock."""
    made: list[Database] = []

    def make(**more: Any) -> World:
        made.append(opened(database_url))
        ids = f"process{len(made)}-"
        other = World(made[-1], world.workflows, world.trade, world.clock.now(), ids=ids, **more)
        other.clock = world.clock
        other.engine.clock = world.clock
        return other

    yield make
    for database in made:
        database.dispose()
