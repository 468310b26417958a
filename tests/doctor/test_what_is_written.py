"""What the doctor says of settings, files, mails and permissions."""

import os
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.delivery.smtp_servers import Certificates, RealServer
from tests.doctor.conftest import Place
from vipflow.config import shipped
from vipflow.operations.doctor import Limits
from vipflow.policy import Policy
from vipflow.store.tables import cases, policies, subjects, tenants
from vipflow.vip.numbers import load_policies

# Of files alone, so one database will do.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# --- settings ------------------------------------------------------------------------------------------------------


def test_without_a_config_one_is_told_how_to_begin(place: Place) -> None:
    (place.folder / "config.toml").unlink()
    seen = place.doctor(for_people=True)
    assert seen.code == 1
    finding = seen.one("settings.file", "error")
    assert finding["says"] == "There is no config.toml here."
    assert finding["run"] == ["touch config.toml", "vipflow db migrate"]
    assert seen.one("workflows", "ok"), "what comes with vipflow is looked at all the same"
    assert "not checked  database, schema, files in part, mail, clock" in seen.out, "and the rest is told once"


def test_every_wrong_setting_is_a_finding(place: Place) -> None:
    place.configure("[daemon]\nport = 99999\n[clock]\nspeed = 0\n")
    seen = place.doctor("--only", "settings")
    assert seen.code == 1
    says = [each["says"] for each in seen.found("settings.file", "error")]
    assert len(says) == 2
    assert says[0].startswith("config.toml: daemon.port = 99999: ")
    assert all(each["remedy"] for each in seen.report["findings"])


def test_good_settings_are_well(place: Place) -> None:
    assert place.doctor("--only", "settings").one("settings.file", "ok")


# --- files ---------------------------------------------------------------------------------------------------------


def test_what_was_written_is_counted_where_it_is_well(place: Place) -> None:
    seen = place.doctor("--only", "files")
    assert seen.code == 0
    assert seen.one("catalogue", "ok")["says"].startswith("Catalogue: 25 products")
    assert seen.one("e-mail templates", "ok")["says"].endswith(" in fr and en.")


def test_a_workflow_file_that_raises_is_named_with_its_line(place: Place) -> None:
    (place.folder / "flows").mkdir()
    (place.folder / "flows" / "loan.py").write_text("import vipflow\n\n1 / 0\n")
    place.configure('[folders]\nworkflows = "flows"\n')
    seen = place.doctor()
    assert seen.code == 1
    finding = seen.one("workflows", "error")
    assert "loan.py line 3: it raises ZeroDivisionError" in finding["says"]
    assert finding["run"] == ["vipflow check"]
    assert seen.one("stored still declared", "not checked")["remedy"] == "Put the workflow files right first."


def test_cases_that_keep_numbers_which_were_changed_in_their_place_are_worth_a_note(place: Place) -> None:
    shipped_version = load_policies().in_force("vip-2024", date(2024, 6, 1))
    before = Policy("vip-2024", shipped_version.valid_from, {**shipped_version.numbers, "order_due_days": 30})
    for policy, number in ((before, 1), (before, 2), (shipped_version, 3)):
        place.write(subjects, ref=f"C-0000-000{number}")
        place.write(cases, ref=f"PA-0000-000{number}", subject=f"C-0000-000{number}", policy=policy.id)
    place.write(policies, id=before.id, name=before.name, body=before.to_json())
    place.write(policies, id=shipped_version.id, name=shipped_version.name, body=shipped_version.to_json())
    finding = place.doctor("--only", "files").one("pinned", "note")
    assert finding["says"].startswith("2 running cases keep the numbers that north had before a policy file")
    assert finding["run"] == ["vipflow policy diff --reseller north"]


def test_a_broken_template_is_named_and_many_are_counted(place: Place) -> None:
    for name in (
        "invitation",
        "payment_reminder",
        "payment_overdue",
        "products_added",
        "renewal_open",
        "renewal_coming",
    ):
        folder = place.folder / "ours" / name / "fr"
        folder.mkdir(parents=True)
        (folder / "subject.txt").write_text("{{ nobody.said.this }}")
    place.configure(f'[folders]\nemail_templates = ["{shipped("email_templates")}", "ours"]\n')
    seen = place.doctor("--only", "files")
    assert seen.code == 1
    findings = seen.found("e-mail templates", "error")
    assert "fr/subject.txt" in findings[0]["says"]
    assert "more problem" in findings[-1]["says"]
    assert all(each["run"] == ["vipflow check"] for each in findings)


