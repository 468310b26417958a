"""What the doctor says of backups: a note at most."""

from datetime import timedelta
from pathlib import Path

from tests.doctor.conftest import Place
from vipflow.cli import run
from vipflow.operations.doctor import Limits


def test_a_backup_that_was_never_made_or_long_ago_is_noted(place: Place, tmp_path: Path) -> None:
    never = place.doctor("--only", "database").one("backup", "note")
    assert never["says"] == "No backup was made with `vipflow backup` yet."
    assert "in another way" in never["remedy"]
    assert run(["backup", str(tmp_path / "kept"), "--no-verify"]) == 0
    assert "ago)." in place.doctor("--only", "database").one("backup", "ok")["says"]
    later = place.examine("database", limits=Limits(backup=timedelta()))
    assert [finding.status for finding in later.findings if finding.name == "backup"] == ["note"]


def test_where_nobody_works_yet_nothing_is_to_be_kept(place: Place) -> None:
    with place.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM team")
        connection.exec_driver_sql("DELETE FROM tenants")
    assert place.doctor("--only", "database").found("backup") == []
