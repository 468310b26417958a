"""Where given data do not fit the class that is to hold them, and what would fit: msgspec's words as people say it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import inspect

from vipflow.errors import did_you_mean

_AT = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<key>key in )?\$(?P<where>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+)\]|(?P<some>\[\.\.\.\])")
_OWN = re.compile(r"^[a-z_0-9]+: ")
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "object": "an object, {…}",
    "array": "a list, […]",
    "date": "a date such as 2024-03-01, as a text",
    "datetime": "an instant such as 2024-03-01T09:30:00Z, as a text",
    "null": "null",
}
_LONGEST = 60


def misfit(wrong: Exception, kind: Any = None, given: Any = None) -> str:
    """What is wrong with `given`, in one sentence: where it stands, what it is, what would be right. `wrong` is what
    msgspec raised, or the ValueError of a struct; `kind` and `given` tell more, where they are at hand.

    >>> misfit(ValueError("Expected `str` of length <= 80 - at `$.company`"))
    'company: at most 80 characters'
    >>> misfit(ValueError("Expected `int` >= 1 - at `$.lines[0].quantity`"), given={"lines": [{"quantity": 0}]})
    'lines[0].quantity: must be at least 1, not 0'
    >>> misfit(ValueError("postal_code: '7501' is none of FR"))
    "postal_code: '7501' is none of FR"
    """
    found = _AT.match(str(wrong))
    if found is None:
        return str(wrong)
    where = (found["where"] or "").removeprefix(".")
    steps = [step.groupdict() for step in _STEP.finditer(found["where"] or "")]
    at = _type_at(kind, steps) if kind is not None else None
    value = _value_at(given, steps)
    problem = _plain(found["problem"], at, value)
    if not where or problem.startswith(f"{where}: "):
        return problem
    return f"{where}.{problem}" if _OWN.match(problem) and problem == found["problem"] else f"{where}: {problem}"


def short(value: Any) -> str:
    """A value in a sentence: shortened where it is long, and nothing in it acts on a terminal.

    >>> short("PO-1"), short("x" * 70), short("\\u202eexe")
    ("'PO-1'", "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…' (70 characters)", "'\\\\u202eexe'")
    """
    if isinstance(value, str):
        cut = f"{value[:_LONGEST] + '…'!r} ({len(value):,} characters)"
        return cut if len(value) > _LONGEST else repr(value)
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, int) and abs(value) >= 10**_LONGEST:
        return "a number of very many digits"
    return repr(value) if isinstance(value, (int, float)) else "an object" if isinstance(value, Mapping) else "a list"


def _is_one(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float))


class _Unknown:
    """Stands for a value that is not at hand."""


_UNKNOWN = _Unknown()


def _plain(problem: str, at: Any, value: Any) -> str:
    is_known = not isinstance(value, _Unknown)
    instead = f", not {short(value)}" if is_known and (_is_one(value) or isinstance(value, str)) else ""
    if found := re.fullmatch(r"Expected `(?P<wanted>[^`]*)`, got `(?P<got>[^`]*)`", problem):
        wanted = " or ".join(_KINDS.get(each, each) for each in found["wanted"].split(" | "))
        return f"write {wanted}{instead or ', not ' + _KINDS.get(found['got'], found['got']).partition(',')[0]}"
    if found := re.fullmatch(r"Expected `str` of length (?P<which>[<>]=) (?P<bound>\d+)", problem):
        return _length(found["which"], int(found["bound"]), value)
    if found := re.fullmatch(r"Expected `(?:int|float)` (?P<which>[<>]=?) (?P<bound>\S+)", problem):
        bound = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}[found["which"]]
        return f"must be {bound} {_number(found['bound'])}{instead}"
    if found := re.fullmatch(r"Expected `(?:array|object)` of length (?P<which>[<>]=) (?P<bound>\d+)", problem):
        if found["which"] == ">=":
            return "at least one is needed" if found["bound"] == "1" else f"at least {found['bound']} are needed"
        has = f", not {len(value):,}" if isinstance(value, (Sequence, Mapping)) else ""
        return f"at most {found['bound']}{has}"
    if found := re.fullmatch(r"Object missing required field `(?P<name>[^`]*)`", problem):
        return f"{found['name']} is missing"
    if found := re.fullmatch(r"Object contains unknown field `(?P<name>[^`]*)`", problem):
        return f"there is no field {found['name']}{did_you_mean(found['name'], fields_of(at))}"
    return _of_its_own(problem, at, value, instead)


def _of_its_own(problem: str, at: Any, value: Any, instead: str) -> str:
    """What is wrong with a value that is of the right kind."""
    if problem.startswith("Invalid enum value"):
        valid = [str(each) for each in _words(at)]
        given = short(value) if not isinstance(value, _Unknown) else problem.removeprefix("Invalid enum value ")
        near = did_you_mean(value, valid) if isinstance(value, str) else ""
        return f"{given} is none of {', '.join(valid)}{near}" if valid else f"{given} is none of those there are"
    if problem == "Invalid RFC3339 encoded date":
        said = f"{short(value)} is no day of the calendar, written " if instead else "write a day "
        return f"{said}as 2024-03-01"
    if problem == "Invalid RFC3339 encoded datetime":
        said = f"{short(value)} is no instant, written " if instead else "write an instant "
        return f"{said}as 2024-03-01T09:30:00Z"
    if problem.startswith("Expected `str` matching regex"):
        schema = getattr(at, "extra_json_schema", None) or {}
        such = next(iter(schema.get("examples", ())), None)
        form = f"not {schema['description']}" if "description" in schema else "not written as it should be"
        said = f"{short(value) if instead else 'it'} is {form}"
        return f"{said}, such as {such}" if such else said
    return problem


def _length(which: str, bound: int, value: Any) -> str:
    if which == ">=":
        return "cannot be empty" if bound == 1 or value == "" else f"at least {bound} characters"
    return f"at most {bound:,} characters" + (f", not {len(value):,}" if isinstance(value, str) else "")


def _number(bound: str) -> str:
    return f"{int(bound):,}" if bound.lstrip("-").isdigit() else bound


# --- where it stands -----------------------------------------------------------------------------------------------


def fields_of(kind: Any) -> list[str]:
    """The fields that a struct takes, by the names they have in JSON; none of anything else."""
    return [field.encode_name for each in _unions(kind) for field in getattr(each, "fields", ())]


def _value_at(given: Any, steps: Sequence[Mapping[str, str | None]]) -> Any:
    for step in steps:
        try:
            given = given[step["name"]] if step["name"] else given[int(step["index"] or "no")]
        except (LookupError, TypeError, ValueError):
            return _UNKNOWN
    return _UNKNOWN if given is None and not steps else given


def _type_at(kind: Any, steps: Sequence[Mapping[str, str | None]]) -> Any:
    found: Any = kind if isinstance(kind, inspect.Type) else inspect.type_info(kind)
    for step in steps:
        found = next(_inside(found, step), None)
        if found is None:
            return None
    return found


def _inside(kind: Any, step: Mapping[str, str | None]) -> Iterator[Any]:
    for each in _unions(kind):
        if step["name"]:
            yield from (field.type for field in getattr(each, "fields", ()) if field.encode_name == step["name"])
        for part in ("item_type", "value_type"):
            if not step["name"] and hasattr(each, part):
                yield getattr(each, part)


def _unions(kind: Any) -> Iterator[Any]:
    """The types that a value may be of, `null` and notes aside."""
    if isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _unions(each)
    elif isinstance(kind, inspect.Metadata) and not isinstance(kind.type, inspect.StrType):
        yield from _unions(kind.type)
    elif kind is not None:
        yield kind if isinstance(kind, inspect.Type) else inspect.type_info(kind)


def _words(kind: Any) -> Iterator[Any]:
    for each in _unions(kind):
        yield from getattr(each, "values", ())
