"""How punctual a timer is that falls due alone, and never early: a running daemon, alarms set one after the other.

    python -m benchmarks.punctual [--database sqlite|postgresql|both] [--alarms 200]

Each alarm is set by another process (as the command line would), for an instant between 0.2 and 0.7 s ahead, so the
daemon has to learn of it and wake. Its lateness is from the instant due to the instant at which the daemon's
transaction read the clock; beside it, from the instant due until another process sees it committed.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from benchmarks.places import Place, add_where, places_of
from benchmarks.served import ALARM, installed, serving, settings_in
from vipflow.clock import HostClock
from vipflow.engine import read_envelope
from vipflow.operations.installation import Installation
from vipflow.store.tables import history

AIM_P50, AIM_P99 = 20.0, 200.0


@dataclass(frozen=True)
class Punctuality:
    """Milliseconds after due; `early` counts those before."""

    database: str
    alarms: int
    early: int
    p50: float
    p99: float
    worst: float
    seen_p50: float
    seen_p99: float


def measure(place: Place, alarms: int, folder: Path) -> Punctuality:
    """Sets `alarms` alarms one after the other beside a running daemon."""
    decided: list[float] = []
    seen: list[float] = []
    chance = random.Random(8)
    with place.empty() as url:
        config = settings_in(folder, url, workflows=ALARM)
        installation = installed(config)
        clock = HostClock()
        try:
            with serving(config):
                for number in range(alarms):
                    due = clock.now() + timedelta(seconds=chance.uniform(0.2, 0.7))
                    recorded, noticed = _ring(installation, clock, number, due)
                    decided.append((recorded - due).total_seconds() * 1000)
                    seen.append((noticed - due).total_seconds() * 1000)
        finally:
            installation.close()
    return Punctuality(
        place.dialect,
        alarms,
        sum(each < 0 for each in decided),
        _percentile(decided, 50),
        _percentile(decided, 99),
        max(decided),
        _percentile(seen, 50),
        _percentile(seen, 99),
    )


def _ring(installation: Installation, clock: HostClock, number: int, due: datetime) -> tuple[datetime, datetime]:
    """Sets one alarm, waits until it has rung; when that was decided, and when it was seen here."""
    event = {
        "specversion": "1.0",
        "type": "alarm.set",
        "source": "bench",
        "id": f"{number:06}",
        "subject": f"alarms/a{number:06}",
        "data": {"at": due.isoformat()},
    }
    answer = installation.engine.post(1, [read_envelope(json.dumps(event), installation.workflows)])[0]
    subject = getattr(answer, "subject", None)
    assert subject is not None, answer
    rang = select(history.c.recorded_at).where(
        history.c.tenant == 1, history.c.subject == subject, history.c.event == "ring"
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with installation.database.read() as connection:
            recorded = connection.execute(rang).scalar()
        if recorded is not None:
            return recorded, clock.now()
        time.sleep(0.002 if clock.now() > due - timedelta(milliseconds=20) else 0.02)
    raise SystemExit(f"alarm {number}, due at {due.isoformat()}, has not rung for 30 s")


def _percentile(values: Sequence[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.punctual", description=(__doc__ or "").partition("\n")[0])
    add_where(parser)
    parser.add_argument("--alarms", type=int, default=200, metavar="N")
    given = parser.parse_args(arguments)
    found = []
    for each in places_of(given):
        with each as place, tempfile.TemporaryDirectory(prefix="vipflow-benchmark-") as folder:
            found.append(measure(place, given.alarms, Path(folder)))
    if given.json:
        print(json.dumps({"aim": {"p50": AIM_P50, "p99": AIM_P99}, "results": [asdict(each) for each in found]}))
        return 0
    print(f"Python {platform.python_version()}, {given.alarms} alarms, each alone; milliseconds after due\n")
    print("database      early    p50    p99  worst   seen committed: p50    p99")
    for each_ in found:
        print(
            f"{each_.database:12}  {each_.early:5}  {each_.p50:5.1f}  {each_.p99:5.1f}  {each_.worst:5.1f}"
            f"                   {each_.seen_p50:5.1f}  {each_.seen_p99:5.1f}"
        )
    print(f"\naim: never early, p50 ≤ {AIM_P50:g}, p99 ≤ {AIM_P99:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
