"""What each kind of transition leaves in the tables, learnt from the engine: the limit must write the same.

A small world runs each kind once. The rows that this added, changed or took away become rows of temporary tables, which
the statements of `limit` join with a batch. What differs from case to case stands in them as a mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, Table, select

from benchmarks.world import BATCH, LATE, POSTED, drain, engine_at, events, populate, post
from vipflow.store.database import Database, open_database
from vipflow.store.schema import create_all
from vipflow.store.tables import cases, history, inbox, messages, names, subjects, timers
from vipflow.store.types import Word

NUMBER = "######"
"""Stands for the six digits of the customer's number."""
MOVED = "$moved"
"""Stands for the reference of the case that moves."""

Rows = dict[tuple[Any, ...], Mapping[str, Any]]
Traces = dict[str, list[dict[str, Any]]]
"""Rows by temporary table."""

temporary = MetaData()

_CASE = ["workflow", "state", "settled", "facts", "facts_version", "policy", "since", "opened_at", "version"]
_TIMER = ["name", "workflow", "event", "due_at"]
_STEP = [
    *["workflow", "event", "from_state", "to_state", "facts_before", "facts_after", "timers", "messages", "policy"],
    *["fingerprint", "effective_at", "actor_kind", "actor", "reason", "cause", "source", "note"],
]
_MESSAGE = [
    *["workflow", "template", "audience", "ladder", "person", "language", "context", "effective_at", "not_before"],
    "state",
]
_CHANGING = [
    *["tally", "membership_state", "pending_count", "late_count", "licence_count", "in_no_products", "in_pending"],
    *["in_late", "in_upcoming", "in_ready", "next_due", "next_event"],
]
"""Columns of `subjects` that a transition may change; the others come from the customer's own data."""


def _table(name: str, *columns: Column[Any], like: Table, of: Sequence[str]) -> Table:
    found = [Column(each, like.c[each].type) for each in of]
    return Table(name, temporary, Column("trace", Word), *columns, *found, prefixes=["TEMPORARY"])


def _whose() -> list[Column[Any]]:
    return [Column("whose", Word), Column("nth", Integer)]  # of the case that was opened, or moved; by which step


_table(
    "traces",
    Column("steps", Integer),
    Column("prefix", Word),  # of the case that is opened
    Column("moves", Word),  # the workflow of the case that moves
    Column("answers", Word),  # with which of the two the inbox answers
    Column("body_hash", Word),
    Column("state", Word),
    Column("settled", cases.c.settled.type),
    Column("facts", cases.c.facts.type),
    Column("since", cases.c.since.type),
    like=subjects,
    of=_CHANGING,
)
_table("left_cases", like=cases, of=_CASE)
_table("left_timers", *_whose(), like=timers, of=_TIMER)
_table("gone_timers", like=timers, of=["name"])
_table("left_steps", *_whose(), like=history, of=_STEP)
_table("left_messages", *_whose(), like=messages, of=_MESSAGE)
_table("left_names", *_whose(), Column("sort", Word), like=names, of=["collection", "value", "exclusive"])


def learn(folder: Path) -> Traces:
    """Runs each kind of transition once in a small world of its own."""
    database = open_database(f"sqlite:///{folder / 'traces.db'}")
    create_all(database)
    populate(database, 5)
    traces: Traces = {name: [] for name in temporary.tables}
    for number, line in enumerate(events(4)):
        before = _rows(database)
        post(engine_at(database, POSTED), [line], BATCH)
        _note(traces, before, _rows(database), f"{number:06}")
    before = _rows(database)
    drain(engine_at(database, LATE), BATCH)
    after = _rows(database)
    fifth = next(row["case_ref"] for row in after["names"].values() if row["value"] == "c000004")
    for name in ("subjects", "cases", "timers", "history", "messages"):
        for rows in (before[name], after[name]):
            for key in [k for k, row in rows.items() if row["ref" if name == "subjects" else "subject"] != fifth]:
                del rows[key]
    _note(traces, before, after, "000004")
    database.dispose()
    return traces


def lay_out(connection: Connection, traces: Traces) -> None:
    """Makes the temporary tables of a connection."""
    temporary.create_all(connection, checkfirst=False)
    for table in temporary.sorted_tables:
        if traces.get(table.name):
            connection.execute(table.insert(), traces[table.name])


def _rows(database: Database) -> dict[str, Rows]:
    with database.read() as connection:
        return {
            table.name: {
                tuple(row[column.name] for column in table.primary_key): row
                for row in map(dict, connection.execute(select(table)).mappings())
            }
            for table in (subjects, cases, timers, history, messages, names, inbox)
        }


def _note(traces: Traces, before: dict[str, Rows], after: dict[str, Rows], number: str) -> None:
    """Adds what one transition with all its follow-ups left, if its kind is not known yet."""
    steps = _added(before, after, "history")
    trace = f"{steps[0]['workflow']}.{steps[0]['event']}"
    if any(row["trace"] == trace for row in traces["traces"]):
        return
    opened = _added(before, after, "cases")
    moved = [row for key, row in after["cases"].items() if key in before["cases"] and row != before["cases"][key]]
    assert max(len(opened), len(moved)) <= 1, f"{trace}: the limit knows one case opened and one moved at most"
    ref_moved = moved[0]["ref"] if moved else None
    (subject,) = [row for key, row in after["subjects"].items() if row != before["subjects"][key]]
    received = _added(before, after, "inbox")
    first = min(row["sequence"] for row in steps) - 1

    def left(row: Mapping[str, Any], columns: Sequence[str], **more: Any) -> dict[str, Any]:
        found = {name: row[name] for name in columns}
        for name in ("cause", "value"):
            if name in found:
                found[name] = found[name].replace(number, NUMBER).replace(ref_moved or "-", MOVED)
        return {"trace": trace, **found, **more}

    def whose(row: Mapping[str, Any], sequence: int) -> dict[str, Any]:
        return {"whose": "moved" if row["case_ref"] == ref_moved else "opened", "nth": sequence - first}

    traces["traces"].append(
        left(
            subject,
            _CHANGING,
            steps=len(steps),
            prefix=opened[0]["ref"].partition("-")[0] if opened else None,
            moves=moved[0]["workflow"] if moved else None,
            answers=whose(received[0], 0)["whose"] if received else None,
            body_hash=received[0]["body_hash"] if received else None,
            **{name: moved[0][name] if moved else None for name in ("state", "settled", "facts", "since")},
        )
    )
    traces["left_cases"] += [left(row, _CASE) for row in opened]
    traces["left_timers"] += [
        left(row, _TIMER, **whose(row, row["armed_by"])) for row in _added(before, after, "timers")
    ]
    traces["gone_timers"] += [left(row, ["name"]) for row in _added(after, before, "timers")]
    traces["left_steps"] += [left(row, _STEP, **whose(row, row["sequence"])) for row in steps]
    traces["left_messages"] += [
        left(row, _MESSAGE, **whose(row, int(row["key"].split(":")[1]))) for row in _added(before, after, "messages")
    ]
    traces["left_names"] += [
        left(row, ["collection", "value", "exclusive"], sort=row["kind"], **whose(row, first))
        for row in _added(before, after, "names")
    ]


def _added(before: dict[str, Rows], after: dict[str, Rows], table: str) -> list[Mapping[str, Any]]:
    """The rows that are new, or other than they were."""
    new = [row for key, row in after[table].items() if before[table].get(key) != row]
    return new if table != "cases" else [row for row in new if (row["tenant"], row["ref"]) not in before[table]]
