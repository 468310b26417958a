"""What msgspec says of a value that does not fit, in words for whoever wrote it."""

from __future__ import annotations

import re

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "date": "a day, such as 2025-07-01",
    "datetime": "an instant, such as 2025-07-01T09:00:00Z",
    "null": '"none"',
}
_LIMIT = {">=": "{} or more", "<=": "{} or less", ">": "more than {}", "<": "less than {}"}


def plainly(message: str) -> str:
    """The sentence, and where in the value it applies.

    >>> plainly("Expected `int`, got `str`"), plainly("Expected `int` >= 0 - at `$.days[1]`")
    ('it is a text; write a whole number', 'days[1]: write 0 or more')
    >>> plainly("Object contains unknown field `nmae`")
    'nmae is not known here'
    """
    said, _, place = message.partition(" - at `$")
    place = place.removesuffix("`").removeprefix(".")
    told = _told(said)
    return f"{place}: {told}" if place and place != "." else told


def _told(said: str) -> str:
    if found := re.fullmatch(r"Expected `(.+?)`, got `(.+?)`", said):
        return f"it is {_kind(found[2])}; write {_kind(found[1])}"
    if found := re.fullmatch(r"Expected `\w+(?: \| null)?` (>=|<=|>|<) (\S+)", said):
        return f"write {_LIMIT[found[1]].format(found[2])}"
    if found := re.fullmatch(r"Expected `(array|str|object)` of length (>=|<=|>|<) (\d+)", said):
        unit = "characters" if found[1] == "str" else "entries"
        return f"write {_LIMIT[found[2]].format(found[3])} {unit}"
    if found := re.fullmatch(r"Object missing required field `(\w+)`", said):
        return f"{found[1]} is missing"
    if found := re.fullmatch(r"Object contains unknown field `(.+)`", said):
        return f"{found[1]} is not known here"
    if found := re.fullmatch(r"Invalid enum value (.+)", said):
        return f"{found[1]} is none of its values"
    if said.startswith("Invalid RFC3339 encoded date"):
        return "write a day, such as 2025-07-01"
    if said.startswith("Expected `str` matching regex"):
        return "it is not written as it must be"
    if "codec can't decode byte" in said:
        return "it is not written in UTF-8; save it as UTF-8"
    return said


def _kind(names: str) -> str:
    return " or ".join(_KINDS.get(name, name) for name in names.split(" | "))
