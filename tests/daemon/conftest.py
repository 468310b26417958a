"""A kitchen in a folder, on SQLite and on PostgreSQL, and daemons that run it."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import postgres
from tests.daemon.processes import KITCHEN, Place
from vipflow.store.database import open_database
from vipflow.store.schema import migrate
from vipflow.store.tenants import add_tenant

CONFIG = """
[database]
url = "{url}"

[folders]
workflows = "{kitchen}/workflows"
email_templates = "{kitchen}/email_templates"

[mail]
folder = "mail"
domain = "kitchen.example"
"""


def _kitchen(url: str) -> None:
    """The database of a kitchen in which nothing is on the stove."""
    migrate(url)
    database = open_database(url)
    with database.write() as connection:
        add_tenant(
            connection,
            key="kitchen",
            name="The Kitchen",
            language="en",
            zone="Europe/Paris",
            policy="none",
            settings='{"sender": "eggs@kitchen.example"}',
            created_at=datetime(2024, 1, 1, tzinfo=UTC),
        )
    database.dispose()


@pytest.fixture(scope="session")
def kitchen_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kitchen") / "vipflow.db"
    _kitchen(f"sqlite:///{file}")
    return file


def _place(folder: Path, url: str) -> Iterator[Place]:
    (folder / "config.toml").write_text(CONFIG.format(url=url, kitchen=KITCHEN))
    place = Place(folder, url)
    yield place
    for daemon in place.daemons:
        daemon.kill()


@pytest.fixture
def sqlite_place(tmp_path: Path, kitchen_file: Path) -> Iterator[Place]:
    shutil.copy(kitchen_file, tmp_path / "vipflow.db")
    yield from _place(tmp_path, f"sqlite:///{tmp_path / 'vipflow.db'}")


@pytest.fixture
def postgres_place(tmp_path: Path, postgres_server: postgres.PostgresServer) -> Iterator[Place]:
    name = postgres_server.create_database("kitchen", template=postgres_server.template("kitchen", _kitchen))
    yield from _place(tmp_path, postgres_server.url_for(name))
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Place:
    """A kitchen on each database."""
    found: Place = request.getfixturevalue("sqlite_place" if request.param == "sqlite" else "postgres_place")
    return found
