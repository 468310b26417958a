"""`vipflow daemon …`: the daemons that work on this database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.session import Session, command, group

if TYPE_CHECKING:
    from vipflow.operations.daemons import DaemonEntry


def add_to(app: typer.Typer) -> None:
    daemon = group("daemon", "Look at the daemons that work on this database.")
    command(daemon, "list", needs="database", rows="vipflow.operations.daemons.DaemonEntry")(list_daemons)
    app.add_typer(daemon)


def list_daemons(
    session: Session,
    everybody: Annotated[bool, typer.Option("--all", help="Also those that have stopped, of the last month.")] = False,
) -> None:
    """Shows the daemons: who they are, whether they live, what each has done.

    A stale one should live, and was not heard of for three heartbeats (half a minute): it was killed, or stands still.
    What it had in hand is taken over by others, or by its successor.
    """
    from vipflow.operations.daemons import known_daemons

    found = known_daemons(session.installation, everybody=everybody)
    columns = {
        "Process": lambda each: f"{each.host}:{each.pid}",
        "State": lambda each: each.state,
        "Started (UTC)": lambda each: f"{each.started_at:%Y-%m-%d %H:%M:%S}",
        "Last seen": _last_seen,
        "Where": lambda each: each.details.get("url"),
        "Did": _did,
        "Version": lambda each: each.version,
    }
    session.out.rows(found, columns, empty="No daemon works here: start one with `vipflow serve`.")


def _last_seen(entry: DaemonEntry) -> str:
    """`12 s ago`: so one that is called alive, and was killed a moment ago, can be told by who knows its heartbeat."""
    if entry.silent_for < 120:
        return f"{entry.silent_for} s ago"
    if entry.silent_for < 7200:
        return f"{entry.silent_for // 60} min ago"
    return f"{entry.beat_at:%Y-%m-%d %H:%M:%S} UTC"


def _did(entry: DaemonEntry) -> str:
    counts = entry.details.get("counts", {})
    told = [f"{counts.get(name, 0):,} {name}" for name in ("transitions", "mails")]
    told += [f"{counts[name]:,} {name}" for name in ("failures", "refused") if counts.get(name)]
    if entry.details.get("transport_paused"):
        told.append(f"mail paused: {entry.details['transport_paused']}")
    return ", ".join(told)
