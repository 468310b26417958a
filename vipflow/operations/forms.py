"""What somebody filled in, checked before it is posted, so that the answer speaks of fields and not of events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from vipflow.engine.envelope import decode_data
from vipflow.errors import BadInput
from vipflow.misfits import misfit
from vipflow.operations.installation import Installation


def checked(installation: Installation, event_type: str, data: Mapping[str, Any], what: str) -> dict[str, Any]:
    """`data` without what was left out. Raises BadInput, naming `what`, where the event would not take it."""
    given = {name: value for name, value in data.items() if value is not None}
    workflow, _, name = event_type.partition(".")
    machine = installation.workflows[workflow]
    try:
        decode_data(machine, name, given)
    except (msgspec.ValidationError, ValueError) as wrong:
        raise BadInput(what, misfit(wrong, machine.data_of(name), given), "put this right and try again") from wrong
    return given


def problem_of(wrong: Exception) -> str:
    """What msgspec says of a field, as people say it.

    >>> problem_of(msgspec.ValidationError("Expected `str` of length <= 80 - at `$.company`"))
    'company: at most 80 characters'
    """
    return misfit(wrong)
