"""A look at the mail server, for `vipflow doctor`: everything up to the first mail, and none sent."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec
from aiosmtplib import SMTP, SMTPException

from vipflow.config import SmtpSettings
from vipflow.delivery.smtp_line import one_line
from vipflow.delivery.smtp_opening import (
    ASK_LATER,
    OPENING,
    Encryption,
    Trouble,
    encryption_of,
    log_in,
    open_line,
    tls_context,
)
from vipflow.delivery.transport import Stage

RENEW_WITHIN_DAYS = 14


class ProbeReport(msgspec.Struct, frozen=True):
    """What a mail server answered. With `failed_at` it takes no mail; `says` is why and `remedy` what to do.

    A remedy without `failed_at` is a warning. `expires_in_days` is the certificate's.
    """

    host: str
    port: int
    failed_at: Stage | None = None
    says: str = ""
    remedy: str = ""
    tls: str | None = None
    certificate: str | None = None
    issuer: str | None = None
    expires_in_days: int | None = None
    logged_in: bool = False
    largest_mail: int | None = None

    @property
    def ok(self) -> bool:
        return self.failed_at is None


async def probe(settings: SmtpSettings, password: str | None, now: datetime) -> ProbeReport:
    """Connects, encrypts, logs in, says NOOP and QUIT. Raises nothing; it takes some three timeouts at most."""
    found = ProbeReport(settings.host, settings.port)
    client: SMTP | None = None
    try:
        async with asyncio.timeout(OPENING * settings.timeout):
            context = await asyncio.to_thread(tls_context, settings)
            client = await open_line(settings, context)
            found = _with_encryption(found, encryption_of(client), now)
            await log_in(client, settings, password)
            limit = client.esmtp_extensions.get("size", "")
            found = msgspec.structs.replace(
                found,
                logged_in=settings.username is not None,
                largest_mail=int(limit) if limit.isdigit() and int(limit) else None,
            )
            await client.noop()
            await client.quit()
    except Trouble as trouble:
        return _failed(found, trouble.stage, trouble.says, trouble.remedy)
    except TimeoutError:
        return _failed(found, "connect", "no session came about in time", "check smtp.host and smtp.port")
    except (SMTPException, OSError) as fault:
        return _failed(found, "sender", f"the server does not go on after AUTH: {fault}", ASK_LATER)
    finally:
        if client is not None:
            client.close()
    return found


def _with_encryption(found: ProbeReport, encryption: Encryption | None, now: datetime) -> ProbeReport:
    if encryption is None:
        return found
    days = (encryption.expires_at - now).days
    soon = days < RENEW_WITHIN_DAYS
    return msgspec.structs.replace(
        found,
        tls=encryption.version,
        certificate=encryption.subject,
        issuer=encryption.issuer,
        expires_in_days=days,
        says=f"the server's certificate expires in {days} days" if soon else "",
        remedy="its operator has to renew it, or no mail leaves from then on" if soon else "",
    )


def _failed(found: ProbeReport, stage: Stage, says: str, remedy: str) -> ProbeReport:
    return msgspec.structs.replace(found, failed_at=stage, says=one_line(says), remedy=remedy)
