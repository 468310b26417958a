"""`vipflow workflow apply`, `check` and `serve` upon cases that a changed workflow file leaves behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

LIBRARY = Path(__file__).parents[2] / "examples" / "library"
LOAN = {
    "type": "loan.lend",
    "source": "desk",
    "id": "1",
    "subject": "loans/emma",
    "data": {"title": "Emma", "reader": "Ann", "email": "ann@reader.example"},
}


@pytest.fixture
def stranded(cli: Cli, tmp_path: Path) -> Path:
    """The library with a book lent, and a file in which loans are not lent any more but out or late."""
    shutil.copytree(LIBRARY, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "var"))
    assert cli("db", "migrate").code == 0
    assert cli("reseller", "add", "library", "--name", "Library", "--language", "en").code == 0
    assert cli("event", "post", "-", stdin=json.dumps(LOAN).encode()).code == 0
    old = tmp_path / "workflows" / "loan.py"
    text = old.read_text(encoding="utf-8").replace("lent", "out").replace("overdue", "tardy")
    old.unlink()
    (tmp_path / "workflows" / "loans.py").write_text(text, encoding="utf-8")
    (tmp_path / "email_templates" / "loan_overdue").rename(tmp_path / "email_templates" / "loan_tardy")
    return tmp_path


def test_check_says_what_is_stored_and_what_to_do(cli: Cli, stranded: Path) -> None:
    found = cli("check")
    assert found.code == 1
    assert "stored cases:" in found.err
    assert "1 case of loan is lent, a state that its file does not declare" in found.err
    assert "`vipflow workflow apply` shows what they would become" in found.err


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["event", "post", "-"]], ids=["serve", "post"])
def test_nothing_starts_and_nothing_is_decided(cli: Cli, stranded: Path, command: list[str]) -> None:
    found = cli(*command, stdin=json.dumps({**LOAN, "id": "2", "subject": "loans/zadig"}).encode())
    assert found.code == 1
    assert "1 case of loan is lent" in found.err
    assert "vipflow workflow apply" in found.err
    assert "Traceback" not in found.err
    assert cli("history", "zadig").code == 4


def test_it_asks_for_what_it_cannot_know_and_does_nothing_before(cli: Cli, stranded: Path) -> None:
    found = cli("workflow", "apply", "--yes")
    assert found.code == 2
    assert "--state loan.lent=<state>; there are out, tardy, returned, lost" in found.err
    shown = cli("workflow", "apply", "--json")
    assert shown.json["states"][0] | {"why": ""} == {
        "workflow": "loan",
        "state": "lent",
        "becomes": None,
        "cases": 1,
        "proposed": True,
        "why": "",
    }


def test_it_shows_the_mapping_does_it_and_all_is_well(cli: Cli, stranded: Path) -> None:
    said = ("workflow", "apply", "--state", "loan.lent=out")
    assert cli(*said, "--json").error["remedy"] == "add --yes to do it, or --dry-run to see it"
    assert cli(*said, "--dry-run").code == 0
    found = cli(*said, "--yes", "--reason", "shorter")
    assert (found.code, found.err) == (0, "")
    assert "1 case amended." in found.out
    assert "Everything stored fits the workflow files." in found.out
    assert "shorter" in cli("history", "emma").out
    assert cli("check").code == 0
    again = cli(*said, "--yes", "--json")
    assert (again.code, again.json["states"]) == (0, [])
