"""What the doctor says of the daemon, of what is stuck or held, of seals, clocks and resellers."""

import fcntl
import json
import os
import socket
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

import pytest
from sqlalchemy import update

from tests.doctor.conftest import Place
from vipflow.clock import HostClock
from vipflow.engine.sealfile import SealPlace
from vipflow.engine.seals import seal
from vipflow.operations.doctor import Limits
from vipflow.store.audit import Act, remember_acts
from vipflow.store.catchup import keep_grace
from vipflow.store.meta import set_meta
from vipflow.store.outgoing import LEASE
from vipflow.store.tables import (
    cases,
    crashes,
    history,
    holds,
    inbox,
    incidents,
    messages,
    seals,
    subjects,
    suppressions,
    team,
    tenants,
    timers,
)
from vipflow.store.tenants import add_tenant
from vipflow.store.types import instant_text

APPROVE = 'vipflow catchup approve --reason "<why>"'
RELEASE = 'vipflow release H-1 --reason "<why>"'
OURS = version("vipflow")
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


# --- the daemon ----------------------------------------------------------------------------------------------------


def test_where_no_daemon_runs_one_is_told_to_start_it(place: Place) -> None:
    seen = place.doctor("--only", "daemon")
    assert seen.code == 0
    finding = seen.one("running", "warning")
    assert finding["says"] == "No daemon runs: nothing happens by itself here."
    assert finding["run"] == ["vipflow serve"]
    assert seen.one("punctual", "ok")


def test_a_daemon_that_lives_is_well(place: Place) -> None:
    place.daemon_lives(version=OURS)
    seen = place.doctor("--only", "daemon")
    assert seen.code == 0
    assert seen.one("running", "ok")["says"].startswith("1 daemon running, since ")
    assert not seen.found("silent")


def test_a_daemon_that_stopped_in_order_is_not_missed(place: Place) -> None:
    place.daemon_lives(beat_at=place.ago(hours=3), stopped_at=place.ago(hours=3))
    assert not place.doctor("--only", "daemon").found("silent")


@pytest.mark.parametrize(
    ("host", "pid", "remedy"),
    [
        ("elsewhere", 7, "Look at that machine."),
        (socket.gethostname(), 2**22 + 1, "Its process is gone"),
        (socket.gethostname(), os.getpid(), "it stands still"),
    ],
    ids=["on another machine", "gone", "standing still"],
)
def test_a_daemon_that_fell_silent_is_told_with_what_became_of_its_process(
    place: Place, host: str, pid: int, remedy: str
) -> None:
    place.daemon_lives(host=host, pid=pid, beat_at=place.ago(minutes=9))
    seen = place.doctor("--only", "daemon")
    finding = seen.one("silent", "warning")
    assert f"process {pid} on {host}" in finding["says"]
    assert "never said that it stops" in finding["says"]
    assert remedy in finding["remedy"]


def test_a_daemon_of_another_release_is_to_be_started_anew(place: Place) -> None:
    place.daemon_lives(version="0.0.9")
    finding = place.doctor("--only", "daemon").one("version", "warning")
    assert f"runs vipflow 0.0.9, and this is {OURS}" in finding["says"]
    assert finding["run"] == ["systemctl restart vipflow"]


@SQLITE
def test_a_frozen_daemon_that_keeps_others_out_is_named_with_its_process(place: Place) -> None:
    lock = place.file.with_name("vipflow.db.daemon")
    lock.write_text('{"pid":4711,"url":"http://127.0.0.1:8470","since":"2026-03-01 09:00 UTC"}\n')
    assert not place.doctor("--only", "daemon").found("frozen"), "nobody holds the lock"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        seen = place.doctor("--only", "daemon")
    assert seen.code == 1
    finding = seen.one("frozen", "error")
    assert finding["says"].startswith("A daemon (process 4711) has the database to itself and gives no sign of life")
    assert finding["run"][-1] == "kill -9 4711"
    assert not seen.found("running")


