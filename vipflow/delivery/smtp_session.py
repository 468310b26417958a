"""A session with a mail server, once it is open: one mail after the other, each told exactly how far it came.

Until the content begins to leave, nobody has the mail: a line that drops there is `temporary`. From then on, until the
server's answer is read, nobody can tell: `uncertain`. An answer is an answer: after 4xx or 5xx nothing was taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiosmtplib import SMTP

from vipflow.delivery.eml import Address, MailError
from vipflow.delivery.smtp_line import Line, LineFault, LineSilent, Reply, one_line
from vipflow.delivery.smtp_opening import Trouble
from vipflow.delivery.transport import Outcome, OutcomeKind, Parcel, Refused, Stage

MAILS_PER_SESSION = 100
"""Many servers count, and hang up on who sends more."""
IDLE_SECONDS = 30.0
SLICE = 64 * 1024
"""Of content, given away at once. Over TLS one slice may not have left when the next is asked for."""

_WANTS_AUTH: Final = frozenset({530, 534, 535, 538})
"""The server wants AUTH or TLS first: no mail's fault."""
_CONFUSED: Final = frozenset({500, 502, 503, 504, 521})
"""It understands nothing, or is not where we think it is: that says nothing of a mail or an address either."""
_THIS_MAIL: Final = frozenset({501, 550, 551, 552, 553, 555, 556})
"""Said to MAIL: this sender, or this size, never. Other 5xx may be of policy, and policies change."""


@dataclass(frozen=True)
class Envelope:
    """A mail as it leaves: checked addresses, content with its dots doubled and the final one behind."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    size: int
    refused: tuple[Refused, ...] = ()


class BeginAgain(Exception):
    """Raised when the line was lost before anything of a mail's content left."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.says)
        self.outcome = outcome


def enveloped(parcel: Parcel, bounces_to: str | None) -> Envelope | Outcome:
    """The parcel as it leaves; or its outcome, where it never can."""
    content = parcel.content
    ends = content.count(b"\r\n")
    if content.count(b"\n") != ends or content.count(b"\r") != ends:
        return Outcome("permanent", "content", "its lines do not all end with CRLF: a server may read two mails in it")
    try:
        sender = Address("", bounces_to or parcel.sender).email
    except MailError as wrong:
        return Outcome("permanent", "sender", one_line(str(wrong)))
    good: list[str] = []
    bad: list[Refused] = []
    for address in dict.fromkeys(parcel.recipients):
        try:
            good.append(Address("", address).email)
        except MailError as wrong:
            bad.append(Refused(address, 0, one_line(str(wrong))))
    if not good:
        says = bad[0].says if bad else "it is addressed to nobody"
        return Outcome("permanent", "recipients", says, refused=tuple(bad))
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    end = b".\r\n" if content.endswith(b"\r\n") or not content else b"\r\n.\r\n"
    return Envelope(sender, tuple(good), stuffed + end, len(content), tuple(bad))


