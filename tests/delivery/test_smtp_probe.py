"""What `vipflow doctor` is told of a mail server, and that no mail is sent for it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.smtp_servers import Certificates, Drop, Hang, RealServer, Say, ScriptedServer, Server
from tests.delivery.test_smtp_faults import NOW, SOON
from vipflow.config import SmtpSettings
from vipflow.delivery.smtp_probe import ProbeReport, probe

LATE = datetime(2098, 6, 1, tzinfo=UTC)
"""Certificates of these stories are good until then: TLS itself looks at this machine's clock."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


def probed(server: Server, secret: str | None = None, now: datetime = NOW, **settings: Any) -> ProbeReport:
    chosen: dict[str, Any] = {"host": server.host, "port": server.port, "timeout": 5} | settings
    found = asyncio.run(probe(SmtpSettings(**chosen), secret, now))
    assert server.taken == []
    return found


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_good_server_is_told_with_its_certificate(certificates: Certificates, security: str) -> None:
    tls = certificates.server(not_after=LATE + timedelta(days=90, hours=1))
    with RealServer(tls=tls, from_the_start=security == "tls", users={"u": "p"}, size=1000) as server:
        found = probed(
            server,
            "p",
            LATE,
            security=security,
            ca_file=certificates.ca_file,
            username="u",
            password="p",
            host="localhost",
        )
    assert found.ok
    assert (found.says, found.remedy) == ("", "")
    assert found.tls in ("TLS 1.3", "TLS 1.2")
    assert found.expires_in_days == 90
    assert found.certificate
    assert (found.issuer or "").startswith("trustme")
    assert found.logged_in
    assert found.largest_mail == 1000


def test_a_certificate_about_to_expire_is_a_warning(certificates: Certificates) -> None:
    with RealServer(tls=certificates.server(not_after=datetime(2099, 1, 1, tzinfo=UTC))) as server:
        found = probed(server, now=datetime(2098, 12, 25, 12, tzinfo=UTC), ca_file=certificates.ca_file)
    assert found.ok
    assert found.says == "the server's certificate expires in 6 days"
    assert "renew it" in found.remedy


def test_a_wrong_password_is_told_with_what_went_well(certificates: Certificates) -> None:
    with RealServer(tls=certificates.server(), users={"u": "p"}) as server:
        found = probed(server, "wrong", ca_file=certificates.ca_file, username="u", password="wrong")
    assert found.failed_at == "auth"
    assert found.says.startswith("535")
    assert found.remedy == "check smtp.username and the password"
    assert found.tls is not None


@pytest.mark.parametrize(
    ("deed", "stage"),
    [(Say(554, "5.7.1 not you"), "greeting"), (Drop(), "greeting"), (Hang(), "greeting")],
    ids=["refuses", "drops", "hangs"],
)
def test_what_goes_wrong_is_told_with_its_stage_and_a_remedy(deed: Say | Drop | Hang, stage: str) -> None:
    with ScriptedServer() as server:
        server.at("greeting", deed, times=None)
        found = probed(server, timeout=SOON, security="none")
    assert not found.ok
    assert found.failed_at == stage
    assert found.says
    assert found.remedy


def test_no_server_no_host_and_no_ca_file_are_told_too(certificates: Certificates, tmp_path: Path) -> None:
    with ScriptedServer() as server:
        nobody_knows = probed(server, host="mail.nowhere.invalid")
        no_file = probed(server, ca_file=tmp_path / "missing.pem")
        plain = probed(server)
    nobody_listens = probed(server)
    assert (nobody_knows.failed_at, nobody_knows.remedy) == ("connect", "check smtp.host, and the DNS")
    assert (no_file.failed_at, plain.failed_at) == ("tls", "tls")
    assert (nobody_listens.failed_at, nobody_listens.says) == (
        "connect",
        f"127.0.0.1:{server.port} takes no connection: Connection refused",
    )
