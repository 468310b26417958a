"""A kettle: it is put on, stirred any number of times, boils at its instant, and tells somebody.

What is lost or doubled shows in its facts: every stirring counts once.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from vipflow import (
    REPORT,
    REQUEST,
    Audience,
    Change,
    Email,
    Facts,
    NoData,
    Opening,
    Person,
    State,
    Text,
    Timer,
    View,
    Workflow,
    always,
    on,
)


class Kettle(Facts, frozen=True):
    """When it boils, and how often it was stirred."""

    boils_at: datetime
    stirred: int = 0


class PutOn(Struct, frozen=True, forbid_unknown_fields=True):
    """What `kettle.put_on` says."""

    boils_at: datetime


def put_on(data: PutOn, view: View) -> Kettle:
    return Kettle(data.boils_at)


def once_more(kettle: Kettle, data: NoData, view: View) -> Kettle:
    return replace(kettle, stirred=kettle.stirred + 1)


def somebody(view: View) -> Person:
    return Person("cook@kitchen.example", "Cook", view.tenant.language)


def at_once(view: View) -> datetime:
    return view.now


def words(kettle: Kettle, view: View) -> dict[str, Any]:
    return {"stirred": kettle.stirred}


cook = Audience("cook", person=somebody, not_before=at_once)


class KettleWorkflow(Workflow):
    """Cold until its instant, then hot; stirring it is always recorded."""

    name_in_events = "kettle"
    collection = "kettles"
    prefix = "K"
    title = Text("bouilloire", "kettle")
    is_subject = True
    facts = Kettle

    cold = State(initial=True)
    hot = State()
    poured = State(final=True)
    settled = [poured]
    labels = {"cold": Text("froide", "cold"), "hot": Text("chaude", "hot"), "poured": Text("versée", "poured")}

    stir = cold.to(cold) | hot.to(hot)
    boil = cold.to(hot)
    pour = hot.to(poured)

    openings = [Opening("put_on", cold, data=PutOn, build=put_on, kind=REPORT)]
    changes = [Change(stir, record=once_more, kind=REPORT), Change(pour, kind=REQUEST)]
    timers = [Timer(cold, on("boils_at"), send=boil)]

    vocabulary = staticmethod(words)
    emails = [Email("kettle_boiled", to=cook, on=hot, says=["stirred"], while_=always)]
