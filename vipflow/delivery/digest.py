"""One mail a day in place of many: which messages become one, and how it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from vipflow.delivery import typography
from vipflow.delivery.render import Rendered, Templates

TEMPLATE = "digest"
"""The template of a digest, where the folders have one: it is given `person`, `reseller`, `day` and `items`."""

_WORDS = {
    "fr": (
        "Vos messages du {day} ({count})",
        "Bonjour {name},\n\nVoici vos {count} messages du {day}\u00a0:",
        "Bien cordialement,",
    ),
    "en": (
        "Your messages of {day} ({count})",
        "Hello {name},\n\nThese are your {count} messages of {day}:",
        "Kind regards,",
    ),
}
_RULE = "-" * typography.WIDTH


def render_digest(
    templates: Templates,
    language: str,
    context: Mapping[str, Any],
    dated_at: datetime,
    zone: tzinfo,
    mails: Sequence[Rendered],
) -> Rendered:
    """One mail that holds these. `context`: the words of the first of them, for whom and from whom it is."""
    day = dated_at.astimezone(zone).date()
    said = {
        "person": context.get("person", {"name": ""}),
        "reseller": context.get("reseller", {"name": "", "phone": None, "signature": ""}),
        "day": day.isoformat(),
        "items": [{"subject": each.subject, "text": each.text, "html": None} for each in mails],
    }
    if TEMPLATE in templates.names:
        return templates.render(TEMPLATE, language, said, zone)
    return _plain(language, said, mails)


def _plain(language: str, said: Mapping[str, Any], mails: Sequence[Rendered]) -> Rendered:
    """Where no template says how: a list of the subjects, then each mail as it reads alone."""
    subject, opening, closing = _WORDS[language if language in _WORDS else "en"]
    words = {
        "count": len(mails),
        "day": typography.day(language, said["day"]),
        "name": said["person"]["name"],
    }
    contents = "\n".join(f"  {number}. {mail.subject}" for number, mail in enumerate(mails, start=1))
    bodies = "\n".join(
        f"{_RULE}\n{number}. {mail.subject}\n{_RULE}\n\n{mail.text}" for number, mail in enumerate(mails, start=1)
    )
    text = f"{opening.format(**words)}\n\n{contents}\n\n{bodies}\n{closing}\n{said['reseller']['name']}\n"
    return Rendered(subject.format(**words), text)
