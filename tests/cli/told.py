"""A small reseller on a still clock, set up by its own commands: what bad input must leave as it is."""

import contextlib
import ctypes
import io
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, literal, select, union_all

from vipflow.cli import run
from vipflow.store.database import Database, open_database
from vipflow.store.tables import metadata

INVITE = (
    *("customer", "invite", "--company", "Élan Vert", "--segment", "commercial", "--contact", "Zoé Roux"),
    *("--email", "zoe@elan.example", "--address", "1 rue des Lilas", "--postal-code", "44000", "--city", "Nantes"),
    *("--country", "fr"),
)
NOW = "2024-04-04T09:00:00Z"
_BEGINNING = (
    ("db", "migrate"),
    ("reseller", "add", "nord", "--name", "Nord", "--sender", "licences@nord.example", "--language", "en"),
    ("team", "add", "ada@nord.example", "--name", "Ada", "--role", "admin"),
    ("team", "add", "bob@nord.example", "--name", "Bob"),
    ("team", "add", "vic@nord.example", "--name", "Vic", "--role", "viewer"),
    ("team", "add", "eve@nord.example", "--name", "Eve"),
    ("team", "deactivate", "eve@nord.example"),
    (*INVITE, "--vip-number", "1A2B", "--manager", "bob@nord.example", "--on", "2024-03-01", "--id", "1"),
    ("authorization", "create", "1A2B", "--product", "photoshop=5", "--po", "PO-1", "--on", "2024-03-02", "--id", "2"),
    ("order", "place", "--authorization", "PO-1", "--order-number", "AO-1", "--on", "2024-03-03", "--id", "3"),
    ("order", "accept", "AO-1", "--on", "2024-03-04", "--id", "4"),
    ("authorization", "create", "1A2B", "--product", "photoshop=1", "--po", "PO-2", "--on", "2024-04-01", "--id", "5"),
)
"""Known: C-1K4V-SQM2 with a paid authorization (PO-1) and a pending one (PO-2)."""


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def say(*arguments: str, stdin: bytes = b"", config: Path | None = None) -> Said:
    """Runs a command in this process, as its caller sees it; `config` is what VIPFLOW_CONFIG names."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    if config is not None:
        os.environ["VIPFLOW_CONFIG"] = str(config)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(list(arguments))
    finally:
        sys.stdin = before
        os.environ.pop("VIPFLOW_CONFIG", None)
    return Said(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class World:
    """An installation that lives on: whatever is asked of it must leave it as it was."""

    config: Path
    url: str
    database: Database

    def say(self, *arguments: str, stdin: bytes = b"") -> Said:
        return say(*arguments, stdin=stdin, config=self.config)

    def post(self, *events: object) -> Said:
        """Posts events as another system does."""
        return self.say("event", "post", "-", stdin="\n".join(map(json.dumps, events)).encode())

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        with self.database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(_COUNTS)}


_COUNTS = union_all(*(select(literal(table.name), func.count()).select_from(table) for table in metadata.sorted_tables))


def begin(folder: Path, url: str) -> World:
    """The world in `folder`, its database at `url`."""
    folder.mkdir(exist_ok=True)
    config = folder / "config.toml"
    config.write_text(f'[database]\nurl = "{url}"\n[clock]\nstands_at = {NOW}\n', encoding="utf-8")
    for arguments in _BEGINNING:
        said = say(*arguments, config=config)
        assert said.code == 0, (arguments, said)
    return World(config, url, open_database(url, role="reader"))


def say_after(prepare: Callable[[], None], *arguments: str, config: Path, stdin: bytes = b"") -> Said:
    """Runs a command in a child process that `prepare` made poorer: fewer rights, less room. What it imports must be
    there already.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            prepare()
            said = say(*arguments, stdin=stdin, config=config)
            os.write(write, json.dumps([said.code, said.out[:1000], said.err[:4000]]).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    return Said(*json.loads(answer))


def as_nobody() -> None:
    """A user who owns nothing. Who is not root already is one."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def with_files_up_to(size: int) -> Callable[[], None]:
    """No file may grow beyond `size`: what a quota does, and for any user."""

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return prepare


def on_a_disk_of(size: str, at: Path) -> Callable[[], None]:
    """A file system of its own, in memory, of `size`. Raises OSError where this machine does not let us."""

    def prepare() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        for done in (
            libc.unshare(0x00020000),  # CLONE_NEWNS
            libc.mount(b"none", b"/", None, (1 << 18) | (1 << 14), None),  # private, with all below
            libc.mount(b"tmpfs", os.fsencode(at), b"tmpfs", 0, f"size={size}".encode()),
        ):
            if done != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    return prepare
