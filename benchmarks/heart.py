"""How fast the heart beats: due timers drained and events posted, beside the limit, in the same run.

    python -m benchmarks.heart [--database sqlite|postgresql|both] [--cases N] [--runs 3]

Machines are noisy. So each run measures ours and the limit one after the other, on fresh copies of the same database,
and only the ratio of the two counts; what is printed are medians of the runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import func, select, text

from benchmarks.limit import Limit
from benchmarks.places import Place, add_where, places_of
from benchmarks.served import processor_seconds
from benchmarks.traces import Traces, learn
from benchmarks.world import BATCH, LATE, POSTED, drain, engine_at, events, populate, post
from vipflow.store.database import Database
from vipflow.store.tables import metadata

AIM = 0.3
"""Of the limit; 0.5 is the far goal."""


@dataclass(frozen=True)
class Measured:
    """One kind of work on one database: per second, ours and the limit's, in each run. `rows`: written by each.

    `processor`: the same per second of the processor, our process's with its database's. It waits for no disk and for
    nobody else on the machine: stricter, and steadier.
    """

    database: str
    work: str
    ours: list[float]
    limit: list[float]
    processor: dict[str, list[float]]
    rows: dict[str, int]

    @property
    def ratio(self) -> float:
        """Of the rates within one run, the median of all runs."""
        return _ratio(self.ours, self.limit)

    @property
    def processor_ratio(self) -> float:
        """The same of the processor's time."""
        return _ratio(self.processor["ours"], self.processor["limit"])


def _ratio(ours: list[float], limit: list[float]) -> float:
    return median(mine / best for mine, best in zip(ours, limit, strict=True))


Side = Callable[[Database], Callable[[], int]]
"""Makes ready what will be measured; called again, that does the work and gives how many it did."""


def measure(place: Place, traces: Traces, cases: int, runs: int, batch: int) -> Iterator[Measured]:
    """Drains, then posts, `cases` of each."""
    place.original(lambda database: populate(database, cases))
    lines = events(cases)
    with place.copy() as database:
        untouched = _counts(database)
    for work, ours, limit in (
        ("drain due timers", _drained(batch), _drained_by_sql(traces, batch)),
        ("post a file of events", _posted(lines, batch), _posted_by_sql(lines, traces, batch)),
    ):
        rates: dict[str, list[float]] = {"ours": [], "limit": []}
        processor: dict[str, list[float]] = {"ours": [], "limit": []}
        left: dict[str, dict[str, Any]] = {}
        for run in range(runs):
            sides = [("ours", ours), ("limit", limit)]
            for name, side in sides if run % 2 == 0 else reversed(sides):
                with place.copy() as database:
                    rate, of_the_processor = _rates(side(database), cases, place)
                    rates[name].append(rate)
                    processor[name].append(of_the_processor)
                    left[name] = _told(database)
            _compare(work, left["ours"], left["limit"])
        rows = {table: count - untouched[table] for table, count in left["ours"]["rows"].items()}
        written = {table: count for table, count in rows.items() if count}
        yield Measured(place.dialect, work, rates["ours"], rates["limit"], processor, written)


def _rates(work: Callable[[], int], cases: int, place: Place) -> tuple[float, float]:
    """How many a second, and how many a second of the processor."""
    begun, used = time.perf_counter(), time.process_time() + processor_seconds(*place.processes())
    done = work()
    took = time.perf_counter() - begun
    worked = time.process_time() + processor_seconds(*place.processes()) - used
    assert done == cases, f"{done} of {cases} were done"
    return cases / took, cases / worked


def _drained(batch: int) -> Side:
    return lambda database: partial(drain, engine_at(database, LATE), batch)


def _drained_by_sql(traces: Traces, batch: int) -> Side:
    return lambda database: partial(Limit(database, traces).drain, LATE, batch)


def _posted(lines: list[str], batch: int) -> Side:
    return lambda database: partial(post, engine_at(database, POSTED), lines, batch)


def _posted_by_sql(lines: list[str], traces: Traces, batch: int) -> Side:
    return lambda database: partial(Limit(database, traces).post, lines, POSTED, batch)


# --- whether both did the same ------------------------------------------------------------------------------------

_TABLES = ("subjects", "cases", "timers", "history", "messages", "names", "inbox", "incidents")

