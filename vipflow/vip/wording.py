"""Sentences and plain words: what reasons say in both languages, and what mails are told of products and days."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from vipflow.vip.catalogue import Catalogue
from vipflow.vip.records import Line
from vipflow.workflow import Text

_FRENCH = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
_ENGLISH = "January February March April May June July August September October November December"
_MONTHS_FR, _MONTHS_EN = _FRENCH.split(), _ENGLISH.split()
_NO_BREAK = "\u00a0"


def says(fr: str, en: str) -> Text:
    """A sentence in both languages, the French one set as French is: no-break spaces, curled apostrophes.

    >>> says("C'est dû : « payez »", "It is due").fr
    'C’est dû\\xa0: «\\xa0payez\\xa0»'
    """
    for mark in ":;?!»":
        fr = fr.replace(f" {mark}", f"{_NO_BREAK}{mark}")
    return Text(fr.replace("« ", f"«{_NO_BREAK}").replace("'", "’"), en)


def day(on: date) -> Text:
    """A day as people write it.

    >>> day(date(2025, 3, 1))
    Text(fr='1er mars 2025', en='1 March 2025')
    """
    number = "1er" if on.day == 1 else str(on.day)
    return Text(f"{number} {_MONTHS_FR[on.month - 1]} {on.year}", f"{on.day} {_MONTHS_EN[on.month - 1]} {on.year}")


@lru_cache(maxsize=300)
def country_name(code: str) -> Text:
    """A country as people call it.

    >>> country_name("DE")
    Text(fr='Allemagne', en='Germany')
    """
    from babel import Locale

    fr, en = (Locale(language).territories.get(code, code) for language in ("fr", "en"))
    return Text(fr, en)


def plain_text(text: Text) -> dict[str, str]:
    """A sentence as a mail's context holds it, for templates to choose their language."""
    return {"fr": text.fr, "en": text.en}


def plain_day(on: date | None) -> str | None:
    """A day as a mail's context holds it."""
    return None if on is None else on.isoformat()


def plain_moment(at: datetime | None) -> str | None:
    """An instant as a mail's context holds it: ISO, UTC, whole seconds."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain_lines(lines: Iterable[Line], catalogue: Catalogue) -> list[dict[str, Any]]:
    """Lines as a mail's context holds them. A product that the catalogue does not know is called by its SKU."""
    return [
        {"product": product_name(line.sku, catalogue), "sku": line.sku, "quantity": line.quantity} for line in lines
    ]


def product_name(sku: str, catalogue: Catalogue) -> str:
    product = catalogue.get(sku)
    return sku if product is None else product.name


def listed(names: Iterable[str]) -> str:
    """Names one after the other, the same in both languages."""
    return ", ".join(names)
