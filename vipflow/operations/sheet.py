"""Every mail as a file, and a contact sheet: what a designer looks at, written without a database.

The sheet holds the mails itself and refers to nothing outside; its buttons show them dark, on a phone, without images.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from zoneinfo import ZoneInfo

import msgspec
from markupsafe import escape

from vipflow.delivery import samples
from vipflow.delivery.digest import DIGEST, render_digest
from vipflow.delivery.eml import Address, build_mail, message_id
from vipflow.delivery.html import Brand
from vipflow.delivery.render import Rendered, Templates
from vipflow.errors import BadInput
from vipflow.operations.installation import Files

INDEX = "index.html"
WRITTEN = "written.json"
"""What an earlier run wrote into its folder: those files, and no others, are replaced."""

_OURS = re.compile(r"(?:fr|en)/[a-z0-9_]+(?:--[a-z0-9-]+)?\.(?:html|txt|eml)")
_DATED = datetime(2025, 3, 17, 8, 0, tzinfo=UTC)
_PARIS = ZoneInfo("Europe/Paris")
_AUDIENCES = (("To customers", False), ("To account managers", True))


class Sheet(msgspec.Struct, frozen=True):
    """What was written. `without_samples` names templates of which nothing could be: only ours have sample facts."""

    index: str
    mails: int
    files: int
    without_samples: Sequence[str]


class _Mail(msgspec.Struct, frozen=True):
    template: str
    language: str
    sample: str
    first: bool
    rendered: Rendered


def write_sheet(files: Files, folder: Path, reseller: str | None = None) -> Sheet:
    """Writes every mail in every language as .html, .txt and .eml, with the default sample and the notable ones, and
    the sheet that shows them all. `reseller`: with the templates that this one has of its own.

    Raises BadInput where the folder holds something else, TemplateError for the first template at fault.
    """
    templates = files.templates if reseller is None else files.templates.of(reseller)
    _make_room(folder)
    mails = list(_mails(templates))
    written: list[str] = []
    for mail in mails:
        name = f"{mail.language}/{mail.template}{'' if mail.first else '--' + _slug(mail.sample)}"
        page = (mail.rendered.html or "").encode()
        for ending, content in (("html", page), ("txt", _text(mail)), ("eml", _eml(mail, files.settings.mail.domain))):
            (folder / f"{name}.{ending}").parent.mkdir(exist_ok=True)
            (folder / f"{name}.{ending}").write_bytes(content)
            written.append(f"{name}.{ending}")
    (folder / INDEX).write_text(_index(templates, mails), encoding="utf-8")
    (folder / WRITTEN).write_text(json.dumps(written, indent=1), encoding="utf-8")
    unknown = [name for name in templates.names if name not in samples.FACTS and name != DIGEST]
    return Sheet(str(folder / INDEX), len(mails), len(written) + 1, unknown)


def _make_room(folder: Path) -> None:
    """Leaves a folder without what an earlier run wrote. Raises BadInput where it holds anything else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as wrong:
        raise BadInput("--out", f"{folder} cannot be made: {wrong.strerror}", "name another folder") from wrong
    manifest = folder / WRITTEN
    if manifest.is_file():
        try:
            names = json.loads(manifest.read_text(encoding="utf-8"))
        except ValueError:
            names = []
        for name in names:
            if isinstance(name, str) and _OURS.fullmatch(name):
                (folder / name).unlink(missing_ok=True)
    elif any(folder.iterdir()):
        raise BadInput("--out", f"{folder} holds something else", "name an empty folder, or one that is not there yet")


def _mails(templates: Templates) -> Iterator[_Mail]:
    for template in templates.names:
        if template not in samples.FACTS:
            continue
        contexts = samples.contexts(template)
        first = next(iter(contexts))
        for sample, context in contexts.items():
            if sample != first and sample not in samples.NOTABLE:
                continue
            for language in templates.languages:
                brand = samples.BRAND if sample != "nothing optional" else Brand(samples.BRAND.name)
                rendered = templates.render(template, language, context, _PARIS, brand)
                yield _Mail(template, language, sample, sample == first, rendered)
    if DIGEST in templates.names:
        for language in templates.languages:
            digest = render_digest(templates, language, samples.DIGEST, samples.DIGEST_ITEMS, _PARIS, samples.BRAND)
            yield _Mail(DIGEST, language, "three mails", True, digest.rendered)


def _text(mail: _Mail) -> bytes:
    return f"Subject: {mail.rendered.subject}\n\n{mail.rendered.text}".encode()


def _eml(mail: _Mail, domain: str) -> bytes:
    facts = samples.FACTS[mail.template if mail.template != DIGEST else samples.DIGEST_ITEMS[0].template]
    manager = Address(facts["manager"]["name"], facts["manager"]["email"])
    ours = Address(samples.BRAND.name, "licences@atelier-numerique.example")
    to_manager = _to_manager(mail)
    return build_mail(
        mail.rendered,
        message_id=message_id("preview", f"{mail.template}:{mail.language}:{mail.sample}", domain),
        sender=ours,
        reply_to=ours if to_manager else manager,
        to=[manager if to_manager else Address(facts["contact"]["name"], facts["contact"]["email"])],
        date=_DATED,
    )


def _to_manager(mail: _Mail) -> bool:
    return mail.template in samples.TO_MANAGERS or mail.template == DIGEST


def _slug(sample: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", sample.lower()).strip("-")


# --- the sheet -----------------------------------------------------------------------------------------------------


def _index(templates: Templates, mails: Sequence[_Mail]) -> str:
    by_row: dict[tuple[str, str], list[_Mail]] = {}
    for mail in mails:
        by_row.setdefault((mail.template, mail.sample), []).append(mail)
    sections = [
        f'<h2>{title}</h2>\n<div class="rows">\n'
        + "".join(_row(row) for row in by_row.values() if _to_manager(row[0]) == to_managers)
        + "</div>\n"
        for title, to_managers in _AUDIENCES
    ]
    page = Template(Path(__file__).with_name("sheet.html").read_text(encoding="utf-8"))
    return page.substitute(sections="".join(sections), mails=len(mails), languages=" and ".join(templates.languages))


def _row(row: Sequence[_Mail]) -> str:
    first = row[0]
    label = "" if first.first else f" <small>{escape(first.sample)}</small>"
    shown = "".join(
        f'<figure lang="{mail.language}"><figcaption>{escape(mail.rendered.subject)}</figcaption>'
        f'<div class="frame"><iframe title="{escape(first.template)}, {mail.language}" sandbox="allow-same-origin" '
        f'srcdoc="{escape(mail.rendered.html or "")}"></iframe>'
        f"<pre>{escape(mail.rendered.text)}</pre></div></figure>"
        for mail in row
    )
    kind = "row" if first.first else "row more"
    title = f"<h3>{escape(first.template)}{label}</h3>"
    return f'<section class="{kind}">{title}<div class="pair">{shown}</div></section>\n'
