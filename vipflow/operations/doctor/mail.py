"""Mails: whether they can leave, in whose name, and whether the mail server takes us."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from vipflow.operations.doctor.findings import Finding, error, not_checked, note, ok, size, warning
from vipflow.operations.doctor.patient import Patient

_NOBODYS = ("invalid", "example", "test", "localhost")  # RFC 2606: nobody can answer there
_EXAMPLES = ("example.com", "example.net", "example.org")
_SHOWN = 20


def transport(patient: Patient) -> Iterator[Finding]:
    """Where mails go, and whether they get there."""
    settings = patient.settings
    if settings.mail.transport == "smtp":
        yield from _server(patient)
        return
    says = f"Mails are written as files into {settings.mail.folder}, and none is sent."
    remedy = 'To send them, write transport = "smtp" under [mail] and the mail server under [smtp]: see docs/mail.md.'
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
    yield ok("server", where)


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
