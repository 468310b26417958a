"""What Tab offers, asked by a real bash."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from tests.cli.conftest import Cli
from vipflow.operations.allowed import ROLES
from vipflow.vip.lists import ListName
from vipflow.vip.numbers import Segment

ROOT = Path(__file__).parents[2]
ASK = """
vipflow() { "$PYTHON" -m vipflow "$@"; }
env() { /usr/bin/env "${@:1:3}" "$PYTHON" -m vipflow; }
source <(vipflow completion bash)
while read -ra COMP_WORDS; do
  [ "${COMP_WORDS[-1]}" = _ ] && COMP_WORDS[-1]=
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  COMPREPLY=()
  _vipflow_completion vipflow
  echo "${COMPREPLY[*]}"
done
"""
"""Each line of the input is a command line, its last word the one that is completed; `_` is an empty one."""


@pytest.fixture
def tab(tmp_path: Path) -> Callable[..., list[list[str]]]:
    """What bash would offer for each line, in this folder: `tab("vipflow cu")`."""
    bash = shutil.which("bash")
    assert bash is not None, "bash is not there"

    def ask(*lines: str, **more: str) -> list[list[str]]:
        env = {
            "PATH": "/usr/bin:/bin",
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path),
            **more,
        }
        given = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(
            [bash, "--norc", "-c", ASK], cwd=tmp_path, env=env, input=given, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return [line.split() for line in done.stdout.splitlines()]

    return ask


def test_bash_completes_commands_options_and_words_and_what_the_installation_knows(
    tab: Callable[..., list[list[str]]], nord: int
) -> None:
    assert tab("vipflow cust", "vipflow verify --j", "vipflow serve --log-level w", "vipflow timers --reseller _") == [
        ["customer"],
        ["--json"],
        ["warning"],
        ["nord"],
    ]


@pytest.fixture
def offered(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], list[str]]:
    """The same without a shell, and quicker: `offered("timers --reseller ")`."""

    def ask(line: str) -> list[str]:
        monkeypatch.setenv("_VIPFLOW_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", f"vipflow {line}")
        monkeypatch.setenv("COMP_CWORD", str(len(f"vipflow {line}_".split()) - 1))
        with pytest.raises(SystemExit) as end:
            cli()
        out, err = capsys.readouterr()
        assert (end.value.code, err) == (0, "")
        return out.split()

    return ask


KNOWN = {
    "timers --reseller ": ["nord", "sud"],
    "timers --reseller sud --as ": ["eve@sud.example"],
    "team role ada@": ["ada@nord.example"],
    "workflow show purchase": ["purchase_authorization"],
    "return list --state app": ["approved"],
    "mail list --state se": ["sending", "sent"],
    "mail preview payment_rem": ["payment_reminder"],
    "reseller set --policy vip-m": ["vip-marketplace"],
    "simulate --zone Europe/Par": ["Europe/Paris"],
}


@pytest.mark.parametrize("line", KNOWN)
def test_what_the_installation_knows_is_offered(
    offered: Callable[[str], list[str]], nord: int, add_reseller: Callable[..., int], line: str
) -> None:
    add_reseller("sud", eve="admin")
    assert offered(line) == KNOWN[line]


def test_fixed_words_are_those_that_count(offered: Callable[[str], list[str]]) -> None:
    assert {*offered("customer list --segment ")} == {*get_args(Segment)}
    assert {*offered("customer list --list ")} == {*get_args(ListName)}
    assert {*offered("team role ada@nord.example ")} == {*ROLES}


@pytest.mark.parametrize("line", ["timers --reseller ", "order list --state ", "mail preview ", "workflow show "])
@pytest.mark.parametrize("config", [None, "databse = 1", '[folders]\nworkflows = "x"\nemail_templates = "x"'])
def test_where_nothing_is_known_nothing_is_offered_and_nothing_is_said(
    offered: Callable[[str], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    config: str | None,
) -> None:
    monkeypatch.setenv("VIPFLOW_CONFIG", "here.toml")
    if config is not None:
        (tmp_path / "here.toml").write_text(config)
    before = sorted(tmp_path.iterdir())
    assert offered(line) == []
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("shell", "file"), [("zsh", ".zfunc/_vipflow"), ("fish", ".config/fish/completions/vipflow.fish")]
)
def test_it_is_installed_in_the_home(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, file: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = cli("completion", shell, "--install")
    assert done.code == 0
    assert (tmp_path / file).read_text().strip() == cli("completion", shell).out.strip()
    monkeypatch.setenv("HOME", "/proc/nobody")
    assert cli("completion", shell, "--install").code == 2
