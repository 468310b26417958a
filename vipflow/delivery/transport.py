"""Where mails go: here into a folder, one `.eml` file each."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Parcel:
    """One copy of a mail, ready to go. The bytes are the same on every attempt."""

    tenant_key: str
    key: str
    message_id: str
    recipients: tuple[str, ...]
    content: bytes
    dated_at: datetime


class Transport(Protocol):
    """Takes a mail over, or raises; what it returned from has left."""

    def send(self, parcel: Parcel) -> None: ...


class FileTransport:
    """Writes mails into `folder/<reseller>/`, named so that they sort by time; an attempt repeated writes the same
    file again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, parcel: Parcel) -> Path:
        """The file that a parcel becomes."""
        name = f"{parcel.dated_at:%Y-%m-%d-%H%M%S}-{_UNSAFE.sub('-', parcel.key)}.eml"
        return self.folder / _UNSAFE.sub("-", parcel.tenant_key) / name

    def send(self, parcel: Parcel) -> None:
        """The file is there whole or not at all."""
        path = self.path_of(parcel)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        draft.write_bytes(parcel.content)
        os.replace(draft, path)
