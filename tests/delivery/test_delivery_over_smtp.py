"""From the outbox to a mail server that fails at each stage: after each fault copies and bytes are counted on its side
and on ours. What we say that may have left is never less than what it took over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tests.delivery.library import Library
from tests.delivery.smtp_servers import Deed, Drop, Hang, Point, Say, ScriptedServer
from vipflow.config import SmtpSettings
from vipflow.delivery.smtp import SmtpTransport
from vipflow.store.database import Database


class Post:
    """A library whose mails go over SMTP to a server that follows a script."""

    def __init__(self, database: Database, server: ScriptedServer, **settings: Any) -> None:
        self.library = Library(database)
        self.server = server
        given = {"security": "none", "timeout": 5, **settings}
        self.transport = SmtpTransport(
            SmtpSettings(host=server.host, port=server.port, **given), settings.get("password")
        )
        self.library.delivery = self.library.hand("library", self.transport)

    def rounds(self, runner: asyncio.Runner, most: int = 12) -> None:
        """Delivers, and lets the time pass until what waits may leave, until nothing does any more."""
        try:
            self._rounds(runner, most)
        finally:
            runner.run(self.transport.close())

    def _rounds(self, runner: asyncio.Runner, most: int) -> None:
        for _ in range(most):
            runner.run(self.library.delivery.deliver())
            self.count()
            following = self.library.delivery.next_leaving()
            if following is None or following > self.library.world.clock.now() + timedelta(days=6):
                return
            paused = self.transport.paused(self.library.world.clock.now())
            now = self.library.world.clock.now()
            self.library.world.move_to(max(now, following, paused.until if paused is not None else now))

    def count(self) -> None:
        """Ours never say less than the server took, and every copy is the same."""
        for row in self.library.mails():
            taken = [each for each in self.server.taken if each.message_id == row.message_id]
            assert len(taken) <= row.copies <= row.attempts
            assert {each.content for each in taken} <= {bytes(row.body)} if row.body is not None else not taken
        assert self.library.clean()


@dataclass(frozen=True)
class Fault:
    """What the server does, how often, and what is so in the end."""

    point: Point
    deed: Deed
    state: str
    taken: int
    copies: int
    times: int | None = 1
    incident: str | None = None

    def __str__(self) -> str:
        often = "always" if self.times is None else f"{self.times}x"
        return f"{type(self.deed).__name__.lower()}-{self.point}-{often}"


FAULTS = [
    Fault("rcpt", Say(451, "4.7.1 greylisted"), "sent", 1, 1),
    Fault("rcpt", Say(451, "4.7.1 greylisted"), "sent", 1, 1, times=5),
    Fault("rcpt", Say(550, "5.1.1 no such user"), "dead", 0, 0, times=None, incident="mail_dead"),
    Fault("mail", Say(451, "4.3.0 later"), "sent", 1, 1),
    Fault("data", Say(451, "4.3.0 later"), "sent", 1, 1),
    Fault("data", Hang(), "sent", 1, 1),
    Fault("content", Drop(), "sent", 1, 2),
    Fault("dot", Say(452, "4.3.1 no room"), "sent", 1, 1),
    Fault("dot", Say(554, "5.7.1 we do not like this"), "dead", 0, 0, times=None, incident="mail_dead"),
    Fault("dot", Drop(takes=True), "sent", 2, 2),
    Fault("dot", Drop(takes=True), "uncertain", 3, 3, times=None, incident="mail_uncertain"),
    Fault("dot", Drop(takes=False), "sent", 1, 2),
    Fault("dot", Drop(takes=False), "uncertain", 0, 3, times=None, incident="mail_uncertain"),
    Fault("dot", Hang(takes=True), "sent", 2, 2),
]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_after_each_fault_copies_and_bytes_are_as_promised(
    database: Database, server: ScriptedServer, fault: Fault
) -> None:
    post = Post(database, server, timeout=0.5 if isinstance(fault.deed, Hang) else 5)
    post.library.lend("Emma")
    post.library.pass_(days=20)
    server.at(fault.point, fault.deed, times=fault.times)
    with asyncio.Runner() as runner:
        post.rounds(runner)
    (row,) = post.library.mails()
    assert (row.state, row.copies, len(server.taken)) == (fault.state, fault.copies, fault.taken)
    assert post.library.world.incidents() == ([fault.incident] if fault.incident is not None else [])


@pytest.mark.parametrize(("point", "no"), [("greeting", Say(421, "4.3.2 not now")), ("auth", Say(535, "5.7.8 no"))])
def test_while_the_server_takes_nobody_in_no_mail_is_touched_and_then_all_leave(
    database: Database, point: Point, no: Say
) -> None:
    with ScriptedServer(users={"vipflow": "secret"}) as server, asyncio.Runner() as runner:
        post = Post(database, server, username="vipflow", password="secret")
        post.library.lend(*(f"Book{number}" for number in range(5)))
        post.library.pass_(days=20)
        server.at(point, no, times=None)
        runner.run(post.library.delivery.deliver())
        assert {(row.state, row.attempts, row.copies) for row in post.library.mails()} == {("waiting", 0, 0)}
        report = runner.run(post.library.delivery.deliver())
        assert (report.claimed, report.paused_until is not None) == (0, True)
        post.count()
        server.behave()
        post.rounds(runner)
        assert post.library.states() == ["sent"] * 5
        assert len(server.taken) == 5
        assert post.library.world.incidents() == []
