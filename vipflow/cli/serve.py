"""`vipflow serve`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from vipflow.cli.session import Session, command


def add_to(app: typer.Typer) -> None:
    command(app, "serve", needs="database")(serve)


def serve(
    session: Session,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Listen there; 0 takes a free port.", metavar="N")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Listen on this address.", metavar="ADDRESS")] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option("--log-level", help="Log from this level on.")
    ] = "info",
) -> None:
    """Runs the daemon: timers fire, mails leave, and it tells how it is.

    Where: http://127.0.0.1:8470/healthz, /readyz and /metrics, if config.toml does not say otherwise. It logs to
    stderr, in JSON when that is no terminal. SIGTERM or Ctrl-C ends it in order.
    """
    import sys

    from vipflow.daemon import logs
    from vipflow.daemon.serve import serve

    settings = session.settings
    logs.set_up(json=session.out.json or not sys.stderr.isatty(), level=log_level)
    code = serve(settings, host=host, port=port)
    if code:
        raise typer.Exit(code)
