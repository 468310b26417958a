"""The example year, played once for all stories: what it passes through, what it sends, that it comes out the same."""

from __future__ import annotations

import asyncio
import filecmp
import io
import subprocess
import sys
import tomllib
from collections import Counter
from email import message_from_bytes, policy
from email.parser import HeaderParser
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import msgspec
import pytest
from rich.console import Console
from sqlalchemy import select

from vipflow.cli import run
from vipflow.cli.demo import _shown
from vipflow.config import DatabaseSettings
from vipflow.delivery.outbox import Delivery
from vipflow.delivery.transport import FileTransport
from vipflow.errors import BadInput
from vipflow.operations.demo import fresh_folder, play, shipped_year
from vipflow.operations.demo_summary import summarize
from vipflow.operations.ticks import tick_delivery, tick_parked, tick_timers
from vipflow.store.database import open_database
from vipflow.store.tables import history, inbox, messages, subjects
from vipflow.store.tenants import all_tenants, team_members

pytestmark = pytest.mark.xdist_group("year")


OF_ONE_DATABASE = {"position", "body", "salt", "digest", "hash", "head"}
"""Columns that differ between two that tell the same year: salts are drawn, and the hashes stand on them."""


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """The year, played on SQLite."""
    folder = tmp_path_factory.mktemp("demo") / "year"
    settings = fresh_folder(folder)
    installation, played = play(shipped_year(), settings)
    summary = summarize(installation, played)
    yield SimpleNamespace(folder=folder, installation=installation, played=played, summary=summary)
    installation.close()


def rows(installation, statement):
    with installation.database.read() as connection:
        return connection.execute(statement).all()


def files_of(year) -> list[Path]:
    return sorted((year.folder / "mails").glob("*/*.eml"))


def test_every_state_of_every_workflow_is_passed(year):
    passed = {(row.workflow, row.to_state) for row in rows(year.installation, select(history).distinct())}
    assert {(machine.name, state) for machine in year.installation.workflows for state in machine.states} <= passed


def test_every_event_from_outside_arrives(year):
    arrived = {row.type for row in rows(year.installation, select(inbox.c.type).distinct())}
    outside = {
        f"{machine.name}.{name}"
        for machine in year.installation.workflows
        for name in (*machine.openings, *machine.changes)
        if machine.kind_of(name) != "internal"
    }
    assert outside <= arrived


def test_every_template_is_sent(year):
    sent = {
        row.template for row in rows(year.installation, select(messages.c.template).where(messages.c.state == "sent"))
    }
    assert set(year.installation.workflows.templates()) <= sent


def test_the_promises_hold_at_the_end(year):
    assert not year.summary.problems
    assert year.played.report.ok


def test_every_member_of_the_exports_is_taken_over_without_a_mail(year):
    assert [each.taken_over for each in year.summary.resellers] == [60, 60, 60]
    assert [each.customers for each in year.summary.resellers] == [100, 100, 100]
    opened = select(history).where(history.c.event == "adopt")
    assert {row.messages for row in rows(year.installation, opened)} == {"[]"}


def test_every_kind_of_answer_is_given(year):
    expected = {"applied", "replayed", "refused", "stale", "parked", "conflict"}
    assert set(year.played.answers) == expected


def test_what_came_too_early_is_applied_once_its_case_is_there(year):
    waiting = rows(year.installation, select(inbox).where(inbox.c.verdict == "parked"))
    assert 0 < len(waiting) < year.played.answers["parked"] / 2
    assert year.summary.incidents["parked_too_long"] >= len(waiting)


def test_no_list_is_empty_at_the_end(year):
    totals: Counter[str] = Counter()
    for reseller in year.summary.resellers:
        totals.update(reseller.lists)
    assert all(totals[name] for name in ("no_products", "pending", "late", "upcoming", "ready"))


def test_no_mail_leaves_twice(year):
    sent = rows(year.installation, select(messages.c.message_id, messages.c.copies).where(messages.c.state == "sent"))
    in_files = [HeaderParser().parsestr(file.read_text("ascii"))["Message-ID"] for file in files_of(year)]
    assert len(in_files) == len(set(in_files)) == len(sent)
    assert {row.message_id for row in sent} == set(in_files)
    assert {row.copies for row in sent} == {1}


