"""The files of the year: members and open authorizations as CSV, events as JSON lines, the resellers as TOML."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from people import Customer
from resellers import RESELLERS
from telling import END, START, in_utc
from year import Member, Year

COUNTRIES_IN_FRENCH = {
    "FR": "France",
    "BE": "Belgique",
    "CH": "Suisse",
    "LU": "Luxembourg",
    "NL": "Pays-Bas",
    "DE": "Allemagne",
}
SEGMENTS_IN_FRENCH = {"commercial": "Commercial", "government": "Secteur public", "education": "Éducation"}


def members_file(year: Year) -> bytes:
    """The customers as the reseller's own software exports them: its columns, its dates, its way to list licences."""
    ways = {"rhone": _in_french, "brabant": _row_per_product, "thames": _in_english}
    way = ways[year.reseller.key]
    return _table(year, [row for member in year.members for row in way(member.customer, member)])


def _in_french(customer: Customer, member: Member) -> list[dict[str, Any]]:
    row = {
        "Code client": customer.own,
        "Numéro VIP": customer.vip_number,
        "Raison sociale": customer.company,
        "Segment de marché": SEGMENTS_IN_FRENCH[customer.segment],
        "Adresse": customer.address,
        "Code postal": customer.postal_code.lstrip("0"),  # a spreadsheet took it for a number
        "Ville": customer.city,
        "Pays": COUNTRIES_IN_FRENCH[customer.country],
        "Contact principal": customer.contact_name,
        "Adresse e-mail": customer.contact_email,
        "Langue": "Français" if customer.language == "fr" else "Anglais",
        "Type d'offre": "Équipe, Entreprise" if customer.large else "Équipe",
        "Géré par": customer.owner,
        "Date anniversaire": _day(member.anniversary, "%d/%m/%Y"),
        "Jour d'ancrage": member.anchor or "",
        "Licences": " | ".join(f"{sku} = {quantity}" for sku, quantity in member.licences.items()),
        "Dernière relance": "",
    }
    return [row]


def _row_per_product(customer: Customer, member: Member) -> list[dict[str, Any]]:
    return [
        {
            "N° VIP": customer.vip_number,
            "Référence client": customer.own,
            "Société": customer.company,
            "Segment": customer.segment,
            "Langue": customer.language,
            "Contact": customer.contact_name,
            "E-mail": customer.contact_email,
            "Rue": customer.address,
            "CP": customer.postal_code,
            "Localité": customer.city,
            "Pays": customer.country,
            "Gestionnaire de compte": customer.owner,
            "Date d'anniversaire": _day(member.anniversary, "%d.%m.%Y"),
            "Jour d'ancrage": member.anchor or "",
            "Produit": sku,
            "Quantité": quantity,
        }
        for sku, quantity in member.licences.items() or [("", "")]
    ]


def _in_english(customer: Customer, member: Member) -> list[dict[str, Any]]:
    row = {
        "Customer number": customer.own,
        "VIP number": customer.vip_number,
        "Company name": customer.company,
        "Market segment": customer.segment,
        "Address line 1": customer.address,
        "Town": customer.city,
        "Postcode": customer.postal_code,
        "State": customer.region or "",
        "Country code": customer.country,
        "Primary contact": customer.contact_name,
        "Contact e-mail": customer.contact_email,
        "Language": customer.language,
        "Account manager": customer.owner,
        "Anniversary date": _day(member.anniversary, "%Y-%m-%d"),
        "Anchor day": member.anchor or "",
        "Licences": " ".join(f"{quantity}x{sku}" for sku, quantity in member.licences.items()),
    }
    return [row]


def authorizations_file(year: Year) -> bytes:
    """What is open with the members on the day of the import: a row per product."""
    french = year.reseller.language == "fr"
    yes, no, form = ("oui", "non", "%d/%m/%Y") if french else ("yes", "no", "%Y-%m-%d")
    rows = []
    for member in year.members:
        found = member.open
        if found is None:
            continue
        for sku, quantity in found.lines.items():
            cells: list[Any] = [member.customer.vip_number, _day(found.created_on, form), found.po_number]
            cells += [_day(found.due_on, form), yes if found.ordered else no, found.order_number or "", sku, quantity]
            rows.append(dict(zip(AUTHORIZATION_COLUMNS[year.reseller.language], cells, strict=True)))
    return _table(year, rows)


AUTHORIZATION_COLUMNS = {
    "fr": (
        "Numéro VIP",
        "Créée le",
        "Bon de commande",
        "Échéance",
        "Commandée",
        "Numéro de commande Adobe",
        "SKU",
        "Quantité",
    ),
    "en": ("VIP number", "Created on", "PO number", "Due on", "Ordered", "Adobe order number", "SKU", "Quantity"),
}


def _table(year: Year, rows: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=year.reseller.separator, lineterminator="\r\n")
    writer.writerow(rows[0].keys())
    writer.writerows(row.values() for row in rows)
    return text.getvalue().encode(year.reseller.encoding)


def _day(day: date | None, form: str) -> str:
    return day.strftime(form) if day is not None else ""


def events_file(year: Year) -> bytes:
    lines = []
    for event in year.teller.told:
        said: dict[str, Any] = {
            "specversion": "1.0",
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "time": in_utc(event.at) if event.source.startswith("adobe.") else event.at.isoformat(),
            "deliveredat": in_utc(event.delivered),
        }
        if event.reason is not None:
            said["reason"] = event.reason
        if event.data:
            said["data"] = event.data
        lines.append(json.dumps(said, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


def resellers_file() -> bytes:
    first = datetime.combine(START, datetime.min.time(), ZoneInfo("Europe/Paris")) + timedelta(hours=8)
    last = datetime.combine(END, datetime.min.time(), ZoneInfo("Europe/Paris")) + timedelta(hours=12)
    lines = [
        "# The three resellers of the example year: made up, as everybody in it. Written by generate.py.",
        "",
        f"starts = {in_utc(first)}",
        f"ends = {in_utc(last)}",
    ]
    for reseller in RESELLERS:
        lines += ["", "[[resellers]]"]
        lines += [
            f"{name} = {_toml(getattr(reseller, name))}"
            for name in ("key", "name", "language", "zone", "policy", "phone")
        ]
        lines += [f"sender = {_toml(f'licences@{reseller.domain}')}", f"signature = {_toml(reseller.signature)}"]
        if reseller.overrides:
            numbers = ", ".join(f"{name} = {number}" for name, number in reseller.overrides.items())
            lines.append(f"overrides = {{ {numbers} }} # what the policy itself leaves out")
        lines += [f"members = {_toml(f'members/{reseller.key}.csv')}"]
        lines += [f"authorizations = {_toml(f'members/{reseller.key}-authorizations.csv')}"]
        lines += [f"events = {_toml(f'events/{reseller.key}.jsonl')}"]
        for person in reseller.team:
            lines += [
                "",
                "[[resellers.team]]",
                f"name = {_toml(person.name)}",
                f"email = {_toml(reseller.email(person))}",
            ]
            lines += [f"role = {_toml(person.role)}", f"language = {_toml(person.language)}"]
            if person.phone:
                lines.append(f"phone = {_toml(person.phone)}")
    return ("\n".join(lines) + "\n").encode()


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
