"""Installations to be examined: a healthy one on each database, and whatever a story breaks in it."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, insert

from tests.doctor.named import what_is_wrong
from vipflow.cli import run
from vipflow.clock import HostClock
from vipflow.operations.doctor import Limits, Patient, Report, examine
from vipflow.store.database import Database, open_database
from vipflow.store.schema import create_all
from vipflow.store.tables import daemons
from vipflow.store.tenants import MemberRow, add_team_member, add_tenant


@dataclass
class Seen:
    """What `vipflow doctor` ended with, and found."""

    code: int
    out: str
    err: str
    report: dict[str, Any] = field(default_factory=dict)

    def found(self, name: str, status: str | None = None) -> list[dict[str, Any]]:
        """The findings of this name, or of `area.name`."""
        return [
            each
            for each in self.report["findings"]
            if name in (each["name"], f"{each['area']}.{each['name']}") and status in (None, each["status"])
        ]

    def one(self, name: str, status: str) -> dict[str, Any]:
        """The one finding of this name and status."""
        (finding,) = self.found(name, status)
        return finding


@dataclass
class Place:
    """A folder with an installation: one reseller, `north`, whose admin is Ada and whose account manager is Bob."""

    folder: Path
    url: str
    database: Database
    capsys: Any
    tenant: int = 0

    @property
    def now(self) -> datetime:
        return HostClock().now()

    def ago(self, **span: float) -> datetime:
        return self.now - timedelta(**span)

    @property
    def file(self) -> Path:
        """Of SQLite."""
        return Path(self.url.removeprefix("sqlite:///"))

    def configure(self, more: str = "") -> None:
        """Writes config.toml, with what `more` says beside the database."""
        mail = "" if "[mail]" in more else '[mail]\ndomain = "north-licences.net"\n'
        (self.folder / "config.toml").write_text(f'[database]\nurl = "{self.url}"\n{mail}{more}')

    def doctor(self, *arguments: str, for_people: bool = False) -> Seen:
        """Runs the command for programs; where a story looks at `out`, for people too."""
        self.capsys.readouterr()
        first = run(["doctor", *arguments]) if for_people else None
        out, err = self.capsys.readouterr()
        code = run(["doctor", "--json", *arguments])
        told, more = self.capsys.readouterr()
        assert first in (None, code)
        assert "Traceback" not in out + err + told + more
        seen = Seen(code, out, err, json.loads(told) if told.strip() else {})
        typed = [line for each in seen.report.get("findings", ()) for line in each["run"]]
        assert not [problem for line in typed if line.startswith("vipflow ") and (problem := what_is_wrong(line))]
        return seen

    def examine(self, *only: str, limits: Limits | None = None, **more: Any) -> Report:
        """The same with other limits, or other things around it."""
        patient = Patient(None, limits=limits or Limits(), **more)
        try:
            return examine(patient, only)
        finally:
            patient.close()

    def write(self, table: Table, **values: Any) -> None:
        """A row, with what the story does not care about filled in."""
        with self.database.write() as connection:
            connection.execute(insert(table).values({**self._usual(table), **values}))

    def daemon_lives(self, **values: Any) -> None:
        self.write(daemons, **{"beat_at": self.now, **values})

    def _usual(self, table: Table) -> dict[str, Any]:
        long_ago = self.ago(days=40)
        usual: dict[str, dict[str, Any]] = {
            "subjects": {
                "ref": "C-0000-0001",
                "workflow": "customer",
                "sequence": 1,
                "tally": "{}",
                "opened_at": long_ago,
            },
            "cases": {
                "ref": "PA-0000-0001",
                "subject": "C-0000-0001",
                "workflow": "purchase_authorization",
                "state": "pending",
                "settled": False,
                "facts": "{}",
                "facts_version": 1,
                "policy": "p",
                "since": long_ago,
                "opened_at": long_ago,
                "version": 1,
            },
            "timers": {
                "case_ref": "PA-0000-0001",
                "name": "remind",
                "subject": "C-0000-0001",
                "workflow": "purchase_authorization",
                "event": "remind",
                "due_at": long_ago,
                "wake_at": long_ago,
                "armed_by": 1,
            },
            "messages": {
                "key": "PA-0000-0001:1:products_added:contact",
                "subject": "C-0000-0001",
                "case_ref": "PA-0000-0001",
                "workflow": "purchase_authorization",
                "template": "products_added",
                "audience": "contact",
                "person": "{}",
                "language": "fr",
                "context": "{}",
                "created_at": long_ago,
                "effective_at": long_ago,
                "not_before": long_ago,
                "state": "waiting",
            },
            "incidents": {"id": "I-1", "kind": "quarantined", "cause": "c", "says": "{}", "opened_at": long_ago},
            "holds": {
                "id": "H-1",
                "mail_only": False,
                "kind": "asked",
                "reason": "stocktaking",
                "made_by": "ada@north-licences.net",
                "made_at": long_ago,
            },
            "daemons": {
                "id": "there:7:abc",
                "host": "there",
                "pid": 7,
                "version": "0.1.0",
                "started_at": long_ago,
                "details": "{}",
            },
            "history": {
                "subject": "C-0000-0001",
                "sequence": 1,
                "case_ref": "C-0000-0001",
                "workflow": "customer",
                "event": "invite",
                "to_state": "known",
                "facts_before": "{}",
                "facts_after": "{}",
                "timers": "[]",
                "messages": "[]",
                "policy": "p",
                "fingerprint": "f",
                "effective_at": long_ago,
                "recorded_at": long_ago,
                "actor_kind": "staff",
                "cause": "c",
            },
        }
        found = dict(usual.get(table.name, {}))
        if "tenant" in table.c and table.name not in ("holds", "audit"):
            found["tenant"] = self.tenant
        return found


@pytest.fixture
def place(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Place]:
    """A healthy installation, on each database."""
    for name in [name for name in os.environ if name.startswith("VIPFLOW_") and name != "VIPFLOW_TEST_POSTGRES_URL"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o700)
    database = open_database(database_url, durability="off")
    create_all(database)
    made = Place(tmp_path, database_url, database, capsys)
    made.configure()
    with database.write() as connection:
        made.tenant = add_tenant(
            connection,
            key="north",
            name="North Licences",
            language="fr",
            zone="Europe/Paris",
            policy="vip-2024",
            settings=json.dumps({"sender": "licences@north-licences.net"}),
            created_at=made.ago(days=50),
        ).id
        for name, role in (("ada", "admin"), ("bob", "account_manager")):
            email = f"{name}@north-licences.net"
            add_team_member(connection, MemberRow(made.tenant, email, name, role, None, None, True, made.ago(days=50)))
    yield made
    database.dispose()
