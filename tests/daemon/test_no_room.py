"""A daemon whose disk is full: it stops writing and says so, loses nothing, and goes on when there is room again.

The room is taken and given back from outside, as the size up to which this one process may let files grow.
"""

from __future__ import annotations

import resource
from time import sleep

from tests.daemon.processes import Daemon, Place
from tests.daemon.test_serving import in_seconds

WHATEVER = resource.RLIM_INFINITY


def take_room(daemon: Daemon) -> None:
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, WHATEVER))


def give_room(daemon: Daemon) -> None:
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (WHATEVER, WHATEVER))


def ready_in_the_end(daemon: Daemon) -> bool:
    """The files beside the database are looked at in their own time."""
    for _ in range(300):
        if daemon.get("/readyz").status == 200:
            return True
        sleep(0.2)  # why: the daemon runs at its own pace
    return False


def test_with_no_room_for_the_database_it_says_so_and_goes_on_when_there_is(sqlite_place: Place) -> None:
    daemon = sqlite_place.serve()
    take_room(daemon)
    sqlite_place.boil(2, rings_at=lambda _: in_seconds(1))
    lost = daemon.wait_for("database_lost")
    assert lost["problem"] == (
        f"the database {sqlite_place.folder}/vipflow.db: the disk fails (disk I/O error); "
        "look at the disk before you start again"
    )
    ready = daemon.get("/readyz")
    assert ready.status == 503
    assert "the database cannot be worked with: the disk fails (disk I/O error)" in str(ready.json)
    assert daemon.get("/healthz").status == 200
    assert sqlite_place.mails() == []
    assert len(daemon.events("database_lost")) == 1  # told once, however often it looks
    assert daemon.number("vipflow_tick_failures_total") < 30
    give_room(daemon)
    daemon.wait_for("database_back")
    daemon.wait_for("tick_ran", tick="timers", done=2)
    daemon.wait_for("tick_ran", tick="delivery", done=2)
    assert len(sqlite_place.mails()) == 2
    assert ready_in_the_end(daemon)
    assert daemon.stop() == 0
    assert sqlite_place.cli("verify").returncode == 0


def test_with_no_room_for_mails_they_wait_and_leave_when_there_is(postgres_place: Place) -> None:
    daemon = postgres_place.serve()
    take_room(daemon)
    postgres_place.boil(2)
    postgres_place.take_out(1, 2)
    paused = daemon.wait_for("transport_paused")
    assert paused["problem"].endswith(".eml: File too large; make room, then do it again")
    daemon.wait_for("files_unusable")
    ready = daemon.get("/readyz")
    assert (ready.status, "File too large" in str(ready.json)) == (503, True)
    assert daemon.events("tick_failed") == []
    assert postgres_place.mails() == []
    give_room(daemon)
    daemon.wait_for("transport_back", seconds=60)
    daemon.wait_for("files_usable", seconds=60)
    assert daemon.stop() == 0
    assert len(postgres_place.mails()) == 2
    assert postgres_place.cli("verify").returncode == 0
