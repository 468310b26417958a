"""dev.py and the locks: a fresh machine needs two commands."""

import ast
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest

import dev

ROOT = Path(dev.__file__).parent
LOCKS = {kind: (ROOT / "requirements" / f"{kind}.txt").read_text() for kind in ("run", "test")}


def requirements(lock: str) -> dict[str, list[str]]:
    """Each pinned line of a lock, with its hashes."""
    joined = re.sub(r" \\\n\s+", " ", re.sub(r"^\s*#.*\n", "", lock, flags=re.MULTILINE))
    lines = [line.split(" --hash=") for line in joined.splitlines() if line.strip()]
    return {pin.strip(): hashes for pin, *hashes in lines}


@pytest.mark.parametrize("kind", LOCKS)
def test_every_requirement_is_pinned_and_hashed(kind):
    pins = requirements(LOCKS[kind])
    assert len(pins) > 20
    for pin, hashes in pins.items():
        assert re.match(r"[a-z0-9-]+==\S+( ; .+)?$", pin), pin
        assert hashes, f"{pin} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", hash_) for hash_ in hashes), pin


@pytest.mark.parametrize("kind", LOCKS)
def test_a_lock_names_no_index_and_no_address(kind):
    assert "://" not in LOCKS[kind]
    assert not re.search(r"--(index|extra-index|find-links|trusted)|^-[if]\b", LOCKS[kind], flags=re.MULTILINE)


def test_the_test_lock_holds_all_of_the_run_lock():
    assert requirements(LOCKS["run"]).items() <= requirements(LOCKS["test"]).items()


def test_every_dependency_of_the_project_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = [re.match(r"[A-Za-z0-9-]+", line) for line in project["project"]["dependencies"]]
    locked = {pin.partition("==")[0] for pin in requirements(LOCKS["run"])}
    assert {name.group() for name in names if name} <= locked


def test_dev_py_needs_the_standard_library_only():
    tree = ast.parse(Path(dev.__file__).read_text())
    imports = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    imports += [node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.partition(".")[0] for name in imports} <= sys.stdlib_module_names


def test_dev_py_is_read_far_enough_by_an_old_python_to_say_so():
    ast.parse(Path(dev.__file__).read_text(), feature_version=(3, 8))
    message = dev.what_is_missing((3, 8), lambda name: True)
    assert message is not None
    assert "needs Python 3.11 or newer; this is 3.8" in message


@pytest.mark.parametrize("absent", ["venv", "ensurepip"])
def test_a_python_without_venv_is_told_which_package_to_install(absent):
    message = dev.what_is_missing((3, 11), lambda name: name != absent)
    assert message is not None
    assert "apt install python3.11-venv" in message


def test_a_complete_python_lacks_nothing():
    assert dev.what_is_missing((3, 11), lambda name: True) is None
    assert dev.what_is_missing(sys.version_info[:2], importlib.util.find_spec) is None


def test_the_pythons_that_are_tried_are_those_that_the_project_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [line.rpartition(" ")[2] for line in project["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert [f"python{version}" for version in named] == list(dev.MEANT_FOR)
    assert project["requires-python"] == f">={named[0]}"


def test_a_name_that_leads_to_no_python_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\necho 'version 3.12 is not installed' >&2\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("VIPFLOW_PYTHONS", f"{shim}:{sys.executable}:{tmp_path / 'nothing'}")
    assert dev.interpreters() == {sys.version_info[:2]: sys.executable}
