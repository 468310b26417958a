"""What every test may ask for: databases that are really there.

Tools that a machine may lack are asked for through `skip_or_fail`: without the tool its tests are skipped, with the
way to get it in the closing report; `VIPFLOW_REQUIRE=pg,...` makes the lack of those named a failure.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest

from tests import postgres

# Workers share the machine: how long an example takes says nothing about the code.
hypothesis.settings.register_profile("vipflow", deadline=None)
hypothesis.settings.load_profile("vipflow")

RUN = pytest.StashKey[postgres.Run]()


def skip_or_fail(tool: str, why: str, remedy: str) -> NoReturn:
    """Skips the test for want of `tool`, or fails it when `VIPFLOW_REQUIRE` names the tool."""
    if tool in os.environ.get("VIPFLOW_REQUIRE", "").replace(" ", "").split(","):
        pytest.fail(f"VIPFLOW_REQUIRE names {tool}, and it is not there: {why}\n{remedy}", pytrace=False)
    pytest.skip(" ".join(f"{tool} is not there: {why} {remedy}".split()))  # the closing report wants one line


@pytest.fixture(scope="session")
def postgres_server(run_folder: Path) -> postgres.PostgresServer:
    """The run's PostgreSQL: `url_for`, `create_database`, `template`, `drop_database`, `version`."""
    try:
        return postgres.server_of(run_folder)
    except postgres.PostgresUnavailable as problem:
        why = str(problem)
    skip_or_fail("pg", why, postgres.HOW_TO_GET_ONE)


# What the stores promise is one suite run against both: a test (or a fixture such as a migrated store) that asks for
# `database_url` runs once per database. Where the schema is wanted, PostgreSQL clones it faster than it migrates:
#
#     template = postgres_server.template("schema", migrate)        # once per run, `migrate(url)` fills it
#     name = postgres_server.create_database("story", template=template)
#
@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, empty database, for SQLAlchemy."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'vipflow.db'}"
        return
    server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
    database = server.create_database()
    yield server.url_for(database)
    server.drop_database(database)


@pytest.fixture(scope="session")
def run_folder(pytestconfig: pytest.Config) -> Path:
    """A folder that all workers of this run share; gone when the run ends."""
    if hasattr(pytestconfig, "workerinput"):
        return Path(pytestconfig.workerinput["run_folder"])
    return pytestconfig.stash[RUN].folder


# One run, several processes: the controller owns the run folder, workers are told where it is.


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[RUN] = postgres.begin_run()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # a hook of xdist
    node.workerinput["run_folder"] = str(node.config.stash[RUN].folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    answer = postgres.read_answer(config.stash[RUN].folder)
    if "version" in answer:
        terminalreporter.write_line(f"PostgreSQL {answer['version']}, from {answer['origin']}")
    elif answer:
        terminalreporter.write_line("PostgreSQL was not there: its tests did not run")
    else:
        terminalreporter.write_line("PostgreSQL was not needed by these tests")


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(RUN, None)
    if run:
        postgres.end_run(run)
