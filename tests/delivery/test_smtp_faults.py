"""What is known of a mail after each fault of a mail server, at each stage: its outcome, and what the server took."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.delivery.smtp_servers import Deed, Drop, Hang, Point, Say, ScriptedServer
from vipflow.config import SmtpSettings
from vipflow.delivery.smtp import SmtpTransport
from vipflow.delivery.transport import Outcome, OutcomeKind, Parcel, Stage

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ZOE, MAX = "zoe@elan.example", "max@elan.example"
PIPELINING = ("PIPELINING",)
NONE: tuple[str, ...] = ()
TEXT = b"Bonjour\r\n.\r\n..\r\n.caf=C3=A9\r\n\r\nla fin\r\n"
SOON = 0.4
"""Seconds that a hanging server is waited for in these stories."""


def parcel(number: int = 1, *to: str, text: bytes = TEXT, until: float = float("inf")) -> Parcel:
    ident = f"<{number}@vipflow.example>"
    content = f"Message-ID: {ident}\r\nSubject: test\r\n\r\n".encode() + text
    return Parcel("nord", f"M{number}", ident, "nord@nord.example", to or (ZOE,), content, NOW, until)


def transport(server: Any, **settings: Any) -> SmtpTransport:
    settings = {"security": "none", "timeout": 5, **settings}
    return SmtpTransport(SmtpSettings(host=server.host, port=server.port, **settings))


def sent(server: Any, *parcels: Parcel, **settings: Any) -> Sequence[Outcome]:
    """One round, over a transport of its own."""

    async def one_round() -> Sequence[Outcome]:
        relay = transport(server, **settings)
        try:
            return await relay.send(parcels, NOW)
        finally:
            await relay.close()

    return asyncio.run(one_round())


@dataclass(frozen=True)
class Case:
    """A fault, and what is to be known afterwards."""

    point: Point
    deed: Deed
    kind: OutcomeKind
    stage: Stage
    taken: int = 0
    after: bool = False
    always: bool = True

    def __str__(self) -> str:
        when = "after" if self.after else "at"
        how = "" if self.always else "-once"
        code = f"-{self.deed.code}" if isinstance(self.deed, Say) else ""
        takes = "-taken" if self.taken else ""
        return f"{type(self.deed).__name__.lower()}{code}-{when}-{self.point}{how}{takes}"


NEVER = Drop(takes=False)
CASES = [
    # The line goes, whenever it comes to this.
    Case("greeting", Drop(), "not_tried", "greeting"),
    Case("greeting", Drop(), "not_tried", "greeting", after=True),
    Case("ehlo", Drop(), "not_tried", "greeting"),
    Case("ehlo", Drop(), "temporary", "sender", after=True),
    Case("mail", Drop(), "temporary", "sender"),
    Case("mail", Drop(), "temporary", "recipients", after=True),
    Case("rcpt", Drop(), "temporary", "recipients"),
    Case("rcpt", Drop(), "temporary", "content", after=True),
    Case("data", Drop(), "temporary", "content"),
    Case("data", Drop(), "uncertain", "answer", after=True),
    Case("content", Drop(), "uncertain", "answer"),
    Case("content", Drop(rudely=True), "uncertain", "answer"),
    Case("dot", NEVER, "uncertain", "answer"),
    Case("dot", Drop(), "uncertain", "answer", taken=1),
    Case("dot", Drop(rudely=True), "uncertain", "answer", taken=1),
    Case("dot", Drop(), "sent", "answer", taken=1, after=True),
    # Once only: before the content another line is tried, from there on never.
    Case("greeting", Drop(), "sent", "answer", taken=1, always=False),
    Case("ehlo", Drop(), "sent", "answer", taken=1, always=False),
    Case("ehlo", Drop(), "sent", "answer", taken=1, after=True, always=False),
    Case("mail", Drop(), "sent", "answer", taken=1, always=False),
    Case("rcpt", Drop(rudely=True), "sent", "answer", taken=1, always=False),
    Case("data", Drop(), "sent", "answer", taken=1, always=False),
    Case("data", Drop(), "uncertain", "answer", after=True, always=False),
    Case("dot", NEVER, "uncertain", "answer", always=False),
    Case("dot", Drop(), "uncertain", "answer", taken=1, always=False),
    # It says nothing any more.
    Case("greeting", Hang(), "not_tried", "greeting"),
    Case("ehlo", Hang(), "not_tried", "greeting"),
    Case("mail", Hang(), "temporary", "sender"),
    Case("rcpt", Hang(), "temporary", "recipients"),
    Case("data", Hang(), "temporary", "content"),
    Case("content", Hang(), "uncertain", "answer"),
    Case("dot", Hang(), "uncertain", "answer", taken=1),
    Case("dot", Hang(takes=False), "uncertain", "answer"),
    # It says no.
    Case("greeting", Say(421), "not_tried", "greeting"),
    Case("greeting", Say(554), "not_tried", "greeting"),
    Case("ehlo", Say(421, then_drop=True), "not_tried", "greeting"),
    Case("mail", Say(421), "temporary", "sender"),
    Case("mail", Say(451), "temporary", "sender"),
    Case("mail", Say(501), "permanent", "sender"),
    Case("mail", Say(552), "permanent", "sender"),
    Case("mail", Say(553), "permanent", "sender"),
    Case("mail", Say(554, "5.7.1 not from you"), "temporary", "sender"),
    Case("mail", Say(503), "not_tried", "auth"),
    Case("mail", Say(530), "not_tried", "auth"),
    Case("mail", Say(535), "not_tried", "auth"),
    Case("mail", Say(538), "not_tried", "auth"),
    Case("rcpt", Say(421), "temporary", "recipients"),
    Case("rcpt", Say(450), "temporary", "recipients"),
    Case("rcpt", Say(550, "5.1.1 who?"), "permanent", "recipients"),
    Case("rcpt", Say(554, "5.7.1 blocked by a list"), "temporary", "recipients"),
    Case("rcpt", Say(530), "not_tried", "auth"),
    Case("rcpt", Say(503), "temporary", "recipients"),
    Case("data", Say(421), "temporary", "content"),
    Case("data", Say(451), "temporary", "content"),
    Case("data", Say(554), "temporary", "content"),
    Case("data", Say(530), "not_tried", "auth"),
    Case("dot", Say(421), "temporary", "answer"),
    Case("dot", Say(451), "temporary", "answer"),
    Case("dot", Say(550), "permanent", "answer"),
    Case("dot", Say(554, then_drop=True), "permanent", "answer"),
    Case("dot", Say(250, "taken", then_drop=True), "sent", "answer", taken=1),
    Case("rset", Drop(), "sent", "answer", taken=1),
    Case("quit", Hang(), "sent", "answer", taken=1),
    Case("quit", Drop(), "sent", "answer", taken=1),
]


@pytest.mark.parametrize("extensions", [PIPELINING, NONE], ids=["pipelined", "one-by-one"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_after_each_fault_it_is_known_how_far_the_mail_came(case: Case, extensions: tuple[str, ...]) -> None:
    mail = parcel()
    with ScriptedServer(extensions=extensions) as server:
        order = server.after if case.after else server.at
        order(case.point, case.deed, times=None if case.always else 1)
        hangs = isinstance(case.deed, Hang)
        (outcome,) = sent(server, mail, timeout=SOON if hangs and case.point != "quit" else 5)
    assert (outcome.kind, outcome.stage) == (case.kind, case.stage), outcome
    assert server.copies(mail.message_id) == case.taken
    assert all(copy.content == mail.content and copy.recipients == (ZOE,) for copy in server.taken)
    if isinstance(case.deed, Say) and case.kind != "sent":
        assert outcome.code == case.deed.code
        assert case.deed.words in outcome.says
    assert outcome.says.isprintable()
    assert len(outcome.says) <= 300
    assert outcome.says or outcome.kind == "sent"


@pytest.mark.parametrize("extensions", [PIPELINING, NONE], ids=["pipelined", "one-by-one"])
@pytest.mark.parametrize("point", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("code", [451, 552])
def test_a_refusal_leaves_the_session_good_for_the_next_mail(
    point: Point, code: int, extensions: tuple[str, ...]
) -> None:
    with ScriptedServer(extensions=extensions) as server:
        server.at(point, Say(code))
        first, second = sent(server, parcel(1), parcel(2), connections=1)
    assert first.kind in ("temporary", "permanent")
    assert second.kind == "sent"
    assert server.connections == 1
    assert [copy.message_id for copy in server.taken] == ["<2@vipflow.example>"]


def test_a_server_that_takes_content_for_a_refused_recipient_gets_none() -> None:
    """Pipelined, DATA may be answered though its recipient was refused: then the line goes, and no mail with it."""
    with ScriptedServer() as server:
        server.at("rcpt", Say(450))
        server.at("data", Say(354))
        put_off, next_one = sent(server, parcel(1), parcel(2), connections=1)
    assert (put_off.kind, put_off.stage) == ("temporary", "recipients")
    assert next_one.kind == "sent"
    assert [copy.message_id for copy in server.taken] == ["<2@vipflow.example>"]
    assert server.connections == 2


def test_a_greylisting_server_takes_the_mail_when_it_comes_again() -> None:
    async def story(server: ScriptedServer) -> list[OutcomeKind]:
        relay = transport(server)
        kinds = [(await relay.send([parcel(1, ZOE, MAX)], NOW))[0].kind for _ in range(2)]
        await relay.close()
        return kinds

    with ScriptedServer(greylists=True) as server:
        assert asyncio.run(story(server)) == ["temporary", "sent"]
        assert sorted(server.recipients_of(parcel().message_id)) == [MAX, ZOE]


@pytest.mark.parametrize("extensions", [PIPELINING, NONE], ids=["pipelined", "one-by-one"])
def test_of_two_recipients_one_refused_for_good_the_other_gets_the_mail(extensions: tuple[str, ...]) -> None:
    with ScriptedServer(extensions=extensions) as server:
        server.at("rcpt", Say(550, "5.1.1 who?"), to=ZOE)
        (outcome,) = sent(server, parcel(1, ZOE, MAX))
    assert outcome.kind == "sent"
    assert [(each.address, each.code, each.says) for each in outcome.refused] == [(ZOE, 550, "5.1.1 who?")]
    assert server.recipients_of(parcel().message_id) == [MAX]


@pytest.mark.parametrize("extensions", [PIPELINING, NONE], ids=["pipelined", "one-by-one"])
def test_of_two_recipients_one_put_off_nobody_gets_the_mail_yet(extensions: tuple[str, ...]) -> None:
    with ScriptedServer(extensions=extensions) as server:
        server.at("rcpt", Say(452), to=MAX)
        first, second = sent(server, parcel(1, ZOE, MAX), parcel(2, ZOE, MAX), connections=1)
    assert (first.kind, first.stage, first.code) == ("temporary", "recipients", 452)
    assert second.kind == "sent"
    assert server.copies("<1@vipflow.example>") == 0
    assert server.connections == 1


def test_a_mail_larger_than_the_server_takes_is_not_even_begun() -> None:
    with ScriptedServer(extensions=("PIPELINING", "SIZE 100")) as server:
        small, large = sent(server, parcel(1, text=b"x\r\n"), parcel(2, text=b"x" * 60 + b"\r\n"), connections=1)
    assert small.kind == "sent"
    assert (large.kind, large.stage) == ("permanent", "sender")
    assert large.says == "it has 112 bytes, and the server takes 100"
    assert [each for each in server.commands if each.startswith("MAIL")] == ["MAIL FROM:<nord@nord.example> SIZE=53"]


def test_a_line_lost_amid_a_large_content_says_so() -> None:
    large = parcel(1, text=b"x" * 70 + b"\r\n" + (b"y" * 998 + b"\r\n") * 20_000)
    with ScriptedServer() as server:
        server.at("content", Hang())
        (outcome,) = sent(server, large, timeout=SOON)
    assert (outcome.kind, outcome.stage) == ("uncertain", "content")
    assert server.taken == []


def test_a_large_mail_arrives_byte_for_byte() -> None:
    large = parcel(1, text=(b"." * 70 + b"\r\n" + b".\r\n\r\n..y\r\n") * 50_000)
    with ScriptedServer() as server:
        (outcome,) = sent(server, large)
    assert outcome.kind == "sent"
    assert [copy.content for copy in server.taken] == [large.content]


@pytest.mark.parametrize("text", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n.\n", b"a\n.\r\nMAIL FROM:<x@y.example>\r\n"])
def test_no_mail_leaves_in_which_a_server_could_read_two(text: bytes) -> None:
    with ScriptedServer() as server:
        (outcome,) = sent(server, parcel(1, text=text))
    assert (outcome.kind, outcome.stage) == ("permanent", "content")
    assert server.connections == 0


@pytest.mark.parametrize(
    "bad", ["", " ", "a@b.example, c@d.example", "zoé@elan.example", "a@b.example>\r\nDATA", "nobody"]
)
def test_what_is_not_exactly_one_address_is_refused_by_us(bad: str) -> None:
    with ScriptedServer() as server:
        alone, beside = sent(server, parcel(1, bad), parcel(2, bad, MAX))
    assert (alone.kind, alone.stage) == ("permanent", "recipients")
    assert "address" in alone.says
    assert beside.kind == "sent"
    for outcome in (alone, beside):
        assert [(each.address, each.code) for each in outcome.refused] == [(bad, 0)]
    assert [copy.recipients for copy in server.taken] == [(MAX,)]


def test_a_mail_to_nobody_and_one_from_nobody_never_leave() -> None:
    to_nobody = Parcel("nord", "M", "<1@x.example>", "nord@nord.example", (), b"\r\n", NOW)
    from_nobody = Parcel("nord", "M", "<1@x.example>", "", (ZOE,), b"\r\n", NOW)
    with ScriptedServer() as server:
        outcomes = sent(server, to_nobody, from_nobody)
    assert [(each.kind, each.stage) for each in outcomes] == [("permanent", "recipients"), ("permanent", "sender")]


def test_what_a_server_says_is_kept_as_one_short_printable_line() -> None:
    with ScriptedServer() as server:
        server.at("dot", Say(550, "5.6.0 \x1b[31mno\x07 " + "x" * 1000))
        server.at("mail", Say(550, "first\r\n550 second"))  # a second answer out of turn: no SMTP any more
        refused, *_ = sent(server, parcel(1))
    assert refused.says.isprintable()
    assert len(refused.says) <= 300


def test_bounces_go_where_the_settings_say() -> None:
    with ScriptedServer() as server:
        sent(server, parcel(1), bounces_to="bounces@nord.example")
    assert [copy.sender for copy in server.taken] == ["bounces@nord.example"]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_between_a_mail_said_sent_was_taken_once_and_one_said_untaken_never(seed: int) -> None:
    """Three hundred mails over four lines to a server that does something wrong every fifty times."""
    mails = {number: parcel(number, ZOE, MAX) if number % 3 else parcel(number) for number in range(300)}
    said: dict[int, list[Outcome]] = {number: [] for number in mails}

    async def story(server: ScriptedServer) -> None:
        relay = transport(server, connections=4)
        now, waiting = NOW, list(mails)
        while waiting:
            outcomes = await relay.send([mails[number] for number in waiting], now)
            for number, outcome in zip(waiting, outcomes, strict=True):
                said[number].append(outcome)
            waiting = [number for number in waiting if said[number][-1].kind in ("temporary", "not_tried")]
            now += timedelta(minutes=20)
        await relay.close()

    with ScriptedServer(extensions=PIPELINING if seed % 2 else NONE) as server:
        server.moody(seed, 0.02)
        asyncio.run(story(server))
    assert server.faults > 20
    kinds = Counter(outcomes[-1].kind for outcomes in said.values())
    assert kinds["sent"] > 200, kinds
    for number, outcomes in said.items():
        copies = server.copies(mails[number].message_id)
        possible = {"sent": {1}, "uncertain": {0, 1}}.get(outcomes[-1].kind, {0})
        assert copies in possible, (number, outcomes)
    contents = {mail.message_id: mail.content for mail in mails.values()}
    assert all(copy.content == contents[copy.message_id] for copy in server.taken)
