"""Whatever happens, in whatever order: nothing raises, the books balance, and every mail can be written."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflows.world import ALL_APPS, CC_ENTERPRISE, PHOTOSHOP, World, lines
from vipflow.case import Case, Decision
from vipflow.delivery.render import Templates
from vipflow.vip.records import quantities_of, together

TEMPLATES = Templates([Path(__file__).parents[2] / "email_templates"])
SOME = lines((PHOTOSHOP, 3), (ALL_APPS, 2))
MOVES: list[tuple[str, Any]] = [
    ("customer.note", {"text": "."}),
    ("customer.record_number", {"vip_number": "A1"}),
    ("invitation.accept", {}),
    ("invitation.withdraw", {}),
    ("invitation.resend", {}),
    ("purchase_authorization.create", {"lines": SOME}),
    ("purchase_authorization.create", {"lines": lines((PHOTOSHOP, 1))}),
    ("purchase_authorization.add", {"lines": lines((ALL_APPS, 4))}),
    ("purchase_authorization.cancel", {}),
    ("purchase_authorization.pay", {}),
    ("purchase_authorization.reverse_payment", {}),
    ("purchase_authorization.customer_paid", {}),
    ("purchase_authorization.deactivate", {}),
    ("purchase_authorization.restore", {}),
    ("purchase_authorization.write_off", {}),
    ("purchase_authorization.remind", {}),
    ("order.place", "authorizations"),
    ("order.place", {"kind": "renewal"}),
    ("order.place", {"kind": "renewal", "lines": lines((PHOTOSHOP, 1))}),
    ("order.place", {"kind": "direct", "lines": lines((CC_ENTERPRISE, 2))}),
    ("order.accept", {}),
    ("order.refuse", {}),
    ("membership.renew", {}),
    ("membership.renew", {"lines": lines((PHOTOSHOP, 1))}),
    ("membership.decline_renewal", {}),
    ("membership.remind", {}),
    ("return_request.open", "order"),
    ("return_request.open", "authorization"),
    ("return_request.approve", {}),
    ("return_request.refuse", {}),
]
DAYS = [0, 0, 1, 3, 14, 16, 30, 61, 200, 300, 366]


@settings(max_examples=200)
@given(
    policy=st.sampled_from(["vip-2019", "vip-2024", "vip-marketplace"]),
    overrides=st.sampled_from([{}, {"deactivation_after_due_days": None}]),
    moves=st.lists(
        st.tuples(st.sampled_from(MOVES), st.integers(0, 7), st.sampled_from(DAYS), st.sampled_from([0, 0, 0, 5, 40])),
        max_size=25,
    ),
)
def test_nothing_raises_and_the_books_balance(policy, overrides, moves):
    world = World(policy=policy, start="2024-01-10", overrides=overrides)
    world.invite()
    for (type_, data), which, days, earlier in moves:
        world.pass_days(days)
        workflow = type_.partition(".")[0]
        everything = {**world.settled, **world.here.cases}
        refs = sorted(ref for ref, case in everything.items() if case.workflow == workflow)
        case = None
        if type_ in ("order.place", "return_request.open") and isinstance(data, str):
            wanted = "purchase_authorization" if data.startswith("authorization") else "order"
            named = sorted(ref for ref, each in everything.items() if each.workflow == wanted)
            if not named:
                continue
            ref = named[which % len(named)]
            asked: Any = {data: [ref] if type_ == "order.place" else ref}
        else:
            asked = data
        if isinstance(data, dict) and world.workflows[workflow].openings.get(type_.partition(".")[2]) is None:
            if not refs:
                continue
            case = refs[which % len(refs)]
        at = world.now - timedelta(days=earlier)
        outcome = world.send(type_, asked, case, at=at, reason="because")
        if isinstance(outcome, Decision):
            assert [step.sequence for step in world.steps] == list(range(1, len(world.steps) + 1))
        _balance(world)
    for message in world.messages:
        if (message.ladder or "").startswith("renewal"):
            said = message.context.get("remaining") or message.context.get("licences") or message.context.get("renewed")
            assert said, (message.template, message.context)
        for language in ("fr", "en"):
            assert "None" not in TEMPLATES.render(message.template, language, message.context, world.zone).text


def _balance(world: World) -> None:
    """Nothing is negative, nothing due is left, and in the first term licences are what was paid and not returned."""
    everything = {**world.settled, **world.here.cases}
    for case in everything.values():
        for name in ("lines", "licences", "renewed", "lapsed", "taken_for_renewed"):
            held = getattr(case.facts, name, ())
            assert all(line.quantity > 0 for line in held), (case.ref, name, held)
            assert held == together(held)
        assert not case.timers or min(timer.due_at for timer in case.timers) > world.now
    summary = world.summary
    if summary["invitation_state"] != "withdrawn":
        assert summary["in_pending"] is (summary["pending_count"] > 0)
    assert not (summary["in_no_products"] and summary["licence_count"])
    if {"close_window", "start_term", "renew"}.isdisjoint(world.events("membership")):
        paid = [c.facts.lines for c in everything.values() if c.state == "paid"]
        direct = [c.facts.lines for c in everything.values() if c.state == "accepted" and _is_direct(c)]
        assert quantities_of(together(*paid, *direct)) == quantities_of(world.facts("membership").licences)


def _is_direct(case: Case) -> bool:
    return case.workflow == "order" and case.facts.kind == "direct"
