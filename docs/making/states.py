"""Every workflow drawn, with a table of its states: from the compiled classes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

from vipflow.machine import Machine, Workflows
from vipflow.workflow import Email


def states(workflows: Workflows) -> Iterator[str]:
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
