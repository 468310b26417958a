"""Members as resellers export them: what the columns are called, and what stands in their cells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from vipflow.errors import BadInput, NotFound
from vipflow.operations.csvfiles import Row, date_in, folded_heading
from vipflow.operations.customers import member_named
from vipflow.operations.products import Buyer, find_product
from vipflow.operations.who import Who
from vipflow.store.tenants import MemberRow
from vipflow.vip.catalogue import Catalogue
from vipflow.vip.customers import OFFER_TYPES

CUSTOMERS: Final[Mapping[str, Sequence[str]]] = {
    "vip_number": ("numéro VIP", "VIP number", "n° VIP", "no VIP", "num VIP", "identifiant VIP", "VIP ID", "VIP"),
    "company": (
        *("société", "company", "nom de la société", "company name", "raison sociale", "entreprise", "organisation"),
        *("nom du client", "client", "customer", "customer name", "organization"),
    ),
    "segment": ("segment de marché", "market segment", "segment"),
    "address": ("adresse", "address", "rue", "street", "adresse 1", "address line 1", "address line"),
    "postal_code": ("code postal", "postal code", "CP", "zip", "zip code", "postcode"),
    "city": ("ville", "city", "localité", "town"),
    "region": ("région", "region", "état", "state", "province"),
    "country": ("pays", "country", "code pays", "country code"),
    "contact_name": ("contact", "contact name", "nom du contact", "contact principal", "primary contact"),
    "contact_first_name": ("prénom", "first name", "prénom du contact", "contact first name"),
    "contact_last_name": ("nom", "last name", "nom de famille", "contact last name"),
    "contact_email": (
        *(
            "e-mail",
            "email",
            "courriel",
            "adresse e-mail",
            "e-mail du contact",
            "contact e-mail",
            "mail",
            "email address",
        ),
        *("contact email", "email du contact", "adresse email"),
    ),
    "language": ("langue", "language"),
    "offer_types": ("type d'offre", "offer type", "type", "offre", "types d'offre", "offer types"),
    "anniversary": (
        *("date anniversaire", "anniversary date", "date d'anniversaire", "anniversary", "renewal date"),
        *("date de renouvellement",),
    ),
    "licences": ("licences", "licenses", "produits et licences", "products and licences"),
    "renewed": ("licences renouvelées", "renewed licences", "renouvelé", "renewed"),
    "product": ("produit", "product", "SKU", "référence produit", "nom du produit", "product name", "part number"),
    "quantity": ("quantité", "quantity", "qté", "qty", "nombre de licences", "nb licences", "seats"),
    "owner": ("géré par", "managed by", "gestionnaire", "gestionnaire de compte", "account manager", "owner"),
    "recipients": ("destinataires en copie", "notice recipients", "copies", "copie", "recipients", "cc"),
    "anchor_day": ("jour d'ancrage", "anchor day"),
    "authorizations": ("autorisations ouvertes", "open authorizations", "autorisations"),
    "reference": (
        *("votre référence", "your reference", "référence client", "customer reference", "code client"),
        *("customer number", "numéro client", "n° client"),
    ),
}
"""Our names of the columns, and what else they may be called. Capitals, accents and punctuation make no difference."""

AUTHORIZATIONS: Final[Mapping[str, Sequence[str]]] = {
    "vip_number": CUSTOMERS["vip_number"],
    "created_on": ("créée le", "created on", "date de création", "creation date", "créé le", "date", "created"),
    "po_number": ("numéro de bon de commande", "PO number", "bon de commande", "n° de bon de commande", "PO"),
    "due_on": ("échéance", "due on", "date d'échéance", "due date"),
    "ordered": ("commandée", "ordered", "commande passée", "order placed"),
    "order_number": ("numéro de commande Adobe", "Adobe order number", "numéro de commande", "order number"),
    "product": CUSTOMERS["product"],
    "quantity": CUSTOMERS["quantity"],
}

SEGMENT_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("commercial", "com", "entreprise", "entreprises", "prive", "secteur prive", "business"), "commercial"
    ),
    **dict.fromkeys(
        ("government", "gov", "gouvernement", "secteur public", "public", "administration", "public sector"),
        "government",
    ),
    **dict.fromkeys(("education", "edu", "enseignement", "academic"), "education"),
}
OFFER_WORDS: Final[Mapping[str, str]] = {
    "equipe": "teams",
    "equipes": "teams",
    "team": "teams",
    "teams": "teams",
    "entreprise": "enterprise",
    "enterprise": "enterprise",
    "education": "education",
}
LANGUAGE_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("fr", "francais", "french", "fr fr"), "fr"),
    **dict.fromkeys(("en", "anglais", "english", "en gb", "en us"), "en"),
}
YES: Final = frozenset({"oui", "yes", "o", "y", "x", "vrai", "true", "1"})
NO: Final = frozenset({"non", "no", "n", "faux", "false", "0", ""})


def merged(rows: Sequence[Row]) -> dict[str, str]:
    """The cells of one customer: of each column the first that says something."""
    merged: dict[str, str] = {}
    for row in reversed(rows):
        merged |= row.cells
    return merged


class MembersReader:
    """Cells made the data of `customer.adopt`; what cannot be read is noted."""

    def __init__(self, catalogue: Catalogue, members: Sequence[MemberRow], who: Who, country: str | None) -> None:
        self.catalogue = catalogue
        self.members = members
        self.who = who
        self.country = country
        self.problems: list[str] = []
        self.segment: Any = None

    def customer(self, rows: Sequence[Row], cells: Mapping[str, str], open_ones: Sequence[Row]) -> dict[str, Any]:
        self.segment = self._word(cells, "segment", SEGMENT_WORDS) or "commercial"
        country = self._country(cells)
        by_row = [row for row in rows if "product" in row.cells or "quantity" in row.cells]
        licences = [*self._lines(cells.get("licences")), *(line for row in by_row for line in self._line(row))]
        data = {
            "vip_number": cells.get("vip_number"),
            "company": cells.get("company"),
            "segment": self.segment,
            "country": country,
            "address": cells.get("address"),
            "city": cells.get("city"),
            "postal_code": _postal_code(cells.get("postal_code"), country),
            "region": cells.get("region"),
            "contact": {"name": _contact_name(cells), "email": cells.get("contact_email", "")},
            "language": self._word(cells, "language", LANGUAGE_WORDS) or self.who.language,
            "offer_types": self._offer_types(cells.get("offer_types")),
            "anniversary": self._day(cells, "anniversary"),
            "anchor_day": self._number(cells, "anchor_day"),
            "licences": licences or None,
            "renewed": self._lines(cells.get("renewed")) or None,
            "authorizations": [*self._encoded(cells.get("authorizations")), *self._authorizations(open_ones)] or None,
            "owner": self._owner(cells.get("owner")),
            "recipients": self._recipients(cells.get("recipients")) or None,
        }
        return {name: value for name, value in data.items() if value is not None}

    def _word(self, cells: Mapping[str, str], name: str, words: Mapping[str, str]) -> str | None:
        given = cells.get(name)
        if given is None:
            return None
        found = words.get(folded_heading(given))
        if found is None:
            self.problems.append(f"{name}: {given!r} is none of {', '.join(dict.fromkeys(words.values()))}")
        return found

    def _day(self, cells: Mapping[str, str], name: str) -> str | None:
        given = cells.get(name)
        if given is None:
            return None
        try:
            return date_in(given).isoformat()
        except ValueError as wrong:
            self.problems.append(f"{name}: {wrong}")
            return None

    def _country(self, cells: Mapping[str, str]) -> str | None:
        given = cells.get("country", self.country or "")
        if not given:
            self.problems.append("country: is missing; add the column, or say which with --country")
            return None
        code = given.upper() if len(given) == 2 else country_names().get(folded_heading(given))
        if code is None:
            self.problems.append(f"country: {given!r} is no country; write its name, or its two letters")
        return code

    def _offer_types(self, given: str | None) -> list[str] | None:
        if given is None:
            return None
        found = []
        for word in re.split(r"[\s,;/|+&]+", given):
            if not word.strip():
                continue
            known = OFFER_WORDS.get(folded_heading(word))
            if known is None:
                self.problems.append(f"offer_types: {word.strip()!r} is none of {', '.join(OFFER_TYPES)}")
            else:
                found.append(known)
        return list(dict.fromkeys(found))

    def _owner(self, given: str | None) -> str | None:
        """Whom the table names, else who imports, else the first admin."""
        active = [member for member in self.members if member.active]
        if given is None:
            if self.who.actor is not None:
                return self.who.actor
            first = next((member for member in active if member.role == "admin"), active[0] if active else None)
            return first.email if first is not None else None
        if not self.members:
            return given
        try:
            return member_named(self.members, given)
        except BadInput as wrong:
            self.problems.append(f"owner: {wrong.problem}; {wrong.remedy}")
            return None

    def _recipients(self, given: str | None) -> list[dict[str, str]]:
        """`Anna Martin <anna@example.com>, paul@example.com`."""
        found = []
        for part in re.split(r"[;,|\n]", given or ""):
            name, bracket, email = part.strip().rpartition("<")
            email = (email if bracket else part).strip().rstrip(">").strip()
            if email:
                found.append({"name": name.strip(' "') or email.partition("@")[0], "email": email})
        return found

    def _lines(self, given: str | None) -> list[dict[str, Any]]:
        """`65305156CA01A12 = 5 | Photoshop for Teams x 3 | 4 × InDesign for Teams`, or `3x65305156CA01A12 2x…`."""
        found = []
        if given is not None and _SKUS_ALONE.match(given):
            return [line for each in given.split() for line in self._bought(*reversed(each.lower().split("x", 1)))]
        for part in re.split(r"[|;\n]|\s\+\s", given or ""):
            if part.strip():
                pair = _PRODUCT_FIRST.match(part.strip()) or _QUANTITY_FIRST.match(part.strip())
                if pair is None:
                    self.problems.append(f"licences: {part.strip()!r} does not say how many; write 65305156CA01A12 x 5")
                else:
                    found += self._bought(pair["product"], pair["quantity"])
        return found

    def _line(self, row: Row) -> list[dict[str, Any]]:
        product, quantity = row.cells.get("product"), row.cells.get("quantity")
        if product is None or quantity is None:
            missing = "product" if product is None else "quantity"
            self.problems.append(f"line {row.line}: the {missing} is missing")
            return []
        return self._bought(product, quantity)

    def _bought(self, product: str, quantity: str) -> list[dict[str, Any]]:
        number = quantity.replace("\u00a0", "").replace("\u202f", "").replace(" ", "")
        if not (number.isascii() and number.isdigit() and int(number) > 0):
            self.problems.append(f"quantity: {quantity!r} is no number of licences")
            return []
        try:
            return [{"sku": find_product(self.catalogue, product, Buyer(self.segment)).sku, "quantity": int(number)}]
        except (NotFound, BadInput) as wrong:
            self.problems.append(str(wrong).replace("\n", " "))
            return []

    def _number(self, cells: Mapping[str, str], name: str) -> int | None:
        given = cells.get(name)
        if given is None or (given.isascii() and given.isdigit()):
            return int(given) if given else None
        self.problems.append(f"{name}: {given!r} is no number")
        return None

    def _encoded(self, given: str | None) -> list[Any]:
        """A list as programs write it, in JSON: of what `customer.adopt` takes."""
        if given is None:
            return []
        try:
            found: list[Any] = msgspec.json.decode(given, type=list[Any])
        except msgspec.MsgspecError:
            self.problems.append("authorizations: the cell is no JSON list; or give them in a file of their own")
            return []
        return found

    def _authorizations(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Rows of one PO number and day are one authorization."""
        grouped: dict[tuple[str | None, str | None], list[Row]] = {}
        for row in rows:
            grouped.setdefault((row.cells.get("po_number"), self._day(row.cells, "created_on")), []).append(row)
        found = []
        for (po_number, created_on), of_one in grouped.items():
            cells = merged(of_one)
            if created_on is None:
                self.problems.append(f"line {of_one[0].line} of the authorizations: the day of creation is missing")
            ordered = folded_heading(cells.get("ordered", ""))
            if ordered not in YES | NO:
                self.problems.append(
                    f"line {of_one[0].line} of the authorizations: ordered is yes or no, not {ordered!r}"
                )
            one = {
                "lines": [line for row in of_one for line in self._line(row)],
                "created_on": created_on,
                "po_number": po_number,
                "due_on": self._day(cells, "due_on"),
                "ordered": ordered in YES or "order_number" in cells,
                "order_number": cells.get("order_number"),
            }
            found.append({name: value for name, value in one.items() if value is not None})
        return found