class Session:
    """An open line, and what the server said it can."""

    def __init__(self, client: SMTP, timeout: float) -> None:
        self._timeout = timeout
        self._pipelining = client.supports_extension("pipelining")
        self._says_size = client.supports_extension("size")
        limit = client.esmtp_extensions.get("size", "")
        self._limit = int(limit) if limit.isdigit() else 0
        self._loop = asyncio.get_running_loop()
        self._done = False
        self._used_at = self._loop.time()
        self._bound = self._used_at
        self.mails = 0
        self.line = Line(client.transport)

    @property
    def fit(self) -> bool:
        """Whether it may carry another mail."""
        return (
            not self._done
            and not self.line.lost
            and self.line.quiet
            and self.mails < MAILS_PER_SESSION
            and self._loop.time() - self._used_at < IDLE_SECONDS
        )

    @property
    def alive(self) -> bool:
        """Whether the server answered to the end and may be spoken to further."""
        return not self._done and not self.line.lost

    def leave(self) -> None:
        """Politely where the server still listens; nobody need wait."""
        if not self._done:
            self.line.leave()

    def hang_up(self) -> None:
        """At once: without its final dot a mail is not taken over."""
        self._done = True
        self.line.abort()

    async def deliver(self, mail: Envelope, bound: float) -> Outcome:
        """Sends one mail; nothing of it lasts beyond `bound` (the loop's time).

        Raises BeginAgain where the line was lost before the content began, and Trouble where the server takes no mail
        of ours. Cancelled, it hangs up and still says what became of the mail.
        """
        if 0 < self._limit < mail.size:
            return Outcome("permanent", "sender", f"it has {mail.size} bytes, and the server takes {self._limit}")
        self.mails += 1
        self._bound = bound
        stage: Stage = "sender"
        try:
            commands = self._commands(mail)
            replies: list[Reply] = []
            if self._pipelining:
                await self._say(b"".join(line for _, line in commands))
            for step, line in commands:
                stage = step
                if not self._pipelining:
                    await self._say(line)
                replies.append(await self._reply())
                if replies[-1].code == 421:
                    return self._shut(stage, replies[-1])
                if not self._pipelining and not replies[0].is_yes:
                    break
            judged = self._judged(mail, replies)
            if isinstance(judged, Outcome):
                await self._reset(replies[-1])
                return judged
            stage = "content"
            if commands[-1][0] != "content":
                await self._say(b"DATA\r\n")
                replies.append(await self._reply())
            if replies[-1].code == 421:
                return self._shut(stage, replies[-1])
            if replies[-1].code in _WANTS_AUTH:
                self.hang_up()
                raise _not_ours(replies[-1])
            if replies[-1].code != 354:
                await self._reset(replies[-1])
                return _outcome("temporary", stage, replies[-1], judged)
        except LineFault as fault:
            self.hang_up()
            outcome = Outcome("temporary", stage, str(fault))
            if isinstance(fault, LineSilent):
                return outcome
            raise BeginAgain(outcome) from None
        except asyncio.CancelledError:
            self.hang_up()
            return Outcome("not_tried", stage, "delivery was stopped")
        return await self._content(mail, judged)

    async def _content(self, mail: Envelope, refused: tuple[Refused, ...]) -> Outcome:
        """From here on a copy may be taken over without our knowing."""
        stage: Stage = "content"
        try:
            for at in range(0, len(mail.content), SLICE):
                await self._say(mail.content[at : at + SLICE])
            stage = "answer"
            answer = await self._reply()
        except LineFault as fault:
            early = self.line.early_reply()
            self.hang_up()
            if early is None or not (early.is_later or early.is_never):
                return Outcome("uncertain", stage, str(fault), refused=refused)
            answer = early  # it said no while we were still talking
        except asyncio.CancelledError:
            self.hang_up()
            return Outcome("uncertain", stage, "delivery was stopped before the server answered", refused=refused)
        self._used_at = self._loop.time()
        if answer.is_yes:
            return _outcome("sent", "answer", answer, refused)
        if answer.code == 421:
            return self._shut(stage, answer)
        if answer.is_later or answer.is_never:
            return _outcome("temporary" if answer.is_later else "permanent", stage, answer, refused)
        self.hang_up()
        return _outcome("uncertain", stage, answer, refused)

    # --- the envelope ---------------------------------------------------------------------------------------------

    def _commands(self, mail: Envelope) -> list[tuple[Stage, bytes]]:
        """What is said before the content. DATA goes along only with a single recipient: if he is refused, so is it,
        and of several one may be put off after the server began to wait for content.
        """
        size = f" SIZE={mail.size}" if self._says_size else ""
        commands: list[tuple[Stage, bytes]] = [("sender", f"MAIL FROM:<{mail.sender}>{size}\r\n".encode("ascii"))]
        commands += [("recipients", f"RCPT TO:<{each}>\r\n".encode("ascii")) for each in mail.recipients]
        if self._pipelining and len(mail.recipients) == 1:
            commands.append(("content", b"DATA\r\n"))
        return commands

    def _judged(self, mail: Envelope, replies: Sequence[Reply]) -> tuple[Refused, ...] | Outcome:
        """Who is refused, where the mail goes on; else what becomes of it. Raises Trouble."""
        sender, *others = replies
        if not sender.is_yes:
            if sender.code in _WANTS_AUTH | _CONFUSED:
                self.hang_up()
                raise _not_ours(sender)
            return _outcome("permanent" if sender.code in _THIS_MAIL else "temporary", "sender", sender)
        refused = list(mail.refused)
        accepted = 0
        for address, reply in zip(mail.recipients, others, strict=False):
            if reply.is_yes:
                accepted += 1
            elif reply.code in _WANTS_AUTH:
                self.hang_up()
                raise _not_ours(reply)
            elif not reply.is_never or reply.code in _CONFUSED:
                return _outcome("temporary", "recipients", reply)  # nobody gets it now, so nobody gets it twice
            else:
                refused.append(Refused(address, reply.code, reply.says))
        if accepted:
            return tuple(refused)
        for each in refused:
            if each.of_policy:  # blocklists, relay rights: such things are mended
                return Outcome("temporary", "recipients", each.says, each.code)
        return Outcome("permanent", "recipients", refused[0].says, refused[0].code, tuple(refused))

    # --- the line -------------------------------------------------------------------------------------------------

    async def _say(self, data: bytes) -> None:
        await self.line.send(data, min(self._loop.time() + self._timeout, self._bound))

    async def _reply(self) -> Reply:
        return await self.line.reply(min(self._loop.time() + self._timeout, self._bound))

    async def _reset(self, last: Reply) -> None:
        """Leaves the server without a half envelope. Where it already waits for content only hanging up helps."""
        if last.code == 354:
            self.hang_up()
            return
        self._used_at = self._loop.time()
        try:
            await self._say(b"RSET\r\n")
            if not (await self._reply()).is_yes:
                self.hang_up()
        except (LineFault, asyncio.CancelledError):  # the mail's outcome is known, and not to be lost for this
            self.hang_up()

    def _shut(self, stage: Stage, reply: Reply) -> Outcome:
        """421: the server hangs up. On a line that has carried mails this may be no more than its limit for one."""
        self.hang_up()
        outcome = _outcome("temporary", stage, reply)
        if self.mails > 1 and stage == "sender":
            raise BeginAgain(outcome)
        return outcome


def _outcome(kind: OutcomeKind, stage: Stage, reply: Reply, refused: tuple[Refused, ...] = ()) -> Outcome:
    return Outcome(kind, stage, reply.says, reply.code, refused)


def _not_ours(reply: Reply) -> Trouble:
    return Trouble(
        "auth",
        f"{reply.code} {reply.says}",
        "the server wants AUTH or TLS first: check smtp.security, smtp.username and the password",
        code=reply.code,
    )
