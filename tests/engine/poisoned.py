"""A process as a daemon starts it, over boxes of which some go off when they are opened: run with a database's URL and
the folder for its notes; it fires what is due, tells how far it came, and ends.
"""

import ctypes
import os
import re
import signal
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from vipflow.case import View
from vipflow.clock import StillClock
from vipflow.engine import Engine
from vipflow.engine.in_hand import InHand
from vipflow.engine.plain import PlainTrade
from vipflow.engine.quarantine import count_crashes
from vipflow.engine.watchdog import Watchdog
from vipflow.machine import compile_workflows
from vipflow.store.database import open_database
from vipflow.workflow import REPORT, Change, Facts, NoData, Opening, Reason, State, Text, Timer, Workflow, on

FILLED = datetime(2025, 1, 6, 9, tzinfo=UTC)
DUE = datetime(2025, 1, 20, 9, tzinfo=UTC)
HANGS_AFTER = timedelta(seconds=0.6)


class Box(Facts, frozen=True):
    what: str
    opens_on: date


class Fill(Struct, frozen=True, forbid_unknown_fields=True):
    what: str
    opens_on: date


def filled(data: Fill, _view: View) -> Box:
    return Box(data.what, data.opens_on)


def goes_off(facts: Box, _data: Any, _view: View) -> Reason | None:
    match facts.what:
        case "exits":
            os._exit(3)
        case "breaks":
            signal.raise_signal(signal.SIGSEGV)
        case "reads nowhere":
            ctypes.string_at(0)
        case "sleeps":
            time.sleep(60)  # why: it hangs, for the watchdog to see
        case "turns":
            while True:
                pass
        case "lets nobody run":
            re.match(r"(a|aa)+$", "a" * 60 + "b")
    return None


class BoxWorkflow(Workflow):
    name_in_events = "box"
    collection = "boxes"
    prefix = "B"
    title = Text("boîte", "box")
    is_subject = True
    facts = Box

    closed = State(initial=True)
    opened = State(final=True)
    labels = {"closed": Text("fermée", "closed"), "opened": Text("ouverte", "opened")}
    open_up = closed.to(opened, unless=goes_off)
    shake = closed.to(closed, unless=goes_off)
    openings = [Opening("fill", closed, data=Fill, build=filled, kind=REPORT)]
    changes = [Change(open_up, data=NoData), Change(shake, data=NoData, kind=REPORT)]
    timers = [Timer(closed, on("opens_on"), send=open_up)]


BOXES = compile_workflows([BoxWorkflow])


def engine_at(url: str, now: datetime) -> Engine:
    return Engine(open_database(url, durability="off"), BOXES, PlainTrade(), StillClock(now))


def main(url: str, folder: str) -> None:
    engine = engine_at(url, DUE)
    crashed = count_crashes(engine, Path(folder))
    engine.in_hand = InHand(Path(folder))
    watchdog = Watchdog(engine.in_hand, lambda words: print(words, flush=True), limit=HANGS_AFTER)
    watchdog.start()
    print("crashed:", sorted(crashed.values()), flush=True)
    fired = 0
    while (report := engine.sweep()).more:
        fired += report.transitions
    print("fired:", fired, flush=True)
    watchdog.stop()
    engine.in_hand.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
