"""The daemon: whether one runs, which, and whether what is due happens."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import msgspec

from vipflow.operations.doctor.findings import Finding, at, counted, error, lasting, not_checked, note, ok, warning
from vipflow.operations.doctor.patient import Patient
from vipflow.store.catchup import grace_until
from vipflow.store.database_settings import sole_daemon
from vipflow.store.health import MOST, DaemonRow, Waiting, mails_overdue, timers_overdue

_SERVE = "vipflow serve"
_SECONDS = 2.0  # to wait for an answer on this machine


def running(patient: Patient) -> Iterator[Finding]:
    """Which daemons live, which went without a word, and whether they are of this release."""
    alive = patient.alive
    sole = sole_daemon(patient.file) if patient.file is not None else None
    if sole is not None and not alive:
        who = f"process {sole}" if sole else "a process"
        says = f"A daemon ({who}) has the database to itself and gives no sign of life: no other can start."
        remedy = "It stands still, or it is only just starting. See, and end it if it stays so: nothing is lost."
        look = f"ps -o pid,stat,etime,args -p {sole}" if sole else f"fuser -v {patient.file}.daemon"
        run = [look, *([f"kill -9 {sole}"] if sole else [])]
        yield error("frozen", says, remedy, *run)
    for row in patient.daemons:
        if row.stopped_at is None and row not in alive:
            says = f"The daemon {_where(row)} was last heard of at {at(row.beat_at)}, and never said that it stops."
            yield warning("silent", says, *_see_to(row))
    ours = version("vipflow")
    for row in alive:
        if row.version != ours:
            says = f"The daemon {_where(row)} runs vipflow {row.version}, and this is {ours}."
            yield warning("version", says, "Start it anew, so that both are the same.", "systemctl restart vipflow")
        paused = _details(row).get("transport_paused")
        if paused:
            says = f"The daemon {_where(row)} sends no mail at present: {paused}."
            yield error("transport", says, "Put that right: it tries again by itself.", "vipflow doctor --mail")
    if alive:
        longest = min(row.started_at for row in alive)
        yield ok("running", f"{counted(len(alive), 'daemon')} running, since {at(longest)}.")
    elif sole is not None:
        return
    elif patient.stands_still:
        yield ok("running", "No daemon runs; while the clock stands there is nothing for it to do.")
    else:
        yield warning("running", "No daemon runs: nothing happens by itself here.", "Start one.", _SERVE)


def _where(row: DaemonRow) -> str:
    return f"{row.id} (process {row.pid} on {row.host})"


def _see_to(row: DaemonRow) -> tuple[str, ...]:
    if row.host != socket.gethostname():
        return "Look at that machine. Where it is gone for good, nothing is left to do: others take over.", _SERVE
    try:
        os.kill(row.pid, 0)
    except ProcessLookupError:
        return "Its process is gone: read its last log lines, and start it again.", _SERVE
    except OSError:
        pass
    run = f"ps -o pid,stat,etime,args -p {row.pid}"
    return "A process of that number is there: if it is the daemon, it stands still; end it, and start it again.", run


def punctual(patient: Patient) -> Iterator[Finding]:
    """Whether timers and mails that are due move. What is held is left out."""
    now, limits = patient.now, patient.limits
    overdue, mail_overdue = patient.here(limits.overdue), patient.here(limits.mail_overdue)
    with patient.rows() as connection:
        timers = timers_overdue(connection, now - overdue)
        mails = mails_overdue(connection, now - (mail_overdue if patient.alive else overdue))
        grace = grace_until(connection, now)
    if not timers.number and not mails.number:
        yield ok("punctual", "Nothing is overdue.")
        return
    told = " and ".join(_told(*each) for each in (("timer", timers), ("mail", mails)) if each[1].number)
    oldest = min(each.oldest for each in (timers, mails) if each.oldest is not None)
    says = f"{told} should have gone by now, the first since {at(oldest)} ({lasting(now - oldest)})"
    alive = patient.alive
    if grace is not None and alive:
        says += f"; they wait until {at(grace)} for events to arrive first, as after every silence."
        yield note("punctual", says, "Wait, or let them go at once.", "vipflow catchup skip-grace")
    elif not alive:
        remedy = "Start one: it catches up, with the right dates."
        yield error("punctual", f"{says}, and no daemon runs.", remedy, _SERVE)
    elif now - min(row.started_at for row in alive) < patient.here(limits.begun):
        remedy = "Give it a moment, then look again."
        yield note("punctual", f"{says}; a daemon has only just started.", remedy, "vipflow doctor --only daemon")
    else:
        remedy = "See what it reports, and whether mail waits for approval; start it anew if it says nothing."
        run = ("vipflow catchup show", "journalctl -u vipflow -n 50")
        yield error("punctual", f"{says}, though a daemon runs.", remedy, *run)


def _told(what: str, waiting: Waiting) -> str:
    return counted(waiting.number, what, most=MOST)


def answers(patient: Patient) -> Iterator[Finding]:
    """Whether each daemon on this machine answers where it says that it listens."""
    for row in patient.alive:
        url = _details(row).get("url")
        if row.host != socket.gethostname() or not isinstance(url, str) or not url.startswith("http://"):
            continue
        if patient.offline:
            yield not_checked("healthz", f"{url} was not asked, as you wish (--offline)", "Leave --offline out.")
        else:
            yield _asked(f"{url}/healthz")


def _asked(url: str) -> Finding:
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - begins with http://
            return ok("healthz", f"{url} answers {answer.status}.")
    except urllib.error.HTTPError as told:
        with told:
            says = f"{url} answers {told.code}: something in the daemon has been running for too long."
        return error("healthz", says, "See which in what it answers; start it anew if it stays so.", f"curl {url}")
    except (urllib.error.URLError, OSError) as fault:
        says = f"{url} does not answer ({getattr(fault, 'reason', fault)}), though the daemon gives signs of life."
        return warning("healthz", says, "See what its log says.", "journalctl -u vipflow -n 50")


def _details(row: DaemonRow) -> dict[str, Any]:
    told = msgspec.json.decode(row.details)
    return told if isinstance(told, dict) else {}
