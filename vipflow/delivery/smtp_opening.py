"""Opening a session with a mail server: connection, greeting, TLS, AUTH; each failure with its stage and remedy.

aiosmtplib does the talking. Nothing here falls back to plain text, and no password leaves over a line that others can
read.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPHeloError,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from vipflow.config import SmtpSettings
from vipflow.delivery.smtp_line import one_line
from vipflow.delivery.transport import Stage
from vipflow.errors import VipflowError

OPENING = 3
"""Opening takes at most so many times the timeout altogether, however many steps it has."""

ASK_LATER = "it may pass; else ask the server's operator"
_HOST_NAME = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
_NO_SUCH_MECHANISM = frozenset({500, 501, 502, 504, 534})


class Trouble(VipflowError):
    """Raised when the server takes no mail of ours at all: the transport's own trouble, not any mail's.

    `hung_up`: it merely dropped the line, which may be nothing; once more is worth it.

    >>> print(Trouble("auth", "535 wrong password", "check smtp.username and smtp.password"))
    auth: 535 wrong password; check smtp.username and smtp.password
    """

    def __init__(self, stage: Stage, says: str, remedy: str, *, code: int | None = None, hung_up: bool = False) -> None:
        super().__init__(f"{stage}: {says}; {remedy}")
        self.stage: Stage = stage
        self.says = one_line(says)
        self.remedy = remedy
        self.code = code
        self.hung_up = hung_up


@dataclass(frozen=True)
class Encryption:
    """How a line is encrypted, and with whom: the certificate was checked."""

    version: str
    subject: str
    issuer: str
    expires_at: datetime


def tls_context(settings: SmtpSettings) -> ssl.SSLContext | None:
    """What TLS is checked against; None where none is spoken. Reads files: not for the event loop. Raises Trouble."""
    if settings.security == "none":
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as fault:
        why = fault.strerror or str(fault) or type(fault).__name__
        raise Trouble(
            "tls",
            f"smtp.ca_file {settings.ca_file} cannot be used: {why}",
            "name a file that holds the certificates of the authorities to trust, in PEM form",
        ) from fault


async def open_line(settings: SmtpSettings, context: ssl.SSLContext | None) -> SMTP:
    """A client that was greeted, is encrypted as the settings ask, and has said EHLO. Raises Trouble."""
    sock = await _connected(settings)
    client = _Client(
        hostname=settings.host,
        sock=sock,
        use_tls=settings.security == "tls",
        start_tls=False,
        tls_context=context,
        local_hostname=_our_name(sock),
        timeout=settings.timeout,
    )
    try:
        await _greeted(client, settings)
        if settings.security == "starttls":
            await _secured(client, settings)
    except BaseException:
        client.close()
        raise
    return client


async def log_in(client: SMTP, settings: SmtpSettings, password: str | None) -> None:
    """AUTH, where the settings name a user. Raises Trouble; its words hold no secret."""
    if settings.username is None:
        return
    username, password = settings.username, password or ""
    if client.get_transport_info("ssl_object") is None and not _is_here(client):
        raise Trouble(
            "auth",
            f"the line to {settings.host} is not encrypted, so the password was not sent",
            'write smtp.security = "starttls" or "tls"',
        )
    offered = client.server_auth_methods
    ways = [way for way in ("plain", "login", "cram-md5") if way in offered]
    if not ways:
        raise Trouble(
            "auth",
            f"the server offers no AUTH that we know ({one_line(', '.join(offered)) or 'none at all'})",
            "it may want encryption first: check smtp.security; or it needs no AUTH: leave out smtp.username",
        )
    while ways:
        way = ways.pop(0)
        try:
            if way == "plain":
                await client.auth_plain(username, password)
            elif way == "login":
                await client.auth_login(username, password)
            else:
                await client.auth_crammd5(username, password)
            return
        except SMTPAuthenticationError as fault:
            if ways and fault.code in _NO_SUCH_MECHANISM:
                continue  # offered, and yet not done; a wrong password is not tried again
            says = _discreet(f"{fault.code} {fault.message}", username, password)
            remedy = "check smtp.username and the password" if fault.code >= 500 else ASK_LATER
            raise Trouble("auth", says, remedy, code=fault.code) from None
        except SMTPException as fault:
            raise _of_the_line(fault, "auth", settings) from None


def encryption_of(client: SMTP) -> Encryption | None:
    """How the client's line is encrypted; None where it is not."""
    tls = client.get_transport_info("ssl_object")
    if tls is None:
        return None
    certificate = tls.getpeercert()
    names = ", ".join(name for _, name in certificate.get("subjectAltName", ()))
    return Encryption(
        version=str(tls.version()).replace("TLSv", "TLS "),
        subject=_named(certificate.get("subject", ())) or names,
        issuer=_named(certificate.get("issuer", ())),
        expires_at=datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC),
    )


