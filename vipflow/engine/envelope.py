"""The border: an event as it was sent (CloudEvents 1.0, one JSON object), checked before anything is decided.

What is malformed raises BadInput and leaves no verdict, so its id stays free. What passes has text that both databases
keep alike, data of the event's own class, and a time that is not ahead of the clock.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from math import isfinite
from typing import Any, Literal

import msgspec

from vipflow.case import Actor
from vipflow.days import EARLIEST, LATEST
from vipflow.errors import BadInput, did_you_mean
from vipflow.machine import Machine, Workflows
from vipflow.misfits import fields_of, misfit, short
from vipflow.policy import canonical_json
from vipflow.workflow import Reason

VerdictName = Literal["applied", "refused", "stale", "parked", "quarantined"]

AHEAD = timedelta(minutes=5)
"""How far ahead of our clock a sender's may be (ours)."""
LONGEST_LINE = 256 * 1024
LONGEST_WORD = 240
LONGEST_REASON = 500
DEEPEST_JSON = 32

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_TELLTALE = re.compile(r"[\\\x7f-\x9f\ud800-\udfff]")
_ATTRIBUTE = re.compile(r"^[a-z0-9]{1,64}$")
_KNOWN = frozenset(
    {
        "specversion",
        "type",
        "source",
        "id",
        "subject",
        "time",
        "data",
        "datacontenttype",
        "dataschema",
        "reason",
        "actor",
    }
)
_DATE_ONLY = re.compile(r"^\d{4}-\d{2}-\d{2}$")


class Envelope(msgspec.Struct, frozen=True):
    """One event at the border. `occurred_at` is None where the sender gave no time: it happened now.

    `body_hash` is the identity of the body: same source and id with another hash is a conflict.
    """

    type: str
    source: str
    id: str
    subject: str
    occurred_at: datetime | None
    data: Any
    actor: Actor
    reason: str | None
    body_hash: str
    body: str
    """The canonical JSON of type, subject, time as sent and data: kept while the event waits."""

    @property
    def workflow(self) -> str:
        return self.type.partition(".")[0]

    @property
    def event(self) -> str:
        return self.type.partition(".")[2]

    @property
    def cause(self) -> str:
        return event_cause(self.source, self.id)


def event_cause(source: str, event_id: str) -> str:
    """What history calls the cause of an event's own step. Slashes inside the two are escaped: no two share one.

    >>> event_cause("shop/eu", "1"), event_cause("shop", "eu/1")
    ('event:shop%2Feu/1', 'event:shop/eu%2F1')
    """
    return f"event:{_escaped(source)}/{_escaped(event_id)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("/", "%2F")


class Verdict(msgspec.Struct, frozen=True):
    """What became of an event. `replayed`: it had been received before, and nothing happened now."""

    source: str
    id: str
    type: str
    verdict: VerdictName
    reasons: tuple[Reason, ...] = ()
    case: str | None = None
    subject: str | None = None
    sequence: int | None = None
    replayed: bool = False
    waiting_for: str | None = None


def read_envelope(line: str | bytes, workflows: Workflows, *, default_source: str | None = None) -> Envelope:
    """One JSON line as an envelope. Raises BadInput saying what is wrong and what would be right; `default_source`
    fills in for a line without one (a file posted by hand).
    """
    if len(line) > LONGEST_LINE:
        raise BadInput(
            "the event",
            f"it is {len(line):,} bytes long",
            f"an event has at most {LONGEST_LINE:,}; say less in it",
        )
    given = strict_json(line)
    if _escapes(line):
        check_text(given, "the event")
    return _envelope(given, workflows, default_source, None)


def _escapes(line: str | bytes) -> bool:
    """Whether a text in this JSON may hold a character that `check_text` refuses: JSON itself refuses controls as they
    are, and knows them only with a backslash; but not those beyond ASCII, whose first byte in UTF-8 is C2.
    """
    if isinstance(line, str):
        return _TELLTALE.search(line) is not None
    return b"\\" in line or b"\xc2" in line or b"\x7f" in line


