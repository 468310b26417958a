"""A file that appears whole or not at all: written under another name, flushed, and then given its own."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vipflow.errors import BadInput, VipflowError
from vipflow.store.pages import sync_file, sync_folder


class CannotWrite(VipflowError):
    """Raised when a file cannot be written: a full disk, no right, no folder. What was written of it is gone again.

    >>> print(CannotWrite("the file backup.db", "the disk is full", "make room, or name another disk"))
    the file backup.db: the disk is full; make room, or name another disk
    """

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        super().__init__(f"{what}: {problem}; {remedy}")
        self.what = what
        self.problem = problem
        self.remedy = remedy


def check_new(path: Path) -> None:
    """Raises BadInput where something has this name already, or there is no folder for it."""
    if os.path.lexists(path):
        raise BadInput(f"the file {path}", "it is there already, and nothing is written over", "name another")
    if not path.parent.is_dir():
        raise BadInput(f"the file {path}", f"there is no folder {path.parent}", "make it, or name another")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """An empty file to be filled, readable by its owner alone, in a folder of its own beside `path`. At the end of the
    block it is on disk under the name `path`; where the block raises, nothing is left. Raises BadInput where that name
    is taken, CannotWrite.
    """
    check_new(path)
    with folder_beside(path) as folder:
        made = folder / path.name
        try:
            made.touch(mode=0o600)
            yield made
            sync_file(made)
            _name(made, path)
            sync_folder(path.parent)
        except OSError as wrong:
            raise cannot_write(f"the file {path}", wrong) from wrong


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A folder on the disk of `path` for what is being made; it is gone after the block, with all that is in it."""
    try:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as wrong:
        raise cannot_write(f"the folder {path.parent}", wrong) from wrong
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cannot_write(what: str, wrong: OSError) -> CannotWrite:
    """What a system's error means for whoever asked for the file."""
    if wrong.errno in (errno.ENOSPC, errno.EDQUOT):
        return CannotWrite(what, "the disk is full", "make room, or name another disk; nothing was left of it")
    remedy = "let vipflow write there, or name another place; nothing was left of it"
    return CannotWrite(what, f"it cannot be written ({wrong.strerror or wrong})", remedy)


def _name(made: Path, path: Path) -> None:
    """Never over another file, also one that appeared meanwhile."""
    try:
        os.link(made, path)
    except FileExistsError:
        check_new(path)
        raise
    except OSError as wrong:
        if wrong.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
            raise
        check_new(path)  # a disk that knows no second name for a file
        made.rename(path)
