"""One bad record stops only itself, also where it takes the whole process with it: real processes, which die."""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.engine.poisoned import BOXES, DUE, FILLED, engine_at
from vipflow.engine import Engine, read_envelope, verify
from vipflow.engine.in_hand import InHand, leftovers
from vipflow.engine.plain import PlainTrade
from vipflow.engine.quarantine import count_crashes
from vipflow.store.tables import metadata
from vipflow.store.tenants import add_tenant

ROOT = Path(__file__).parents[2]
NEIGHBOURS = 30


class Boxes:
    """One tenant's boxes, of which one goes off in its own way, in a database that processes open one after another."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.engine = engine_at(url, FILLED)
        with self.engine.database.write() as connection:
            self.tenant = add_tenant(
                connection, key="club", name="Club", language="en", zone="UTC", policy="none", settings="{}",
                created_at=FILLED,
            ).id  # fmt: skip

    def fill(self, *whats: str) -> list[str]:
        return [self.post("box.fill", "", {"what": what, "opens_on": "2025-01-20"}).subject for what in whats]

    def post(self, type: str, subject: str, data: dict[str, Any] | None = None, engine: Engine | None = None) -> Any:
        given = {"specversion": "1.0", "type": type, "source": "desk", "subject": subject, "data": data or {}}
        given["id"] = f"{type}-{len(self.rows('inbox'))}"
        envelope = read_envelope(json.dumps(given), BOXES)
        return (engine or self.engine).post(self.tenant, [envelope])[0]

    def start(self) -> subprocess.CompletedProcess[str]:
        """A daemon's start, to its end."""
        program = [sys.executable, "-m", "tests.engine.poisoned", self.url, str(self.folder)]
        return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def rows(self, table: str) -> list[Any]:
        found = metadata.tables[table]
        with self.engine.database.read() as connection:
            return list(connection.execute(select(found).order_by(*found.primary_key.columns)).all())

    def closed(self) -> list[str]:
        return [row.ref for row in self.rows("cases") if row.state == "closed"]

    def is_sound(self, now: datetime = DUE) -> bool:
        report = verify.verify(self.engine.database, BOXES, PlainTrade(), now=now, idle_at=now)
        assert not report.findings, report.findings
        return True


@pytest.fixture
def boxes(database_url: str, tmp_path: Path) -> Any:
    made = Boxes(database_url, tmp_path / "daemon")
    yield made
    made.engine.database.dispose()


@pytest.mark.parametrize("way", ["exits", "reads nowhere", "sleeps", "turns", "lets nobody run"])
def test_what_kills_its_process_three_times_is_left_alone_and_all_its_neighbours_go_on(boxes: Boxes, way: str) -> None:
    """Whatever the way: leaving, a fault of memory, sleeping for ever, turning in circles, holding the interpreter."""
    boxes.fill(*["apples"] * NEIGHBOURS)
    (bad,) = boxes.fill(way)
    boxes.fill(*["pears"] * NEIGHBOURS)
    first, second, third = (boxes.start() for _ in range(3))
    assert [each.returncode == 0 for each in (first, second, third)] == [False] * 3
    if way in ("sleeps", "turns"):
        assert "nothing has moved for 0.6 s" in first.stdout
        assert first.returncode == 70
    assert boxes.closed() == [bad]  # the neighbours did not have to wait for the quarantine
    fourth = boxes.start()
    assert fourth.returncode == 0, fourth.stderr
    (incident,) = boxes.rows("incidents")
    assert (incident.kind, incident.subject, incident.cause) == ("quarantined", bad, f"crash:{bad}")
    assert [(row.subject, row.wake_at) for row in boxes.rows("timers")] == [(bad, None)]
    assert [(row.subject, row.crashes) for row in boxes.rows("crashes")] == [(bad, 3)]
    assert boxes.start().returncode == 0
    assert boxes.is_sound()