def test_a_transport_that_pauses_is_an_error_in_the_servers_words(place: Place) -> None:
    place.daemon_lives(details=json.dumps({"transport_paused": "535 5.7.8 authentication failed"}))
    seen = place.doctor("--only", "daemon")
    assert seen.code == 1
    finding = seen.one("transport", "error")
    assert "sends no mail at present: 535 5.7.8 authentication failed" in finding["says"]
    assert finding["run"] == ["vipflow doctor --mail"]


def test_what_is_due_while_nothing_runs_is_an_error(place: Place) -> None:
    place.write(timers)
    place.write(messages)
    seen = place.doctor("--only", "daemon")
    assert seen.code == 1
    finding = seen.one("punctual", "error")
    assert finding["says"].startswith("1 timer and 1 mail should have gone by now, the first since ")
    assert finding["says"].endswith("(40 days), and no daemon runs.")
    assert finding["run"] == ["vipflow serve"]


def test_what_is_due_though_a_daemon_runs_is_another(place: Place) -> None:
    place.write(timers)
    place.daemon_lives()
    seen = place.doctor("--only", "daemon")
    assert seen.code == 1
    finding = seen.one("punctual", "error")
    assert finding["says"].endswith("though a daemon runs.")
    assert "vipflow catchup show" in finding["run"]


def test_a_daemon_that_has_only_just_started_is_given_a_moment(place: Place) -> None:
    place.write(timers)
    place.daemon_lives(started_at=place.ago(minutes=2))
    seen = place.doctor("--only", "daemon")
    assert seen.code == 0
    assert "has only just started" in seen.one("punctual", "note")["says"]


def test_timers_that_wait_out_the_grace_after_a_silence_are_a_note(place: Place) -> None:
    place.write(timers)
    place.daemon_lives()
    with place.database.write() as connection:
        keep_grace(connection, place.now + timedelta(minutes=9))
    seen = place.doctor("--only", "daemon")
    assert seen.code == 0
    finding = seen.one("punctual", "note")
    assert "for events to arrive first" in finding["says"]
    assert finding["run"] == ["vipflow catchup skip-grace"]


def test_what_is_held_is_not_overdue(place: Place) -> None:
    place.write(timers)
    place.write(messages)
    place.write(holds)
    assert place.doctor("--only", "daemon").one("punctual", "ok")


def test_a_hold_of_mail_leaves_timers_overdue(place: Place) -> None:
    place.write(timers)
    place.write(messages)
    place.write(holds, mail_only=True, tenant=place.tenant, subject="C-0000-0001")
    assert place.doctor("--only", "daemon").one("punctual", "error")["says"].startswith("1 timer should have gone")


