"""Facts as text: encoded when they change, decoded with the upgrades that their version is behind."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import asdict

from vipflow.errors import VipflowError
from vipflow.workflow import Facts

_encode = msgspec.json.Encoder(order="sorted").encode


class FactsError(VipflowError):
    """Raised when stored facts cannot be read by this release's class: a newer version, or an upgrade that is
    missing.
    """

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(f"stored facts of {kind}: {problem}; install the release that wrote them, or a newer one")
        self.kind = kind
        self.problem = problem


def encode_facts(facts: Facts) -> str:
    """The facts as canonical JSON text."""
    return _encode(facts).decode()


def decode_facts(kind: type[Facts], text: str, version: int) -> Any:
    """The facts that `encode_facts` wrote under `version`, upgraded to the present one. Raises FactsError."""
    if version == kind.facts_version:
        return _decoder(kind).decode(text)
    if version > kind.facts_version:
        raise FactsError(kind.__name__, f"they have version {version}, this release knows {kind.facts_version}")
    plain = msgspec.json.decode(text)
    for upgrade in kind.upgrades[version - 1 :]:
        plain = upgrade(plain)
    return msgspec.convert(plain, kind)


def changed_facts(before: Facts | None, after: Facts) -> tuple[str, str]:
    """The facts that differ, as JSON objects before and after; `("{}", all)` for an opening."""
    if before is None:
        return "{}", _encode(asdict(after)).decode()
    if before is after:
        return "{}", "{}"
    was, is_ = asdict(before), asdict(after)
    changed = [name for name, value in is_.items() if was[name] != value]
    if not changed:
        return "{}", "{}"
    return (
        _encode({name: was[name] for name in changed}).decode(),
        _encode({name: is_[name] for name in changed}).decode(),
    )


@lru_cache(maxsize=256)
def _decoder(kind: type[Facts]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
