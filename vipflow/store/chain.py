"""What makes a changed row visible: each row carries the hash of the row before it and of itself.

Two chains are kept: the history of each subject, and the acts of the whole installation (`vipflow.store.audit`). What
may be personal in a history row (facts, reason, note) enters its hash as a salted digest: when that content is erased
some day, and the salt with it, the chain still holds and nobody can guess the content from the digest.

Hashes are SHA-256, in base64url without padding. What is hashed is JSON, in which instants are the texts of
`instant_text` and JSON columns the text as stored: both databases give back the same.
"""

from __future__ import annotations

import hmac
import os
from binascii import b2a_base64
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec

HISTORY = (
    "tenant",
    "subject",
    "sequence",
    "case_ref",
    "workflow",
    "event",
    "from_state",
    "to_state",
    "facts_before",
    "facts_after",
    "timers",
    "messages",
    "policy",
    "fingerprint",
    "effective_at",
    "recorded_at",
    "actor_kind",
    "actor",
    "reason",
    "cause",
    "source",
    "event_id",
    "note",
)
"""What a history row says, in the order in which it is hashed, written, and defined in the table."""
SAYS = len(HISTORY)
_SALT = 16  # bytes
_HASH = 43  # characters, of 32 bytes

_URL_SAFE = bytes.maketrans(b"+/", b"-_")

_json = msgspec.json.Encoder().encode


def new_salts(rows: int) -> list[str]:
    """A salt for each of so many rows. Each its own: an erased row's salt must not live on in its neighbour."""
    random = os.urandom(_SALT * rows)
    return [_text(random[at : at + _SALT], 22) for at in range(0, len(random), _SALT)]


def content_digest(salt: str, row: Sequence[Any]) -> str:
    """The digest of what may be personal in a history row, given in the order of `HISTORY`."""
    return _text(sha256(_json((salt, row[8], row[9], row[18], row[22]))).digest(), _HASH)


def row_hash(previous: str, row: Sequence[Any], effective_at: str, recorded_at: str, digest: str) -> str:
    """The hash of a history row, given in the order of `HISTORY`, its instants as texts too.

    `previous` is the hash of the subject's row before, empty for the first.
    """
    told = (previous, *row[:8], *row[10:14], effective_at, recorded_at, *row[16:18], *row[19:22], digest)
    return _text(sha256(_json(told)).digest(), _HASH)


def act_hash(previous: str, position: int, at: str, row: Sequence[Any]) -> str:
    """The hash of a row of the audit; `row`: tenant, actor_kind, actor, act, target, reason, details."""
    return _text(sha256(_json((previous, position, at, *row))).digest(), _HASH)


class Digest:
    """The digest of a seal: one over the rows of history that it covers, one over its acts, with a dot between."""

    def __init__(self) -> None:
        self._history = sha256()
        self._acts = sha256()
        self.rows = 0
        self.acts = 0

    def add_history(self, row: Sequence[Any]) -> None:
        """A row as (position, tenant, subject, sequence, hash), in order of position."""
        self._history.update(_json(tuple(row)))
        self.rows += 1

    def add_act(self, row: Sequence[Any]) -> None:
        """An act as (position, hash), in order of position."""
        self._acts.update(_json(tuple(row)))
        self.acts += 1

    def text(self) -> str:
        return ".".join(_text(each.digest(), _HASH) for each in (self._history, self._acts))


def seal_mac(key: bytes, told: Sequence[Any]) -> str:
    """The signature of a seal that says all this."""
    return _text(hmac.digest(key, _json(("vipflow seal", *told)), "sha256"), _HASH)


def _text(raw: bytes, characters: int) -> str:
    return b2a_base64(raw).translate(_URL_SAFE)[:characters].decode()
