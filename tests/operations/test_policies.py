"""Changing the numbers: whom it concerns is told, running cases follow only when they are let, and exactly then."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from tests.engine.worlds import counted_statements
from tests.operations.conftest import World
from vipflow.engine.verify import verify
from vipflow.errors import BadInput, NotFound, PolicyError
from vipflow.operations import authorizations, policies, resellers
from vipflow.operations.policy_changes import Applied, PolicyDiff, apply_policies, count_concerned, diff_policies
from vipflow.operations.repinning import Selection, WhatIf
from vipflow.operations.rows import facts_of
from vipflow.store import tables

ALL = Selection()
NOTHING_ELSE = WhatIf()


def diff(world: World, selection: Selection = ALL, what_if: WhatIf = NOTHING_ELSE, **more: Any) -> PolicyDiff:
    return diff_policies(world.installation, world.who("ada"), selection, what_if, **more)


def applied(world: World, selection: Selection = ALL, **more: Any) -> Applied:
    return apply_policies(world.installation, world.who("ada"), "as Adobe wrote on 2 March", selection, **more)


def set_numbers(world: World, **numbers: Any) -> None:
    changed = policies.set_for_reseller(world.installation, world.who("ada"), numbers)
    assert changed.refused is None


def of_customer(world: World, customer: str, **numbers: Any) -> None:
    done = policies.set_for_customer(world.installation, world.who("ada"), customer, numbers)
    assert done.outcome == "applied", done.verdict


def rows(world: World, table: str, **where: Any) -> list[Any]:
    found = tables.metadata.tables[table]
    wanted = [found.c[name] == value for name, value in where.items()]
    with world.installation.database.read() as connection:
        return list(connection.execute(select(found).where(*wanted).order_by(*found.primary_key.columns)).all())


def timers(world: World, ref: str) -> dict[str, str]:
    return {row.name: f"{row.due_at:%Y-%m-%d}" for row in rows(world, "timers", case_ref=ref)}


def authorization(world: World, ref: str) -> Any:
    """Its state and facts."""
    (row,) = rows(world, "cases", ref=ref)
    facts = facts_of(world.installation, row)
    return SimpleNamespace(**msgspec.structs.asdict(facts), state=row.state)


def assert_sound(world: World) -> None:
    here = world.installation
    now = world.clock.now()
    report = verify(here.database, here.workflows, here.trade, now=now, idle_at=now)
    assert [(f.invariant, f.record, f.problem) for f in report.findings] == []


def everything(world: World) -> dict[str, list[Any]]:
    return {name: rows(world, name) for name in tables.metadata.tables}


# --- nothing by itself ---------------------------------------------------------------------------------------------


def test_a_changed_number_tells_how_many_running_cases_it_concerns_and_touches_none(world: World) -> None:
    ref = world.authorize(world.invite())
    before = rows(world, "cases")
    set_numbers(world, order_due_days=10)
    assert rows(world, "cases") == before
    assert timers(world, ref)["fall_due due_on+1d"] == "2024-03-15"
    concerned = count_concerned(world.installation, world.who("ada"))
    assert {each.workflow: each.cases for each in concerned} == {
        "customer": 1,
        "invitation": 1,
        "purchase_authorization": 1,
        "membership": 1,
    }
    later = world.authorize(world.invite("Blé Noir"))
    assert timers(world, later)["fall_due due_on+1d"] == "2024-03-11"


def test_where_all_have_the_numbers_in_force_there_is_no_difference(world: World) -> None:
    world.authorize(world.invite())
    found = diff(world)
    assert (found.cases, found.customers, found.numbers, found.deadlines) == (0, 0, [], [])
    assert count_concerned(world.installation, world.who("ada")) == ()
    assert applied(world) == Applied(0, 0, [])


# --- what would move -----------------------------------------------------------------------------------------------


def test_the_difference_says_which_numbers_and_which_deadlines_of_how_many(world: World) -> None:
    refs = [world.authorize(world.invite(name)) for name in ("Élan", "Blé Noir", "Cidre")]
    set_numbers(world, order_due_days=10, deactivation_after_due_days=20)
    found = diff(world)
    assert found.customers == 3
    assert {(n.name, n.pinned, n.wanted, n.cases) for n in found.numbers} == {
        ("order_due_days", 14, 10, 12),
        ("deactivation_after_due_days", 16, 20, 12),
    }
    assert {each.workflow: (each.cases, each.moving) for each in found.concerned} == {
        "customer": (3, 0),
        "invitation": (3, 0),
        "purchase_authorization": (3, 3),
        "membership": (3, 0),
    }
    moved = {each.event: (each.earlier, each.later, each.at_once) for each in found.deadlines}
    assert moved == {
        "purchase_authorization.fall_due": (3, 0, 0),
        "purchase_authorization.remind": (3, 0, 0),
    }
    assert (found.at_once, found.mails, found.left) == ([], [], [])
    assert {row.case_ref for row in rows(world, "timers", workflow="purchase_authorization")} == set(refs)


def test_what_would_be_due_at_once_is_told_with_its_mails_and_so_it_happens(world: World) -> None:
    ref = world.authorize(world.invite())
    world.pass_days(11)
    set_numbers(world, order_due_days=7)
    found = diff(world)
    events = {each.event: each.cases for each in found.at_once}
    assert events == {"purchase_authorization.fall_due": 1, "purchase_authorization.remind_to_order": 1}
    assert [each.at_once for each in found.deadlines if each.event == "purchase_authorization.fall_due"] == [1]
    foretold = {(each.template, each.audience): each.mails for each in found.mails}
    assert foretold == {
        ("payment_overdue", "contact"): 1,
        ("authorization_late", "account_manager"): 1,
        ("order_to_place", "account_manager"): 1,
    }
    known = {row.key for row in rows(world, "messages")}
    assert applied(world).amended == 4
    world.installation.engine.sweep()
    written = [row for row in rows(world, "messages") if row.key not in known]
    assert {(row.template, row.audience) for row in written} == set(foretold)
    assert authorization(world, ref).state == "late"
    assert_sound(world)


def test_a_deadline_that_lies_ahead_again_leads_back_and_is_told_before(world: World) -> None:
    ref = world.authorize(world.invite())
    world.pass_days(16)
    assert authorization(world, ref).state == "late"
    set_numbers(world, order_due_days=30, deactivation_after_due_days=31)
    assert [(each.label.en, each.cases) for each in diff(world).led_back] == [("pending", 1)]
    applied(world)
    row = authorization(world, ref)
    assert (row.state, row.due_on, row.suspended_from) == ("pending", date(2024, 3, 31), date(2024, 5, 1))
    assert_sound(world)
    world.pass_days(15)
    assert authorization(world, ref).state == "late"
    assert_sound(world)


def test_a_day_that_adobe_granted_stands_and_what_hangs_on_it_follows(world: World) -> None:
    ref = world.authorize(world.invite())
    done = authorizations.grant_extension(world.installation, world.who("sam"), ref, date(2024, 4, 20))
    assert done.outcome == "applied", done.verdict
    set_numbers(world, order_due_days=10, deactivation_after_due_days=20)
    applied(world)
    row = authorization(world, ref)
    assert (row.due_on, row.suspended_from) == (date(2024, 4, 20), date(2024, 5, 10))
    assert_sound(world)


def test_a_reseller_that_changes_its_policy_may_let_all_follow(world: World) -> None:
    ref = world.authorize(world.invite())
    resellers.change_reseller(world.installation, world.who("ada"), policy="vip-marketplace")
    applied(world)
    row = authorization(world, ref)
    assert (row.due_on, row.suspended_from) == (None, None)
    assert row.expires_at is not None
    assert_sound(world)
    world.pass_days(8)
    assert authorization(world, ref).state == "expired"
    assert_sound(world)


def test_an_invitation_and_a_renewal_follow_too(world: World) -> None:
    customer = world.invite()
    world.accept(world.order(world.authorize(customer)))
    set_numbers(world, invitation_life_days=3, window_opens_before_days=45)
    (membership,) = rows(world, "cases", workflow="membership")
    before = timers(world, membership.ref)
    world.pass_days(5)
    found = diff(world)
    assert ("invitation.expire", 1) in {(each.event, each.cases) for each in found.at_once}
    applied(world)
    world.installation.engine.sweep()
    assert rows(world, "cases", workflow="invitation")[0].state == "expired"
    after = timers(world, membership.ref)
    assert before["come_up comes_up"] > after["come_up comes_up"]
    policies.set_for_reseller(world.installation, world.who("ada"), {}, ["invitation_life_days"])
    applied(world)
    assert rows(world, "cases", workflow="invitation")[0].state == "sent"
    assert_sound(world)


def test_there_and_back_again_leaves_everything_as_it_was(world: World) -> None:
    customer = world.invite()
    world.accept(world.order(world.authorize(customer)))
    world.authorize(customer)
    world.pass_days(4)
    before = [(row.ref, row.state, row.since, row.facts, row.policy) for row in rows(world, "cases")]
    armed = [(row.case_ref, row.name, row.due_at) for row in rows(world, "timers")]
    set_numbers(world, order_due_days=20, window_opens_before_days=45, invitation_reminder_days=[9, 30])
    applied(world)
    assert [(row.case_ref, row.name, row.due_at) for row in rows(world, "timers")] != armed
    policies.set_for_reseller(
        world.installation,
        world.who("ada"),
        {},
        ["order_due_days", "window_opens_before_days", "invitation_reminder_days"],
    )
    applied(world)
    assert [(row.ref, row.state, row.since, row.facts, row.policy) for row in rows(world, "cases")] == before
    assert [(row.case_ref, row.name, row.due_at) for row in rows(world, "timers")] == armed
    assert_sound(world)


# --- following -----------------------------------------------------------------------------------------------------


def test_a_second_time_nothing_changes(world: World) -> None:
    world.authorize(world.invite())
    set_numbers(world, order_due_days=10)
    assert applied(world).amended == 4
    before = everything(world)
    assert applied(world) == Applied(0, 0, [])
    assert everything(world) == before
    assert diff(world).cases == 0


def test_stopped_half_way_it_goes_on_when_asked_again(world: World) -> None:
    for name in ("Élan", "Blé Noir", "Cidre"):
        world.authorize(world.invite(name))
    set_numbers(world, order_due_days=10)

    def enough(amended: int) -> None:
        if amended >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        applied(world, progress=enough, page=1)
    assert applied(world).amended == 8
    assert diff(world).cases == 0
    assert_sound(world)


def test_only_one_customer_or_one_workflow_follows_where_only_that_is_meant(world: World) -> None:
    elan, ble = world.invite("Élan"), world.invite("Blé Noir")
    mine, other = world.authorize(elan), world.authorize(ble)
    set_numbers(world, order_due_days=10)
    assert applied(world, Selection(customer=elan, workflow="purchase_authorization")).amended == 1
    assert authorization(world, mine).due_on == date(2024, 3, 11)
    assert authorization(world, other).due_on == date(2024, 3, 15)
    assert applied(world, Selection(customer=elan)).amended == 3
    assert applied(world).amended == 4
    assert_sound(world)


def test_what_is_paid_is_not_touched(world: World) -> None:
    ref = world.authorize(world.invite())
    world.accept(world.order(ref))
    before = rows(world, "cases", ref=ref)
    set_numbers(world, order_due_days=10)
    applied(world)
    assert rows(world, "cases", ref=ref) == before


def test_each_case_tells_who_let_it_follow_and_why_and_the_audit_too(world: World) -> None:
    ref = world.authorize(world.invite())
    set_numbers(world, order_due_days=10)
    applied(world)
    (row,) = rows(world, "history", event="amend", case_ref=ref)
    assert (row.actor, row.reason) == ("ada@north.example", "as Adobe wrote on 2 March")
    (act,) = rows(world, "audit", act="policy.apply")
    assert (act.target, act.actor, act.reason) == (
        "reseller/north",
        "ada@north.example",
        "as Adobe wrote on 2 March",
    )


def test_only_an_admin_lets_cases_follow_and_only_with_a_reason(world: World) -> None:
    world.authorize(world.invite())
    set_numbers(world, order_due_days=10)
    before = rows(world, "cases")
    refused = apply_policies(world.installation, world.who("bob"), "I like it")
    assert refused.refused is not None
    assert refused.refused.code == "not_allowed"
    with pytest.raises(BadInput, match="say why"):
        apply_policies(world.installation, world.who("ada"), "  ")
    assert rows(world, "cases") == before


# --- a customer's own numbers --------------------------------------------------------------------------------------


def test_a_customers_own_numbers_go_before_the_resellers_and_concern_it_alone(world: World) -> None:
    elan, ble = world.invite("Élan"), world.invite("Blé Noir")
    mine, other = world.authorize(elan), world.authorize(ble)
    of_customer(world, elan, order_due_days=21)
    concerned = count_concerned(world.installation, world.who("ada"))
    assert sum(each.cases for each in concerned) == 4
    set_numbers(world, order_due_days=10)
    applied(world)
    assert authorization(world, mine).due_on == date(2024, 3, 22)
    assert authorization(world, other).due_on == date(2024, 3, 11)
    assert_sound(world)


def test_own_numbers_that_do_not_fit_the_new_ones_leave_their_customer_as_it_is(world: World) -> None:
    elan, ble = world.invite("Élan"), world.invite("Blé Noir")
    mine, other = world.authorize(elan), world.authorize(ble)
    of_customer(world, elan, payment_reminder_days=12)
    set_numbers(world, order_due_days=10)
    found = diff(world)
    assert {each.customer for each in found.left} == {elan}
    assert "payment_reminder_days = 12 must be at most order_due_days = 10" in found.left[0].reason.says.en
    done = applied(world)
    assert (done.amended, done.left_in_all) == (4, 4)
    assert authorization(world, mine).due_on == date(2024, 3, 15)
    assert authorization(world, other).due_on == date(2024, 3, 11)
    assert_sound(world)


def test_numbers_taken_back_are_the_policys_again(world: World) -> None:
    elan = world.invite()
    of_customer(world, elan, order_due_days=21, return_days=20)
    done = policies.set_for_customer(world.installation, world.who("ada"), elan, {}, ["order_due_days"])
    assert done.outcome == "applied"
    shown = policies.show_in_force(world.installation, world.who("ada"), customer=elan)
    own = {each.name: each.value for each in shown.numbers if each.layer == "customer"}
    assert own == {"return_days": 20}
    with pytest.raises(BadInput, match="did you mean return_days"):
        policies.set_for_customer(world.installation, world.who("ada"), elan, {}, ["return_day"])


def test_numbers_that_cannot_hold_together_are_told_all_at_once(world: World) -> None:
    elan = world.invite()
    with pytest.raises(PolicyError) as wrong:
        policies.set_for_customer(world.installation, world.who("ada"), elan, {"order_due_day": 3, "return_days": "x"})
    assert "order_due_day is not a number of this policy (did you mean order_due_days?)" in wrong.value.problem
    assert "return_days" in wrong.value.problem
    with pytest.raises(PolicyError):
        policies.set_for_reseller(world.installation, world.who("ada"), {"authorization_expires_days": 7})


# --- what is not in force ------------------------------------------------------------------------------------------


def test_one_may_ask_what_other_numbers_would_do(world: World) -> None:
    world.authorize(world.invite())
    before = everything(world)
    found = diff(world, what_if=WhatIf(numbers={"order_due_days": 10}))
    assert found.what_if
    assert [(each.name, each.wanted) for each in found.numbers] == [("order_due_days", 10)]
    assert diff(world, what_if=WhatIf("vip-2019")).cases == 4
    assert diff(world).cases == 0
    assert everything(world) == before


def test_one_may_ask_what_a_file_would_do_before_it_is_in_its_folder(world: World, tmp_path: Path) -> None:
    world.authorize(world.invite())
    shipped = Path("vipflow/vip/policies/vip-2024.toml").read_text(encoding="utf-8")
    file = tmp_path / "edited.toml"
    file.write_text(shipped.replace("order_due_days = 14", "order_due_days = 12"), encoding="utf-8")
    found = diff(world, what_if=WhatIf(str(file)))
    assert [(each.name, each.pinned, each.wanted) for each in found.numbers] == [("order_due_days", 14, 12)]


@pytest.mark.parametrize(
    ("selection", "what_if", "fault", "says"),
    [
        (Selection(), WhatIf("vip-2023"), NotFound, "did you mean vip-20"),
        (Selection(), WhatIf("none.toml"), BadInput, "none.toml is not there"),
        (Selection(), WhatIf(numbers={"order_due_dais": 3}), PolicyError, "did you mean order_due_days"),
        (Selection(workflow="invitations"), WhatIf(), NotFound, "did you mean invitation"),
        (Selection(customer="C-0000-0000"), WhatIf(), NotFound, "C-0000-0000"),
    ],
)
def test_what_is_not_there_is_named(
    world: World, selection: Selection, what_if: WhatIf, fault: type[Exception], says: str
) -> None:
    with pytest.raises(fault, match=says):
        diff(world, selection, what_if)


def test_cases_are_listed_page_by_page(world: World) -> None:
    for name in ("Élan", "Blé Noir", "Cidre"):
        world.authorize(world.invite(name))
    set_numbers(world, order_due_days=10)
    seen: list[str] = []
    after = None
    while True:
        page = diff(world, Selection(workflow="purchase_authorization"), cases=2, after=after)
        seen += [each.case for each in page.entries]
        after = page.next
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 3
    one = page.entries[0]
    assert one.facts["due_on"] == ("2024-03-15", "2024-03-11")
    assert {timer.event for timer in one.timers} == {"fall_due", "remind"}


def test_its_statements_do_not_grow_with_the_cases(world: World) -> None:
    def counts() -> tuple[int, int, int]:
        with counted_statements(world.installation.database) as counted:
            count_concerned(world.installation, world.who("ada"))
        with counted_statements(world.installation.database) as looking:
            diff(world)
        with counted_statements(world.installation.database) as following:
            applied(world)
        return len(counted), len(looking), len(following)

    world.authorize(world.invite())
    set_numbers(world, order_due_days=10)
    few = counts()
    for number in range(12):
        world.authorize(world.invite(f"Company {number}"))
    set_numbers(world, order_due_days=11)
    assert counts() <= few


# --- whose numbers -------------------------------------------------------------------------------------------------


def test_every_number_says_where_it_comes_from_and_who_decided(world: World) -> None:
    elan = world.invite()
    set_numbers(world, order_due_days=10, return_days=20)
    of_customer(world, elan, return_days=30)
    shown = policies.show_in_force(world.installation, world.who("ada"), customer=elan)
    by_name = {each.name: each for each in shown.numbers}
    due, back = by_name["order_due_days"], by_name["return_days"]
    assert (due.value, due.source, due.layer, due.by) == (10, "yours", "reseller", "north")
    assert (back.value, back.layer, back.by) == (30, "customer", elan)
    assert by_name["window_opens_before_days"].source == "adobe"
    assert by_name["authorization_expires_days"].layer == "left out"
    assert "returned" in by_name["return_days"].says or "return" in by_name["return_days"].says
