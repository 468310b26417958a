"""Everything that is wrong with the templates, told at once: each file read, each mail rendered with every sample."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from vipflow.delivery import typography
from vipflow.delivery.render import IN_DIGEST, TemplateError, Templates
from vipflow.errors import did_you_mean

_PARIS = ZoneInfo("Europe/Paris")


def check_templates(
    templates: Templates,
    expected: Mapping[str, Sequence[str]],
    samples: Mapping[str, Mapping[str, Mapping[str, Any]]],
    zone: tzinfo = _PARIS,
) -> list[str]:
    """Everything that is wrong with the templates, one sentence each; an empty list when all is well.

    `expected` names, for each template, the facts its context holds; `samples` holds contexts by template and by a name
    that says what is special about each (`without po_number`).
    """
    problems: dict[str, None] = {}  # a shared file is at fault once, not once for each of its templates
    for template, facts in expected.items():
        for language in typography.LANGUAGES:
            for problem in _problems_of(templates, template, language, facts, samples.get(template, {}), zone):
                problems.setdefault(problem)
    for template in templates.names:
        if template not in expected:
            problems.setdefault(
                f"template {template}: no workflow sends it{did_you_mean(template, expected)}; "
                "rename or remove its folder"
            )
    return list(problems)


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
            yield f"{file}: is missing; write this file"
            return
        try:
            unknown = templates.facts(template, language, part) - set(facts)
        except TemplateError as error:
            yield f"{error.where or file}: {error.problem}"
            return
        for name in sorted(unknown):
            near = did_you_mean(name, facts) or f"; there are {', '.join(sorted(facts))}"
            yield f"{file}{_line_of(file, name)}: mails of {template} know no fact {name!r}{near}"
        if unknown:
            return
    told: set[str] = set()
    for label, context in samples.items():
        try:
            rendered = templates.render(template, language, context, zone)
        except TemplateError as error:
            problem = f"{error.where or file}: {error.problem}"
            if problem not in told:
                yield f"{problem} (sample: {label})"
            told.add(problem)
        else:
            if not rendered.subject:
                file = templates.files(template, language)[0]
                yield f"{file}: the subject is empty (sample: {label}); say what the mail is about"
                return
            if not rendered.text.strip():
                file = templates.files(template, language)[1]
                yield f"{file}: the mail is empty (sample: {label}); say what happened and what to do"
                return


def _line_of(file: str, name: str) -> str:
    for count, line in enumerate(Path(file).read_text(encoding="utf-8").splitlines(), 1):
        if re.search(rf"\{{[{{%].*\b{re.escape(name)}\b", line):
            return f" line {count}"
    return ""
