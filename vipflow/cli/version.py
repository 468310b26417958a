"""`vipflow version`."""

from __future__ import annotations

import typer

from vipflow.cli.session import Session, command


def add_to(app: typer.Typer) -> None:
    command(app, "version", needs="nothing")(version)


def version(session: Session) -> None:
    """Shows the versions of vipflow and of what it runs on."""
    import platform
    from importlib.metadata import version as version_of

    from vipflow.store.schema import head_revision

    found = {
        "vipflow": version_of("vipflow"),
        "schema": head_revision(),
        "python": platform.python_version(),
        "sqlite": _sqlite(),
    }
    session.out.answer(
        found,
        f"vipflow {found['vipflow']} (schema {found['schema']}, Python {found['python']}, SQLite {found['sqlite']})",
    )


def _sqlite() -> str:
    import sqlite3

    return sqlite3.sqlite_version
