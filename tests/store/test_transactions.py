"""Who may write when, and what a reader sees meanwhile: among threads and among processes."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from vipflow.errors import Busy, VipflowError
from vipflow.store.database import DatabaseUnusable, open_database
from vipflow.store.meta import get_meta, set_meta
from vipflow.store.tables import meta
from vipflow.store.writes import Insert, Update

LOCKED = select(meta.c.value).where(meta.c.key == "counter").with_for_update()


def test_a_block_that_raises_leaves_nothing(database):
    def half():
        with database.write() as connection:
            set_meta(connection, "a", "1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with database.read() as connection:
        assert get_meta(connection, "a") is None


def test_a_reader_sees_one_moment_and_waits_for_no_writer(database):
    with database.write() as connection:
        set_meta(connection, "a", "before")
    with database.read() as reading:
        assert get_meta(reading, "a") == "before"
        with database.write() as writing:
            set_meta(writing, "a", "after")
            assert get_meta(reading, "a") == "before"
        assert get_meta(reading, "a") == "before"
    with database.read() as reading:
        assert get_meta(reading, "a") == "after"


def test_a_reader_cannot_write(database):
    with pytest.raises((DBAPIError, DatabaseUnusable), match=r"read-?only"), database.read() as connection:
        set_meta(connection, "a", "1")
    with database.read() as connection:
        assert get_meta(connection, "a") is None


def test_a_database_opened_for_reading_has_no_write_transaction(database, database_url):
    reader = open_database(database_url, role="reader")
    with pytest.raises(VipflowError, match="opened for reading only"), reader.write():
        pass
    with reader.read() as connection:
        assert get_meta(connection, "a") is None
    reader.dispose()


def test_who_waits_too_long_for_another_process_is_told_that_the_database_is_busy(database, database_url):
    with database.write() as connection:
        set_meta(connection, "counter", "0")
    with process(HOLD, database_url), pytest.raises(Busy) as told, database.write() as connection:
        connection.execute(LOCKED)
    assert told.value.what == database.label
    assert told.value.exit_code == 6
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_database_names_the_process_that_is_writing(database, database_url):
    with process(HOLD, database_url) as holder:
        assert database.writing_process() == holder.pid
        with pytest.raises(Busy, match=f"process {holder.pid}"), database.write():
            pass
    with database.write():
        pass
    assert database.writing_process() is None


def test_a_killed_writer_leaves_no_lock_and_no_half_transaction(database, database_url):
    with database.write() as connection:
        set_meta(connection, "counter", "0")
    with process(HOLD, database_url) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with patient(database_url) as again, again.write() as connection:
            assert connection.execute(LOCKED).scalar() == "0"


def test_two_processes_lose_no_update(database, database_url):
    with database.write() as connection:
        set_meta(connection, "counter", "0")
    with process(COUNT, database_url) as one, process(COUNT, database_url) as other:
        for counting in (one, other):
            counting.stdin.write("go\n")
            counting.stdin.flush()
        for counting in (one, other):
            assert counting.wait(timeout=60) == 0
    with database.read() as connection:
        assert get_meta(connection, "counter") == "400"


def test_threads_lose_no_update(database, database_url):
    with database.write() as connection:
        set_meta(connection, "counter", "0")

    def count():
        for _ in range(50):
            with shared.write() as connection:
                set_meta(connection, "counter", str(int(connection.execute(LOCKED).scalar()) + 1))

    with patient(database_url) as shared:
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with database.read() as connection:
        assert get_meta(connection, "counter") == "200"


def test_of_two_who_read_the_same_version_only_one_writes(database):
    swap = Update(meta, key=["key", "value"], set=["value"])
    with database.write() as connection:
        Insert(meta, ["key", "value"]).run(connection, [("version", "1")])
    touched = []
    for newer in ("2", "3"):
        with database.write() as connection:
            touched.append(swap.run(connection, [("version", "1", newer)]))
    with database.read() as connection:
        assert get_meta(connection, "version") == "2"
    assert touched == [1, 0]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_busy_writer_lets_others_in_between_its_transactions(database, database_url):
    with database.write() as connection:
        set_meta(connection, "counter", "0")
    theirs_before_ours = []
    with process(NEVER_REST, database_url), patient(database_url) as ours:
        for _ in range(30):
            with ours.read() as connection:
                asked = int(get_meta(connection, "counter") or 0)
            with ours.write() as connection:
                theirs_before_ours.append(int(get_meta(connection, "counter") or 0) - asked)
    # The one that it was in, and those that began before we stood in line; by chance alone it is often ten.
    assert max(theirs_before_ours) <= 3


def test_a_busy_thread_lets_others_in_between_its_transactions(database, database_url):
    stop = threading.Event()

    def never_rest():
        while not stop.is_set():
            with shared.write() as connection:
                set_meta(connection, "theirs", "in")
                time.sleep(0.01)  # why: a writer at work, so that others stand in line

    thread = threading.Thread(target=never_rest)
    began = time.monotonic()
    with patient(database_url) as shared:
        thread.start()
        try:
            for _ in range(20):
                with shared.write() as connection:
                    set_meta(connection, "ours", "in")
        finally:
            stop.set()
            thread.join()
    assert time.monotonic() - began < 4


def test_every_connection_is_set_to_lose_nothing(database_url):
    database = open_database(database_url)
    if database.dialect == "sqlite":
        expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000, "temp_store": 2}
        for transaction in (database.read, database.write):
            with transaction() as connection:
                for pragma, value in expected.items():
                    assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    else:
        expected = {"transaction_isolation": "read committed", "TimeZone": "UTC", "lock_timeout": "5s"}
        with database.write() as connection:
            for setting, value in expected.items():
                assert connection.exec_driver_sql(f"SHOW {setting}").scalar() == value
        with database.read() as connection:
            assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "repeatable read"
    database.dispose()


# Other processes. Each says a line when it is where the test wants it.

BEGIN = """
import sys
from sqlalchemy import select
from vipflow.store.database import open_database
from vipflow.store.meta import set_meta
from vipflow.store.tables import meta
database = open_database(sys.argv[1], durability="off", patience=30)
locked = select(meta.c.value).where(meta.c.key == "counter").with_for_update()
"""

HOLD = (
    BEGIN
    + """
with database.write() as connection:
    set_meta(connection, "counter", "half")
    print("holding", flush=True)
    sys.stdin.read()
"""
)

COUNT = (
    BEGIN
    + """
print("ready", flush=True)
sys.stdin.readline()
for _ in range(200):
    with database.write() as connection:
        set_meta(connection, "counter", str(int(connection.execute(locked).scalar()) + 1))
"""
)

NEVER_REST = (
    BEGIN
    + """
import time
print("writing", flush=True)
while True:
    with database.write() as connection:
        set_meta(connection, "counter", str(int(connection.execute(locked).scalar()) + 1))
        time.sleep(0.02)  # why: another process works
"""
)


@contextmanager
def process(code, url):
    """Another process that runs `code`, from its first line of output on; ended, however, at the end of the block."""
    started = subprocess.Popen(
        [sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    with started:
        try:
            assert started.stdout is not None
            assert started.stdout.readline()
            yield started
        finally:
            started.kill()


@contextmanager
def patient(url):
    """The same database, for tests in which waiting is right."""
    database = open_database(url, durability="off", patience=30)
    try:
        yield database
    finally:
        database.dispose()
