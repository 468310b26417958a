"""Everything that is wrong with the templates, told at once: each file read, each mail rendered with every sample."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from vipflow.delivery import typography
from vipflow.delivery.language import LAYOUT
from vipflow.delivery.render import IN_DIGEST, LAYOUT_FACTS, PARTS, TemplateError, Templates, is_key, is_template
from vipflow.errors import Problem, did_you_mean

_PARIS = ZoneInfo("Europe/Paris")


def check_templates(
    templates: Templates,
    expected: Mapping[str, Sequence[str]],
    samples: Mapping[str, Mapping[str, Mapping[str, Any]]],
    zone: tzinfo = _PARIS,
) -> list[str]:
    """Everything that is wrong with the templates, one sentence each; an empty list when all is well.

    `expected` names, for each template, the facts its context holds; `samples` holds contexts by template and by a name
    that says what is special about each (`without po_number`). What resellers have of their own is checked like the
    rest; whether there is a reseller of that key, only a database knows.
    """
    problems: dict[str, None] = dict.fromkeys(_problems(templates, expected, samples, zone, expected))
    for key, own in _own_folders(templates):
        if not is_key(key):
            says = f"no reseller can have the key {key!r}; rename the folder to the reseller's key"
            problems[Problem(says, str(own))] = None
            continue
        touched = expected if any((own / each).exists() for each in ("_shared", LAYOUT)) else _names_in(own)
        for problem in _problems(templates.of(key), expected, samples, zone, touched):
            problems.setdefault(problem)  # what is wrong with ours is told once
    return list(problems)


def _own_folders(templates: Templates) -> list[tuple[str, Path]]:
    if templates.resellers is None or not templates.resellers.is_dir():
        return []
    return [(each.name, each) for each in sorted(templates.resellers.iterdir()) if each.is_dir()]


def _names_in(folder: Path) -> list[str]:
    return [each.name for each in sorted(folder.iterdir()) if is_template(each)]


def _problems(
    templates: Templates,
    expected: Mapping[str, Sequence[str]],
    samples: Mapping[str, Mapping[str, Mapping[str, Any]]],
    zone: tzinfo,
    names: Iterable[str],
) -> Iterator[str]:
    for folder in templates.folders:
        yield from _strays(folder)
    yield from _halves(templates.folders)
    of_layout = list(_problems_of_layout(templates))
    yield from of_layout
    if of_layout:
        samples = {}  # no mail can be tried out in it
    for template in names:
        if template in expected:
            for language in typography.LANGUAGES:
                yield from _problems_of(
                    templates, template, language, expected[template], samples.get(template, {}), zone
                )
    for template in templates.names:
        if template not in expected:
            near = did_you_mean(template, expected)
            yield f"template {template}: no workflow sends it{near}; rename or remove its folder"


def _strays(folder: Path) -> Iterator[str]:
    """Files that look like ours and are never read: a slip in a name would go unseen."""
    for file in sorted(each for each in folder.glob("*/*/*") if is_template(each.parents[1])):
        if file.parent.name in typography.LANGUAGES and file.name not in PARTS and not file.name.startswith("."):
            yield Problem(f"is not read{did_you_mean(file.name, PARTS)}; a template is {', '.join(PARTS)}", str(file))
    for other in sorted(each for each in folder.glob("*/*") if is_template(each.parent) and each.is_dir()):
        if other.name not in typography.LANGUAGES:
            yield Problem(f"is not read; mails are written in {' and '.join(typography.LANGUAGES)}", str(other))


def _halves(folders: Sequence[Path]) -> Iterator[str]:
    """A shared piece of text that was replaced without its HTML, or the other way round: a mail would say both."""
    for place, folder in enumerate(folders):
        for file in sorted(folder.glob("_shared/*/*")):
            other = file.with_suffix({".txt": ".html", ".html": ".txt"}.get(file.suffix, file.suffix))
            below = [each for each in folders[:place] if (each / other.relative_to(folder)).is_file()]
            if other != file and below and not other.is_file():
                says = f"is missing; {file.name} beside it replaces a text that has both, so write both"
                yield Problem(says, str(other))


def _problems_of_layout(templates: Templates) -> Iterator[str]:
    for language in templates.languages:
        try:
            asked = templates.facts("", language, LAYOUT)
        except TemplateError as error:
            yield _of(error, str(templates.layout))
            return
        file = str(templates.layout)
        for name in sorted(asked - set(LAYOUT_FACTS)):
            near = did_you_mean(name, LAYOUT_FACTS) or f"; there are {', '.join(LAYOUT_FACTS)}"
            yield Problem(f"a layout knows no fact {name!r}{near}", file, _line_of(file, name))
        if "content" not in asked:
            yield Problem("the mail itself has no place; write {{ content }} where it stands", file)


def _problems_of(
    templates: Templates,
    template: str,
    language: str,
    facts: Sequence[str],
    samples: Mapping[str, Mapping[str, Any]],
    zone: tzinfo,
) -> Iterator[str]:
    facts = (*facts, IN_DIGEST)
    for file in templates.files(template, language):
        part = Path(file).name
        if not Path(file).is_file():
            yield Problem("is missing; write this file", file)
            return
        try:
            unknown = templates.facts(template, language, part) - set(facts)
        except TemplateError as error:
            yield _of(error, file)
            return
        for name in sorted(unknown):
            near = did_you_mean(name, facts) or f"; there are {', '.join(sorted(facts))}"
            yield Problem(f"mails of {template} know no fact {name!r}{near}", file, _line_of(file, name))
        if unknown:
            return
    told: set[str] = set()
    for place, (label, context) in enumerate(samples.items()):
        try:
            rendered = templates.render(template, language, context, zone)
            if place == 0:
                templates.render_item(template, language, context, zone)
        except TemplateError as error:
            problem = _of(error, file)
            if problem not in told:
                yield Problem(f"{problem.says} (sample: {label})", problem.file, problem.line)
            told.add(problem)
        else:
            if not rendered.subject:
                file = templates.files(template, language)[0]
                yield Problem(f"the subject is empty (sample: {label}); say what the mail is about", file)
                return
            if not rendered.text.strip():
                file = templates.files(template, language)[1]
                yield Problem(f"the mail is empty (sample: {label}); say what happened and what to do", file)
                return


def _of(error: TemplateError, file: str) -> Problem:
    return Problem(error.problem, error.file or file, error.line)


def _line_of(file: str, name: str) -> int | None:
    for count, line in enumerate(Path(file).read_text(encoding="utf-8").splitlines(), 1):
        if re.search(rf"\{{[{{%].*\b{re.escape(name)}\b", line):
            return count
    return None
