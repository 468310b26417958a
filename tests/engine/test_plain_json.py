"""What is read fast is read as the careful reading would: the same value, the same canonical text, and nothing more."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vipflow.engine.envelope import _plain_canonical_json, _plain_json, check_text, strict_json
from vipflow.errors import BadInput
from vipflow.policy import canonical_json

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=12,
)
TEXTS = some.builds(
    lambda value, spaces, ascii_: json.dumps(value, ensure_ascii=ascii_, indent=spaces),
    VALUES,
    some.sampled_from([None, 0, 2]),
    some.booleans(),
)
PIECES = some.lists(
    some.sampled_from(
        ["{", "}", "[", "]", ",", ":", '"', '"a"', '"b"', " ", "1", "-0", "1.0", "1e2", "12" * 10, "null"]
    ),
    max_size=12,
).map("".join)


def agrees(text: str) -> None:
    fast = _plain_json(text)
    if fast is None:
        return  # left to the careful reading
    slow = strict_json(text)
    check_text(slow, "the event")
    assert repr(fast) == repr(slow)
    assert _plain_canonical_json(fast) == canonical_json(slow)


@given(TEXTS | PIECES)
def test_what_is_read_fast_is_what_careful_reading_gives(text: str) -> None:
    agrees(text)
    assert _plain_json(text.encode("utf-8", "surrogatepass")) in (None, _plain_json(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": {"b": ":", "b": "\\u0022:"}}',
        '{"a" :1, "b":2, "b" : 3}',
        '{"a": 1.0}',
        '{"a": 1e3}',
        '{"a": 9999999999999999999}',
        '{"a": -99999999999999999999}',
        '{"a": "\x7f"}',
        '{"a": "\\u0000"}',
        '{"a": NaN}',
        "[" * 40 + "]" * 40,
        "nul",
    ],
)
def test_what_is_doubtful_is_never_read_fast(text: str) -> None:
    assert _plain_json(text) is None


def test_two_equal_keys_are_still_refused() -> None:
    with pytest.raises(BadInput, match="stands twice"):
        strict_json('{"a": 1, "a": 2}')


def test_a_common_event_is_read_fast() -> None:
    text = (
        '{"type": "customer.note", "time": "2025-01-06T09:00:00+00:00", "data": {"n": [1, true, null], "é": ":\u2028"}}'
    )
    assert _plain_json(text) == json.loads(text)
    agrees(text)
