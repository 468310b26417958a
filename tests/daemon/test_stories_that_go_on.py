"""A clock that continues a story: where it stands is kept, and days pass in minutes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.daemon.processes import ROOT, Place
from vipflow.cli.demo import _going_on
from vipflow.clock import ContinuingClock, HostClock, StillClock
from vipflow.config import ClockSettings
from vipflow.daemon.sole import AlreadyServed, let_nobody_work_on
from vipflow.errors import BadInput
from vipflow.operations import story
from vipflow.operations.demo_going_on import continued
from vipflow.store.database import Database, open_database
from vipflow.store.schema import migrate

END = datetime(2025, 12, 31, 11, tzinfo=UTC)
SETTINGS = ClockSettings(continues_from=END, speed=3600)


@pytest.fixture
def database(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'story.db'}"
    migrate(url)
    database = open_database(url)
    yield database
    database.dispose()


def test_before_anybody_goes_on_with_it_a_story_stands_at_its_end(database: Database):
    clock = story.clock_of(SETTINGS, database)
    assert isinstance(clock, StillClock)
    assert clock.now() == END


def test_it_goes_on_at_its_speed_and_stands_when_the_daemon_stops(database: Database):
    story.go_on(SETTINGS, database)
    clock = story.clock_of(SETTINGS, database)
    assert isinstance(clock, ContinuingClock)
    assert clock.tells_a_story
    begun, here = clock.now(), HostClock().now()
    while HostClock().now() - here < timedelta(milliseconds=20):
        pass
    assert clock.now() - begun >= timedelta(milliseconds=20) * 3600
    story.stand(clock, database)
    stood = story.clock_of(SETTINGS, database)
    assert isinstance(stood, StillClock)
    assert stood.now() >= begun


def test_the_next_time_it_goes_on_from_where_it_stood(database: Database):
    story.go_on(SETTINGS, database)
    first = story.clock_of(SETTINGS, database)
    story.stand(first, database)
    stood = story.clock_of(SETTINGS, database).now()
    slower = SETTINGS.model_copy(update={"speed": 1.0})
    story.go_on(slower, database)
    again = story.clock_of(slower, database)
    assert isinstance(again, ContinuingClock)
    assert (again.story_at, again.speed) == (stood, 1.0)


def test_after_a_crash_it_does_not_go_back(database: Database):
    story.go_on(SETTINGS, database)
    seen = story.clock_of(SETTINGS, database).now()
    story.go_on(SETTINGS, database)
    assert story.clock_of(SETTINGS, database).now() >= seen


def test_a_host_clock_that_is_set_back_does_not_set_the_story_back():
    ahead = ContinuingClock(END, HostClock().now(), 3600)
    seen = ahead.now()
    ahead.host_at += timedelta(hours=1)
    assert ahead.now() == seen


def test_in_a_story_two_hours_pass_in_two_seconds_and_a_timer_is_on_time(sqlite_place: Place):
    config = sqlite_place.folder / "config.toml"
    config.write_text(config.read_text() + f"\n[clock]\ncontinues_from = {END.isoformat()}\nspeed = 3600\n")
    sqlite_place.boil(1, rings_at=lambda _: END + timedelta(hours=2))
    daemon = sqlite_place.serve()
    daemon.wait_for("tick_ran", tick="delivery", done=1)
    assert 0 <= daemon.number("vipflow_timer_lateness_seconds_sum") < 3600
    (entry,) = json.loads(sqlite_place.cli("daemon", "list", "--json").stdout)["items"]
    assert entry["state"] == "alive"
    assert daemon.stop() == 0
    (listed,) = json.loads(sqlite_place.cli("daemon", "list", "--all", "--json").stdout)["items"]
    again = sqlite_place.serve()
    assert again.wait_for("daemon_started")["last_heard_of"][:16] == listed["stopped_at"][:16]
    assert again.stop() == 0
    assert sqlite_place.cli("verify").returncode == 0


# --- the demo ------------------------------------------------------------------------------------------------------


@pytest.fixture
def played(tmp_path: Path) -> Path:
    """What a demo leaves behind, without its year."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "config.toml").write_text(f"[clock]\nstands_at = {END.isoformat()}\n")
    migrate(f"sqlite:///{folder / 'vipflow.db'}")
    return folder


def test_the_demo_goes_on_upon_a_copy_and_sends_nothing(played: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("VIPFLOW_MAIL__TRANSPORT", "smtp")
    monkeypatch.setenv("VIPFLOW_DATABASE__URL", "postgresql://production.example/vipflow")
    before = (played / "vipflow.db").read_bytes()
    settings = continued(played, tmp_path / "serve")
    assert settings.database.url == f"sqlite:///{tmp_path / 'serve' / 'vipflow.db'}"
    assert settings.mail.transport == "file"
    assert (settings.clock.continues_from, settings.clock.speed) == (END, 3600)
    assert (played / "vipflow.db").read_bytes() == before
    assert settings.daemon.folder == tmp_path / "serve" / "daemon"


def test_the_copy_is_kept_until_a_fresh_one_is_wanted(played: Path, tmp_path: Path):
    folder = tmp_path / "serve"
    continued(played, folder, speed=60)
    (folder / "mails").mkdir()
    assert continued(played, folder).clock.speed == 60
    assert (folder / "mails").exists()
    assert continued(played, folder, fresh=True).clock.speed == 3600
    assert not (folder / "mails").exists()


def test_a_folder_that_holds_something_else_is_left_alone(played: Path, tmp_path: Path):
    folder = tmp_path / "serve"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="not a copy of the demo"):
        continued(played, folder, fresh=True)
    with pytest.raises(BadInput, match="no demo was played in it; play it: vipflow demo"):
        continued(tmp_path / "nowhere", folder)


def test_the_demo_offers_to_go_on(tmp_path: Path):
    assert _going_on(ROOT / "var" / "demo") == "python3 dev.py serve"
    assert _going_on(tmp_path) == f"vipflow serve --demo {tmp_path}"


def test_a_fresh_copy_is_not_made_under_a_daemon_at_work(sqlite_place: Place):
    file = sqlite_place.folder / "vipflow.db"
    let_nobody_work_on(file)
    daemon = sqlite_place.serve()
    with pytest.raises(AlreadyServed, match=str(daemon.process.pid)):
        let_nobody_work_on(file)
