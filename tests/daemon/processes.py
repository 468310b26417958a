"""Daemons as processes: started, listened to, asked, stopped. What they log is what a story waits for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KITCHEN = Path(__file__).with_name("kitchen")
LAUNCHER = Path(__file__).with_name("launcher.py")
PATIENCE = 30.0
"""Seconds in which even a machine that is busy with other things gets there."""


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VIPFLOW_")}
    return kept | {"PYTHONPATH": str(ROOT)}


@dataclass
class Answered:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Place:
    """An installation in a folder of its own: the kitchen, whose timers ring to the second."""

    folder: Path
    url: str
    posted: int = 0
    daemons: list[Daemon] = field(default_factory=list)

    def cli(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vipflow", *arguments],
            cwd=self.folder,
            env=environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def boil(self, count: int = 1, *, rings_at: Callable[[int], datetime] | None = None) -> None:
        """Puts eggs on, by the command line in a process of its own."""
        lines = []
        for number in range(self.posted + 1, self.posted + count + 1):
            data: dict[str, Any] = {"email": f"cook{number}@kitchen.example"}
            if rings_at is not None:
                data["rings_at"] = rings_at(number).isoformat()
            lines.append(
                json.dumps(
                    {
                        "type": "egg.boil",
                        "source": "cook",
                        "id": f"b{number}",
                        "subject": f"eggs/e{number}",
                        "data": data,
                    }
                )
            )
        self.posted += count
        done = self.cli("event", "post", "-", stdin="\n".join(lines) + "\n")
        assert done.returncode == 0, done.stderr

    def take_out(self, *numbers: int) -> None:
        lines = [
            json.dumps({"type": "egg.take_out", "source": "cook", "id": f"t{number}", "subject": f"eggs/e{number}"})
            for number in numbers
        ]
        done = self.cli("event", "post", "-", stdin="\n".join(lines) + "\n")
        assert done.returncode == 0, done.stdout + done.stderr

    def mails(self) -> list[Path]:
        return sorted((self.folder / "mail").rglob("*.eml"))

    def serve(self, *arguments: str, launched: Mapping[str, float] | None = None, port: int = 0) -> Daemon:
        """Starts a daemon and gives it back when it is ready; `launched`: with constants of the story's."""
        daemon = self.start(*arguments, launched=launched, port=port)
        daemon.wait_for("daemon_ready")
        return daemon

    def start(self, *arguments: str, launched: Mapping[str, float] | None = None, port: int = 0) -> Daemon:
        program = ["-m", "vipflow"] if launched is None else [str(LAUNCHER), json.dumps(launched)]
        daemon = Daemon([sys.executable, *program, "serve", "--port", str(port), *arguments], self.folder)
        self.daemons.append(daemon)
        return daemon


class Daemon:
    """A process that logs JSON lines to stderr."""

    def __init__(self, command: list[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        env = environment() if env is None else env
        self.process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[dict[str, Any]] = []
        self.said: list[str] = []
        """Lines that are no JSON."""
        self._heard = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, event: str, *, seconds: float = PATIENCE, after: int = 0, **fields: Any) -> dict[str, Any]:
        """The first line from number `after` on that tells of this event, as soon as it is there."""

        def found() -> dict[str, Any] | None:
            for line in self.lines[after:]:
                if line["event"] == event and all(line.get(name) == value for name, value in fields.items()):
                    return line
            return None

        with self._heard:
            self._heard.wait_for(lambda: found() is not None or not self._reader.is_alive(), seconds)
            line = found()
        assert line is not None, f"no {event} {fields} in\n" + "\n".join(map(str, [*self.lines, *self.said]))
        return line

    def events(self, event: str) -> list[dict[str, Any]]:
        with self._heard:
            return [line for line in self.lines if line["event"] == event]

    @property
    def url(self) -> str:
        return str(self.wait_for("daemon_ready")["url"])

    def get(self, path: str, method: str = "GET") -> Answered:
        request = urllib.request.Request(self.url + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return Answered(response.status, dict(response.headers.items()), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answered(error.code, dict(error.headers.items()), error.read())

    def number(self, name: str) -> float:
        """A metric, the sum over its labels."""
        lines = self.get("/metrics").body.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 15) -> int:
        """Its exit code."""
        self.send(number)
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for text in self.process.stderr:
            with self._heard:
                try:
                    self.lines.append(json.loads(text))
                except ValueError:
                    self.said.append(text.rstrip("\n"))
                self._heard.notify_all()
        with self._heard:
            self._heard.notify_all()
