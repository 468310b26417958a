"""A policy: the dated numbers of a business, read from TOML, checked against a schema, pinned by their content.

A policy file has a name, a description and dated versions; a later version states only what changes:

    name = "vip-2024"
    description = "Purchase authorizations are ordered within 14 days."

    [[versions]]
    from = 2024-01-01
    [versions.numbers]
    order_due_days = 14

    [[versions]]
    from = 2025-07-01
    [versions.numbers]
    order_due_days = 10

TOML has no null, so: a number that may be null and is absent *is* null, and the text `"none"` sets it back to null in a
later version or an override. Tables are merged key by key, lists are replaced whole. On a day before the first version
the first one holds: a fact of the past must not be lost for want of numbers.
"""

import json
import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import msgspec

from vipflow.errors import PolicyError, Problem, did_you_mean
from vipflow.plainly import plainly
from vipflow.sources import toml_line

Value: TypeAlias = "int | str | bool | tuple[Value, ...] | Mapping[str, Value] | None"
"""What a number may be, once frozen: lists become tuples, tables read-only mappings."""

NULL = "none"
"""How a TOML file or an override writes null."""


class Policy:
    """One version of the numbers, with all overrides applied: frozen, equal and hashed by its content `id`.

    Each number is an attribute. `id` is the name and the first 12 hex digits of the SHA-256 of the canonical JSON of
    name and numbers, so the same numbers have the same id wherever they came from. Raises PolicyError for a number that
    has no JSON form or takes a name of the policy's own.

    >>> vip = Policy("vip-2024", date(2024, 1, 1), {"order_due_days": 14, "deactivation_notice_days": [7, 2]})
    >>> vip.id, vip.order_due_days, vip.deactivation_notice_days
    ('vip-2024@8c0b690035f8', 14, (7, 2))
    >>> vip.order_due_dais
    Traceback (most recent call last):
    AttributeError: policy vip-2024@8c0b690035f8 has no number order_due_dais (did you mean order_due_days?)
    """

    id: str
    name: str
    valid_from: date
    numbers: Mapping[str, Value]

    def __init__(
        self,
        name: str,
        valid_from: date,
        numbers: Mapping[str, object],
        *,
        added_since: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        """`added_since` answers for numbers younger than a stored policy; they are not part of its id or its JSON."""
        known = {**added_since, **numbers}
        taken = sorted(number for number in known if number in _OWN_NAMES or not number.isidentifier())
        if taken:
            raise PolicyError(name, *(f"{number!r} cannot name a number; choose another word" for number in taken))
        frozen = {number: _freeze(name, number, value) for number, value in known.items()}
        # Straight into __dict__: a number is then found as fast as any attribute, which is what decide reads all day.
        vars(self).update(
            frozen,
            id=f"{name}@{content_hash({'name': name, 'numbers': _plain(numbers)})}",
            name=name,
            valid_from=valid_from,
            numbers=MappingProxyType({number: frozen[number] for number in numbers}),
        )

    def to_json(self) -> str:
        """Everything needed to have this policy again, as canonical JSON; `from_json` is the way back."""
        return canonical_json({"name": self.name, "from": self.valid_from.isoformat(), "numbers": _plain(self.numbers)})

    @classmethod
    def from_json(cls, text: str | bytes, *, added_since: Mapping[str, object] = MappingProxyType({})) -> Self:
        """The policy that `to_json` wrote, with the same id; raises PolicyError for any other text."""
        try:
            stored = msgspec.json.decode(text, type=_Stored)
        except msgspec.MsgspecError as wrong:
            raise PolicyError("(stored)", f"{wrong}; expected the JSON that Policy.to_json wrote") from wrong
        return cls(stored.name, stored.since, stored.numbers, added_since=added_since)

    def __getattr__(self, name: str) -> Any:
        """Only what is *not* a number comes here, and leaves as an AttributeError that says which one was meant."""
        if name.startswith("_") or "id" not in vars(self):
            raise AttributeError(name)
        raise AttributeError(f"policy {self.id} has no number {name}{did_you_mean(name, self.numbers)}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"policy {self.id} is frozen: {name} cannot change; ask the book for one with an override")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"policy {self.id} is frozen: {name} cannot be removed")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Policy {self.id}>"

    def __reduce__(self) -> tuple[Any, ...]:
        added = {number: value for number, value in vars(self).items() if number not in {*_OWN_NAMES, *self.numbers}}
        return (_policy_again, (self.name, self.valid_from, _plain(self.numbers), _plain(added)))


_OWN_NAMES = frozenset({"id", "name", "valid_from", "numbers", "to_json", "from_json"})


def _policy_again(name: str, since: date, numbers: Mapping[str, object], added: Mapping[str, object]) -> Policy:
    return Policy(name, since, numbers, added_since=added)


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    numbers: dict[str, Any]
    since: date = msgspec.field(name="from")


@lru_cache(maxsize=1024)  # thousands of cases have the same few
def differing(before: Policy, after: Policy) -> Mapping[str, tuple[Any, Any]]:
    """The numbers that two policies do not share, each as plain data in the one and in the other; None where it has
    none. Those that a stored policy is too old for count with the value that answers for them.

    >>> differing(Policy("p", date(2024, 1, 1), {"days": 5, "hours": 1}), Policy("q", date(2025, 1, 1), {"days": 7}))
    {'days': (5, 7), 'hours': (1, None)}
    """
    one, other = (
        {name: value for name, value in vars(each).items() if name not in _OWN_NAMES} for each in (before, after)
    )
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return {name: (_plain(one.get(name)), _plain(other.get(name))) for name in names}


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the policy that a workflow names without knowing its value: every policy answers with its own."""

    name: str

    def of(self, pinned: Policy) -> Any:
        """The value in `pinned`; AttributeError where that policy does not have it."""
        return getattr(pinned, self.name)

    def __str__(self) -> str:
        return f"policy.{self.name}"


class PolicyWord:
    """What `policy` is in a workflow file.

    >>> policy.payment_reminder_days
    Number(name='payment_reminder_days')
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Number:
        if name.startswith("_"):  # inspect, copy and doctest probe for such names on everything they meet
            raise AttributeError(name)
        return Number(name)


policy = PolicyWord()
"""The word for workflow authors: `policy.order_due_days` is the Number of that name."""


def resolve(value: Any, pinned: Policy) -> Any:
    """`value` itself, or what `pinned` says where `value` is a Number: a plain value may stand wherever a Number may.

    >>> resolve(3, pinned := Policy("p", date(2024, 1, 1), {"days": 5})), resolve(policy.days, pinned)
    (3, 5)
    """
    return value.of(pinned) if isinstance(value, Number) else value


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a trade's numbers must be: a subclass declares each with its type and range (`Annotated[int, Meta(ge=1)]`),
    itself `frozen` and `kw_only`.

    A number added in a later release needs a default, which then answers for policies stored before it existed.
    """

    def problems(self) -> Iterable[str]:
        """What is wrong *between* numbers that are each right by themselves; a trade with such relations says so."""
        return ()


class PolicyBook:
    """Every policy that an installation knows, each with all its versions, checked when the book is made.

    Raises PolicyError with every problem of every file at once.
    """

    def __init__(
        self, schema: type[Schema], files: Iterable["PolicyFile"], places: Mapping[str, Path] = MappingProxyType({})
    ) -> None:
        self._schema = schema
        self._fields = {field.name: field for field in msgspec.structs.fields(schema)}
        self._defaults = {
            field.name: field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            for field in self._fields.values()
            if not field.required
        }
        self._shelves: dict[str, _Shelf] = {}
        wrong: dict[str, list[_Wrong]] = {}
        for file in files:
            problems = wrong.setdefault(file.name, [])
            if file.name in self._shelves:
                problems.append(_Wrong("two files bear this name; rename one", "name"))
            else:
                self._shelves[file.name] = self._shelf(file, problems)
        faulty = [name for name, problems in wrong.items() if problems]
        if faulty:
            several = len(faulty) > 1
            told = (_placed(name, each, places.get(name), named=several) for name in faulty for each in wrong[name])
            raise PolicyError(", ".join(faulty), *told)
        # A call with the same overrides gives the same object. 4096 is ours: far more than the sets of overrides that
        # resellers and customers have between them, small enough to forget about.
        self._overridden = lru_cache(maxsize=4096)(self._override)

    @classmethod
    def load(cls, schema: type[Schema], *folders: Path) -> "PolicyBook":
        """The book of all `*.toml` files in `folders`, in the order of their names."""
        files, places, unreadable = [], {}, []
        for path in (path for folder in folders for path in sorted(folder.glob("*.toml"))):
            try:
                file = read_policy_file(path)
            except PolicyError as wrong:
                unreadable.append((path, wrong))
                continue
            files.append(file)
            places[file.name] = path
        if len(unreadable) == 1:
            raise unreadable[0][1]
        if unreadable:
            names = ", ".join(path.name for path, _ in unreadable)
            raise PolicyError(names, *(problem for _, wrong in unreadable for problem in wrong.problems))
        return cls(schema, files, places)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the policies, in the order of the files."""
        return tuple(self._shelves)

    @property
    def numbers(self) -> frozenset[str]:
        """The names that a number may have, for whoever checks that a workflow's `policy.…` exists."""
        return frozenset(self._fields)

    def description(self, name: str) -> str:
        """The sentence that the file says of itself; PolicyError for an unknown policy."""
        return self._found(name).description

    def versions(self, name: str) -> tuple[Policy, ...]:
        """All versions as shipped, oldest first; PolicyError for an unknown policy."""
        return self._found(name).versions

    def in_force(self, name: str, on: date, *overrides: Mapping[str, object]) -> Policy:
        """The version of `name` that holds on the day `on`, with `overrides` applied, a later one over an earlier.

        The same question gives the same object. Overrides that change nothing give the shipped policy's id. Raises
        PolicyError with all problems for an unknown policy, unknown numbers, wrong types, ranges or relations.
        """
        version = self._found(name).version_on(on)
        layers = [layer for layer in overrides if layer]
        if not layers:
            return version
        try:
            key = canonical_json(_plain(layers))
        except (TypeError, ValueError) as wrong:
            raise PolicyError(name, f"the overrides have no JSON form: {wrong}") from wrong
        return self._overridden(name, version.valid_from, key)

    def restore(self, text: str | bytes) -> Policy:
        """A policy stored by `to_json`, perhaps by an older release: numbers added since answer with their defaults."""
        return Policy.from_json(text, added_since=self._defaults)

    def _found(self, name: str) -> "_Shelf":
        shelf = self._shelves.get(name)
        if shelf is None:
            valid = ", ".join(self._shelves) or "none"
            raise PolicyError(name, f"no such policy{did_you_mean(name, self._shelves)}; there are: {valid}")
        return shelf

    def _shelf(self, file: "PolicyFile", problems: "list[_Wrong]") -> "_Shelf":
        if not file.versions:
            problems.append(_Wrong("it has no version; give it one [[versions]] with a from and its numbers", "name"))
        for before, after in pairwise(file.versions):
            if before.since >= after.since:
                says = f"version {after.since} stands after version {before.since}; order them by date"
                problems.append(_Wrong(says, "from", f"from = {before.since}"))
        stated: dict[str, Any] = {}
        versions = []
        for version in file.versions:
            stated = _merged(stated, version.numbers)
            numbers, found = self._checked(stated)
            since = f"from = {version.since}"
            problems.extend(_Wrong(f"version {version.since}: {each}", each.split(" ")[0], since) for each in found)
            if not found:
                versions.append(Policy(file.name, version.since, numbers))
        return _Shelf(file.description, tuple(versions))

    def _override(self, name: str, since: date, layers: str) -> Policy:
        shipped = self._found(name).version_on(since)
        stated: dict[str, Any] = _plain(shipped.numbers)
        for layer in json.loads(layers):
            stated = _merged(stated, layer)
        numbers, problems = self._checked(stated)
        if problems:
            raise PolicyError(name, *problems)
        return Policy(name, since, numbers)

    def _checked(self, stated: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """All numbers with the schema's defaults filled in, and every problem of `stated` (then the numbers are {})."""
        values = {}
        unknown = [name for name in stated if name not in self._fields]
        problems = [f"{name} is not a number of this policy{did_you_mean(name, self._fields)}" for name in unknown]
        for name, field in self._fields.items():
            if name not in stated:
                if field.required:
                    problems.append(f"{name} is missing")
                continue
            try:
                values[name] = msgspec.convert(stated[name], field.type)
            except msgspec.ValidationError as wrong:
                problems.append(f"{name} = {json.dumps(stated[name], default=str)}: {plainly(str(wrong))}")
        if any(not did_you_mean(name, self._fields) for name in unknown):
            problems.append(f"valid numbers: {', '.join(sorted(self._fields))}")
        if problems:
            return {}, problems
        numbers = self._schema(**values)
        return msgspec.to_builtins(numbers), list(numbers.problems())


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Something wrong with a file: at the line that gives `key` a value, behind the one that begins with `since`."""

    says: str
    key: str
    since: str | None = None


def _placed(name: str, wrong: _Wrong, file: Path | None, *, named: bool) -> str:
    if file is None:
        return f"{name}: {wrong.says}" if named else wrong.says
    line = toml_line(file, wrong.key, [wrong.since] if wrong.since is not None else [])
    return Problem(wrong.says, str(file), line)


@dataclass(frozen=True, slots=True)
class _Shelf:
    description: str
    versions: tuple[Policy, ...]

    def version_on(self, day: date) -> Policy:
        started = bisect_right(self.versions, day, key=lambda version: version.valid_from)
        return self.versions[max(started - 1, 0)]


class PolicyVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers that change on a day."""

    since: date = msgspec.field(name="from")
    numbers: dict[str, Any] = {}


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy as written: all versions, oldest first."""

    name: str
    description: str
    versions: tuple[PolicyVersion, ...]


def read_policy_file(path: Path) -> PolicyFile:
    """What a TOML file says, its numbers not yet checked; PolicyError names the file where it cannot be understood."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), PolicyFile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError, OSError, RecursionError) as wrong:
        at = re.search(r" \(at line (\d+), column \d+\)", str(wrong))
        says = str(wrong).replace(at[0], "") if at else plainly(str(wrong))
        problem = Problem(
            f"{says}; a policy file has name, description and [[versions]]", str(path), int(at[1]) if at else None
        )
        raise PolicyError(path.name, problem) from wrong


def canonical_json(value: object) -> str:
    """The one spelling of a value as JSON: keys sorted, no spaces, no NaN; what content ids are made of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: object) -> str:
    """The first 12 hex digits of the SHA-256 of a value's canonical JSON."""
    return sha256(canonical_json(value).encode()).hexdigest()[:12]


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `under`: tables key by key, everything else replaced, "none" as null."""
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[name] = _merged(below, value)
        else:
            merged[name] = None if value == NULL else value
    return merged


def _plain(value: Any) -> Any:
    """`value` with read-only mappings as dicts and tuples as lists: what JSON and msgspec take."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _freeze(policy_name: str, number: str, value: object) -> Value:
    if value is None or isinstance(value, int | str):
        return value
    if isinstance(value, list | tuple):
        return tuple(_freeze(policy_name, number, inner) for inner in value)
    if isinstance(value, Mapping):
        return MappingProxyType({str(key): _freeze(policy_name, number, inner) for key, inner in value.items()})
    raise PolicyError(policy_name, f"{number} is a {type(value).__name__}; a number is int, text, bool, list or table")
