"""The line alone, plain and over TLS: what it says of bytes that cannot leave, and of answers that are none."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.delivery.smtp_servers import Certificates, Say, ScriptedServer
from tests.delivery.test_smtp_faults import NOW, parcel, transport
from vipflow.delivery.smtp_line import Line, LineLost, LineSilent, Reply

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Story = Callable[[Line, Peer], Awaitable[None]]


@pytest.fixture(params=["plain", "tls"])
def play(request: pytest.FixtureRequest, tmp_path: Any) -> Callable[[Story], None]:
    """Plays a story with a line and the streams at its other end, in one loop."""
    certificates = Certificates(tmp_path) if request.param == "tls" else None

    async def both(story: Story) -> None:
        met: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()
        theirs = certificates.server() if certificates else None
        ours = ssl.create_default_context(cafile=certificates.ca_file) if certificates else None
        server = await asyncio.start_server(lambda *peer: met.set_result(peer), "127.0.0.1", 0, ssl=theirs)
        port = server.sockets[0].getsockname()[1]
        opened, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, "127.0.0.1", port, ssl=ours, server_hostname="localhost" if ours else None
        )
        line = Line(opened)
        peer = await met
        try:
            await asyncio.wait_for(story(line, peer), 20)
        finally:
            line.abort()
            peer[1].transport.abort()
            server.close()
            await line.closed
            await asyncio.sleep(0.01)

    return lambda story: asyncio.run(both(story))


def soon(seconds: float = 5) -> float:
    return asyncio.get_running_loop().time() + seconds


def test_many_small_writes_wait_for_nobody(play: Callable[[Story], None]) -> None:
    async def story(line: Line, peer: Peer) -> None:
        began = asyncio.get_running_loop().time()
        for _ in range(100):
            await line.send(b"NOOP\r\n", soon())
        assert await peer[0].readexactly(600) == b"NOOP\r\n" * 100
        assert asyncio.get_running_loop().time() - began < 2

    play(story)


def test_replies_that_come_at_once_are_given_one_by_one(play: Callable[[Story], None]) -> None:
    async def story(line: Line, peer: Peer) -> None:
        peer[1].write(b"250-first\r\n250 second\r\n45")
        peer[1].write(b"0 4.2.0 later\r\n354\r\n")
        assert [await line.reply(soon()) for _ in range(3)] == [
            Reply(250, "first second"),
            Reply(450, "4.2.0 later"),
            Reply(354, ""),
        ]
        assert line.quiet

    play(story)


def test_bytes_that_nobody_reads_are_waited_for_no_longer_than_asked(play: Callable[[Story], None]) -> None:
    async def story(line: Line, peer: Peer) -> None:
        peer[1].transport.pause_reading()  # type: ignore[attr-defined]  # why: asyncio types it as any transport
        peer[1].write(b"250 talks but does not listen\r\n")

        async def talk_on() -> None:
            for _ in range(1000):
                await line.send(b"x" * 64_000, soon(0.3))

        began = asyncio.get_running_loop().time()
        with pytest.raises(LineSilent):
            await talk_on()
        assert 0.25 < asyncio.get_running_loop().time() - began < 3

    play(story)


def test_a_line_that_is_lost_says_so_to_whoever_waits_and_whoever_comes_later(play: Callable[[Story], None]) -> None:
    async def story(line: Line, peer: Peer) -> None:
        peer[1].write(b"221 bye\r\n")
        peer[1].close()
        assert (await line.reply(soon())).code == 221
        for _ in range(2):
            with pytest.raises(LineLost):
                await line.reply(soon())
        with pytest.raises(LineLost):
            await line.send(b"NOOP\r\n", soon())
        assert line.lost

    play(story)


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n", b"\r\n", b"2x0 ok\r\n", b"250-" + b"x" * 70_000, b"250-x\r\n" * 70_000]
)
def test_what_is_no_answer_ends_the_line(play: Callable[[Story], None], said: bytes) -> None:
    async def story(line: Line, peer: Peer) -> None:
        peer[1].write(said)
        with pytest.raises(LineLost) as lost:
            await line.reply(soon())
        assert str(lost.value).isprintable()

    play(story)


@pytest.mark.parametrize(
    ("point", "kind", "stage"),
    [
        ("greeting", "not_tried", "greeting"),
        ("ehlo", "not_tried", "greeting"),
        ("mail", "temporary", "sender"),
        ("dot", "uncertain", "answer"),
    ],
)
def test_a_server_that_speaks_something_else_is_told_apart(point: Any, kind: str, stage: str) -> None:
    async def story(server: ScriptedServer) -> tuple[str, str]:
        relay = transport(server)
        (outcome,) = await relay.send([parcel()], NOW)
        await relay.close()
        assert "no SMTP" in outcome.says, outcome
        return outcome.kind, outcome.stage

    with ScriptedServer() as server:
        server.at(point, Say(0, "HTTP/1.1 400"), times=None)
        assert asyncio.run(story(server)) == (kind, stage)
