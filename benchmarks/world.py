"""What both sides of a benchmark begin with: a reseller and its customers, as the shipped workflows make them.

Every customer was invited, has accepted, has a membership that awaits its first order, and one purchase authorization.
The clock stands at noon of the day on which that is to be ordered at the latest. Numbers have a fixed width, so the
rows of one customer are as long as those of another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from vipflow.clock import StillClock
from vipflow.engine import Engine, read_envelope
from vipflow.machine import Workflows, compile_workflows
from vipflow.store.database import Database
from vipflow.store.tenants import MemberRow, add_team_member, add_tenant
from vipflow.vip.catalogue import load_catalogue
from vipflow.vip.numbers import load_policies
from vipflow.vip.trade import VipTrade
from workflows.customer import CustomerWorkflow
from workflows.invitation import InvitationWorkflow
from workflows.membership import MembershipWorkflow
from workflows.order import OrderWorkflow
from workflows.purchase_authorization import PurchaseAuthorization
from workflows.return_request import ReturnRequest

TENANT = 1
BATCH = 1000
"""Events, or due timers, in one transaction."""
INVITED = datetime(2025, 1, 6, 9, tzinfo=UTC)
ACCEPTED = datetime(2025, 1, 6, 14, tzinfo=UTC)
AUTHORIZED = datetime(2025, 1, 7, 10, tzinfo=UTC)
POSTED = datetime(2025, 1, 21, 12, tzinfo=UTC)
"""The last day for the order: the events of the benchmark come in."""
LATE = datetime(2025, 1, 21, 23, 30, tzinfo=UTC)
"""Half an hour into the next day in Paris: every authorization is late since midnight, and nothing else is due."""

PHOTOSHOP = "65305156CA01A12"
WORKFLOWS: Workflows = compile_workflows(
    [CustomerWorkflow, InvitationWorkflow, PurchaseAuthorization, OrderWorkflow, MembershipWorkflow, ReturnRequest]
)
TRADE = VipTrade(load_policies(), load_catalogue())


def engine_at(database: Database, now: datetime) -> Engine:
    """The engine as a daemon has it, with its clock at `now`."""
    return Engine(database, WORKFLOWS, TRADE, StillClock(now))


def populate(database: Database, customers: int, batch: int = 1000) -> None:
    """Fills an empty database, through the engine."""
    populate_tenant(database)
    for now, line_for in ((INVITED, _invitation), (ACCEPTED, _acceptance), (AUTHORIZED, _authorization)):
        post(engine_at(database, now), (line_for(number) for number in range(customers)), batch)
    drain(engine_at(database, POSTED), batch)  # the reminders until then


def invitations(customers: int) -> Iterator[str]:
    """An event for each customer: it is invited."""
    return map(_invitation, range(customers))


def populate_tenant(database: Database) -> None:
    """A reseller with one member of staff."""
    with database.write() as connection:
        settings = {"sender": "vip@nord.example", "signature": "L’équipe Nord", "phone": "+33 1 00 00 00 00"}
        add_tenant(
            connection,
            key="nord",
            name="Atelier Nord",
            language="fr",
            zone="Europe/Paris",
            policy="vip-2024",
            settings=json.dumps(settings),
            created_at=INVITED,
        )
        lea = MemberRow(TENANT, "lea@nord.example", "Léa Martin", "admin", "fr", "+33 1 00 00 00 01", True, INVITED)
        add_team_member(connection, lea)


def events(customers: int) -> list[str]:
    """A file of events, one for each customer: half of them new authorizations, a quarter notes, a quarter orders."""
    kinds: list[Callable[[int], str]] = [_second_authorization, _note, _second_authorization, _order]
    return [kinds[number % 4](number) for number in range(customers)]


def post(engine: Engine, lines: Iterable[str], batch: int) -> int:
    """Posts a file as `vipflow event post` does: read, check, apply, a batch at a time. Gives how many there were."""
    posted = 0
    for some in _batches(lines, batch):
        answers = engine.post(TENANT, [read_envelope(line, WORKFLOWS) for line in some])
        for answer in answers:
            assert getattr(answer, "verdict", None) == "applied", answer
        posted += len(answers)
    return posted


def drain(engine: Engine, batch: int) -> int:
    """Fires what is due until nothing is, as the daemon does. Gives how many transitions that made."""
    transitions = 0
    while (report := engine.sweep(most=batch)).more:
        assert report.faults == 0
        transitions += report.transitions
    return transitions


def _batches(lines: Iterable[str], size: int) -> Iterator[Sequence[str]]:
    rest = iter(lines)
    while some := list(islice(rest, size)):
        yield some


def _line(type_: str, number: int, path: str, id_: str, time: datetime, **data: Any) -> str:
    event = {
        "specversion": "1.0",
        "type": type_,
        "source": "erp",
        "id": f"{id_}{number:06}",
        "subject": path,
        "time": time.isoformat(),
        "data": data,
    }
    return json.dumps(event, ensure_ascii=False)


def _invitation(number: int) -> str:
    return _line(
        "customer.invite",
        number,
        f"customers/c{number:06}",
        "i",
        INVITED,
        company=f"Société Élan {number:06}",
        segment="commercial",
        country="FR",
        postal_code="75011",
        city="Paris",
        address="3 rue Oberkampf",
        language="fr",
        contact={"name": "Jeanne Dupré", "email": f"jeanne@elan{number:06}.example"},
    )


def _acceptance(number: int) -> str:
    return _line("invitation.accept", number, f"customers/c{number:06}", "j", ACCEPTED)


def _authorization(number: int) -> str:
    lines = [{"sku": PHOTOSHOP, "quantity": 5}]
    path = f"customers/c{number:06}/authorizations/a{number:06}"
    return _line(
        "purchase_authorization.create", number, path, "a", AUTHORIZED, lines=lines, po_number=f"PO-{number:06}"
    )


def _second_authorization(number: int) -> str:
    lines = [{"sku": PHOTOSHOP, "quantity": 3}]
    path = f"customers/c{number:06}/authorizations/b{number:06}"
    return _line("purchase_authorization.create", number, path, "e", POSTED, lines=lines, po_number=f"PP-{number:06}")


def _note(number: int) -> str:
    text = "Rappelé à leur demande ; le bon de commande suit."
    return _line("customer.note", number, f"customers/c{number:06}", "e", POSTED, text=text)


def _order(number: int) -> str:
    return _line("order.place", number, f"customers/c{number:06}", "e", POSTED, authorizations=[f"a{number:06}"])
