"""Mails to a mail server: a few sessions, kept open and shared by nobody; a pace; and a pause when it is the server.

What is the server's fault kills no mail: it comes back `not_tried`, and the transport rests, longer each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, cast

from vipflow.config import SmtpSettings
from vipflow.delivery.pace import Pace
from vipflow.delivery.smtp_line import Line, one_line
from vipflow.delivery.smtp_opening import ASK_LATER, OPENING, Trouble, log_in, open_line, tls_context
from vipflow.delivery.smtp_session import IDLE_SECONDS, BeginAgain, Envelope, Session, enveloped
from vipflow.delivery.transport import Outcome, Parcel, Paused

PAUSES: Final = tuple(timedelta(seconds=s) for s in (30, 60, 120, 300, 600, 900))
"""How long the transport rests after the first trouble in a row, the second, …; the last is for all that follow."""
ONE_MAIL = 4
"""A mail takes at most so many times the timeout, however slowly the server drips."""
FAILURES_IN_A_ROW = 3
"""After so many mails in a row of which each lost its line it is the server, not the mails."""
GRACE_SECONDS = 5.0
"""When a round is stopped, its mails in hand have so long to end well."""
GOODBYE_SECONDS = 1.0

STOPPED = "delivery was stopped"
TOO_LATE = Outcome("not_tried", "connect", "there was no time left to begin it")


class SmtpTransport:
    """Sends mails over SMTP. It belongs to one event loop, and is safe for one round at a time.

    A cancelled `send` begins no further mail, gives those in hand five seconds, and *returns* what became of each: a
    mail cut off is `uncertain` once its content began to leave, else `not_tried`. So does a `send` during which `close`
    is called.
    """

    name = "smtp"

    def __init__(
        self,
        settings: SmtpSettings,
        password: str | None = None,
        *,
        pace: Pace | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.settings = settings
        self._password = password
        self._pace = pace if pace is not None else (Pace(settings.rate) if settings.rate is not None else None)
        self._monotonic = monotonic
        self._grace = grace
        self._idle: list[Session] = []
        self._leaving: set[Line] = set()
        self._paused: Paused | None = None
        self._pauses = 0
        self._failures = 0
        self._proven = False
        """Whether the server has ever answered a mail of ours."""
        self._context: ssl.SSLContext | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tidying: asyncio.TimerHandle | None = None
        self._round: _Round | None = None
        self._closed = False

    @property
    def longest(self) -> timedelta:
        """No mail is in hand for longer: whoever leases mails adds it to when the last may begin."""
        return timedelta(seconds=ONE_MAIL * self.settings.timeout)

    async def send(self, parcels: Sequence[Parcel], now: datetime) -> Sequence[Outcome]:
        if self._closed:
            return [Outcome("not_tried", "connect", "the transport is closed")] * len(parcels)
        if paused := self.paused(now):
            return [Outcome("not_tried", paused.stage, paused.says)] * len(parcels)
        turn = _Round(parcels, self.settings.bounces_to)
        if not turn.waiting:
            return turn.told()
        self._at_home_here()
        began = self._monotonic()
        self._round = turn
        turn.task = task = asyncio.create_task(self._run(turn))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await self._wind_up(turn)
            if task.cancelled():  # somebody cancelled every task there is
                raise
        finally:
            self._round = None
        if turn.trouble is not None and (turn.halted or (turn.waiting and not turn.stopped)):
            self._pause(turn.trouble, now + timedelta(seconds=self._monotonic() - began))
        return turn.told()

    def paused(self, now: datetime) -> Paused | None:
        return self._paused if self._paused is not None and now < self._paused.until else None

    async def close(self) -> None:
        """Finishes the mails in hand, within its grace; then says goodbye. Closed for good."""
        self._closed = True
        if self._round is not None:
            await self._wind_up(self._round)
        if self._tidying is not None:
            self._tidying.cancel()
        self._at_home_here()
        self._leave_idle()
        if self._leaving:
            await asyncio.wait([line.closed for line in self._leaving], timeout=GOODBYE_SECONDS)
        for line in self._leaving:
            line.abort()

    # --- a round --------------------------------------------------------------------------------------------------

    async def _run(self, turn: _Round) -> None:
        if self._pauses or not self._proven:  # one mail goes ahead: a wrong password, for one, is then tried once only
            await self._staffed(turn, 1, most=1)
        if not turn.stopped and turn.trouble is None and turn.waiting:
            await self._staffed(turn, min(self.settings.connections, len(turn.waiting)))

    async def _staffed(self, turn: _Round, workers: int, most: int | None = None) -> None:
        turn.workers = {asyncio.create_task(self._work(turn, most)) for _ in range(workers)}
        await asyncio.gather(*turn.workers, return_exceptions=True)

    async def _work(self, turn: _Round, most: int | None) -> None:
        """One worker: takes mails as long as there are some, over a session of its own."""
        session: Session | None = None
        try:
            while most != 0 and turn.goes_on(self._monotonic()):
                with turn.free_to_go():
                    session = await self._fit_session(session)
                    if self._pace is not None and not await self._pace.turn(turn.until):
                        return
                index = turn.take(self._monotonic())
                if index is None:
                    continue
                session = await self._deliver(turn, index, session)
                most = None if most is None else most - 1
        except Trouble as trouble:
            turn.trouble = turn.trouble or trouble
        except Exception as fault:  # the round's outcomes are not to be lost for it
            told = one_line(f"{type(fault).__name__}: {fault}")
            turn.stop(Trouble("connect", told, "this is a fault in vipflow: please report it"))
        finally:
            if session is not None:
                self._keep(session)

    async def _deliver(self, turn: _Round, index: int, session: Session) -> Session | None:
        """Settles one mail; gives the session to go on with. A line that drops before the content began is replaced,
        once: a server may hang up on whom it has heard long enough. Raises Trouble.
        """
        mail = turn.mails[index]
        bound = asyncio.get_running_loop().time() + ONE_MAIL * self.settings.timeout
        try:
            try:
                outcome = await session.deliver(mail, bound)
            except BeginAgain:
                self._leave(session)
                session = await self._opened(bound)
                try:
                    outcome = await session.deliver(mail, bound)
                except BeginAgain as again:
                    outcome = again.outcome
        except Trouble as trouble:
            turn.settle(index, Outcome("not_tried", trouble.stage, trouble.says, trouble.code))
            turn.stop(trouble)
            raise
        except asyncio.CancelledError:  # while the line was opened again
            turn.settle(index, Outcome("not_tried", "connect", STOPPED))
            raise
        except Exception as fault:  # ours: nobody knows how far it came
            session.hang_up()
            outcome = Outcome("uncertain", "content", one_line(f"{type(fault).__name__}: {fault}"))
        turn.settle(index, outcome)
        self._learn(turn, outcome, session)
        if session.alive:
            return session
        self._leave(session)
        return None

    def _learn(self, turn: _Round, outcome: Outcome, session: Session) -> None:
        """What a mail's outcome says of the server."""
        if session.alive or outcome.kind == "sent":
            self._failures = self._pauses = 0
            self._paused = None
            self._proven = True
        elif not turn.stopped:
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                says = f"{self._failures} mails in a row lost their line: {outcome.says}"
                turn.stop(Trouble(outcome.stage, says, ASK_LATER))
            elif self._pauses:
                turn.stop(
                    Trouble(outcome.stage, f"the first mail after a pause lost its line: {outcome.says}", ASK_LATER)
                )

    def _pause(self, trouble: Trouble, at: datetime) -> None:
        rest = PAUSES[min(self._pauses, len(PAUSES) - 1)]
        self._pauses += 1
        self._context = None  # after the rest all is done afresh: certificates, server and sessions may be others
        self._leave_idle()
        since = self._paused.since if self._paused is not None else at
        self._paused = Paused(trouble.stage, one_line(f"{trouble.says}; {trouble.remedy}"), since, at + rest)

    async def _wind_up(self, turn: _Round) -> None:
        """Ends a round early: no further mail begins, those in hand get their grace."""
        task = turn.task
        if task is None:
            return
        turn.stop(None)
        with contextlib.suppress(asyncio.CancelledError):  # asked twice: then without grace
            await asyncio.wait({task}, timeout=self._grace)
        while not task.done():
            for worker in turn.workers:
                worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task}, timeout=1.0)

    # --- sessions -------------------------------------------------------------------------------------------------

    async def _fit_session(self, session: Session | None) -> Session:
        """The worker's own session if it may go on, else one that waits, else a new one. Raises Trouble."""
        while session is not None or self._idle:
            session = session or self._idle.pop()
            if session.fit:
                return session
            self._leave(session)
            session = None
        return await self._opened(asyncio.get_running_loop().time() + OPENING * self.settings.timeout)

    async def _opened(self, bound: float) -> Session:
        """A new session. A server that merely hangs up is asked once more. Raises Trouble."""
        try:
            async with asyncio.timeout_at(bound):
                if self._context is None:
                    self._context = await asyncio.to_thread(tls_context, self.settings)
                try:
                    return await self._session()
                except Trouble as trouble:
                    if not trouble.hung_up:
                        raise
                return await self._session()
        except TimeoutError:
            raise Trouble("connect", "no session came about in time", "it may pass; else check smtp.host") from None

    async def _session(self) -> Session:
        client = await open_line(self.settings, self._context)
        try:
            await log_in(client, self.settings, self._password)
            return Session(client, self.settings.timeout)
        except BaseException:
            client.close()
            raise

    def _keep(self, session: Session) -> None:
        """For the next round, if it comes soon."""
        if self._closed or not session.fit:
            self._leave(session)
            return
        self._idle.append(session)
        if self._tidying is None:
            self._tidying = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._tidy)

    def _leave(self, session: Session) -> None:
        line = session.line
        self._leaving.add(line)
        line.closed.add_done_callback(lambda _: self._leaving.discard(line))
        session.leave()

    def _leave_idle(self) -> None:
        while self._idle:
            self._leave(self._idle.pop())

    def _tidy(self) -> None:
        self._tidying = None
        waiting, self._idle = self._idle, []
        for session in waiting:
            self._keep(session)

    def _at_home_here(self) -> None:
        """Sessions belong to the loop that opened them: those of another one went with it."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._idle, self._leaving, self._tidying = loop, [], set(), None


class _Round:
    """The mails of one `send`: which wait, and what became of the others."""

    def __init__(self, parcels: Sequence[Parcel], bounces_to: str | None) -> None:
        self.task: asyncio.Task[None] | None = None
        self.workers: set[asyncio.Task[None]] = set()
        self.trouble: Trouble | None = None
        self.stopped = False
        self.halted = False
        """Stopped by trouble, not by whoever closes or cancels."""
        self.waiting: deque[int] = deque()
        self.mails: dict[int, Envelope] = {}
        self._parcels = parcels
        self._outcomes: list[Outcome | None] = [None] * len(parcels)
        self._free: set[asyncio.Task[None]] = set()
        for index, parcel in enumerate(parcels):
            mail = enveloped(parcel, bounces_to)
            if isinstance(mail, Envelope):
                self.mails[index] = mail
                self.waiting.append(index)
            else:
                self._outcomes[index] = mail

    @property
    def until(self) -> float:
        return max((self._parcels[index].until for index in self.waiting), default=float("-inf"))

    def goes_on(self, monotonic: float) -> bool:
        """Whether there is a mail that may begin now. Those that no longer may are settled."""
        while self.waiting and self._parcels[self.waiting[0]].until <= monotonic:
            self.settle(self.waiting.popleft(), TOO_LATE)
        return bool(self.waiting) and not self.stopped

    def take(self, monotonic: float) -> int | None:
        """The next mail, for whoever asks; with the last one taken, those without one may go."""
        if not self.goes_on(monotonic):
            return None
        index = self.waiting.popleft()
        if not self.waiting:
            self._dismiss()
        return index

    @contextmanager
    def free_to_go(self) -> Iterator[None]:
        """While a worker waits for a session or its turn it holds no mail, and may be dismissed at any moment."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._free.add(task)
        try:
            yield
        finally:
            self._free.discard(task)

    def stop(self, trouble: Trouble | None) -> None:
        """No further mail begins."""
        self.stopped = True
        if trouble is not None:
            self.trouble, self.halted = trouble, True
        self._dismiss()

    def settle(self, index: int, outcome: Outcome) -> None:
        self._outcomes[index] = outcome

    def told(self) -> list[Outcome]:
        """What became of each, once the round is over."""
        if self.trouble is not None:
            left = Outcome("not_tried", self.trouble.stage, self.trouble.says, self.trouble.code)
        else:
            left = Outcome("not_tried", "connect", STOPPED) if self.stopped else TOO_LATE
        return [outcome or left for outcome in self._outcomes]

    def _dismiss(self) -> None:
        for task in self._free:
            task.cancel()
