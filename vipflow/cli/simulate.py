"""`vipflow simulate`: what would happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.options import Limit, PolicyName, Zone
from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from vipflow.operations.simulation import Simulation


def add_to(app: typer.Typer) -> None:
    command(app, "simulate", needs="files")(simulate)


def simulate(
    session: Session,
    file: Annotated[str, typer.Argument(help="JSON lines, in the order of arrival.", metavar="FILE")],
    since: Annotated[str, typer.Option("--from", help="The first day.", metavar="DATE")],
    until: Annotated[str, typer.Option("--until", help="The last day, to its end.", metavar="DATE")],
    policy: PolicyName = "vip-2024",
    zone: Zone = "Europe/Paris",
    language: Annotated[str, typer.Option("--language", help="fr or en.", metavar="LANG")] = "fr",
    limit: Limit = 100,
) -> None:
    """Shows what a file of events would lead to, and keeps nothing.

    The clock moves from the first day to the last; what it brings is shown: transitions, mails and final states. No
    mail leaves, your database is not looked at. Events from before the first day arrive when it
    begins. Bad lines are listed and left out; the exit code is that of `event post`.
    """
    from zoneinfo import ZoneInfo

    from vipflow.cli.event import opened
    from vipflow.errors import BadInput
    from vipflow.operations.dates import day
    from vipflow.operations.events import numbered_lines
    from vipflow.operations.simulation import owners_in, simulate

    if language not in ("fr", "en"):
        raise BadInput("--language", f"{language!r} is none that mails are written in", "write fr or en")
    with opened(file, "name a file of JSON lines") as stream:
        team = owners_in(numbered_lines(stream))
        stream.seek(0)
        found = simulate(
            session.files,
            numbered_lines(stream),
            since=day("--from", since),
            until=day("--until", until),
            policy=policy,
            zone_name=zone,
            language=language,
            team=team,
            most_steps=limit,
        )
    _show(session, found, ZoneInfo(zone))
    if found.events.exit_code:
        raise typer.Exit(found.events.exit_code)


def _show(session: Session, found: Simulation, zone: Any) -> None:
    from vipflow.cli.event import SHOWN, line_told, tell_bad_lines
    from vipflow.cli.output import change, table, when

    out = session.out
    if out.json:
        events = {
            "lines": found.events.lines,
            "outcomes": found.events.outcomes,
            "bad": list(map(line_told, found.events.bad)),
        }
        out.write_json({**{name: getattr(found, name) for name in found.__struct_fields__}, "events": events})
        return
    steps = {
        "When": lambda step: when(step.at, zone),
        "Customer": lambda step: step.customer,
        "Case": lambda step: step.case if step.case != step.customer else "",
        "What": lambda step: step.label.en,
        "State": lambda step: change(step.from_state, step.to_state),
        "Mails": lambda step: ", ".join(step.mails),
    }
    pieces: list[Any] = []
    if found.steps:
        pieces.append(table(steps, found.steps))
    if found.more_steps:
        pieces.append(f"… and more: --limit shows more than {len(found.steps)} steps.\n")
    for title, counts in (
        ("Transitions", found.transitions),
        ("Mails sent", found.mails),
        ("Mails not sent", found.not_sent),
        ("Cases at the end", found.states),
        ("Events", {name.replace("_", " "): count for name, count in found.events.outcomes.items()}),
    ):
        if counts:
            pieces += ["", table({title: lambda row: row[0], "": lambda row: row[1]}, counts.items())]
    if found.incidents:
        pieces.append("\nIncidents, which need a person:")
        pieces += [f"  - {incident.en}" for incident in found.incidents[:SHOWN]]
        if len(found.incidents) > SHOWN:
            pieces.append(f"  … and {len(found.incidents) - SHOWN:,} more; --json lists all.")
    if found.ignored:
        pieces.append(f"\nleft out, being after the last day: {found.ignored} event{'' if found.ignored == 1 else 's'}")
    out.answer(None, *(pieces or ["Nothing would happen."]))
    tell_bad_lines(out, found.events, "--json lists them.")
