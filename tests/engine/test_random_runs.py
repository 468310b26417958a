"""Whatever is posted, in whatever order, with whatever outages between: what is then stored is sound."""

import shutil
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.workshop import WORKSHOP, WorkshopTrade
from tests.engine.worlds import START, World, opened
from vipflow.engine.verify import verify
from vipflow.store.database import Database
from vipflow.store.tenants import add_tenant

OWNERS = ["ann", "bob", "cid"]
JOBS = ["job1", "job2"]

owner = st.sampled_from(OWNERS).map("owners/{}".format)
job = st.builds("owners/{}/repairs/{}".format, st.sampled_from(OWNERS), st.sampled_from(JOBS))
phone = st.sampled_from(["1", "2"])
nothing: st.SearchStrategy[dict[str, str]] = st.just({})

EVENTS = st.one_of(
    st.tuples(
        st.just("owner.register"), owner, st.fixed_dictionaries({"name": st.just("X")}, optional={"phone": phone})
    ),
    st.tuples(st.just("owner.change_phone"), owner, st.fixed_dictionaries({"phone": phone})),
    st.tuples(st.just("owner.leave"), owner, nothing),
    st.tuples(
        st.just("repair.bring"),
        job,
        st.fixed_dictionaries(
            {"bicycle": st.sampled_from(["red", "cursed"])}, optional={"frame": st.sampled_from(["F-1", "job1"])}
        ),
    ),
    st.tuples(st.sampled_from(["repair.finish", "repair.collect"]), job, nothing),
    st.tuples(st.sampled_from(["repair.bring_back", "repair.sell", "repair.cancel"]), job, nothing),
    st.tuples(
        st.just("club.join"), owner, st.fixed_dictionaries({}, optional={"card": st.sampled_from(["K-1", "K-2"])})
    ),
    st.tuples(st.just("club.renew"), owner, nothing),
)
POSTED = st.tuples(
    EVENTS,
    st.sampled_from(["shop", "shop/1"]),
    st.one_of(st.none(), st.integers(1, 12).map(str), st.just("1/0")),
    st.one_of(st.none(), st.integers(0, 60)),
)
"""An event, its source, an id that another may have had, and how many days ago it was."""

ACTIONS = st.one_of(
    st.tuples(st.just("post"), st.lists(POSTED, min_size=1, max_size=4)),
    st.tuples(st.just("post"), st.lists(POSTED, min_size=1, max_size=4)),
    st.tuples(st.just("sweep"), st.none()),
    st.tuples(st.just("wait"), st.integers(0, 45)),
    st.tuples(st.just("retry"), st.none()),
    st.tuples(st.just("expire"), st.none()),
)
RUNS = st.lists(ACTIONS, min_size=1, max_size=14)
# Seeded by the test itself: the same runs each time.
BOUNDED = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))

_numbers = count(1)


def live_through(world: World, actions: list[tuple[str, Any]]) -> None:
    for action, more in actions:
        if action == "post":
            world.post_all([_event(world, *each) for each in more])
        elif action == "sweep":
            world.engine.sweep()
        elif action == "wait":
            world.move_to(world.clock.now() + timedelta(days=more))
        elif action == "retry":
            world.engine.retry_parked()
        else:
            world.engine.expire_parked()


def _event(
    world: World, event: tuple[str, str, dict[str, str]], source: str, id: str | None, days_ago: int | None
) -> Any:
    kind, subject, data = event
    time = None if days_ago is None else world.clock.now() - timedelta(days=days_ago)
    return world.event(kind, subject, data, source=source, id=id, time=time)


def assert_sound(world: World) -> None:
    report = verify(world.database, world.workflows, world.trade, now=world.clock.now())
    assert report.findings == ()
    world.sweep()
    report = verify(world.database, world.workflows, world.trade, now=world.clock.now(), idle_at=world.clock.now())
    assert report.findings == ()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@settings(BOUNDED, max_examples=60)
@given(actions=RUNS)
def test_a_random_run_leaves_a_sound_database(
    sqlite_template: Path, folder: Path, actions: list[tuple[str, Any]]
) -> None:
    file = folder / f"{next(_numbers)}.db"
    shutil.copy(sqlite_template, file)
    database = opened(f"sqlite:///{file}")
    try:
        world = World(database, WORKSHOP, WorkshopTrade())
        live_through(world, actions)
        assert_sound(world)
    finally:
        database.dispose()
        file.unlink()


@settings(BOUNDED, max_examples=10)
@given(runs=st.lists(RUNS, min_size=2, max_size=2))
def test_random_runs_of_several_tenants_leave_a_sound_database(
    database: Database, runs: list[list[tuple[str, Any]]]
) -> None:
    """In one database, tenant after tenant, each a run of its own."""
    worlds = []
    for actions in runs:
        world = World(database, WORKSHOP, WorkshopTrade())
        with database.write() as connection:
            key = f"tenant{next(_numbers)}"
            row = add_tenant(
                connection, key=key, name=key, language="en", zone="UTC", policy="none", settings="{}", created_at=START
            )
        world.tenant = row.id
        live_through(world, actions)
        worlds.append(world)
    assert_sound(max(worlds, key=lambda world: world.clock.now()))
