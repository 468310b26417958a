"""Profiles of `[imports.NAME]` in config.toml: how the tables of one source are read, where that is not recognised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from vipflow.config import Settings
from vipflow.errors import BadInput, did_you_mean
from vipflow.operations.csvfiles import Layout, folded_heading
from vipflow.operations.membercolumns import AUTHORIZATIONS, CUSTOMERS
from vipflow.operations.membervalues import Habits, problem_with
from vipflow.profiles import ImportProfile

DEFAULT: Final = "default"
"""The profile that counts where none is named."""


class Profile(NamedTuple):
    """How both tables are laid out, and how their cells are written."""

    name: str | None
    customers: Layout
    authorizations: Layout
    habits: Habits


def profile_of(settings: Settings, name: str | None, country: str | None) -> Profile:
    """The profile of this name; without a name the one called `default`, or none. `country`: over its constants.

    Raises BadInput for a name that the settings do not have, and for a profile that cannot be.
    """
    known = settings.imports
    if name is not None and name not in known:
        there = f"there are {', '.join(known)}" if known else "config.toml has none: write [imports.NAME]"
        raise BadInput("--profile", f"there is no profile {name!r}{did_you_mean(name, known)}", there)
    chosen = name if name is not None else DEFAULT if DEFAULT in known else None
    given = known[chosen] if chosen is not None else ImportProfile()
    problems = list(_problems(chosen, given)) if chosen is not None else []
    if problems:
        raise BadInput(
            f"the profile {chosen}", "; ".join(problems), "mend it in config.toml; `vipflow check` tells all"
        )
    separator = "\t" if given.separator == "tab" else given.separator
    where = f"[imports.{chosen}.{{}}]" if chosen is not None else ""
    constants = dict(given.constants) | ({"country": country} if country is not None else {})
    words = {
        name: {folded_heading(theirs): ours for theirs, ours in each.items()} for name, each in given.words.items()
    }
    return Profile(
        chosen,
        Layout(given.columns, separator, given.encoding, where.format("columns")),
        Layout(given.authorizations, separator, given.encoding, where.format("authorizations")),
        Habits(constants, words, given.dates, given.decimal),
    )


def profile_problems(settings: Settings) -> list[str]:
    """What is wrong with the profiles, beyond what can be said of each value by itself."""
    return [f"imports.{problem}" for name, profile in settings.imports.items() for problem in _problems(name, profile)]


def _problems(name: str, profile: ImportProfile) -> Iterator[str]:
    for part, headings in (("columns", CUSTOMERS), ("authorizations", AUTHORIZATIONS)):
        given: Mapping[str, Sequence[str]] = getattr(profile, part)
        yield from _unknown(f"{name}.{part}", given, headings)
        yield from _claimed_twice(f"{name}.{part}", given)
    yield from _unknown(f"{name}.constants", profile.constants, CUSTOMERS)
    yield from _unknown(f"{name}.words", profile.words, {**CUSTOMERS, **AUTHORIZATIONS})
    for column, words in profile.words.items():
        for theirs, ours in words.items():
            problem = problem_with(column, ours)
            if problem is not None:
                yield f"{name}.words.{column}, {theirs!r}: {problem.partition(': ')[2]}"
    for column, value in profile.constants.items():
        problem = problem_with(column, value)
        if problem is not None:
            yield f"{name}.constants.{problem}"


def _unknown(where: str, given: Mapping[str, object], known: Mapping[str, object]) -> Iterator[str]:
    for column in given:
        if column not in known:
            near = did_you_mean(column, known)
            yield f"{where}: there is no column {column!r}{near or '; there are ' + ', '.join(known)}"


def _claimed_twice(where: str, given: Mapping[str, Sequence[str]]) -> Iterator[str]:
    claimed: dict[str, str] = {}
    for column, headings in given.items():
        for heading in headings:
            other = claimed.setdefault(folded_heading(heading), column)
            if other != column:
                yield f"{where}: {heading!r} is said to be {other} and {column}; a column is one of them"
