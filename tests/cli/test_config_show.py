"""Which settings count, and who said so."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from vipflow.config import sections

CONFIG = """
daemon.port = 8471
[database]
url = "postgresql://ada:geheim@db.example/vipflow?sslpassword=geheim"   # ours
[folders]
email_templates = [
  "shipped",
  "ours",
]
[smtp]
username = "ada"
password = "geheim"
"""


def shown(cli: Cli) -> dict[str, dict[str, Any]]:
    found = cli("config", "show", "--json")
    assert found.code == 0, found.err
    assert "geheim" not in found.out
    return {each.pop("name"): each for each in found.json["settings"]}


def test_every_setting_is_shown_with_who_said_it(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    monkeypatch.setenv("VIPFLOW_MAIL__COPIES", "2")
    monkeypatch.setenv("VIPFLOW_SMTP__USERNAME", "eve")
    found = shown(cli)
    assert list(found) == [f"{name}.{key}" for name, section in sections().items() for key in section.model_fields]
    assert found["daemon.port"] == {"value": 8471, "source": "file", "line": 2, "variable": None}
    assert found["database.url"] == {
        "value": "postgresql://ada:***@db.example/vipflow?sslpassword=***",
        "source": "file",
        "line": 4,
        "variable": None,
    }
    assert found["folders.email_templates"]["value"][1] == str(tmp_path / "ours")
    assert found["folders.email_templates"]["line"] == 6
    assert found["mail.copies"] == {
        "value": 2,
        "source": "environment",
        "line": None,
        "variable": "VIPFLOW_MAIL__COPIES",
    }
    assert (found["smtp.username"]["value"], found["smtp.username"]["source"]) == ("eve", "environment")
    assert found["smtp.password"]["value"] == "***"
    assert found["audit.key"]["value"] == str(tmp_path / "var" / "audit.key")
    assert found["audit.key"]["source"] == "default"


def test_people_see_the_file_its_lines_and_no_password(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    monkeypatch.setenv("VIPFLOW_SMTP__PASSWORD", "geheim too")
    lines = cli("config", "show").out.splitlines()
    assert lines[0] == str(tmp_path / "config.toml")
    (password,) = (line.split() for line in lines if line.startswith("smtp.password "))
    assert password == ["smtp.password", "***", "VIPFLOW_SMTP__PASSWORD"]
    (port,) = (line.split() for line in lines if line.startswith("daemon.port "))
    assert port == ["daemon.port", "8471", "config.toml", "line", "2"]
    assert "geheim" not in "".join(lines)


def test_without_a_file_the_defaults_are_shown_and_called_so(cli: Cli) -> None:
    assert cli("config", "show").out.startswith("There is no config.toml here: these are the defaults.")
    assert {each["source"] for each in shown(cli).values()} == {"default"}


def test_a_file_with_mistakes_is_told_as_everywhere(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[smtp]\nport = "x"\npasword = "geheim"\n')
    found = cli("config", "show")
    assert found.code == 2
    assert found.err.splitlines() == [
        "config.toml: 2 problems",
        "  - smtp.port = 'x': write a whole number",
        "  - there is no setting smtp.pasword (did you mean password?)",
    ]
