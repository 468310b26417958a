"""The border: an event as it was sent (CloudEvents 1.0, one JSON object), checked before anything is decided.

What is malformed raises BadInput and leaves no verdict, so its id stays free. What passes has text that both databases
keep alike, data of the event's own class, and a time that is not ahead of the clock.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from vipflow.case import Actor
from vipflow.errors import BadInput, did_you_mean
from vipflow.machine import Machine, Workflows
from vipflow.policy import canonical_json
from vipflow.workflow import Reason

VerdictName = Literal["applied", "refused", "stale", "parked", "quarantined"]

AHEAD = timedelta(minutes=5)
"""How far ahead of our clock a sender's may be (ours)."""
LONGEST_LINE = 256 * 1024
LONGEST_WORD = 240
DEEPEST_JSON = 32

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TELLTALE = re.compile(r"[\\\x7f\ud800-\udfff]")
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
            f"an event has at most {LONGEST_LINE:,}; send fewer lines in it",
        )
    given = _plain_json(line)
    if given is not None:
        return _envelope(given, workflows, default_source, None, _plain_canonical_json)
    given = strict_json(line)
    if _escapes(line):
        check_text(given, "the event")
    return _envelope(given, workflows, default_source, None)


def _plain_json(line: str | bytes) -> Any:
    """What `strict_json` and `check_text` make of a line in which nothing is doubtful, several times as fast; None for
    all others, which they look at. Doubtful are escapes, large numbers and fractions, depth, and two equal keys.
    """
    try:
        text = line if isinstance(line, str) else line.decode()
        if "\\" in text or "\x7f" in text or text.count("{") + text.count("[") > DEEPEST_JSON:
            return None
        given = _decode_integers(text)
        # Of two equal keys one is lost; without escapes each text, keys too, has two quotation marks.
        return given if text.count('"') == 2 * _texts_in(given) else None
    except (msgspec.DecodeError, ValueError):
        return None


def _texts_in(value: Any) -> int:
    """How many texts there are in JSON, keys included."""
    kind = type(value)
    if kind is str:
        return 1
    if kind is dict:
        return len(value) + sum(map(_texts_in, value.values()))
    if kind is list:
        return sum(map(_texts_in, value))
    if kind is int and abs(value) >= _LARGE:
        raise ValueError(f"{value} is a large number")
    return 0


def _no_fraction(number: str) -> Any:
    raise ValueError(f"{number} can be spelt in many ways")


_LARGE = 10**18
_decode_integers = msgspec.json.Decoder(float_hook=_no_fraction).decode
_encode_plain = msgspec.json.Encoder(order="sorted").encode


def _plain_canonical_json(value: object) -> str:
    """`canonical_json` of what `_plain_json` read."""
    return _encode_plain(value).decode()


