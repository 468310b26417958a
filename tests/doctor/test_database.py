"""What the doctor says of the database and its schema."""

import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.doctor.conftest import Place
from vipflow.clock import HostClock, StillClock
from vipflow.operations.doctor import Limits
from vipflow.operations.doctor.database import judge_permissions, judge_server, judge_session, judge_transactions
from vipflow.store.database_settings import (
    LongTransaction,
    PostgresServer,
    SqliteSession,
    file_system_of,
    sqlite_file_found,
)
from vipflow.store.sqlite import Gate

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


# --- SQLite --------------------------------------------------------------------------------------------------------


@SQLITE
def test_a_healthy_database_is_said_to_keep_its_commits(place: Place) -> None:
    seen = place.doctor("--only", "database", "--only", "schema")
    assert seen.code == 0
    assert "every commit on disk" in seen.one("session", "ok")["says"]
    assert seen.one("damage", "ok")["says"] == "No page is damaged."
    assert "which this release needs" in seen.one("schema", "ok")["says"]
    assert not seen.found("private")


@SQLITE
def test_a_database_that_is_not_there_is_to_be_made(place: Place) -> None:
    place.file.unlink()
    seen = place.doctor()
    assert seen.code == 1
    finding = seen.one("file", "error")
    assert finding["says"].startswith("There is no database")
    assert finding["run"] == ["vipflow db migrate"]
    assert not place.file.exists(), "a doctor makes nothing"


@SQLITE
def test_a_file_that_is_no_database_is_named(place: Place) -> None:
    place.file.write_text("Dear diary, " * 20)
    seen = place.doctor("--only", "database")
    assert seen.code == 1
    finding = seen.one("database.file", "error")
    assert "is no SQLite database" in finding["says"]
    assert "restore a backup" in finding["remedy"]


@SQLITE
def test_an_empty_file_wants_its_tables(place: Place) -> None:
    place.database.dispose()
    place.file.write_bytes(b"")
    seen = place.doctor("--only", "database")
    assert seen.code == 1
    assert seen.one("database.file", "error")["run"] == ["vipflow db migrate"]


