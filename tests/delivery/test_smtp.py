"""The SMTP transport against a real mail server with TLS and AUTH, and against one that has moods."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.delivery.smtp_servers import Certificates, Drop, Hang, RealServer, Say, ScriptedServer
from tests.delivery.test_smtp_faults import MAX, NOW, SOON, ZOE, parcel, sent, transport
from vipflow.config import ConfigError, Settings, SmtpSettings
from vipflow.delivery.pace import Pace
from vipflow.delivery.smtp import PAUSES, SmtpTransport
from vipflow.delivery.transport import FileTransport
from vipflow.delivery.transports import make_transport

USERS = {"vipflow": "corr€ct horse"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


def with_relay(relay: SmtpTransport, story: Callable[[SmtpTransport], Awaitable[None]]) -> None:
    """Plays a story in one event loop, and closes the transport after it."""

    async def play() -> None:
        try:
            await story(relay)
        finally:
            await relay.close()

    asyncio.run(play())


def refused_with(server: object, secret: str | None = None, **settings: object) -> str:
    """What a transport says of its pause after one round with a mail that came back untouched."""
    found: list[str] = []

    async def story(relay: SmtpTransport) -> None:
        (outcome,) = await relay.send([parcel()], NOW)
        assert outcome.kind == "not_tried"
        paused = relay.paused(NOW)
        assert paused is not None
        assert paused.stage == outcome.stage
        assert outcome.says in paused.says
        found.append(f"{paused.stage}: {paused.says}")

    defaults = {"host": server.host, "port": server.port, "timeout": 5}  # type: ignore[attr-defined]  # why: a server of either kind
    with_relay(SmtpTransport(SmtpSettings(**(defaults | settings)), secret), story)
    return found[0]


# --- TLS and AUTH -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_mails_leave_encrypted_and_with_auth(certificates: Certificates, security: str, host: str) -> None:
    mails = [parcel(number, ZOE, MAX) for number in range(1, 4)]
    with RealServer(tls=certificates.server(), from_the_start=security == "tls", users=USERS) as server:
        settings = SmtpSettings(
            host=host,
            port=server.port,
            security=security,  # type: ignore[arg-type]  # why: pydantic reads it
            ca_file=certificates.ca_file,
            username="vipflow",
            password=USERS["vipflow"],  # type: ignore[arg-type]  # why: pydantic reads it
            connections=1,
        )

        async def story(relay: SmtpTransport) -> None:
            assert [each.kind for each in await relay.send(mails, NOW)] == ["sent"] * 3

        with_relay(SmtpTransport(settings, USERS["vipflow"]), story)
    assert [(copy.content, copy.recipients) for copy in server.taken] == [(mail.content, (ZOE, MAX)) for mail in mails]
    assert server.logged_in == ["vipflow"]
    assert server.connections == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_an_unknown_authority_pauses_the_transport(
    certificates: Certificates, tmp_path: Path, security: str
) -> None:
    with RealServer(tls=certificates.server(), from_the_start=security == "tls") as server:
        says = refused_with(server, security=security, ca_file=Certificates(tmp_path).ca_file)
    assert says.startswith("tls: the certificate of 127.0.0.1 is not good: unable to get local issuer certificate")
    assert "smtp.ca_file" in says
    assert server.taken == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_another_host_pauses_the_transport(certificates: Certificates, security: str) -> None:
    with RealServer(tls=certificates.server("mail.example"), from_the_start=security == "tls") as server:
        says = refused_with(server, security=security, ca_file=certificates.ca_file, host="localhost")
    assert says.startswith("tls: the certificate of localhost is not good: Hostname mismatch")
    assert "write in smtp.host the name that stands in the certificate" in says


def test_an_expired_certificate_pauses_the_transport(certificates: Certificates) -> None:
    from datetime import UTC, datetime

    old = certificates.server(not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2021, 1, 1, tzinfo=UTC))
    with RealServer(tls=old) as server:
        says = refused_with(server, ca_file=certificates.ca_file)
    assert "certificate has expired; its operator has to renew it" in says


def test_without_starttls_nothing_leaves_in_the_clear() -> None:
    with ScriptedServer(users=USERS) as server:
        says = refused_with(
            server, "corr€ct horse", username="vipflow", password="corr€ct horse", security="starttls", host="localhost"
        )
    assert says.startswith("tls: the server does not offer STARTTLS, so nothing was sent; ")
    assert {each.split(" ")[0] for each in server.commands} <= {"EHLO", "QUIT"}


def test_a_server_that_refuses_starttls_gets_nothing_either(certificates: Certificates) -> None:
    with ScriptedServer(extensions=("STARTTLS",)) as server:
        says = refused_with(server)
    assert says.startswith("tls: 454 4.7.0 not now; ")
    assert not [each for each in server.commands if each.startswith("MAIL")]


@pytest.mark.parametrize("deed", [Drop(), Hang()], ids=["drops", "hangs"])
def test_a_server_that_breaks_off_the_handshake_gets_nothing(certificates: Certificates, deed: Drop | Hang) -> None:
    with ScriptedServer(tls=certificates.server()) as server:
        server.after("starttls", deed, times=None)
        says = refused_with(server, ca_file=certificates.ca_file, timeout=SOON)
    assert says.startswith("tls: ")
    assert not [each for each in server.commands if each.startswith("MAIL")]


def test_tls_with_a_port_that_speaks_none_says_which_setting_to_change() -> None:
    with ScriptedServer() as server:
        says = refused_with(server, security="tls")
    assert says.startswith("tls: TLS failed: wrong version number; ")
    assert 'smtp.security = "starttls"' in says


def test_starttls_with_a_port_that_waits_for_tls_says_which_setting_to_change(certificates: Certificates) -> None:
    with RealServer(tls=certificates.server(), from_the_start=True) as server:
        says = refused_with(server, timeout=SOON)
    assert says.startswith("greeting: the server said nothing for 0.4 s; ")
    assert 'smtp.security = "tls"' in says


def test_a_ca_file_that_is_none_is_named(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for file, why in (("missing.pem", "No such file or directory"), ("ca.pem", "")):
        with RealServer(tls=certificates.server()) as server:
            says = refused_with(server, ca_file=tmp_path / file)
        assert says.startswith(f"tls: smtp.ca_file {tmp_path / file} cannot be used: {why}")


def test_a_ca_file_mended_during_the_pause_counts_without_a_restart(certificates: Certificates, tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(Certificates(tmp_path).ca_file.read_bytes())
    with RealServer(tls=certificates.server()) as server:
        settings = SmtpSettings(host="localhost", port=server.port, ca_file=trusted)

        async def story(relay: SmtpTransport) -> None:
            assert [each.kind for each in await relay.send([parcel()], NOW)] == ["not_tried"]
            trusted.write_bytes(certificates.ca_file.read_bytes())
            later = NOW + timedelta(minutes=1)
            assert [each.kind for each in await relay.send([parcel()], later)] == ["sent"]

        with_relay(SmtpTransport(settings), story)


@pytest.mark.parametrize("real", [True, False], ids=["aiosmtpd", "scripted"])
def test_a_refused_password_pauses_the_transport_and_stands_in_no_words(certificates: Certificates, real: bool) -> None:
    tls = certificates.server()
    with RealServer(tls=tls, users=USERS) if real else ScriptedServer(tls=tls, users=USERS) as server:
        if isinstance(server, ScriptedServer):
            server.at("auth", Say(535, "5.7.8 no: AHZpcGZsb3cAd3Jvbmc= wrong"), times=None)
        says = refused_with(server, "wrong", ca_file=certificates.ca_file, username="vipflow", password="wrong")
    assert says.startswith("auth: 535 5.7.8 ")
    assert "check smtp.username and the password" in says
    assert "AHZpcGZsb3cAd3Jvbmc=" not in says
    assert " wrong" not in says
    assert server.taken == []


def test_a_wrong_password_is_tried_once_only(certificates: Certificates) -> None:
    """Or the account is locked before anybody looks."""
    with ScriptedServer(tls=certificates.server(), users=USERS) as server:
        refused_with(server, "wrong", ca_file=certificates.ca_file, username="vipflow", password="wrong")
    assert len([each for each in server.commands if each.startswith("AUTH")]) == 1


def test_a_mechanism_that_is_offered_but_not_done_gives_way_to_the_next(certificates: Certificates) -> None:
    with ScriptedServer(tls=certificates.server(), users=USERS) as server:
        server.at("auth", Say(504, "5.5.4 not that one"))
        settings = SmtpSettings(
            host=server.host,
            port=server.port,
            ca_file=certificates.ca_file,
            username="vipflow",
            password=USERS["vipflow"],  # type: ignore[arg-type]  # why: pydantic reads it
        )

        async def story(relay: SmtpTransport) -> None:
            assert [each.kind for each in await relay.send([parcel()], NOW)] == ["sent"]

        with_relay(SmtpTransport(settings, USERS["vipflow"]), story)
    assert [each.split(" ")[1] for each in server.commands if each.startswith("AUTH")] == ["PLAIN", "LOGIN"]


def test_a_password_goes_over_a_plain_line_to_this_machine_only() -> None:
    with ScriptedServer(users=USERS) as server:
        settings = SmtpSettings(
            host=server.host,
            port=server.port,
            security="none",
            username="vipflow",
            password=USERS["vipflow"],  # type: ignore[arg-type]  # why: pydantic reads it
        )

        async def story(relay: SmtpTransport) -> None:
            assert [each.kind for each in await relay.send([parcel()], NOW)] == ["sent"]

        with_relay(SmtpTransport(settings, USERS["vipflow"]), story)
    with pytest.raises(ValueError, match="would travel readable"):
        SmtpSettings(host="192.0.2.1", security="none", username="u", password="p")  # type: ignore[arg-type]  # why: pydantic reads it


def test_where_the_server_offers_no_auth_no_password_leaves() -> None:
    with ScriptedServer() as server:
        says = refused_with(server, "secret", security="none", username="vipflow", password="secret")
    assert says.startswith("auth: the server offers no AUTH that we know (none at all); ")


# --- sessions -----------------------------------------------------------------------------------------------------


def test_sessions_are_kept_between_rounds_and_no_more_are_opened_than_there_is_work_for() -> None:
    with ScriptedServer() as server:

        async def story(relay: SmtpTransport) -> None:
            assert server.connections == 0
            await relay.send([parcel(1)], NOW)
            await relay.send([parcel(2)], NOW)
            assert server.connections == 1
            await relay.send([parcel(number) for number in range(10, 40)], NOW)
            await relay.send([parcel(number) for number in range(40, 70)], NOW)
            assert server.connections <= 4

        with_relay(transport(server, connections=4), story)
        server.wait_until(lambda: server.open == 0)
        assert server.commands.count("QUIT") == server.connections
    assert len(server.taken) == 62
    assert set(Counter(copy.message_id for copy in server.taken).values()) == {1}


def test_each_session_carries_a_hundred_mails_and_is_replaced() -> None:
    mails = [parcel(number) for number in range(250)]
    with ScriptedServer() as server:
        outcomes = sent(server, *mails, connections=1)
    assert {each.kind for each in outcomes} == {"sent"}
    assert server.connections == 3
    assert server.most_open <= 2
    assert [copy.content for copy in server.taken] == [mail.content for mail in mails]


def test_a_server_that_takes_few_mails_at_a_time_gets_them_over_several_lines() -> None:
    with ScriptedServer(mails_per_connection=2) as server:
        outcomes = sent(server, *[parcel(number) for number in range(7)], connections=1)
    assert {each.kind for each in outcomes} == {"sent"}
    assert server.connections == 4


def test_a_session_that_the_server_closed_meanwhile_is_replaced_unnoticed() -> None:
    with ScriptedServer() as server:
        server.after("dot", Say(421, "4.4.2 idle for too long", then_drop=True))

        async def story(relay: SmtpTransport) -> None:
            assert [each.kind for each in await relay.send([parcel(1)], NOW)] == ["sent"]
            server.wait_until(lambda: server.open == 0)
            assert [each.kind for each in await relay.send([parcel(2)], NOW)] == ["sent"]

        with_relay(transport(server), story)
    assert (server.connections, len(server.taken)) == (2, 2)


def test_idle_sessions_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vipflow.delivery.smtp.IDLE_SECONDS", 0.05)
    monkeypatch.setattr("vipflow.delivery.smtp_session.IDLE_SECONDS", 0.05)
    with ScriptedServer() as server:

        async def story(relay: SmtpTransport) -> None:
            await relay.send([parcel(1)], NOW)
            await asyncio.to_thread(server.wait_until, lambda: server.open == 0)

        with_relay(transport(server), story)
    assert server.commands[-1] == "QUIT"


def test_a_server_that_bears_one_connection_only_gets_all_over_that_one() -> None:
    with ScriptedServer() as server:
        server.at("greeting", Say(220, "ready"))
        server.at("greeting", Say(421, "4.7.0 too many connections", then_drop=True), times=None)

        async def story(relay: SmtpTransport) -> None:
            outcomes = await relay.send([parcel(number) for number in range(50)], NOW)
            assert {each.kind for each in outcomes} == {"sent"}
            assert relay.paused(NOW) is None

        with_relay(transport(server, connections=4), story)
    assert len(server.taken) == 50


def test_a_second_event_loop_opens_sessions_of_its_own() -> None:
    with ScriptedServer() as server:
        relay = transport(server)

        async def one_round(number: int) -> str:
            (outcome,) = await relay.send([parcel(number)], NOW)
            for session in relay._idle:  # or the loop's end warns of them
                session.line.abort()
            return outcome.kind

        assert [asyncio.run(one_round(number)) for number in (1, 2)] == ["sent", "sent"]
        asyncio.run(relay.close())
    assert len(server.taken) == 2


# --- pace and time ------------------------------------------------------------------------------------------------


class FakeTime:
    """A monotonic clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


