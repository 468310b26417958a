"""The catalogue: which products there are, for whom, and what each is allowed to do.

Its content has an id, as a policy's has. A product without a category has none (TOML has no null).
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, get_args

import msgspec
from msgspec import Meta

from vipflow.errors import BadInput, NotFound, Problem, did_you_mean, listed
from vipflow.misfits import misfit
from vipflow.policy import Policy, canonical_json, content_hash
from vipflow.vip.numbers import Category, Segment

Family: TypeAlias = Literal["teams", "enterprise", "device", "consumable"]
Sku: TypeAlias = Annotated[str, Meta(pattern=r"^\d{8}C[ABC][A-Z0-9]{2}A12$(?!\n)")]

SEGMENT_LETTERS: Final[dict[str, Segment]] = {"CA": "commercial", "CB": "education", "CC": "government"}
SHIPPED_CATALOGUE: Final = Path(__file__).with_name("catalogue.toml")


class Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One row: what a licence is a right to."""

    sku: Sku
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    segment: Segment
    family: Family
    category: Category | None = None

    @property
    def counts_for_discount(self) -> bool:
        """Whether its licences count for the discount level: all do but consumables. [adobe]"""
        return self.family != "consumable"

    def needs_direct_order(self, policy: Policy) -> bool:
        """Whether it must be ordered from Adobe directly, there being no authorization for its category. [seed]"""
        return self.category is not None and self.category in policy.categories_without_authorization

    def quantity_at_most(self, policy: Policy) -> int:
        """How many licences of it one line may hold. [adobe]"""
        most: int = policy.enterprise_quantity_at_most if self.family == "enterprise" else policy.quantity_at_most
        return most


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Catalogue:
    """All products, ordered by SKU: frozen, equal and hashed by the content `id`; in the hand like a read-only dict."""

    id: str
    _products: dict[str, Product]

    def __init__(self, products: Iterable[Product]) -> None:
        """Of two products with one SKU the later counts. The products are trusted: files are checked when loaded."""
        by_sku = {product.sku: product for product in products}
        ordered = {sku: by_sku[sku] for sku in sorted(by_sku)}
        object.__setattr__(self, "_products", ordered)
        object.__setattr__(self, "id", f"catalogue@{content_hash(_rows(ordered.values()))}")

    def get(self, sku: str) -> Product | None:
        """The product, or None."""
        return self._products.get(sku)

    def require(self, sku: str) -> Product:
        """The product, or NotFound with the SKUs that come close."""
        product = self._products.get(sku)
        if product is None:
            near = " or ".join(f"{product.sku} ({product.name})" for product in self.close_to(sku))
            raise NotFound("product", sku, f"did you mean {near}?" if near else "see the catalogue for what there is")
        return product

    def close_to(self, sku: str) -> tuple[Product, ...]:
        """Up to three products whose SKU looks most like `sku`, nearest first: for whoever mistyped it."""
        return tuple(self._products[near] for near in get_close_matches(sku.strip().upper(), self._products))

    def for_segment(self, segment: Segment) -> tuple[Product, ...]:
        """The products that a customer of `segment` may buy. [adobe]"""
        return tuple(product for product in self if product.segment == segment)

    def to_json(self) -> str:
        """All rows as canonical JSON; `from_json` is the way back."""
        return canonical_json({"products": _rows(self)})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The catalogue that `to_json` wrote, with the same id; BadInput for any other text."""
        try:
            return cls(msgspec.json.decode(text, type=_Rows).products)
        except msgspec.MsgspecError as wrong:
            raise BadInput("stored catalogue", str(wrong), "expected the JSON that Catalogue.to_json wrote") from wrong

    def __iter__(self) -> Iterator[Product]:
        return iter(self._products.values())

    def __len__(self) -> int:
        return len(self._products)

    def __contains__(self, sku: object) -> bool:
        return sku in self._products

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Catalogue) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Catalogue {self.id}, {len(self)} products>"


class _Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    products: tuple[Product, ...]


def load_catalogue(*paths: Path) -> Catalogue:
    """The shipped products and those of `paths`, where a later row replaces one with its SKU.

    Raises CatalogueError with every problem of every file at once.
    """
    products: list[Product] = []
    problems: list[Problem] = []
    for path in (SHIPPED_CATALOGUE, *paths):
        found, wrong = _read(path)
        products.extend(found)
        problems.extend(wrong)
    if problems:
        raise CatalogueError(problems)
    return Catalogue(products)


class CatalogueError(BadInput):
    """Raised when product files state what cannot be; it carries every problem at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("catalogue", listed(problems), "see the shipped catalogue.toml for what a product says")
        self.problems = problems


def _read(path: Path) -> tuple[list[Product], list[Problem]]:
    """The products of a file, and every problem that it has."""
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as wrong:
        return [], [Problem(f"cannot be read: {wrong.strerror}; set folders.catalogues in config.toml", file)]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as wrong:
        return [], [Problem(f"cannot be read: {misfit(wrong)}", file)]
    problems = []
    for key in content:
        if key != "products":
            near = did_you_mean(key, ["products"])
            problems.append(Problem(f"{key!r} is not known here{near}; expected [[products]]", file))
    rows = content.get("products", [])
    if not isinstance(rows, list):
        return [], [*problems, Problem("products must be written as [[products]]", file, _begins(text)[0])]
    begins = _begins(text)
    products: dict[str, Product] = {}
    for position, row in enumerate(rows, start=1):
        line = begins[position - 1] if position <= len(begins) else None
        if not isinstance(row, dict):
            problems.append(Problem(f"product {position} must be a table, [[products]]", file, line))
            continue
        name = f"product {position} ({row['sku']})" if "sku" in row else f"product {position}"
        found = list(_row_problems(row))
        if not found and row["sku"] in products:
            found.append("its SKU stands twice in this file; keep one")
        if not found:
            products[row["sku"]] = msgspec.convert(row, Product)
        problems.extend(Problem(f"{name}: {problem}", file, line) for problem in found)
    return list(products.values()), problems


def _begins(text: str) -> list[int | None]:
    """The lines on which a product begins."""
    found = [at for at, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[?\s*\"?products", line)]
    return [*found] or [None]


def _row_problems(row: dict[str, Any]) -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(Product)}
    for key in row:
        if key not in fields:
            yield f"{key} is not a field{did_you_mean(key, fields)}"
    sound = True
    for key, field in fields.items():
        if key not in row:
            if field.required:
                yield f"{key} is missing"
            sound = sound and key not in ("sku", "segment")
            continue
        try:
            msgspec.convert(row[key], field.type)
        except msgspec.ValidationError:
            sound = sound and key not in ("sku", "segment")
            yield f"{key} = {row[key]!r}: {_expected(key, row[key])}"
    if sound and SEGMENT_LETTERS[row["sku"][8:10]] != row["segment"]:
        yield f"segment = {row['segment']!r}: the SKU says {SEGMENT_LETTERS[row['sku'][8:10]]} ({row['sku'][8:10]})"


def _expected(key: str, given: object) -> str:
    match key:
        case "sku":
            return "expected 8 digits, CA, CB or CC, two characters of level, A12"
        case "segment" | "family":
            choices = get_args(Segment if key == "segment" else Family)
            return f"expected {', '.join(choices[:-1])} or {choices[-1]}{did_you_mean(str(given), choices)}"
        case "category":
            return "expected words of small letters joined by hyphens"
        case _:
            return "expected a text of 1 to 200 characters"


def _rows(products: Iterable[Product]) -> list[Any]:
    return [msgspec.to_builtins(product) for product in products]