@SQLITE
def test_a_database_without_its_log_is_not_opened_but_told_how_to_get_it(place: Place) -> None:
    place.database.dispose()
    with closing(sqlite3.connect(place.file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    before = place.file.read_bytes()
    seen = place.doctor()
    finding = seen.one("log", "warning")
    assert "keeps no write-ahead log" in finding["says"]
    assert finding["run"] == ["vipflow db status"]
    assert place.file.read_bytes() == before
    assert seen.found("schema", "not checked")
    assert seen.code == 0, "a warning is no error"


@SQLITE
def test_a_damaged_page_is_found(place: Place) -> None:
    with place.database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE notes (said TEXT)")
        connection.exec_driver_sql("INSERT INTO notes SELECT hex(randomblob(500)) FROM sqlite_master")
        root = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'notes'").scalar_one()
        size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    place.database.dispose()
    with closing(sqlite3.connect(place.file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with place.file.open("r+b") as handle:
        handle.seek((root - 1) * size)
        handle.write(b"\xff" * size)
    seen = place.doctor("--only", "database")
    assert seen.code == 1
    finding = seen.one("damage", "error")
    assert finding["says"].startswith("The database is damaged: ")
    assert "keep a copy of the files" in finding["remedy"]


@SQLITE
def test_a_large_file_is_checked_for_damage_only_when_that_is_asked(place: Place) -> None:
    report = place.examine("database", limits=Limits(checked_at_once=10))
    (finding,) = [each for each in report.findings if each.name == "damage"]
    assert finding.status == "not checked"
    assert finding.run == ("vipflow doctor --only integrity",)
    seen = place.doctor("--only", "integrity")
    assert seen.code == 0
    assert seen.one("damage", "ok")["says"] == "No page is damaged, and every index fits its table."


@SQLITE
def test_a_network_file_system_is_an_error_since_locks_do_not_hold_there(place: Place, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nnas:/data {tmp_path} nfs4 rw 0 0\n")
    report = place.examine("database", mounts=mounts)
    (finding,) = [each for each in report.findings if each.name == "file system"]
    assert not report.ok
    assert "network file system (nfs4)" in finding.says
    assert "PostgreSQL" in finding.remedy


def test_without_a_table_of_mounts_nothing_is_said_of_the_file_system() -> None:
    assert file_system_of(Path("/data/v.db"), "") is None


@SQLITE
@pytest.mark.parametrize(
    ("limits", "status"),
    [(Limits(disk_warning=10**18, disk_error=0), "warning"), (Limits(disk_warning=10**18, disk_error=10**18), "error")],
)
def test_little_room_on_the_disk_is_told_with_its_number(place: Place, limits: Limits, status: str) -> None:
    report = place.examine("database", limits=limits)
    (finding,) = [each for each in report.findings if each.name == "disk"]
    assert finding.status == status
    assert report.ok == (status == "warning")
    assert "are left on the disk" in finding.says
    assert finding.run


@SQLITE
def test_a_log_that_nobody_takes_in_is_told_with_its_size(place: Place) -> None:
    with place.database.read() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM tenants")
        place.daemon_lives()
        report = place.examine("database", limits=Limits(wal=100))
    (finding,) = [each for each in report.findings if each.name == "log"]
    assert finding.status == "warning"
    assert "has grown to" in finding.says
    assert finding.run == (f"fuser -v {place.file}",)


@SQLITE
def test_a_writer_that_stands_still_is_named_with_its_process(place: Place) -> None:
    with Gate(place.file, "it", 1).held():
        assert not place.doctor("--only", "database").found("gate"), "it has only begun"
        then = place.ago(seconds=45).timestamp()
        os.utime(f"{place.file}.gate", (then, then))
        seen = place.doctor("--only", "database")
    assert seen.code == 1
    finding = seen.one("gate", "error")
    assert finding["says"].startswith(f"Process {os.getpid()} has been writing for 4")
    assert f"kill {os.getpid()}" in finding["run"]


@SQLITE
def test_customers_data_that_everybody_may_read_are_a_warning(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.file.chmod(0o644)
    assert not place.doctor("--only", "database").found("private"), "nobody comes into the folder"
    monkeypatch.setattr("vipflow.operations.doctor.database.others_come_to", lambda folder: True)
    seen = place.doctor("--only", "database")
    assert seen.code == 0
    finding = seen.one("private", "warning")
    assert "may be read by everybody" in finding["says"]
    assert finding["run"] == [f"chmod o-rwx {place.file.parent} {place.file}*"]


def test_a_command_to_copy_holds_in_a_folder_with_a_space_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "our office"
    folder.mkdir()
    file = folder / "vipflow.db"
    sqlite3.connect(file).close()
    file.chmod(0o644)
    monkeypatch.setattr("vipflow.operations.doctor.database.others_come_to", lambda folder: True)
    (finding,) = judge_permissions(file, sqlite_file_found(file))
    assert finding.run == (f"chmod o-rwx '{folder}' '{file}'*",)


def test_connections_that_do_not_keep_commits_are_an_error() -> None:
    (finding, *_) = judge_session(SqliteSession("3.51.3", "delete", 1, False))
    assert finding.status == "error"
    assert "journal_mode is delete" in finding.says
    assert "synchronous is not FULL" in finding.says
    assert "foreign keys" in finding.says
    assert finding.remedy


def test_the_bug_of_older_sqlite_is_a_note_that_says_what_protects() -> None:
    notes = [each for each in judge_session(SqliteSession("3.40.1", "wal", 2, True)) if each.status == "note"]
    assert len(notes) == 1
    assert "nothing else writes" in notes[0].says
    assert "3.51.3" in notes[0].remedy
    assert [each.status for each in judge_session(SqliteSession("3.51.3", "wal", 2, True))] == ["ok"]


# --- PostgreSQL ----------------------------------------------------------------------------------------------------

SERVER = PostgresServer(180_004, "18.4", "on", "on", "on", "UTF8", 10, 97, True, HostClock().now())


def test_a_healthy_server_has_nothing_but_well() -> None:
    assert {each.status for each in judge_server(SERVER, Limits())} == {"ok"}


@pytest.mark.parametrize(
    ("change", "name", "status", "says"),
    [
        ({"fsync": "off"}, "durability", "error", "fsync is off"),
        ({"full_page_writes": "off"}, "durability", "error", "full_page_writes is off"),
        ({"synchronous_commit": "off"}, "durability", "error", "synchronous_commit is off"),
        ({"version": 130_009, "shown_version": "13.9"}, "version", "warning", "PostgreSQL 13.9 is older"),
        ({"encoding": "SQL_ASCII"}, "encoding", "error", "encoded in SQL_ASCII"),
        ({"connections": 90}, "connections", "warning", "7 connections of 97 are free"),
        ({"amcheck": False}, "amcheck", "note", "amcheck is not installed"),
    ],
)
def test_each_setting_that_endangers_us_is_told(change: dict[str, object], name: str, status: str, says: str) -> None:
    findings = list(judge_server(SERVER._replace(**change), Limits()))  # type: ignore[arg-type]  # why: a table of cases
    (finding,) = [each for each in findings if each.name == name]
    assert finding.status == status
    assert says in finding.says
    assert finding.remedy


def test_a_long_transaction_is_told_with_who_and_since_when() -> None:
    since = SERVER.now - timedelta(minutes=7)
    (finding,) = judge_transactions([LongTransaction(4711, "ada", "psql", "idle in transaction", since)], SERVER.now)
    assert finding.says.startswith("Session 4711 (psql of ada) stands still inside a transaction since ")
    assert "for 7 minutes" in finding.says
    assert finding.run == ("SELECT pg_terminate_backend(4711);",)


@POSTGRESQL
def test_the_server_of_the_tests_is_said_to_keep_nothing(place: Place) -> None:
    seen = place.doctor("--only", "database")
    assert seen.code == 1, "it runs without fsync, for speed"
    assert "fsync is off" in seen.one("durability", "error")["says"]
    assert "connections are taken" in seen.one("connections", "ok")["says"]


@POSTGRESQL
def test_an_open_transaction_of_another_session_is_seen(place: Place) -> None:
    address = place.url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address, application_name="report") as connection:
        connection.execute("SELECT 1")
        report = place.examine("database", limits=Limits(transaction=timedelta(0)))
    (finding,) = [each for each in report.findings if each.name == "transaction" and "(report of" in each.says]
    assert finding.status == "warning"


@POSTGRESQL
def test_a_role_without_rights_is_told_which_tables_it_may_not_write(place: Place) -> None:
    address = make_url(place.url)
    role = f"reader_of_{address.database}"
    with psycopg.connect(place.url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        url = address.set(username=role, password="x").render_as_string(hide_password=False)
        (place.folder / "config.toml").write_text(f'[database]\nurl = "{url}"\n')
        seen = place.doctor("--only", "database")
    finally:
        with psycopg.connect(place.url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")
    finding = seen.one("rights", "error")
    assert "may not read and write audit, cases" in finding["says"]
    assert finding["run"][0].startswith("GRANT SELECT, INSERT")


def test_a_server_that_does_not_answer_is_one_error_and_the_rest_is_not_checked(place: Place) -> None:
    (place.folder / "config.toml").write_text('[database]\nurl = "postgresql://ada:x@127.0.0.1:1/vipflow"\n')
    seen = place.doctor()
    assert seen.code == 1
    finding = seen.one("postgresql", "error")
    assert "no connection" in finding["says"]
    assert "check that the server runs" in finding["remedy"].lower()
    assert "x@" not in finding["says"]
    assert seen.found("clocks", "not checked")
    assert seen.found("workflows", "ok")


# --- schema --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("revision", "says", "run"),
    [
        ("0001", "The database has schema 0001, and this release needs", ["vipflow db migrate"]),
        ("9999", "A newer vipflow wrote this database (schema 9999", []),
        (None, "The database has no tables of ours yet.", ["vipflow db migrate"]),
    ],
)
def test_another_schema_is_an_error_and_nothing_of_ours_is_read(
    place: Place, revision: str | None, says: str, run: list[str]
) -> None:
    with place.database.write() as connection:
        connection.exec_driver_sql(
            "DELETE FROM alembic_version"
            if revision is None
            else f"UPDATE alembic_version SET version_num = '{revision}'"
        )
    seen = place.doctor()
    assert seen.code == 1
    finding = seen.one("schema", "error")
    assert finding["says"].startswith(says)
    assert finding["run"] == run
    assert finding["remedy"]
    assert seen.found("punctual", "not checked")[0]["remedy"] == "Put the schema right first."


def test_a_column_that_is_not_there_is_told_though_the_revision_is_ours(place: Place) -> None:
    with place.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE suppressions DROP COLUMN says")
    seen = place.doctor("--only", "schema")
    assert seen.code == 1
    finding = seen.one("schema", "error")
    assert finding["says"].endswith("and lacks suppressions.says.")
    assert "restore a backup" in finding["remedy"]


@SQLITE
def test_the_report_is_dated_by_the_clock_of_this_machine(place: Place) -> None:
    now = place.ago(days=3)
    assert place.examine("settings", host_clock=StillClock(now)).at == now