class _Client(SMTP):
    """Closed, it hangs up at once: else TLS waits half a minute for a server that is gone to say goodbye as well."""

    def close(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
        super().close()


# --- step by step -------------------------------------------------------------------------------------------------


async def _connected(settings: SmtpSettings) -> socket.socket:
    """A connection to the first of the host's addresses that answers."""
    loop = asyncio.get_running_loop()
    where = f"{settings.host}:{settings.port}"
    try:
        async with asyncio.timeout(settings.timeout):
            found = await _addresses(settings.host, settings.port)
    except (OSError, UnicodeError) as fault:
        why = "its address was not found in time" if isinstance(fault, TimeoutError) else one_line(str(fault))
        raise Trouble("connect", f"there is no host {settings.host}: {why}", "check smtp.host, and the DNS") from None
    says, remedy = f"{where} has no address", "check smtp.host"
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(settings.timeout / len(found)):
                await loop.sock_connect(sock, address)
            return sock
        except TimeoutError:
            says, remedy = f"{where} does not answer", "check smtp.host and smtp.port; a firewall may stand between"
            sock.close()
        except OSError as fault:
            says = f"{where} takes no connection: {os.strerror(fault.errno) if fault.errno else fault}"
            remedy = "is a mail server running there? check smtp.host and smtp.port"
            sock.close()
        except BaseException:
            sock.close()
            raise
    raise Trouble("connect", says, remedy)


async def _addresses(host: str, port: int) -> list[_Address]:
    """Asked in a thread that nobody waits for: the loop's own would keep a daemon from ending while the DNS is away."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[_Address]] = loop.create_future()

    def tell(answer: list[_Address] | Exception) -> None:
        if found.done():
            return
        if isinstance(answer, Exception):
            found.set_exception(answer)
        else:
            found.set_result(answer)

    def ask() -> None:
        answer: list[_Address] | Exception
        try:
            answer = [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as fault:
            answer = fault
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, answer)

    threading.Thread(target=ask, name="smtp-dns", daemon=True).start()
    return await found


async def _greeted(client: SMTP, settings: SmtpSettings) -> None:
    """TLS from the start, where asked; the greeting; EHLO."""
    try:
        await client.connect()
    except SMTPResponseException as fault:
        raise _refused(fault, "greeting") from None
    except SMTPException as fault:
        cause = fault.__cause__
        if settings.security == "tls" and not isinstance(cause, (SMTPServerDisconnected, SMTPTimeoutError)):
            raise _of_tls(cause or fault, settings) from None
        raise _of_the_line(fault, "greeting", settings) from None
    await _hello(client, settings)


async def _hello(client: SMTP, settings: SmtpSettings) -> None:
    try:
        try:
            await client.ehlo()
        except SMTPHeloError as fault:
            if not 500 <= fault.code < 505:
                raise
            await client.helo()  # a server of old: no extensions
    except SMTPResponseException as fault:
        raise _refused(fault, "greeting") from None
    except SMTPException as fault:
        raise _of_the_line(fault, "greeting", settings) from None


async def _secured(client: SMTP, settings: SmtpSettings) -> None:
    if not client.supports_extension("starttls"):
        raise Trouble(
            "tls",
            "the server does not offer STARTTLS, so nothing was sent",
            'if its port speaks TLS from the start (465), write smtp.security = "tls"; else ask its operator',
        )
    try:
        await client.starttls()
    except SMTPResponseException as fault:
        raise _refused(fault, "tls") from None
    except SMTPServerDisconnected as fault:
        raise _of_the_line(fault, "tls", settings) from None
    except (SMTPException, OSError) as fault:
        raise _of_tls(fault, settings) from None
    await _hello(client, settings)


# --- what to say of failures --------------------------------------------------------------------------------------


def _refused(fault: SMTPResponseException, stage: Stage) -> Trouble:
    if fault.code < 0:  # aiosmtplib's own
        return Trouble(stage, f"the server said what is no SMTP: {fault.message}", "check smtp.host and smtp.port")
    return Trouble(stage, f"{fault.code} {fault.message}", ASK_LATER, code=fault.code)


def _of_the_line(fault: BaseException, stage: Stage, settings: SmtpSettings) -> Trouble:
    if isinstance(fault, SMTPTimeoutError):
        remedy = "it may pass; else check smtp.host and smtp.port"
        if stage == "greeting" and settings.security != "tls":
            remedy += ' (a port that speaks TLS from the start, such as 465, needs smtp.security = "tls")'
        return Trouble(stage, f"the server said nothing for {settings.timeout:g} s", remedy)
    if isinstance(fault, SMTPResponseException):
        return _refused(fault, stage)
    return Trouble(stage, "the server hung up", ASK_LATER, hung_up=True)


def _of_tls(fault: BaseException, settings: SmtpSettings) -> Trouble:
    if isinstance(fault, ssl.SSLCertVerificationError):
        remedy = "put the authority's certificate into smtp.ca_file"
        if fault.verify_code == 10:  # X509_V_ERR_CERT_HAS_EXPIRED
            remedy = "its operator has to renew it"
        elif fault.verify_code in (62, 64):  # the host's name, or its address, is not the certificate's
            remedy = "write in smtp.host the name that stands in the certificate"
        return Trouble("tls", f"the certificate of {settings.host} is not good: {fault.verify_message}", remedy)
    if isinstance(fault, TimeoutError):
        return Trouble("tls", "the server did not finish the TLS handshake", "it may pass; else check smtp.port")
    if isinstance(fault, ssl.SSLError):
        why = (fault.reason or str(fault)).replace("_", " ").lower()
        remedy = "the server may be too old for TLS 1.2: ask its operator"
        if fault.reason == "WRONG_VERSION_NUMBER":
            remedy = 'the port speaks no TLS at first: write smtp.security = "starttls", mostly on port 587'
        return Trouble("tls", f"TLS failed: {why}", remedy)
    return Trouble(
        "tls", "the server hung up during the TLS handshake", "it may pass; else check smtp.port", hung_up=True
    )


def _discreet(says: str, username: str, password: str) -> str:
    """Servers may repeat what they did not understand."""
    plain = f"\0{username}\0{password}"
    secrets = {plain, password, *(base64.b64encode(text.encode()).decode() for text in (plain, password, username))}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        says = says.replace(secret, "***")
    return one_line(says)


def _our_name(sock: socket.socket) -> str:
    """What we call ourselves in EHLO: this machine's full name, or its address (RFC 5321, 4.1.4). Asks no DNS."""
    name = socket.gethostname()
    if _HOST_NAME.fullmatch(name):
        return name
    address = str(sock.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _is_here(client: SMTP) -> bool:
    peer = client.get_transport_info("peername")
    with contextlib.suppress(ValueError, TypeError, IndexError):
        return ipaddress.ip_address(str(peer[0]).partition("%")[0]).is_loopback
    return False


def _named(names: object) -> str:
    """The common name, else the organisation, of a certificate's owner or issuer."""
    found = dict(_pairs(names))
    return found.get("commonName") or found.get("organizationName") or ""


def _pairs(names: object) -> Iterator[tuple[str, str]]:
    if isinstance(names, tuple):
        for several in names:
            yield from several
