"""Bad input: one table (bad_rows.py), each row of which is asked for its sentence, its exit code, and what it left."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.cli.bad_rows import ACTS, EVENTS, FILES, Row, event
from tests.cli.told import World, begin, say

WITH_DATABASE = [row for row in (*EVENTS, *ACTS, *FILES) if not row.alone]
ALONE = [row for row in FILES if row.alone]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """What every row must leave as it was."""
    folder = tmp_path_factory.mktemp("bad")
    if request.param == "sqlite":
        yield _told(begin(folder, f"sqlite:///{folder}/vipflow.db"))
        return
    server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
    database = server.create_database("bad")
    yield _told(begin(folder, server.url_for(database)))
    server.drop_database(database)


def _told(world: World) -> World:
    known = {**event(text="x"), "id": "known"}
    assert world.post(known).code == 0
    return world


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, to run commands in; no variable says anything."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("VIPFLOW_")]:
        monkeypatch.delenv(name)
    return tmp_path


def _write(folder: Path, row: Row) -> None:
    for name, content in row.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("row", WITH_DATABASE, ids=lambda row: row.name)
def test_bad_input_is_answered_with_a_sentence_and_leaves_everything_as_it_was(
    world: World, here: Path, row: Row
) -> None:
    _write(here, row)
    before = world.counts()
    said = world.say(*row.arguments, stdin=row.stdin)
    assert said.err.removesuffix("\n") == row.says.replace("{folder}", str(here))
    assert said.code == row.code
    after = world.counts()
    assert after.pop("inbox") - before.pop("inbox") == row.kept
    assert after == before


@pytest.mark.parametrize("row", ALONE, ids=lambda row: row.name)
def test_files_that_cannot_be_used_are_answered_with_a_sentence(here: Path, row: Row) -> None:
    _write(here, row)
    said = say(*row.arguments)
    assert said.err.removesuffix("\n") == row.says.replace("{folder}", str(here))
    assert said.code == row.code
