"""Facts as text: encoded when they change, decoded with the upgrades that their version is behind."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import asdict

from vipflow.errors import VipflowError
from vipflow.misfits import misfit
from vipflow.workflow import Facts

_encode = msgspec.json.Encoder(order="sorted").encode


class FactsError(VipflowError):
    """Raised when stored facts cannot be read by this release's class: a newer version, an upgrade that is missing or
    fails, or another shape than the version says.
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
    if version > kind.facts_version:
        raise FactsError(kind.__name__, f"they have version {version}, this release knows {kind.facts_version}")
    try:
        if version == kind.facts_version:
            return _decoder(kind).decode(text)
        return msgspec.convert(_upgraded(kind, text, version), kind)
    except msgspec.MsgspecError as wrong:
        raise FactsError(kind.__name__, f"of version {version}, {_told(str(wrong))}") from wrong


def _upgraded(kind: type[Facts], text: str, version: int) -> Any:
    upgrades = kind.upgrades[version - 1 :]
    if version < 1 or len(upgrades) < kind.facts_version - version:
        raise FactsError(
            kind.__name__, f"no upgrade leads from version {version} to {kind.facts_version}; add it to `upgrades`"
        )
    plain = msgspec.json.decode(text)
    for at, upgrade in enumerate(upgrades, start=version):
        try:
            plain = upgrade(plain)
        except Exception as fault:  # somebody else's function over somebody else's row
            says = f"the upgrade from version {at} raises {type(fault).__name__}: {fault}"
            raise FactsError(kind.__name__, says) from fault
    return plain


def _told(wrong: str) -> str:
    missing = re.match(r"Object missing required field `(\w+)`", wrong)
    return f"they lack {missing[1]!r}, which is required now" if missing else misfit(ValueError(wrong))


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
