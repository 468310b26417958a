"""`--dry-run`: every act has it, leaves every table as it was, and says what the act then says."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Text, select, type_coerce

from tests.cli.conftest import CUSTOMER, LINES, Cli, cli, event, json_lines
from tests.cli.rehearsed import NOW, build
from tests.cli.test_tree import LEAVES
from tests.postgres import PostgresServer
from vipflow.store.database import open_database
from vipflow.store.tables import metadata

__all__ = ["cli"]

EVENTS = json_lines(
    event("8", "customer.invite", "customers/k-1", None, **{**CUSTOMER, "owner": "bob@north.example"}),
    event("9", "purchase_authorization.create", "customers/k-1/authorizations/PO-77", None, lines=LINES),
    "{",
)
ACTS = {
    "reseller add": "south --name South",
    "reseller set": "--phone 0240",
    "policy set": "payment_reminder_days=5",
    "policy unset": "return_days",
    "team add": "cleo@north.example --name Cleo",
    "team role": "bob@north.example support",
    "team change": "bob@north.example --phone 0240",
    "team deactivate": "bob@north.example",
    "customer invite": "--company Neuf --segment commercial --contact Zoé --email z@neuf.example --address rue"
    " --city Nantes --country FR --postal-code 44000 --manager bob@north.example --yes",
    "customer adopt": "--company Neuf --segment commercial --contact Zoé --email z@neuf.example --address rue"
    " --city Nantes --country FR --postal-code 44000 --manager bob@north.example --vip-number VIP-9"
    " --anniversary 2024-05-02 --licence Photoshop=3",
    "customer assign": "pending --to ada@north.example",
    "customer recipients": "pending --add copy@x.example",
    "customer note": "pending hello",
    "customer offer-type": "pending enterprise",
    "customer vip-number": "pending VIP-7",
    "customer resend": "invited",
    "customer remind": "invited",
    "customer withdraw": "invited --reason error",
    "authorization create": "pending --product Photoshop=2 --po MORE",
    "authorization cancel": "PENDING --reason error",
    "authorization extend": "LATE --until 2024-03-28 --reason asked",
    "authorization remind": "LATE",
    "authorization customer-paid": "PENDING",
    "authorization paid": "PENDING --order-number NEW",
    "authorization payment-reversed": "PAID-B --reason error",
    "authorization deactivated": "LATE",
    "authorization restored": "DEACTIVATED",
    "authorization write-off": "LATE --reason gone",
    "order place": "--authorization PENDING --order-number NEW",
    "order accept": "ORDER",
    "order refuse": "ORDER --explanation no",
    "renewal order": "renewing --product Photoshop=4",
    "renewal remind": "renewing",
    "renewal decline": "automatic --reason asked",
    "renewal report": "automatic",
    "return open": "ACCEPTED-B --reason error",
    "return approve": "RETURN",
    "return refuse": "RETURN --explanation no",
    "event post": "events.jsonl",
    "mail retry": "--all-matching --state dead --yes",
    "mail hold": "--all-matching --template products_added --yes",
    "mail release": "{held} --reason go",
    "mail discard": "--all-matching --state waiting --reason old --yes",
    "mail unsuppress": "old@x.example --reason moved",
    "incident retry": "{dead}",
    "incident dismiss": "{dead} --reason known",
    "hold everything": "--reason moving",
    "hold reseller": "north --reason moving --mail-only",
    "hold customer": "pending --reason moving --until 2024-04-01",
    "release": "--all --reason settled",
    "catchup approve": "--reason read --discard-older-than 3",
    "catchup skip-grace": "--reason late",
}
BY_THEIR_OWN_TESTS = {"customer import", "db migrate", "audit seal", "audit restored", "policy apply", "workflow apply"}
WITHOUT = {
    "demo": "plays in a folder of its own, and asks before it writes into one that is not",
    "serve": "runs for ever; what it will do say next, timers and catchup show",
    "init": "makes a folder, and overwrites nothing",
    "completion": "prints a script, and writes it only where --install asks for that",
    "backup": "writes a file of its own, and overwrites nothing",
    "restore": "checks the file first, and fills a database that holds nothing",
    "db export": "writes a file of its own, and overwrites nothing",
    "db import": "checks the file first, and fills a database that holds nothing",
    "mail preview": "writes files only where it is told to, with --out",
}
READ = {
    *("check", "explain", "next", "history", "timers", "simulate", "doctor", "verify", "version", "db status"),
    *(f"{noun} list" for noun in ("reseller", "team", "customer", "authorization", "order", "renewal", "return")),
    *(f"{noun} list" for noun in ("mail", "incident", "hold", "daemon", "workflow", "audit")),
    *("policy list", "policy show", "policy diff", "config show", "config diff"),
    *("task list", "catalogue list", "catalogue show"),
    *(f"{noun} show" for noun in ("reseller", "customer", "authorization", "order", "return", "mail", "incident")),
    *(f"{noun} show" for noun in ("catchup", "workflow", "audit")),
    *("renewal status", "mail suppressed", "workflow graph", "audit verify"),
    *(f"calendar {what}" for what in ("renewal", "authorization", "seats", "first-anniversary")),
}


def test_every_command_that_changes_something_can_be_rehearsed_and_is_here() -> None:
    able = {path for path, command in LEAVES.items() if any("--dry-run" in each.opts for each in command.params)}
    assert able == set(ACTS) | BY_THEIR_OWN_TESTS
    assert set(LEAVES) == able | READ | set(WITHOUT)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rehearsed") / "vipflow.db"
    build(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, cli: Cli, tmp_path: Path) -> Iterator[str]:
    """The database of an installation, in the folder where `cli` runs, whose clock stands still."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'vipflow.db'}"
        shutil.copy(request.getfixturevalue("played"), tmp_path / "vipflow.db")
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = server.create_database(template=server.template("rehearsed", build))
        url = server.url_for(name)
    (tmp_path / "config.toml").write_text(
        f'[database]\nurl = "{url}"\n[clock]\nstands_at = {NOW.isoformat()}\n', encoding="utf-8"
    )
    (tmp_path / "events.jsonl").write_text(EVENTS, encoding="utf-8")
    yield url
    if request.param == "postgresql":
        server.drop_database(name)


