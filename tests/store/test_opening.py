"""What is said when a database cannot be opened."""

import sys
from dataclasses import replace

import pytest

from vipflow.errors import BadInput
from vipflow.store.database import DatabaseUnusable, open_database
from vipflow.store.meta import get_meta, set_meta


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused_because_it_would_forget(url):
    with pytest.raises(BadInput, match="forgets everything"):
        open_database(url)


@pytest.mark.parametrize("url", ["mysql://host/name", "postgres://host/name", "postgresql+asyncpg://host/name"])
def test_another_kind_of_database_is_refused_with_the_kinds_there_are(url):
    with pytest.raises(BadInput, match=r"sqlite:///<path> or postgresql://"):
        open_database(url)


@pytest.mark.parametrize("url", ["", "var/vipflow.db", "sqlite:///a.db?mode=ro", "sqlite:///file:a.db"])
def test_what_is_no_url_of_a_database_is_refused(url):
    with pytest.raises(BadInput, match="the database's URL"):
        open_database(url)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DatabaseUnusable, match=f"there is no folder {tmp_path}/nowhere"):
        open_database(f"sqlite:///{tmp_path}/nowhere/vipflow.db")


def test_a_reader_makes_no_file(tmp_path):
    with pytest.raises(DatabaseUnusable, match="there is no such file"):
        open_database(f"sqlite:///{tmp_path}/vipflow.db", role="reader")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    file = tmp_path / "letter.txt"
    file.write_text("Chère Madame, " * 100)
    with pytest.raises(DatabaseUnusable, match="it is no SQLite database"):
        open_database(f"sqlite:///{file}")
    assert file.read_text() == "Chère Madame, " * 100


def test_a_folder_with_accents_and_spaces_will_do(tmp_path):
    folder = tmp_path / "Données de l'été 100%"
    folder.mkdir()
    database = open_database(f"sqlite:///{folder}/vipflow.db")
    with database.write():
        pass
    database.dispose()
    assert (folder / "vipflow.db").exists()


def test_a_server_that_does_not_answer_is_named_without_its_password():
    database = open_database("postgresql://clerk:secret@127.0.0.1:1/vipflow")
    with pytest.raises(DatabaseUnusable, match="no connection") as told, database.read():
        pass
    assert "clerk" in str(told.value)
    assert "secret" not in str(told.value)
    database.dispose()


def test_a_database_that_is_not_there_is_named(postgres_server):
    database = open_database(postgres_server.url_for("nowhere"))
    with pytest.raises(DatabaseUnusable, match=r"\"nowhere\" does not exist"), database.read():
        pass
    database.dispose()


def test_both_spellings_of_postgresql_are_the_same(postgres_server):
    name = postgres_server.create_database()
    url = postgres_server.url_for(name)
    for spelling in (url, url.replace("postgresql+psycopg://", "postgresql://")):
        database = open_database(spelling)
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        database.dispose()
    postgres_server.drop_database(name)


def test_a_missing_driver_is_named_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseUnusable, match=r"pip install 'vipflow\[postgres\]'"):
        open_database("postgresql://host/name")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lost_server_is_said_plainly_and_the_next_transaction_connects_anew(database):
    def while_the_server_goes():
        with database.write() as connection:
            ours = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with database.write() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({ours})")
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(DatabaseUnusable):
        while_the_server_goes()
    with database.write() as connection:
        assert get_meta(connection, "a") is None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_process_that_stands_still_in_a_transaction_loses_it_and_is_told(database):
    """What the server says is not always read: then it is the time that tells, here a very short one."""
    database = replace(database, _stands_still=0.0)

    def frozen():
        with database.write() as connection:
            set_meta(connection, "a", "half")
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '1ms'")
            with database.write() as other:
                other.exec_driver_sql("SELECT pg_sleep(0.1)")
            set_meta(connection, "a", "whole")

    with pytest.raises(DatabaseUnusable, match="stood still"):
        frozen()
    with database.write() as connection:
        assert get_meta(connection, "a") is None
