"""`vipflow serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vipflow.cli.session import Session, command

if TYPE_CHECKING:
    from vipflow.config import Settings


def add_to(app: typer.Typer) -> None:
    command(app, "serve", needs="database")(serve)


def serve(
    session: Session,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Listen there; 0 takes a free port.", metavar="N")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Listen on this address.", metavar="ADDRESS")] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option("--log-level", help="Log from this level on.", metavar="LEVEL"),
    ] = "info",
    demo: Annotated[
        Path | None,
        typer.Option("--demo", help="Go on with the demo played in this folder, on a copy of it.", metavar="FOLDER"),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option("--speed", min=0.01, max=100_000, help="Of the demo: so many seconds pass in one.", metavar="N"),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Of the demo: copy it anew.")] = False,
) -> None:
    """Runs the daemon: timers fire, mails leave, and it tells how it is.

    Where: http://127.0.0.1:8470/healthz, /readyz and /metrics, if config.toml does not say otherwise. It logs to
    stderr, in JSON when that is no terminal. SIGTERM or Ctrl-C ends it in order.
    """
    import sys

    from vipflow.daemon import logs
    from vipflow.daemon.serve import serve
    from vipflow.daemon.sole import let_nobody_work_on
    from vipflow.errors import BadInput
    from vipflow.operations.demo_going_on import continued

    if demo is not None:
        if fresh:
            let_nobody_work_on(demo.parent / "serve" / "vipflow.db")
        settings = continued(demo, demo.parent / "serve", speed=speed, fresh=fresh)
        _say_where(session, settings, port)
    elif speed is not None or fresh:
        raise BadInput("--speed and --fresh", "they are for a demo that goes on", "name it: --demo var/demo")
    else:
        settings = session.settings
    logs.set_up(json=session.out.json or not sys.stderr.isatty(), level=log_level)
    code = serve(settings, host=host, port=port)
    if code:
        raise typer.Exit(code)


def _say_where(session: Session, settings: Settings, port: int | None) -> None:
    """What to look at while the demo goes on."""
    from vipflow.cli.demo import reaching_this_program

    clock, daemon = settings.clock, settings.daemon
    wanted = port if port is not None else daemon.port
    where = f"http://{daemon.host}:{wanted}/healthz, /readyz, /metrics"
    reach = "".join(f"{line}\n             " for line in reaching_this_program())
    session.out.note(
        f"The year that ended on {clock.continues_from:%d %B %Y} goes on, {clock.speed:g} seconds in one; Ctrl-C ends "
        "it, and the next time it goes on from there.\n"
        f"  how it is  {where if wanted else '/healthz, /readyz and /metrics of the url that it logs'}\n"
        f"  mails      {settings.mail.folder}/<reseller>/*.eml\n"
        f"  look       {reach}export VIPFLOW_CONFIG={settings.file}\n"
        "             vipflow daemon list; vipflow timers --reseller thames; vipflow mail list --reseller thames"
    )
