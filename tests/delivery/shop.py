"""A reseller of Adobe licences whose mails leave: North, with its team, its customers and a postman."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from functools import cache
from typing import Any

from sqlalchemy import select

from tests.delivery.library import Postman
from vipflow.clock import StillClock
from vipflow.config import load_settings
from vipflow.delivery.outbox import Delivery, DeliveryReport
from vipflow.delivery.transport import Outcome, Parcel, Refused
from vipflow.engine.verify import verify
from vipflow.operations import authorizations, customers, resellers, team
from vipflow.operations.events import Posted, post_lines
from vipflow.operations.installation import Files, load_files, with_database
from vipflow.operations.mails import Acted, MailAct, act_on_mails
from vipflow.operations.who import Who, who_asks
from vipflow.store.database import Database
from vipflow.store.tables import metadata
from vipflow.vip.customers import folded

FRIDAY_MORNING = datetime(2024, 3, 1, 9, tzinfo=UTC)  # ten o'clock in Paris


@cache
def shipped_files() -> Files:
    return load_files(load_settings(None))


class Shop:
    """North Licences: Ada (admin), Bob and Cleo (account managers), Sam (support), Otto (operator), Vic (viewer)."""

    def __init__(self, database: Database, start: datetime = FRIDAY_MORNING) -> None:
        self.database = database
        self.clock = StillClock(start)
        self.installation = with_database(shipped_files(), database, self.clock)
        resellers.add_reseller(
            self.installation, key="north", name="North Licences", settings={"sender": "licences@north.example"}
        )
        for name, role in (
            ("ada", "admin"),
            ("bob", "account_manager"),
            ("cleo", "account_manager"),
            ("sam", "support"),
            ("otto", "operator"),
            ("vic", "viewer"),
        ):
            email = f"{name}@north.example"
            team.add_member(self.installation, self.who(None), email=email, name=name.title(), role=role, language="en")
        self.postman = Postman()
        self.delivery = self.hand("north", self.postman)

    def hand(self, daemon: str, transport: Any, **more: Any) -> Delivery:
        """Somebody who delivers."""
        return Delivery(
            self.installation.engine, self.installation.templates, transport, "north.example", daemon=daemon, **more
        )

    def who(self, name: str | None = "bob") -> Who:
        return who_asks(self.installation, reseller="north", email=f"{name}@north.example" if name else None)

    def invite(self, company: str, name: str = "bob", **more: Any) -> str:
        words = folded(company).split()
        form = {
            "company": company,
            "segment": "commercial",
            "country": "FR",
            "address": "1 rue des Lilas",
            "city": "Nantes",
            "postal_code": "44000",
            "language": "en",
            "contact": {"name": "Zoé Roux", "email": f"{words[0]}@{'-'.join(words)}.example"},
            **more,
        }
        done = customers.invite(self.installation, self.who(name), form)
        assert done.outcome == "applied", done.verdict
        return str(done.verdict.subject)

    def authorize(self, customer: str, name: str = "bob") -> str:
        done = authorizations.create(self.installation, self.who(name), customer, ["Photoshop=5"])
        assert done.outcome == "applied", done.verdict
        return str(done.verdict.case)

    def prefer(self, mails: str, name: str = "bob") -> None:
        team.change_member(self.installation, self.who("ada"), f"{name}@north.example", mails=mails)

    # --- time -----------------------------------------------------------------------------------------------------

    def move_to(self, instant: str) -> None:
        """The clock alone moves (Paris time): nobody is at work meanwhile."""
        local = datetime.fromisoformat(instant).replace(tzinfo=self.who(None).zone)
        self.clock.move_to(local.astimezone(UTC))

    def sweep(self) -> None:
        while self.installation.engine.sweep().more:
            pass

    def pass_(self, **time: float) -> None:
        self.clock.move_to(self.clock.now() + timedelta(**time))

    def deliver(self) -> DeliveryReport:
        return asyncio.run(self.delivery.deliver())

    def deliver_all(self) -> int:
        """Rounds until nothing is left that may leave; how many messages were sent."""
        sent = 0
        while True:
            report = self.deliver()
            sent += report.sent
            if report.came_to_nothing:
                return sent

    # --- what is written ------------------------------------------------------------------------------------------

    def rows(self, table: str, **where: Any) -> list[Any]:
        found = metadata.tables[table]
        wanted = [found.c[name] == value for name, value in where.items()]
        with self.database.read() as connection:
            return list(connection.execute(select(found).where(*wanted).order_by(*found.primary_key.columns)))

    def mail(self, template: str, **where: Any) -> Any:
        """The only message of that template."""
        (row,) = self.rows("messages", template=template, **where)
        return row

    def incidents(self) -> list[str]:
        return sorted(row.kind for row in self.rows("incidents"))

    def acts(self) -> list[Any]:
        """What the audit tells of mails and their addresses."""
        return [row for row in self.rows("audit") if row.act.startswith("mail.")]

    def act(self, act: MailAct, *keys: str, name: str | None = "ada", **more: Any) -> Acted:
        return act_on_mails(self.installation, self.who(name), act, keys, **more)

    def post(self, type: str, subject: str = "", id: str = "1", **data: Any) -> Posted:
        event = {"specversion": "1.0", "type": type, "source": "bounces", "id": id, "subject": subject, "data": data}
        line = json.dumps(event).encode()
        return post_lines(self.installation, self.who("ada"), [(1, line)])

    def clean(self) -> bool:
        """Whether `verify` finds nothing."""
        trade = self.installation.trade
        report = verify(self.database, self.installation.workflows, trade, now=self.clock.now())
        assert report.ok, report.findings
        return report.ok


def no_such_user(*addresses: str) -> Callable[[Parcel], Outcome | None]:
    """The server knows none of these addresses."""

    def answer(parcel: Parcel) -> Outcome | None:
        refused = tuple(Refused(each, 550, "5.1.1 no such user") for each in parcel.recipients if each in addresses)
        if not refused:
            return None
        if len(refused) < len(parcel.recipients):
            return Outcome("sent", "answer", refused=refused)
        return Outcome("permanent", "recipients", "5.1.1 no such user", 550, refused)

    return answer


def read(parcel: Parcel) -> Any:
    """A mail as its reader's program takes it apart."""
    return message_from_bytes(parcel.content, policy=policy.default)


def text_of(parcel: Parcel) -> str:
    part = read(parcel).get_body(preferencelist=("plain",))
    return str(part.get_content())
