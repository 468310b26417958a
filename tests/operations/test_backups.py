"""The whole database in a file and back: at one moment, verified, whole or not at all, and held afterwards."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.conftest import skip_or_fail
from tests.operations.conftest import World, shipped_files
from tests.operations.test_holds import is_sound, rows
from vipflow.clock import HostClock
from vipflow.config import Settings
from vipflow.delivery.outbox import Delivery
from vipflow.delivery.transport import FileTransport
from vipflow.engine.verify import verify
from vipflow.errors import BadInput, Busy, SchemaError
from vipflow.operations import audit, catchup
from vipflow.operations.backups import backup, export, last_backup
from vipflow.operations.installation import Installation, with_database
from vipflow.operations.newfiles import new_file
from vipflow.operations.restoring import restore
from vipflow.operations.ticks import tick_delivery, tick_timers
from vipflow.store.daemons import arrive
from vipflow.store.database import Database, DatabaseUnusable, open_database
from vipflow.store.schema import head_revision, migrate, upgrade

ROOT = Path(__file__).resolve().parents[2]
SENDER = '{"sender": "licences@north.example"}'


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Of the world's database; what lies beside it lies in the test's folder."""
    return settings_of(database_url, tmp_path / "here")


def settings_of(url: str, folder: Path) -> Settings:
    shipped = shipped_files().settings
    return shipped.model_copy(
        update={
            "database": shipped.database.model_copy(update={"url": url}),
            "daemon": shipped.daemon.model_copy(update={"folder": folder / "daemon"}),
            "audit": shipped.audit.model_copy(update={"key": folder / "audit.key", "seals": folder / "seals.jsonl"}),
        }
    )


@pytest.fixture
def world(world: World, settings: Settings) -> World:
    """A reseller with three customers: one has ordered, one is late, one was invited; mails wait, all is sealed."""
    world.installation = replace(world.installation, settings=settings)
    with world.installation.database.write() as connection:
        connection.execute(text("UPDATE tenants SET settings = :settings"), {"settings": SENDER})
    for company in ("Élan Vert", "Bleu Nuit"):
        world.authorize(world.invite(company))
    world.pass_days(20)
    world.invite("Rouge Vif")
    audit.seal_now(world.installation)
    return world


@pytest.fixture
def elsewhere(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Settings]]:
    """The settings of another installation, whose database is not there yet: `elsewhere("sqlite")`."""
    dropped = []

    def make(kind: str) -> Settings:
        folder = tmp_path / f"elsewhere-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        if kind == "sqlite":
            return settings_of(f"sqlite:///{folder / 'vipflow.db'}", folder)
        server = request.getfixturevalue("postgres_server")
        dropped.append(server.create_database("elsewhere"))
        return settings_of(server.url_for(dropped[-1]), folder)

    yield make
    for name in dropped:
        request.getfixturevalue("postgres_server").drop_database(name)


@contextmanager
def installed(settings: Settings) -> Iterator[Installation]:
    database = open_database(settings.database.url, durability="off")
    try:
        yield replace(with_database(shipped_files(), database, HostClock()), settings=settings)
    finally:
        database.dispose()


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- made ----------------------------------------------------------------------------------------------------------


def test_a_backup_is_read_back_and_verified_and_for_its_owner_alone(world: World, settings: Settings, tmp_path: Path):
    folder = tmp_path / "backups"
    folder.mkdir()
    made = backup(settings, folder, check=True)
    file = Path(made.file)
    assert left_over(folder) == [file.name]
    assert file.name.startswith("vipflow-20")
    assert file.stat().st_mode & 0o777 == 0o600
    assert (made.bytes, made.schema) == (file.stat().st_size, head_revision())
    assert made.rows["subjects"] == 3
    assert made.rows["history"] == len(rows(world, "history"))
    assert made.verified is not None
    assert (made.verified.ok, made.verified.customers) == (True, 3)
    assert made.as_of == max(row.recorded_at for row in rows(world, "history"))
    assert str(settings.audit.key) in made.not_in_it
    noted = last_backup(world.installation.database)
    assert noted is not None
    assert HostClock().now() - noted < timedelta(minutes=1)


