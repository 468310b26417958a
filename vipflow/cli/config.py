"""`vipflow config …`: which settings count, and what an installation changed of what comes with vipflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vipflow.cli.session import Session, command, group

if TYPE_CHECKING:
    from pathlib import Path

    from vipflow.operations.configuration import Configuration, Setting
    from vipflow.operations.copies import Compared

_STATES = {
    "yours": "changed by you",
    "newer": "changed by vipflow",
    "both": "changed by you and by vipflow",
    "gone": "not in vipflow any more",
    "new": "new in vipflow, not here",
}
_REMEDIES = {
    "newer": "take vipflow's, or delete the copy",
    "both": "take over what you want of it",
    "gone": "see the changelog, whether you still want it",
    "new": "take it over, or leave it out on purpose",
}


def add_to(app: typer.Typer) -> None:
    config = group("config", "See which settings count, and what you changed of what comes with vipflow.")
    command(config, "show", needs="files")(show)
    command(config, "diff", needs="files")(diff)
    app.add_typer(config)


def show(session: Session) -> None:
    """Shows every setting, its value, and where that was said.

    By a line of the file, by a variable, or by nobody: then the default counts. Paths are shown as they are understood,
    passwords are masked.
    """
    from rich.text import Text

    from vipflow.cli.output import table
    from vipflow.operations.configuration import configuration

    found = configuration(session.defaults)
    where = f"{found.file}" if found.file is not None else "There is no config.toml here: these are the defaults."
    columns = {
        "Setting": lambda each: each.name,
        "Value": _value,
        "Said by": lambda each: _said_by(each, found),
    }
    session.out.answer(found, Text(where), table(columns, found.settings))


def _value(setting: Setting) -> str:
    from vipflow.cli.output import shown

    value = setting.value
    if value in (None, []):
        return "none"
    return f"{value:,g}" if isinstance(value, float) else shown(value)


def _said_by(setting: Setting, found: Configuration) -> str:
    if setting.source == "environment":
        return f"{setting.variable}"
    if setting.source == "file" and found.file is not None:
        return found.file.name if setting.line is None else f"{found.file.name} line {setting.line}"
    return "default"


def diff(
    session: Session,
    file: Annotated[
        str | None,
        typer.Argument(help="One of the copies, to see it line by line; all in a list if left out.", metavar="FILE"),
    ] = None,
    seen: Annotated[
        bool, typer.Option("--seen", help="You saw it: from now on tell only what changes after this release.")
    ] = False,
) -> None:
    """Compares your copies of what comes with vipflow with what comes with it now.

    The copies are those that `vipflow init --with` made. After an upgrade it tells what you changed from what vipflow
    changed since. It changes none of them.
    """
    from rich.text import Text

    from vipflow.errors import BadInput
    from vipflow.operations import copies

    if file is not None and seen:
        raise BadInput("--seen", "it is for all copies together", "leave the file out")
    folder = _folder(session)
    if file is None:
        _tell(session, copies.compare(folder))
        if seen:
            copies.seen(folder)
            session.out.note("Noted: from now on they are compared with what comes with this release.")
        return
    lines = copies.difference(folder, file)
    session.out.answer(
        {"file": file, "lines": lines}, *(Text(line) for line in lines or [f"{file} is as it comes with vipflow."])
    )


def _folder(session: Session) -> Path:
    file = session.settings.file
    assert file is not None  # noqa: S101  # why: `settings` are those of a file
    return file.resolve().parent


def _tell(session: Session, found: Compared) -> None:
    out = session.out
    changed = [each for each in found.files if each.state != "same"]
    if out.json:
        out.write_json(found)
        return
    if changed:
        columns = {
            "File": lambda each: each.file,
            "Since it was copied": lambda each: _STATES[each.state],
            "What to do": lambda each: _REMEDIES.get(each.state),
        }
        out.rows(changed, columns)
        out.note("`vipflow config diff <file>` shows one line by line; --seen: from now on only what changes is told.")
    same = len(found.files) - len(changed)
    if same:
        out.console.print(f"{same} {'copies are as they come' if same > 1 else 'copy is as it comes'} with vipflow.")
