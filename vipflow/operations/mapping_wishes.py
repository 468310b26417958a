"""What somebody says that states and timers become: on the command line, or in a mapping file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vipflow.errors import BadInput, did_you_mean, listed


@dataclass(frozen=True)
class Wishes:
    """What somebody said that states and timers become: `None` for a timer that is dropped. Keys are (workflow,
    state) and (workflow, timer), a timer by its name or by its event alone.
    """

    states: Mapping[tuple[str, str], str] = field(default_factory=dict)
    timers: Mapping[tuple[str, str], str | None] = field(default_factory=dict)


def wishes_of(
    states: Iterable[str] = (), timers: Iterable[str] = (), drop: Iterable[str] = (), file: Path | None = None
) -> Wishes:
    """What options and a file say; options count before the file. Raises BadInput."""
    found_states: dict[tuple[str, str], str] = {}
    found_timers: dict[tuple[str, str], str | None] = {}
    if file is not None:
        _read(file, found_states, found_timers)
    for given in states:
        workflow, name, becomes = _pair(given, "--state", "loan.late=overdue")
        found_states[workflow, name] = becomes
    for given in timers:
        workflow, name, becomes = _pair(given, "--timer", "loan.remind_7=remind")
        found_timers[workflow, name] = becomes
    for given in drop:
        workflow, dot, name = given.partition(".")
        if not dot or not name:
            raise BadInput("--drop-timer", f"{given!r} names no timer", "write --drop-timer loan.remind")
        found_timers[workflow, name] = None
    return Wishes(found_states, found_timers)


def _pair(given: str, option: str, example: str) -> tuple[str, str, str]:
    before, equals, becomes = given.partition("=")
    workflow, dot, name = before.partition(".")
    if not (equals and dot and workflow.strip() and name.strip() and becomes.strip()):
        raise BadInput(option, f"{given!r} is no mapping", f"write {option} {example}")
    return workflow.strip(), name.strip(), becomes.strip()


def _read(file: Path, states: dict[tuple[str, str], str], timers: dict[tuple[str, str], str | None]) -> None:
    """A mapping file: `[loan.states]` with `late = "overdue"`, `[loan.timers]` with `"remind_7" = "remind"`, or
    `= false` for one that is dropped.
    """
    what, remedy = str(file), 'write [loan.states] and below it late = "overdue"'
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise BadInput(what, f"it cannot be read: {wrong.strerror}", "name a mapping file") from wrong
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise BadInput(what, f"it is not TOML: {wrong}", remedy) from wrong
    problems = []
    for workflow, tables in content.items():
        for table, entries in tables.items() if isinstance(tables, dict) else ():
            if table not in ("states", "timers") or not isinstance(entries, dict):
                near = did_you_mean(table, ["states", "timers"])
                problems.append(f"[{workflow}.{table}] is not known here{near}; there are states and timers")
                continue
            for name, becomes in entries.items():
                if table == "states" and isinstance(becomes, str):
                    states[workflow, name] = becomes
                elif table == "timers" and (isinstance(becomes, str) or becomes is False):
                    timers[workflow, name] = becomes or None
                else:
                    problems.append(f"{workflow}.{table}.{name} = {becomes!r}: write the new name in quotes")
        if not isinstance(tables, dict):
            problems.append(f"{workflow!r} is no table")
    if problems:
        raise BadInput(what, listed(problems), remedy)
