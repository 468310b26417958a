"""What of the seals lives outside the database: the key that they are made with, and the file that lists them too.

A seal is announced in `<file>.pending` before the database gets it, and the announcement taken away when it stands in
the file: so a process that is killed in between leaves no difference that looks like somebody's act.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vipflow.errors import VipflowError
from vipflow.store.seals import Seal

KEY_BYTES = 32
THIS_MACHINE = socket.gethostname()
_LONGEST_LINE = 4096  # of the file; a seal has some 400


class SealFault(VipflowError):
    """Raised when no seal can be made or trusted: the key, the file or the database is not as the last seal left it.

    >>> print(SealFault("the key var/audit.key", "others may read it", "chmod 600 var/audit.key"))
    the key var/audit.key: others may read it; chmod 600 var/audit.key
    """

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        super().__init__(f"{what}: {problem}; {remedy}")
        self.what = what
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True)
class SealPlace:
    """Where the key and the file of seals are."""

    key: Path
    file: Path

    def read_key(self) -> bytes | None:
        """The key; None where there is none. Raises SealFault for one that cannot be used."""
        what = f"the key {self.key}"
        try:
            with self.key.open("rb") as opened:
                mode = os.fstat(opened.fileno()).st_mode
                text = opened.read(1000)
        except FileNotFoundError:
            return None
        except OSError as wrong:
            remedy = "let vipflow, and nobody else, read it"
            raise SealFault(what, f"it cannot be read ({wrong.strerror})", remedy) from wrong
        if stat.S_IMODE(mode) & 0o077:
            raise SealFault(what, "others may read it, so seals made with it prove nothing", f"chmod 600 {self.key}")
        try:
            key = bytes.fromhex(text.decode("ascii").strip())
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise SealFault(what, f"it does not hold {2 * KEY_BYTES} hexadecimal digits", "restore it from your backup")
        return key

    def make_key(self) -> bytes:
        """The key that is there, or a new one. Raises SealFault."""
        with _writing(f"the key {self.key}", self.key):
            ours = self.key.with_name(f".{self.key.name}.{secrets.token_hex(4)}")
            _write_new(ours, secrets.token_hex(KEY_BYTES).encode() + b"\n")
            try:
                with suppress(FileExistsError):  # somebody was faster: theirs it is
                    os.link(ours, self.key)
            finally:
                ours.unlink()
        key = self.read_key()
        assert key is not None  # noqa: S101 - made above
        return key

    # --- the file -------------------------------------------------------------------------------------------------

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Whether this process alone writes here, for the block: of several daemons of a machine one seals."""
        with _writing(self._what, self.file):
            handle = os.open(self.beside("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)

    def size(self) -> int:
        """In bytes; 0 where there is no file."""
        try:
            return self.file.stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as wrong:
            raise self._unreadable(wrong) from wrong

    def last(self) -> Seal | None:
        """The last seal of the file. Raises SealFault where its last whole line is none."""
        lines = self._tail().split(b"\n")
        if len(lines) < 2:
            return None
        seal = _read(lines[-2])
        if seal is None:
            problem = "its last line is no seal"
            raise SealFault(self._what, problem, "`vipflow audit verify` says more; restore it from your backup")
        return seal

    def mend(self) -> None:
        """Takes away what a killed process left of a line."""
        tail = self._tail()
        torn = len(tail) - (tail.rfind(b"\n") + 1)
        if torn:
            with _writing(self._what, self.file):
                os.truncate(self.file, self.size() - torn)

    def _tail(self) -> bytes:
        size = self.size()
        if size == 0:
            return b""
        try:
            with self.file.open("rb") as opened:
                opened.seek(max(0, size - _LONGEST_LINE))
                return opened.read()
        except OSError as wrong:
            raise self._unreadable(wrong) from wrong

    def lines(self) -> Iterator[tuple[int, Seal | None]]:
        """Each line of the file: where it begins, and its seal, None for a line that holds none."""
        try:
            opened = self.file.open("rb")
        except FileNotFoundError:
            return
        except OSError as wrong:
            raise self._unreadable(wrong) from wrong
        with opened:
            at = 0
            for line in opened:
                yield at, _read(line)
                at += len(line)

    def append(self, seal: Seal) -> None:
        """Writes a seal down, on disk when this returns."""
        with _writing(self._what, self.file):
            is_new = not self.file.exists()
            handle = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, msgspec.json.encode(seal) + b"\n")
                os.fsync(handle)
            finally:
                os.close(handle)
            if is_new:
                _sync_folder(self.file.parent)

    def announce(self, seal: Seal) -> None:
        """Says that this seal is about to be made."""
        with _writing(self._what, self.file):
            ours = self.beside("announcing")
            ours.unlink(missing_ok=True)
            _write_new(ours, msgspec.json.encode(seal) + b"\n")
            ours.replace(self.beside("pending"))
            _sync_folder(self.file.parent)

    def announced(self) -> Seal | None:
        """The seal that was being made when its maker was killed, or is being made now."""
        try:
            return _read(self.beside("pending").read_bytes())
        except OSError:
            return None

    def made(self) -> None:
        """Takes the announcement away."""
        self.beside("pending").unlink(missing_ok=True)

    def set_aside(self, as_: str) -> Path:
        """Renames the file, to begin a new one."""
        with _writing(self._what, self.file):
            aside = self.beside(as_)
            self.file.rename(aside)
            return aside

    def beside(self, ending: str) -> Path:
        """A name for a file that stands beside the seals."""
        return self.file.with_name(f"{self.file.name}.{ending}")

    def _unreadable(self, wrong: OSError) -> SealFault:
        return SealFault(self._what, f"it cannot be read ({wrong.strerror})", "check its permissions")

    @property
    def _what(self) -> str:
        return f"the file of seals {self.file}"


def _read(line: bytes) -> Seal | None:
    """The seal of a whole line that is written as we write it, to the byte."""
    try:
        seal = msgspec.json.decode(line, type=Seal)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return seal if msgspec.json.encode(seal) == line.removesuffix(b"\n") else None


@contextmanager
def _writing(what: str, path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as wrong:
        remedy = f"let vipflow write in {path.parent}, and see that there is room"
        raise SealFault(what, f"it cannot be written ({wrong.strerror})", remedy) from wrong


def _write_new(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
