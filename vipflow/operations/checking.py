"""Everything that people wrote (settings, workflows, policies, catalogue, templates) read and tried out at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from vipflow.config import ConfigError, Settings, find_config, load_settings
from vipflow.delivery.render import Templates
from vipflow.engine.fit import all_stranded
from vipflow.errors import PolicyError, Problem, VipflowError, WorkflowError, did_you_mean
from vipflow.machine import Workflows
from vipflow.operations.databases import open_existing, sqlite_file
from vipflow.operations.importprofiles import profile_problems
from vipflow.operations.installation import Files, load_files, trade_of
from vipflow.operations.policy_notice import Older, older_than_files
from vipflow.operations.templates import template_problems
from vipflow.operations.workflow_files import load_workflow_files, workflow_problems
from vipflow.policy import Number, PolicyBook
from vipflow.sources import Places
from vipflow.store.schema import require_current
from vipflow.store.tenants import all_tenants
from vipflow.vip.catalogue import Catalogue, CatalogueError, load_catalogue
from vipflow.vip.numbers import load_policies


class CheckReport(msgspec.Struct, frozen=True):
    """What was checked, and every problem found, by area; no problem, no area.

    A problem that knows where it stands is a `Problem`.
    """

    ok: bool
    checked: Mapping[str, str]
    problems: Mapping[str, Sequence[str]]


def check_all(config: Path | None, *, stored: bool = False) -> CheckReport:
    """Checks as much as can be: what hangs on something broken is left out, nothing else. `stored`: where there is a
    database, also whether its cases find themselves in the workflow files; that reads all of them.
    """
    checked: dict[str, str] = {}
    problems: dict[str, Sequence[str]] = {}
    try:
        settings = load_settings(config)
    except ConfigError as wrong:
        return CheckReport(False, {}, {f"settings ({wrong.where})": wrong.problems})
    checked["settings"] = str(settings.file) if settings.file is not None else "the shipped defaults"
    _imports(settings, checked, problems)
    book = _policies(settings, checked, problems)
    catalogue = _catalogue(settings, checked, problems)
    workflows = _workflows(settings, book, checked, problems)
    if workflows is not None and book is not None and catalogue is not None:
        templates = Templates(settings.folders.email_templates, settings.folders.reseller_templates)
        try:
            trade = trade_of(workflows, book, catalogue)
        except WorkflowError as wrong:
            problems["workflows"] = _of_workflow(wrong)
            return CheckReport(False, checked, problems)
        files = Files(settings, workflows, book, catalogue, templates, trade)
        faults = list(_folders_of_templates(settings)) or template_problems(files)
        checked["e-mail templates"] = f"{len(templates.names)} in {' and '.join(templates.languages)}"
        if faults:
            problems["e-mail templates"] = faults
        if stored and settings.file is not None:
            _stored(settings, files, checked, problems)
    return CheckReport(not problems, checked, problems)


def _stored(settings: Settings, files: Files, checked: dict[str, str], problems: dict[str, Sequence[str]]) -> None:
    """How stored cases stand to the files; without a database nothing is said."""
    place = sqlite_file(settings)
    if place is not None and not place.exists():
        return
    try:
        database = open_existing(settings, role="reader")
        try:
            require_current(database)
            with database.read() as connection:
                stranded = all_stranded(connection, files.workflows, files.trade)
                lost = list(_policies_lost(connection, files))
        finally:
            database.dispose()
    except VipflowError as wrong:
        checked["stored cases"] = f"not looked at: {wrong}"
        return
    if lost:
        problems["resellers"] = lost
    checked["stored cases"] = "all find themselves in the workflow files"
    if stranded:
        checked["stored cases"] = "some do not find themselves in the workflow files"
        mends = "; `vipflow workflow apply` shows what they would become"
        problems["stored cases"] = [each.says + (mends if each.what in ("state", "timer") else "") for each in stranded]


def _policies_lost(connection: Connection, files: Files) -> Iterator[str]:
    """Resellers that follow a policy which no file has: nothing can begin there."""
    if files.workflows.root.trade != "vip":
        return
    names = files.policy_book.names
    for tenant in all_tenants(connection):
        if tenant.policy not in names:
            near = did_you_mean(tenant.policy, names)
            mends = f"bring its file back, or choose another: vipflow reseller set {tenant.key} --policy NAME"
            yield f"the reseller {tenant.key} follows the policy {tenant.policy}, which no file has{near}; {mends}"


def _folders_of_templates(settings: Settings) -> Iterator[str]:
    named = {"email_templates": settings.folders.email_templates}
    if settings.folders.reseller_templates is not None:
        named["reseller_templates"] = (settings.folders.reseller_templates,)
    for setting, folders in named.items():
        for folder in folders:
            if not folder.is_dir():
                yield _no_folder(folder, setting)


def _no_folder(folder: Path, setting: str) -> str:
    siblings = [each.name for each in folder.parent.iterdir() if each.is_dir()] if folder.parent.is_dir() else []
    is_ = "is a file" if folder.exists() else "is not there"
    near = did_you_mean(folder.name, siblings)
    return f"the folder {folder} {is_}{near}; make it, or set folders.{setting} in config.toml"


def _of_workflow(wrong: VipflowError) -> list[str]:
    """The problems of a workflow: each with its place where that is known, else with the workflow's name."""
    if not isinstance(wrong, WorkflowError):
        return [str(wrong)]
    return [
        each if isinstance(each, Problem) and each.file else f"workflow {wrong.workflow}: {each}"
        for each in wrong.problems
    ]


