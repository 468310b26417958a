"""How many statements a batch costs: as many for a thousand events as for ten."""

import re
from collections import Counter

import pytest

from tests.engine.worlds import Statements, World, counted_statements
from vipflow.engine.envelope import Envelope

PER_POST = 30
"""An upper bound for any post, whatever is in it; the test that fails prints them."""
PER_SWEEP = 20

BLOCK = 10


def test_a_post_of_a_thousand_mixed_events_costs_as_many_statements_as_one_of_ten(world: World) -> None:
    world.member("Warm", rents="saw")  # the policy is kept once in the life of a database
    counts: dict[int, Statements] = {}
    for size in (1, BLOCK, 100 * BLOCK):
        events = _mixed(world, blocks=max(1, size // BLOCK), tag=f"s{size}")[:size]
        with counted_statements(world.database) as counted:
            verdicts = world.post_all(events)
        counts[size] = counted
        if size > 1:
            kinds = Counter(v.verdict for v in verdicts)
            blocks = size // BLOCK
            assert kinds == {"applied": 6 * blocks, "refused": 2 * blocks, "parked": blocks, "stale": blocks}
            assert sum(v.replayed for v in verdicts) == blocks
    assert len(counts[1]) <= len(counts[10])
    assert _kinds(counts[10]) == _kinds(counts[1000])
    assert len(counts[10]) <= PER_POST, "\n".join(counts[10].texts)


@pytest.mark.parametrize("what", ["a move with mails", "a timer that raises"])
def test_a_sweep_of_a_thousand_subjects_costs_as_many_statements_as_one_of_ten(world: World, what: str) -> None:
    tool = "cursed" if what == "a timer that raises" else "saw"
    world.member("Warm")
    counts: dict[int, Statements] = {}
    for month, size in enumerate([1, 10, 1000], start=2):
        due = f"2025-{month:02}-10"
        _adopt(world, size, due, tool)
        world.advance_to(f"2025-{month:02}-06")
        world.move_to(f"2025-{month:02}-07 06:00")
        with counted_statements(world.database) as counted:
            report = world.engine.sweep(most=size)
        assert (report.subjects, report.transitions + report.faults) == (size, size)
        counts[size] = counted
        with world.database.write() as connection:  # the next round starts from nothing
            for table in ("timers", "messages"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
    assert _kinds(counts[1]) == _kinds(counts[10]) == _kinds(counts[1000])
    assert len(counts[10]) <= PER_SWEEP, "\n".join(counts[10].texts)


def test_a_refused_event_and_a_replay_cost_only_reading_and_the_verdict(world: World) -> None:
    ann = world.member()
    event = world.event("member.rename", f"members/{ann}", {"name": "ANN"})
    with counted_statements(world.database) as first:
        assert world.post_all([event])[0].verdict == "refused"
    assert [text for text in _writing(first) if "inbox" not in text] == []
    with counted_statements(world.database) as second:
        assert world.post_all([event])[0].replayed
    assert _writing(second) == []


def test_a_subject_with_a_long_past_costs_no_more_than_a_young_one(world: World) -> None:
    young, old = world.member("Young"), world.member("Old")
    for n in range(30):
        rentals = world.applied("rental.rent", f"members/{old}", {"tool": "saw", "ticket": f"T{n}"}).case
        world.applied("rental.give_back", f"rentals/{rentals}")
    counts = []
    for ref in (young, old):
        event = world.event("member.rename", f"members/{ref}", {"name": "New"})
        with counted_statements(world.database) as counted:
            assert world.post_all([event])[0].verdict == "applied"
        counts.append(_kinds(counted))
    assert counts[0] == counts[1]
    assert world.row("subjects", ref=old).tally == '{"rental.back":30}'


def test_many_events_of_one_subject_that_each_need_another_settled_case_cost_no_more_than_a_few(world: World) -> None:
    ann = world.member()
    counts = []
    for size in (3, 30):
        tickets = [f"T{size}-{n}" for n in range(size)]
        who = f"members/{ann}"
        for type, data in (("rental.rent", {"tool": "saw"}), ("rental.give_back", {"damages": [1]})):
            world.post_all([world.event(type, f"{who}/rentals/{ticket}", data) for ticket in tickets])
        payments = [
            world.event("bill.pay", f"bills/{row.ref}") for row in world.rows("cases", workflow="bill", state="owed")
        ]
        assert len(payments) == size
        with counted_statements(world.database) as counted:
            assert {v.verdict for v in world.post_all(payments)} == {"applied"}
        counts.append(len(counted))
    assert counts[0] == counts[1]


# --- the mixture ---------------------------------------------------------------------------------------------------


def _mixed(world: World, blocks: int, tag: str) -> list[Envelope]:
    """Blocks of ten events, each with all that may become of an event; the cases that they are about are made first."""
    before: list[Envelope] = []
    for n in range(blocks):
        who = f"members/{tag}-{n}"
        before += [
            world.event("member.join", who, {"name": f"{tag} {n}", "email": f"{tag}{n}@x.org"}),
            *(world.event("rental.rent", who, {"tool": "saw", "ticket": f"{tag}-{n}-{k}"}) for k in range(3)),
        ]
    assert all(v.verdict == "applied" for v in world.post_all(before))
    world.post_all(
        [
            each
            for n in range(blocks)
            for each in (
                world.event("rental.give_back", f"members/{tag}-{n}/rentals/{tag}-{n}-0", {}),
                world.event(
                    "bill.charge", f"members/{tag}-{n}/bills/{tag}-{n}-b", {"rental": f"{tag}-{n}-0", "amount": 3}
                ),
                world.event(
                    "bill.charge", f"members/{tag}-{n}/bills/{tag}-{n}-p", {"rental": f"{tag}-{n}-0", "amount": 3}
                ),
                world.event("bill.pay", f"members/{tag}-{n}/bills/{tag}-{n}-p"),
                world.event("member.rename", f"members/{tag}-{n}-new", {"name": f"Woken {n}"}),
            )
        ]
    )
    return [each for n in range(blocks) for each in _block(world, f"{tag}-{n}")]


def _block(world: World, tag: str) -> list[Envelope]:
    who = f"members/{tag}"
    extend = world.event("rental.extend", f"{who}/rentals/{tag}-1", {"days": 7})
    return [
        world.event("member.join", f"{who}-new", {"name": tag, "rents": "axe"}),  # opens three, and wakes what waits
        extend,
        extend,  # a duplicate
        world.event("rental.cancel", f"{who}/rentals/{tag}-0"),  # refused: it was given back
        world.event("member.rename", f"members/{tag}-nobody", {"name": "X"}),  # parked
        world.event("rental.give_back", f"{who}/rentals/{tag}-2", {"damages": [1, 2]}),  # opens two bills
        world.event("bill.pay", f"{who}/bills/{tag}-b"),  # needs a settled rental
        world.event("bill.pay", f"{who}/bills/{tag}-p"),  # stale
        world.event("member.rename", who, {"name": "SHOUTING"}),  # refused
        world.event("bill.charge", who, {"rental": f"{tag}-0", "amount": 9}),  # asks for a settled rental in its guard
    ]


def _adopt(world: World, size: int, due_on: str, tool: str) -> None:
    data = {"card_until": "2026-01-01", "email": "a@x.org", "rentals": [{"tool": tool, "due_on": due_on}]}
    world.post_all([world.event("member.adopt", data={"name": f"N{n}"} | data) for n in range(size)])


def _kinds(counted: Statements) -> Counter[str]:
    """Statements by their first words: the same kinds, the same number of times."""
    return Counter(re.sub(r"\s+", " ", text)[:90] for text in counted.texts)


def _writing(counted: Statements) -> list[str]:
    return [text for text in counted.texts if text.startswith(("INSERT", "UPDATE", "DELETE"))]
