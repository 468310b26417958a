"""Bad input: one table (bad_rows.py), each row of which is asked for its sentence, its exit code, and what it left."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.cli.bad_rows import ACTS, EVENTS, FILES, OUTCOMES, Row, event
from tests.cli.told import World, begin, say

WITH_DATABASE = [row for row in (*EVENTS, *ACTS, *FILES) if not row.alone]
ALONE = [row for row in FILES if row.alone]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """What every row must leave as it was."""
    folder = tmp_path_factory.mktemp("bad")
    world = _told(begin(folder, f"sqlite:///{folder}/vipflow.db"))
    yield world
    world.database.dispose()


@pytest.fixture(scope="module")
def world_on_postgresql(
    postgres_server: postgres.PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    name = postgres_server.create_database("bad")
    world = _told(begin(tmp_path_factory.mktemp("bad"), postgres_server.url_for(name)))
    yield world
    world.database.dispose()
    postgres_server.drop_database(name)


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


def _looked_at(world: World, folder: Path, row: Row) -> None:
    for name, content in row.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    before = world.counts()
    said = say(*row.arguments) if row.alone else world.say(*row.arguments, stdin=row.stdin)
    assert said.err.removesuffix("\n") == row.says.replace("{folder}", str(folder))
    assert said.code == row.code
    after = world.counts()
    assert after.pop("inbox") - before.pop("inbox") == row.kept
    assert after == before


@pytest.mark.parametrize("row", [*WITH_DATABASE, *ALONE], ids=lambda row: row.name)
def test_bad_input_is_answered_with_a_sentence_and_leaves_everything_as_it_was(
    world: World, here: Path, row: Row
) -> None:
    _looked_at(world, here, row)


@pytest.mark.parametrize("row", ACTS, ids=lambda row: row.name)
def test_acts_with_bad_input_are_answered_the_same_on_postgresql(
    world_on_postgresql: World, here: Path, row: Row
) -> None:
    _looked_at(world_on_postgresql, here, row)


def test_a_file_of_all_bad_events_is_answered_line_by_line_on_both_databases(
    world_on_postgresql: World, world: World, here: Path
) -> None:
    lines = b"".join(row.stdin for row in EVENTS)
    (here / "events.jsonl").write_bytes(lines)
    for each in (world_on_postgresql, world):
        before = each.counts()
        said = each.say("event", "post", "events.jsonl", "--verdicts", "told.jsonl", "--json")
        assert said.code == 5
        told = [json.loads(line) for line in (here / "told.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [line["line"] for line in told] == list(range(1, len(EVENTS) + 1))
        for row, line in zip(EVENTS, told, strict=True):
            assert line["outcome"] == OUTCOMES[row.code].replace(" ", "_"), row.name
            if "problem" in line:
                assert row.says == f"line 1: {OUTCOMES[row.code]}: {line['problem']}"
        after = each.counts()
        assert {name for name in after if after[name] != before[name]} <= {"inbox"}
        assert each.say("event", "post", "events.jsonl").code == 5
        assert each.counts() == after
    assert world.say("verify").code == world_on_postgresql.say("verify").code == 0


def test_the_same_sentence_stands_in_json_with_its_kind_and_code(world: World, here: Path) -> None:
    rows = {row.code: row for row in ACTS if not row.kept and row.code != 3 and "Usage" not in row.says}
    assert set(rows) == {2, 4, 5}
    for row in rows.values():
        said = world.say(*row.arguments, "--json")
        error = json.loads(said.err)["error"]
        assert said.out == ""
        assert said.code == error["code"] == row.code
        assert error["message"] == row.says
        assert error["kind"] in {2: {"BadInput", "PolicyError", "Usage"}, 4: {"NotFound"}, 5: {"Conflict"}}[row.code]


def test_the_error_that_the_page_shows_is_the_one_that_is_said(world: World) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert world.say("customer", "show", "C-0000-0000", "--json").err == shown
