"""What comes in from outside, checked field by field: the values that several events share.

Facts keep the plain values of `vipflow.vip.records`, so what was once stored stays readable when a rule tightens.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from vipflow.vip.fields import (
    AddressLine,
    City,
    CompanyName,
    Country,
    EmailAddress,
    Language,
    PersonName,
    PostalCode,
    Region,
    problems_of_email,
    problems_of_place,
    problems_of_text,
    refuse,
)
from vipflow.vip.numbers import Segment
from vipflow.vip.records import Contact, Line, Lines, Recipient, together


class PersonField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name and one e-mail address."""

    name: PersonName
    email: EmailAddress

    def __post_init__(self) -> None:
        refuse(self._problems())

    def _problems(self) -> Iterator[str]:
        yield from problems_of_text("name", self.name)
        yield from problems_of_email("email", self.email)

    @property
    def contact(self) -> Contact:
        return Contact(self.name.strip(), self.email)

    @property
    def recipient(self) -> Recipient:
        return Recipient(self.name.strip(), self.email)


class LineField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many licences of one product. Which products, and how many, guards say: a report may hold anything."""

    sku: Annotated[str, Meta(min_length=1, max_length=40)]
    quantity: Annotated[int, Meta(ge=1, le=1_000_000_000)]

    def __post_init__(self) -> None:
        refuse(problems_of_text("sku", self.sku))


SomeLines: TypeAlias = Annotated[tuple[LineField, ...], Meta(min_length=1, max_length=499)]
"""What one authorization or order may hold. [adobe]"""
PerhapsLines: TypeAlias = Annotated[tuple[LineField, ...], Meta(max_length=499)]


@lru_cache(maxsize=1024)
def lines_of(fields: tuple[LineField, ...]) -> Lines:
    """The lines as facts keep them: each product once."""
    return together(Line(field.sku.strip(), field.quantity) for field in fields)


class CompanyFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fixed record of a customer: after the invitation was sent nothing of it can change. [seed]"""

    company: CompanyName
    segment: Segment
    country: Country
    contact: PersonField
    language: Language = "fr"
    address: AddressLine
    city: City
    postal_code: PostalCode | None = None
    region: Region | None = None

    def __post_init__(self) -> None:
        refuse(self.problems())

    def problems(self) -> Iterator[str]:
        """What is wrong with texts, and between fields that are each right by themselves."""
        for field in ("company", "address", "city", "region"):
            yield from problems_of_text(field, getattr(self, field))
        yield from problems_of_place(self.country, self.postal_code)
