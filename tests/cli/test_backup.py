"""`vipflow backup`, `restore`, `db export` and `db import`, as people and programs see them."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

SETTINGS = '[database]\nurl = "sqlite:///there.db"\n[daemon]\nfolder = "there"\n'


@pytest.fixture
def there(place: Path) -> str:
    """The settings of a second installation, without a database yet."""
    (place / "there.toml").write_text(SETTINGS)
    return "there.toml"


def test_a_backup_tells_what_was_read_back_and_what_it_does_not_hold(cli: Cli, elan: str, place: Path) -> None:
    found = cli("backup", "kept.db")
    assert found.code == 0, found.err
    assert "a database of SQLite" in found.out
    assert "rows, of 1 customer" in found.out
    assert "Verified: 1 customer and " in found.out
    assert "all as promised" in found.out
    assert "Not in it, so keep a copy: " in found.err
    assert "config.toml" in found.err
    assert oct((place / "kept.db").stat().st_mode & 0o777) == "0o600"
    assert cli("verify").code == 0


def test_a_name_that_is_taken_is_bad_input(cli: Cli, elan: str, place: Path) -> None:
    for command in (["backup"], ["db", "export"]):
        found = cli(*command, "config.toml")
        assert found.code == 2
        assert found.err.endswith("config.toml: it is there already, and nothing is written over; name another\n")
        assert cli(*command, "config.toml", "--json").error["kind"] == "BadInput"
    assert (place / "config.toml").read_text() == ""


def test_broken_promises_end_with_1_and_the_file_stays(cli: Cli, elan: str, place: Path, there: str) -> None:
    with closing(sqlite3.connect(place / "var" / "vipflow.db")) as connection:
        connection.execute("UPDATE subjects SET pending_count = 7")
        connection.commit()
    found = cli("backup", "kept.db")
    assert found.code == 1
    assert "1 thing is wrong:" in found.out
    assert found.err.count("I10 nord") == 1
    assert (place / "kept.db").exists()
    brought = cli("restore", "kept.db", "--config", there)
    assert brought.code == 1
    assert "All mail is held" in brought.out
    assert "I10 nord" in brought.err


def test_what_comes_next_is_said_after_a_restore(cli: Cli, elan: str, place: Path, there: str) -> None:
    assert cli("backup", "kept.db").code == 0
    found = cli("restore", "kept.db", "--config", there)
    assert found.code == 0, found.err
    assert found.out.startswith(f"The database {place}/there.db: ")
    assert "All mail is held (H-" in found.out
    for command in ("vipflow event post FILE", "vipflow serve", "vipflow catchup show", "vipflow catchup approve"):
        assert command in found.err
    shown = cli("catchup", "show", "--config", there)
    assert "the database was brought back from kept.db" in " ".join(shown.out.split())
    again = cli("restore", "kept.db", "--config", there)
    assert again.code == 2
    assert "it holds somebody's data; name another in config.toml; or take its place with --replace" in again.err
    replaced = cli("restore", "kept.db", "--config", there, "--replace", "--no-verify")
    assert replaced.code == 0
    assert "The one that was there is kept as " in replaced.out
    assert "Not verified: not asked for." in replaced.out


def test_an_export_comes_in_elsewhere_and_goes_out_again_the_same(cli: Cli, elan: str, place: Path, there: str) -> None:
    assert cli("db", "export", "one.jsonl").code == 0
    found = cli("db", "import", "one.jsonl", "--config", there, "--json")
    assert found.code == 0, found.err
    assert found.json["form"] == "json lines"
    assert found.json["verified"]["ok"] is True
    assert cli("db", "export", "two.jsonl", "--config", there).code == 0
    one, two = (_rows(place / name) for name in ("one.jsonl", "two.jsonl"))
    assert one <= two
    assert sorted(line[:8] for line in two - one) == ['{"audit"', '{"holds"']


def _rows(file: Path) -> set[str]:
    """Without what signs them, and what a database knows of itself."""
    left_out = ('{"vipflow"', '{"close"', '{"end"', '{"meta"')
    return {line for line in file.read_text().splitlines() if not line.startswith(left_out)}


def test_a_cut_export_is_refused_with_its_line(cli: Cli, elan: str, place: Path, there: str) -> None:
    assert cli("db", "export", "one.jsonl").code == 0
    size = (place / "one.jsonl").stat().st_size
    os.truncate(place / "one.jsonl", size // 2)
    found = cli("db", "import", "one.jsonl", "--config", there)
    assert found.code == 2
    assert found.err.startswith("one.jsonl line ")
    assert "it was cut" in found.err
    assert not (place / "there.db").exists()
