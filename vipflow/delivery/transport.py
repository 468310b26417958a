"""Where mails go: what a transport is handed, and what it answers of each. Here, too, the one that writes files.

A transport never raises for a mail: whatever happens to it is an `Outcome`, and `put_down` (outbox.py) alone decides
what follows from that.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from vipflow.errors import NO_ROOM, FileUnusable

LOOK_AGAIN = timedelta(seconds=15)
"""After which a folder without room is tried again."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

OutcomeKind = Literal["sent", "temporary", "permanent", "uncertain", "not_tried"]
"""`sent`: the server took it over. `temporary`: it did not, and may later. `permanent`: it never will.
`uncertain`: the line went after the content began to leave, so a copy may have been taken over. `not_tried`: nothing
of it left, and it is not the mail's fault (the transport is paused, it is being stopped, the lease is nearly over).
"""

Stage = Literal["connect", "greeting", "tls", "auth", "sender", "recipients", "content", "answer", "file"]
"""How far a copy came. From `content` on, a line that drops leaves the outcome uncertain."""


@dataclass(frozen=True)
class Parcel:
    """One copy of a mail, ready to go. The bytes are the same on every attempt.

    `sender` is the envelope's (bounces go there). `until`: on `time.monotonic()`, when the hand that holds it loses its
    lease; a transport begins with no mail after that.
    """

    tenant_key: str
    key: str
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    dated_at: datetime
    until: float = float("inf")


class Refused(msgspec.Struct, frozen=True):
    """An address that the server refused for good, and in which words. Code 0: it was not even asked, since this is
    no address.
    """

    address: str
    code: int
    says: str

    @property
    def of_policy(self) -> bool:
        """Whether the server refuses us rather than the address (RFC 3463, 3.8): no reason never to write to it again.

        >>> Refused("zoe@elan.example", 550, "5.7.1 blocked by a list").of_policy
        True
        """
        return self.says.startswith("5.7.")


class Outcome(msgspec.Struct, frozen=True):
    """What became of one copy. `says` is one line, the server's own words where it said something.

    `refused`: the addresses refused for good; the copy went to the others when it is `sent`.
    """

    kind: OutcomeKind
    stage: Stage
    says: str = ""
    code: int | None = None
    refused: tuple[Refused, ...] = ()


class Paused(msgspec.Struct, frozen=True):
    """Why a transport takes nothing at present: its own trouble (AUTH, TLS, no connection), not any mail's."""

    stage: Stage
    says: str
    since: datetime
    until: datetime


class Transport(Protocol):
    """Takes mails over. Safe for one round at a time."""

    name: str

    async def send(self, parcels: Sequence[Parcel], now: datetime) -> Sequence[Outcome]:
        """What became of each, in their order. `now` is when the round began.

        Cancelled, it begins no further mail, finishes those in hand within a few seconds, and still returns what
        became of all: put that down, then look at `asyncio.current_task().cancelling()`.
        """

    def paused(self, now: datetime) -> Paused | None:
        """Whether, and until when, it takes nothing: then nobody need claim mails for it."""

    async def close(self) -> None:
        """Ends what it holds open. Mails in hand are finished first."""


class FileTransport:
    """Writes mails into `folder/<reseller>/`, named so that they sort by time; an attempt repeated writes the same
    file again.
    """

    name = "file"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paused: Paused | None = None

    def path_of(self, parcel: Parcel) -> Path:
        """The file that a parcel becomes."""
        name = f"{parcel.dated_at:%Y-%m-%d-%H%M%S}-{_UNSAFE.sub('-', parcel.key)}.eml"
        return self.folder / _UNSAFE.sub("-", parcel.tenant_key) / name

    async def send(self, parcels: Sequence[Parcel], now: datetime) -> Sequence[Outcome]:
        if paused := self.paused(now):
            return [Outcome("not_tried", paused.stage, paused.says)] * len(parcels)
        stopped = threading.Event()
        writing = asyncio.ensure_future(asyncio.to_thread(self._write_all, parcels, stopped, now))
        while not writing.done():
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                stopped.set()
        return writing.result()

    def _write_all(self, parcels: Sequence[Parcel], stopped: threading.Event, now: datetime) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        for parcel in parcels:
            late = stopped.is_set() or time.monotonic() >= parcel.until
            if late or self.paused(now) is not None:
                outcomes.append(Outcome("not_tried", "file", "it was not begun"))
                continue
            outcomes.append(self._write(parcel, now))
        return outcomes

    def paused(self, now: datetime) -> Paused | None:
        return self._paused if self._paused is not None and now < self._paused.until else None

    async def close(self) -> None:
        return None

    def _write(self, parcel: Parcel, now: datetime) -> Outcome:
        """The file is there whole or not at all. Where there is no room for it there is none for the next: then it
        pauses, and says so.
        """
        path = self.path_of(parcel)
        draft = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(parcel.content)
            os.replace(draft, path)
        except OSError as fault:
            if fault.errno in NO_ROOM:
                says = str(FileUnusable.of(OSError(fault.errno, fault.strerror, str(path))))
                since = self._paused.since if self._paused is not None else now
                self._paused = Paused("file", says, since, now + LOOK_AGAIN)
                return Outcome("not_tried", "file", says)
            return Outcome("temporary", "file", f"{type(fault).__name__}: {fault}")
        self._paused = None
        return Outcome("sent", "file")
