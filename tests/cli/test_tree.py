"""What holds for every command: `--json`, help that is a sentence, help that is instant."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from vipflow.cli import _PANELS, app

ROOT = get_command(app)


def leaves(command: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
        return
    for name, each in inner.items():
        yield from leaves(each, (*path, name))


def groups(command: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, each in getattr(command, "commands", {}).items():
        if hasattr(each, "commands"):
            yield " ".join((*path, name)), each
            yield from groups(each, (*path, name))


LEAVES = dict(leaves())


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_answers_in_json_when_asked(path: str) -> None:
    assert any("--json" in parameter.opts for parameter in LEAVES[path].params)


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_says_in_a_sentence_what_it_does(path: str) -> None:
    help_text = LEAVES[path].help
    assert help_text, "it has no help"
    assert help_text[0].isupper()
    assert help_text.rstrip().endswith(".")
    assert len(help_text.split("\n\n")[0]) <= 120, "the first sentence stands in lists: shorten it"


@pytest.mark.parametrize("path", LEAVES)
def test_every_option_and_argument_has_help(path: str) -> None:
    silent = [parameter.name for parameter in LEAVES[path].params if not getattr(parameter, "help", None)]
    assert silent == []


SHORT = {
    "reseller list": "a handful",
    "team list": "who works here",
    "daemon list": "those of a month",
    "workflow list": "as many as files",
    "policy list": "as many as files",
}


@pytest.mark.parametrize("path", [path for path in LEAVES if path.endswith(" list") and path not in SHORT])
def test_every_list_that_can_be_long_comes_page_by_page(path: str) -> None:
    assert {"--limit", "--after"} <= {option for parameter in LEAVES[path].params for option in parameter.opts}


@pytest.mark.parametrize("path", LEAVES)
def test_no_bracket_of_a_usage_stands_twice(path: str) -> None:
    help_text = LEAVES[path].get_usage(LEAVES[path].context_class(LEAVES[path], info_name=path))
    assert "[[" not in help_text


@pytest.mark.parametrize(("path", "command"), list(groups()))
def test_every_noun_says_what_it_is_for(path: str, command: Any) -> None:
    assert command.help
    assert command.help.endswith(".")


def test_every_command_stands_in_a_panel_of_the_help() -> None:
    placed = {name for modules in _PANELS.values() for name in modules.values()}
    assert set(ROOT.commands) <= placed  # type: ignore[attr-defined]  # why: Typer types groups as commands


@pytest.mark.parametrize("arguments", [["--help"], ["event", "post", "--help"], ["calendar", "renewal", "-h"]])
def test_help_is_instant_since_it_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys, vipflow.cli; code = vipflow.cli.run(sys.argv[1:]);"
        "heavy = {'sqlalchemy', 'statemachine', 'jinja2', 'pydantic', 'alembic', 'babel', 'rich.markdown'};"
        "print(sorted(heavy & set(sys.modules)), code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"
    assert "Usage: vipflow" in done.stdout


def test_the_program_alone_shows_its_help() -> None:
    done = subprocess.run([sys.executable, "-m", "vipflow"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Look ahead and back" in done.stdout + done.stderr
