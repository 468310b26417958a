"""One act of a member of staff: an event posted through the same road as every other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import msgspec

from vipflow.engine.envelope import Verdict, envelope_of
from vipflow.errors import VipflowError
from vipflow.operations.installation import Installation
from vipflow.operations.who import Who


def act(
    installation: Installation,
    who: Who,
    type: str,
    subject: str,
    data: msgspec.Struct | Mapping[str, Any] | None = None,
    *,
    reason: str | None = None,
    id: str | None = None,
) -> Verdict:
    """Posts one event of `type` about `subject` (a path: `customers/C-7K3F-9QTD`), effective on `who.on` or now.

    A refusal is a Verdict like any other. With an `id` of your own the act may be repeated and counts once. Raises
    BadInput for data that the event does not take, NotFound for a subject that does not exist, Conflict for an `id`
    that named something else.
    """
    given: dict[str, Any] = {
        "specversion": "1.0",
        "type": type,
        "source": who.source,
        "id": id if id is not None else uuid4().hex,
        "subject": subject,
        "data": _plain(data),
    }
    if who.on is not None:
        given["time"] = who.on.isoformat()
    if reason is not None:
        given["reason"] = reason
    envelope = envelope_of(given, installation.workflows, actor=who.as_actor)
    answer = installation.engine.post(who.tenant, [envelope])[0]
    if isinstance(answer, VipflowError):
        raise answer
    return answer


def _plain(data: msgspec.Struct | Mapping[str, Any] | None) -> Any:
    """As JSON holds it; what a form left out is not said."""
    plain = msgspec.to_builtins(data if data is not None else {})
    return {name: value for name, value in plain.items() if value is not None}
