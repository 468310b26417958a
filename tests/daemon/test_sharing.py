"""Several daemons on one PostgreSQL: they share the work; killed or frozen they lose nothing and double nothing."""

from __future__ import annotations

import json
import signal
from collections import Counter
from datetime import datetime, timedelta
from email.parser import HeaderParser

import psycopg
from sqlalchemy import make_url

from tests.daemon.processes import Daemon, Place
from vipflow.clock import HostClock

EGGS = 240
LEASE = 3.0
STANDS_STILL = 2.0


def ask(place: Place, statement: str) -> list[tuple[object, ...]]:
    url = make_url(place.url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def wait_until(place: Place, statement: str, *, seconds: float = 60) -> None:
    """Until the statement gives True. The server is asked, not the clock."""
    limit = HostClock().now() + timedelta(seconds=seconds)
    while ask(place, statement) != [(True,)]:
        assert HostClock().now() < limit, statement


def copies(place: Place) -> Counter[str]:
    """How many files there are of each mail."""
    return Counter(HeaderParser().parsestr(file.read_text("ascii"))["Message-ID"] for file in place.mails())


def spread(seconds: float) -> datetime:
    return HostClock().now() + timedelta(seconds=seconds)


def test_three_daemons_share_timers_and_mails_and_double_nothing(postgres_place: Place):
    place = postgres_place
    several = [place.serve() for _ in range(3)]
    begins = spread(8)
    place.boil(EGGS, rings_at=lambda number: begins + timedelta(milliseconds=40 * number))
    wait_until(place, f"SELECT count(*) = {EGGS} FROM messages WHERE state = 'sent'")
    assert len(json.loads(place.cli("daemon", "list", "--json").stdout)["items"]) == 3
    fired = [daemon.number("vipflow_timer_lateness_seconds_count") for daemon in several]
    assert sum(fired) == EGGS
    assert sum(1 for count in fired if count) >= 2, fired
    assert [daemon.stop() for daemon in several] == [0, 0, 0]
    assert len(copies(place)) == EGGS
    assert set(copies(place).values()) == {1}
    assert place.cli("verify").returncode == 0


def test_one_killed_and_one_frozen_past_its_lease_lose_nothing_and_double_nothing(postgres_place: Place):
    place = postgres_place
    constants = {"lease": LEASE, "stands_still": STANDS_STILL, "slow": 0.02}
    killed = place.serve(launched={**constants, "hit_by": signal.SIGKILL})
    frozen = place.serve(launched={**constants, "hit_by": signal.SIGSTOP})
    living = place.serve(launched=constants)
    begins = spread(3)
    place.boil(EGGS, rings_at=lambda number: begins + timedelta(milliseconds=20 * number))
    killed.wait_for("hit")
    frozen.wait_for("hit")
    wait_until(place, f"SELECT count(*) = {EGGS} FROM messages WHERE state IN ('sent', 'uncertain')", seconds=90)
    in_the_middle = copies(place)
    frozen.send(signal.SIGCONT)
    frozen.wait_for("write_refused", tick="delivery")
    assert frozen.number("vipflow_writes_refused_total") >= 1
    assert frozen.stop() == 0
    assert living.stop() == 0
    now = copies(place)
    assert len(now) == EGGS
    # A file is written under the mail's own name, so a second copy replaces the first: copies are what the rows count.
    assert set(now) == set(in_the_middle)
    assert ask(place, "SELECT max(copies) <= 3, min(attempts) FROM messages") == [(True, 1)]
    verified = place.cli("verify")
    assert verified.returncode == 0, verified.stdout


def freeze_in_a_transaction(place: Place, daemon: Daemon) -> None:
    """Stops a daemon while it fires five timers, inside their transaction: a lock of ours makes it wait there."""
    url = make_url(place.url).set(drivername="postgresql").render_as_string(hide_password=False)
    waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'vipflow'"
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE messages IN EXCLUSIVE MODE")
        place.boil(5, rings_at=lambda _: spread(0))
        wait_until(place, waits)
        daemon.send(signal.SIGSTOP)


def test_the_write_of_one_frozen_in_a_transaction_is_refused_and_counted(postgres_place: Place):
    place = postgres_place
    frozen = place.serve(launched={"lease": LEASE, "stands_still": STANDS_STILL})
    freeze_in_a_transaction(place, frozen)
    other = place.serve(launched={"lease": LEASE, "stands_still": STANDS_STILL})
    other.wait_for("tick_ran", tick="delivery")
    wait_until(place, "SELECT count(*) = 5 FROM messages WHERE state = 'sent'")
    frozen.send(signal.SIGCONT)
    refused = frozen.wait_for("write_refused")
    assert refused["tick"] == "timers"
    assert "stood still inside a transaction" in refused["problem"]
    assert frozen.number("vipflow_writes_refused_total") == 1
    assert frozen.get("/readyz").status == 200
    assert (frozen.stop(), other.stop()) == (0, 0)
    assert not frozen.events("tick_failed")
    assert set(copies(place).values()) == {1}
    assert len(copies(place)) == 5
    assert place.cli("verify").returncode == 0


def test_a_database_that_goes_and_comes_back_is_told_once_and_the_work_goes_on(postgres_place: Place):
    place = postgres_place
    daemon = place.serve()
    name = make_url(place.url).database
    admin = make_url(place.url).set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'".encode())
        daemon.wait_for("database_lost")
        assert daemon.get("/healthz").status == 200
        unready = daemon.get("/readyz")
        assert unready.status == 503
        assert unready.headers["content-type"] == "application/problem+json"
        assert unready.json["reasons"][0]["reason"] == "database"
        assert daemon.number("vipflow_database_lost") == 1
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
    daemon.wait_for("database_back")
    assert len(daemon.events("database_lost")) == 1
    place.boil(1)
    place.take_out(1)
    daemon.wait_for("tick_ran", tick="delivery", done=1)
    assert daemon.get("/readyz").status == 200
    assert daemon.stop() == 0
