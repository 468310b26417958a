"""Several mails as one: the items of a digest rendered without greeting and closing, one below the other.

The template `digest` is told `items`, a list ordered by company: each with `company`, `first` (whether it is that
company's first), `subject`, `text` and `html`. The HTML was made here, and is the one fact that is not escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from vipflow.delivery import html
from vipflow.delivery.html import Brand
from vipflow.delivery.render import PLAIN, Rendered, TemplateError, Templates

DIGEST = "digest"
FACTS = ("count", "day", "items", "person", "reseller")
"""What the template is told."""


@dataclass(frozen=True)
class Item:
    """A mail that a digest holds: its template and frozen facts, and the company that it is grouped under."""

    template: str
    context: Mapping[str, Any]
    company: str


@dataclass(frozen=True)
class Digest:
    """A digest as a mail, and the items that it could not take up: the place of each, and why."""

    rendered: Rendered
    left_out: tuple[tuple[int, str], ...] = ()


def render_digest(
    templates: Templates,
    language: str,
    context: Mapping[str, Any],
    items: Sequence[Item],
    zone: tzinfo,
    brand: Brand = PLAIN,
) -> Digest:
    """One mail of many, in the order given within each company; companies stand in the order of their first item.

    `context` holds `person`, `reseller` and `day`. An item that cannot be written is left out and told. Raises
    TemplateError for the digest's own template, and where no item can be written.
    """
    made: list[tuple[str, Rendered]] = []
    left_out: list[tuple[int, str]] = []
    fault: TemplateError | None = None
    for place, item in enumerate(items):
        try:
            made.append((item.company, templates.render_item(item.template, language, item.context, zone)))
        except TemplateError as error:
            fault = error
            left_out.append((place, str(error)))
    if fault is not None and not made:
        raise fault
    words = {**context, "count": len(made), "items": _grouped(made)}
    return Digest(templates.render(DIGEST, language, words, zone, brand), tuple(left_out))


def _grouped(made: Sequence[tuple[str, Rendered]]) -> list[dict[str, Any]]:
    by_company: dict[str, list[Rendered]] = {}
    for company, mail in made:
        by_company.setdefault(company, []).append(mail)
    return [
        {
            "company": company,
            "first": place == 0,
            "subject": mail.subject,
            "text": mail.text,
            "html": html.safe(html.as_item(mail.html or "", mail.subject)),
        }
        for company, mails in by_company.items()
        for place, mail in enumerate(mails)
    ]