def test_no_mail_is_left_lying_or_cannot_be_written(year):
    states = Counter(row.state for row in rows(year.installation, select(messages.c.state)))
    assert not set(states) - {"sent", "superseded", "waiting"}
    assert states["waiting"] < 50  # written after office hours of the last day


def test_each_mail_is_one_that_people_can_answer(year):
    with year.installation.database.read() as connection:
        tenants = all_tenants(connection)
        team = {member.email for tenant in tenants for member in team_members(connection, tenant.id)}
    for file in files_of(year)[::10]:
        mail = message_from_bytes(file.read_bytes(), policy=policy.default)
        assert mail["From"].addresses[0].addr_spec.startswith("licences@")
        assert mail["Subject"]
        assert mail["Date"].datetime.tzinfo is not None
        assert mail["Auto-Submitted"] == "auto-generated"
        assert len(mail["To"].addresses) == 1
        (answered_by,) = mail["Reply-To"].addresses
        to_the_team = mail["To"].addresses[0].addr_spec in team
        assert answered_by.addr_spec.startswith("licences@") if to_the_team else answered_by.addr_spec in team


def test_customers_are_written_to_in_office_hours_alone(year):
    with year.installation.database.read() as connection:
        zones = {tenant.id: ZoneInfo(tenant.zone) for tenant in all_tenants(connection)}
    statement = select(messages.c.tenant, messages.c.sent_at).where(
        messages.c.audience == "contact", messages.c.state == "sent"
    )
    for row in rows(year.installation, statement):
        local = row.sent_at.astimezone(zones[row.tenant])
        assert local.isoweekday() <= 5
        assert 8 <= local.hour < 19


def test_ticks_do_nothing_more_and_say_when_to_call_again(year):
    installation = year.installation
    mail = installation.settings.mail
    delivery = Delivery(installation.engine, installation.templates, FileTransport(mail.folder), mail.domain)
    sent = asyncio.run(tick_delivery(installation, delivery))
    for ticked in (tick_timers(installation), tick_parked(installation), sent):
        assert (ticked.done, ticked.faults) == (0, 0)
        assert ticked.next_at is None or ticked.next_at > installation.clock.now()
    assert tick_timers(installation).next_at is not None


def test_the_summary_tells_it_within_a_page_width(year):
    out = io.StringIO()
    console = Console(file=out, width=100)
    for piece in _shown(year.summary):
        console.print(piece)
    text = out.getvalue()
    for line in ("Late requests", "order placed with Adobe", "payment overdue", "arrived once more", "promises hold"):
        assert line in text
    assert max(len(line.rstrip()) for line in text.splitlines() if ".eml" not in line and "VIPFLOW" not in line) <= 100
    msgspec.json.encode(year.summary, enc_hook=str)


def test_every_command_it_proposes_works(year, monkeypatch, capsys):
    monkeypatch.setenv("VIPFLOW_CONFIG", str(year.folder / "config.toml"))
    assert len(year.summary.hints) >= 6
    for hint in year.summary.hints:
        assert run(hint.command.split()[1:]) == 0, hint.command
        assert capsys.readouterr().out.strip()


def test_posting_the_same_events_again_changes_nothing(year, monkeypatch, capsys):
    monkeypatch.setenv("VIPFLOW_CONFIG", str(year.folder / "config.toml"))
    before = rows(year.installation, select(history.c.position))
    file = shipped_year() / "events" / "thames.jsonl"
    run(["event", "post", str(file), "--reseller", "thames"])
    assert rows(year.installation, select(history.c.position)) == before


