"""Mails: whether they can leave, in whose name, and whether the mail server takes us."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec

from vipflow.config import ConfigError
from vipflow.delivery.smtp_probe import ProbeReport, probe
from vipflow.delivery.transports import smtp_password
from vipflow.operations.doctor.findings import Finding, counted, error, not_checked, note, ok, size, warning
from vipflow.operations.doctor.patient import Limits, Patient

_NOBODYS = ("invalid", "example", "test", "localhost")  # RFC 2606: nobody can answer there
_EXAMPLES = ("example.com", "example.net", "example.org")
_SHOWN = 20
_PATIENCE = 10.0  # seconds for an answer, whatever delivery would wait


def transport(patient: Patient) -> Iterator[Finding]:
    """Where mails go, and whether they get there."""
    settings = patient.settings
    if settings.mail.transport == "smtp":
        yield from _server(patient)
        return
    says = f"Mails are written as files into {settings.mail.folder}, and none is sent."
    remedy = 'To send them, write transport = "smtp" under [mail] and the server under [smtp]: see docs/how-to/mail.md.'
    yield (note if patient.stands_still else warning)("transport", says, remedy)
    there = _nearest(settings.mail.folder)
    free = shutil.disk_usage(there).free
    if free < patient.limits.disk_warning:
        made = error if free < patient.limits.disk_error else warning
        yield made("disk", f"{size(free)} are left where mails are written.", "Make room.", f"df -h {there}")


def _nearest(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())


def _server(patient: Patient) -> Iterator[Finding]:
    smtp = patient.settings.smtp
    where = f"{smtp.host}:{smtp.port}"
    if patient.offline:
        yield not_checked("server", f"{where} was not asked, as you wish (--offline)", "Leave --offline out.")
        return
    try:
        password = smtp_password(smtp, str(patient.settings.file))
    except ConfigError as wrong:
        yield error("password", f"{wrong}.", "Put it right: without it no mail leaves.")
        return
    asked = smtp.model_copy(update={"timeout": min(smtp.timeout, _PATIENCE)})
    yield from judge_probe(asyncio.run(probe(asked, password, patient.host_clock.now())), patient.limits)


def judge_probe(report: ProbeReport, limits: Limits) -> Iterator[Finding]:
    """What a look at the mail server says; nothing was sent."""
    where = f"{report.host}:{report.port}"
    if not report.ok:
        says = f"The mail server {where} takes no mail of ours ({report.failed_at}): {report.says}."
        yield error("server", says, f"{report.remedy[:1].upper()}{report.remedy[1:]}.", "vipflow doctor --mail")
        return
    how = [
        f"{report.tls}, certificate of {report.certificate}" if report.tls else "not encrypted",
        "logged in" if report.logged_in else "no login asked",
    ]
    yield ok("server", f"The mail server {where} takes our mails ({'; '.join(how)}).")
    days = report.expires_in_days
    if days is not None and timedelta(days=days) < limits.certificate:
        says = f"The certificate of {where} expires in {counted(days, 'day')}: from then on no mail leaves."
        yield warning("certificate", says, f"Its operator has to renew it; it was issued by {report.issuer}.")


def domain(patient: Patient) -> Iterator[Finding]:
    """What Message-IDs are made with."""
    found = patient.settings.mail.domain
    if not _is_nobodys(found):
        yield ok("domain", f"Message-IDs end in @{found}.")
        return
    says = f"mail.domain is {found}, which is nobody's: mail servers trust such Message-IDs less."
    remedy = "Write a domain of yours under [mail], before the first mail leaves."
    made = note if patient.stands_still else warning
    yield made("domain", says, remedy, 'domain = "licences.your-company.com"')


def senders(patient: Patient) -> Iterator[Finding]:
    """Whether each reseller has an address that its mails come from, in a domain that is somebody's."""
    sends = patient.settings.mail.transport == "smtp"
    without, nobodys, domains = [], [], set()
    for tenant in patient.tenants:
        sender = str(msgspec.json.decode(tenant.settings).get("sender") or "")
        at = sender.rpartition("@")[2].lower()
        if not at:
            without.append(tenant.key)
        elif _is_nobodys(at) and sends:
            nobodys.append((tenant.key, sender))
        else:
            domains.add(at)
    for key in without[:_SHOWN]:
        says = f"{key} has no sender: its mails come from nobody, and servers refuse them."
        yield warning("sender", says, "Give it one.", f"vipflow reseller set --reseller {key} --sender <address>")
    for key, sender in nobodys[:_SHOWN]:
        says = f"The sender of {key} is {sender}, in a domain that is nobody's: servers refuse it."
        remedy = "Give it an address of the reseller's own domain."
        yield warning("sender", says, remedy, f"vipflow reseller set --reseller {key} --sender <address>")
    if domains and not without and not nobodys:
        shown = ", ".join(sorted(domains)[:5]) + (" and others" if len(domains) > 5 else "")
        yield ok("sender", f"Every reseller has a sender: {shown}.")


def _is_nobodys(name: str) -> bool:
    return name.rpartition(".")[2] in _NOBODYS or name.endswith(_EXAMPLES)
