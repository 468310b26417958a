"""A record that takes the daemon with it: three starts later it is left alone, and everybody else was served."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest

from tests.daemon.processes import KITCHEN, Place
from vipflow.clock import HostClock

BURSTS = """

def bursts(egg: Egg, data: object, view: View) -> None:
    import os

    if egg.email == "cook2@kitchen.example":
        os._exit(9)


class EggWorkflow("""


@pytest.fixture
def bursting(place: Place) -> Place:
    """A kitchen in which the second egg bursts when it is done, and the house with it."""
    own = place.folder / "workflows"
    shutil.copytree(KITCHEN / "workflows", own)
    (file,) = own.glob("*.py")
    text = file.read_text().replace("\n\nclass EggWorkflow(", BURSTS)
    file.write_text(text.replace("ring = boiling.to(done)", "ring = boiling.to(done, unless=bursts)"))
    config = place.folder / "config.toml"
    config.write_text(config.read_text().replace(f"{KITCHEN}/workflows", str(own)))
    return place


def test_what_ends_three_daemons_is_left_alone_by_the_fourth(bursting: Place) -> None:
    bursting.boil(6, rings_at=lambda number: HostClock().now() - timedelta(minutes=1))
    for _ in range(3):
        daemon = bursting.start()
        assert daemon.process.wait(60) == 9
    daemon = bursting.serve()
    assert daemon.events("crashes_counted")[0]["most"] == 3
    assert daemon.get("/healthz").json["status"] == "alive"
    daemon.wait_for("tick_ran", tick="timers", faults=1)
    listed = bursting.cli("incident", "list", "--json")
    (group,) = json.loads(listed.stdout)["items"]
    assert (group["kind"], group["count"]) == ("quarantined", 1)
    assert daemon.stop() == 0
    armed = json.loads(bursting.cli("timers", "--json").stdout)["items"]
    assert [timer["wake_at"] for timer in armed] == [None]
    assert bursting.cli("verify").returncode == 0
    assert list((bursting.folder / "var" / "daemon").glob("in-hand-*")) == []
