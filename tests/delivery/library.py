"""A library that lends, and a postman who carries its mails: what the stories of delivery are told with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.engine.worlds import World
from vipflow.delivery.outbox import Delivery, DeliveryReport
from vipflow.delivery.render import Templates
from vipflow.delivery.transport import Outcome, Parcel, Paused
from vipflow.engine.plain import PlainTrade
from vipflow.engine.verify import verify
from vipflow.operations.workflow_files import load_workflow_files
from vipflow.store.database import Database

LIBRARY = Path(__file__).parents[2] / "examples" / "library"
WORKFLOWS = load_workflow_files(LIBRARY / "workflows")
TEMPLATES = Templates([LIBRARY / "email_templates"])
SENT = Outcome("sent", "answer")

Answers = Callable[[Parcel], Outcome | None]


class Interrupted(BaseException):
    """The process is stopped in the middle of a round."""


class Postman:
    """Keeps what it is given. `answers` says what becomes of a parcel; None: it is delivered."""

    name = "postman"

    def __init__(self, answers: Answers = lambda parcel: None) -> None:
        self.delivered: list[Parcel] = []
        self.tried: list[Parcel] = []
        self.answers = answers
        self.rests_until: datetime | None = None

    async def send(self, parcels: Sequence[Parcel], now: datetime) -> Sequence[Outcome]:
        return [self._carry(parcel) for parcel in parcels]

    def _carry(self, parcel: Parcel) -> Outcome:
        self.tried.append(parcel)
        outcome = self.answers(parcel) or SENT
        if outcome.kind in ("sent", "uncertain"):
            self.delivered.append(parcel)
        return outcome

    def paused(self, now: datetime) -> Paused | None:
        if self.rests_until is None or now >= self.rests_until:
            return None
        return Paused("auth", "535 who are you?", now, self.rests_until)

    async def close(self) -> None:
        return None


class Library:
    """A library that lends, and the mails to its readers."""

    def __init__(self, database: Database, trade: Any = None) -> None:
        self.world = World(database, WORKFLOWS, trade if trade is not None else PlainTrade())
        with database.write() as connection:
            connection.execute(text("""UPDATE tenants SET settings = '{"sender":"desk@library.example"}'"""))
        self.postman = Postman()
        self.delivery = self.hand("library", self.postman)

    def hand(self, daemon: str, transport: Any, **more: Any) -> Delivery:
        """Somebody who delivers."""
        return Delivery(self.world.engine, TEMPLATES, transport, "library.example", daemon=daemon, **more)

    def lend(self, *titles: str) -> None:
        for title in titles:
            data = {"title": title, "reader": "Ann", "email": f"{title.lower()}@readers.example"}
            self.world.applied("loan.lend", f"loans/{title}", data)

    def deliver(self) -> DeliveryReport:
        return asyncio.run(self.delivery.deliver())

    def pass_(self, **time: float) -> None:
        self.world.advance_to(self.world.clock.now() + timedelta(**time))

    def after(self, **time: float) -> DeliveryReport:
        self.pass_(**time)
        return self.deliver()

    def mails(self) -> list[Any]:
        return [row for row in self.world.rows("messages") if row.state != "superseded"]

    def states(self) -> list[str]:
        return sorted(row.state for row in self.mails())

    def clean(self) -> bool:
        """Whether `verify` finds nothing."""
        report = verify(self.world.database, WORKFLOWS, self.world.trade, now=self.world.clock.now())
        assert report.ok, report.findings
        return report.ok


def at_the(number: int, outcome: Outcome | BaseException, *, always: bool = False) -> Answers:
    """At the `number`th parcel `outcome`, once (or from then on); every other is delivered."""
    seen: list[Parcel] = []

    def answer(parcel: Parcel) -> Outcome | None:
        seen.append(parcel)
        if len(seen) == number or (always and len(seen) > number):
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        return None

    return answer
