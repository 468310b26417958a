"""Everything that people wrote (settings, workflows, policies, catalogue, templates) read and tried out at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from vipflow.config import ConfigError, Settings, load_settings
from vipflow.delivery.render import Templates
from vipflow.errors import BadInput, PolicyError, VipflowError, did_you_mean
from vipflow.machine import Workflows
from vipflow.operations.importprofiles import profile_problems
from vipflow.operations.installation import Files, load_workflow_files, trade_of, workflow_problems
from vipflow.operations.templates import template_problems
from vipflow.policy import Number, PolicyBook
from vipflow.vip.catalogue import Catalogue, load_catalogue
from vipflow.vip.numbers import load_policies


class CheckReport(msgspec.Struct, frozen=True):
    """What was checked, and every problem found, by area; no problem, no area."""

    ok: bool
    checked: Mapping[str, str]
    problems: Mapping[str, list[str]]


def check_all(config: Path | None) -> CheckReport:
    """Checks as much as can be: what hangs on something broken is left out, nothing else."""
    checked: dict[str, str] = {}
    problems: dict[str, list[str]] = {}
    try:
        settings = load_settings(config)
    except ConfigError as wrong:
        return CheckReport(False, {}, {f"settings ({wrong.where})": list(wrong.problems)})
    checked["settings"] = str(settings.file) if settings.file is not None else "the shipped defaults"
    _imports(settings, checked, problems)
    book = _policies(settings, checked, problems)
    catalogue = _catalogue(settings, checked, problems)
    workflows = _workflows(settings, book, checked, problems)
    if workflows is not None and book is not None and catalogue is not None:
        templates = Templates(settings.folders.email_templates, settings.folders.reseller_templates)
        files = Files(settings, workflows, book, catalogue, templates, trade_of(workflows, book, catalogue))
        missing = [str(folder) for folder in templates.folders if not folder.is_dir()]
        faults = [f"the folder {folder} is not there" for folder in missing] or template_problems(files)
        checked["e-mail templates"] = f"{len(templates.names)} in {' and '.join(templates.languages)}"
        if faults:
            problems["e-mail templates"] = faults
    return CheckReport(not problems, checked, problems)


def _imports(settings: Settings, checked: dict[str, str], problems: dict[str, list[str]]) -> None:
    found = profile_problems(settings)
    if settings.imports:
        checked["profiles of imports"] = ", ".join(settings.imports)
    if found:
        problems["profiles of imports"] = found


def _policies(settings: Settings, checked: dict[str, str], problems: dict[str, list[str]]) -> PolicyBook | None:
    try:
        book = load_policies(*settings.folders.policies)
    except PolicyError as wrong:
        problems["policies"] = [
            problem if problem.startswith(wrong.name) or ", " in wrong.name else f"{wrong.name}: {problem}"
            for problem in wrong.problems
        ]
        return None
    checked["policies"] = ", ".join(book.names)
    missing = [f"the folder {folder} is not there" for folder in settings.folders.policies if not folder.is_dir()]
    if missing:
        problems["policies"] = missing
    return book


def _catalogue(settings: Settings, checked: dict[str, str], problems: dict[str, list[str]]) -> Catalogue | None:
    try:
        catalogue = load_catalogue(*settings.folders.catalogues)
    except BadInput as wrong:
        problems["catalogue"] = _lines(wrong.problem)
        return None
    checked["catalogue"] = f"{len(catalogue)} products"
    return catalogue


def _workflows(
    settings: Settings, book: PolicyBook | None, checked: dict[str, str], problems: dict[str, list[str]]
) -> Workflows | None:
    found: list[VipflowError] = workflow_problems(settings.folders.workflows)
    if found:
        problems["workflows"] = [str(each) for each in found]
        return None
    workflows = load_workflow_files(settings.folders.workflows)
    checked["workflows"] = ", ".join(machine.name for machine in workflows)
    if book is not None:
        unknown = numbers_unknown(workflows, book)
        if unknown:
            problems["workflows"] = unknown
    return workflows


def numbers_unknown(workflows: Workflows, book: PolicyBook) -> list[str]:
    """Timers that count with a number which no policy has."""
    found = []
    for machine in workflows:
        for state, timers in machine.timers.items():
            for event, rule, _ in timers:
                for number in (rule.days, rule.first):
                    if isinstance(number, Number) and number.name not in book.numbers:
                        near = did_you_mean(number.name, book.numbers)
                        found.append(
                            f"workflow {machine.name}: the timer of {state!r} that sends {event!r} counts with "
                            f"{number}, which no policy has{near}"
                        )
    return found


def _lines(problem: Any) -> list[str]:
    """The single problems of a text that `listed` made."""
    lines = [line.removeprefix("  - ") for line in str(problem).split("\n")]
    return lines[1:] if len(lines) > 1 else lines
