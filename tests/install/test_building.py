"""The wheel and the source distribution: whole, nothing else in them, and the same each time."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.conftest import ALONE, TRACES, Built, build, copied_checkout

pytestmark = pytest.mark.xdist_group("wheel")

MOVED = ("workflows", "email_templates", "examples/year", "config.toml")
"""What stands at the top of a checkout and inside the package of a wheel."""


def files(folder: Path, name: str) -> Iterator[str]:
    if (folder / name).is_file():
        yield name
    for path in (folder / name).rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def lived_in(folder: Path) -> Path:
    """Another copy, in which somebody works: other times, other rights, traces of programs."""
    tree = copied_checkout(folder)
    for trace in TRACES:
        (tree / trace).parent.mkdir(parents=True, exist_ok=True)
        (tree / trace).write_text("left behind")
    for path in tree.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o640)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return tree


def test_built_twice_from_different_places_both_are_the_same_to_the_last_byte(built: Built, tmp_path: Path):
    wheel, sdist = build(lived_in(tmp_path / "a longer name" / "work"), tmp_path / "dist", umask=0o077)
    assert (wheel.name, sdist.name) == (built.wheel.name, built.sdist.name)
    assert wheel.read_bytes() == built.wheel.read_bytes()
    assert sdist.read_bytes() == built.sdist.read_bytes()


def test_the_source_distribution_builds_the_same_wheel(built: Built, tmp_path: Path):
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    (wheel,) = build(tree, tmp_path / "dist", "-t", "wheel")
    assert wheel.read_bytes() == built.wheel.read_bytes()


def test_the_wheel_holds_all_that_vipflow_is_and_nothing_else(built: Built):
    with zipfile.ZipFile(built.wheel) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert len(names) == len(set(names))
    told = {name for name in names if ".dist-info/" not in name}
    moved = {f"vipflow/_shipped/{name}" for each in MOVED for name in files(built.tree, each)}
    made_with = {name for name in moved if name.startswith("vipflow/_shipped/examples/") and name.endswith(".py")}
    assert told == {*files(built.tree, "vipflow")} | moved - made_with
    assert {name.partition(".dist-info/")[2] for name in names} - {""} == {
        "METADATA",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
        "RECORD",
    }


def test_the_source_distribution_holds_no_tests_and_no_traces(built: Built):
    with tarfile.open(built.sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
        assert {(member.uid, member.uname) for member in archive} == {(0, "")}
    folders = ("vipflow", "workflows", "email_templates", "examples/year", "docs")
    assert names == {name for each in folders for name in files(built.tree, each)} | {*ALONE, "PKG-INFO"}


def test_every_interpreter_of_this_machine_that_is_meant_reads_every_file(built: Built):
    import dev

    found = {(sys.version_info.major, sys.version_info.minor): sys.executable, **dev.interpreters()}
    program = "import pathlib, sys; [compile(p.read_bytes(), p, 'exec') for p in pathlib.Path().rglob('*.py')]"
    for version, python in found.items():
        read = [python, "-W", "error", "-I", "-c", program]
        done = subprocess.run(read, cwd=built.tree, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"Python {version}: {done.stderr}"