@pytest.mark.parametrize("make", [lambda *given: backup(*given, check=False), export], ids=["backup", "export"])
def test_nothing_is_written_over(world: World, settings: Settings, tmp_path: Path, make):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("taken", "dangling"):
        with pytest.raises(BadInput, match="it is there already, and nothing is written over"):
            make(settings, tmp_path / name)
    with pytest.raises(BadInput, match="there is no folder"):
        make(settings, tmp_path / "no" / "folder")
    assert taken.read_text() == "mine"


def test_a_file_that_appears_while_another_is_made_under_its_name_stays(tmp_path: Path):
    making = new_file(tmp_path / "new")
    making.__enter__().write_text("ours")
    (tmp_path / "new").write_text("theirs")
    with pytest.raises(BadInput, match="it is there already"):
        making.__exit__(None, None, None)
    assert (tmp_path / "new").read_text() == "theirs"
    assert left_over(tmp_path) == ["new"]


def test_what_goes_wrong_in_between_leaves_nothing(world: World, settings: Settings, tmp_path: Path):
    folder = tmp_path / "backups"
    folder.mkdir()

    def stopped(what: str, done: int, total: int) -> None:
        if what.startswith(("Looking", "Checking")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(settings, folder, check=True, progress=stopped)
    assert left_over(folder) == []
    assert last_backup(world.installation.database) is None


def test_backups_made_while_another_process_writes_are_each_of_one_moment(
    world: World, settings: Settings, database_url: str, tmp_path: Path, elsewhere: Callable[[str], Settings]
):
    program = [sys.executable, str(Path(__file__).with_name("posting.py")), database_url]
    poster = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert poster.stdout is not None
    try:
        counts = []
        for number in range(3):
            for _ in range(5):  # it gets on, also between the copies
                assert poster.stdout.readline() == "applied\n"
            made = backup(settings, tmp_path / f"backup-{number}", check=True)
            assert made.verified is not None
            assert made.verified.ok, made.verified.findings
            counts.append(made.rows["subjects"])
    finally:
        poster.kill()
        poster.wait()
        poster.stdout.close()
    assert counts == sorted(set(counts)), "each knows more customers than the one before"
    there = restore(elsewhere("sqlite"), tmp_path / "backup-2", check=True)
    assert there.rows["subjects"] == counts[-1]
    assert is_sound(world)


def test_a_damaged_database_makes_no_backup(tmp_path: Path):
    settings = settings_of(f"sqlite:///{tmp_path / 'vipflow.db'}", tmp_path)
    migrate(settings.database.url)
    damage(tmp_path / "vipflow.db")
    with pytest.raises(DatabaseUnusable, match="it is damaged"):
        backup(settings, tmp_path / "backup", check=False)
    assert not [name for name in left_over(tmp_path) if "backup" in name]


def damage(file: Path) -> None:
    """Swaps the roots of two indexes: each page is a page, and nothing fits."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("INSERT INTO policies (id, name, body) VALUES ('a', 'b', '{}')")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'policies'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as opened:
        opened.seek((page - 1) * size + 3)
        opened.write(b"\x00\x09")


def test_where_the_promises_do_not_hold_the_backup_is_kept_and_says_so(
    world: World, settings: Settings, tmp_path: Path
):
    with world.installation.database.write() as connection:
        connection.execute(text("UPDATE cases SET state = 'paid' WHERE workflow = 'purchase_authorization'"))
    made = backup(settings, tmp_path / "backup", check=True)
    assert (tmp_path / "backup").exists()
    assert made.verified is not None
    assert not made.verified.ok
    assert {finding.invariant for finding in made.verified.findings} >= {"I2"}


def test_a_database_of_an_older_release_can_be_kept_before_it_is_migrated(
    database_url: str, tmp_path: Path, elsewhere: Callable[[str], Settings]
):
    settings = settings_of(database_url, tmp_path)
    database = open_database(database_url, durability="off")
    with database.write() as connection:
        upgrade(connection, "0001")
        connection.execute(
            text(
                "INSERT INTO tenants (id, key, name, language, zone, policy, settings, created_at) "
                "VALUES (1, 'north', 'N', 'fr', 'Europe/Paris', 'vip-2024', '{}', '2024-01-01T00:00:00.000000Z')"
            )
        )
    database.dispose()
    made = backup(settings, tmp_path / "backup", check=True)
    assert (made.schema, made.verified) == ("0001", None)
    assert "schema 0001" in str(made.not_verified)
    for kind in ("sqlite", "postgresql"):
        there = elsewhere(kind)
        found = restore(there, tmp_path / "backup")
        assert (found.schema_found, found.schema) == ("0001", head_revision())
        with installed(there) as installation, installation.database.read() as connection:
            assert connection.execute(text("SELECT key FROM tenants")).scalar_one() == "north"


FULL = """
import subprocess, sys
from pathlib import Path
room, kept = Path(sys.argv[1]), sys.argv[2]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(room)], check=True)
(room / "config.toml").write_text('[database]\\nurl = "sqlite:///vipflow.db"\\n')
there = ["--config", str(room / "config.toml")]
for command in (["backup", str(room / "new")], ["db", "export", str(room / "new")], ["restore", kept, *there]):
    done = subprocess.run([sys.executable, "-m", "vipflow", *command], capture_output=True, text=True)
    print(done.returncode, "|", done.stderr.strip(), "|", *sorted(path.name for path in room.iterdir()))
