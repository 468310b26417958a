"""Mail servers for tests, on 127.0.0.1: a real one (aiosmtpd, with TLS and AUTH), and one that follows a script.

Both run in a thread with a loop of their own, and tell what they *took over*:

    with ScriptedServer() as server:
        server.at("dot", Drop(takes=True))          # takes the next mail over, and drops the line instead of saying so
        server.after("mail", Drop())                # answers MAIL, then drops the line
        server.at("rcpt", Say(550, "5.1.1 who?"), to="nobody@elan.example", times=None)   # always, for this address
        ...  # send to server.host, server.port
        assert [mail.recipients for mail in server.taken] == [("zoe@elan.example",)]
        assert server.copies("<id@domain>") == 1

The points of a script, in the order of a session: greeting, ehlo, starttls, auth, mail, rcpt, data, content (half of it
has been read), dot (all of it has), rset, quit.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import random
import re
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOST = "127.0.0.1"
Point = Literal["greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "content", "dot", "rset", "quit"]

_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(rb"<([^>]*)>")


@dataclass(frozen=True)
class Taken:
    """A copy that the server took over: from then on it is the server's to deliver."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message_id(self) -> str:
        found = _ID.search(self.content)
        return found.group(1).decode() if found else ""


class Server(ABC):
    """What both have in common. `taken` grows as copies are taken over; `connections` counts those accepted."""

    def __init__(self) -> None:
        self.host = HOST
        self.port = 0
        self.taken: list[Taken] = []
        self.connections = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()

    def copies(self, message_id: str) -> int:
        return sum(each.message_id == message_id for each in list(self.taken))

    def recipients_of(self, message_id: str) -> list[str]:
        """Everybody who got a copy, once for each copy."""
        return [to for each in list(self.taken) if each.message_id == message_id for to in each.recipients]

    def wait_until(self, holds: Callable[[], bool], within: float = 10) -> None:
        """Waits until something the server counts is so; AssertionError otherwise."""
        with self._changed:
            assert self._changed.wait_for(holds, within), "the server never saw it"

    def start(self, port: int = 0) -> Self:
        """Listens, by default on a free port: `self.port`."""
        sock = socket.create_server((HOST, port), backlog=128)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does so for its own sockets only
        self.port = sock.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(sock, ready), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def stop(self) -> None:
        """Hangs up on everybody and gives the port back. What was taken can still be read."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)
            assert not self._thread.is_alive()
        self._loop = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, sock: socket.socket, ready: threading.Event) -> None:
        asyncio.run(self._serve(sock, ready))

    async def _serve(self, sock: socket.socket, ready: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda *_: None)  # clients that leave are what these servers are for
        server = await self._listen(sock)
        ready.set()
        await self._stopping.wait()
        server.close()
        await self._hang_up()
        for _ in range(3):  # transports close in the rounds after
            await asyncio.sleep(0)

    def _noticed(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _take(self, taken: Taken) -> None:
        self.taken.append(taken)
        self._noticed()

    @abstractmethod
    async def _listen(self, sock: socket.socket) -> asyncio.Server:
        """Begins to take sessions."""

    @abstractmethod
    async def _hang_up(self) -> None:
        """Ends those that are open."""


# --- certificates -------------------------------------------------------------------------------------------------


class Certificates:
    """An authority of the test's own: `ca_file` for clients, contexts for servers."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca_file))

    def server(self, *names: str, **how: Any) -> ssl.SSLContext:
        """What a server of these names (by default this machine's) shows; `not_after` and such as trustme has them."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert(*(names or ("localhost", HOST)), **how).configure_cert(context)
        return context


# --- the real one -------------------------------------------------------------------------------------------------


class RealServer(Server):
    """aiosmtpd. With `tls`: STARTTLS is required, or with `from_the_start` spoken at once. With `users`: so is AUTH."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        from_the_start: bool = False,
        users: dict[str, str] | None = None,
        refuses: dict[str, str] | None = None,
        size: int | None = None,
    ) -> None:
        super().__init__()
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        self._tls, self._from_the_start, self._users, self._size = tls, from_the_start, users, size
        self._refuses = refuses or {}
        self._open: set[asyncio.BaseTransport] = set()
        self.logged_in: list[str] = []

    async def _listen(self, sock: socket.socket) -> asyncio.Server:
        starttls = self._tls if not self._from_the_start else None
        server = self

        class Counted(SMTP):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                if transport not in server._open and not self.transport:
                    server.connections += 1
                server._open.add(transport)
                super().connection_made(transport)

        def protocol() -> SMTP:
            smtp = Counted(
                self,
                hostname="mail.test",
                data_size_limit=self._size,
                tls_context=starttls,
                require_starttls=starttls is not None,
                auth_require_tls=starttls is not None,
                authenticator=self._known if self._users is not None else None,
                loop=asyncio.get_running_loop(),
            )
            smtp._auth_required = self._users is not None  # as an argument it warns of TLS that is there from the start
            return smtp

        context = self._tls if self._from_the_start else None
        return await asyncio.get_running_loop().create_server(protocol, sock=sock, ssl=context)

    async def _hang_up(self) -> None:
        for transport in self._open:
            with contextlib.suppress(Exception):
                transport.abort()  # type: ignore[attr-defined]  # each is a real transport, TLS or not

    def _known(self, server: SMTP, session: Session, envelope: Envelope, way: str, who: Any) -> AuthResult:
        assert isinstance(who, LoginPassword)
        assert self._users is not None
        user = who.login.decode()
        if self._users.get(user) == who.password.decode():
            self.logged_in.append(user)
            return AuthResult(success=True)
        return AuthResult(success=False, handled=False)  # handled=True would leave the client waiting for ever

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self._refuses:
            return self._refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content
        assert content is not None
        self._take(Taken(envelope.mail_from or "", tuple(envelope.rcpt_tos), content))
        return "250 2.0.0 taken"


