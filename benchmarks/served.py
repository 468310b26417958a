"""A daemon in a process and a folder of its own, as an operations team starts it: what is measured from outside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import vipflow
from vipflow.config import load_settings
from vipflow.operations.installation import Installation, open_installation
from vipflow.operations.resellers import add_reseller
from vipflow.store.schema import migrate

ALARM = Path(__file__).parent / "alarm"
READY_WITHIN = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Daemon:
    """A running `vipflow serve`."""

    process: subprocess.Popen[bytes]
    url: str

    def processor_seconds(self, *others: int) -> float:
        """What it has used of the processor so far, with all threads and children, and these processes with it."""
        return processor_seconds(self.process.pid, *_children(self.process.pid), *others)


def processor_seconds(*processes: int) -> float:
    """What these processes have used of the processor so far."""
    return sum(map(_used, processes))


def settings_in(folder: Path, url: str, *, workflows: Path | None = None, more: str = "") -> Path:
    """Writes an installation's settings, and gives their path."""
    lines = ["[database]", f"url = {json.dumps(url)}", ""]
    if workflows is not None:
        templates = folder / "templates"
        templates.mkdir(exist_ok=True)
        lines += ["[folders]", f'workflows = "{workflows}"', f'email_templates = "{templates}"', ""]
    file = folder / "config.toml"
    file.write_text("\n".join([*lines, more]), encoding="utf-8")
    return file


def installed(config: Path) -> Installation:
    """The installation of these settings, its database made and with one reseller."""
    settings = load_settings(config)
    migrate(settings.database.url)
    installation = open_installation(settings)
    add_reseller(installation, key="nord", name="Nord", settings={"sender": "vip@nord.example"})
    return installation


@contextmanager
def serving(config: Path) -> Iterator[Daemon]:
    """Starts it, waits until it is ready, and ends it as a service manager would."""
    port = _free_port()
    environment = {**os.environ, "PYTHONPATH": str(Path(vipflow.__file__).parent.parent)}
    environment |= {"VIPFLOW_CONFIG": str(config), "VIPFLOW_DAEMON__PORT": str(port)}
    log = config.with_name("daemon.log")
    with log.open("wb") as stderr:
        command = [sys.executable, "-m", "vipflow", "serve"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
    daemon = Daemon(process, f"http://127.0.0.1:{port}")
    try:
        _until_ready(daemon, log)
        yield daemon
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def processes_of(command: Sequence[str]) -> list[int]:
    """The processes whose command line begins so: a database server's, for instance."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if [part.decode("utf-8", "replace") for part in line[: len(command)]] == list(command):
                found.append(int(entry.name))
    return found


def _until_ready(daemon: Daemon, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if daemon.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{daemon.url}/readyz", timeout=1) as answer:  # noqa: S310  # why: loopback
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise SystemExit(f"the daemon is not ready:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            found += [child, *_children(child)]
    return found


def _used(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS
