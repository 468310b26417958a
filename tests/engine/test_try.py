import pytest
from datetime import timedelta
from tests.engine.worlds import *
from vipflow.store import tables
def test_guarded_timer(world):
    m = world.member("Ann"); r = world.rental(m)
    world.advance_to("2025-02-18")
    world.applied("rental.promise", f"rentals/{r}", {"until": "2025-12-01"})
    world.advance_to("2025-02-28")
    print(world.incidents(), world.steps(r), world.timers(r))
def test_again(world):
    m = world.member("Ann"); r = world.rental(m)
    world.advance_to("2025-01-25")
    assert world.state(r) == "overdue"
    # give back, then 'take_again' unguarded way is only when not late -> use event time before due
    world.applied("rental.give_back", f"rentals/{r}")
    world.applied("rental.take_again", f"rentals/{r}", time="2025-01-19 12:00")
    assert world.state(r) == "out"
    world.advance_to("2025-01-28")
    print(world.steps(r))
def test_circle(world):
    m = world.member("Ann"); r = world.rental(m, tool="cursed")
    world.move_to("2025-01-17 09:00")
    world.applied("rental.extend", f"rentals/{r}", {"days": 30})
    print([tuple(x) for x in world.rows("timers", case_ref=r)])
    world.advance_to("2025-01-18")
    print([tuple(x) for x in world.rows("timers", case_ref=r)])
def test_pins(world):
    m = world.member("Ann")
    world.advance_to("2025-07-02")
    k = world.rows("cases", workflow="card")[0].ref
    print(world.timers(k))
    world.applied("card.refresh", f"cards/{k}")
    print(world.timers(k))
    assert any("remind" in n for n in world.timers(k))
def test_poison_sweep(world):
    m = world.member("Ann"); r = world.rental(m)
    m2 = world.member("Bea"); r2 = world.rental(m2)
    row=world.row("history", event="rent", case_ref=r)._asdict(); del row["position"]
    world.put("history", **{**row, "sequence": 1000, "cause": f"timer:{r}/remind due_on-3d,-1d/2025-01-16T23:00:00.000000Z"})
    world.advance_to("2025-02-01")
    print(world.state(r), world.state(r2))
def test_poison_facts_sweep(world):
    m = world.member("Ann"); r = world.rental(m)
    m2 = world.member("Bea"); r2 = world.rental(m2)
    with world.database.write() as c: c.execute(tables.cases.update().where(tables.cases.c.ref==r).values(facts="{}"))
    world.advance_to("2025-02-01")
    print(world.state(r), world.state(r2))
def test_circle_new_subject(world):
    pass
