"""An installation, opened: its files loaded and checked, its database ready, its engine built."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vipflow.case import Trade
from vipflow.clock import Clock
from vipflow.config import Settings
from vipflow.delivery.render import Templates
from vipflow.engine import Engine
from vipflow.engine.plain import PlainTrade
from vipflow.errors import BadInput, VipflowError, WorkflowError
from vipflow.machine import Workflows, compile_workflow, compile_workflows
from vipflow.operations.databases import open_existing
from vipflow.operations.story import clock_of
from vipflow.policy import PolicyBook
from vipflow.store.database import Database
from vipflow.store.schema import require_current
from vipflow.vip.catalogue import Catalogue, load_catalogue
from vipflow.vip.numbers import load_policies
from vipflow.vip.trade import VipTrade
from vipflow.workflow import Workflow

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True)
class Files:
    """What an installation reads from files; it needs no database."""

    settings: Settings
    workflows: Workflows
    policy_book: PolicyBook
    catalogue: Catalogue
    templates: Templates
    trade: Trade


@dataclass(frozen=True)
class Installation(Files):
    """Everything that an operation may need. Several threads may share it."""

    database: Database
    clock: Clock
    engine: Engine

    def close(self) -> None:
        """Closes the database's idle connections."""
        self.database.dispose()


def load_files(settings: Settings) -> Files:
    """Workflows, policies, catalogue and templates, as the settings name them; the first file at fault raises."""
    book = load_policies(*settings.folders.policies)
    catalogue = load_catalogue(*settings.folders.catalogues)
    workflows = load_workflow_files(settings.folders.workflows)
    templates = Templates(settings.folders.email_templates, settings.folders.reseller_templates)
    return Files(settings, workflows, book, catalogue, templates, trade_of(workflows, book, catalogue))


def trade_of(workflows: Workflows, book: PolicyBook, catalogue: Catalogue) -> Trade:
    """The trade that the subjects' workflow names. Raises WorkflowError for one that this release does not have."""
    name = workflows.root.trade
    if name == "vip":
        return VipTrade(book, catalogue)
    if name == "plain":
        return PlainTrade()
    raise WorkflowError(workflows.root.name, f'there is no trade {name!r}; say "vip", or leave it out')


def open_installation(
    settings: Settings, *, clock: Clock | None = None, schema: Literal["current", "any"] = "current"
) -> Installation:
    """Loads the files and opens the database. Where its tables are not ours, SchemaError says what to do."""
    files = load_files(settings)
    database = open_existing(settings)
    try:
        if schema == "current":
            require_current(database)
        return with_database(files, database, clock)
    except BaseException:
        database.dispose()
        raise


def with_database(files: Files, database: Database, clock: Clock | None = None) -> Installation:
    """The same files upon another database: what a simulation and the tests ask for."""
    if clock is None:
        clock = clock_of(files.settings.clock, database)
    engine = Engine(database, files.workflows, files.trade, clock)
    return Installation(**vars(files), database=database, clock=clock, engine=engine)


# --- workflow files ------------------------------------------------------------------------------------------------


def load_workflow_files(folder: Path) -> Workflows:
    """The workflows of all `*.py` files in `folder`, compiled; raises the first problem of `workflow_problems`."""
    classes, problems = read_workflow_files(folder)
    if problems:
        raise problems[0]
    return compile_workflows(classes)


def workflow_problems(folder: Path) -> list[VipflowError]:
    """Everything that is wrong with the workflow files, file by file, class by class."""
    classes, problems = read_workflow_files(folder)
    for cls in classes:
        try:
            compile_workflow(cls)
        except VipflowError as wrong:
            problems.append(wrong)
    if not problems:
        try:
            compile_workflows(classes)
        except VipflowError as wrong:
            problems.append(wrong)
    return problems


def read_workflow_files(folder: Path) -> tuple[list[type[Workflow]], list[VipflowError]]:
    """The workflow classes that the files declare, in order of file and line, and what each faulty file raised."""
    if not folder.is_dir():
        return [], [BadInput(f"the folder {folder}", "it is not there", "set folders.workflows in config.toml")]
    files = [path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]
    if not files:
        return [], [BadInput(f"the folder {folder}", "it holds no workflow file", "write one, or name another folder")]
    classes: list[type[Workflow]] = []
    problems: list[VipflowError] = []
    for path in files:
        try:
            classes += _declared_in(_module(path))
        except WorkflowError as wrong:
            problems.append(wrong)
    return classes, problems


def _module(path: Path) -> ModuleType:
    """A file imported by its path. Files of one folder may import each other as `<folder>.<file>`."""
    name = f"{path.parent.name}.{path.stem}"
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise WorkflowError(str(path), "it cannot be imported; is it a Python file?")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # msgspec looks a class's annotations up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as fault:  # somebody else's file may raise anything, and even try to leave
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise WorkflowError(str(path), _told(fault, path)) from fault
    return module


def _told(fault: BaseException, path: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(fault.__traceback__) if frame.filename == str(path)]
    line = lines[-1] if lines else fault.lineno if isinstance(fault, SyntaxError) else None
    where = f"line {line}: " if line else ""
    what = fault.msg if isinstance(fault, SyntaxError) else str(fault)
    return f"{where}{type(fault).__name__}: {what}"


def _declared_in(module: ModuleType) -> Sequence[type[Workflow]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Workflow) and value.__module__ == module.__name__
    ]