def test_folders_of_resellers_that_are_not_there_are_told(place: Place) -> None:
    place.configure('[folders]\nreseller_templates = "theirs"\n')
    seen = place.doctor("--only", "files")
    assert seen.code == 1
    assert seen.one("reseller templates", "error")["run"] == [f"mkdir -p {place.folder / 'theirs'}"]
    (place.folder / "theirs" / "nort").mkdir(parents=True)
    finding = place.doctor("--only", "files").one("reseller templates", "warning")
    assert "'nort', which is no reseller (did you mean north?)" in finding["says"]
    assert finding["run"] == ["vipflow reseller list"]
    (place.folder / "theirs" / "nort").rename(place.folder / "theirs" / "north")
    assert place.doctor("--only", "files").one("reseller templates", "ok")


# --- mail ----------------------------------------------------------------------------------------------------------


def test_mails_that_only_become_files_are_a_warning(place: Place) -> None:
    seen = place.doctor("--mail")
    assert seen.code == 0
    assert {each["area"] for each in seen.report["findings"]} == {"mail"}
    finding = seen.one("transport", "warning")
    assert finding["says"].endswith("and none is sent.")
    assert 'transport = "smtp"' in finding["remedy"]


def test_little_room_for_mails_is_told(place: Place) -> None:
    report = place.examine("mail", limits=Limits(disk_warning=10**18))
    (finding,) = [each for each in report.findings if each.name == "disk"]
    assert finding.status == "warning"
    assert finding.run


@pytest.mark.parametrize("name", ["vipflow.invalid", "shop.test", "example.com", "mail.example"])
def test_a_domain_that_is_nobodys_is_a_warning(place: Place, name: str) -> None:
    place.configure(f'[mail]\ndomain = "{name}"\n')
    finding = place.doctor("--mail").one("domain", "warning")
    assert name in finding["says"]
    assert finding["run"]


def test_a_reseller_without_a_sender_or_with_nobodys_is_a_warning(place: Place) -> None:
    assert place.doctor("--mail").one("sender", "ok")["says"] == "Every reseller has a sender: north-licences.net."
    with place.database.write() as connection:
        connection.execute(update(tenants).values(settings='{"sender": "a@north.example"}'))
    place.configure('[mail]\ntransport = "smtp"\ndomain = "north-licences.net"\n')
    finding = place.doctor("--mail", "--offline").one("sender", "warning")
    assert "a@north.example, in a domain that is nobody's" in finding["says"]
    with place.database.write() as connection:
        connection.execute(update(tenants).values(settings="{}"))
    finding = place.doctor("--mail", "--offline").one("sender", "warning")
    assert finding["says"].startswith("north has no sender")
    assert finding["run"] == ["vipflow reseller set --reseller north --sender <address>"]


def test_offline_the_mail_server_is_left_alone(place: Place) -> None:
    place.configure('[mail]\ntransport = "smtp"\n[smtp]\nhost = "mail.north-licences.net"\n')
    seen = place.doctor("--mail", "--offline")
    assert seen.code == 0
    assert "mail.north-licences.net:587" in seen.one("server", "not checked")["says"]


# --- the mail server -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


def _smtp(place: Place, port: int, certificates: Certificates, password: str = "p") -> None:
    (place.folder / "smtp-password").write_text(password)
    (place.folder / "smtp-password").chmod(0o600)
    place.configure(
        '[mail]\ntransport = "smtp"\ndomain = "north-licences.net"\n'
        f'[smtp]\nhost = "localhost"\nport = {port}\nca_file = "{certificates.ca_file}"\n'
        'username = "u"\npassword_file = "smtp-password"\ntimeout = 5\n'
    )


def test_a_mail_server_that_takes_us_is_well(place: Place, certificates: Certificates) -> None:
    with RealServer(tls=certificates.server(), users={"u": "p"}) as server:
        _smtp(place, server.port, certificates)
        seen = place.doctor("--mail")
        assert server.taken == [], "nothing is sent"
    assert seen.code == 0
    assert f"localhost:{server.port} takes our mails (TLS 1" in seen.one("server", "ok")["says"]
    assert "logged in" in seen.one("server", "ok")["says"]
    assert not seen.found("transport")


def test_a_wrong_password_is_an_error_with_the_servers_words(place: Place, certificates: Certificates) -> None:
    with RealServer(tls=certificates.server(), users={"u": "p"}) as server:
        _smtp(place, server.port, certificates, "wrong")
        seen = place.doctor("--mail", for_people=True)
    assert seen.code == 1
    finding = seen.one("server", "error")
    assert "takes no mail of ours (auth): 535" in finding["says"]
    assert finding["remedy"] == "Check smtp.username and the password."
    assert "wrong" not in seen.out


