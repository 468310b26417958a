"""The smallest workflow that waits: an alarm is set for an instant, and rings then."""

from datetime import datetime

from msgspec import Struct

from vipflow import Facts, Opening, State, Text, Timer, View, Workflow, on


class Alarm(Facts, frozen=True):
    """When it is to ring."""

    at: datetime


class Set(Struct, frozen=True, forbid_unknown_fields=True):
    """What `alarm.set` says."""

    at: datetime


def as_said(data: Set, view: View) -> Alarm:
    return Alarm(data.at)


class AlarmWorkflow(Workflow):
    """Quiet until its instant, then rung."""

    name_in_events = "alarm"
    collection = "alarms"
    prefix = "A"
    title = Text("réveil", "alarm")
    is_subject = True
    facts = Alarm

    quiet = State(initial=True)
    rung = State(final=True)
    settled = [rung]
    labels = {"quiet": Text("silencieux", "quiet"), "rung": Text("sonné", "rung")}

    ring = quiet.to(rung)

    openings = [Opening("set", quiet, data=Set, build=as_said)]
    timers = [Timer(quiet, on("at"), send=ring)]
