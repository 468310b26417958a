"""Holds: what somebody stopped stays as it was, and goes on as if it had only come late."""

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.operations.conftest import World
from vipflow.case import CLOCK
from vipflow.engine import verify
from vipflow.engine.envelope import Verdict, read_envelope
from vipflow.errors import BadInput, Conflict, NotFound
from vipflow.operations import customers, holds, resellers
from vipflow.operations.rehearsal import rehearsing
from vipflow.operations.ticks import tick_parked, tick_timers
from vipflow.store import tables
from vipflow.store.database import open_database
from vipflow.store.holds import Scope

DAY = timedelta(days=1)


def rows(world: World, table: str, **where: Any) -> list[Any]:
    found = tables.metadata.tables[table]
    wanted = [found.c[name] == value for name, value in where.items()]
    with world.installation.database.read() as connection:
        return list(connection.execute(select(found).where(*wanted).order_by(*found.primary_key.columns)).all())


def acts(world: World) -> list[Any]:
    """What the audit says of those who stop, let go and settle."""
    return [row for row in rows(world, "audit") if row.act.partition(".")[0] in ("hold", "catchup", "incident", "mail")]


def post(world: World, id: str, type: str, subject: str, time: datetime | None = None, **data: Any) -> Verdict:
    """An event of the shop."""
    import json

    given = {"specversion": "1.0", "type": type, "source": "shop", "id": id, "subject": subject, "data": data}
    if time is not None:
        given["time"] = time.isoformat()
    envelope = read_envelope(json.dumps(given), world.installation.workflows)
    (answer,) = world.installation.engine.post(world.who().tenant, [envelope])
    assert isinstance(answer, Verdict), answer
    return answer


def is_sound(world: World) -> bool:
    """Nothing that `verify` can find, and nothing due that nobody did."""
    report = verify.verify(
        world.installation.database,
        world.installation.workflows,
        world.installation.trade,
        now=world.clock.now(),
        idle_at=world.clock.now(),
    )
    assert not report.findings, report.findings
    return True


def states(world: World) -> list[tuple[Any, ...]]:
    return [(row.workflow, row.state, row.since, row.facts) for row in rows(world, "cases")]


def lived(world: World, customer: str) -> list[tuple[Any, ...]]:
    return [
        (row.event, row.from_state, row.to_state, row.effective_at)
        for row in rows(world, "history", subject=customer)
        if row.from_state != row.to_state
    ]


def hold(world: World, customer: str | None = None, name: str | None = None, **more: Any) -> str:
    given = {"mail_only": False, "reason": "a complaint", **more}
    who = world.who(name)
    if customer is None:
        made = holds.hold_everything(world.installation, None, **given)
    else:
        made = holds.hold_customer(world.installation, who, customer, **given)
    assert made.outcome == "made", made
    assert made.hold is not None
    return made.hold.id


def selling_to(world: World, company: str) -> str:
    """A customer with an authorization that will be late."""
    customer = world.invite(company)
    world.authorize(customer)
    return customer


def release(world: World, ident: str) -> holds.Releasing:
    return holds.release_hold(world.installation, None, ident, reason="settled")


# --- timers --------------------------------------------------------------------------------------------------------


def test_timers_of_a_held_customer_keep_their_dates_and_fire_with_them_once_it_goes(world: World) -> None:
    held, free = selling_to(world, "Élan Vert"), selling_to(world, "Bleu Nuit")
    before = {row.due_at for row in rows(world, "timers", subject=held)}
    ident = hold(world, held)
    world.pass_days(40)
    assert {row.due_at for row in rows(world, "timers", subject=held)} == before
    assert len(lived(world, held)) < len(lived(world, free))
    assert is_sound(world)  # what is held is not late
    done = release(world, ident)
    assert done.follows.timers > 0
    world.pass_days(0)
    tick_timers(world.installation)
    assert lived(world, held) == lived(world, free)
    assert is_sound(world)


def test_a_sweep_does_not_spin_where_all_that_is_due_is_held(world: World) -> None:
    customer = world.invite()
    hold(world)
    world.clock.move_to(world.clock.now() + 40 * DAY)
    ticked = tick_timers(world.installation)
    assert (ticked.done, ticked.next_at) == (0, None)
    assert not world.installation.engine.sweep().more
    holds.release_all(world.installation, None, reason="go on")
    hold(world, customer)
    other = world.invite("Bleu Nuit")
    next_at = tick_timers(world.installation).next_at
    assert next_at is not None
    assert next_at > world.clock.now()
    assert next_at in {row.due_at for row in rows(world, "timers", subject=other)}


