"""`vipflow completion`: lets the shell complete what one types."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from vipflow.cli.session import Session, command

COMPLETES = "_VIPFLOW_COMPLETE"
"""The variable by which a shell's script asks what fits."""


def add_to(app: typer.Typer) -> None:
    command(app, "completion", needs="nothing")(completion)


def completion(
    session: Session,
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="Your shell: bash, zsh or fish.")],
    install: Annotated[
        bool, typer.Option("--install", help="Put it where the shell finds it at its next start, in your home.")
    ] = False,
) -> None:
    """Prints the script that lets Tab complete commands, options and values.

    For this session of bash: `source <(vipflow completion bash)`. For all later ones: --install.
    """
    from typer._completion_shared import get_completion_script
    from typer._completion_shared import install as put

    from vipflow.errors import BadInput

    script = get_completion_script(prog_name="vipflow", complete_var=COMPLETES, shell=shell)
    if not install:
        if session.out.json:
            session.out.write_json({"shell": shell, "script": script})
        else:
            typer.echo(script)
        return
    try:
        _, path = put(shell=shell, prog_name="vipflow", complete_var=COMPLETES)
    except OSError as wrong:
        problem = f"it cannot be put in your home ({wrong.filename}: {wrong.strerror})"
        raise BadInput("the script", problem, f"print it instead: vipflow completion {shell}") from wrong
    said = f"Installed as {path}: it counts from the next {shell} that you start."
    session.out.answer({"shell": shell, "script": script, "path": path}, said)
