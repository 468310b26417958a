"""What a process has in hand, noted outside of it, so that whoever comes after knows what killed it.

A file for each process: a line when subjects are taken in hand, emptied when nothing is. Nothing waits for the disk:
what a process wrote survives it, and a machine that stops is nobody's fault. The process keeps a lock on its file as
long as it lives, also while it is frozen; a file that nobody has locked was left by one that died.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

import msgspec

_PATTERN = "in-hand-*.jsonl"

Key = tuple[int, str]
"""A tenant, and what of it is in hand: a subject's reference, or the cause of an event that would open one."""


class _Line(msgspec.Struct, omit_defaults=True):
    n: int
    tenant: int = 0
    keys: tuple[str, ...] = ()
    done: bool = False


class InHand:
    """Notes what this process has in hand. Several threads may, at once.

    Raises OSError where the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Named once it is locked, and like no other's: who starts beside us must not take it for a leftover, and two
        # containers that share the folder may have the same process number.
        self.path = folder / f"in-hand-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        unnamed = self.path.with_suffix(".new")
        self._file = os.open(unnamed, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(self.path)
        self._lock = threading.Lock()
        self._next = 0
        self._since: dict[int, tuple[float, str]] = {}
        self.most_processor_time = 0.0
        """Seconds of the processor after which the kernel ends a process that has something in hand (SIGPROF), unless
        its watchdog could run and began the count anew; 0 without one.
        """

    @contextmanager
    def noted(self, tenant: int, keys: Iterable[str]) -> Iterator[None]:
        """Within the block these are in hand."""
        wanted = tuple(keys)
        with self._lock:
            number = self._next = self._next + 1
            self._write(_Line(number, tenant, wanted))
            told = f"{len(wanted)} records, {wanted[0]} first" if len(wanted) > 1 else "".join(wanted)
            self._since[number] = (monotonic(), told)
            self.count_anew()
        try:
            yield
        finally:
            with self._lock:
                del self._since[number]
                if self._since:
                    self._write(_Line(number, done=True))
                else:
                    os.ftruncate(self._file, 0)
                    self.count_anew()

    def count_anew(self) -> None:
        """Begins to count the processor's time, or ends it where nothing is in hand."""
        if self.most_processor_time:
            signal.setitimer(signal.ITIMER_PROF, self.most_processor_time if self._since else 0)

    def longest(self) -> tuple[int, float, str] | None:
        """What has been in hand for the longest: its number, since when (monotonic), and what it is."""
        with self._lock:
            oldest = min(self._since.items(), key=lambda each: each[1][0], default=None)
        return None if oldest is None else (oldest[0], *oldest[1])

    def close(self) -> None:
        """Leaves nothing behind."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    def _write(self, line: _Line) -> None:
        os.write(self._file, msgspec.json.encode(line) + b"\n")


class Leftover(msgspec.Struct, frozen=True):
    """What a process that died had in hand."""

    path: Path
    keys: Sequence[Key]


@contextmanager
def leftovers(folder: Path) -> Iterator[list[Leftover]]:
    """The files of processes that are gone, with what they had in hand; taken away at the end of the block, unless it
    raises. Within it nobody else is given them: of several that start at once one counts.
    """
    with ExitStack() as opened:
        found = []
        for path in sorted(folder.glob(_PATTERN)):
            try:
                file = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            opened.callback(os.close, file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # somebody lives, or counts it
            if os.fstat(file).st_nlink:  # else somebody has counted it meanwhile
                found.append(Leftover(path, _keys(path)))
        yield found
        for each in found:
            each.path.unlink(missing_ok=True)


def _keys(path: Path) -> list[Key]:
    """What was begun and not done; of a last line that was cut nothing."""
    begun: dict[int, _Line] = {}
    for text in path.read_bytes().splitlines():
        try:
            line = msgspec.json.decode(text, type=_Line)
        except msgspec.MsgspecError:
            continue
        if line.done:
            begun.pop(line.n, None)
        else:
            begun[line.n] = line
    return list(dict.fromkeys((line.tenant, key) for line in begun.values() for key in line.keys))
