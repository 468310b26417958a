"""What incidents have in common: the fault that many records may show, told without what is each one's own."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from vipflow.case import Incident, Tenant
from vipflow.references import reference

LONGEST_FAULT = 240

_QUOTED = re.compile(r"[“«\"'‘]\s*([^”»\"'’]{1,200}?)\s*[”»\"'’]")
_WORDS = re.compile(r"^[a-z][a-z_ ]*$")
_OWN = re.compile(
    r"\b[A-Z]{1,3}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b"  # a reference
    r"|\S*[\w.-]@[\w.-]+\S*"  # an address
    r"|\S*\w/\S+"  # a path: source and id of an event, collection and name
    r"|\b0x[0-9a-fA-F]+\b"
    r"|(?<![\w.])(?![45]\d\d\b|[45]\.\d\.\d)(?=\w*\d)\w[\w.:-]*"  # whatever has a digit, but a mail server's answer
)

_json = msgspec.json.Encoder(order="sorted").encode


def fault_of(kind: str, says: str) -> str:
    """What incidents of one cause say alike: `says` (in English) without references, addresses, numbers and names.

    >>> fault_of("quarantined", "The timer “remind due_on-3d” of PA-4M2X-8TQH failed 5 times: KeyError: 'due_on'")
    'quarantined: The timer “…” of … failed … times: KeyError: “due_on”'
    >>> fault_of("name_taken", "“PO-77” already names another record; check which of the two really bears it.")
    'name_taken: “…” already names another record; check which of the two really bears it.'
    >>> fault_of("mail_dead", "550 5.1.1 there is no zoe@elan.example here, ticket 4711")
    'mail_dead: 550 5.1.1 there is no … here, ticket …'
    """

    def kept(found: re.Match[str]) -> str:
        return f"“{found[1]}”" if _WORDS.match(found[1]) else "“…”"

    return f"{kind}: {_OWN.sub('…', _QUOTED.sub(kept, says))}"[:LONGEST_FAULT]


def group_of(fault: str) -> str:
    """How people call all incidents of one fault: `G-7K3F-9QTD`."""
    return reference("G", "", fault)


def incident_row(tenant: Tenant, subject: str | None, incident: Incident, now: datetime) -> tuple[Any, ...]:
    """An incident as `store.incidents.REPORT` writes it. Its id follows from what caused it."""
    ident = reference("N", tenant.key, f"{incident.cause}|{incident.kind}|{incident.case}|{incident.event}")
    says = _json({"event": incident.event, "fr": incident.says.fr, "en": incident.says.en}).decode()
    fault = fault_of(incident.kind, incident.says.en)
    return (tenant.id, ident, subject, incident.case, incident.kind, incident.cause, says, now, fault)
