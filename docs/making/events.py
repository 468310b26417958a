"""The tables of events and of their data, from the compiled workflows and the classes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import inspect as types

from making.notes import notes
from vipflow.delivery.bounces import MessageBounce
from vipflow.machine import Machine, Workflows
from vipflow.operations.bounces import TYPE as BOUNCE
from vipflow.operations.words import event_label
from vipflow.workflow import NoData, Send


def events(workflows: Workflows) -> Iterator[str]:
    senders = _senders(workflows)
    for machine in workflows:
        yield f"### `{machine.name}`: {machine.title.en.lower()}\n"
        yield f"Subject: {_subject(machine, workflows)}.\n"
        yield "| event | kind | what happens | from → to | data |"
        yield "|---|---|---|---|---|"
        for name in (*machine.openings, *machine.events):
            event_type = f"{machine.name}.{name}"
            kind = machine.kind_of(name)
            sent_by = senders.get(event_type, [])
            if kind == "internal":
                kind = "; ".join(_by_whom(sent_by)) or "internal"
            elif "clock" in sent_by:
                kind += ", clock"
            if _needs_reason(machine, name):
                kind += ", with a reason"
            yield (
                f"| `{event_type}` | {kind} | {event_label(event_type).en} "
                f"| {_moves(machine, name)} | {_data_link(machine, name)} |"
            )
        yield ""
    yield "### `message`: mails\n"
    yield f"Subject: `{workflows.root.collection}/<reference>`, or none where `data` names the mail.\n"
    yield "| event | kind | what happens | data |"
    yield "|---|---|---|---|"
    told = f"`{workflows.root.name}.{workflows.root.on_bounce}`"
    yield (
        f"| `{BOUNCE}` | report | a mail came back: the customer learns of it ({told}), once for each mail and "
        f"address; an address that is gone for good is not written to any more | {_class_link(MessageBounce)} |"
    )
    yield ""


def _senders(workflows: Workflows) -> dict[str, list[str]]:
    """Who sends each event that is not posted from outside: the clock, or which other events."""
    found: dict[str, list[str]] = {}
    for machine in workflows:
        for timers in machine.timers.values():
            for event, _, _ in timers:
                found.setdefault(f"{machine.name}.{event}", []).append("clock")
        if machine.on_incident:
            found.setdefault(f"{machine.name}.{machine.on_incident}", []).append("engine, at an incident")
        declared: list[tuple[str, Iterable[Send]]] = [(o.event, o.then) for o in machine.openings.values()]
        declared += [(name, change.then) for name, change in machine.changes.items()]
        for event, then in declared:
            for send in then:
                found.setdefault(send.event, []).append(f"`{machine.name}.{event}`")
    return found


def _by_whom(senders: Iterable[str]) -> Iterator[str]:
    known = list(dict.fromkeys(senders))
    yield from (sender for sender in known if not sender.startswith("`"))
    followed = [sender for sender in known if sender.startswith("`")]
    if followed:
        yield f"follows {_listed(followed)}"


def _subject(machine: Machine, workflows: Workflows) -> str:
    root = workflows.root.collection
    if machine.is_subject:
        return f"`{root}/<reference>`; to open one, `{root}/<your own reference>` or none"
    if machine.one_per_subject:
        return f"`{root}/<reference>`: there is one for each"
    return (
        f"`{root}/<reference>/{machine.collection}/<reference>` or `{machine.collection}/<reference>`; "
        f"to open one, `{root}/<reference>`, with `/{machine.collection}/<your own reference>` if you have one"
    )


def _needs_reason(machine: Machine, name: str) -> bool:
    change = machine.changes.get(name)
    return change is not None and change.reason_required


def _moves(machine: Machine, name: str) -> str:
    if name in machine.openings:
        return "opens it " + " or ".join(machine.opening_states[name])
    moves: dict[tuple[str, ...], list[str]] = {}
    for (state, event), edges in machine.edges.items():
        if event == name:
            targets = tuple(dict.fromkeys("itself" if edge.target == state else edge.target for edge in edges))
            moves.setdefault(targets, []).append(state)
    if len(machine.states) == 1:
        return "stays"
    return "; ".join(f"{', '.join(sources)} → {' or '.join(targets)}" for targets, sources in moves.items())


def _data_link(machine: Machine, name: str) -> str:
    if machine.kind_of(name) == "internal":
        return ""
    kind = machine.data_of(name)
    return "none" if kind is NoData else _class_link(kind)


def _class_link(kind: type) -> str:
    return f"[{kind.__name__}](#{kind.__name__.lower()})"


def event_data(workflows: Workflows) -> Iterator[str]:
    """A table for each data class of the events that may be posted, and for the classes inside them."""
    users: dict[type, list[str]] = {MessageBounce: [f"`{BOUNCE}`"]}
    for machine in workflows:
        for name in (*machine.openings, *machine.events):
            if machine.kind_of(name) != "internal" and machine.data_of(name) is not NoData:
                users.setdefault(machine.data_of(name), []).append(f"`{machine.name}.{name}`")
    inner = dict.fromkeys(within for kind in users for within in _structs_in(kind) if within not in users)
    for kind, events in sorted(users.items(), key=lambda item: item[0].__name__):
        yield from _class_table(kind, f"Of {_listed(events)}.")
    for kind in sorted(inner, key=lambda each: each.__name__):
        yield from _class_table(kind, "Inside others.")


def _class_table(kind: type, who: str) -> Iterator[str]:
    yield f"### {kind.__name__}\n"
    doc = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    yield f"{doc} {who}\n".lstrip()
    said = notes(kind)
    yield "| field | what it holds | if left out | note |"
    yield "|---|---|---|---|"
    for field in types.type_info(kind).fields:  # type: ignore[attr-defined]  # why: every event's data is a struct
        yield f"| `{field.encode_name}` | {_words(field.type)} | {_default(field)} | {said.get(field.name, '')} |"
    yield ""


def _structs_in(kind: type) -> Iterator[type]:
    def walk(found: Any) -> Iterator[type]:
        match found:
            case types.Metadata():
                yield from walk(found.type)
            case types.StructType():
                yield found.cls
                for field in found.fields:
                    yield from walk(field.type)
            case types.VarTupleType() | types.ListType():
                yield from walk(found.item_type)
            case types.UnionType():
                for each in found.types:
                    yield from walk(each)

    for field in types.type_info(kind).fields:  # type: ignore[attr-defined]  # why: every event's data is a struct
        yield from walk(field.type)


def _words(kind: Any) -> str:
    match kind:
        case types.Metadata():
            return _words(kind.type)
        case types.UnionType():
            rest = [each for each in kind.types if not isinstance(each, types.NoneType)]
            return " or ".join([*map(_words, rest), *(["null"] if len(rest) < len(kind.types) else [])])
        case types.StrType():
            pattern = f" like `{kind.pattern.removesuffix('(?!' + chr(92) + 'n)')}`" if kind.pattern else ""
            return "text" + pattern + _bounds(" of", kind.min_length, kind.max_length, " characters")
        case types.IntType():
            return "whole number" + _bounds(" from", kind.ge, kind.le, "")
        case types.BoolType():
            return "`true` or `false`"
        case types.DateType():
            return "day, as `2024-03-01`"
        case types.LiteralType():
            return " or ".join(f'`"{value}"`' for value in kind.values)
        case types.StructType():
            return f"[{kind.cls.__name__}](#{kind.cls.__name__.lower()})"
        case types.VarTupleType() | types.ListType():
            return "list" + _bounds(" of", kind.min_length, kind.max_length, ":") + f" {_words(kind.item_type)}"
        case types.DictType():
            return "object"
        case _:
            return type(kind).__name__.removesuffix("Type").lower()


def _bounds(word: str, least: int | None, most: int | None, unit: str) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f"{word} at least {least:,}{unit}"
    return f"{word} {least or 0:,} to {most:,}{unit}"


def _default(field: Any) -> str:
    if field.required:
        return "**required**"
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if default is None:
        return ""
    if isinstance(default, (tuple, list)):
        return ", ".join(f"`{each}`" for each in default) or "empty"
    return "empty" if default in ({}, "") else f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
