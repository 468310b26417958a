"""What Jinja says of a template that it cannot read, in words for its author."""

from __future__ import annotations

import re
from collections.abc import Callable

from vipflow.errors import did_you_mean

TAGS = ("if", "elif", "else", "for", "with", "include", "endif", "endfor", "endwith")
_OPENED = "if, for, with, include"
_CLOSERS = {"endif": "if", "else": "if", "elif": "if", "endfor": "for", "endwith": "with"}
_TOKENS = {
    "end of print statement": "}}",
    "begin of print statement": "{{",
    "end of statement block": "%}",
    "begin of statement block": "{%",
    "end of template": "the end of the file",
    "name": "a name",
}


def _unknown_tag(found: re.Match[str]) -> str:
    tag, inner = found[1], found[2]
    if tag not in _CLOSERS and not tag.startswith("end"):
        return f"there is no tag {{% {tag} %}}{did_you_mean(tag, TAGS)}; there are {_OPENED}"
    if inner:
        return f"{{% {tag} %}} stands where {{% {inner} %}} must be closed first: {{% end{inner} %}}"
    opener = _CLOSERS.get(tag)
    return f"{{% {tag} %}} closes nothing" + (f": no {{% {opener} %}} is open here" if opener else "")


def _expected(found: re.Match[str]) -> str:
    wanted, got = _TOKENS.get(found[1], repr(found[1])), _TOKENS.get(found[2], repr(found[2]))
    if wanted == "}}":
        return f"{got} cannot stand here; a {{{{ holds one fact, perhaps with filters: {{{{ due_on | day }}}}"
    return f"{got} cannot stand here; {wanted} is expected"


_SAID: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"Encountered unknown tag '(\w+)'(?:.*innermost block that needs to be closed is '(\w+)')?", _unknown_tag),
    (
        r"Unexpected end of template.*innermost block that needs to be closed is '(\w+)'",
        lambda found: f"{{% {found[1]} %}} is never closed; write {{% end{found[1]} %}} where it ends",
    ),
    (r"unexpected end of template, expected 'end of print statement'", "a {{ is never closed; write }} after the fact"),
    (r"unexpected end of template, expected 'end of statement block'", "a {% is never closed; write %} after the tag"),
    (r"unexpected end of template", "the file ends in the middle of a {{ or a {%; close it with }} or %}"),
    (r"tag name expected", f"after {{% stands a word: {_OPENED}"),
    (r"[Ee]xpected an expression, got '(.*)'", "a fact is missing here; write for example {{ due_on | day }}"),
    (r"expected token '(.+?)', got '(.+?)'", _expected),
    (
        r"unexpected char '([\"'])' at|unexpected char \"(')\" at",
        "a text in quotes is not closed; write the same quote where it ends",
    ),
    (
        r"unexpected char (.) ?(.+?)\1 at|unexpected char '(.)' at",
        lambda found: f"the character {found[2] or found[3]} cannot stand in a {{{{ or a {{%",
    ),
    (r"unexpected '(.*)'", lambda found: f"{found[1]} closes nothing here"),
    (r"Missing end of comment tag", "a {# is never closed; write #} where the comment ends"),
    (r"Missing end of raw directive", "{% raw %} is never closed; write {% endraw %} where it ends"),
    (
        r"Invalid isoformat string: (.+)",
        lambda found: f"{found[1]} is no date; the filters day, month and moment take one",
    ),
    (
        r"codec can't decode byte 0x(\w+)",
        "it is not written in UTF-8; save it as UTF-8",
    ),
)


def plainly(message: str) -> str:
    """The sentence for the author; what is not Jinja's own stays as it is.

    >>> plainly("Encountered unknown tag 'form'.")
    'there is no tag {% form %} (did you mean for?); there are if, for, with, include'
    """
    for pattern, said in _SAID:
        found = re.search(pattern, message, re.DOTALL)
        if found:
            return said if isinstance(said, str) else said(found)
    return message