def test_a_neighbour_that_went_well_alone_is_suspected_no_more(boxes: Boxes) -> None:
    bad = boxes.fill("exits", *["apples"] * 5)[0]
    boxes.start()
    counted = count_crashes(boxes.engine, boxes.folder)
    assert sorted(counted.values()) == [1] * 6
    boxes.start()
    boxes.start()
    assert boxes.closed() == [bad]
    assert [(row.subject, row.crashes) for row in boxes.rows("crashes")] == [(bad, 2)]  # the third is not counted yet


def test_an_event_that_kills_its_process_three_times_is_quarantined_with_its_body(boxes: Boxes) -> None:
    bad, good = boxes.fill("exits", "apples")
    for _ in range(3):
        _die_with(boxes, bad)
        count_crashes(boxes.engine, boxes.folder)
    daemon = engine_at(boxes.url, FILLED)
    daemon.in_hand = InHand(boxes.folder)
    assert boxes.post("box.shake", f"boxes/{good}", engine=daemon).verdict == "applied"
    assert boxes.post("box.shake", f"boxes/{bad}", engine=daemon).verdict == "quarantined"
    (row,) = [row for row in boxes.rows("inbox") if row.verdict == "quarantined"]
    assert row.body is not None
    (incident,) = boxes.rows("incidents")
    assert (incident.kind, incident.subject) == ("quarantined", bad)
    daemon.in_hand.close()
    daemon.database.dispose()
    assert boxes.is_sound(FILLED)


def test_what_somebody_who_lives_has_in_hand_is_no_crash(boxes: Boxes) -> None:
    alive = InHand(boxes.folder)
    with alive.noted(1, ["B-1"]), leftovers(boxes.folder) as left:
        assert left == []
    assert alive.path.stat().st_size == 0
    alive.close()
    assert list(boxes.folder.iterdir()) == []


def test_notes_that_were_cut_short_are_read_as_far_as_they_go(boxes: Boxes) -> None:
    alive = InHand(boxes.folder)
    with alive.noted(1, ["B-1"]), alive.noted(1, ["B-2", "B-3"]):
        kept = alive.path.read_bytes()
    alive.close()
    (boxes.folder / "in-hand-1.jsonl").write_bytes(kept + b'{"n":2,"done":true}\n{"n":3,"ten')
    with leftovers(boxes.folder) as (left,):
        assert left.keys == [(1, "B-1")]


def test_of_several_that_start_at_once_one_counts_a_crash(boxes: Boxes) -> None:
    """Else three daemons that come back together make three crashes of one."""
    (boxes.folder).mkdir()
    (boxes.folder / "in-hand-1.jsonl").write_text('{"n":1,"tenant":1,"keys":["B-1"]}\n')
    with leftovers(boxes.folder) as (left,):
        assert count_crashes(boxes.engine, boxes.folder) == {}
    assert not left.path.exists()
    assert count_crashes(boxes.engine, boxes.folder) == {}


def test_what_could_not_be_counted_is_counted_the_next_time(boxes: Boxes) -> None:
    (boxes.folder).mkdir()
    (boxes.folder / "in-hand-1.jsonl").write_text('{"n":1,"tenant":1,"keys":["B-1"]}\n')
    with pytest.raises(OSError, match="gone"), leftovers(boxes.folder):
        raise OSError("the database is gone")
    assert count_crashes(boxes.engine, boxes.folder) == {(1, "B-1"): 1}


def _die_with(boxes: Boxes, ref: str) -> None:
    """A daemon that is posted an event for the box, and dies of it."""
    program = (
        "import sys; from pathlib import Path; from tests.engine.poisoned import *;"
        "from vipflow.engine import read_envelope; url, folder, line, tenant = sys.argv[1:];"
        "engine = engine_at(url, FILLED); engine.in_hand = InHand(Path(folder));"
        "engine.post(int(tenant), [read_envelope(line, BOXES)])"
    )
    event = {"specversion": "1.0", "type": "box.shake", "source": "desk", "id": "x", "subject": f"boxes/{ref}"}
    line = json.dumps(event | {"data": {}})
    arguments = [boxes.url, str(boxes.folder), line, str(boxes.tenant)]
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 3
