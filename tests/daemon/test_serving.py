"""One daemon from its first line to its last, as a process."""

from __future__ import annotations

import json
import signal
import socket
from datetime import datetime, timedelta
from time import monotonic

import pytest

from tests.daemon.processes import Place
from vipflow.clock import HostClock
from vipflow.store.database import open_database


def in_seconds(seconds: float) -> datetime:
    return HostClock().now() + timedelta(seconds=seconds)


def test_it_tells_how_it_is_and_ends_with_0_when_asked_to(place: Place):
    daemon = place.serve()
    health, ready, numbers = daemon.get("/healthz"), daemon.get("/readyz"), daemon.get("/metrics")
    assert (health.status, health.json["status"]) == (200, "alive")
    assert (ready.status, ready.json) == (200, {"status": "ready"})
    assert numbers.status == 200
    assert numbers.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = numbers.body.decode()
    for name in (
        "vipflow_build_info{",
        "vipflow_timer_lateness_seconds_count 0.0",
        'vipflow_standing{what="mails_waiting"} 0.0',
        'vipflow_standing{what="holds_in_force"} 0.0',
        "vipflow_writes_refused_total 0.0",
    ):
        assert name in text
    assert daemon.stop() == 0
    assert daemon.said == []
    assert [line["event"] for line in daemon.lines][-2:] == ["daemon_stopping", "daemon_stopped"]