"""


def test_a_full_disk_is_said_and_nothing_is_left_there(
    world: World, settings: Settings, database_url: str, tmp_path: Path
):
    """The disk is a real one, of 256 KB, in a room of its own (a user namespace)."""
    for n in range(40):
        world.invite(f"Société {n}")
    kept = backup(settings, tmp_path / "kept", check=False)
    (tmp_path / "config.toml").write_text(f'[database]\nurl = "{database_url}"\n')
    room = tmp_path / "room"
    room.mkdir()
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0:
        skip_or_fail("namespaces", "this user may not mount a small disk.", "Allow unprivileged user namespaces.")
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", FULL, str(room), kept.file],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    *made, restored = done.stdout.splitlines()
    assert len(made) == 2, done.stderr
    for line, left in [*((line, "config.toml") for line in made), (restored, "config.toml vipflow.db.daemon")]:
        code, says, found = line.split(" | ")
        assert code == "1"
        assert "the disk is full" in says
        assert found == left


# --- brought back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_kept_comes_back_into_either_kind_the_same_and_held(
    world: World, settings: Settings, tmp_path: Path, elsewhere: Callable[[str], Settings], kind: str
):
    backup(settings, tmp_path / "backup", check=False)
    there = elsewhere(kind)
    (tmp_path / "key").write_bytes(settings.audit.key.read_bytes())
    for name in ("key", "seals"):
        shutil.copy(getattr(settings.audit, name), getattr(there.audit, name))
    found = restore(there, tmp_path / "backup")
    assert found.verified is not None
    assert found.verified.ok
    assert found.seals is None
    assert found.mails_waiting == sum(row.state == "waiting" for row in rows(world, "messages")) > 0
    before, after = rows_of(settings, tmp_path / "before"), rows_of(there, tmp_path / "after")
    assert before <= after
    assert sorted(next(iter(json.loads(line))) for line in after - before) == ["audit", "holds"]
    with installed(there) as installation:
        (hold,) = catchup.show(installation, None).holds
        assert (hold.id, hold.kind, hold.reseller) == (found.hold, "restored", None)
        assert audit.verify_audit(installation).ok
        assert audit.seal_now(installation).seal is not None
        assert verify(installation.database, installation.workflows, installation.trade).ok


def rows_of(settings: Settings, file: Path) -> set[str]:
    """The rows of a database, as lines; without what it knows of itself."""
    export(settings, file)
    lines = file.read_text().split("\n")[1:]
    return {line for line in lines if line and not line.startswith(('{"close"', '{"end"', '{"meta"'))}


def test_no_mail_leaves_until_it_is_approved_and_then_each_once(
    world: World, settings: Settings, tmp_path: Path, elsewhere: Callable[[str], Settings]
):
    backup(settings, tmp_path / "backup", check=False)
    for kind in ("sqlite", "postgresql"):
        there = elsewhere(kind)
        restore(there, tmp_path / "backup", check=False)
        with installed(there) as installation:
            catching_up = catchup.CatchUp(installation)
            began = catching_up.begin()
            assert began.held == ()  # it is held already, and nothing else is wrong
            catchup.skip_grace(installation, None)
            tick_timers(installation)
            assert catching_up.before_delivery().is_open
            mails = tmp_path / f"mails-{kind}"
            delivery = Delivery(installation.engine, installation.templates, FileTransport(mails), "test.invalid")
            assert asyncio.run(tick_delivery(installation, delivery)).done == 0
            assert not mails.exists() or not list(mails.rglob("*.eml"))
            leaving = catchup.what_would_leave(installation, held=True).mails
            assert leaving > 0
            catchup.approve(installation, None, reason="they have looked")
            assert catchup.CatchUp(installation).begin().held == ()
            assert asyncio.run(tick_delivery(installation, delivery)).done >= leaving
            assert len(list(mails.rglob("*.eml"))) == leaving
            assert asyncio.run(tick_delivery(installation, delivery)).done == 0


def test_after_an_approval_the_next_start_holds_nothing_again(
    world: World, settings: Settings, tmp_path: Path, elsewhere: Callable[[str], Settings]
):
    """On the machine whose daemon saw the database further on."""
    there = elsewhere("sqlite")
    backup(settings, tmp_path / "first", check=False)
    restore(there, tmp_path / "first", check=False)
    backup(there, tmp_path / "second", check=False)
    with installed(there) as installation:
        catchup.approve(installation, None, reason="looked at")
        later = World(installation, installation.clock)  # type: ignore[arg-type]  # why: nobody moves the clock here
        later.invite("Jaune")
        catchup.CatchUp(installation).note_progress()
    restore(there, tmp_path / "second", replace=True, check=False)
    with installed(there) as installation:
        catchup.approve(installation, None, reason="looked at again")
        assert catchup.CatchUp(installation).begin().held == ()


def test_seals_made_since_are_named_with_the_way_on(
    world: World, settings: Settings, tmp_path: Path, elsewhere: Callable[[str], Settings]
):
    backup(settings, tmp_path / "backup", check=False)
    world.invite("Jaune")
    audit.seal_now(world.installation)
    there = elsewhere("sqlite")
    without_key = restore(there, tmp_path / "backup", check=False)
    assert without_key.seals is not None
    assert "put it back from your backup" in without_key.seals
    for name in ("key", "seals"):
        shutil.copy(getattr(settings.audit, name), getattr(there.audit, name))
    again = restore(there, tmp_path / "backup", replace=True, check=False)
    assert again.seals is not None
    assert "vipflow audit restored REASON" in again.seals


KILLED = """
import os, signal, sys
from pathlib import Path
from vipflow.config import load_settings
from vipflow.operations.backups import backup
from vipflow.operations.restoring import restore

