"""The line to a mail server: bytes out, replies in, each wait with its end.

aiosmtplib opens it (greeting, TLS, AUTH); then this takes its place, because the library drops replies that come
before they are asked for, and raises the same exception before and after a mail's final dot.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple, cast

from vipflow.errors import VipflowError

LONGEST_REPLY = 65_536
LEAVE_WITHIN = 2.0


class Reply(NamedTuple):
    """What the server answered: its lines joined to one, printable, 300 characters at most."""

    code: int
    says: str

    @property
    def is_yes(self) -> bool:
        return 200 <= self.code < 300

    @property
    def is_later(self) -> bool:
        return 400 <= self.code < 500

    @property
    def is_never(self) -> bool:
        return 500 <= self.code < 600


def one_line(text: str) -> str:
    """Somebody else's words, as they may stand in our tables and logs.

    >>> one_line("4.7.1 try\\nagain\\x1b[31m")
    '4.7.1 try again [31m'
    """
    plain = text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= 300 else plain[:299] + "…"


class LineFault(VipflowError):
    """Raised when no reply comes any more; the message says why, in one line."""


class LineLost(LineFault):
    """Raised when the connection has ended, or what comes over it is no SMTP."""


class LineSilent(LineFault):
    """Raised when the server said nothing for as long as one waits."""


class Line(asyncio.Protocol):
    """An open connection. One task at a time sends and waits on it.

    `closed` is done once the connection is.
    """

    def __init__(self, transport: asyncio.BaseTransport | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, transport)
        self._rest = b""
        self._words: list[bytes] = []
        self._replies: deque[Reply] = deque()
        self._lost: str | None = None
        self._silent = False
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._all_out = True
        self._leaving = False
        self.closed: asyncio.Future[None] = self._loop.create_future()
        if transport is None or transport.is_closing():  # the server hung up while it was opened
            self.connection_lost(None)
            return
        self._transport.set_protocol(self)
        # With no reserve, `pause_writing` tells of what has not left: so we know how far a mail came. (Not high=0: TLS
        # would call that reached by nothing at all.)
        self._transport.set_write_buffer_limits(high=1, low=0)

    @property
    def lost(self) -> bool:
        return self._lost is not None

    @property
    def quiet(self) -> bool:
        """Whether nothing came that nobody asked for: a server says 421 before it hangs up on the idle."""
        return not self._replies and not self._rest and not self._words

    async def send(self, data: bytes, deadline: float) -> None:
        """Sends all of it, waiting until `deadline` (the loop's time) for it to leave. Raises LineFault."""
        if self._lost is not None:
            raise LineLost(self._lost)
        self._transport.write(data)
        while not self._all_out:
            if self._lost is not None:
                raise LineLost(self._lost)
            await self._wait(deadline)

    async def reply(self, deadline: float) -> Reply:
        """The next reply; those that came before the line was lost are still given. Raises LineFault."""
        while not self._replies:
            if self._lost is not None:
                raise LineLost(self._lost)
            try:
                await self._wait(deadline)
            except LineSilent:
                if not self._replies:  # it may have come at the very last moment
                    raise
        return self._replies.popleft()

    def early_reply(self) -> Reply | None:
        """What the server said although nobody waits for it any more."""
        return self._replies.popleft() if self._replies else None

    def leave(self) -> None:
        """Says QUIT and hangs up once the server has answered, or after two seconds; nobody need wait."""
        if self.lost or self._leaving:
            return
        self._leaving = True
        self._transport.write(b"QUIT\r\n")
        self._set_watch(self._loop.time() + LEAVE_WITHIN)

    def abort(self) -> None:
        """Hangs up at once."""
        if not self.lost:
            self._transport.abort()

    # --- what the event loop calls --------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            self._transport.close()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            code, mark = line[:3], line[3:4]
            if not code.isdigit() or len(code) < 3 or mark not in (b" ", b"-", b"\r", b""):
                self._give_up(f"the server said what is no SMTP: {line[:80].decode('latin-1')}")
                return
            self._words.append(line[4:].strip())
            if mark != b"-":
                text = b" ".join(self._words).decode("utf-8", "replace")
                self._words.clear()
                self._replies.append(Reply(int(code), one_line(text)))
        if len(self._rest) + sum(map(len, self._words)) > LONGEST_REPLY or len(self._replies) > 1000:
            self._give_up("the server's answer has no end")
            return
        self._wake()

    def pause_writing(self) -> None:
        self._all_out = False

    def resume_writing(self) -> None:
        self._all_out = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lost is None:
            self._lost = f"the connection was lost: {one_line(str(exc))}" if exc else "the server hung up"
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if not self.closed.done():
            self.closed.set_result(None)
        self._wake()

    def _give_up(self, why: str) -> None:
        self._lost = one_line(why)
        self._transport.abort()
        self._wake()

    # --- waiting --------------------------------------------------------------------------------------------------

    async def _wait(self, deadline: float) -> None:
        """Until something happens. A timer for each wait would cost more than the wait: one follows them all."""
        self._silent = False
        self._deadline = deadline
        if self._watch is None or self._watch.when() > deadline:
            self._set_watch(deadline)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._silent and self._lost is None:
            raise LineSilent("the server said nothing for too long")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _set_watch(self, at: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._loop.call_at(at, self._look, at)

    def _look(self, at: float) -> None:
        self._watch = None
        if self._leaving:
            self._transport.abort()
        elif self._waiter is not None:
            if at >= self._deadline:
                self._silent = True
                self._wake()
            else:
                self._set_watch(self._deadline)
