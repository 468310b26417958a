"""A database with its tables, fresh for each test, on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from vipflow.store.database import Database, open_database
from vipflow.store.schema import create_all


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durability="off", patience=0.3)
    create_all(opened)
    yield opened
    opened.dispose()