def older_numbers(config: Path | None) -> list[Older]:
    """Of an installation whose files are well: resellers with running cases that keep numbers which were changed in
    their place. Nothing where there is no database, or it cannot be had.
    """
    if find_config(config) is None:
        return []
    try:
        settings = load_settings(config)
        files = load_files(settings)
        database = open_existing(settings, role="reader")
    except VipflowError:
        return []
    try:
        require_current(database)
        with database.read() as connection:
            return older_than_files(files, connection, all_tenants(connection))
    except VipflowError:
        return []
    finally:
        database.dispose()


def _imports(settings: Settings, checked: dict[str, str], problems: dict[str, Sequence[str]]) -> None:
    found = profile_problems(settings)
    if settings.imports:
        checked["profiles of imports"] = ", ".join(settings.imports)
    if found:
        problems["profiles of imports"] = found


def _policies(settings: Settings, checked: dict[str, str], problems: dict[str, Sequence[str]]) -> PolicyBook | None:
    try:
        book = load_policies(*settings.folders.policies)
    except PolicyError as wrong:
        problems["policies"] = [
            problem if isinstance(problem, Problem) or ", " in wrong.name else f"{wrong.name}: {problem}"
            for problem in wrong.problems
        ]
        return None
    checked["policies"] = ", ".join(book.names)
    missing = [_no_folder(folder, "policies") for folder in settings.folders.policies if not folder.is_dir()]
    if missing:
        problems["policies"] = missing
    return book


def _catalogue(settings: Settings, checked: dict[str, str], problems: dict[str, Sequence[str]]) -> Catalogue | None:
    try:
        catalogue = load_catalogue(*settings.folders.catalogues)
    except CatalogueError as wrong:
        problems["catalogue"] = wrong.problems
        return None
    checked["catalogue"] = f"{len(catalogue)} products"
    return catalogue


def _workflows(
    settings: Settings, book: PolicyBook | None, checked: dict[str, str], problems: dict[str, Sequence[str]]
) -> Workflows | None:
    found: list[VipflowError] = workflow_problems(settings.folders.workflows)
    if found:
        problems["workflows"] = [problem for each in found for problem in _of_workflow(each)]
        return None
    workflows = load_workflow_files(settings.folders.workflows)
    checked["workflows"] = ", ".join(machine.name for machine in workflows)
    if book is not None:
        unknown = numbers_unknown(workflows, book)
        if unknown:
            problems["workflows"] = unknown
    return workflows


def numbers_unknown(workflows: Workflows, book: PolicyBook) -> list[Problem]:
    """Timers that count with a number which no policy has."""
    found = []
    for machine in workflows:
        for at, timer in enumerate(machine.cls.timers):
            for number in (timer.when.days, timer.when.first):
                if isinstance(number, Number) and number.name not in book.numbers:
                    near = did_you_mean(number.name, book.numbers)
                    says = f"a timer of {timer.state.id!r} counts with {number}, which no policy has{near}"
                    found.append(Problem(says, *Places(machine.cls).of("timers", at)))
    return found
