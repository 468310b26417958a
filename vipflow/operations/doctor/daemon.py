"""The daemon: whether one runs, which, and whether what is due happens."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version

from vipflow.operations.doctor.findings import Finding, at, counted, error, lasting, not_checked, note, ok, warning
from vipflow.operations.doctor.patient import Patient
from vipflow.store.health import MOST, DaemonRow, Waiting, mails_overdue, timers_overdue

_SERVE = "vipflow serve"
_SECONDS = 2.0  # to wait for an answer on this machine


def running(patient: Patient) -> Iterator[Finding]:
    """Which daemons live, which went without a word, and whether they are of this release."""
    alive = patient.alive
    for row in patient.daemons:
        if row.stopped_at is None and row not in alive:
            says = f"The daemon {_where(row)} was last heard of at {at(row.beat_at)}, and never said that it stops."
            yield warning("silent", says, *_see_to(row))
    ours = version("vipflow")
    for row in alive:
        if row.version != ours:
            says = f"The daemon {_where(row)} runs vipflow {row.version}, and this is {ours}."
            yield warning("version", says, "Start it anew, so that both are the same.", "systemctl restart vipflow")
    if alive:
        longest = min(row.started_at for row in alive)
        yield ok("running", f"{counted(len(alive), 'daemon')} running, since {at(longest)}.")
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
    if not timers.count and not mails.count:
        yield ok("punctual", "Nothing is overdue.")
        return
    told = " and ".join(_told(*each) for each in (("timer", timers), ("mail", mails)) if each[1].count)
    oldest = min(each.oldest for each in (timers, mails) if each.oldest is not None)
    says = f"{told} should have gone by now, the first since {at(oldest)} ({lasting(now - oldest)})"
    alive = patient.alive
    if not alive:
        yield error(
            "punctual", f"{says}, and no daemon runs.", "Start one: it catches up, with the right dates.", _SERVE
        )
        return
    grace = timedelta(minutes=patient.settings.daemon.grace_minutes) + limits.overdue
    if now - min(row.started_at for row in alive) < patient.here(grace):
        remedy = (
            "Wait: after a silence timers rest so that events arrive first. Then look again, or see what is caught up."
        )
        yield note("punctual", f"{says}; a daemon started a moment ago.", remedy, "vipflow catchup show")
        return
    remedy = "See what it reports, and whether it is held or waits for approval; start it anew if it says nothing."
    yield error(
        "punctual", f"{says}, though a daemon runs.", remedy, "vipflow catchup show", "journalctl -u vipflow -n 50"
    )


def _told(what: str, waiting: Waiting) -> str:
    return counted(waiting.count, what, most=MOST)


def answers(patient: Patient) -> Iterator[Finding]:
    """Whether a daemon on this machine answers where it is told to listen."""
    host, port = patient.settings.daemon.host, patient.settings.daemon.port
    if not port or not any(row.host == socket.gethostname() for row in patient.alive):
        return
    if patient.offline:
        yield not_checked("healthz", "without a line to anybody, as asked (--offline)", "Leave --offline out.")
        return
    target = "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host == "::" else host  # noqa: S104 - compared only
    url = f"http://{target}:{port}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            code = answer.status
    except urllib.error.HTTPError as told:
        with told:
            says = f"{url} answers {told.code}: something in the daemon has been running for too long."
        yield error("healthz", says, "See which in what it answers; start it anew if it stays so.", f"curl {url}")
    except (urllib.error.URLError, OSError) as fault:
        says = f"{url} does not answer ({getattr(fault, 'reason', fault)}), though a daemon runs on this machine."
        remedy = "See its log: another program may have the port, or it listens where it was told at its start."
        yield warning("healthz", says, remedy, "journalctl -u vipflow -n 50")
    else:
        yield ok("healthz", f"{url} answers {code}.")
