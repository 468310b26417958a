"""A folder for a new installation: its settings, each explained, and copies of what one wants to change.

Nothing that is there is touched, and nothing is left half made: all is written beside and moved to its place at the
end, `config.toml` last.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from vipflow.config import FILE, DatabaseSettings, shipped
from vipflow.errors import BadInput
from vipflow.operations.configuration import MASK, told
from vipflow.operations.copies import NOTE, OUR, PARTS, Part, copies_of, note_of

README = "README.md"

_SETTINGS: Mapping[Part, tuple[str, str]] = {
    "workflows": ("workflows", '"workflows"'),
    "email-templates": ("email_templates", '["shipped", "email_templates"]'),
    "policies": ("policies", '["policies"]'),
    "catalogue": ("catalogues", '["catalogue.toml"]'),
}
"""The setting that lets a copy count."""


class Scaffold(msgspec.Struct, frozen=True):
    """What was made, and the commands that come `next`. `made` names folders with a slash."""

    folder: Path
    made: list[str]
    next: list[str]


def make_folder(folder: Path, *, parts: Sequence[Part] = (), database: str | None = None) -> Scaffold:
    """Makes the folder of an installation. Raises BadInput where anything is in the way, and then makes nothing."""
    chosen = tuple(part for part in PARTS if part in parts)
    files = _files(chosen, database)
    entries = sorted({file.partition("/")[0] for file in files}, key=lambda entry: (entry == FILE, entry))
    what, remedy = f"the folder {folder}", "name another; nothing was made"
    try:
        if os.path.lexists(folder) and not folder.is_dir():
            raise BadInput(what, "a file, or a link that leads nowhere, has this name", remedy)
        in_the_way = [entry for entry in entries if os.path.lexists(folder / entry)]
        if in_the_way:
            raise BadInput(what, f"it has {' and '.join(in_the_way)} already, and nothing is overwritten", remedy)
        private = database is not None and MASK in told(database)
        _write(folder, files, entries, private=private)
    except OSError as wrong:
        raise BadInput(what, f"it cannot be made ({wrong.strerror or wrong})", remedy) from wrong
    named = [f"{entry}/" if (folder / entry).is_dir() else entry for entry in entries if entry != NOTE]
    return Scaffold(folder.resolve(), sorted(named, key=lambda name: (name != FILE, name)), _next(folder))


def _write(folder: Path, files: Mapping[str, str], entries: Sequence[str], *, private: bool) -> None:
    new = not folder.exists()
    beside = (folder.parent if new else folder) / f".vipflow-{secrets.token_hex(6)}"
    moved: list[Path] = []
    try:
        beside.mkdir(mode=0o750, parents=True)  # customers' data will be in it, as any
        if private:
            (beside / FILE).touch(mode=0o600)
        for file, text in files.items():
            path = beside / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if new:
            beside.rename(folder)
            return
        for entry in entries:
            if os.path.lexists(folder / entry):  # somebody was quicker
                raise FileExistsError(None, f"{entry} is there now")
            (beside / entry).rename(folder / entry)
            moved.append(folder / entry)
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _files(parts: tuple[Part, ...], database: str | None) -> dict[str, str]:
    """Every file of the folder, with its text."""
    settings = dict(_SETTINGS[part] for part in parts)
    if database is not None:
        settings["url"] = json.dumps(_checked(database), ensure_ascii=False)
    files = {FILE: with_settings(shipped(FILE).read_text(encoding="utf-8"), settings), README: readme(parts)}
    for part in parts:
        files |= {copy.file: copy.text for copy in copies_of(part)}
    if parts:
        files[NOTE] = note_of(parts)
    return files


def _checked(database: str) -> str:
    from pydantic import ValidationError

    try:
        return DatabaseSettings(url=database).url
    except ValidationError as wrong:
        said = wrong.errors()[0]["msg"].removeprefix("Value error, ")
        problem, _, remedy = said.rpartition("; ")
        raise BadInput("--database", problem or "it is no URL of a database", remedy) from None


def with_settings(text: str, settings: Mapping[str, str]) -> str:
    """The text of a `config.toml`, each of these keys with its value (as TOML) in place of the line that shows it."""
    lines = text.splitlines()
    for key, value in settings.items():
        (at,) = (at for at, line in enumerate(lines) if line.startswith(f"# {key} = "))
        lines[at] = f"{key} = {value}"
    return "\n".join(lines) + "\n"


def _next(folder: Path) -> list[str]:
    enter = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    return [*enter, *BEGIN]


BEGIN = (
    "vipflow check",
    "vipflow db migrate",
    'vipflow reseller add north --name "North Licences" --sender licences@north.example',
    'vipflow team add you@north.example --name "Your Name" --role admin',
    "vipflow doctor",
    "vipflow serve",
)
"""The commands that lead from a new folder to a running daemon."""

_ABOUT: Mapping[Part, str] = {
    "workflows": "- `workflows/`: what may happen to a customer, and when. They count instead of those that come with\n"
    "  vipflow, all of them.",
    "email-templates": "- `email_templates/`: the mails. Keep the files that you change and delete the others: what\n"
    "  is not here comes from vipflow, and stays current.",
    "policies": f"- `policies/`: the numbers. Each bears a name of its own (`{OUR}…`) and counts for who is given it:\n"
    f"  `vipflow reseller set --policy {OUR}vip-2024`. Delete those that you do not need.",
    "catalogue": "- `catalogue.toml`: the products. A row here replaces the one with its SKU; delete the rows that\n"
    "  you do not change.",
}


def readme(parts: Sequence[Part]) -> str:
    """What stands in the folder's README."""
    copies = "".join(f"{_ABOUT[part]}\n" for part in parts)
    begin = "\n".join(f"    {line}" for line in BEGIN)
    compare = (
        "    vipflow config diff             # what changed in what you copied: by you, by vipflow, by both\n"
        if parts
        else ""
    )
    return f"""# An installation of vipflow

- `config.toml`: the settings, each explained. `vipflow config show` tells which count, and why.
{copies}- `var/`: made by `vipflow db migrate`. The database, mails written as files, the key of the seals: customers'
  data. Keep it closed to others and out of version control, and back it up.

## Begin

In this folder, with a name and addresses of your own:

{begin}

From elsewhere each takes `--config <this folder>/config.toml`, or the variable `VIPFLOW_CONFIG`. Mails become files
in `var/mail` until `config.toml` says `transport = "smtp"`. `vipflow --help` lists everything; `vipflow demo` plays a
year of invented resellers, to look around in.

## A new version of vipflow

Stop the daemon and take a backup of the database and of `var/`. Then:

    pip install --upgrade vipflow
    vipflow check                   # your files, read by the new version
{compare}    vipflow db migrate
    vipflow doctor
    vipflow serve
"""
