"""The program as its users call it: arguments in; exit code, output and errors out."""

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vipflow.cli import run
from vipflow.store.database import open_database
from vipflow.store.schema import migrate
from vipflow.store.tenants import MemberRow, add_team_member, add_tenant

JANUARY = datetime(2024, 1, 1, tzinfo=UTC)

CUSTOMER = {
    "company": "Élan Vert SARL",
    "segment": "commercial",
    "country": "FR",
    "address": "1 rue des Lilas",
    "city": "Nantes",
    "postal_code": "44000",
    "language": "fr",
    "contact": {"name": "Zoé Petit", "email": "zoe@elan.example"},
    "owner": "ada@nord.example",
}
LINES = [{"sku": "65304579CA01A12", "quantity": 5}]


@dataclass(frozen=True)
class Result:
    """What a command ended with and said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """What `--json` says on stderr."""
        return json.loads(self.err)["error"]


Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command in an empty folder: `cli("db", "status")`; `stdin` is what it may read."""
    monkeypatch.chdir(tmp_path)
    for name in ("VIPFLOW_CONFIG", "VIPFLOW_AS", "VIPFLOW_RESELLER", "VIPFLOW_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        code = run(list(arguments))
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with this release's schema and nothing in it, to be copied."""
    file = tmp_path_factory.mktemp("empty") / "vipflow.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def place(cli: Cli, tmp_path: Path, empty_database: Path) -> Path:
    """The folder in which `cli` runs, with an installation that has no reseller yet."""
    (tmp_path / "config.toml").write_text("")
    (tmp_path / "var").mkdir()
    shutil.copy(empty_database, tmp_path / "var" / "vipflow.db")
    return tmp_path


@pytest.fixture
def add_reseller(place: Path) -> Iterator[Callable[..., int]]:
    """Adds a reseller with a team: `add_reseller("nord", ada="admin")`."""
    database = open_database(f"sqlite:///{place / 'var' / 'vipflow.db'}")

    def add(key: str, zone: str = "Europe/Paris", **team: str) -> int:
        with database.write() as connection:
            tenant = add_tenant(
                connection,
                key=key,
                name=key.title(),
                language="fr",
                zone=zone,
                policy="vip-2024",
                settings=json.dumps({"sender": f"licences@{key}.example"}),
                created_at=JANUARY,
            )
            for name, role in team.items():
                email = f"{name}@{key}.example"
                add_team_member(connection, MemberRow(tenant.id, email, name.title(), role, None, None, True, JANUARY))
        return tenant.id

    yield add
    database.dispose()


@pytest.fixture
def nord(add_reseller: Callable[..., int]) -> int:
    """One reseller, whose team is Ada (admin), Bob (account manager) and Vic (viewer)."""
    return add_reseller("nord", ada="admin", bob="account_manager", vic="viewer")


def event(id: str, type: str, subject: str, time: str | None = None, /, **data: Any) -> dict[str, Any]:
    """A CloudEvent of the shop."""
    made = {"specversion": "1.0", "type": type, "source": "shop", "id": id, "subject": subject, "data": data}
    return made if time is None else {**made, "time": time}


def json_lines(*events: dict[str, Any] | str) -> str:
    return "".join((each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)) + "\n" for each in events)


INVITE = event("1", "customer.invite", "customers/k-1", "2024-03-01T09:00:00Z", **CUSTOMER)
AUTHORIZE = event(
    "2",
    "purchase_authorization.create",
    "customers/k-1/authorizations/PO-77",
    "2024-03-04T09:00:00Z",
    lines=LINES,
    po_number="PO-77",
)


@pytest.fixture
def elan(cli: Cli, nord: int) -> str:
    """A customer of `nord`, invited on 1 March 2024 with an authorization of 4 March; its reference."""
    posted = cli("event", "post", "-", stdin=json_lines(INVITE, AUTHORIZE).encode())
    assert posted.code == 0, posted.err
    return str(cli("history", "k-1", "--json").json["items"][0]["case"])
