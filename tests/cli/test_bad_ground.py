"""A database or disk that lets nobody work: a sentence, the right exit code, and nothing half done."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests import postgres
from tests.cli.told import NOW, World, as_nobody, begin, on_a_disk_of, say, say_after, with_files_up_to
from vipflow.store.database import open_database

NOTE = ("customer", "note", "1A2B", "called")
READ = ("timers",)
POSTED = b"".join(
    b'{"specversion":"1.0","type":"customer.note","source":"a","id":"%d","subject":"customers/1A2B",'
    b'"data":{"text":"%s"}}\n' % (number, b"x" * 1900)
    for number in range(1500)
)
"""Some three megabytes."""


@pytest.fixture(scope="module")
def told(run_folder: Path) -> Iterator[Path]:
    """The database of the story, to be copied."""
    folder = Path(tempfile.mkdtemp(dir=run_folder))
    world = begin(folder, f"sqlite:///{folder}/vipflow.db")
    assert world.say(*READ).code == 0
    world.database.dispose()
    yield folder / "vipflow.db"
    shutil.rmtree(folder)


@pytest.fixture
def world(told: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """In a folder through which everybody may pass."""
    for name in [name for name in os.environ if name.startswith("VIPFLOW_")]:
        monkeypatch.delenv(name)
    folder = Path(tempfile.mkdtemp(dir=run_folder))
    folder.chmod(0o711)
    monkeypatch.chdir("/")
    shutil.copy(told, folder / "vipflow.db")
    (folder / "vipflow.db.gate").touch()
    (folder / "vipflow.db.turn").touch()
    config = folder / "config.toml"
    config.write_text(f'[database]\nurl = "sqlite:///vipflow.db"\n[clock]\nstands_at = {NOW}\n')
    world = World(config, url := f"sqlite:///{folder}/vipflow.db", open_database(url, role="reader"))
    yield world
    world.database.dispose()
    shutil.rmtree(folder)


def _mode(world: World, mode: int) -> Path:
    """The database's file, after it and its companions got these permissions."""
    world.database.dispose()
    for file in world.config.parent.iterdir():
        if file != world.config:
            file.chmod(mode)
    return world.config.parent / "vipflow.db"


@pytest.mark.parametrize("command", [READ, NOTE], ids=["reading", "writing"])
def test_a_database_that_may_only_be_read(world: World, command: tuple[str, ...]) -> None:
    file, before = _mode(world, 0o444), world.counts()
    world.database.dispose()
    said = say_after(as_nobody, *command, config=world.config)
    assert said.err == (
        f"the database {file}: it cannot be written (attempt to write a readonly database); "
        "check the permissions of the file and its folder\n"
    )
    assert said.code == 1
    assert world.counts() == before


@pytest.mark.parametrize("command", [READ, NOTE, ("db", "status")], ids=" ".join)
def test_a_database_without_rights(world: World, command: tuple[str, ...]) -> None:
    file = _mode(world, 0o000)
    said = say_after(as_nobody, *command, config=world.config)
    assert said.err == (
        f"the database {file}: it cannot be opened (unable to open database file); check its path and permissions\n"
    )
    assert said.code == 1


def test_a_folder_without_rights(world: World, run_folder: Path) -> None:
    closed = world.config.parent / "closed"
    closed.mkdir(mode=0o700)
    os.chown(closed, 0, 0) if os.geteuid() == 0 else closed.chmod(0)
    other = world.config.parent / "other.toml"
    other.write_text('[database]\nurl = "sqlite:///closed/vipflow.db"\n')
    said = say_after(as_nobody, *READ, config=other)
    closed.chmod(0o700)
    assert said.err == (
        f"the database {closed}/vipflow.db: it cannot be reached (Permission denied); check its path and permissions\n"
    )
    assert said.code == 1


def test_settings_without_rights(world: World) -> None:
    world.config.chmod(0)
    said = say_after(as_nobody, *READ, config=world.config)
    assert said.err == (
        f"{world.config}: it cannot be read (Permission denied); "
        "name a file that this user may read (named by VIPFLOW_CONFIG)\n"
    )
    assert said.code == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            b"customer,email\n" * 100,
            "it is no SQLite database (file is not a database); name another file, or restore a backup",
        ),
        (None, "it is damaged (database disk image is malformed); restore a backup"),
    ],
    ids=["no database", "damaged"],
)
@pytest.mark.parametrize("command", [READ, NOTE], ids=["reading", "writing"])
def test_a_file_that_is_no_database_any_more(
    world: World, content: bytes | None, says: str, command: tuple[str, ...]
) -> None:
    file = _mode(world, 0o600)
    if content is None:
        whole = file.read_bytes()
        content = whole[:4096] + b"\xff" * (len(whole) - 4096)
    file.write_bytes(content)
    said = world.say(*command)
    assert said.err == f"the database {file}: {says}\n"
    assert said.code == 1
    assert file.read_bytes() == content


def test_a_database_of_a_newer_release(world: World) -> None:
    file = world.config.parent / "vipflow.db"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    said = world.say(*NOTE)
    assert said.err.startswith(f"the database {file} has schema 9999, this release needs ")
    assert said.err.endswith(
        "this database was written by a newer vipflow (revision 9999): install that one or a later one, or restore a "
        "backup\n"
    )
    assert said.code == 1


def test_a_database_in_which_somebody_writes_for_long(world: World) -> None:
    other = open_database(world.url)
    try:
        with other.write():
            said = world.say(*NOTE)
    finally:
        other.dispose()
    assert said.err == (
        f"the database {world.config.parent}/vipflow.db is busy: process {os.getpid()} has been writing for 5 s; "
        "try again; `vipflow doctor` says more\n"
    )
    assert said.code == 6