def test_a_certificate_of_somebody_else_is_an_error(place: Place, certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    with RealServer(tls=Certificates(tmp_path / "others").server(), users={"u": "p"}) as server:
        _smtp(place, server.port, certificates)
        seen = place.doctor("--mail")
    assert seen.code == 1
    assert "(tls)" in seen.one("server", "error")["says"]


def test_a_certificate_that_ends_within_a_month_is_a_warning(place: Place, certificates: Certificates) -> None:
    ends = place.now + timedelta(days=20, hours=1)
    with RealServer(tls=certificates.server(not_after=ends), users={"u": "p"}) as server:
        _smtp(place, server.port, certificates)
        seen = place.doctor("--mail")
    assert seen.code == 0
    finding = seen.one("certificate", "warning")
    assert "expires in 20 days" in finding["says"]
    assert "issued by trustme" in finding["remedy"]


def test_a_mail_server_that_is_not_there_is_an_error(place: Place, certificates: Certificates) -> None:
    _smtp(place, 1, certificates)
    seen = place.doctor("--mail")
    assert seen.code == 1
    assert "(connect)" in seen.one("server", "error")["says"]
    assert seen.one("server", "error")["run"] == ["vipflow doctor --mail"]


def test_a_password_that_cannot_be_read_is_an_error(place: Place, certificates: Certificates) -> None:
    _smtp(place, 1, certificates)
    (place.folder / "smtp-password").unlink()
    seen = place.doctor("--mail")
    assert seen.code == 1
    assert "there is no such file" in seen.one("password", "error")["says"]


# --- permissions ---------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_an_error(place: Place) -> None:
    (place.folder / "var").write_text("not a folder")
    place.configure('[daemon]\nfolder = "/proc/nowhere"\n')
    seen = place.doctor("--only", "permissions", for_people=True)
    if os.geteuid() != 0:  # root may write everywhere, as far as the system tells
        assert seen.code == 1
        assert "daemon.folder is /proc/nowhere" in seen.found("folders", "error")[0]["says"]
    assert "Traceback" not in seen.out


def test_a_password_that_everybody_may_read_is_a_warning(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vipflow.operations.doctor.permissions.others_come_to", lambda folder: True)
    assert not place.doctor("--only", "permissions", for_people=True).found("secrets"), "no password, no secret"
    place.configure('[smtp]\nusername = "ada"\npassword = "hunter2"\n')
    (place.folder / "config.toml").chmod(0o644)
    seen = place.doctor("--only", "permissions", for_people=True)
    finding = seen.one("secrets", "warning")
    assert "the mail server's password" in finding["says"]
    assert finding["run"] == ["chmod 600 config.toml"]
    assert "hunter2" not in seen.out
    (place.folder / "config.toml").chmod(0o600)
    assert place.doctor("--only", "permissions", for_people=True).one("secrets", "ok")


def test_a_password_file_that_everybody_may_read_is_a_warning(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vipflow.operations.doctor.permissions.others_come_to", lambda folder: True)
    (place.folder / "secret").write_text("hunter2")
    (place.folder / "secret").chmod(0o644)
    place.configure('[smtp]\nusername = "ada"\npassword_file = "secret"\n')
    assert place.doctor("--only", "permissions").one("secrets", "warning")["run"] == [
        f"chmod 600 {place.folder / 'secret'}"
    ]


# --- the command ---------------------------------------------------------------------------------------------------


def test_an_unknown_check_is_refused_with_those_there_are(place: Place) -> None:
    seen = place.doctor("--only", "databse", for_people=True)
    assert seen.code == 2
    assert "there is no check 'databse' (did you mean database?)" in seen.err
    assert "integrity, stored" in seen.err


def test_people_read_marks_as_words_and_commands_on_lines_of_their_own(place: Place) -> None:
    seen = place.doctor("--only", "daemon", "--only", "schema", for_people=True)
    assert seen.out.splitlines() == [
        "Schema",
        f"ok           {seen.one('schema', 'ok')['says']}",
        "",
        "Daemon",
        "warning      No daemon runs: nothing happens by itself here.",
        "             → Start one.",
        "               vipflow serve",
        "ok           Nothing is overdue.",
        "",
        "1 warning; 2 looked at and well.",
    ]


def test_a_command_to_copy_is_never_broken_over_two_lines(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    place.file.unlink()
    place.configure("[clock]\nspeed = 0\n" + "[folders]\n" + f'reseller_templates = "{"x" * 80}"\n')
    place.configure("[folders]\n" + f'reseller_templates = "{"x" * 80}"\n')
    seen = place.doctor(for_people=True)
    for finding in seen.report["findings"]:
        for line in finding["run"]:
            assert f"  {line}\n" in seen.out


# --- whatever is broken --------------------------------------------------------------------------------------------


def _nothing(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()


BROKEN = {
    "an empty folder": _nothing,
    "a config that is no TOML": lambda folder: (folder / "config.toml").write_text("= 1"),
    "a config that is no text": lambda folder: (folder / "config.toml").write_bytes(b"\xff\xfe\x00"),
    "a config that is a folder": lambda folder: ((folder / "config.toml").unlink(), (folder / "config.toml").mkdir()),
    "a section that is a number": lambda folder: (folder / "config.toml").write_text("mail = 3"),
    "a URL of another database": lambda folder: (folder / "config.toml").write_text('[database]\nurl = "mysql://x"'),
    "a URL of memory": lambda folder: (folder / "config.toml").write_text('[database]\nurl = "sqlite:///:memory:"'),
    "a URL that is cut": lambda folder: (folder / "config.toml").write_text('[database]\nurl = "postgresql://["'),
    "a port that is none": lambda folder: (folder / "config.toml").write_text('[database]\nurl = "postgresql://h:x/n"'),
    "a database that is a folder": lambda folder: ((folder / "vipflow.db").unlink(), (folder / "vipflow.db").mkdir()),
    "a database that is empty": lambda folder: (folder / "vipflow.db").write_bytes(b""),
    "a database of noise": lambda folder: (folder / "vipflow.db").write_bytes(b"\x01\x02" * 9000),
    "a database cut in the middle": lambda folder: os.truncate(folder / "vipflow.db", 30_000),
    "a header and nothing else": lambda folder: (folder / "vipflow.db").write_bytes(
        b"SQLite format 3\x00" + b"\x02" * 90
    ),
    "workflows that want to leave": lambda folder: _workflow(folder, "raise SystemExit(0)\n"),
    "workflows that recurse": lambda folder: _workflow(folder, "def f(): f()\nf()\n"),
    "workflows that do not parse": lambda folder: _workflow(folder, "class :\n"),
    "no workflow at all": lambda folder: _workflow(folder, None),
    "a folder of templates that is a file": lambda folder: _templates(folder, None),
    "a template that is no text": lambda folder: _templates(folder, b"\xff\xff"),
    "a template that never ends": lambda folder: _templates(folder, b"{% if x %}"),
    "policies that are not there": lambda folder: _folders(folder, 'policies = ["gone"]'),
    "a catalogue that is not there": lambda folder: _folders(folder, 'catalogues = ["gone.toml"]'),
    "a password file that is a folder": lambda folder: (folder / "config.toml").write_text(
        (folder / "config.toml").read_text() + '[smtp]\npassword_file = "."\n'
    ),
    "a key that is a folder": lambda folder: (folder / "var" / "audit.key").mkdir(parents=True),
    "var that is a file": lambda folder: (folder / "var").write_text(""),
}


HARMLESS = ("a key that is a folder", "a password file that is a folder", "var that is a file")
"""Whether these are errors depends on who asks and on what else is there."""


def _folders(folder: Path, line: str) -> None:
    file = folder / "config.toml"
    file.write_text(f"{file.read_text()}[folders]\n{line}\n")


def _workflow(folder: Path, text: str | None) -> None:
    (folder / "flows").mkdir()
    if text is not None:
        (folder / "flows" / "one.py").write_text(text)
    _folders(folder, 'workflows = "flows"')


def _templates(folder: Path, content: bytes | None) -> None:
    if content is None:
        (folder / "ours").write_text("")
    else:
        (folder / "ours" / "invitation" / "fr").mkdir(parents=True)
        (folder / "ours" / "invitation" / "fr" / "subject.txt").write_bytes(content)
    _folders(folder, f'email_templates = ["{shipped("email_templates")}", "ours"]')


@pytest.mark.parametrize("broken", BROKEN)
def test_nothing_raises_whatever_is_broken_and_each_finding_has_its_remedy(place: Place, broken: str) -> None:
    place.database.dispose()
    BROKEN[broken](place.folder)
    seen = place.doctor()
    if broken not in HARMLESS:
        assert seen.code == 1, seen.report
    assert {each["area"] for each in seen.report["findings"]} >= {"settings", "database", "files", "mail", "resellers"}
    for each in seen.report["findings"]:
        assert each["says"]
        assert each["status"] == "ok" or each["remedy"]
    told = [each for each in seen.report["findings"] if each["says"].startswith("This could not be looked at")]
    assert not told, told
