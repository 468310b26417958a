"""A reseller with its team on a still clock, on SQLite and on PostgreSQL: what commands, API and console stand on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from vipflow.clock import StillClock
from vipflow.config import load_settings
from vipflow.operations import authorizations, customers, orders, resellers, team
from vipflow.operations.done import Done
from vipflow.operations.installation import Files, Installation, load_files, with_database
from vipflow.operations.who import Who, who_asks
from vipflow.store.database import open_database
from vipflow.store.schema import create_all
from vipflow.vip.customers import folded

START = datetime(2024, 3, 1, 9, tzinfo=UTC)

FORM = {
    "company": "Élan Vert",
    "segment": "commercial",
    "country": "FR",
    "address": "1 rue des Lilas",
    "city": "Nantes",
    "postal_code": "44000",
    "contact": {"name": "Zoé Roux", "email": "zoe@elan.example"},
}


@cache
def shipped_files() -> Files:
    return load_files(load_settings(None))


@dataclass
class World:
    """One reseller, whose team is Ada (admin), Bob and Cleo (account managers), Sam (support) and Vic (viewer)."""

    installation: Installation
    clock: StillClock

    def who(self, name: str | None = "bob") -> Who:
        return who_asks(self.installation, reseller="north", email=f"{name}@north.example" if name else None)

    def on(self, day: str, name: str = "bob") -> Who:
        return replace(self.who(name), on=datetime.fromisoformat(f"{day}T12:00:00+00:00"))

    def invite(self, company: str = "Élan Vert", name: str = "bob", **more: object) -> str:
        words = folded(company).replace("%", "").split()
        email = f"{words[0]}@{'-'.join(words)}.example"
        form = {**FORM, "company": company, "contact": {"name": "Zoé Roux", "email": email}, **more}
        done = customers.invite(self.installation, self.who(name), form)
        assert done.outcome == "applied", done.verdict
        return str(done.verdict.subject)

    def authorize(self, customer: str, *products: str, po: str | None = None) -> str:
        wanted = products or ("Photoshop=5",)
        done = authorizations.create(self.installation, self.who(), customer, wanted, po_number=po)
        assert done.outcome == "applied", done.verdict
        return str(done.verdict.case)

    def order(self, *refs: str, number: str | None = None) -> str:
        done = orders.place_for_authorizations(self.installation, self.who(), refs, order_number=number)
        assert done.outcome == "applied", done.verdict
        return str(done.verdict.case)

    def accept(self, order: str, number: str | None = None) -> Done:
        return orders.accept(self.installation, self.who(), order, order_number=number)

    def pass_days(self, days: int) -> None:
        """The clock moves, and what falls due on the way happens."""
        for _ in range(days):
            self.clock.move_to(self.clock.now() + timedelta(days=1))
            while self.installation.engine.sweep().more:
                pass


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    database = open_database(database_url, durability="off", patience=0.5)
    create_all(database)
    clock = StillClock(START)
    made = World(with_database(shipped_files(), database, clock), clock)
    resellers.add_reseller(made.installation, key="north", name="North Licences")
    for name, role in (
        ("ada", "admin"),
        ("bob", "account_manager"),
        ("cleo", "account_manager"),
        ("sam", "support"),
        ("vic", "viewer"),
    ):
        email = f"{name}@north.example"
        team.add_member(made.installation, made.who(None), email=email, name=name.title(), role=role)
    yield made
    database.dispose()