act, step, file = sys.argv[1:]

def killed(what, done, total):
    if what == step:
        os.kill(os.getpid(), signal.SIGKILL)

settings = load_settings(Path("config.toml"))
if act == "backup":
    backup(settings, Path(file), check=True, progress=killed)
else:
    restore(settings, Path(file), replace=settings.database.url.startswith("sqlite"), progress=killed)
"""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_killed_at_any_step_nothing_has_its_name_and_what_was_there_is_there(
    world: World, settings: Settings, tmp_path: Path, elsewhere: Callable[[str], Settings], kind: str
):
    export(settings, tmp_path / "lines")
    there = elsewhere(kind)
    folder = there.audit.key.parent
    (folder / "config.toml").write_text(f'[database]\nurl = "{there.database.url}"\n')
    if kind == "sqlite":
        restore(there, tmp_path / "lines", check=False)
        for step in ("Copying pages", "Looking for damage", "Verifying customers"):
            assert killed_at(folder, "backup", step, folder / "new")
            assert not (folder / "new").exists()
    before = rows_of(there, folder / "before") if kind == "sqlite" else None
    for step in ("Checking the file", "Bringing in rows", *(["Verifying customers"] if kind == "sqlite" else [])):
        assert killed_at(folder, "restore", step, tmp_path / "lines")
        if before is not None:
            assert rows_of(there, folder / f"after {step}") == before
    assert restore(there, tmp_path / "lines", replace=kind == "sqlite").rows["subjects"] == 3


def killed_at(folder: Path, act: str, step: str, file: Path) -> bool:
    program = [sys.executable, "-c", KILLED, act, step, str(file)]
    done = subprocess.run(program, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    return done.returncode == -signal.SIGKILL


# --- refused: nothing is changed -----------------------------------------------------------------------------------


def test_a_database_that_holds_something_is_not_written_over(world: World, settings: Settings, tmp_path: Path):
    backup(settings, tmp_path / "backup", check=False)
    world.invite("Jaune")
    before = rows_of(settings, tmp_path / "before")
    with pytest.raises(BadInput, match="it holds somebody's data"):
        restore(settings, tmp_path / "backup")
    assert rows_of(settings, tmp_path / "after") == before


def test_to_be_replaced_an_sqlite_database_is_kept_under_another_name(
    tmp_path: Path, world: World, settings: Settings, database_url: str
):
    backup(settings, tmp_path / "backup", check=False)
    if database_url.startswith("postgresql"):
        with pytest.raises(BadInput, match="does not put a database of a server aside"):
            restore(settings, tmp_path / "backup", replace=True)
        return
    world.invite("Jaune")
    world.installation.database.dispose()
    before = rows_of(settings, tmp_path / "before")
    found = restore(settings, tmp_path / "backup", replace=True)
    assert found.rows["subjects"] == 3
    assert found.aside is not None
    assert rows_of(settings_of(f"sqlite:///{found.aside}", tmp_path), tmp_path / "aside") == before


def test_what_somebody_has_open_is_not_replaced(tmp_path: Path, elsewhere: Callable[[str], Settings]):
    there = elsewhere("sqlite")
    migrate(there.database.url)
    file = Path(there.database.url.removeprefix("sqlite:///"))
    export(there, tmp_path / "lines")
    with closing(sqlite3.connect(file)) as somebody:
        somebody.execute("SELECT * FROM tenants").fetchall()
        with pytest.raises(Busy, match="another program has it open"):
            restore(there, tmp_path / "lines")
    assert restore(there, tmp_path / "lines").aside is None  # nobody's data were in it
    assert sorted(path.name for path in file.parent.iterdir() if path.name.startswith("vipflow.db")) == [
        "vipflow.db",
        "vipflow.db.gate",
        "vipflow.db.turn",
    ]


def test_a_damaged_database_is_replaced_and_kept_with_its_log(tmp_path: Path, elsewhere: Callable[[str], Settings]):
    there = elsewhere("sqlite")
    migrate(there.database.url)
    export(there, tmp_path / "lines")
    file = Path(there.database.url.removeprefix("sqlite:///"))
    file.write_bytes(b"not a database at all" * 100)
    file.with_name("vipflow.db-wal").write_bytes(b"its log")
    with pytest.raises(BadInput, match="a file that cannot be read as a database"):
        restore(there, tmp_path / "lines")
    found = restore(there, tmp_path / "lines", replace=True)
    assert found.aside is not None
    assert Path(found.aside).read_bytes().startswith(b"not a database")
    assert Path(f"{found.aside}-wal").read_bytes() == b"its log"
    with installed(there) as installation:
        assert [hold.kind for hold in catchup.show(installation, None).holds] == ["restored"]


def test_on_postgresql_no_daemon_may_live_on_the_database(tmp_path: Path, elsewhere: Callable[[str], Settings]):
    there = elsewhere("postgresql")
    migrate(there.database.url)
    export(there, tmp_path / "lines")
    with installed(there) as installation, installation.database.write() as connection:
        arrive(connection, "d1", "over-there", 4711, "0", HostClock().now(), "{}")
    with pytest.raises(Busy, match="a daemon works on it \\(process 4711 on over-there\\)"):
        restore(there, tmp_path / "lines")


def of_a_newer_release(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))


@pytest.fixture
def refused(tmp_path: Path) -> dict[str, tuple[Path, type[Exception], str]]:
    """Files that are not taken."""
    settings = settings_of(f"sqlite:///{tmp_path / 'of' / 'vipflow.db'}", tmp_path / "of")
    (tmp_path / "of").mkdir()
    migrate(settings.database.url)
    files = tmp_path / "files"
    files.mkdir()
    export(settings, files / "cut")
    whole = (files / "cut").read_bytes()
    (files / "cut").write_bytes(whole[: len(whole) // 2])
    (files / "newer lines").write_bytes(whole)
    backup(settings, files / "newer", check=False)
    newer = open_database(f"sqlite:///{files / 'newer'}")
    of_a_newer_release(newer)
    newer.dispose()
    backup(settings, files / "damaged", check=False)
    damage(files / "damaged")
    backup(settings, files / "half", check=False)
    os.truncate(files / "half", 40_000)
    backup(settings, files / "in use", check=False)
    (files / "in use-wal").write_bytes(b"x")
    with closing(sqlite3.connect(files / "of others")) as others:
        others.execute("CREATE TABLE songs (name text)")
        others.commit()
    (files / "empty").touch()
    (files / "words").write_text("words\n")
    return {
        "cut": (files / "cut", BadInput, r"cut line \d+: the file ends in this line"),
        "newer": (files / "newer", SchemaError, "a newer vipflow .revision 9999. wrote it"),
        "damaged": (files / "damaged", BadInput, "it is damaged"),
        "half": (files / "half", Exception, "damaged"),
        "in use": (files / "in use", BadInput, "it is a database in use"),
        "of others": (files / "of others", BadInput, "there is nothing of vipflow in it"),
        "empty": (files / "empty", BadInput, "it is empty"),
        "words": (files / "words", BadInput, "neither a backup nor an export"),
        "not there": (files / "not there", BadInput, "No such file"),
        "a folder": (files, BadInput, "Is a directory"),
    }


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_file_that_is_not_taken_changes_nothing(
    refused: dict[str, tuple[Path, type[Exception], str]], elsewhere: Callable[[str], Settings], kind: str
):
    there = elsewhere(kind)
    folder = there.audit.key.parent
    for source, fault, says in refused.values():
        with pytest.raises(fault, match=says):
            restore(there, source)
        assert left_over(folder) == []
    if kind == "postgresql":
        with installed(there) as installation, installation.database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar() == 0


def test_the_database_itself_is_no_backup_of_it(tmp_path: Path, elsewhere: Callable[[str], Settings]):
    there = elsewhere("sqlite")
    migrate(there.database.url)
    with pytest.raises(BadInput, match="it is the database itself"):
        restore(there, Path(there.database.url.removeprefix("sqlite:///")), replace=True)


def test_an_import_takes_lines_alone(tmp_path: Path, elsewhere: Callable[[str], Settings]):
    there = elsewhere("sqlite")
    migrate(there.database.url)
    backup(there, tmp_path / "backup", check=False)
    with pytest.raises(BadInput, match="bring it back with `vipflow restore`"):
        restore(there, tmp_path / "backup", lines_only=True)
