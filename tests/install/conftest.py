"""vipflow as strangers get it: built from a copy of this checkout, in an environment that has nothing else of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT_FROM = ("vipflow", "workflows", "email_templates", "examples", "docs")
ALONE = (
    "config.toml",
    "hatch_build.py",
    "pyproject.toml",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
)
TRACES = (
    "var/vipflow.db",
    ".venv/lib/x.py",
    "vipflow/__pycache__/cli.cpython-311.pyc",
    "vipflow/var/daemon/x.json",
    "workflows/__pycache__/order.pyc",
    "email_templates/.DS_Store",
    "email_templates/var/mail/x.eml",
    "examples/year/var/vipflow.db",
    "docs/vipflow.db-wal",
)
"""What lies about in a checkout in which somebody works."""


def plain_environment(**more: str) -> dict[str, str]:
    """No variable of ours and no path to the checkout."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VIPFLOW_", "PYTHON")) and name != "SOURCE_DATE_EPOCH"
    }
    return kept | more


def copied_checkout(folder: Path) -> Path:
    """A copy of what git keeps of this checkout, as far as anything is built from it."""
    ignored = shutil.ignore_patterns("__pycache__", "var", ".*")
    for name in BUILT_FROM:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ALONE:
        shutil.copy(ROOT / name, folder / name)
    return folder


def build(tree: Path, into: Path, *kinds: str, umask: int = 0o022) -> list[Path]:
    """The wheel and the sdist of a tree, or one `-t kind` alone; sorted by name."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(into), *kinds],
        cwd=tree,
        env=plain_environment(),
        umask=umask,
        capture_output=True,
        check=True,
    )
    return sorted(into.iterdir())


@dataclass(frozen=True)
class Built:
    """One build: of `tree`."""

    tree: Path
    sdist: Path
    wheel: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    tree = copied_checkout(folder / "clean")
    wheel, sdist = build(tree, folder / "dist")
    return Built(tree, sdist, wheel)


@dataclass(frozen=True)
class Stranger:
    """An environment that holds the wheel, and a home; what vipflow needs comes from this environment's packages."""

    environment: Path
    home: Path

    @property
    def env(self) -> Mapping[str, str]:
        path = f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return plain_environment(PATH=path, HOME=str(self.home))

    def __call__(self, *command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a command as they type it."""
        return subprocess.run(
            command, cwd=folder or self.home, env=self.env, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="session")
def stranger(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    folder = tmp_path_factory.mktemp("stranger")
    environment, home = folder / "venv", folder / "home"
    home.mkdir()
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    offline = ["--no-deps", "--no-index", "--no-compile", "--quiet", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", *offline, str(built.wheel)]
    subprocess.run(pip, env=plain_environment(), capture_output=True, check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    # The packages beside ours, as if they had been installed too. A .pth in that folder, such as one that leads to a
    # checkout, is not followed from here.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Stranger(environment, home)


Install = Callable[..., subprocess.CompletedProcess[str]]
