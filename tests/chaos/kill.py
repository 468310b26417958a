"""Processes killed at random moments under load, and what is left afterwards held against what clients were told.

    python -m tests.chaos.kill [--database sqlite|postgresql|both] [--kills 200] [--seed 1]

Daemons and clients run as processes of their own; a real SMTP server takes the mails over. Every half second or so one
of them gets SIGKILL and is started again. In the end: every event that a client was told is saved counts once, no
stirring is lost or doubled, no timer fired early, every mail has left, its copies are the same to the byte, and
`verify` finds nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from tests import postgres
from tests.chaos.client import APART, TENANT
from tests.delivery.smtp_servers import ScriptedServer
from vipflow.clock import HostClock
from vipflow.config import load_settings
from vipflow.engine import verify
from vipflow.operations.installation import Installation, open_installation
from vipflow.operations.resellers import add_reseller
from vipflow.store.schema import migrate
from vipflow.store.tables import cases, history, inbox, messages, timers

ROOT = Path(__file__).resolve().parents[2]
KETTLE = Path(__file__).parent / "kettle"
CALM_WITHIN = 120.0


@dataclass
class Told:
    """What a run came to. Everything but `killed`, `acknowledged` and the counts of work must be zero."""

    database: str
    kills: int
    killed: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    stirred: int = 0
    transitions: int = 0
    mails: int = 0
    copies: int = 0
    lost: int = 0
    doubled: int = 0
    early: int = 0
    mails_lost: int = 0
    mails_changed: int = 0
    copies_beyond: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        faults = (self.lost, self.doubled, self.early, self.mails_lost, self.mails_changed, self.copies_beyond)
        return not any(faults) and not self.findings


class Run:
    """One installation under fire."""

    def __init__(self, url: str, folder: Path, kills: int, seed: int, daemons: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.told = Told(url.partition(":")[0], kills)
        self.post_office = ScriptedServer()
        self.post_office.start()
        self.config = _settings(folder, url, self.post_office.port)
        migrate(load_settings(self.config).database.url)
        installation = open_installation(load_settings(self.config))
        add_reseller(installation, key="kitchen", name="Kitchen", settings={"sender": "kettles@kitchen.example"})
        installation.close()
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "VIPFLOW_CONFIG": str(self.config),
            "CHAOS_BEGUN": HostClock().now().isoformat(),
        }
        self.roles: dict[str, list[str]] = {f"daemon {n}": _serve(n) for n in range(daemons)}
        for number in range(2):
            self.roles[f"client {number}"] = self._client(number, APART)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def go(self) -> Told:
        try:
            for role in self.roles:
                self._start(role)
            for _ in range(self.told.kills):
                time.sleep(self.chance.uniform(0.05, 0.8))  # why: the moment of the kill is what is being drawn
                self._kill(self.chance.choice(list(self.roles)))
            self._come_to_rest()
        finally:
            for process in self.running.values():
                process.kill()
                process.wait()
            self.post_office.stop()
        self._hold_against_each_other()
        return self.told

    # --- under fire -----------------------------------------------------------------------------------------------

    def _client(self, number: int, batches: int) -> list[str]:
        journal = str(self.folder / f"journal-{number}.jsonl")
        return [
            sys.executable,
            "-m",
            "tests.chaos.client",
            str(self.config),
            journal,
            str(number * APART),
            str(batches),
        ]

    def _start(self, role: str) -> None:
        with (self.folder / f"{role.replace(' ', '-')}.log").open("ab") as log:
            self.running[role] = subprocess.Popen(
                self.roles[role], env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )

    def _kill(self, role: str) -> None:
        self.running[role].send_signal(signal.SIGKILL)
        self.running[role].wait()
        kind = role.partition(" ")[0]
        self.told.killed[kind] = self.told.killed.get(kind, 0) + 1
        self._start(role)

    def _come_to_rest(self) -> None:
        """Clients finish the batch that they were in; daemons everything that is due."""
        for role in [each for each in self.roles if each.startswith("client")]:
            self.running[role].kill()
            self.running.pop(role).wait()
            number = int(role.partition(" ")[2])
            begun = max(self._journal(number), default=number * APART) - number * APART + 2
            subprocess.run(self._client(number, begun), env=self.environment, cwd=self.folder, check=True, timeout=120)
        for role in self.roles:  # one that found another in its place has ended by itself
            if role.startswith("daemon") and self.running[role].poll() is not None:
                self._start(role)
        installation = self._installation()
        deadline = time.monotonic() + CALM_WITHIN
        try:
            while self._work_left(installation) and time.monotonic() < deadline:
                time.sleep(0.2)  # why: other processes work, and nothing tells when they are done
        finally:
            installation.close()
        for role in [each for each in self.roles if each.startswith("daemon")]:
            self.running[role].terminate()
            code = self.running[role].wait(timeout=20)
            if code != 0:
                self.told.findings.append(f"{role} ended with {code} on SIGTERM")

    def _work_left(self, installation: Installation) -> int:
        with installation.database.read() as connection:
            unsent = connection.scalar(
                select(func.count()).select_from(messages).where(messages.c.state.in_(["waiting", "sending"]))
            )
            due = connection.scalar(select(func.count()).select_from(timers))
        return (unsent or 0) + (due or 0)

    # --- afterwards -----------------------------------------------------------------------------------------------

    def _hold_against_each_other(self) -> None:
        told = self.told
        saved = {ident for number in range(2) for ids in self._journal(number).values() for ident in ids}
        told.acknowledged = len(saved)
        installation = self._installation()
        try:
            with installation.database.read() as connection:
                verdicts = {
                    row.event_id: row.verdict for row in connection.execute(select(inbox.c.event_id, inbox.c.verdict))
                }
                causes = Counter(
                    row.event_id
                    for row in connection.execute(select(history.c.event_id).where(history.c.event_id.is_not(None)))
                )
                facts = connection.execute(select(cases.c.facts).where(cases.c.tenant == TENANT)).scalars().all()
                fired = connection.execute(
                    select(history.c.effective_at, history.c.recorded_at).where(history.c.event == "boil")
                ).all()
                told.transitions = connection.scalar(select(func.count()).select_from(history)) or 0
                posted = connection.execute(select(messages.c.message_id, messages.c.state, messages.c.copies)).all()
            now = HostClock().now()
            report = verify.verify(
                installation.database, installation.workflows, installation.trade, now=now, idle_at=now
            )
        finally:
            installation.close()
        told.findings += [f"{found.invariant} {found.record}: {found.problem}" for found in report.findings]
        applied = {ident for ident, verdict in verdicts.items() if verdict == "applied"}
        told.lost = len(saved - applied)
        told.doubled = sum(times > 1 for times in causes.values())
        told.stirred = sum(json.loads(text).get("stirred", 0) for text in facts)
        stirrings = sum(not ident.endswith("-00") for ident in applied)
        told.lost += max(0, stirrings - told.stirred)
        told.doubled += max(0, told.stirred - stirrings)
        told.early = sum(recorded < due for due, recorded in fired)
        self._count_copies(posted)

    def _count_copies(self, posted: Sequence[tuple[str, str, int]]) -> None:
        told = self.told
        taken: dict[str, list[bytes]] = {}
        for each in self.post_office.taken:
            ident = next(
                line.partition(b":")[2].strip().decode()
                for line in each.content.splitlines()
                if line.lower().startswith(b"message-id:")
            )
            taken.setdefault(ident, []).append(each.content)
        told.mails, told.copies = len(posted), sum(map(len, taken.values()))
        told.mails_lost = sum(state not in ("sent", "uncertain") or ident not in taken for ident, state, _ in posted)
        told.mails_changed = sum(len(set(copies)) > 1 for copies in taken.values())
        told.copies_beyond = sum(len(copies) > 3 for copies in taken.values())

    def _journal(self, number: int) -> dict[int, list[str]]:
        file = self.folder / f"journal-{number}.jsonl"
        found = {}
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            try:
                entry = json.loads(line)
            except ValueError:  # cut short by a kill; the client was not told more than what it could write down
                continue
            found[entry["batch"]] = entry["saved"]
        return found

    def _installation(self) -> Installation:
        return open_installation(load_settings(self.config))


def _serve(number: int) -> list[str]:
    return [sys.executable, "-m", "vipflow", "serve", "--port", "0"]


def _settings(folder: Path, url: str, port: int) -> Path:
    file = folder / "config.toml"
    file.write_text(
        f"""
