"""What somebody filled in, checked before it is posted, so that the answer speaks of fields and not of events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from vipflow.engine.envelope import decode_data
from vipflow.errors import BadInput
from vipflow.operations.installation import Installation

_AT = re.compile(r"^(?P<problem>.*?)(?: - at `(?:key in )?\$\.?(?P<where>[^`]*)`)?$", re.DOTALL)
_EXPECTED = (
    (re.compile(r"^Expected `str` of length <= (\d+)$"), r"at most \1 characters"),
    (re.compile(r"^Expected `str` of length >= 1$"), "cannot be empty"),
    (re.compile(r"^Expected `str` of length >= (\d+)$"), r"at least \1 characters"),
    (re.compile(r"^Expected `str` matching regex .*$"), "is not written as it should be"),
    (re.compile(r"^Expected `int` >= (\d+)$"), r"must be at least \1"),
    (re.compile(r"^Expected `int` <= (\d+)$"), r"must be at most \1"),
    (re.compile(r"^Expected `array` of length >= 1$"), "at least one is needed"),
    (re.compile(r"^Expected `array` of length <= (\d+)$"), r"at most \1"),
    (re.compile(r"^Object missing required field `([^`]*)`$"), r"\1 is missing"),
    (re.compile(r"^Object contains unknown field `([^`]*)`$"), r"there is no field \1"),
    (re.compile(r"^Invalid RFC3339 encoded date$"), "write a date as 2024-03-01"),
)


def checked(installation: Installation, event_type: str, data: Mapping[str, Any], what: str) -> dict[str, Any]:
    """`data` without what was left out. Raises BadInput, naming `what`, where the event would not take it."""
    given = {name: value for name, value in data.items() if value is not None}
    workflow, _, name = event_type.partition(".")
    try:
        decode_data(installation.workflows[workflow], name, given)
    except (msgspec.ValidationError, ValueError) as wrong:
        raise BadInput(what, problem_of(wrong), "put this right and try again") from wrong
    return given


def problem_of(wrong: Exception) -> str:
    """What msgspec says of a field, as people say it.

    >>> problem_of(msgspec.ValidationError("Expected `str` of length <= 80 - at `$.company`"))
    'company: at most 80 characters'
    >>> problem_of(ValueError("postal_code: '7501' is none of FR"))
    "postal_code: '7501' is none of FR"
    """
    found = _AT.match(str(wrong))
    problem, where = (found["problem"], found["where"]) if found is not None else (str(wrong), None)
    for pattern, plain in _EXPECTED:
        problem = pattern.sub(plain, problem)
    # What a struct says of its own fields names them; where it stands inside another, say where.
    return f"{where}: {problem}" if where and not problem.startswith(f"{where}:") else problem