@pytest.mark.parametrize("rate", [0.5, 1, 10, 5000])
def test_a_pace_is_even_and_never_exceeded(rate: float) -> None:
    time = FakeTime()
    pace = Pace(rate, monotonic=time.monotonic, sleep=time.sleep)
    begun: list[float] = []

    async def worker() -> None:
        for _ in range(100):
            assert await pace.turn(float("inf"))
            begun.append(time.now)

    async def workers() -> None:
        await asyncio.gather(*(worker() for _ in range(4)))

    asyncio.run(workers())
    took = begun[-1] - begun[0]
    assert took == pytest.approx(399 / rate, rel=0.01, abs=0.06)
    for first in range(0, 400 - 20, 20):  # nowhere faster than the rate, but for what a loop may catch up
        span = begun[first + 20] - begun[first]
        assert span >= 20 / rate - 0.05 - 1e-6


def test_what_was_not_sent_while_idle_is_not_made_up_for() -> None:
    time = FakeTime()
    pace = Pace(10, monotonic=time.monotonic, sleep=time.sleep)

    async def story() -> None:
        await pace.turn(float("inf"))
        time.now += 3600
        began = time.now
        for _ in range(11):
            await pace.turn(float("inf"))
        assert time.now - began == pytest.approx(1.0)

    asyncio.run(story())


