"""That a daemon lives is written down, and that one is not heard of any more is seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from tests.daemon.processes import Place
from vipflow.clock import StillClock
from vipflow.config import load_settings
from vipflow.daemon.beating import Heart
from vipflow.operations import holds
from vipflow.operations.daemons import known_daemons
from vipflow.operations.installation import open_installation
from vipflow.store.standing import oldest, standing

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_who_misses_three_beats_is_stale_and_is_forgotten_after_a_month(place: Place):
    clock = StillClock(NOON)
    installation = open_installation(load_settings(place.folder / "config.toml"), clock=clock)

    def states() -> list[str]:
        return [each.state for each in known_daemons(installation, everybody=True)]

    try:
        heart = Heart(installation.engine, lambda: {"beats_every": 10})
        assert heart.look().last_beat is None
        heart.arrive()
        clock.move_to(NOON + timedelta(seconds=30))
        assert states() == ["alive"]
        clock.move_to(NOON + timedelta(seconds=31))
        assert states() == ["stale"]
        heart.beat()
        assert states() == ["alive"]
        heart.leave()
        assert states() == ["stopped"]
        assert known_daemons(installation, everybody=False) == []
        other = Heart(installation.engine, dict)
        assert other.ident != heart.ident
        assert other.look().last_beat == NOON + timedelta(seconds=31)
        other.arrive()
        clock.move_to(NOON + timedelta(days=32))
        other.beat()
        other.forget_old()
        assert [each.id for each in known_daemons(installation, everybody=True)] == [other.ident]
    finally:
        installation.close()


def test_a_daemon_whose_row_is_gone_writes_a_new_one(sqlite_place: Place):
    installation = open_installation(load_settings(sqlite_place.folder / "config.toml"), clock=StillClock(NOON))
    try:
        heart = Heart(installation.engine, dict)
        heart.arrive()
        with installation.database.write() as connection:
            connection.execute(text("DELETE FROM daemons"))  # an older backup came back
        heart.beat()
        assert [each.id for each in known_daemons(installation, everybody=False)] == [heart.ident]
    finally:
        installation.close()


def test_what_stands_in_the_database_is_counted(place: Place):
    place.boil(3, rings_at=lambda number: NOON + timedelta(hours=number))
    installation = open_installation(load_settings(place.folder / "config.toml"))
    try:
        with installation.database.read() as connection:
            found, ages = standing(connection), oldest(connection)
        holds.hold_everything(installation, None, mail_only=False, reason="the kitchen is closed")
        with installation.database.read() as connection:
            held = oldest(connection)
    finally:
        installation.close()
    assert set(found.values()) == {0}
    assert ages["timer_due"] == NOON + timedelta(hours=1)
    assert (ages["mail_waiting"], ages["seal"]) == (None, None)
    assert held["timer_due"] is None  # or a hold would raise an alarm
