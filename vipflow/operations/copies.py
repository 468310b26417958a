"""Copies of what comes with vipflow, for an installation to change; and how they stand to what comes with it today.

A note beside the copies (`.vipflow-copies.json`) keeps what each was made from. So after an upgrade one can tell what
the installation changed from what vipflow changed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_args

import msgspec

from vipflow.config import shipped
from vipflow.errors import BadInput, NotFound, did_you_mean
from vipflow.vip.catalogue import SHIPPED_CATALOGUE
from vipflow.vip.numbers import SHIPPED_POLICIES

Part = Literal["workflows", "email-templates", "policies", "catalogue"]
PARTS: tuple[Part, ...] = get_args(Part)
NOTE = ".vipflow-copies.json"
OUR = "our-"
"""Begins the name of a copied policy: two of one name cannot be told apart."""

State = Literal["same", "yours", "newer", "both", "gone", "new"]
"""Of a copy: as it comes; changed by you; changed by vipflow; by both; no more in vipflow; new there, not here."""


class Copy(msgspec.Struct, frozen=True):
    """A file as it comes with vipflow: its text, and where its copy stands in an installation."""

    file: str
    text: str

    @property
    def hash(self) -> str:
        return sha256(self.text.encode()).hexdigest()


class Note(msgspec.Struct, frozen=True):
    """What was copied: from which release, which parts, and the hash of each file as it came."""

    vipflow: str
    parts: tuple[Part, ...]
    files: Mapping[str, str]


class Standing(msgspec.Struct, frozen=True):
    """How one copy stands to what comes with vipflow today."""

    file: str
    state: State


class Compared(msgspec.Struct, frozen=True):
    """All copies of an installation; `release` is the one they were compared with when last looked at."""

    folder: Path
    release: str
    files: list[Standing]


def copies_of(part: Part) -> Iterator[Copy]:
    """What comes with vipflow of one part, in the order of the files."""
    return _COPIES[part]()


def _workflows() -> Iterator[Copy]:
    for path in sorted(shipped("workflows").glob("[!_.]*.py")):
        yield Copy(f"workflows/{path.name}", _read(path))


def _email_templates() -> Iterator[Copy]:
    folder = shipped("email_templates")
    for path in sorted(path for kind in ("txt", "html") for path in folder.rglob(f"*.{kind}")):
        yield Copy(f"email_templates/{path.relative_to(folder).as_posix()}", _read(path))


def _policies() -> Iterator[Copy]:
    for path in sorted(SHIPPED_POLICIES.glob("*.toml")):
        name = path.stem
        yield Copy(f"policies/{OUR}{path.name}", _read(path).replace(f'name = "{name}"', f'name = "{OUR}{name}"', 1))


def _catalogue() -> Iterator[Copy]:
    yield Copy("catalogue.toml", _read(SHIPPED_CATALOGUE))


_COPIES: Mapping[Part, Callable[[], Iterator[Copy]]] = {
    "workflows": _workflows,
    "email-templates": _email_templates,
    "policies": _policies,
    "catalogue": _catalogue,
}


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def note_of(parts: tuple[Part, ...]) -> str:
    """The note for fresh copies of these parts, as it is written."""
    from importlib.metadata import version

    files = {copy.file: copy.hash for part in parts for copy in copies_of(part)}
    made = msgspec.json.encode(Note(version("vipflow"), parts, files))
    return msgspec.json.format(made, indent=1).decode() + "\n"


def compare(folder: Path) -> Compared:
    """How the copies in an installation's folder stand. Raises BadInput where it has none.

    Of a copy that was deleted nothing is said: what is not a workflow comes from vipflow again.
    """
    note = _noted(folder)
    today = {copy.file: copy for part in note.parts for copy in copies_of(part)}
    files = []
    for file in sorted({*note.files, *today}):
        mine, came, theirs = _content(folder / file), note.files.get(file), today.get(file)
        if came is None:
            if file.startswith("workflows/") and mine is None:  # the others come from vipflow without a copy
                files.append(Standing(file, "new"))
        elif mine is not None:
            files.append(Standing(file, _state(mine, came, theirs)))
    return Compared(folder, note.vipflow, files)


def _state(mine: str, came: str, theirs: Copy | None) -> State:
    changed = sha256(mine.encode()).hexdigest() != came
    if theirs is None:
        return "gone"
    if mine == theirs.text:
        return "same"
    if theirs.hash == came:
        return "yours"
    return "both" if changed else "newer"


def difference(folder: Path, file: str) -> list[str]:
    """The lines of a unified diff from what comes with vipflow today to the copy. Raises NotFound for another file."""
    note = _noted(folder)
    today = {copy.file: copy for part in note.parts for copy in copies_of(part)}
    known = {*note.files, *today}
    if file not in known:
        raise NotFound("copy", file, f"`vipflow config diff` lists them{did_you_mean(file, known)}")
    theirs = today[file].text.splitlines() if file in today else []
    mine = (_content(folder / file) or "").splitlines()
    return list(difflib.unified_diff(theirs, mine, f"vipflow/{file}", f"yours/{file}", lineterm=""))


def seen(folder: Path) -> None:
    """Notes what comes with vipflow today as what the copies are compared with from now on."""
    note = folder / NOTE
    fresh = note.with_name(f"{NOTE}.new")
    fresh.write_text(note_of(_noted(folder).parts), encoding="utf-8")
    fresh.replace(note)


def _noted(folder: Path) -> Note:
    path = folder / NOTE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except FileNotFoundError:
        problem = "it has no copies of what comes with vipflow"
        raise BadInput(f"the folder {folder}", problem, "`vipflow init <folder> --with …` makes some") from None
    except (OSError, msgspec.MsgspecError) as wrong:
        remedy = "take it from a backup; the copies themselves are as they were"
        raise BadInput(str(path), f"it cannot be read ({wrong})", remedy) from wrong


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as wrong:
        raise BadInput(str(path), f"it cannot be read ({wrong})", "`vipflow check` says more") from wrong
