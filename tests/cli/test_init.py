"""From an empty folder to one that can be worked in; and what is told of its copies after an upgrade."""

import os
import shlex
import shutil
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cli.conftest import Cli
from vipflow.config import DatabaseSettings, Settings, load_settings, shipped
from vipflow.operations.copies import NOTE, PARTS, copies_of
from vipflow.vip.catalogue import load_catalogue
from vipflow.vip.numbers import load_policies

ALL = ["--with", "workflows", "--with", "email-templates", "--with", "policies", "--with", "catalogue"]


def test_a_new_folder_holds_the_settings_explained_and_all_of_them_are_the_defaults(cli: Cli, tmp_path: Path) -> None:
    done = cli("init", "north")
    assert done.code == 0
    assert sorted(os.listdir(tmp_path)) == ["north"]
    assert sorted(os.listdir(tmp_path / "north")) == ["README.md", "config.toml"]
    assert (tmp_path / "north" / "config.toml").read_bytes() == shipped("config.toml").read_bytes()
    here, there = load_settings(tmp_path / "north" / "config.toml"), Settings()
    assert here.folders == there.folders
    assert here.smtp == there.smtp


def test_a_folder_that_is_there_becomes_one_too_and_keeps_what_it_has(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    made = cli("init", ".", "--json").json
    assert made["folder"] == str(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    readme = (tmp_path / "README.md").read_text()
    for command in made["next"]:
        assert f"    {command}\n" in readme
        program, *arguments = shlex.split(command)
        assert program == "vipflow"
        if arguments not in (["check"], ["doctor"], ["serve"]):  # tests/install does these, with a wheel
            done = cli(*arguments)
            assert done.code == 0, f"{command}: {done.err}"


def test_the_copies_are_what_comes_with_vipflow_and_count(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", "north", *ALL).code == 0
    north = tmp_path / "north"
    folders = load_settings(north / "config.toml").folders
    assert folders.workflows == north / "workflows"
    assert folders.email_templates == (shipped("email_templates"), north / "email_templates")
    assert folders.policies == (north / "policies",)
    assert folders.catalogues == (north / "catalogue.toml",)
    for copy in (copy for part in PARTS for copy in copies_of(part)):
        assert (north / copy.file).read_text(encoding="utf-8") == copy.text
    assert load_policies(*folders.policies).names[-3:] == ("our-vip-2019", "our-vip-2024", "our-vip-marketplace")
    assert load_catalogue(*folders.catalogues) == load_catalogue()


@pytest.mark.parametrize("there", ["config.toml", "README.md", "policies", NOTE])
def test_nothing_that_is_there_is_overwritten_and_nothing_else_is_made(cli: Cli, tmp_path: Path, there: str) -> None:
    (tmp_path / "north").mkdir()
    (tmp_path / "north" / there).symlink_to("nowhere")
    done = cli("init", "north", *ALL)
    assert done.code == 2
    assert done.err == (
        f"the folder north: it has {there} already, and nothing is overwritten; name another; nothing was made\n"
    )
    assert os.listdir(tmp_path / "north") == [there]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_told(cli: Cli, tmp_path: Path, kind: str) -> None:
    (tmp_path / "north").touch() if kind == "file" else (tmp_path / "north").symlink_to("nowhere")
    done = cli("init", "north")
    assert done.code == 2
    assert done.err.startswith("the folder north: a file, or a link that leads nowhere, has this name;")


def test_where_it_cannot_be_made_nothing_is_left(cli: Cli, tmp_path: Path) -> None:
    done = cli("init", "/proc/north")
    assert done.code == 2
    assert done.err.startswith("the folder /proc/north: it cannot be made (")
    too_long = "n" * 300
    assert "it cannot be made (File name too long)" in cli("init", too_long).err
    assert os.listdir(tmp_path) == []


def test_a_database_of_its_own_is_written_down_and_a_password_is_for_its_owner_alone(cli: Cli, tmp_path: Path) -> None:
    url = 'postgresql://ada:s"cr\\et@db.example/vipflow'
    assert cli("init", "north", "--database", url).code == 0
    config = tmp_path / "north" / "config.toml"
    assert tomllib.loads(config.read_text())["database"] == {"url": url}
    assert config.stat().st_mode & 0o077 == 0
    shown = cli("config", "show", "--config", str(config))
    assert "postgresql://ada:***@db.example/vipflow" in shown.out
    assert "cr" + "\\et" not in shown.out


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://x", "--database: it is no URL of a database; write sqlite:///<path> or postgresql://"),
        ("sqlite:///", "--database: it names no file; write sqlite:///<path>"),
        ("postgresql://ada@host", "--database: it names no database; write postgresql://"),
    ],
)
def test_a_database_that_is_none_makes_no_folder(cli: Cli, tmp_path: Path, url: str, says: str) -> None:
    done = cli("init", "north", "--database", url)
    assert done.code == 2
    assert done.err.startswith(says)
    assert os.listdir(tmp_path) == []


def test_whoever_has_another_installation_in_the_environment_is_warned(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIPFLOW_CONFIG", "south/config.toml")
    assert "VIPFLOW_CONFIG names south/config.toml: until it is unset" in cli("init", "north").err
    monkeypatch.setenv("VIPFLOW_CONFIG", str(tmp_path / "east" / "config.toml"))
    assert cli("init", "east").err == ""


# --- copies, later -------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(cli: Cli, tmp_path: Path) -> Path:
    """An installation with copies of all, in which the stories below stand."""
    assert cli("init", "north", *ALL).code == 0
    return tmp_path / "north"


def came_otherwise(folder: Path, file: str, text: str | None) -> None:
    """As if an older release had come with this text for a file, or (None) without the file."""
    note: dict[str, Any] = msgspec.json.decode((folder / NOTE).read_bytes())
    del note["files"][file]
    if text is not None:
        note["files"][file] = sha256(text.encode()).hexdigest()
        (folder / file).write_text(text)
    else:
        (folder / file).unlink()
    (folder / NOTE).write_bytes(msgspec.json.encode(note))


def states(cli: Cli) -> dict[str, str]:
    found = cli("config", "diff", "--config", "north/config.toml", "--json")
    assert found.code == 0, found.err
    return {each["file"]: each["state"] for each in found.json["files"] if each["state"] != "same"}


def test_fresh_copies_are_as_they_come(cli: Cli, copied: Path) -> None:
    assert states(cli) == {}
    assert "copies are as they come with vipflow" in cli("config", "diff", "--config", "north/config.toml").out


def test_after_an_upgrade_what_you_changed_is_told_from_what_vipflow_changed(cli: Cli, copied: Path) -> None:
    with (copied / "catalogue.toml").open("a") as mine:
        mine.write("# ours\n")
    came_otherwise(copied, "workflows/order.py", "an older text")
    came_otherwise(copied, "policies/our-vip-2024.toml", "an older text")
    (copied / "policies" / "our-vip-2024.toml").write_text("and changed")
    came_otherwise(copied, "workflows/return_request.py", None)
    came_otherwise(copied, "email_templates/layout.html", None)
    shutil.rmtree(copied / "email_templates" / "renewal_open")
    assert states(cli) == {
        "catalogue.toml": "yours",
        "policies/our-vip-2024.toml": "both",
        "workflows/order.py": "newer",
        "workflows/return_request.py": "new",
    }
    listed = cli("config", "diff", "--config", "north/config.toml").out
    assert "changed by you and by vipflow" in listed

    assert cli("config", "diff", "--seen", "--config", "north/config.toml").code == 0
    assert states(cli) == {
        "catalogue.toml": "yours",
        "policies/our-vip-2024.toml": "yours",
        "workflows/order.py": "yours",
    }, "what is left out on purpose is told once"


def test_one_copy_is_shown_line_by_line(cli: Cli, copied: Path) -> None:
    with (copied / "catalogue.toml").open("a") as mine:
        mine.write("# ours [bold]\n")
    shown = cli("config", "diff", "catalogue.toml", "--config", "north/config.toml")
    assert shown.out.splitlines()[:2] == ["--- vipflow/catalogue.toml", "+++ yours/catalogue.toml"]
    assert shown.out.splitlines()[-1] == "+# ours [bold]"
    assert "as it comes" in cli("config", "diff", "workflows/order.py", "--config", "north/config.toml").out
    wrong = cli("config", "diff", "workflows/ordr.py", "--config", "north/config.toml")
    assert wrong.code == 4
    assert "did you mean workflows/order.py?" in wrong.err


def test_without_copies_one_is_told_how_to_get_some(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", "north").code == 0
    found = cli("config", "diff", "--config", "north/config.toml")
    assert found.code == 2
    assert "`vipflow init <folder> --with …` makes some" in found.err
    assert DatabaseSettings().url in (tmp_path / "north" / "config.toml").read_text()