class _Answer(BaseHTTPRequestHandler):
    code = 200

    def do_GET(self) -> None:
        self.send_response(self.code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@SQLITE
@pytest.mark.parametrize(("code", "status"), [(200, "ok"), (503, "error")])
def test_the_daemon_of_this_machine_is_asked_how_it_is(place: Place, code: int, status: str) -> None:
    server = HTTPServer(("127.0.0.1", 0), type("Answer", (_Answer,), {"code": code}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        place.daemon_lives(host=socket.gethostname(), pid=os.getpid(), details=json.dumps({"url": url}))
        seen = place.doctor("--only", "daemon")
        assert f"answers {code}" in seen.one("healthz", status)["says"]
        assert seen.code == (status == "error")
        assert seen.found("healthz")[0]["remedy"] or status == "ok"
        assert place.doctor("--only", "daemon", "--offline").one("healthz", "not checked")
    finally:
        server.shutdown()
        server.server_close()


@SQLITE
def test_a_daemon_that_does_not_answer_is_a_warning(place: Place) -> None:
    details = json.dumps({"url": "http://127.0.0.1:1"})
    place.daemon_lives(host=socket.gethostname(), pid=os.getpid(), details=details)
    finding = place.doctor("--only", "daemon").one("healthz", "warning")
    assert finding["says"].startswith("http://127.0.0.1:1/healthz does not answer")
    assert finding["run"]


# --- stuck ---------------------------------------------------------------------------------------------------------


def test_where_nothing_is_stuck_all_is_well(place: Place) -> None:
    seen = place.doctor("--only", "stuck")
    assert seen.code == 0
    assert {each["status"] for each in seen.report["findings"]} == {"ok"}


def test_a_mail_that_nobody_put_down_is_told(place: Place) -> None:
    place.write(messages, state="sending", claimed_at=place.now - LEASE - timedelta(minutes=5))
    place.write(messages, key="b", state="sending", claimed_at=place.now)
    finding = place.doctor("--only", "stuck").one("in hand", "warning")
    assert finding["says"] == "1 mail was taken in hand and never put down, the first 15 minutes ago."
    assert finding["run"] == ["vipflow serve"]


def test_mails_in_trouble_are_told_by_state_each_with_its_way_out(place: Place) -> None:
    for at, state in enumerate(["dead", "dead", "uncertain", "held"]):
        place.write(messages, key=f"m-{at}", state=state)
    seen = place.doctor("--only", "stuck")
    assert seen.code == 0
    assert seen.one("dead", "warning")["says"].startswith("2 mails will not be sent")
    assert seen.one("dead", "warning")["run"] == ["vipflow mail list --state dead", "vipflow mail retry <key>"]
    assert seen.one("uncertain", "warning")["says"].startswith("1 mail may have arrived or not")
    assert seen.one("held", "warning")["run"][1] == 'vipflow mail release <key> --reason "<why>"'


def test_an_address_that_gets_no_more_mail_is_a_note(place: Place) -> None:
    place.write(suppressions, address="zoe@elan.example", since=place.now, says="550 no such user")
    finding = place.doctor("--only", "stuck").one("suppressed", "note")
    assert finding["says"].startswith("1 address gets no more mail")
    assert finding["remedy"]


def test_with_several_resellers_commands_name_those_concerned(place: Place) -> None:
    with place.database.write() as connection:
        south = add_tenant(
            connection,
            key="south",
            name="South",
            language="fr",
            zone="Europe/Paris",
            policy="vip-2024",
            settings="{}",
            created_at=place.now,
        )
    place.write(messages, key="m-1", state="dead", tenant=south.id)
    for tenant in (place.tenant, south.id):
        place.write(incidents, id="I-1", cause="c-1", tenant=tenant)
        place.write(suppressions, address="zoe@elan.example", since=place.now, says="550", tenant=tenant)
    seen = place.doctor("--only", "stuck")
    assert seen.one("dead", "warning")["run"][0] == "vipflow mail list --state dead --reseller south"
    assert seen.one("incidents", "warning")["run"] == [
        "vipflow incident list --reseller north",
        "vipflow incident list --reseller south",
    ]
    assert seen.one("suppressed", "note")["run"][2] == "vipflow mail suppressed --reseller south"


def test_an_event_past_its_time_is_told(place: Place) -> None:
    place.write(
        inbox,
        source="shop",
        event_id="1",
        body_hash="h",
        type="order.accept",
        subject="orders/1",
        occurred_at=place.ago(days=4),
        received_at=place.ago(days=4),
        verdict="parked",
        expires_at=place.ago(days=1, minutes=1),
    )
    finding = place.doctor("--only", "stuck").one("parked", "warning")
    assert finding["says"].startswith("1 event waits for a record that never came, 24 hours past its time")
    assert finding["run"] == ["vipflow serve"]


def test_open_incidents_are_counted_by_kind_with_the_oldest(place: Place) -> None:
    for at, kind in enumerate(["quarantined", "quarantined", "parked_too_long"]):
        place.write(incidents, id=f"I-{at}", kind=kind, cause=f"c-{at}", opened_at=place.ago(days=at + 1))
    place.write(incidents, id="I-9", cause="c-9", opened_at=place.ago(days=90), closed_at=place.now)
    finding = place.doctor("--only", "stuck").one("incidents", "warning")
    oldest = f"{place.ago(days=3):%Y-%m-%d}"
    assert finding["says"].startswith(f"3 incidents open (2 quarantined, 1 parked too long), the oldest since {oldest}")
    assert finding["run"] == ["vipflow incident list"]


@SQLITE
def test_more_than_a_thousand_are_not_counted_to_the_end(place: Place) -> None:
    for at in range(1002):
        place.write(incidents, id=f"I-{at}", cause=f"c-{at}")
    finding = place.doctor("--only", "stuck").one("incidents", "warning")
    assert finding["says"].startswith("More than 1,000 incidents open")


@pytest.mark.parametrize(("count", "status"), [(1, "note"), (3, "warning")])
def test_a_customer_in_hand_at_a_crash_is_told(place: Place, count: int, status: str) -> None:
    place.write(crashes, subject="C-0000-0001", crashes=count, last_at=place.now)
    finding = place.doctor("--only", "stuck").one("crashed", status)
    assert finding["says"].startswith("1 customer or event in hand when a process crashed, C-0000-0001 of north")
    assert ("left alone" in finding["says"]) == (count == 3)
    assert finding["run"][-1] == "vipflow history C-0000-0001 --reseller north"


# --- holds ---------------------------------------------------------------------------------------------------------


def test_without_a_hold_nothing_is_held(place: Place) -> None:
    assert place.doctor("--only", "holds").one("holds", "ok")["says"] == "Nothing is held."


@pytest.mark.parametrize(
    ("values", "name", "says", "run"),
    [
        ({}, "forgotten", "Everything is held since ", RELEASE),
        (
            {"subject": "C-0000-0001"},
            "forgotten",
            "C-0000-0001 of north is held since ",
            RELEASE,
        ),
        ({"mail_only": True}, "forgotten", "Mail of everybody is held since ", RELEASE),
        ({}, "past its end", "though the hold should have ended at ", RELEASE),
        ({"kind": "backlog", "mail_only": True}, "approval", "as many mails are late", APPROVE),
        ({"kind": "clock", "mail_only": True}, "approval", "as the clock jumped", APPROVE),
    ],
)
def test_each_hold_that_may_be_forgotten_is_told(
    place: Place, values: dict[str, object], name: str, says: str, run: str
) -> None:
    of = {"tenant": place.tenant} if "subject" in values else {}
    ends = {"ends_at": place.ago(days=1)} if name == "past its end" else {}
    place.write(holds, **values, **ends, **of)
    seen = place.doctor("--only", "holds")
    assert seen.code == 0
    finding = seen.one(name, "warning")
    assert says in finding["says"]
    assert "(40 days)" in finding["says"]
    assert finding["run"][-1] == run


def test_a_hold_of_today_or_with_an_end_is_nobodys_worry(place: Place) -> None:
    place.write(holds, made_at=place.ago(hours=2))
    place.write(holds, id="H-2", ends_at=place.now + timedelta(days=2))
    place.write(holds, id="H-3", released_at=place.now)
    assert place.doctor("--only", "holds").one("holds", "ok")["says"] == "2 in force, none of them forgotten."


# --- seals ---------------------------------------------------------------------------------------------------------


def _sealed(place: Place, **span: float) -> SealPlace:
    """One step of history, sealed so long ago."""
    where = SealPlace(place.folder / "var" / "audit.key", place.folder / "var" / "audit-seals.jsonl")
    where.key.parent.mkdir(exist_ok=True)
    place.write(history, cause="c-1", recorded_at=place.ago(**span))
    assert seal(place.database, where, lambda _: place.ago(**span)).seal
    return where


def test_before_the_first_daemon_nothing_is_sealed_and_that_is_a_note(place: Place) -> None:
    place.write(history)
    seen = place.doctor("--only", "audit")
    assert seen.code == 0
    finding = seen.one("sealed", "note")
    assert finding["says"].startswith("1 step of history is not sealed")
    assert "audit.key" in finding["remedy"]
    assert not (place.folder / "var").exists(), "a doctor makes no key"


def test_a_history_that_is_sealed_is_well(place: Place) -> None:
    _sealed(place, minutes=1)
    seen = place.doctor("--only", "audit")
    assert seen.one("sealed", "ok")["says"] == "Everything is sealed."
    assert "1 seal made with it" in seen.one("key", "ok")["says"]


def test_seals_that_fall_behind_a_living_daemon_are_an_error(place: Place) -> None:
    _sealed(place, minutes=9)
    place.write(history, sequence=2, cause="c-2", recorded_at=place.ago(minutes=8))
    with place.database.write() as connection:
        remember_acts(connection, [Act(place.tenant, "staff", "ada", "mail.retry", "m")], place.now)
    place.daemon_lives()
    seen = place.doctor("--only", "audit")
    assert seen.code == 1
    finding = seen.one("sealed", "error")
    assert finding["says"].startswith("1 step of history and 1 act are not sealed, the first for 8 minutes")
    assert "vipflow audit seal" in finding["run"]


def test_what_is_written_within_minutes_waits_for_the_next_seal(place: Place) -> None:
    _sealed(place, minutes=1)
    place.write(history, sequence=2, cause="c-2", recorded_at=place.ago(seconds=30))
    place.daemon_lives()
    assert place.doctor("--only", "audit").one("sealed", "ok")["says"] == "1 step of history waits for the next seal."


def test_unsealed_steps_without_a_daemon_are_a_warning(place: Place) -> None:
    _sealed(place, days=2)
    place.write(history, sequence=2, cause="c-2")
    finding = place.doctor("--only", "audit").one("sealed", "warning")
    assert "no daemon runs" in finding["says"]
    assert finding["run"] == ["vipflow serve"]


def test_a_key_that_is_gone_or_not_the_one_is_an_error(place: Place) -> None:
    where = _sealed(place, days=2)
    kept = where.key.read_bytes()
    where.key.unlink()
    seen = place.doctor("--only", "audit")
    assert seen.code == 1
    finding = seen.one("key", "error")
    assert finding["says"].startswith("No seal can be made. The key ")
    assert "from your backup" in finding["remedy"]
    where.key.write_bytes(kept[::-1].strip() + b"\n")
    where.key.chmod(0o600)
    assert place.doctor("--only", "audit").code == 1


def test_a_key_that_others_read_is_an_error_since_it_proves_nothing(place: Place) -> None:
    where = _sealed(place, minutes=1)
    where.key.chmod(0o644)
    seen = place.doctor("--only", "audit")
    assert seen.code == 1
    finding = seen.one("key", "error")
    assert "others may read it" in finding["says"]
    assert "chmod 600" in finding["remedy"].lower()


def test_a_restored_backup_is_told_with_how_to_go_on(place: Place) -> None:
    _sealed(place, days=2)
    with place.database.write() as connection:
        connection.execute(seals.delete())
    seen = place.doctor("--only", "audit")
    assert seen.code == 1
    finding = seen.one("key", "error")
    assert "a backup was restored" in finding["says"]
    assert "vipflow audit restored" in finding["remedy"]


# --- clocks --------------------------------------------------------------------------------------------------------


def test_clocks_that_agree_are_well(place: Place) -> None:
    assert "the clocks agree" in place.doctor("--only", "clock").one("clock", "ok")["says"]


@SQLITE
def test_a_clock_that_went_back_is_an_error_since_time_stands_still(place: Place) -> None:
    with place.database.write() as connection:
        set_meta(connection, "clock", instant_text(place.now + timedelta(hours=3)))
    seen = place.doctor("--only", "clock")
    assert seen.code == 1
    finding = seen.one("went back", "error")
    assert "behind the latest instant that the database knows" in finding["says"]
    assert finding["run"] == ["timedatectl set-ntp true"]


class _Slow(HostClock):
    """A machine that nobody set."""

    def now(self) -> datetime:
        return super().now() - timedelta(minutes=10)


@POSTGRESQL
def test_a_clock_that_differs_from_the_servers_is_a_warning(place: Place) -> None:
    report = place.examine("clock", host_clock=_Slow())
    (finding,) = [each for each in report.findings if each.name == "clock"]
    assert finding.status == "warning"
    assert "10 minutes apart" in finding.says
    assert finding.run == ("timedatectl set-ntp true",)


def test_a_heartbeat_from_the_future_is_told(place: Place) -> None:
    place.daemon_lives(beat_at=place.now + timedelta(minutes=30))
    finding = place.doctor("--only", "clock").one("heartbeat", "warning")
    assert "ahead of the clock" in finding["says"]
    assert finding["remedy"]


def test_a_clock_that_stands_or_tells_a_story_is_a_note(place: Place) -> None:
    place.configure("[clock]\nstands_at = 2025-12-31T18:00:00Z\n")
    seen = place.doctor("--only", "clock")
    assert "stands at 2025-12-31 18:00:00 UTC" in seen.one("still", "note")["says"]
    assert seen.code == 0
    place.configure("[clock]\ncontinues_from = 2025-12-31T18:00:00Z\n")
    assert "goes on from 2025-12-31" in place.doctor("--only", "clock").one("story", "note")["says"]


def test_a_zone_that_is_unknown_is_an_error(place: Place) -> None:
    with place.database.write() as connection:
        connection.execute(update(tenants).values(zone="Europe/Atlantis"))
    seen = place.doctor("--only", "clock")
    assert seen.code == 1
    finding = seen.one("zone", "error")
    assert "'Europe/Atlantis'" in finding["says"]
    assert finding["run"][0] == "pip install tzdata"


# --- resellers -----------------------------------------------------------------------------------------------------


def test_a_reseller_with_an_admin_is_well(place: Place) -> None:
    seen = place.doctor("--only", "resellers")
    assert seen.one("team", "ok")["says"] == "1 reseller, each with an admin."


def test_a_reseller_without_team_or_admin_is_told(place: Place) -> None:
    with place.database.write() as connection:
        connection.execute(update(team).where(team.c.role == "admin").values(active=False))
    finding = place.doctor("--only", "resellers").one("team", "warning")
    assert finding["says"] == "north has a team without an admin."
    assert finding["run"] == ["vipflow team role <email> admin --reseller north"]
    with place.database.write() as connection:
        connection.execute(update(team).values(active=False))
    assert "has no team" in place.doctor("--only", "resellers").one("team", "warning")["says"]


def test_without_a_reseller_one_is_told_to_add_one(place: Place) -> None:
    with place.database.write() as connection:
        connection.execute(team.delete())
        connection.execute(tenants.delete())
    seen = place.doctor("--only", "resellers")
    assert seen.code == 0
    assert seen.one("none", "note")["run"] == ['vipflow reseller add north --name "North Licences"']


def test_customers_of_one_who_left_are_told(place: Place) -> None:
    place.write(subjects, owner="bob@north-licences.net")
    assert not place.doctor("--only", "resellers").found("left behind")
    with place.database.write() as connection:
        connection.execute(update(team).where(team.c.email == "bob@north-licences.net").values(active=False))
    finding = place.doctor("--only", "resellers").one("left behind", "warning")
    assert finding["says"] == "bob@north-licences.net has left north and still manages 1 customer."
    assert finding["run"] == ["vipflow customer list --reseller north --manager bob@north-licences.net"]


# --- what files still declare --------------------------------------------------------------------------------------


def test_a_state_that_no_file_declares_is_an_error(place: Place) -> None:
    place.write(subjects)
    place.write(cases, state="pendign")
    place.write(cases, ref="X-1", workflow="loan")
    place.write(timers, event="remnd", wake_at=None)
    seen = place.doctor("--only", "files")
    assert seen.code == 1
    says = sorted(each["says"] for each in seen.found("stored", "error"))
    assert says == [
        "1 case of purchase_authorization is pendign, a state that its file does not declare (did you mean pending?).",
        "1 case runs the workflow loan, which no file declares.",
        "1 timer of purchase_authorization will send remnd, which no timer of its file sends.",
    ]
    assert all(each["remedy"] for each in seen.found("stored", "error"))


def test_of_many_rows_some_are_looked_at_and_all_when_asked(place: Place) -> None:
    place.write(subjects)
    place.write(cases, ref="PA-1")
    place.write(cases, ref="PA-2", state="gone")
    report = place.examine("files", limits=Limits(rows=1))
    (finding,) = [each for each in report.findings if each.name == "stored"]
    assert finding.status == "ok"
    assert "the first 1 cases" in finding.says
    assert "--only stored" in finding.says
    assert place.doctor("--only", "stored").one("stored", "error")