def test_the_rate_holds_for_all_workers_of_a_transport_together() -> None:
    time = FakeTime()
    with ScriptedServer() as server:
        settings = SmtpSettings(host=server.host, port=server.port, security="none", connections=4, rate=2)
        pace = Pace(2, monotonic=time.monotonic, sleep=time.sleep)

        async def story(relay: SmtpTransport) -> None:
            outcomes = await relay.send([parcel(number) for number in range(21)], NOW)
            assert {each.kind for each in outcomes} == {"sent"}
            assert time.now - 1000 >= 10

        with_relay(SmtpTransport(settings, pace=pace, monotonic=time.monotonic), story)
    assert len(server.taken) == 21


def test_no_mail_begins_once_its_time_is_over() -> None:
    time = FakeTime()
    with ScriptedServer() as server:
        settings = SmtpSettings(host=server.host, port=server.port, security="none", connections=2, rate=1)
        pace = Pace(1, monotonic=time.monotonic, sleep=time.sleep)
        mails = [parcel(0, until=999.0), *[parcel(number, until=1004.5) for number in range(1, 11)]]

        async def story(relay: SmtpTransport) -> None:
            outcomes = await relay.send(mails, NOW)
            assert Counter(each.kind for each in outcomes) == {"sent": 5, "not_tried": 6}
            assert outcomes[0].kind == "not_tried"
            assert relay.paused(NOW) is None, "it is nobody's fault"
            assert time.now <= 1004.5, "nor is anybody waited for"

        with_relay(SmtpTransport(settings, pace=pace, monotonic=time.monotonic), story)
    assert len(server.taken) == 5


def test_a_hanging_server_holds_a_round_no_longer_than_its_first_mails() -> None:
    with ScriptedServer() as server:
        server.at("mail", Hang(), times=None)

        async def story(relay: SmtpTransport) -> None:
            began = asyncio.get_running_loop().time()
            outcomes = await relay.send([parcel(number) for number in range(100)], NOW)
            assert asyncio.get_running_loop().time() - began < 10 * SOON
            assert Counter(each.kind for each in outcomes) == {"temporary": 5, "not_tried": 95}
            paused = relay.paused(NOW)
            assert paused is not None
            assert "mails in a row lost their line" in paused.says

        with_relay(transport(server, timeout=SOON, connections=4), story)


def test_a_server_that_drips_its_answer_is_not_waited_for_without_end() -> None:
    with ScriptedServer() as server:
        server.drips = SOON / 2

        async def story(relay: SmtpTransport) -> None:
            began = asyncio.get_running_loop().time()
            (outcome,) = await relay.send([parcel(1)], NOW)
            assert (outcome.kind, outcome.stage) == ("uncertain", "answer")
            assert asyncio.get_running_loop().time() - began < 10 * SOON

        with_relay(transport(server, timeout=SOON), story)


# --- pauses -------------------------------------------------------------------------------------------------------


def test_without_a_server_the_transport_rests_longer_each_time_and_then_tries_one_mail() -> None:
    with ScriptedServer() as server:
        pass  # a port on which nobody listens any more

    async def story(relay: SmtpTransport) -> None:
        now = NOW
        for rest in (*PAUSES, PAUSES[-1]):
            outcomes = await relay.send([parcel(number) for number in range(5)], now)
            assert {each.kind for each in outcomes} == {"not_tried"}
            paused = relay.paused(now)
            assert paused is not None
            assert paused.stage == "connect"
            assert "takes no connection: Connection refused" in paused.says
            assert paused.since - NOW < timedelta(seconds=5)
            assert timedelta(0) <= paused.until - (now + rest) < timedelta(seconds=5)
            assert relay.paused(paused.until) is None
            now = paused.until
        server.start(server.port)
        server.at("dot", Say(250, "taken"))
        outcomes = await relay.send([parcel(number) for number in range(5)], now)
        assert {each.kind for each in outcomes} == {"sent"}
        assert relay.paused(now) is None
        server.stop()

    with_relay(transport(server), story)
    assert [str(rest) for rest in PAUSES] == ["0:00:30", "0:01:00", "0:02:00", "0:05:00", "0:10:00", "0:15:00"]


def test_while_paused_nothing_is_tried() -> None:
    with ScriptedServer() as server:
        server.at("mail", Say(530, "5.7.0 log in first"))

        async def story(relay: SmtpTransport) -> None:
            await relay.send([parcel(1)], NOW)
            (outcome,) = await relay.send([parcel(1)], NOW + timedelta(seconds=29))
            assert (outcome.kind, outcome.stage) == ("not_tried", "auth")
            assert server.connections == 1
            (outcome,) = await relay.send([parcel(1)], NOW + timedelta(seconds=40))
            assert outcome.kind == "sent"

        with_relay(transport(server), story)


def test_after_a_pause_one_mail_goes_ahead_of_the_others() -> None:
    with ScriptedServer() as server:
        server.at("mail", Say(530, "5.7.0 log in first"), times=None)

        async def story(relay: SmtpTransport) -> None:
            mails = [parcel(number) for number in range(20)]
            first = await relay.send(mails, NOW)
            assert {each.kind for each in first} == {"not_tried"}
            opened, said = server.connections, len([each for each in server.commands if each.startswith("MAIL")])
            later = NOW + timedelta(minutes=2)
            assert {each.kind for each in await relay.send(mails, later)} == {"not_tried"}
            assert server.connections - opened == 1
            assert len([each for each in server.commands if each.startswith("MAIL")]) - said == 1
            server.behave()
            later += timedelta(minutes=10)
            assert {each.kind for each in await relay.send(mails, later)} == {"sent"}
            # A success makes the next pause a short one again.
            server.at("mail", Say(530, "5.7.0 log in first"), times=None)
            await relay.send(mails, later)
            paused = relay.paused(later)
            assert paused is not None
            assert paused.until - later < timedelta(seconds=35)

        with_relay(transport(server, connections=3), story)


def test_a_lost_line_right_after_a_pause_is_a_pause_again_and_a_longer_one() -> None:
    with ScriptedServer() as server:
        server.at("mail", Say(530, "5.7.0 log in first"))
        server.at("dot", Hang(), times=None)

        async def story(relay: SmtpTransport) -> None:
            mails = [parcel(number) for number in range(5)]
            await relay.send(mails, NOW)
            later = NOW + timedelta(minutes=1)
            outcomes = await relay.send(mails, later)
            assert [each.kind for each in outcomes] == ["uncertain"] + ["not_tried"] * 4
            paused = relay.paused(later + timedelta(seconds=55))
            assert paused is not None
            assert paused.stage == "answer"
            assert paused.since < NOW + timedelta(seconds=5)

        with_relay(transport(server, timeout=SOON), story)


def test_a_wrong_password_is_not_tried_over_all_sessions_at_once(certificates: Certificates) -> None:
    with ScriptedServer(tls=certificates.server(), users=USERS) as server:
        settings = SmtpSettings(
            host=server.host,
            port=server.port,
            ca_file=certificates.ca_file,
            username="vipflow",
            password="wrong",  # type: ignore[arg-type]  # why: pydantic reads it
            connections=8,
        )

        async def story(relay: SmtpTransport) -> None:
            await relay.send([parcel(number) for number in range(50)], NOW)

        with_relay(SmtpTransport(settings, "wrong"), story)
    assert len([each for each in server.commands if each.startswith("AUTH")]) == 1


def test_a_mail_that_makes_the_server_hang_up_does_not_pause_the_others() -> None:
    poison = parcel(3)
    with ScriptedServer() as server:
        server.at("dot", Drop(takes=False), id=poison.message_id, times=None)
        outcomes = sent(server, *[parcel(number) for number in range(10)], connections=1)
    assert [each.kind for each in outcomes] == ["sent"] * 3 + ["uncertain"] + ["sent"] * 6


def test_a_server_that_never_says_whether_it_took_a_mail_is_asked_three_times_and_not_for_all() -> None:
    with ScriptedServer() as server:
        server.at("dot", Drop(), times=None)
        outcomes = sent(server, *[parcel(number) for number in range(10)], connections=1)
    assert [each.kind for each in outcomes] == ["uncertain"] * 3 + ["not_tried"] * 7
    assert len(server.taken) == 3


def test_a_host_that_does_not_exist_pauses_the_transport() -> None:
    class Nowhere:
        host, port = "mail.nowhere.invalid", 25

    says = refused_with(Nowhere(), security="none")
    assert says.startswith("connect: there is no host mail.nowhere.invalid: ")
    assert "check smtp.host" in says


# --- being stopped ------------------------------------------------------------------------------------------------


async def in_hand(server: ScriptedServer, command: str) -> None:
    await asyncio.to_thread(server.wait_until, lambda: any(each.startswith(command) for each in server.commands))


