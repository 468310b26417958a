"""A daemon and a database that was brought back: none may run meanwhile, and afterwards mail waits for a word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.conftest import CONFIG
from tests.daemon.processes import KITCHEN, Place
from tests.daemon.test_serving import in_seconds, sent

EGGS = 3


def test_a_daemon_goes_on_while_a_backup_is_made(place: Place):
    place.boil(EGGS)
    daemon = place.serve()
    made = place.cli("backup", "kept", "--json")
    assert made.returncode == 0, made.stderr
    found = json.loads(made.stdout)
    assert found["rows"]["subjects"] == EGGS
    assert found["verified"]["ok"] is True
    place.take_out(1)
    daemon.wait_for("tick_ran", tick="delivery", done=1)
    assert daemon.stop() == 0


@pytest.fixture(params=["sqlite", "postgresql"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A second kitchen, of either kind, whose database is not there yet, or empty."""
    folder = tmp_path / "there"
    folder.mkdir()
    url = f"sqlite:///{folder / 'vipflow.db'}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.url_for(server.create_database("there"))
    (folder / "config.toml").write_text(CONFIG.format(url=url, kitchen=KITCHEN))
    place = Place(folder, url, posted=EGGS)
    yield place
    for daemon in place.daemons:
        daemon.kill()


def test_a_restored_database_is_served_and_no_mail_leaves_until_somebody_approves(sqlite_place: Place, there: Place):
    sqlite_place.boil(EGGS)
    sqlite_place.take_out(*range(1, EGGS + 1))
    assert sqlite_place.cli("backup", "kept").returncode == 0
    brought = there.cli("restore", str(sqlite_place.folder / "kept"), "--json")
    assert brought.returncode == 0, brought.stderr
    assert json.loads(brought.stdout)["mails_waiting"] == EGGS
    daemon = there.serve()
    there.boil(1, rings_at=lambda _: in_seconds(3))
    daemon.wait_for("tick_ran", tick="timers", done=1)  # the clock goes on
    shown = there.cli("catchup", "show", "--json")
    assert [hold["kind"] for hold in json.loads(shown.stdout)["holds"]] == ["restored"]
    assert there.mails() == []
    assert there.cli("catchup", "approve", "--reason", "they have looked").returncode == 0
    daemon.wait_for("tick_ran", tick="delivery", done=EGGS + 1)
    assert daemon.stop() == 0
    assert len(there.mails()) == len(sent(there)) == EGGS + 1


def test_on_sqlite_nothing_is_brought_back_under_a_daemon_at_work(sqlite_place: Place):
    assert sqlite_place.cli("backup", "kept").returncode == 0
    daemon = sqlite_place.serve()
    refused = sqlite_place.cli("restore", "kept", "--replace")
    assert refused.returncode == 6
    assert "a daemon works on it already" in refused.stderr
    assert daemon.stop() == 0
    done = sqlite_place.cli("restore", "kept", "--replace")
    assert done.returncode == 0, done.stderr
    assert "All mail is held" in done.stdout
    assert "is kept as" in done.stdout
