"""Input that nobody means: a clear sentence and the right exit code, never a traceback."""

import os
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

DEEP = '{"type": "customer.note", "source": "a", "id": "1", "data": ' + "[" * 5000 + "]" * 5000 + "}\n"


def test_json_that_nests_without_end_is_told_line_by_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "deep.jsonl").write_text("[" * 100_000 + "\n" + DEEP, encoding="utf-8")
    found = cli("simulate", "deep.jsonl", "--from", "2025-01-01", "--until", "2025-02-01")
    assert "line 1: bad input: the event: its JSON is nested 100000 deep" in found.err + found.out
    assert "line 2: bad input: the event: its JSON is nested 5001 deep" in found.err + found.out


def test_an_argument_that_is_no_utf_8_is_bad_input(cli: Cli) -> None:
    found = cli("calendar", "renewal", "--anniversary", os.fsdecode(b"x\xff"))
    assert (found.code, found.out) == (2, "")
    assert "is not UTF-8" in found.err


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_a_day_beyond_every_membership_is_bad_input(cli: Cli, day: str) -> None:
    for command in (["renewal", "--anniversary", day], ["authorization", "--created", day]):
        found = cli("calendar", *command)
        assert found.code == 2
        assert f"{day} is no day of a membership" in found.err


def test_a_workflow_file_that_ends_the_program_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "leaving.py").write_text("import sys\n\nsys.exit(3)\n", encoding="utf-8")
    (tmp_path / "config.toml").write_text('[folders]\nworkflows = "flows"\n', encoding="utf-8")
    found = cli("check")
    assert found.code == 1
    assert "leaving.py line 3: it ends the program (sys.exit)" in found.out + found.err


def test_settings_that_nest_without_end_are_no_settings(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("x = " + "[" * 20_000, encoding="utf-8")
    found = cli("timers")
    assert found.code == 2
    assert "it is nested too deep to be read" in found.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write whatever its permissions say; run as another user")
def test_a_database_that_may_not_be_written_is_named(cli: Cli, place: Path, nord: int) -> None:
    file = place / "var" / "vipflow.db"
    file.chmod(stat.S_IRUSR)
    found = cli("team", "add", "new@nord.example", "--name", "New")
    assert found.code == 1
    assert "it cannot be written" in found.err
