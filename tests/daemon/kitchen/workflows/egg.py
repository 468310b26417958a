"""An egg on the boil: its timer rings at an instant to the second, and the cook gets a mail."""

from datetime import datetime

from msgspec import Struct

from vipflow import (
    REPORT,
    Audience,
    Change,
    Email,
    Facts,
    Opening,
    Person,
    State,
    Text,
    Timer,
    View,
    Workflow,
    on,
)
from vipflow.workflow import always


class Egg(Facts, frozen=True):
    email: str
    rings_at: datetime | None = None


class Boil(Struct, frozen=True, forbid_unknown_fields=True):
    email: str
    rings_at: datetime | None = None


def boil(data: Boil, view: View) -> Egg:
    return Egg(data.email, data.rings_at)


def whoever_cooks(view: View) -> Person:
    return Person(view.subject_facts.email, "Cook", view.tenant.language)


cook = Audience("cook", person=whoever_cooks, not_before=lambda view: view.now)


def words(egg: Egg, view: View) -> dict[str, str]:
    return {"email": egg.email}


class EggWorkflow(Workflow):
    """An egg boils until its timer rings, or somebody takes it out."""

    name_in_events = "egg"
    collection = "eggs"
    prefix = "E"
    title = Text("œuf", "egg")
    is_subject = True
    facts = Egg

    boiling = State(initial=True)
    done = State(final=True)
    labels = {"boiling": Text("sur le feu", "boiling"), "done": Text("cuit", "done")}
    settled = [done]

    ring = boiling.to(done)
    take_out = boiling.to(done)

    openings = [Opening("boil", boiling, data=Boil, build=boil)]
    changes = [Change(take_out, kind=REPORT)]
    timers = [Timer(boiling, on("rings_at"), send=ring)]
    vocabulary = staticmethod(words)
    record_block = ["email"]
    emails = [Email("egg_done", to=cook, on=done, while_=always)]