def test_a_hold_of_mail_alone_lets_the_clock_and_events_go_on(world: World) -> None:
    held, free = selling_to(world, "Élan Vert"), selling_to(world, "Bleu Nuit")
    hold(world, held, mail_only=True)
    world.pass_days(40)
    assert lived(world, held) == lived(world, free)
    assert post(world, "1", "invitation.accept", f"customers/{held}").verdict == "applied"


# --- events --------------------------------------------------------------------------------------------------------


def test_events_of_systems_are_kept_and_applied_in_the_order_in_which_they_happened(world: World) -> None:
    customer = world.invite()
    ident = hold(world, customer)
    start = world.clock.now()
    world.clock.move_to(start + 5 * DAY)
    late = post(world, "2", "customer.note", f"customers/{customer}", start + 4 * DAY, text="second")
    early = post(world, "1", "invitation.accept", f"customers/{customer}", start + 3 * DAY)
    assert [(v.verdict, v.waiting_for) for v in (late, early)] == [("parked", f"hold/{ident}")] * 2
    assert post(world, "1", "invitation.accept", f"customers/{customer}", start + 3 * DAY).replayed
    world.clock.move_to(start + 20 * DAY)
    assert tick_parked(world.installation).next_at is None
    assert rows(world, "incidents") == []
    done = release(world, ident)
    assert (done.follows.events, done.applied) == (2, 2)
    told = [(row.event, row.effective_at) for row in rows(world, "history") if row.source == "shop"]
    assert told[0] == ("accept", start + 3 * DAY)
    assert told[-1][1] == start + 4 * DAY
    assert {row.verdict for row in rows(world, "inbox", source="shop")} == {"applied"}
    tick_timers(world.installation)
    assert is_sound(world)


def test_an_event_that_a_hold_kept_and_that_names_two_by_then_is_shown_and_waits_no_more(world: World) -> None:
    """It was saved: nobody can tell its sender any more that it means nothing."""
    shared = {"name": "Zoé Roux", "email": "zoe@shared.example"}
    customer = world.invite(contact=shared)
    ident = hold(world, customer)
    kept = post(world, "1", "customer.note", "customers/zoe@shared.example", text="a word")
    assert (kept.verdict, kept.waiting_for) == ("parked", f"hold/{ident}")
    world.invite("Bleu Nuit", contact=shared)
    release(world, ident)
    tick_parked(world.installation)
    assert [row.verdict for row in rows(world, "inbox", source="shop")] == ["quarantined"]
    assert [row.kind for row in rows(world, "incidents")] == ["quarantined"]
    assert is_sound(world)


def test_a_payment_that_a_hold_kept_counts_with_its_own_date_and_undoes_no_more_than_it_must(world: World) -> None:
    held, free = world.invite("Élan Vert"), world.invite("Bleu Nuit")
    for each in (held, free):
        post(world, f"accept {each}", "invitation.accept", f"customers/{each}")
    sales = {each: world.authorize(each, po=f"PO {each}") for each in (held, free)}
    ident = hold(world, held)
    start = world.clock.now()
    world.clock.move_to(start + 5 * DAY)
    for each in (held, free):
        subject = f"authorizations/{sales[each]}"
        post(world, f"pay {each}", "purchase_authorization.pay", subject, start + 5 * DAY)
    world.pass_days(30)
    release(world, ident)
    tick_timers(world.installation)
    assert lived(world, held) == lived(world, free)
    assert is_sound(world)


def test_an_opening_that_a_hold_of_everything_kept_wakes_what_waits_for_it(world: World) -> None:
    ident = hold(world)
    form = {
        "company": "Neuf", "segment": "commercial", "country": "FR", "address": "1 rue", "city": "Nantes",
        "postal_code": "44000", "language": "fr", "owner": "bob@north.example",
        "contact": {"name": "Zoé Roux", "email": "zoe@neuf.example"},
    }  # fmt: skip
    start = world.clock.now()
    world.clock.move_to(start + DAY)
    noted = post(world, "2", "customer.note", "customers/k-1", start + timedelta(hours=2), text="hello")
    invited = post(world, "1", "customer.invite", "customers/k-1", start + timedelta(hours=1), **form)
    assert (invited.verdict, noted.waiting_for) == ("parked", f"hold/{ident}")
    release(world, ident)
    assert {row.verdict for row in rows(world, "inbox", source="shop")} == {"applied"}
    assert is_sound(world)


