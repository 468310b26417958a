"""Whatever is posted, in whatever order, with whatever outages between: what is then stored is sound."""

import shutil
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.workshop import WORKSHOP, WorkshopTrade
from tests.engine.worlds import START, World, opened
from vipflow.case import View
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
            {"bicycle": st.sampled_from(["red", "cursed"])},
            optional={"frame": st.sampled_from(["F-1", "job1"]), "tag": st.sampled_from(["T-1", "T-2"])},
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
RUNS = st.lists(ACTIONS, min_size=1, max_size=12)
# Seeded by the test itself: the same runs each time.
BOUNDED = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))

_numbers = count(1)


def live_through(world: World, actions: list[tuple[str, Any]]) -> None:
    for name in OWNERS[:2]:
        world.applied("owner.register", f"owners/{name}", {"name": name})
        world.applied("repair.bring", f"owners/{name}/repairs/job1", {"bicycle": "green"})
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


@settings(BOUNDED, max_examples=30)
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


@settings(BOUNDED, max_examples=5)
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


# --- what such runs have found -------------------------------------------------------------------------------------


@pytest.fixture
def workshop(database: Database) -> World:
    world = World(database, WORKSHOP, WorkshopTrade())
    world.applied("owner.register", "owners/ann", {"name": "Ann"})
    world.applied("owner.register", "owners/bob", {"name": "Bob"})
    return world


def test_events_that_waited_do_not_keep_from_opening_what_they_waited_for(workshop: World) -> None:
    assert workshop.post("repair.bring", "owners/cid/repairs/job1", {"bicycle": "red"}, id="b").verdict == "parked"
    assert workshop.post("repair.finish", "owners/cid/repairs/job1", id="a").verdict == "parked"  # woken before "b"

    assert workshop.post("owner.register", "owners/cid", {"name": "Cid"}).verdict == "applied"
    assert {row.verdict for row in workshop.rows("inbox")} == {"applied"}
    assert_sound(workshop)


def test_a_name_that_a_follow_up_gives_and_another_bears_is_told_not_quarantined(workshop: World) -> None:
    workshop.applied("club.join", "owners/ann", {"card": "K-1"})

    assert workshop.post("club.join", "owners/bob", {"card": "K-1"}).verdict == "applied"
    assert workshop.incidents() == ["name_taken"]
    assert_sound(workshop)


def test_a_case_may_take_a_name_again_that_it_bore_before(workshop: World) -> None:
    for card in ("K-1", "K-2", "K-1"):
        assert workshop.post("club.join", "owners/ann", {"card": card}).verdict == "applied"
    assert_sound(workshop)


@pytest.mark.parametrize(("one", "other"), [(("shop/eu", "1"), ("shop", "eu/1")), (("shop", "1"), ("shop", "1/0"))])
def test_two_events_never_have_one_cause(workshop: World, one: tuple[str, str], other: tuple[str, str]) -> None:
    for name, (source, id) in (("cid", one), ("dan", other)):
        assert (
            workshop.post("owner.register", f"owners/{name}", {"name": name}, source=source, id=id).verdict == "applied"
        )
    assert_sound(workshop)


def test_a_name_stays_exclusive_where_the_sender_calls_the_case_so_too(workshop: World) -> None:
    workshop.applied("repair.bring", "owners/ann/repairs/T-1", {"bicycle": "red", "tag": "T-1"})

    assert workshop.row("names", value="T-1").exclusive
    assert_sound(workshop)


def test_views_show_the_oldest_case_first_whatever_happened_to_it_since(workshop: World) -> None:
    seen: list[list[str]] = []

    class Looking(WorkshopTrade):
        def summary(self, view: View) -> Mapping[str, Any]:
            seen.append([case.facts.bicycle for case in view.of("repair")])
            return super().summary(view)

    workshop.applied("repair.bring", "owners/ann/repairs/job1", {"bicycle": "red"})
    workshop.applied("repair.bring", "owners/ann/repairs/job2", {"bicycle": "blue"})
    workshop.applied("repair.finish", "owners/ann/repairs/job1")
    workshop.engine.trade = Looking()
    workshop.applied("owner.change_phone", "owners/ann", {"phone": "7"})
    workshop.applied("repair.collect", "owners/ann/repairs/job1")
    workshop.applied("repair.bring_back", "owners/ann/repairs/job1")

    assert seen == [["red", "blue"], ["blue"], ["red", "blue"]]