def strict_json(text: str | bytes) -> Any:
    """JSON as both databases and every reader understand it: no duplicate keys, NaN, NUL, lone surrogates, or endless
    depth.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as wrong:
            raise BadInput("the event", f"it is not UTF-8 (byte {wrong.start})", "write it in UTF-8") from wrong
    deepest = _depth(text) if text.count("{") + text.count("[") > DEEPEST_JSON else 0
    if deepest > DEEPEST_JSON:
        raise BadInput("the event", f"its JSON is nested {deepest:,} deep", f"at most {DEEPEST_JSON} levels are read")
    try:
        return json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constants,
            parse_int=_sane_int,
            parse_float=_finite_float,
        )
    except (ValueError, RecursionError) as wrong:
        where = (
            f" ({wrong.msg.removesuffix(' at')}, at character {wrong.pos + 1:,})"
            if isinstance(wrong, json.JSONDecodeError)
            else ""
        )
        raise BadInput("the event", f"it is no JSON{where}", "send one JSON object per line") from wrong


def _depth(text: str) -> int:
    """How deep the brackets outside strings nest; asked only where there are enough of them."""
    depth = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadInput("the event", f"the key {short(twice)} stands twice in one object", "send each key once")
    return found


def _no_constants(word: str) -> Any:
    raise BadInput("the event", f"it holds {word}, which is no number in JSON", "leave it out, or send a number")


def _sane_int(digits: str) -> int:
    if len(digits) > 19:
        raise BadInput("the event", f"it holds a number of {len(digits):,} digits", "a number has at most 19 here")
    return int(digits)


def _finite_float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise BadInput("the event", f"it holds a number beyond all measure, {digits[:40]}", "send one that can be")
    return number


def envelope_of(
    given: Any, workflows: Workflows, *, default_source: str | None = None, actor: Actor | None = None
) -> Envelope:
    """An already decoded CloudEvent as an envelope; raises BadInput."""
    check_text(given, "the event")
    return _envelope(given, workflows, default_source, actor)


def _envelope(given: Any, workflows: Workflows, default_source: str | None, actor: Actor | None) -> Envelope:
    if not isinstance(given, Mapping):
        raise BadInput(
            "the event", "it is not a JSON object", 'write {"specversion": "1.0", "type": …, "source": …, "id": …, …}'
        )
    _check_attributes(given)
    source = word(given, "source", default_source)
    event_id = word(given, "id", None)
    event_type = word(given, "type", None)
    what = f"event {source}/{event_id}"
    machine = _machine_of(event_type, workflows, what)
    name = event_type.partition(".")[2]
    subject = given.get("subject") or ""
    if not isinstance(subject, str) or len(subject) > LONGEST_WORD:
        raise BadInput(
            what, f"its subject {not_a_word(subject)}", f"write at most {LONGEST_WORD}, such as customers/C-7K3F-9QTD"
        )
    time, as_sent = _time_of(given, what)
    raw = given.get("data")
    data = _data_of(machine, name, raw, what)
    reason = given.get("reason")
    if reason is not None and (not isinstance(reason, str) or not reason.strip() or len(reason) > LONGEST_REASON):
        remedy = f"say why in 1 to {LONGEST_REASON} characters, or leave it out"
        raise BadInput(what, f"its reason {not_a_word(reason)}", remedy)
    body = canonical_json(
        {"type": event_type, "subject": subject, "time": as_sent, "data": raw if raw is not None else {}}
    )
    digest = hashlib.sha256(body.encode()).hexdigest()
    if actor is None:
        actor = Actor("system", source)
    return Envelope(event_type, source, event_id, subject, time, data, actor, reason, digest, body)


def check_text(value: Any, what: str, pointer: str = "") -> None:
    """Raises BadInput with a JSON pointer for text that a database would refuse or mangle: NUL, controls, lone
    surrogates.
    """
    if isinstance(value, str):
        found = _CONTROL.search(value)
        if found:
            code = f"U+{ord(found.group()):04X}"
            where = pointer or "it"
            raise BadInput(what, f"{where} holds the character {code}, which text cannot hold", "remove it")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            check_text(key, what, f"{pointer}/{short(key)}")
            check_text(inner, what, f"{pointer}/{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            check_text(inner, what, f"{pointer}/{index}")


def check_not_ahead(envelope: Envelope, now: datetime) -> None:
    """Raises BadInput for an event over five minutes ahead of `now`: it has not happened yet."""
    if envelope.occurred_at is not None and envelope.occurred_at > now + AHEAD:
        raise BadInput(
            f"event {envelope.source}/{envelope.id}",
            f"its time {envelope.occurred_at:%Y-%m-%dT%H:%M:%SZ} is ahead of the clock ({now:%Y-%m-%dT%H:%M:%SZ})",
            "send it once it has happened, or check the sender's clock",
        )


def decode_data(machine: Machine, name: str, raw: Any) -> Any:
    """Event data as its class; raises msgspec.ValidationError, or ValueError for days from which no rule can count."""
    kind = machine.data_of(name)
    data: Any = msgspec.convert(raw if raw is not None else {}, kind, strict=True)
    if _holds_days(kind):
        _check_days(data)
    return data


@lru_cache(maxsize=1024)
def _holds_days(kind: Any) -> bool:
    """Whether a day may stand in such data, at any depth: most have none, and are not looked through."""
    return "DateType" in repr(msgspec.inspect.type_info(kind))


def _check_days(value: Any, where: str = "") -> None:
    if isinstance(value, date) and not isinstance(value, datetime) and not EARLIEST <= value <= LATEST:
        raise ValueError(f"{where.lstrip('.')}: {value} is beyond every calendar here, from {EARLIEST} to {LATEST}")
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _check_days(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            _check_days(each, f"{where}[{index}]")


def _check_attributes(given: Mapping[str, Any]) -> None:
    version = given.get("specversion", "1.0")
    if version != "1.0":
        raise BadInput("the event", f"specversion is {short(version)}", 'vipflow reads CloudEvents "1.0"')
    for key in given:
        if key == "data_base64":
            raise BadInput("the event", "its data is base64", "send data as JSON")
        if key not in _KNOWN and not _ATTRIBUTE.match(key):
            raise BadInput(
                "the event", f"the attribute {short(key)} is no CloudEvents name", "use lower-case letters and digits"
            )
    kind = given.get("datacontenttype", "application/json")
    if not isinstance(kind, str) or not kind.partition(";")[0].strip().lower().endswith("json"):
        raise BadInput("the event", f"datacontenttype is {short(kind)}", "send application/json")


def word(given: Mapping[str, Any], key: str, default: str | None) -> str:
    """The attribute `key` of an event, or `default` where it has none. Raises BadInput."""
    value = given.get(key, default)
    if default is not None:
        check_text(default, f"the {key} of events that name none")
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_WORD:
        raise BadInput("the event", f"its {key} {not_a_word(value)}", f"give {key} as 1 to {LONGEST_WORD} characters")
    return value


def not_a_word(value: Any) -> str:
    """Why this is no name, id or the like."""
    if value is None:
        return "is missing"
    if not isinstance(value, str):
        return "is not a text"
    return f"has {len(value):,} characters" if value.strip() else "is empty"


def _machine_of(event_type: str, workflows: Workflows, what: str) -> Machine:
    workflow, _, name = event_type.partition(".")
    machine = workflows.get(workflow)
    if machine is None or event_type not in workflows.from_outside:
        if machine is not None and machine.knows(name):
            raise BadInput(
                what, f"{event_type} is sent by the engine itself", "post what happened; the engine does the rest"
            )
        raise BadInput(
            what,
            f"there is no event type {short(event_type)}{did_you_mean(event_type, workflows.from_outside)}",
            "`vipflow workflow list` shows all",
        )
    return machine


def _time_of(given: Mapping[str, Any], what: str) -> tuple[datetime | None, str | None]:
    as_sent = given.get("time")
    if as_sent is None:
        return None, None

    def wrong(problem: str) -> BadInput:
        return BadInput(
            what, f"its time {short(as_sent)} {problem}", "write RFC 3339 with an offset, such as 2024-03-01T09:30:00Z"
        )

    if not isinstance(as_sent, str):
        raise wrong("is no instant")
    if _DATE_ONLY.match(as_sent):
        raise wrong("is no instant but a day")
    try:
        time = datetime.fromisoformat(as_sent)
    except ValueError as cause:
        raise wrong("is no instant") from cause
    if time.tzinfo is None:
        raise wrong("is no instant, since it has no offset from UTC")
    if not 1990 <= time.year <= 9000:
        raise wrong("is no instant of a membership")
    return time.astimezone(UTC), as_sent


def _data_of(machine: Machine, name: str, raw: Any, what: str) -> Any:
    try:
        return decode_data(machine, name, raw)
    except (msgspec.ValidationError, ValueError) as wrong:
        raise bad_data(what, f"{machine.name}.{name}", machine.data_of(name), raw, wrong) from wrong


def bad_data(what: str, event_type: str, kind: Any, raw: Any, wrong: Exception) -> BadInput:
    """What to raise for data that do not fit their class."""
    problem = misfit(wrong, kind, raw)
    if str(wrong).startswith("Object "):  # a field is missing, or one too many
        takes = ", ".join(fields_of(kind)) or "no data"
        return BadInput(what, f"in its data, {problem}", f"{event_type} takes {takes}")
    return BadInput(what, f"in its data, {problem}", "put it right and send it again: its id is still free")