# --- no room ---------------------------------------------------------------------------------------------------------


def test_a_quota_stops_a_file_of_events_and_what_was_told_as_kept_is_kept(world: World) -> None:
    file = world.config.parent / "vipflow.db"
    world.database.dispose()
    room = with_files_up_to(file.stat().st_size + 2_500_000)
    said = say_after(room, "event", "post", "-", stdin=POSTED, config=world.config)
    assert said.err == (
        f"the database {file}: the disk fails (disk I/O error); the first 500 lines are on disk; look at the disk "
        "before you start again; post the same file again then: what is there already counts once\n"
    )
    assert said.code == 1
    assert world.counts()["inbox"] == 5 + 500
    again = world.say("event", "post", "-", stdin=POSTED)
    assert again.out.split() == ["events", "1,500", "applied", "1,500", "known", "before", "500"]
    assert world.say("verify").code == 0


def test_a_full_disk_stops_a_file_of_events_and_goes_on_when_there_is_room(world: World) -> None:
    """A real one, of two megabytes, where the machine lets us have it; the quota above is everywhere."""
    small = world.config.parent / "small"
    small.mkdir()
    world.database.dispose()
    (world.config.parent / "other.toml").write_text('[database]\nurl = "sqlite:///small/vipflow.db"\n')
    mounted = on_a_disk_of("3m", small)

    def prepare() -> None:
        mounted()
        shutil.copy(world.config.parent / "vipflow.db", small / "vipflow.db")

    if say_after(mounted, "version", config=world.config).code != 0:
        pytest.skip("this machine lets nobody mount a file system")
    said = say_after(prepare, "event", "post", "-", stdin=POSTED, config=world.config.parent / "other.toml")
    assert said.err.startswith(f"the database {small}/vipflow.db: the disk is full (database or disk is full); ")
    assert said.err.endswith(
        " lines are on disk; make room, then start again; post the same file again then: what is there already counts "
        "once\n"
    )
    assert said.code == 1


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def _tell(folder: Path, url: str) -> None:
    begin(folder / "told", url).database.dispose()


@pytest.fixture
def on_postgresql(
    postgres_server: postgres.PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.chdir("/")
    name = postgres_server.create_database(
        "ground", template=postgres_server.template("told", partial(_tell, tmp_path))
    )
    config = tmp_path / "config.toml"
    url = postgres_server.url_for(name)
    world = World(config, url, open_database(url, role="reader"))
    yield world
    world.database.dispose()
    postgres_server.drop_database(name)


@pytest.fixture
def poor(on_postgresql: World, postgres_server: postgres.PostgresServer) -> Iterator[str]:
    """A role that may connect, and nothing else."""
    role = f"poor_{os.getpid()}"
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'tops3cret'")
    yield role
    on_postgresql.database.dispose()
    with _speaking(on_postgresql) as connection:
        connection.execute(f"DROP OWNED BY {role}")
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(f"DROP ROLE {role}")


def _speaking(world: World) -> psycopg.Connection:
    address = make_url(world.url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(address, autocommit=True)


def _as(world: World, user: str, password: str) -> tuple[Path, str]:
    """Settings that reach the same database as somebody else, and how messages name it then."""
    address = make_url(world.url).set(drivername="postgresql", username=user, password=password)
    config = world.config.parent / f"{user}.toml"
    config.write_text(f'[database]\nurl = "{address.render_as_string(hide_password=False)}"\n')
    return config, address.render_as_string(hide_password=True)


def test_a_role_that_may_read_nothing(on_postgresql: World, poor: str) -> None:
    config, address = _as(on_postgresql, poor, "tops3cret")
    said = say(*READ, config=config)
    assert said.err == (
        f"the database {address}: permission denied for table alembic_version; give this role what the role has that "
        "ran `vipflow db migrate`, or name that one in config.toml\n"
    )
    assert said.code == 1


def test_a_role_that_may_only_read(on_postgresql: World, poor: str) -> None:
    with _speaking(on_postgresql) as connection:
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {poor}")
    config, address = _as(on_postgresql, poor, "tops3cret")
    assert say(*READ, config=config).code == 0
    before = on_postgresql.counts()
    said = say(*NOTE, config=config)
    assert said.err.startswith(f"the database {address}: permission denied for table ")
    assert said.err.endswith(
        "; give this role what the role has that ran `vipflow db migrate`, or name that one in config.toml\n"
    )
    assert said.code == 1
    assert on_postgresql.counts() == before


def test_a_wrong_password(on_postgresql: World, poor: str) -> None:
    config, address = _as(on_postgresql, poor, "wr0ng")
    said = say(*READ, config=config)
    assert said.err.startswith(f"the database {address}: no connection (connection failed: ")
    assert f'password authentication failed for user "{poor}"' in said.err
    assert said.err.endswith("); check that the server runs, and the address, names and password\n")
    assert "wr0ng" not in said.err
    assert said.code == 1


def test_a_database_that_the_server_does_not_have(on_postgresql: World) -> None:
    address = make_url(on_postgresql.url).set(drivername="postgresql", database="nowhere")
    config = on_postgresql.config.parent / "nowhere.toml"
    config.write_text(f'[database]\nurl = "{address.render_as_string(hide_password=False)}"\n')
    said = say(*READ, config=config)
    assert 'database "nowhere" does not exist' in said.err
    assert said.err.endswith("); check that the server runs, and the address, names and password\n")
    assert said.code == 1
