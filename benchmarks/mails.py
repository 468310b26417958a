"""Mails from the outbox to a mail server, beside the same pool of sessions sending bytes that are ready.

    python -m benchmarks.mails [--database sqlite|postgresql|both] [--mails 2000] [--runs 3] [--sink /path/to/smtp-sink]

Ours is the whole way: claim, ask whether it is still true, render text and HTML in child processes, build and keep the
bytes, send, mark. The limit sends the bytes of those very mails again, over a transport of the same settings, to the
same server: a process of its own, Postfix's smtp-sink where there is one, else a small one of ours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import select

from benchmarks.places import Place, add_where, places_of
from benchmarks.world import INVITED, engine_at, invitations, populate_tenant, post
from vipflow.config import SmtpSettings, shipped
from vipflow.delivery.outbox import Delivery
from vipflow.delivery.render import Templates
from vipflow.delivery.smtp import SmtpTransport
from vipflow.delivery.transport import Parcel
from vipflow.delivery.workshop import Workshop
from vipflow.store.database import Database
from vipflow.store.tables import messages

AIM = 0.4
NOW = INVITED + timedelta(minutes=5)
_OURS = Path(__file__).with_name("sink.py")


@dataclass(frozen=True)
class Measured:
    """Mails a second, ours and the limit's, in each run."""

    database: str
    ours: list[float]
    limit: list[float]
    bytes_a_mail: int

    @property
    def ratio(self) -> float:
        return median(mine / best for mine, best in zip(self.ours, self.limit, strict=True))


def measure(place: Place, mails: int, runs: int, sink: str | None) -> Measured:
    """Sends `mails` invitations in each run, then the same bytes once more."""

    def filled(database: Database) -> None:
        populate_tenant(database)
        post(engine_at(database, INVITED), invitations(mails), 1000)

    place.original(filled)
    ours, limit, size = [], [], 0
    with sinking(sink) as port:
        settings = SmtpSettings(host="127.0.0.1", port=port, security="none", connections=4)
        for _ in range(runs):
            with place.copy() as database:
                ours.append(asyncio.run(_deliver(database, settings, mails)))
                parcels = _sent(database)
            size = sum(len(each.content) for each in parcels) // len(parcels)
            limit.append(asyncio.run(_send(settings, parcels)))
    return Measured(place.dialect, ours, limit, size)


async def _deliver(database: Database, settings: SmtpSettings, mails: int) -> float:
    templates = Templates([shipped("email_templates")])
    transport = SmtpTransport(settings)
    with Workshop(templates) as workshop:
        delivery = Delivery(engine_at(database, NOW), templates, transport, "benchmark.example", workshop=workshop)
        await asyncio.to_thread(workshop.render_all, [])
        await delivery.deliver(most=50)  # the children start, templates are compiled, sessions are opened
        begun, sent = time.perf_counter(), 0
        async with delivery.looking_ahead():  # as a tick does
            while (report := await delivery.deliver()).claimed:
                assert report.sent == report.claimed, report
                sent += report.sent
        took = time.perf_counter() - begun
    await transport.close()
    assert 50 < sent <= mails, sent
    return sent / took


def _sent(database: Database) -> list[Parcel]:
    """The parcels that were sent, as they were."""
    with database.read() as connection:
        rows = connection.execute(select(messages.c.key, messages.c.message_id, messages.c.body)).all()
    return [
        Parcel("nord", row.key, row.message_id, "vip@nord.example", ("jeanne@elan.example",), row.body, NOW)
        for row in rows
        if row.body is not None
    ]


async def _send(settings: SmtpSettings, parcels: Sequence[Parcel]) -> float:
    transport = SmtpTransport(settings)
    await transport.send([replace(each) for each in parcels[:50]], NOW)
    rest = parcels[50:]
    begun = time.perf_counter()
    for start in range(0, len(rest), 200):
        outcomes = await transport.send(rest[start : start + 200], NOW)
        assert all(each.kind == "sent" for each in outcomes), outcomes
    took = time.perf_counter() - begun
    await transport.close()
    return len(rest) / took


@contextmanager
def sinking(given: str | None) -> Iterator[int]:
    """A mail server that takes everything over and forgets it; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    program = given or shutil.which("smtp-sink") or shutil.which("/usr/sbin/smtp-sink")
    if program:
        as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = [program, *as_user, f"127.0.0.1:{port}", "100"]
    else:
        command = [sys.executable, str(_OURS), str(port)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit(f"{command[0]} does not listen on port {port}") from None
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.mails", description=(__doc__ or "").partition("\n")[0])
    add_where(parser)
    parser.add_argument("--mails", type=int, default=2000, metavar="N")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--sink", metavar="PROGRAM", help="Postfix's smtp-sink, where it is not on the PATH")
    given = parser.parse_args(arguments)
    found = []
    for each in places_of(given):
        with each as place:
            found.append(measure(place, given.mails, given.runs, given.sink))
    if given.json:
        results = [asdict(each) | {"ratio": round(each.ratio, 3)} for each in found]
        print(json.dumps({"aim": AIM, "results": results}))
        return 0
    print(f"Python {platform.python_version()}, {given.mails:,} mails, {given.runs} runs\n")
    print("database      ours /s  ready bytes /s  ratio  each run")
    for one in found:
        runs = " ".join(f"{mine / best:.2f}" for mine, best in zip(one.ours, one.limit, strict=True))
        print(f"{one.database:12}  {median(one.ours):7,.0f}  {median(one.limit):14,.0f}  {one.ratio:5.2f}  {runs}")
    print(f"\n{found[0].bytes_a_mail:,} bytes a mail; aim: ≥ {AIM:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