def test_an_event_that_two_holds_stop_waits_for_both(world: World) -> None:
    customer = world.invite()
    one, other = hold(world, customer), hold(world)
    start = world.clock.now()
    world.clock.move_to(start + DAY)
    post(world, "1", "customer.note", f"customers/{customer}", start + timedelta(hours=1), text="hello")
    release(world, one)
    assert rows(world, "inbox", source="shop")[0].waiting_for == f"hold/{other}"
    release(world, other)
    assert rows(world, "inbox", source="shop")[0].verdict == "applied"


def test_an_event_for_a_case_that_nobody_knows_waits_for_it_once_the_hold_has_gone(world: World) -> None:
    ident = hold(world)
    start = world.clock.now()
    post(world, "1", "customer.note", "customers/nobody", start, text="hello")
    world.clock.move_to(start + 10 * DAY)
    release(world, ident)
    (row,) = rows(world, "inbox", source="shop")
    assert (row.verdict, row.waiting_for) == ("parked", "customers/nobody")
    assert row.expires_at == start + 13 * DAY  # the wait begins when somebody looks
    world.clock.move_to(start + 14 * DAY)
    tick_parked(world.installation)
    assert [row.kind for row in rows(world, "incidents")] == ["parked_too_long"]


def test_staff_are_told_who_stopped_a_customer_and_why(world: World) -> None:
    customer = world.invite()
    ident = hold(world, customer, "ada", until=date(2024, 4, 1))
    done = customers.note(world.installation, world.who("bob"), customer, "they called")
    assert done.outcome == "refused"
    (reason,) = done.verdict.reasons
    assert reason.code == "on_hold"
    assert "ada@north.example" in reason.says.en
    assert "a complaint" in reason.says.en
    assert reason.unblock is not None
    assert ident in reason.unblock.en
    assert reason.opens_at == datetime(2024, 3, 31, 22, tzinfo=UTC)


# --- making and releasing ------------------------------------------------------------------------------------------


def test_to_hold_twice_says_so(world: World) -> None:
    ident = hold(world, world.invite())
    customer = str(rows(world, "holds")[0].subject)
    again = holds.hold_customer(world.installation, world.who("ada"), customer, mail_only=False, reason="again")
    assert again.outcome == "there already"
    assert again.hold is not None
    assert again.hold.id == ident
    assert len(rows(world, "holds")) == 1


def test_a_preview_says_what_it_stops_and_stops_nothing(world: World) -> None:
    customer = world.invite()

    def would_make(mail_only: bool) -> holds.Making:
        with rehearsing(world.installation) as rehearsal:
            return holds.hold_customer(
                rehearsal.installation, world.who("ada"), customer, mail_only=mail_only, reason="leave"
            )

    made = would_make(False)
    assert made.outcome == "made"
    assert made.stops is not None
    assert made.stops.customers == 1
    assert made.stops.timers > 0
    assert made.stops.mails > 0
    assert rows(world, "holds") == []
    assert would_make(True).stops == holds.Counts(1, 0, made.stops.mails, 0)


def test_a_preview_of_a_release_lets_nothing_go(world: World) -> None:
    customer = world.invite()
    ident = hold(world, customer)
    post(world, "1", "customer.note", f"customers/{customer}", text="hello")
    world.clock.move_to(world.clock.now() + 40 * DAY)
    with rehearsing(world.installation) as rehearsal:
        shown = holds.release_hold(rehearsal.installation, None, ident, reason="look")
        led_to = rehearsal.followed()
    assert (shown.outcome, shown.follows.events, shown.applied) == ("released", 1, 1)
    assert shown.follows.timers > 0
    assert "customer.note" in {step.event for step in led_to.happened}
    assert rows(world, "holds")[0].released_at is None
    assert rows(world, "inbox", source="shop")[0].verdict == "parked"


def test_what_several_holds_stop_together_follows_when_they_go_together(world: World) -> None:
    customer = world.invite()
    hold(world, customer)
    hold(world, mail_only=True)
    world.clock.move_to(world.clock.now() + 40 * DAY)
    shown = holds.release_all(world.installation, None, reason="look")
    assert (len(shown.holds), shown.follows.timers > 0, shown.follows.mails > 0) == (2, True, True)