def rows(url: str) -> dict[str, Any]:
    """All that is in the database, as it is stored."""
    database = open_database(url, durability="off")
    with database.read() as connection:
        tables = {
            table.name: sorted(
                connection.execute(select(*(type_coerce(column, Text) for column in table.columns))).all(), key=repr
            )
            for table in metadata.sorted_tables
        }
    database.dispose()
    return tables


def as_typed(act: str, cli: Cli) -> list[str]:
    """The command with its arguments, those in braces looked up."""
    words = ACTS[act].split()
    if any("--id" in each.opts for each in LEAVES[act].params):
        words += ["--id", "mine"]  # else a new reference is another each time
    if "{dead}" in words:
        (dead,) = cli("incident", "list", "--each", "--kind", "mail_dead", "--json").json["items"]
        words[words.index("{dead}")] = dead["id"]
    if "{held}" in words:
        key = cli("mail", "list", "pending", "--template", "products_added", "--json").json["items"][0]["key"]
        assert cli("mail", "hold", key).code == 0
        words[words.index("{held}")] = key
    return [*act.split(), *words]


@pytest.mark.parametrize("act", ACTS)
def test_a_dry_run_changes_nothing_and_says_what_is_then_done(act: str, cli: Cli, url: str) -> None:
    words = as_typed(act, cli)
    before = rows(url)
    rehearsed = cli(*words, "--dry-run", "--json")
    assert rows(url) == before
    done = cli(*words, "--json")
    after = rows(url)
    assert after != before, "what changes nothing proves nothing"
    assert (rehearsed.code, rehearsed.err) == (done.code, done.err)
    said = rehearsed.json
    assert said.pop("dry_run") is True
    would = said.pop("would", said)
    assert {**said, "dry_run": False} == {**done.json, "dry_run": False}
    if "happened" in would:
        steps = len(after["history"]) - len(before["history"])
        assert len(would["happened"]) == steps
        assert new(before, after, "timers", "case_ref", "name", "due_at") == {
            (each["case"], each["name"]) for each in would["timers"] if each["due_at"]
        }
        assert new(before, after, "messages", "key") == {(each["key"],) for each in would["mails"]}
        assert len(would["incidents"]) == len(after["incidents"]) - len(before["incidents"])


