"""`vipflow audit`: what people see, and how it ends."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from tests.cli.conftest import Cli
from vipflow.store.database import open_database


def test_acts_are_listed_and_shown(cli: Cli, nord: int) -> None:
    assert cli("team", "role", "bob@nord.example", "support").code == 0
    listed = cli("audit", "list", "--json")
    assert listed.code == 0
    (act,) = listed.json["items"]
    assert (act["act"], act["target"], act["actor"]) == ("team.set", "team/bob@nord.example", "operator")
    shown = cli("audit", "show", str(act["number"]))
    assert shown.code == 0
    assert "team.set" in shown.out
    assert '"role":"support"' in shown.out
    assert "team/bob@nord.example" in cli("audit", "list", "--act", "team").out
    assert cli("audit", "list", "--act", "mail").out.strip() == "No such act is known."
    assert cli("audit", "show", "99").code == 4
    assert cli("audit", "list", "--after", "x").code == 2


def test_who_may_not_look_is_refused(cli: Cli, nord: int) -> None:
    refused = cli("audit", "list", "--as", "vic@nord.example")
    assert refused.code == 3
    assert "Your role (viewer) does not allow this. Ask an admin." in refused.err
    assert cli("audit", "list", "--as", "vic@nord.example", "--json").error["kind"] == "NotAllowed"


def test_an_untouched_installation_is_sealed_and_clean(cli: Cli, place: Path, elan: str) -> None:
    assert "Not sealed yet" in cli("audit", "verify").out
    sealed = cli("audit", "seal")
    assert sealed.code == 0
    assert sealed.out.startswith("Seal 1: ")
    assert (place / "var" / "audit.key").stat().st_mode & 0o777 == 0o600
    assert cli("audit", "seal").out.strip() == "Nothing is new since the last seal."
    clean = cli("audit", "verify")
    assert clean.code == 0
    assert "1 seal, the last of" in clean.out
    assert "Nobody changed anything that could be checked." in clean.out
    assert cli("audit", "verify", "--json").json["ok"] is True
    whole = cli("verify")
    assert whole.code == 0, whole.err
    assert "I8" in whole.out


def test_a_change_past_vipflow_ends_with_one_and_is_named(cli: Cli, place: Path, elan: str) -> None:
    cli("audit", "seal")
    database = open_database(f"sqlite:///{place / 'var' / 'vipflow.db'}")
    with database.write() as connection:
        connection.execute(text("UPDATE history SET actor = 'mallory' WHERE sequence = 2"))
    database.dispose()

    found = cli("audit", "verify")

    assert found.code == 1
    assert f"nord {elan} history 2: it, or its place in the chain, was changed after it was written" in found.err
    assert "Nobody changed" not in found.out
    assert cli("audit", "verify", "--json").json["findings"][0]["subject"] == elan
    assert f"I8 nord {elan} history 2" in cli("verify").err


def test_sealing_stops_for_a_key_that_others_may_read(cli: Cli, place: Path, elan: str) -> None:
    cli("audit", "seal")
    key = place / "var" / "audit.key"
    key.chmod(0o644)
    stopped = cli("audit", "seal")
    assert stopped.code == 1
    assert f"chmod 600 {key}" in stopped.err
    checked = cli("audit", "verify")
    assert checked.code == 0
    assert "Not checked: the signatures of seals" in checked.out


def test_after_a_restored_backup_sealing_goes_on(cli: Cli, place: Path, elan: str) -> None:
    cli("audit", "seal")
    backup, live = place / "backup.db", place / "var" / "vipflow.db"
    _copy(live, backup)
    assert cli("team", "role", "bob@nord.example", "support").code == 0
    cli("audit", "seal")
    _copy(backup, live)

    assert "vipflow audit restored REASON" in cli("audit", "seal").err
    assert "1 act that it covers are gone" in cli("audit", "verify").err
    done = cli("audit", "restored", "the disk died")
    assert done.code == 0, done.err
    assert "Sealing goes on behind seal 1." in done.out
    assert cli("audit", "seal").code == 0
    assert cli("audit", "verify").code == 0


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
