"""Members as resellers export them: rows made the data of `customer.adopt` and `customer.invite`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from vipflow.errors import BadInput, NotFound
from vipflow.operations.csvfiles import Row, folded_heading
from vipflow.operations.customers import member_named
from vipflow.operations.membervalues import NO, YES, Habits, country_code, day_in, whole_number, word, words
from vipflow.operations.products import Buyer, find_product
from vipflow.operations.who import Who
from vipflow.store.tenants import MemberRow
from vipflow.vip.catalogue import Catalogue


def merged(rows: Sequence[Row]) -> dict[str, str]:
    """The cells of one customer: of each column the first that says something."""
    merged: dict[str, str] = {}
    for row in reversed(rows):
        merged |= row.cells
    return merged


SAID_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "contact": ("contact_name", "contact_first_name", "contact_last_name", "contact_email"),
    "licences": ("licences", "product", "quantity"),
}
"""Of the data of an event what more than one column, or one of another name, says."""

_OF_MEMBERS_ALONE: Final = ("licences", "renewed", "authorizations", "anchor_day")


class MembersReader:
    """Cells of one customer made the data of an event; what cannot be read is noted in `problems`."""

    def __init__(self, catalogue: Catalogue, members: Sequence[MemberRow], who: Who, habits: Habits) -> None:
        self.catalogue = catalogue
        self.members = members
        self.who = who
        self.habits = habits
        self.problems: list[str] = []
        self.segment: Any = None

    def member(self, rows: Sequence[Row], cells: Mapping[str, str], open_ones: Sequence[Row]) -> dict[str, Any]:
        """The data of `customer.adopt`. `open_ones`: rows of the other table, of what is open with it."""
        company = self._company(cells)
        by_row = [row for row in rows if "product" in row.cells or "quantity" in row.cells]
        licences = [*self._lines(cells.get("licences")), *(line for row in by_row for line in self._line(row))]
        data = {
            **company,
            "vip_number": cells.get("vip_number"),
            "anchor_day": self._number(cells, "anchor_day"),
            "licences": licences or None,
            "renewed": self._lines(cells.get("renewed")) or None,
            "authorizations": [*self._encoded(cells.get("authorizations")), *self._authorizations(open_ones)] or None,
        }
        return {name: value for name, value in data.items() if value is not None}

    def invited(self, rows: Sequence[Row], cells: Mapping[str, str], open_ones: Sequence[Row]) -> dict[str, Any]:
        """The data of `customer.invite`. Licences are of members alone, and not passed over silently."""
        data = {**self._company(cells), "vip_number": cells.get("vip_number")}
        held = [name for name in _OF_MEMBERS_ALONE if any(each in cells for each in SAID_BY.get(name, (name,)))]
        if held or open_ones:
            told = ", ".join(held or ["authorizations"])
            self.problems.append(f"{told}: only a member has them, and this is to be invited; it needs a VIP number")
        return {name: value for name, value in data.items() if value is not None}

    def _company(self, cells: Mapping[str, str]) -> dict[str, Any]:
        self.segment = self._word(cells, "segment") or "commercial"
        country = self._country(cells)
        return {
            "company": cells.get("company"),
            "segment": self.segment,
            "country": country,
            "address": cells.get("address"),
            "city": cells.get("city"),
            "postal_code": _postal_code(cells.get("postal_code"), country),
            "region": cells.get("region"),
            "contact": {"name": _contact_name(cells), "email": cells.get("contact_email", "")},
            "language": self._word(cells, "language") or self.who.language,
            "offer_types": self._offer_types(cells.get("offer_types")),
            "anniversary": self._day(cells, "anniversary"),
            "owner": self._owner(cells.get("owner")),
            "recipients": self._recipients(cells.get("recipients")) or None,
        }

    def _word(self, cells: Mapping[str, str], name: str) -> str | None:
        given = cells.get(name)
        if given is None:
            return None
        try:
            return word(name, given)
        except ValueError as wrong:
            self.problems.append(f"{name}: {wrong}")
            return None

    def _day(self, cells: Mapping[str, str], name: str) -> str | None:
        given = cells.get(name)
        if given is None:
            return None
        try:
            return day_in(given, self.habits.dates).isoformat()
        except ValueError as wrong:
            self.problems.append(f"{name}: {wrong}")
            return None

    def _country(self, cells: Mapping[str, str]) -> str | None:
        given = cells.get("country")
        if given is None:
            self.problems.append("country: is missing; add the column, or say which with --country")
            return None
        try:
            return country_code(given)
        except ValueError as wrong:
            self.problems.append(f"country: {wrong}")
            return None

    def _offer_types(self, given: str | None) -> list[str] | None:
        if given is None:
            return None
        try:
            return words("offer_types", given)
        except ValueError as wrong:
            self.problems.append(f"offer_types: {wrong}")
            return None

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
        try:
            number = whole_number(quantity, self.habits.decimal)
        except ValueError as wrong:
            self.problems.append(f"quantity: {wrong}")
            return []
        if number < 1:
            self.problems.append(f"quantity: {quantity!r} is no number of licences")
            return []
        try:
            return [{"sku": find_product(self.catalogue, product, Buyer(self.segment)).sku, "quantity": number}]
        except (NotFound, BadInput) as wrong:
            self.problems.append(str(wrong).replace("\n", " "))
            return []

    def _number(self, cells: Mapping[str, str], name: str) -> int | None:
        given = cells.get(name)
        if given is None:
            return None
        try:
            return whole_number(given, self.habits.decimal)
        except ValueError as wrong:
            self.problems.append(f"{name}: {wrong}")
            return None

    def _encoded(self, given: str | None) -> list[Any]:
        """A list as programs write it, in JSON: of what `customer.adopt` takes."""
        if given is None:
            return []
        try:
            found: list[Any] = msgspec.json.decode(given, type=list[Any])
        except (msgspec.MsgspecError, RecursionError):
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
    r"^(?P<product>.+?)\s*(?:=|:|\s[x×*]\s*)\s*(?P<quantity>\d[\d\u00a0\u202f .,'’]*)$", re.IGNORECASE
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