_PRODUCT_FIRST = re.compile(
    r"^(?P<product>.+?)\s*(?:=|:|\s[x×*]\s*)\s*(?P<quantity>[\d\u00a0\u202f ]+)$", re.IGNORECASE
)
_SKUS_ALONE = re.compile(r"^\d+x\S+(\s+\d+x\S+)*$", re.IGNORECASE)
_QUANTITY_FIRST = re.compile(r"^(?P<quantity>\d+)\s*[x×*]\s*(?P<product>.+)$", re.IGNORECASE)


def _contact_name(cells: Mapping[str, str]) -> str:
    if "contact_name" in cells:
        return cells["contact_name"]
    parts = (cells.get("contact_first_name"), cells.get("contact_last_name"))
    return " ".join(part for part in parts if part)


def _postal_code(given: str | None, country: str | None) -> str | None:
    """As exported by a spreadsheet that took it for a number: `01000` became `1000`."""
    if given is None:
        return None
    code = given.upper().removesuffix(".0")
    return code.zfill(5) if country in ("FR", "DE", "IT", "ES") and code.isdigit() else code


@lru_cache(maxsize=1)
def country_names() -> dict[str, str]:
    """The countries' names in French and English, as headings are compared, with their codes."""
    from babel import Locale

    from vipflow.vip.fields import COUNTRIES

    found: dict[str, str] = {}
    for language in ("en", "fr"):
        territories = Locale(language).territories
        found |= {folded_heading(territories[code]): code for code in sorted(COUNTRIES) if code in territories}
    return found