def test_the_same_year_on_postgresql_leaves_the_same_histories(year, postgres_server, tmp_path):
    name = postgres_server.create_database()
    url = postgres_server.url_for(name)
    settings = fresh_folder(tmp_path / "year")
    settings = settings.model_copy(update={"database": DatabaseSettings(url=url)})
    installation, played = play(shipped_year(), settings, database=open_database(url, durability="off"))
    try:
        assert played.answers == year.played.answers
        assert played.report is not None
        assert played.report.ok
        for table, keys in (
            (history, ("tenant", "subject", "sequence")),
            (messages, ("tenant", "key")),
            (subjects, ("tenant", "ref")),
            (inbox, ("tenant", "source", "event_id")),
        ):
            columns = [
                column
                for column in table.columns
                if column.name not in ("position", "body", "salt", "digest", "hash", "head")
            ]
            ours, theirs = (
                sorted(map(tuple, rows(each, select(*(table.c[key] for key in keys), *columns))), key=lambda r: r[:3])
                for each in (year.installation, installation)
            )
            assert ours == theirs, table.name
    finally:
        installation.close()
        postgres_server.drop_database(name)


# --- the files -----------------------------------------------------------------------------------------------------


def test_the_generator_writes_the_same_bytes_again(tmp_path):
    kept = shipped_year()
    subprocess.run([sys.executable, str(kept / "generate.py"), str(tmp_path)], check=True)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(made) == 10
    assert made == sorted(
        path.relative_to(kept)
        for path in kept.rglob("*")
        if path.suffix in (".csv", ".jsonl") or path.name == "resellers.toml"
    )
    _, different, missing = filecmp.cmpfiles(kept, tmp_path, [str(path) for path in made], shallow=False)
    assert (different, missing) == ([], [])


def test_the_files_are_as_three_resellers_would_have_them():
    folder = shipped_year()
    told = tomllib.loads((folder / "resellers.toml").read_text(encoding="utf-8"))
    assert [each["policy"] for each in told["resellers"]] == ["vip-2019", "vip-2024", "vip-marketplace"]
    assert any(each.get("overrides") for each in told["resellers"])
    lines = [
        line
        for each in told["resellers"]
        for line in (folder / each["events"]).read_text(encoding="utf-8").splitlines()
    ]
    assert 3500 <= len(lines) <= 4600
    events = [msgspec.json.decode(line) for line in lines]
    assert sum(event["type"] == "customer.invite" for event in events) >= 120
    late = [event for event in events if event["deliveredat"][:10] > event["time"][:10]]
    assert len(late) > 100
    encodings = []
    for each in told["resellers"]:
        raw = (folder / each["members"]).read_bytes()
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            encodings.append("cp1252")
        else:
            encodings.append("utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else "utf-8")
    assert encodings == ["cp1252", "utf-8-sig", "utf-8"]


def test_everybody_in_the_files_is_made_up():
    for file in sorted(shipped_year().rglob("*")):
        if file.suffix in (".csv", ".jsonl", ".toml"):
            text = file.read_bytes().decode("cp1252", errors="replace")
            domains = {
                word.rpartition("@")[2]
                for word in text.replace('"', " ").replace(";", " ").replace(",", " ").split()
                if "@" in word
            }
            assert all(domain.endswith(".example") for domain in domains), file


# --- the folder ----------------------------------------------------------------------------------------------------


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="not a folder of the demo"):
        fresh_folder(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_demo_touches_no_database_but_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("VIPFLOW_DATABASE__URL", "postgresql://production.example/vipflow")
    monkeypatch.setenv("VIPFLOW_MAIL__FOLDER", str(tmp_path / "elsewhere"))
    settings = fresh_folder(tmp_path / "demo")
    assert settings.database.url == f"sqlite:///{tmp_path / 'demo' / 'vipflow.db'}"
    assert settings.mail.folder == tmp_path / "demo" / "mails"


def test_it_says_first_how_to_reach_this_very_program(monkeypatch, tmp_path):
    from vipflow.cli.demo import reaching_this_program

    (tmp_path / "bin dir").mkdir()
    script = tmp_path / "bin dir" / "vipflow"
    script.touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(script.with_name("python")))
    monkeypatch.setenv("PATH", "/nowhere")
    assert list(reaching_this_program()) == [f"export PATH='{script.parent}':$PATH"]
    monkeypatch.setenv("PATH", str(script.parent))
    assert list(reaching_this_program()) == []
