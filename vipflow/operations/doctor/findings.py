"""What a check says: a status, a sentence with its numbers, and whatever is not well says what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

Status = Literal["ok", "note", "warning", "error", "not checked"]
"""`error`: something that is promised does not hold, or will not. `warning`: it holds, and should be seen to. `note`:
worth knowing. `not checked`: what it needs is broken or missing, and said elsewhere.
"""


class Finding(msgspec.Struct, frozen=True):
    """One thing found. `remedy` is a sentence, `run` are commands that can be copied.

    Raises ValueError for one that is not well and has no remedy: nobody is told of trouble without a way on.

    >>> Finding("database", "disk", "error", "The disk is full.")
    Traceback (most recent call last):
    ValueError: the finding 'disk' has no remedy
    """

    area: str
    name: str
    status: Status
    says: str
    remedy: str = ""
    run: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.status != "ok" and not self.remedy:
            raise ValueError(f"the finding {self.name!r} has no remedy")


class Unknown(Exception):
    """Raised inside a check where something it stands on is not there: `why`, and what to put right `first`."""

    def __init__(self, why: str, first: str) -> None:
        super().__init__(why)
        self.why = why
        self.first = first


def ok(name: str, says: str) -> Finding:
    """All is as it should be."""
    return Finding("", name, "ok", says)


def note(name: str, says: str, remedy: str, *run: str) -> Finding:
    """Worth knowing."""
    return Finding("", name, "note", says, remedy, run)


def warning(name: str, says: str, remedy: str, *run: str) -> Finding:
    """Should be seen to."""
    return Finding("", name, "warning", says, remedy, run)


def error(name: str, says: str, remedy: str, *run: str) -> Finding:
    """Must be seen to."""
    return Finding("", name, "error", says, remedy, run)


def not_checked(name: str, why: str, remedy: str, *run: str) -> Finding:
    """Could not be looked at."""
    return Finding("", name, "not checked", why, remedy, run)


def counted(count: int, what: str, *, most: int | None = None, plural: str = "") -> str:
    """A number with its noun; one that was not counted to its end is "more than".

    >>> counted(1, "mail"), counted(2, "mail"), counted(1001, "mail", most=1000)
    ('1 mail', '2 mails', 'more than 1,000 mails')
    """
    if most is not None and count > most:
        return f"more than {most:,} {plural or what + 's'}"
    return f"{count:,} {what if count == 1 else plural or what + 's'}"


def do(count: int, one: str, many: str) -> str:
    """The form of a verb, or of what follows it, that fits a number.

    >>> do(1, "waits", "wait"), do(2, "waits", "wait")
    ('waits', 'wait')
    """
    return one if count == 1 else many


def lasting(span: timedelta) -> str:
    """A span as people say it.

    >>> [lasting(timedelta(seconds=each)) for each in (40, 90, 3 * 3600, 49 * 3600)]
    ['40 seconds', '90 seconds', '3 hours', '2 days']
    """
    seconds = max(0, round(span.total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:,} {unit}s"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def at(instant: datetime) -> str:
    """An instant, in UTC, to the second."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def size(count: int) -> str:
    """Bytes as people say them.

    >>> size(512), size(3 * 1024**3)
    ('512 bytes', '3.0 GB')
    """
    for unit, factor in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