# --- the scripted one ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Say:
    """Another answer than yes. At "dot" nothing is taken over then, unless the code is 2xx."""

    code: int
    words: str = "as the script says"
    then_drop: bool = False


@dataclass(frozen=True)
class Drop:
    """The line goes. At "dot": `takes` is whether the mail was taken over first. `rudely`: with a reset."""

    takes: bool = True
    rudely: bool = False


@dataclass(frozen=True)
class Hang:
    """Nothing more is said or read. At "dot": `takes` as with Drop."""

    takes: bool = True


Deed = Say | Drop | Hang


@dataclass
class _Order:
    point: Point
    after: bool
    deed: Deed
    times: int | None
    to: str | None
    id: str | None


class _Gone(Exception):
    """Raised when the script ends a session."""


@dataclass
class _Mail:
    sender: str = ""
    recipients: list[str] = field(default_factory=list)


class ScriptedServer(Server):
    """Does as told, and else what a mail server does. Orders are carried out in the order given, each `times` times."""

    def __init__(
        self,
        *,
        extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME"),
        tls: ssl.SSLContext | None = None,
        users: dict[str, str] | None = None,
        greylists: bool = False,
        mails_per_connection: int | None = None,
    ) -> None:
        super().__init__()
        self._extensions = extensions
        self._tls = tls
        self._users = users
        self._greylists = greylists
        self._most = mails_per_connection
        self._orders: list[_Order] = []
        self._moods: tuple[random.Random, float] | None = None
        self.faults = 0
        """How many of its moods it gave way to."""
        self._known: set[tuple[str, str]] = set()
        self._sessions: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.commands: list[str] = []
        """Every command seen, content left out."""
        self.open = 0
        self.most_open = 0
        self.holds: threading.Event | None = None
        """While it is not set, the answer to the final dot waits for it."""
        self.drips: float | None = None
        """Seconds between the lines of an answer to the final dot that never ends."""

    def at(
        self, point: Point, deed: Deed, *, times: int | None = 1, to: str | None = None, id: str | None = None
    ) -> None:
        """Instead of the answer at `point`. `to`: only for this recipient; `id`: only for the mail with this
        Message-ID (from "dot" on). times=None: always.
        """
        self._orders.append(_Order(point, False, deed, times, to, id))

    def after(self, point: Point, deed: Deed, *, times: int | None = 1) -> None:
        """Once the answer at `point` was given."""
        self._orders.append(_Order(point, True, deed, times, None, None))

    def moody(self, seed: int, often: float) -> None:
        """Does something wrong at any point, in one of so many cases: 0.01 is one in a hundred."""
        self._moods = (random.Random(seed), often)

    def behave(self) -> None:
        """Forgets all orders, and has no moods any more."""
        self._orders.clear()
        self._moods = None

    async def _listen(self, sock: socket.socket) -> asyncio.Server:
        return await asyncio.start_server(self._session, sock=sock, limit=2**20)

    async def _hang_up(self) -> None:
        for task in list(self._sessions):
            task.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        for writer in list(self._writers):
            writer.transport.abort()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        self._writers.add(writer)
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self._noticed()
        try:
            await _Talk(self, reader, writer).hold()
        except (_Gone, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            self.open -= 1
            self._sessions.discard(task)
            self._writers.discard(writer)
            writer.close()
            self._noticed()

    def _order(self, point: Point, after: bool, to: str | None, id: str | None) -> Deed | None:
        for order in self._orders:
            fits = order.to in (None, to) and order.id in (None, id)
            if order.point == point and order.after == after and fits and order.times != 0:
                if order.times is not None:
                    order.times -= 1
                return order.deed
        return self._mood(point, after)

    def _mood(self, point: Point, after: bool) -> Deed | None:
        """A server that says two things for one command, or takes a mail it refused, is beyond what moods may do."""
        if self._moods is None or self._moods[0].random() >= self._moods[1]:
            return None
        self.faults += 1
        deeds: list[Deed] = [Drop(), Drop(takes=False), Drop(rudely=True)]
        if not after and point != "content":
            deeds += [Say(421, then_drop=True), Say(451), Say(550)]
        return self._moods[0].choice(deeds)


class _Talk:
    """One session of a scripted server."""

    def __init__(self, server: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.mail: _Mail | None = None
        self.mails = 0
        self.encrypted = False
        self.known = server._users is None

    async def hold(self) -> None:
        await self.answer("greeting", "220 mail.test ready")
        while line := await self.reader.readline():
            command = line.strip()
            self.server.commands.append(command.decode("latin-1"))
            self.server._noticed()
            verb = command.split(b" ")[0].upper().decode("latin-1")
            handle = getattr(self, f"on_{verb.lower()}", None)
            if handle is None:
                await self.say("500 5.5.2 what?")
            else:
                await handle(command)

    async def on_ehlo(self, command: bytes) -> None:
        offers = list(self.server._extensions)
        if self.server._tls is not None and not self.encrypted:
            offers.append("STARTTLS")
        if self.server._users is not None:
            offers.append("AUTH PLAIN LOGIN")
        lines = ["mail.test", *offers]
        await self.answer("ehlo", "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"]))

    async def on_helo(self, command: bytes) -> None:
        await self.say("250 mail.test")

    async def on_starttls(self, command: bytes) -> None:
        if self.server._tls is None:
            await self.answer("starttls", "454 4.7.0 not now")
            return
        await self.answer("starttls", "220 go")
        await self.writer.start_tls(self.server._tls)
        self.encrypted = True

    async def on_auth(self, command: bytes) -> None:
        users = self.server._users or {}
        _, way, *rest = command.decode().split(" ")
        if way.upper() == "PLAIN":
            _, user, password = base64.b64decode(rest[0]).decode().split("\0")
        else:
            user = base64.b64decode(rest[0]).decode() if rest else await self.asked("334 VXNlcm5hbWU6")
            password = await self.asked("334 UGFzc3dvcmQ6")
        self.known = users.get(user) == password
        await self.answer("auth", "235 2.7.0 welcome" if self.known else "535 5.7.8 wrong user or password")

    async def asked(self, question: str) -> str:
        await self.say(question)
        return base64.b64decode(await self.reader.readline()).decode()

    async def on_mail(self, command: bytes) -> None:
        if not self.known:
            await self.say("530 5.7.0 log in first")
            return
        if self.server._most is not None and self.mails >= self.server._most:
            await self.say("421 4.7.0 enough for one connection")
            raise _Gone
        found = _ADDRESS.search(command)
        if self.mail is not None or found is None:
            await self.say("503 5.5.1 nested MAIL")
            return
        self.mail = _Mail(found.group(1).decode())
        if not await self.answer("mail", "250 2.1.0 ok"):
            self.mail = None

    async def on_rcpt(self, command: bytes) -> None:
        found = _ADDRESS.search(command)
        if self.mail is None or found is None:
            await self.say("503 5.5.1 MAIL first")
            return
        to = found.group(1).decode()
        pair = (self.mail.sender, to)
        if self.server._greylists and pair not in self.server._known:
            self.server._known.add(pair)
            await self.say("451 4.7.1 greylisted, come again")
        elif await self.answer("rcpt", "250 2.1.5 ok", to=to):
            self.mail.recipients.append(to)

    async def on_data(self, command: bytes) -> None:
        mail = self.mail or _Mail()
        if not await self.answer("data", "354 go on" if mail.recipients else "503 5.5.1 RCPT first"):
            return
        self.mail = None
        if deed := self.server._order("content", False, None, None):
            await self.reader.read(1000)
            await self.do(deed)
        content = await self.content()
        if self.server.holds is not None:
            await asyncio.to_thread(self.server.holds.wait, 10)
        while self.server.drips is not None:
            await self.say("250-and")
            await asyncio.sleep(self.server.drips)  # why: a server that drips
        taken = Taken(mail.sender, tuple(mail.recipients), content)
        to = mail.recipients[0] if mail.recipients else None
        deed = self.server._order("dot", False, to, taken.message_id)
        if deed is None or (deed.code < 300 if isinstance(deed, Say) else deed.takes):
            self.server._take(taken)
            self.mails += 1
        if deed is not None:
            await self.do(deed)
        else:
            await self.say("250 2.0.0 taken")
        if deed := self.server._order("dot", True, to, taken.message_id):
            await self.do(deed)

    async def content(self) -> bytes:
        lines: list[bytes] = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line.endswith(b"\r\n"):
                raise _Gone  # the line ended before the final dot: nothing is taken
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    async def on_rset(self, command: bytes) -> None:
        self.mail = None
        await self.answer("rset", "250 2.0.0 forgotten")

    async def on_noop(self, command: bytes) -> None:
        await self.say("250 2.0.0 ok")

    async def on_quit(self, command: bytes) -> None:
        await self.answer("quit", "221 2.0.0 bye")
        raise _Gone

    async def answer(self, point: Point, otherwise: str, to: str | None = None) -> bool:
        """The script's answer, else `otherwise`; whether it was yes."""
        deed = self.server._order(point, False, to, None)
        if deed is not None:
            await self.do(deed)
            return isinstance(deed, Say) and deed.code < 400
        await self.say(otherwise)
        if deed := self.server._order(point, True, to, None):
            await self.do(deed)
        return otherwise[0] in "23"

    async def do(self, deed: Deed) -> None:
        match deed:
            case Say(code, words, then_drop):
                await self.say(f"{code} {words}")
                if then_drop:
                    raise _Gone
            case Drop(_, rudely):
                if rudely:
                    self.writer.transport.abort()
                raise _Gone
            case Hang():
                await asyncio.Event().wait()

    async def say(self, words: str) -> None:
        self.writer.write(words.encode() + b"\r\n")
        await self.writer.drain()