def test_closing_finishes_the_mail_in_hand_and_begins_no_other() -> None:
    with ScriptedServer() as server:
        hold = threading.Event()
        server.holds = hold

        async def story(relay: SmtpTransport) -> None:
            sending = asyncio.create_task(relay.send([parcel(1), parcel(2)], NOW))
            await in_hand(server, "DATA")
            closing = asyncio.create_task(relay.close())
            await asyncio.sleep(0)
            hold.set()
            await closing
            assert [each.kind for each in await sending] == ["sent", "not_tried"]
            assert [each.kind for each in await relay.send([parcel(3)], NOW)] == ["not_tried"]

        with_relay(transport(server, connections=1), story)
        server.wait_until(lambda: server.open == 0)
    assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("at", "kind"), [("mail", "not_tried"), ("data", "not_tried"), ("dot", "uncertain")], ids=["mail", "data", "dot"]
)
def test_a_cancelled_round_still_says_what_became_of_each_mail(at: str, kind: str) -> None:
    with ScriptedServer() as server:
        server.at(at, Hang(), times=None)  # type: ignore[arg-type]  # why: any point

        async def story(relay: SmtpTransport) -> None:
            sending = asyncio.create_task(relay.send([parcel(1), parcel(2)], NOW))
            await in_hand(server, "MAIL" if at == "mail" else "DATA")
            if at == "dot":
                await asyncio.to_thread(server.wait_until, lambda: len(server.taken) == 1)
            sending.cancel()
            outcomes = await sending
            assert [each.kind for each in outcomes] == [kind, "not_tried"]
            assert sending.cancelling() == 1, "whoever asked can still be heard"
            assert relay.paused(NOW) is None

        settings = SmtpSettings(host=server.host, port=server.port, security="none", connections=1)
        with_relay(SmtpTransport(settings, grace=0.1), story)


def test_a_cancelled_round_waits_for_the_answer_that_comes_soon() -> None:
    with ScriptedServer() as server:
        hold = threading.Event()
        server.holds = hold

        async def story(relay: SmtpTransport) -> None:
            sending = asyncio.create_task(relay.send([parcel(1), parcel(2)], NOW))
            await in_hand(server, "DATA")
            sending.cancel()
            await asyncio.sleep(0)
            hold.set()
            assert [each.kind for each in await sending] == ["sent", "not_tried"]

        with_relay(transport(server, connections=1), story)


def test_cancelling_while_it_connects_opens_nothing_for_long() -> None:
    with ScriptedServer() as server:
        server.at("greeting", Hang(), times=None)

        async def story(relay: SmtpTransport) -> None:
            sending = asyncio.create_task(relay.send([parcel(1), parcel(2)], NOW))
            await asyncio.to_thread(server.wait_until, lambda: server.connections == 1)
            sending.cancel()
            assert [each.kind for each in await sending] == ["not_tried", "not_tried"]

        with_relay(transport(server, connections=2), story)


# --- what the settings ask for ------------------------------------------------------------------------------------


def test_the_settings_say_which_transport(tmp_path: Path) -> None:
    assert isinstance(make_transport(Settings()), FileTransport)
    made = make_transport(Settings(mail={"transport": "smtp"}))  # type: ignore[arg-type]  # why: pydantic reads it
    assert isinstance(made, SmtpTransport)
    assert made.longest == timedelta(seconds=120)


@contextlib.contextmanager
def password_file(folder: Path, content: bytes | None) -> Iterator[Settings]:
    file = folder / "password"
    if content is not None:
        file.write_bytes(content)
    yield Settings(mail={"transport": "smtp"}, smtp={"username": "u", "password_file": file})  # type: ignore[arg-type]  # why: pydantic reads it


def test_a_password_file_holds_the_password_alone(tmp_path: Path) -> None:
    with password_file(tmp_path, "corr€ct horse\n".encode()) as settings:
        made = make_transport(settings)
        assert isinstance(made, SmtpTransport)
        assert made._password == "corr€ct horse"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such file"),
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"s3cret\nother\n", "it has several lines"),
        (b"\xff\xfe", "it is no text"),
    ],
)
def test_a_password_file_that_is_none_is_told_without_its_content(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    with password_file(tmp_path, content) as settings, pytest.raises(ConfigError) as wrong:
        make_transport(settings)
    assert says in str(wrong.value)
    assert "s3cret" not in str(wrong.value)