def test_a_hold_ends_by_itself_on_its_day(world: World) -> None:
    customer = world.invite()
    hold(world, customer, until=date(2024, 3, 5))
    post(world, "1", "customer.note", f"customers/{customer}", text="hello")
    ends_at = datetime(2024, 3, 4, 23, tzinfo=UTC)
    assert holds.tick_holds(world.installation).next_at == ends_at
    world.clock.move_to(ends_at)
    ticked = holds.tick_holds(world.installation)
    assert (ticked.done, ticked.next_at) == (1, None)
    assert rows(world, "inbox", source="shop")[0].verdict == "applied"
    (row,) = rows(world, "holds")
    assert (row.released_at, row.released_by) == (ends_at, "clock")


def test_every_hold_and_every_release_is_in_the_audit(world: World) -> None:
    ident = hold(world, world.invite(), "ada")
    release(world, ident)
    assert [(row.act, row.actor_kind, row.actor, row.target, row.reason) for row in acts(world)] == [
        ("hold.make", "staff", "ada@north.example", ident, "a complaint"),
        ("hold.release", "staff", "operator", ident, "settled"),
    ]


def test_what_has_gone_cannot_be_released_and_what_nobody_made_is_not_found(world: World) -> None:
    ident = hold(world, world.invite())
    release(world, ident)
    with pytest.raises(Conflict):
        release(world, ident)
    with pytest.raises(NotFound):
        release(world, "H-0000-0000")
    with pytest.raises(BadInput):
        hold(world, reason="  ")
    with pytest.raises(BadInput):
        hold(world, until=date(2024, 3, 1))


def test_only_operators_and_admins_hold_and_only_their_own(world: World) -> None:
    customer = world.invite()
    for name in ("bob", "sam", "vic"):
        made = holds.hold_customer(world.installation, world.who(name), customer, mail_only=True, reason="no")
        assert made.outcome == "refused"
    with rehearsing(world.installation) as rehearsal:
        alone = holds.hold_everything(rehearsal.installation, world.who("ada"), mail_only=True, reason="alone")
    assert alone.outcome == "made"
    resellers.add_reseller(world.installation, key="south", name="South")
    both = holds.hold_everything(world.installation, world.who("ada"), mail_only=True, reason="no")
    assert both.refused is not None
    ident = hold(world, customer)
    stranger = replace(world.who("ada"), tenant=2, key="south")
    assert holds.list_holds(world.installation, stranger) == ()
    with pytest.raises(NotFound):
        holds.release_hold(world.installation, stranger, ident, reason="not mine")
    assert len(holds.list_holds(world.installation, world.who("ada"))) == 1


def test_what_a_hold_of_everything_counted_is_not_told_to_one_of_several_resellers(world: World) -> None:
    told = {"by_reseller": {"north": 1, "south": 200}}
    row = holds.new_hold(Scope(None), "backlog", "201 mails", told, "clock", world.clock.now())
    with world.installation.database.write() as connection:
        holds.put_in_force(connection, row, CLOCK, world.clock.now())
    (alone,) = holds.list_holds(world.installation, world.who("ada"))
    assert alone.details == told
    resellers.add_reseller(world.installation, key="south", name="South")
    (mine,) = holds.list_holds(world.installation, world.who("ada"))
    assert mine.details is None
    (operators,) = holds.list_holds(world.installation, None)
    assert operators.details == told


# --- races ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_events_posted_while_holds_come_and_go_are_neither_lost_nor_stuck(
    database_url: str, world: World, seed: int
) -> None:
    ours = world.installation
    customers_ = [world.invite(name) for name in ("Élan Vert", "Bleu Nuit", "Rouge Vif")]
    database = open_database(database_url, durability="off", patience=5)
    other = replace(ours, database=database, engine=type(ours.engine)(database, ours.workflows, ours.trade, ours.clock))
    theirs = World(other, world.clock)
    start, faults = threading.Barrier(2), []

    def posting() -> None:
        try:
            start.wait()
            for n in range(40):
                post(theirs, f"{seed}-{n}", "customer.note", f"customers/{customers_[n % 3]}", text=f"{n}")
        except Exception as fault:
            faults.append(fault)

    thread = threading.Thread(target=posting)
    thread.start()
    start.wait()
    for n in range(6):
        ident = hold(world, None if n % 2 else customers_[n % 3])
        release(world, ident)
    thread.join()
    assert faults == []
    holds.tick_holds(ours)
    with ours.database.read() as connection:
        waiting = connection.execute(
            select(func.count()).select_from(tables.inbox).where(tables.inbox.c.verdict != "applied")
        ).scalar_one()
    assert waiting == 0
    noted = [row for row in rows(world, "history") if row.source == "shop"]
    assert len(noted) == 40
    assert is_sound(world)
    database.dispose()