_QUESTIONS = {
    "cases by state": "SELECT workflow, state, settled, count(*), sum(version) FROM cases"
    " GROUP BY 1, 2, 3 ORDER BY 1, 2",
    "timers by name": "SELECT name, due_at, wake_at, count(*) FROM timers GROUP BY 1, 2, 3 ORDER BY 1, 2",
    "history by event": "SELECT workflow, event, from_state, to_state, count(*), sum(sequence)"
    " FROM history GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
    "messages by template": "SELECT template, audience, not_before, count(*) FROM messages"
    " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    "names by kind": "SELECT collection, kind, count(*), count(DISTINCT value) FROM names GROUP BY 1, 2 ORDER BY 1, 2",
    "inbox by type": "SELECT type, verdict, count(*), sum(sequence) FROM inbox GROUP BY 1, 2 ORDER BY 1, 2",
    "summaries": "SELECT tally, membership_state, pending_count, late_count, licence_count, next_due, next_event,"
    " count(*), sum(sequence) FROM subjects GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 3, 4, 5, 7",
}
_SIZES = {
    "history": "SELECT sum(length(facts_before) + length(facts_after) + length(timers) + length(messages)"
    " + length(cause) + length(coalesce(note, ''))) FROM history",
    "messages": "SELECT sum(length(key) + length(person) + length(context)) FROM messages",
    "cases": "SELECT sum(length(ref) + length(facts)) FROM cases",
}


def _counts(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {
            name: connection.scalar(select(func.count()).select_from(metadata.tables[name])) or 0 for name in _TABLES
        }


def _told(database: Database) -> dict[str, Any]:
    with database.read() as connection:
        told: dict[str, Any] = {
            name: [tuple(row) for row in connection.execute(text(question))] for name, question in _QUESTIONS.items()
        }
        told |= {f"size of {name}": connection.execute(text(size)).scalar_one() for name, size in _SIZES.items()}
    return {"rows": _counts(database), **told}


def _compare(work: str, ours: dict[str, Any], limit: dict[str, Any]) -> None:
    for name, mine in ours.items():
        theirs = limit[name]
        same = abs(mine - theirs) < 0.01 * mine if name.startswith("size") else mine == theirs
        assert same, f"{work}: ours and the limit differ in {name}\n{mine}\n{theirs}"


# --- what is shown ------------------------------------------------------------------------------------------------


def report(measured: Sequence[Measured], machine: dict[str, Any]) -> str:
    """The table, for people."""
    lines = [", ".join(f"{name} {value}" for name, value in machine.items()), ""]
    head = ("database", "work", "ours /s", "the limit /s", "ratio", "processor", "each run")
    rows = [
        (
            each.database,
            each.work,
            f"{median(each.ours):,.0f}",
            f"{median(each.limit):,.0f}",
            f"{each.ratio:.2f}",
            f"{each.processor_ratio:.2f}",
            " ".join(f"{mine / best:.2f}" for mine, best in zip(each.ours, each.limit, strict=True)),
        )
        for each in measured
    ]
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    for row in [head, *rows]:
        cells = [cell.rjust(widths[at]) if 1 < at < 6 else cell.ljust(widths[at]) for at, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    lines += ["", "rows written by each side (net):"]
    for each in measured:
        lines.append(f"  {each.database}, {each.work}: " + ", ".join(f"{t} {n:+,}" for t, n in each.rows.items()))
    lines += ["", f'aim: {AIM} of the limit; "processor": the ratio of its time, the database\'s with ours']
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.heart", description=(__doc__ or "").partition("\n")[0])
    add_where(parser)
    parser.add_argument("--cases", type=int, default=10_000, metavar="N", help="customers, timers and events (10,000)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="how often each is measured (3)")
    parser.add_argument("--batch", type=int, default=BATCH, metavar="N", help=f"in one transaction ({BATCH:,})")
    given = parser.parse_args(arguments)

    machine: dict[str, Any] = {
        "cores": os.cpu_count(),
        "Python": platform.python_version(),
        "cases": given.cases,
        "runs": given.runs,
        "batch": given.batch,
    }
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="vipflow-benchmark-") as folder:
        traces = learn(Path(folder))
    for each in places_of(given):
        with each as place:
            machine[place.dialect] = place.version
            measured += measure(place, traces, given.cases, given.runs, given.batch)
    if given.json:
        results = [
            asdict(each) | {"ratio": round(each.ratio, 3), "processor_ratio": round(each.processor_ratio, 3)}
            for each in measured
        ]
        print(json.dumps({"machine": machine, "aim": AIM, "results": results}, indent=2))
    else:
        print(report(measured, machine))
    return 0


if __name__ == "__main__":
    sys.exit(main())
