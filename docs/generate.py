#!/usr/bin/env python3
"""Writes what these pages say of the code from the code itself: events, states, policies, settings.

    python docs/generate.py           brings the pages up to date
    python docs/generate.py --check   names the pages that are not, and ends with 1

In a page, all between `<!-- generated: NAME -->` and `<!-- end -->` is ours; the rest is written by hand.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import inspect as types

from vipflow.config import sections, shipped
from vipflow.delivery.bounces import MessageBounce
from vipflow.machine import Machine, Workflows
from vipflow.operations.bounces import TYPE as BOUNCE
from vipflow.operations.words import event_label
from vipflow.operations.workflow_files import load_workflow_files
from vipflow.vip.numbers import SHIPPED_POLICIES, Numbers, load_policies
from vipflow.workflow import Email, NoData, Send

DOCS = Path(__file__).resolve().parent
_MARKED = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    old = {path: made for path, made in pages().items() if path.read_text(encoding="utf-8") != made}
    if "--check" in arguments:
        for path in old:
            print(f"docs/{path.name} is not current: run `python docs/generate.py`")
        return 1 if old else 0
    for path, made in old.items():
        path.write_text(made, encoding="utf-8")
        print(f"docs/{path.name} written")
    return 0


def pages(folder: Path = DOCS) -> dict[Path, str]:
    """Every page with something generated in it, as it should be."""
    workflows = load_workflow_files(shipped("workflows"))
    parts: Mapping[str, Callable[[], Iterable[str]]] = {
        "events": lambda: _events(workflows),
        "event-data": lambda: _event_data(workflows),
        "states": lambda: _states(workflows),
        "numbers": _numbers,
        "policies": _policies,
        "settings": _settings,
    }

    def filled(found: re.Match[str]) -> str:
        made = "\n".join(parts[found["name"]]())
        return f"{found[1]}\n{made.strip()}\n\n{found[3]}"

    made = {}
    for path in sorted(folder.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if _MARKED.search(text):
            made[path] = _MARKED.sub(filled, text)
    return made


# --- events --------------------------------------------------------------------------------------------------------


def _events(workflows: Workflows) -> Iterator[str]:
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


def _event_data(workflows: Workflows) -> Iterator[str]:
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
    notes = _notes(kind)
    yield "| field | what it holds | if left out | note |"
    yield "|---|---|---|---|"
    for field in types.type_info(kind).fields:  # type: ignore[attr-defined]  # why: every event's data is a struct
        yield f"| `{field.encode_name}` | {_words(field.type)} | {_default(field)} | {notes.get(field.name, '')} |"
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


def _notes(kind: type) -> dict[str, str]:
    """What stands as a text below each field in the source, in the class and those it is made from."""
    found: dict[str, str] = {}
    for cls in reversed(kind.__mro__):
        if not cls.__module__.startswith(("vipflow", "workflows")):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        except (OSError, TypeError):
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, note in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(note, ast.Expr):
                value = note.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found[field.target.id] = " ".join(value.value.split())
    return found


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


# --- states --------------------------------------------------------------------------------------------------------


def _states(workflows: Workflows) -> Iterator[str]:
    for machine in workflows:
        yield f"## {machine.title.en}\n"
        yield f"{_first_sentence(machine.cls)}\n"
        yield "```mermaid"
        yield from _drawing(machine)
        yield "```\n"
        yield "| state | in French | | the clock sends | mails on arriving |"
        yield "|---|---|---|---|---|"
        for state in machine.states:
            kind = "settled" if state in machine.settled else ""
            clock = "; ".join(f"`{event}` {_when(when)}" for event, when, _ in machine.timers[state])
            mails = _mails(machine.mails_on_arrival.get(state, ()))
            label = machine.labels[state]
            shown = f"`{state}`" if label.en == state else f"`{state}`: {label.en}"
            yield f"| {shown} | {label.fr} | {kind} | {clock} | {mails} |"
        yield ""
        others = [f"`{event}`: {_mails(mails)}" for event, mails in machine.mails_on_event.items()]
        others += [f"`{event}` in `{state}`: {_mails(m)}" for (state, event), m in machine.mails_on_event_in.items()]
        if others:
            yield f"Mails on events: {'; '.join(others)}.\n"


def _drawing(machine: Machine) -> Iterator[str]:
    yield "stateDiagram-v2"
    for state in machine.states:
        if machine.labels[state].en != state:
            yield f'    state "{machine.labels[state].en}" as {state}'
    arrows: dict[tuple[str, str], list[str]] = {}
    for name, states in machine.opening_states.items():
        for state in states:
            arrows.setdefault(("[*]", state), []).append(name)
    clock = {(state, event) for state, timers in machine.timers.items() for event, _, _ in timers}
    for (state, event), edges in machine.edges.items():
        for edge in edges:
            if edge.target != state:  # what leaves it where it is would only clutter the drawing
                words = arrows.setdefault((state, edge.target), [])
                words.append(f"{event} (clock)" if (state, event) in clock else event)
    for (source, target), events in arrows.items():
        yield f"    {source} --> {target}: {', '.join(dict.fromkeys(events))}"
    for state in machine.states:
        if state in machine.final:
            yield f"    {state} --> [*]"


def _mails(mails: Iterable[Email]) -> str:
    return ", ".join(f"`{mail.template}`" for mail in mails)


def _when(when: Any) -> str:
    if when.plan is not None:
        return "on the days that it works out itself"
    if when.repeats:
        first = f", first after {_days(when.first)}" if when.first is not None else ""
        return f"every {_days(when.days)}{first}"
    if when.days == 0:
        return f"on `{when.fact}`"
    if when.days == 1 and when.sign > 0:
        return f"the day after `{when.fact}`"
    return f"{_days(when.days)} {'before' if when.sign < 0 else 'after'} `{when.fact}`"


def _days(days: Any) -> str:
    if isinstance(days, int):
        return f"{days} day{'' if days == 1 else 's'}"
    return f"`{days}`" if isinstance(days, str) or not isinstance(days, (list, tuple)) else f"{days} days"


def _first_sentence(cls: type) -> str:
    doc = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    return re.sub(r" \(seed: [^)]*\)", "", doc)


# --- policies ------------------------------------------------------------------------------------------------------


def _numbers() -> Iterator[str]:
    book = load_policies()
    names = book.names
    sources = {name: _sources(name) for name in names}
    notes = _notes(Numbers)
    yield f"| number | {' | '.join(f'`{name}`' for name in names)} | what it says |"
    yield f"|---|{'---|' * len(names)}---|"
    for field in msgspec.structs.fields(Numbers):
        cells = []
        for name in names:
            value = getattr(book.versions(name)[-1], field.name)
            source = sources[name].get(field.name)
            cells.append(_shown(value) + (f" *{source}*" if source and value is not None else ""))
        said = re.sub(r"^\[[^\]]*\] ", "", notes.get(field.name, ""))
        yield f"| `{field.name}` | {' | '.join(cells)} | {_safe(said)} |"


def _policies() -> Iterator[str]:
    book = load_policies()
    for name in book.names:
        versions = ", ".join(f"{version.valid_from}: `{version.id}`" for version in book.versions(name))
        yield f"- `{name}` ({versions}). {book.description(name)}"


def _sources(policy: str) -> dict[str, str]:
    """Where each number of a policy file comes from: the tag in the comment behind it."""
    for path in sorted(SHIPPED_POLICIES.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        if tomllib.loads(text)["name"] == policy:
            return {found[1]: found[2] for found in re.finditer(r"^(\w+) = .*?# \[(\w+)\]", text, re.MULTILINE)}
    return {}


def _shown(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case tuple():
            shown = ("/".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in value)
            return ", ".join(shown) or "none"
        case Mapping():
            return ", ".join(f"{key} {inner}" for key, inner in value.items())
        case _:
            return str(value)


# --- settings ------------------------------------------------------------------------------------------------------


def _settings() -> Iterator[str]:
    """A table for each section of config.toml."""
    for name, section in sections().items():
        yield f"## `[{name}]`\n"
        doc = inspect.cleandoc(section.__doc__ or "") if "__doc__" in vars(section) else ""
        if doc and not doc.startswith("A table of the file"):
            yield f"{doc}\n"
        yield "| setting | what it says | a value | if left out |"
        yield "|---|---|---|---|"
        for key, field in section.model_fields.items():
            says = _safe(_plain(field.description or ""))
            yield f"| `{key}` | {says} | {_safe(_value_of(field))} | {_left_out(field)} |"
        yield ""


def _value_of(field: Any) -> str:
    """What may be written for a setting."""
    kind = field.annotation
    arguments = [each for each in get_args(kind) if each is not type(None)]
    if get_origin(kind) is Literal:
        return " or ".join(f'`"{value}"`' for value in arguments)
    if get_origin(kind) is tuple:
        return "a path, or a list of them"
    plain = arguments[0] if arguments else kind
    if plain in (int, float):
        bounds = {
            name: getattr(each, name.lower()) for each in field.metadata if (name := type(each).__name__) in _BOUNDS
        }
        least, above, most = (bounds.get(name) for name in _BOUNDS)
        word = "whole number" if plain is int else "number"
        if least is not None and most is not None:
            return f"{word}, {least:,g} to {most:,g}"
        start = f", {least:,g} or more" if least is not None else f" above {above:,g}" if above is not None else ""
        return f"{word}{start}" + (f", at most {most:,g}" if most is not None else "")
    return {Path: "path", datetime: "instant, as `2025-12-31T18:00:00Z`"}.get(plain, "text")


_BOUNDS = ("ge", "gt", "le")


def _left_out(field: Any) -> str:
    if field.default_factory is not None:
        return "what comes with vipflow"
    match field.default:
        case None | ():
            return "none"
        case float() as number:
            return f"`{number:g}`"
        case Path() | str() as text:
            return f'`"{text}"`'
        case other:
            return f"`{other}`"


def _plain(text: str) -> str:
    """Placeholders as code: a page would take them for tags."""
    return re.sub(r"\S*<\w+>\S*", lambda found: f"`{found[0]}`", text)


def _safe(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