def test_what_it_does_not_know_is_a_problem_in_json_with_the_same_headers(sqlite_place: Place):
    daemon = sqlite_place.serve()
    unknown, wrong = daemon.get("/customers"), daemon.get("/healthz", method="POST")
    assert (unknown.status, wrong.status) == (404, 405)
    for answer in (unknown, wrong):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json == {"type": "about:blank", "title": answer.json["title"], "status": answer.status}
    assert wrong.headers["allow"]
    for answer in (unknown, wrong, daemon.get("/healthz")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in answer.headers


def test_what_the_command_line_posts_while_it_runs_leaves_without_waiting_for_the_minutes_look(place: Place):
    daemon = place.serve()
    place.boil(3)
    place.take_out(1, 2)
    daemon.wait_for("tick_ran", tick="delivery", done=2)
    assert len(place.mails()) == 2
    assert "Subject: The egg is done" in place.mails()[0].read_text()


def test_a_timer_fires_by_itself_and_never_early(place: Place):
    daemon = place.serve()
    place.boil(1, rings_at=lambda _: in_seconds(8))
    daemon.wait_for("tick_ran", tick="timers", done=1)
    daemon.wait_for("tick_ran", tick="delivery", done=1)
    assert daemon.number("vipflow_timer_lateness_seconds_count") == 1
    assert len(place.mails()) == 1
    daemon.stop()
    report = place.cli("verify", "--json")
    assert report.returncode == 0, report.stdout


def test_a_timer_that_was_due_while_nobody_served_fires_at_the_start(place: Place):
    place.boil(5, rings_at=lambda _: in_seconds(-60))
    daemon = place.serve()
    daemon.wait_for("tick_ran", tick="delivery", done=5)
    assert len(place.mails()) == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_while_mails_are_in_flight_it_finishes_the_one_in_hand(sqlite_place: Place, number):
    sqlite_place.boil(40)
    sqlite_place.take_out(*range(1, 41))
    daemon = sqlite_place.serve(launched={"slow": 0.2})
    daemon.wait_for("mail_in_hand")
    begun = monotonic()
    assert daemon.stop(number) == 0
    assert monotonic() - begun < 10
    left = len(sqlite_place.mails())
    assert 1 <= left < 40
    assert daemon.wait_for("daemon_stopped")["in_hand"] is False
    assert len(sent(sqlite_place)) == left
    again = sqlite_place.serve()
    assert again.stop() == 0


def sent(place: Place) -> list[object]:
    answer = place.cli("mail", "list", "--state", "sent", "--limit", "1000", "--json")
    found: list[object] = json.loads(answer.stdout)["items"]
    return found


def test_a_second_signal_ends_it_at_once(sqlite_place: Place):
    sqlite_place.boil(1)
    sqlite_place.take_out(1)
    daemon = sqlite_place.serve(launched={"slow": 60})
    daemon.wait_for("mail_in_hand")
    daemon.send(signal.SIGTERM)
    daemon.wait_for("daemon_stopping")
    assert daemon.get("/readyz").status == 503
    begun = monotonic()
    while daemon.process.poll() is None:  # the same wish once more is no second one
        daemon.send(signal.SIGTERM)
    assert daemon.stop() == 128 + signal.SIGTERM
    assert monotonic() - begun < 10  # the transport would have kept it for a minute


def test_work_that_does_not_end_is_left_and_it_ends_with_0_within_ten_seconds(sqlite_place: Place):
    sqlite_place.boil(1)
    sqlite_place.take_out(1)
    daemon = sqlite_place.serve(launched={"slow": 60})
    daemon.wait_for("mail_in_hand")
    begun = monotonic()
    assert daemon.stop() == 0
    assert monotonic() - begun < 10
    assert daemon.wait_for("work_left_in_hand")["ticks"] == ["delivery"]


def test_asked_to_stop_while_it_waits_for_the_database_to_begin_it_ends_with_0_at_once(sqlite_place: Place):
    database = open_database(sqlite_place.url)
    with database.write():
        daemon = sqlite_place.start()
        daemon.wait_for("daemon_started")
        begun = monotonic()
        assert daemon.stop() == 0
        assert monotonic() - begun < 10
    database.dispose()
    assert sqlite_place.serve().stop() == 0


def test_on_sqlite_a_second_daemon_is_told_who_was_first(sqlite_place: Place):
    first = sqlite_place.serve()
    second = sqlite_place.start()
    assert second.process.wait(30) == 6
    second.kill()
    said = "\n".join(second.said)
    assert f"a daemon works on it already (process {first.process.pid}, {first.url}" in said
    assert f"kill {first.process.pid}" in said
    assert first.stop() == 0
    assert sqlite_place.serve().stop() == 0


def test_a_second_daemon_at_the_same_address_is_told_so_too_and_not_that_a_stranger_listens_there(sqlite_place: Place):
    first = sqlite_place.serve()
    second = sqlite_place.start(port=int(first.url.rsplit(":", 1)[1]))
    assert second.process.wait(30) == 6
    second.kill()
    assert f"a daemon works on it already (process {first.process.pid}, {first.url}" in "\n".join(second.said)
    assert first.stop() == 0


def test_after_a_kill_the_next_one_starts_at_once(sqlite_place: Place):
    sqlite_place.serve().kill()
    found = json.loads(sqlite_place.cli("daemon", "list", "--json").stdout)["items"]
    assert [each["state"] for each in found] == ["alive"]  # nobody can know yet
    assert sqlite_place.serve().stop() == 0


def test_what_a_killed_daemon_of_this_machine_had_in_hand_leaves_before_its_lease_is_over(place: Place):
    place.boil(1)
    place.take_out(1)
    killed = place.serve(launched={"slow": 60})
    killed.wait_for("mail_in_hand")
    killed.kill()
    daemon = place.serve()
    assert daemon.wait_for("mails_taken_back")["mails"] == 1
    daemon.wait_for("tick_ran", tick="delivery", done=1)
    assert len(place.mails()) == 1
    assert daemon.stop() == 0


def test_a_mail_server_that_is_not_there_is_told_and_the_mail_waits(sqlite_place: Place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = sqlite_place.folder / "config.toml"
    smtp = f'[smtp]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\n'
    config.write_text(config.read_text().replace("[mail]\n", '[mail]\ntransport = "smtp"\n') + smtp)
    sqlite_place.boil(1)
    sqlite_place.take_out(1)
    daemon = sqlite_place.serve()
    told = daemon.wait_for("transport_paused")
    assert (told["level"], told["stage"]) == ("warning", "connect")
    assert daemon.number("vipflow_transport_paused") == 1
    waiting = sqlite_place.cli("mail", "list", "--state", "waiting", "--json")
    assert len(json.loads(waiting.stdout)["items"]) == 1
    assert daemon.stop() == 0


def test_a_port_that_is_taken_is_said_and_nothing_starts(sqlite_place: Place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = sqlite_place.start(port=port)
        assert daemon.process.wait(30) == 2
        daemon.kill()
    assert daemon.said == [
        f"the address 127.0.0.1:{port}: another program listens there; "
        "take another port (--port 0: a free one), or stop that program"
    ]
    assert json.loads(sqlite_place.cli("daemon", "list", "--all", "--json").stdout)["items"] == []


def test_who_works_here_is_listed_until_it_stops(place: Place):
    daemon = place.serve()
    (entry,) = json.loads(place.cli("daemon", "list", "--json").stdout)["items"]
    assert (entry["pid"], entry["state"]) == (daemon.process.pid, "alive")
    assert entry["details"]["url"] == daemon.url
    assert entry["id"] == daemon.wait_for("daemon_started")["id"]
    daemon.stop()
    assert json.loads(place.cli("daemon", "list", "--json").stdout)["items"] == []
    (entry,) = json.loads(place.cli("daemon", "list", "--all", "--json").stdout)["items"]
    assert entry["state"] == "stopped"
    assert entry["stopped_at"]


def test_nothing_that_it_logs_names_a_person(sqlite_place: Place):
    daemon = sqlite_place.serve("--log-level", "debug")
    sqlite_place.boil(2)
    sqlite_place.take_out(1, 2)
    daemon.wait_for("tick_ran", tick="delivery")
    daemon.stop()
    assert "@kitchen.example" not in json.dumps(daemon.lines)
