"""An installation, opened: its files loaded and checked, its database ready, its engine built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vipflow.case import Trade
from vipflow.clock import Clock
from vipflow.config import Settings
from vipflow.delivery.render import Templates
from vipflow.engine import Engine
from vipflow.engine.fit import misfit
from vipflow.engine.plain import PlainTrade
from vipflow.errors import WorkflowError
from vipflow.machine import Workflows
from vipflow.operations.databases import open_existing
from vipflow.operations.story import clock_of
from vipflow.operations.workflow_files import load_workflow_files
from vipflow.policy import PolicyBook
from vipflow.store.database import Database
from vipflow.store.schema import require_current
from vipflow.vip.catalogue import Catalogue, load_catalogue
from vipflow.vip.numbers import load_policies
from vipflow.vip.trade import VipTrade


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
    settings: Settings,
    *,
    clock: Clock | None = None,
    schema: Literal["current", "any"] = "current",
    looks: bool = False,
) -> Installation:
    """Loads the files and opens the database. Where its tables are not ours, SchemaError says what to do.

    Where stored cases do not find themselves in the files, everything can be looked at, and nothing decided: the
    engine raises `Misfit`.
    """
    files = load_files(settings)
    database = open_existing(settings)
    try:
        if schema == "any":
            return with_database(files, database, clock)
        require_current(database)
        opened = with_database(files, database, clock)
        opened.engine.unfit = misfit(database, files.workflows, files.trade, looks=looks)
        return opened
    except BaseException:
        database.dispose()
        raise


def with_database(files: Files, database: Database, clock: Clock | None = None) -> Installation:
    """The same files upon another database: what a simulation and the tests ask for."""
    if clock is None:
        clock = clock_of(files.settings.clock, database)
    engine = Engine(database, files.workflows, files.trade, clock)
    return Installation(**vars(files), database=database, clock=clock, engine=engine)