[database]
url = {json.dumps(url)}
[folders]
workflows = "{KETTLE / "workflows"}"
email_templates = "{KETTLE / "email_templates"}"
[mail]
transport = "smtp"
[smtp]
host = "127.0.0.1"
port = {port}
security = "none"
timeout = 5
""",
        encoding="utf-8",
    )
    return file


def kill_at_random(url: str, folder: Path, kills: int, seed: int) -> Told:
    """One run: on PostgreSQL with two daemons, on SQLite with its one."""
    return Run(url, folder, kills, seed, 2 if url.startswith("postgresql") else 1).go()


@contextmanager
def own_postgres() -> Iterator[str]:
    """A server of its own with an empty database, for a run by hand."""
    run = postgres.begin_run()
    try:
        server = postgres.server_of(run.folder)
        yield server.url_for(server.create_database())
    finally:
        postgres.end_run(run)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.chaos.kill", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--kills", type=int, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    given = parser.parse_args(arguments)
    sound = True
    for name in ["sqlite", "postgresql"] if given.database == "both" else [given.database]:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vipflow-chaos-")))
            url = f"sqlite:///{folder / 'vipflow.db'}" if name == "sqlite" else stack.enter_context(own_postgres())
            told = kill_at_random(url, folder, given.kills, given.seed)
            print(
                json.dumps({**asdict(told), "findings": told.findings[:20], "sound": told.sound}, indent=2), flush=True
            )
            sound = sound and told.sound
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
