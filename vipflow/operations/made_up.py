"""Facts made up from their types, so that the mails of somebody's own workflow can be tried out before there is a case.

What cannot be made up (a pattern nobody guesses, a vocabulary that asks for more) is left out: then a mail is read and
not rendered, which is no fault of its author.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import inspect

from vipflow.case import Case, Tenant, View
from vipflow.errors import Problem, did_you_mean
from vipflow.machine import Machine, Workflows
from vipflow.policy import Policy
from vipflow.sources import Places

NOW = datetime(2025, 1, 16, 10, tzinfo=UTC)
_DEEPEST = 6
_TEXTS = (
    *("Example & Co", "Example", "example", "EXAMPLE", "reader@example.org", "https://example.org/a", "2025-01-20"),
    *("09:30", "1", "42", "1234567890", "FR", "fr", "44000", "+33123456789", "A-1", "a-b"),
)


class CannotMakeUp(Exception):
    """Raised for a type of which no value can be guessed."""


def made_up(kind: Any, *, everything: bool) -> Any:
    """A value of a type: with `everything` that may be absent, or without. Raises CannotMakeUp."""
    try:
        plain = _plain(inspect.type_info(kind), "", everything, 0)
        return msgspec.convert(plain, kind, strict=False)
    except (msgspec.ValidationError, TypeError, ValueError) as wrong:
        raise CannotMakeUp(str(wrong)) from wrong


def _plain(kind: inspect.Type, name: str, everything: bool, depth: int) -> Any:
    if depth > _DEEPEST:
        raise CannotMakeUp("it nests without end")
    deeper = depth + 1
    match kind:
        case inspect.StructType(fields=fields):
            return {
                field.encode_name: _plain(field.type, field.name, everything, deeper)
                for field in fields
                if everything or field.required
            }
        case inspect.UnionType(types=types):
            absent = [each for each in types if isinstance(each, inspect.NoneType)]
            if absent and not everything:
                return None
            return _plain(next(each for each in types if each not in absent), name, everything, deeper)
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            return [_plain(kind.item_type, name, everything, deeper)] * max(1, kind.min_length or 0)
        case inspect.TupleType(item_types=types):
            return [_plain(each, name, everything, deeper) for each in types]
        case inspect.DictType(key_type=key, value_type=value):
            return {_plain(key, name, everything, deeper): _plain(value, name, everything, deeper)}
        case inspect.StrType():
            return _text(kind, name)
        case inspect.IntType() | inspect.FloatType():
            least = kind.ge if kind.ge is not None else (kind.gt + 1 if kind.gt is not None else 3)
            return least if kind.le is None or kind.le >= least else kind.le
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.EnumType(cls=cls):
            return next(iter(cls)).value
        case inspect.BoolType():
            return everything
        case inspect.DateType():
            return "2025-01-20"
        case inspect.DateTimeType():
            return "2025-01-20T09:30:00Z"
        case inspect.TimeType():
            return "09:30:00"
        case inspect.DecimalType():
            return "12.50"
        case inspect.NoneType() | inspect.AnyType():
            return None
        case _:
            raise CannotMakeUp(type(kind).__name__)


def _text(kind: inspect.StrType, name: str) -> str:
    likely = {"mail": "reader@example.org", "link": "https://example.org/a", "url": "https://example.org/a"}
    first = [text for word, text in likely.items() if word in name]
    for text in (*first, *_TEXTS):
        long = text.ljust(kind.min_length or 0, "x")
        if (kind.max_length is None or len(long) <= kind.max_length) and (
            kind.pattern is None or re.search(kind.pattern, long)
        ):
            return long
    raise CannotMakeUp(f"a text like {kind.pattern}")


# --- what mails are told -------------------------------------------------------------------------------------------


def words_made_up(workflows: Workflows, machine: Machine, trade: Any) -> dict[str, Mapping[str, Any]]:
    """The words that a workflow's vocabulary makes of made-up facts, by what is special about them; empty where none
    could be made up.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for label, everything in (("made-up facts", True), ("made-up facts, nothing that may be absent", False)):
        try:
            words = machine.vocabulary(*_facts_and_view(workflows, machine, trade, everything))
            found[label] = msgspec.to_builtins(words)
        except Exception:  # noqa: S112 # why: a vocabulary may rightly ask for more than types tell
            continue
    return found


def _facts_and_view(workflows: Workflows, machine: Machine, trade: Any, everything: bool) -> tuple[Any, View]:
    policy = Policy("none", NOW.date(), {})
    cases = {}
    for each in {workflows.root.name: workflows.root, machine.name: machine}.values():
        ref = f"{each.prefix}-7K3F-9QTD"
        facts = made_up(each.facts, everything=everything)
        cases[ref] = Case(ref, each.name, each.initial, facts, policy.id, NOW, NOW)
    case = cases[f"{machine.prefix}-7K3F-9QTD"]
    tenant = Tenant(1, "example", "Example", ZoneInfo("Europe/Paris"), "en")
    view = View(
        tenant=tenant,
        subject=f"{workflows.root.prefix}-7K3F-9QTD",
        root=workflows.subject_workflow,
        cases=cases,
        sequence=1,
        tally={},
        policies={policy.id: policy},
        trade=trade,
        at=NOW,
        now=NOW,
        case=case,
    )
    return case.facts, view


def contexts_made_up(
    workflows: Workflows, trade: Any, without: Mapping[str, Any]
) -> tuple[dict[str, Mapping[str, Mapping[str, Any]]], list[Problem]]:
    """Contexts of the templates that have no samples, and the words that mails say and no vocabulary gives."""
    contexts: dict[str, Mapping[str, Mapping[str, Any]]] = {}
    problems: dict[Problem, None] = {}
    for machine in workflows:
        ours = [email for email in machine.emails if email.template not in without]
        if not ours or machine.vocabulary is None:
            continue
        words = words_made_up(workflows, machine, trade)
        if not words:
            continue
        problems |= dict.fromkeys(_words_not_given(machine, next(iter(words.values()))))
        for email in ours:
            told = (*machine.record_block, *email.says)
            contexts[email.template] = {
                label: {"reference": f"{machine.prefix}-7K3F-9QTD", **{word: given[word] for word in told}}
                for label, given in words.items()
                if all(word in given for word in told)
            }
    return contexts, list(problems)


def _words_not_given(machine: Machine, given: Mapping[str, Any]) -> Iterator[Problem]:
    places = Places(machine.cls)
    for at, word in enumerate(machine.record_block):
        if word not in given:
            says = f"`record_block` names {word!r}, which the vocabulary does not give{did_you_mean(word, given)}"
            yield Problem(says, *places.of("record_block", at))
    for at, email in enumerate(machine.emails):
        for word in email.says:
            if word not in given:
                near = did_you_mean(word, given)
                says = f"mail {email.template!r} says {word!r}, which the vocabulary does not give{near}"
                yield Problem(says, *places.of("emails", at))
