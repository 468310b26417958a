"""Folders that must be written, and files with passwords that must not be read."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url

from vipflow.operations.doctor.audit import may_be_made
from vipflow.operations.doctor.database import others_come_to
from vipflow.operations.doctor.findings import Finding, error, ok, warning
from vipflow.operations.doctor.patient import Patient


def folders(patient: Patient) -> Iterator[Finding]:
    """What a daemon writes besides the database."""
    settings = patient.settings
    wanted = {"daemon.folder": settings.daemon.folder, "the folder of audit.key": settings.audit.key.parent}
    if settings.mail.transport == "file":
        wanted["mail.folder"] = settings.mail.folder
    barred = {name: folder for name, folder in wanted.items() if not may_be_made(folder)}
    for name, folder in barred.items():
        says = f"{name} is {folder}, where this user cannot write."
        yield error("folders", says, "Give it to vipflow's user, or name another.", f"sudo chown $(id -un) {folder}")
    if not barred:
        yield ok("folders", "Every folder that vipflow writes to can be written.")


def secrets(patient: Patient) -> Iterator[Finding]:
    """Whether a password stands in a file that everybody may read."""
    file, smtp = patient.settings.file, patient.settings.smtp
    if smtp.password_file is not None and smtp.password_file.exists():
        yield from _readable(smtp.password_file, "the mail server's password")
    if file is None:
        return
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    held = []
    url = content.get("database", {}).get("url")
    if url is not None and make_url(url).password:
        held.append("the database's password")
    if "password" in content.get("smtp", {}):
        held.append("the mail server's password")
    if held:
        yield from _readable(file, " and ".join(held))


def _readable(file: Path, what: str) -> Iterator[Finding]:
    mode = file.stat().st_mode & 0o777
    others = mode & 0o004 and others_come_to(file.resolve().parent)
    if others:
        says = f"{file} holds {what} and may be read by everybody on this machine ({mode:04o})."
        yield warning(
            "secrets", says, "Make it readable by vipflow's user alone.", f"chmod 600 {shlex.quote(str(file))}"
        )
    else:
        yield ok("secrets", f"{file} holds {what}, and others cannot read it.")
