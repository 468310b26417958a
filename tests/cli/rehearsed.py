"""A reseller with a customer for every act, at one instant at which time then stands still."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from tests.operations.conftest import FORM, World, shipped_files
from tests.operations.test_holds import post
from vipflow.case import Actor, Incident, Tenant
from vipflow.clock import StillClock
from vipflow.engine.fit import remember
from vipflow.engine.incidents import incident_row
from vipflow.operations import authorizations, customers, holds, resellers, returns, team
from vipflow.operations.installation import with_database
from vipflow.operations.ticks import tick_parked
from vipflow.store.catchup import keep_grace
from vipflow.store.database import open_database
from vipflow.store.holds import Scope
from vipflow.store.incidents import REPORT
from vipflow.store.outgoing import SUPPRESS
from vipflow.store.schema import create_all
from vipflow.workflow import Text

BEGINS = datetime(2024, 3, 1, 9, tzinfo=UTC)
NOW = BEGINS + timedelta(days=20)


def build(url: str) -> None:
    """Fills an empty database. Customers are called after what may be done with them, authorizations and orders too."""
    database = open_database(url, durability="off")
    create_all(database)
    clock = StillClock(BEGINS)
    world = World(with_database(shipped_files(), database, clock), clock)
    with database.write() as connection:
        remember(connection, world.installation.workflows)  # else whoever opens it first would
    resellers.add_reseller(world.installation, key="north", name="North Licences", overrides={"return_days": 15})
    for name, role in (("ada", "admin"), ("bob", "account_manager")):
        team.add_member(
            world.installation, world.who(None), email=f"{name}@north.example", name=name.title(), role=role
        )
    world.authorize(_invited(world, "Late"), po="LATE")
    post(world, "1", "customer.note", "customers/nobody", text="who is that?")
    world.pass_days((NOW - BEGINS).days)
    tick_parked(world.installation)

    world.authorize(_invited(world, "Pending"), po="PENDING")
    world.authorize(_invited(world, "Deactivated"), po="DEACTIVATED")
    authorizations.deactivated(world.installation, world.who("ada"), "DEACTIVATED")
    ordering = _invited(world, "Ordering")
    world.authorize(ordering, po="ORDERED")
    world.order("ORDERED", number="ORDER")
    returning = _invited(world, "Returning")
    for name in ("A", "B"):
        world.authorize(returning, po=f"PAID-{name}")
        world.accept(world.order(f"PAID-{name}", number=f"ACCEPTED-{name}"))
    returns.open_return(world.installation, world.who(), "ACCEPTED-A", reference="RETURN")
    _adopted(world, "Renewing")
    resellers.change_reseller(world.installation, world.who(None), overrides={"renews_by_itself": True})
    _adopted(world, "Automatic")
    resellers.change_reseller(world.installation, world.who(None), drop=["renews_by_itself"])
    _stop_things(world, _invited(world, "Invited"), _invited(world, "Held"))
    database.dispose()


def _invited(world: World, company: str) -> str:
    form = {**FORM, "company": company, "contact": {"name": company, "email": f"{company.lower()}@x.example"}}
    done = customers.invite(world.installation, world.who(), form, reference=company.lower())
    assert done.outcome == "applied", done.verdict
    return str(done.verdict.subject)


def _adopted(world: World, company: str) -> None:
    form = {
        **FORM,
        "company": company,
        "contact": {"name": company, "email": f"{company.lower()}@x.example"},
        "vip_number": f"VIP-{company.upper()}",
        "anniversary": "2024-04-10",
        "licences": [{"sku": "65304579CA01A12", "quantity": 5}],
        "offer_types": ["teams"],
    }
    done = customers.adopt(world.installation, world.who(), form, reference=company.lower())
    assert done.outcome == "applied", done.verdict


def _stop_things(world: World, invited: str, held: str) -> None:
    """A hold that keeps an event, a dead mail with its incident, an address not written to, a catching up."""
    ada = world.who("ada")
    holds.hold_customer(world.installation, ada, held, mail_only=False, reason="a complaint")
    post(world, "2", "customer.note", f"customers/{held}", text="kept")
    with world.installation.database.write() as connection:
        found = {"tenant": ada.tenant, "subject": invited}
        mail = connection.execute(text("SELECT key FROM messages WHERE subject = :subject"), found).scalar_one()
        connection.execute(text("UPDATE messages SET state = 'dead' WHERE key = :key"), {"key": mail})
        says = Text("adresse inconnue", "no such user")
        refused = Incident("mail_dead", None, "invitation", says, f"message:{mail}")
        tenant = Tenant(ada.tenant, ada.key, "North Licences", ada.zone)
        REPORT.run(connection, [incident_row(tenant, invited, refused, NOW)])
        SUPPRESS.run(connection, [(ada.tenant, "old@x.example", NOW, "no such user", None)])
        keep_grace(connection, NOW + timedelta(minutes=10))
        hold = holds.new_hold(Scope(None), "backlog", "300 mails are late", None, "vipflow", NOW)
        holds.put_in_force(connection, hold, Actor("clock", "vipflow"), NOW)
