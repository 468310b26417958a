#!/usr/bin/env python3
"""Prepares vipflow's environment and runs things in it.

    python3 dev.py demo           play the example year
    python3 dev.py serve [...]    let it go on by itself: a daemon on a copy of it, an hour a second (--speed, --fresh)
    python3 dev.py test [...]     linters, types, import contracts, the whole suite; arguments go to pytest
    python3 dev.py vipflow ...    the program itself, also found as .venv/bin/vipflow
    python3 dev.py pythons [...]  the demo and a part of the suite with every Python that vipflow is meant for: those on
                                  the PATH, or those that VIPFLOW_PYTHONS names; arguments go to pytest
    python3 dev.py lock [...]     remake requirements/*.txt from pyproject.toml; arguments go to uv (--upgrade)

Needs Python 3.11 or newer with its venv module, and nothing else. The environment is `.venv` beside this
file, filled from a hashed lock, and remade when the lock, the Python or the folder is another one.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Command = Sequence[str | Path]

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

PIP: Command = [PYTHON, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]

MEANT_FOR = ("python3.11", "python3.12", "python3.13")
SMOKE = ["tests/install", "tests/cli", "tests/store", "tests/workflows", "tests/daemon/test_serving.py"]
"""What shows most of a Python in a minute or two."""

CHECKS: dict[str, Command] = {
    "ruff check": [PYTHON, "-m", "ruff", "check"],
    "ruff format": [PYTHON, "-m", "ruff", "format", "--check"],
    "mypy": [PYTHON, "-m", "mypy", "--strict"],
    "import contracts": [VENV / "bin" / "lint-imports", "--no-logo"],
}


class Trouble(Exception):
    """Something stops us; the message says what, and what to do."""


def main(arguments: list[str]) -> int:
    command, rest = (arguments[0] if arguments else ""), arguments[1:]
    if command == "demo":
        prepare("run")
        os.chdir(ROOT)
        return become(VENV / "bin" / "vipflow", "demo", *rest)
    if command == "serve":
        prepare("run")
        return serve(rest)
    if command == "vipflow":
        prepare("run")
        return become(VENV / "bin" / "vipflow", *rest)
    if command == "test":
        prepare("test")
        return test(rest)
    if command == "pythons":
        return pythons(rest)
    if command == "lock":
        return lock(rest)
    print(__doc__, file=sys.stdout if command in ("-h", "--help", "help") else sys.stderr)
    return 0 if command in ("-h", "--help", "help") else 2


def serve(arguments: list[str]) -> int:
    """The daemon on a copy of the demo, which is played first where that never happened."""
    os.chdir(ROOT)
    vipflow = VENV / "bin" / "vipflow"
    played = Path("var", "demo")
    if not (played / "vipflow.db").exists():
        ended = subprocess.call([vipflow, "demo", "--folder", played])
        if ended:
            return ended
    return become(vipflow, "serve", "--demo", str(played), *arguments)


# The environment


def prepare(kind: str) -> None:
    """Makes `.venv` what `requirements/<kind>.txt` says: instant when it already is."""
    lockfile = ROOT / "requirements" / f"{kind}.txt"
    with one_at_a_time():
        if not stamped("run"):
            missing = what_is_missing(sys.version_info[:2], importlib.util.find_spec)
            if missing:
                raise Trouble(missing)
            say(f"Preparing .venv from requirements/{kind}.txt (once; a minute or so) ...")
            must([sys.executable, "-m", "venv", "--clear", VENV])
        if not stamped(kind):
            must([*PIP, "--require-hashes", "-r", lockfile])
            stamp("run", kind)  # test.txt holds all of run.txt
        if not stamped("project"):
            must([*PIP, "--no-deps", "--no-build-isolation", "-e", ROOT])
            stamp("project")


def what_is_missing(version: tuple[int, int], found: Callable[[str], object]) -> str | None:
    """What to install before an environment can be made, or None. `found` says whether a module is there."""
    if version < (3, 11):
        return (
            f"vipflow needs Python 3.11 or newer; this is {version[0]}.{version[1]}.\n"
            f"With a newer one installed, name it: python3.11 dev.py ..."
        )
    if not (found("venv") and found("ensurepip")):
        name = f"python{version[0]}.{version[1]}"
        return (
            f"{name} lacks its venv module. Install it, then try again:\n"
            f"    Debian, Ubuntu:  apt install {name}-venv      (or python3-venv)\n"
            f"    elsewhere:       the package that completes this Python, often {name} or python3-pip"
        )
    return None


def stamped(kind: str) -> bool:
    mark = VENV / f".stamp-{kind}"
    return mark.exists() and mark.read_text() == stamp_text(kind)


def stamp(*kinds: str) -> None:
    for kind in kinds:
        (VENV / f".stamp-{kind}").write_text(stamp_text(kind))


def stamp_text(kind: str) -> str:
    source = ROOT / "pyproject.toml" if kind == "project" else ROOT / "requirements" / f"{kind}.txt"
    parts = [source.read_bytes(), platform.python_version().encode(), os.fsencode(sys.base_prefix), os.fsencode(ROOT)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two of us in one folder would fill the same environment at once: the second waits."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


# The checks


def test(arguments: list[str]) -> int:
    """Runs every check and then pytest, whose closing line comes last. 0 when all is well."""
    failed = []
    for name, command in CHECKS.items():
        result = quietly(command)
        if result.returncode != 0:
            failed.append(name)
            print(f"FAILED: {name}\n\n{result.stdout.strip()}\n", flush=True)

    workers = min(4, os.cpu_count() or 1)
    pytest: Command = [PYTHON, "-m", "pytest", "-n", str(workers), "--dist", "loadgroup", "-rs", *arguments]
    if arguments:  # somebody is looking for something: show it as it comes
        report(failed)
        return 1 if subprocess.call(pytest, cwd=ROOT) or failed else 0

    result = quietly(pytest)
    *lines, closing = result.stdout.strip().splitlines() or [f"pytest said nothing and ended with {result.returncode}"]
    if result.returncode == 0:
        lines = [line for line in lines if line.startswith(("SKIPPED", "PostgreSQL"))]
    else:
        failed.append("pytest")
    print("\n".join(lines))
    report(failed)
    print(closing)
    return 1 if failed else 0


def report(failed: list[str]) -> None:
    if failed:
        print(f"FAILED: {', '.join(failed)}", flush=True)


def pythons(arguments: list[str]) -> int:
    """With each Python: an environment of its own from the lock, a wheel in it, the demo, tests. 0 when all is well."""
    found = interpreters()
    if not found:
        raise Trouble(f"None of {', '.join(MEANT_FOR)} is on the PATH; name some: VIPFLOW_PYTHONS=<path>:<path>")
    failed = []
    for version, python in found.items():
        name = ".".join(map(str, version))
        with tempfile.TemporaryDirectory(prefix=f"vipflow-python{name}-") as folder:
            try:
                told = try_out(Path(python), Path(folder), arguments or SMOKE)
            except Trouble as trouble:
                failed.append(name)
                told = str(trouble)
        print(f"Python {name} ({python}): {told}", flush=True)
    report(failed)
    return 1 if failed else 0


def try_out(python: Path, folder: Path, tests: list[str]) -> str:
    """What became of it, in a line; Trouble says what went wrong."""
    own = folder / "venv" / "bin"
    began = time.monotonic()
    must([python, "-m", "venv", folder / "venv"])
    pip: Command = [own / "python", *PIP[1:]]
    must([*pip, "--require-hashes", "-r", ROOT / "requirements" / "test.txt"])
    must([*pip, "--no-deps", "--no-build-isolation", ROOT])
    prepared = time.monotonic()
    must([own / "vipflow", "demo", "--folder", folder / "demo"])
    played = time.monotonic()
    workers = str(min(4, os.cpu_count() or 1))
    pytest: Command = [own / "python", "-m", "pytest", "-p", "no:cacheprovider", "-n", workers, "--dist", "loadgroup"]
    said = must([*pytest, *tests]).strip().splitlines()[-1].strip("= ")
    return f"prepared in {prepared - began:.0f} s, the demo played in {played - prepared:.0f} s; {said}"


def interpreters() -> dict[tuple[int, int], str]:
    """A Python of each version: those that VIPFLOW_PYTHONS names, else those on the PATH that vipflow is meant for."""
    named = os.environ.get("VIPFLOW_PYTHONS")
    found: dict[tuple[int, int], str] = {}
    for each in named.split(os.pathsep) if named else MEANT_FOR:
        path = shutil.which(each)
        if path is not None:
            asked = quietly([path, "-c", "import sys, venv, ensurepip; print(*sys.version_info[:2])"])
            if asked.returncode == 0:  # else a name that leads to none, or one without venv
                major, minor = map(int, asked.stdout.split())
                found.setdefault((major, minor), path)
    return found


def lock(arguments: list[str]) -> int:
    """Remakes both locks: every platform, every Python from 3.11 on, and no address in them."""
    uv = shutil.which("uv")
    if not uv:
        raise Trouble("Making the locks needs uv, which is not on the PATH: pipx install uv, or pip install --user uv.")
    form = ["--universal", "--python-version", "3.11", "--generate-hashes"]
    form += ["--no-emit-index-url", "--no-emit-find-links", "--no-header", "--quiet"]
    compile_ = [uv, "pip", "compile", *form, "pyproject.toml", "--extra", "postgres", "--group", "build"]
    must([*compile_, *arguments, "-o", "requirements/run.txt"])
    must([*compile_, *arguments, "--group", "test", "-c", "requirements/run.txt", "-o", "requirements/test.txt"])
    return 0


# Running programs


def must(command: Command) -> str:
    """Runs a step that must succeed, and gives what it said; shows that only when it does not."""
    result = quietly(command)
    if result.returncode != 0:
        raise Trouble(f"{result.stdout.rstrip()}\n\nThis failed: {shlex.join(map(str, command))}")
    return result.stdout


def quietly(command: Command) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )


def become(program: Path, *arguments: str) -> int:
    """Turns this process into `program`: its signals and its exit code are then its own."""
    sys.stdout.flush()
    os.execv(program, [str(program), *arguments])  # noqa: S606  # why: no shell is wanted, and the path is our own


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Trouble as trouble:
        say(str(trouble))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