def new(before: dict[str, Any], after: dict[str, Any], table: str, *columns: str) -> set[tuple[str, ...]]:
    """The first two of these columns of each row that is new, or otherwise in one of them."""

    def told(rows: list[Any]) -> set[Any]:
        return {tuple(getattr(row, column) for column in columns) for row in rows}

    return {row[:2] for row in told(after[table]) - told(before[table])}


def test_people_read_each_step_timer_and_mail_and_that_nothing_was_written(cli: Cli, url: str) -> None:
    said = cli("authorization", "create", "pending", "--product", "Photoshop=2", "--dry-run")
    assert said.code == 0
    assert said.out.startswith("What would be done (--dry-run):\nPA-")
    for told in (
        "authorization created",
        "authorization becomes late set 2024-04-05",
        "products added Pending (fr) at once",
    ):
        assert told in " ".join(said.out.split())
    assert "with --id ID they are these" in said.err
    assert said.err.endswith("Nothing was written (--dry-run).\n")
    cancelled = cli("authorization", "cancel", "PENDING", "--reason", "error", "--dry-run")
    assert "pending → cancelled" in cancelled.out
    assert "authorization becomes late dropped was 2024-04-05" in " ".join(cancelled.out.split())
    refused = cli("authorization", "create", "late", "--product", "Photoshop=2", "--dry-run")
    assert (refused.code, refused.out) == (3, "")
    assert refused.err.startswith("Refused: ")
    assert refused.err.endswith("Nothing was written (--dry-run).\n")


def test_a_migration_is_tried_and_undone_and_no_file_is_made_for_it(cli: Cli, url: str, tmp_path: Path) -> None:
    assert cli("db", "migrate", "--dry-run", "--json").json["before"] == cli("db", "status", "--json").json["schema"]
    config = tmp_path / "config.toml"
    kept = config.read_text()
    config.write_text(kept.replace(url, f"sqlite:///{tmp_path / 'var' / 'new.db'}"))
    assert ": made, with schema" in cli("db", "migrate", "--dry-run").out
    assert not (tmp_path / "var").exists()
    if url.startswith("sqlite"):
        (tmp_path / "empty.db").touch()
        config.write_text(kept.replace("vipflow.db", "empty.db"))
    else:
        config.write_text(kept)
        database = open_database(url)
        with database.write() as connection:
            metadata.drop_all(connection)
            connection.exec_driver_sql("DROP TABLE alembic_version")
        database.dispose()
    assert ": made, with schema" in cli("db", "migrate", "--dry-run").out
    assert cli("db", "status", "--json").json["state"] == "missing"


def test_what_would_be_sealed_is_counted_and_no_file_is_touched(cli: Cli, url: str, tmp_path: Path) -> None:
    assert cli("audit", "seal", "--dry-run").out.startswith("What would be done (--dry-run):\nSeal 1: ")
    assert not (tmp_path / "var").exists()
    (tmp_path / "var").mkdir()
    assert cli("audit", "seal").code == 0
    files = {path: path.read_bytes() for path in (tmp_path / "var").iterdir()}
    assert "Nothing is new" in cli("audit", "seal", "--dry-run").out
    said = cli("audit", "restored", "backup of Monday", "--dry-run", "--json").json
    assert (said["seals"], said["aside"]) == (1, "audit-seals.jsonl.until-20240321T090000Z")
    assert {path: path.read_bytes() for path in (tmp_path / "var").iterdir()} == files
