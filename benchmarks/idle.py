"""What a daemon costs that has nothing to do, with many timers pending: processor time, its own and its database's.

    python -m benchmarks.idle [--database sqlite|postgresql|both] [--timers 1000000] [--seconds 60]

The timers are rows of a year ahead, written by hand in the shape that the engine gives them. Beside it in the same run
stands the same daemon with no timer at all: the difference is what the pending ones cost.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import text

from benchmarks.places import Place, add_where, places_of
from benchmarks.served import ALARM, installed, serving, settings_in
from vipflow.store.database import Database

AIM = {"sqlite": 0.5, "postgresql": 1.0}
"""Percent of one core."""

_SERIES = {
    "sqlite": "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :count)",
    "postgresql": "WITH series(n) AS (SELECT generate_series(1, :count))",
}
_DUE = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%S.000000Z', '2030-01-01', '+' || (n % 5000000) || ' seconds')",
    "postgresql": "timestamptz '2030-01-01 00:00:00Z' + (n % 5000000) * interval '1 second'",
}
_TIMERS = """
    INSERT INTO timers (tenant, case_ref, name, subject, workflow, event, due_at, wake_at, errors, armed_by)
    {series}
    SELECT 1, 'A-' || n, 'ring at', 'A-' || n, 'alarm', 'ring', {due}, {due}, 0, 1 FROM series
"""


@dataclass(frozen=True)
class Idle:
    """Percent of one core, of the daemon with its database server's processes."""

    database: str
    timers: int
    seconds: float
    empty: float
    full: float


def measure(place: Place, timers: int, seconds: float, folder: Path) -> Idle:
    """Lets the daemon stand still, without timers and with them."""
    shares = []
    for count in (0, timers):
        with place.empty() as url:
            config = settings_in(folder, url, workflows=ALARM)
            installation = installed(config)
            if count:
                fill(installation.database, count)
            installation.close()
            with serving(config) as daemon:
                time.sleep(5)  # what it does at its start is not idling
                servers = place.processes()
                begun, used = time.monotonic(), daemon.processor_seconds(*servers)
                time.sleep(seconds)
                spent = daemon.processor_seconds(*place.processes()) - used
                shares.append(100 * spent / (time.monotonic() - begun))
    return Idle(place.dialect, timers, seconds, *shares)


def fill(database: Database, timers: int) -> None:
    """That many timers, all due years ahead."""
    statement = _TIMERS.format(series=_SERIES[database.dialect], due=_DUE[database.dialect])
    with database.write() as connection:
        connection.execute(text(statement), {"count": timers})
        connection.execute(text("ANALYZE"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.idle", description=(__doc__ or "").partition("\n")[0])
    add_where(parser)
    parser.add_argument("--timers", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--seconds", type=float, default=60, metavar="S")
    given = parser.parse_args(arguments)
    found = []
    for each in places_of(given):
        with each as place, tempfile.TemporaryDirectory(prefix="vipflow-benchmark-") as folder:
            found.append(measure(place, given.timers, given.seconds, Path(folder)))
    if given.json:
        print(json.dumps({"aim": AIM, "results": [asdict(each) for each in found]}))
        return 0
    print(f"Python {platform.python_version()}, percent of one core over {given.seconds:g} s, database included\n")
    print(f"database      no timers  {given.timers:,} timers   aim")
    for one in found:
        full = f"{one.full:.2f}".rjust(len(f"{given.timers:,} timers"))
        print(f"{one.database:12}  {one.empty:9.2f}  {full}   < {AIM[one.database]:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
