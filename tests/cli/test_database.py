"""`vipflow db` and `vipflow verify`."""

import sqlite3
from pathlib import Path

from tests.cli.conftest import Cli


def test_migrate_makes_database_and_folder_and_a_second_time_does_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    first = cli("db", "migrate")
    assert first.code == 0
    assert ": made, with schema" in first.out
    assert (tmp_path / "var" / "vipflow.db").is_file()
    assert "nothing to do" in cli("db", "migrate").out
    status = cli("db", "status", "--json").json
    assert status["state"] == "current"
    assert status["resellers"] == 0


def test_a_database_without_tables_says_what_to_do(cli: Cli, place: Path) -> None:
    (place / "var" / "vipflow.db").unlink()
    sqlite3.connect(place / "var" / "vipflow.db").close()
    status = cli("db", "status")
    assert status.code == 1
    assert "Run `vipflow db migrate`" in status.err
    found = cli("timers")
    assert found.code == 1
    assert "run `vipflow db migrate`" in found.err


def test_a_database_of_a_newer_release_is_left_alone(cli: Cli, place: Path) -> None:
    with sqlite3.connect(place / "var" / "vipflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for command in (["db", "status"], ["timers"], ["db", "migrate"]):
        found = cli(*command)
        assert found.code == 1
        assert "newer vipflow" in found.err


def test_verify_finds_nothing_where_nothing_is_wrong(cli: Cli, elan: str) -> None:
    found = cli("verify")
    assert (found.code, found.err) == (0, "")
    assert "All is as promised." in found.out
    assert cli("verify", "--json").json["ok"] is True


def test_verify_ends_with_one_and_names_what_is_wrong(cli: Cli, elan: str, place: Path) -> None:
    with sqlite3.connect(place / "var" / "vipflow.db") as connection:
        connection.execute("DELETE FROM history WHERE sequence = 2")
    connection.close()
    found = cli("verify")
    assert found.code == 1
    assert f"I1 nord {elan}" in found.err
    assert cli("verify", "--json").json["ok"] is False


def test_version_names_what_it_runs_on(cli: Cli) -> None:
    assert cli("version").out.startswith("vipflow 0.")
    assert cli("version", "--json").json.keys() == {"vipflow", "schema", "python", "sqlite"}