def _escapes(line: str | bytes) -> bool:
    """Whether a text in this JSON may hold a character that `check_text` refuses: JSON itself refuses controls as they
    are, and knows them only with a backslash.
    """
    return b"\\" in line or b"\x7f" in line if isinstance(line, bytes) else _TELLTALE.search(line) is not None


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
        raise BadInput("the event", f"its JSON is nested {deepest} deep", f"at most {DEEPEST_JSON} levels are read")
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constants, parse_int=_sane_int)
    except (ValueError, RecursionError) as wrong:
        raise BadInput("the event", f"it is not valid JSON: {wrong}", "send one JSON object per line") from wrong


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
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _no_constants(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


def _sane_int(digits: str) -> int:
    if len(digits) > 19:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def envelope_of(
    given: Any, workflows: Workflows, *, default_source: str | None = None, actor: Actor | None = None
) -> Envelope:
    """An already decoded CloudEvent as an envelope; raises BadInput."""
    check_text(given, "the event")
    return _envelope(given, workflows, default_source, actor)


def _envelope(
    given: Any,
    workflows: Workflows,
    default_source: str | None,
    actor: Actor | None,
    canonical: Callable[[object], str] = canonical_json,
) -> Envelope:
    if not isinstance(given, Mapping):
        raise BadInput(
            "the event", "it is not a JSON object", 'write {"specversion": "1.0", "type": …, "source": …, "id": …, …}'
        )
    _check_attributes(given)
    source = _word(given, "source", default_source)
    event_id = _word(given, "id", None)
    event_type = _word(given, "type", None)
    what = f"event {source}/{event_id}"
    machine = _machine_of(event_type, workflows, what)
    name = event_type.partition(".")[2]
    subject = given.get("subject") or ""
    if not isinstance(subject, str) or len(subject) > LONGEST_WORD:
        raise BadInput(what, "its subject is not a short text", "write e.g. customers/C-7K3F-9QTD")
    time, as_sent = _time_of(given, what)
    raw = given.get("data")
    data = _data_of(machine, name, raw, what)
    reason = given.get("reason")
    if reason is not None and (not isinstance(reason, str) or not reason.strip() or len(reason) > 500):
        raise BadInput(what, "its reason is not a text of 1 to 500 characters", "say why in a sentence")
    body = canonical({"type": event_type, "subject": subject, "time": as_sent, "data": raw if raw is not None else {}})
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
            raise BadInput(what, f"{pointer or '/'} holds the character {code}, which text cannot hold", "remove it")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            check_text(key, what, f"{pointer}/{key!r}")
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
    """Event data as its class; raises msgspec.ValidationError."""
    return msgspec.convert(raw if raw is not None else {}, machine.data_of(name), strict=True)


def _check_attributes(given: Mapping[str, Any]) -> None:
    version = given.get("specversion", "1.0")
    if version != "1.0":
        raise BadInput("the event", f"specversion is {version!r}", 'vipflow reads CloudEvents "1.0"')
    for key in sorted(given.keys() - _KNOWN, key=str):
        if key == "data_base64":
            raise BadInput("the event", "its data is base64", "send data as JSON")
        if not _ATTRIBUTE.match(key):
            raise BadInput(
                "the event", f"the attribute {key!r} is no CloudEvents name", "use lower-case letters and digits"
            )
    kind = given.get("datacontenttype", "application/json")
    if not isinstance(kind, str) or not kind.partition(";")[0].strip().lower().endswith("json"):
        raise BadInput("the event", f"datacontenttype is {kind!r}", "send application/json")


def _word(given: Mapping[str, Any], key: str, default: str | None) -> str:
    value = given.get(key, default)
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_WORD:
        raise BadInput(
            "the event",
            f"its {key} is {'missing' if value is None else 'not a text'}",
            f"give {key} as 1 to {LONGEST_WORD} characters",
        )
    return value


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
            f"there is no event type {event_type!r}{did_you_mean(event_type, workflows.from_outside)}",
            "`vipflow workflow list` shows all",
        )
    return machine


def _time_of(given: Mapping[str, Any], what: str) -> tuple[datetime | None, str | None]:
    as_sent = given.get("time")
    if as_sent is None:
        return None, None
    time = None
    if isinstance(as_sent, str) and not _DATE_ONLY.match(as_sent):
        with suppress(ValueError):
            time = datetime.fromisoformat(as_sent)
    if time is None or time.tzinfo is None or not 1990 <= time.year <= 9000:
        raise BadInput(
            what, f"its time {as_sent!r} is no instant", "write RFC 3339 with an offset, e.g. 2024-03-01T09:30:00Z"
        )
    return time.astimezone(UTC), as_sent


def _data_of(machine: Machine, name: str, raw: Any, what: str) -> Any:
    try:
        return decode_data(machine, name, raw)
    except (msgspec.ValidationError, ValueError) as wrong:
        fields = ", ".join(getattr(machine.data_of(name), "__struct_fields__", ())) or "none"
        raise BadInput(what, f"its data: {wrong}", f"{machine.name}.{name} takes: {fields}") from wrong
