"""Incidents settled: together by their cause, tried again or dismissed, and visible again when they happen again."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.operations.conftest import World
from tests.operations.test_holds import is_sound, post, rows
from vipflow.errors import BadInput, NotFound
from vipflow.operations import incidents
from vipflow.operations.ticks import tick_parked, tick_timers

HOUR = timedelta(hours=1)


def outcomes(settling: incidents.Settling) -> list[str]:
    assert settling.refused is None
    return [each.outcome for each in settling.settled]


def acts(world: World) -> list[Any]:
    """What the audit tells, but of how the reseller and its team were made."""
    return [row for row in rows(world, "audit") if not row.act.startswith(("reseller.", "team."))]


@pytest.fixture
def mangled(world: World) -> tuple[str, str]:
    """Two customers whose invitations cannot be read, so that their reminders failed five times."""
    found = (world.invite("Élan Vert"), world.invite("Bleu Nuit"))
    _set_facts(world, found, '{"invited_on":"never"}')
    for _ in range(8):
        world.clock.move_to(world.clock.now() + 30 * 24 * HOUR)
        tick_timers(world.installation)
    return found


def _set_facts(world: World, of: tuple[str, ...], facts: str, workflow: str = "invitation") -> None:
    with world.installation.database.write() as connection:
        for subject in of:
            connection.execute(
                text("UPDATE cases SET facts = :facts WHERE subject = :subject AND workflow = :workflow"),
                {"facts": facts, "subject": subject, "workflow": workflow},
            )


def test_what_failed_for_one_reason_is_one_group(world: World, mangled: tuple[str, str]) -> None:
    (group,) = incidents.incident_groups(world.installation, world.who("ada"))
    assert (group.kind, group.count) == ("quarantined", len(rows(world, "incidents")))
    assert group.count >= 2
    assert mangled[0] not in group.fault
    found, each = incidents.incident_group(world.installation, world.who("ada"), group.group.lower())
    assert found == group
    assert {incident.subject for incident in each.items} == set(mangled)
    first = incidents.incident_group(world.installation, world.who("ada"), group.group, most=1)[1]
    rest = incidents.incident_group(world.installation, world.who("ada"), group.group, after=first.next)[1]
    assert first.items + rest.items == each.items
    assert rest.next is None
    with pytest.raises(NotFound):
        incidents.incident_group(world.installation, world.who("ada"), "G-0000-0000")


def test_a_timer_that_was_given_up_is_tried_again_and_goes_well_once_the_cause_is_mended(
    world: World, mangled: tuple[str, str]
) -> None:
    (group,) = incidents.incident_groups(world.installation, world.who("ada"))
    whole = {row.subject: row.facts for row in rows(world, "cases", workflow="invitation")}
    assert set(whole.values()) == {'{"invited_on":"never"}'}
    from_history = {
        row.subject: json.loads(row.facts_after)
        for row in rows(world, "history", workflow="invitation")
        if row.from_state is None
    }
    for subject, facts in from_history.items():
        _set_facts(world, (subject,), json.dumps(facts))
    done = incidents.retry_incidents(
        world.installation, world.who("ada"), group=group.group, reason="the facts are mended"
    )
    assert outcomes(done) == ["retried"] * group.count
    ticked = tick_timers(world.installation)
    assert (ticked.done >= 2, ticked.faults) == (True, 0)
    assert incidents.incident_groups(world.installation, world.who("ada")) == ()
    closed = rows(world, "incidents")
    assert {(row.outcome, row.closed_by, row.remark) for row in closed} == {
        ("retried", "ada@north.example", "the facts are mended")
    }
    assert [row.act for row in acts(world)] == ["incident.retry"] * group.count


def test_what_fails_again_after_it_was_retried_is_open_again(world: World, mangled: tuple[str, str]) -> None:
    (group,) = incidents.incident_groups(world.installation, world.who("ada"))
    incidents.retry_incidents(world.installation, world.who("ada"), group=group.group)
    assert incidents.incident_groups(world.installation, world.who("ada")) == ()
    for _ in range(8):
        tick_timers(world.installation)
        world.clock.move_to(world.clock.now() + 30 * 24 * HOUR)
    (again,) = incidents.incident_groups(world.installation, world.who("ada"))
    assert (again.group, again.count) == (group.group, group.count)
    assert again.first_at > group.last_at


def test_an_event_that_waited_too_long_is_tried_again_and_stays_open_while_it_waits(world: World) -> None:
    post(world, "1", "customer.note", "customers/nobody", text="hello")
    world.clock.move_to(world.clock.now() + 80 * HOUR)
    tick_parked(world.installation)
    (row,) = rows(world, "incidents")
    done = incidents.retry_incidents(world.installation, world.who("ada"), row.id)
    assert outcomes(done) == ["still_waiting"]
    assert rows(world, "incidents")[0].closed_at is None


def test_an_event_that_was_quarantined_is_applied_again_once_the_cause_is_mended(world: World) -> None:
    customer = world.invite()
    whole = next(row.facts for row in rows(world, "cases", ref=customer))
    _set_facts(world, (customer,), '{"company":1}', "customer")
    assert post(world, "a/1", "customer.note", f"customers/{customer}", text="hello").verdict == "quarantined"
    (row,) = rows(world, "incidents")
    assert outcomes(incidents.retry_incidents(world.installation, world.who("ada"), row.id)) == ["retried"]
    (again,) = rows(world, "incidents")
    assert (again.id, again.closed_at) == (row.id, None)  # it failed again
    assert rows(world, "inbox", source="shop")[0].verdict == "quarantined"
    _set_facts(world, (customer,), whole, "customer")
    done = incidents.retry_incidents(world.installation, world.who("ada"), row.id, reason="the facts are mended")
    assert outcomes(done) == ["retried"]
    assert rows(world, "inbox", source="shop")[0].verdict == "applied"
    assert rows(world, "incidents")[0].outcome == "retried"
    assert is_sound(world)


def test_a_mail_that_was_held_waits_again(world: World) -> None:
    world.invite()
    mail = rows(world, "messages")[0]
    with world.installation.database.write() as connection:
        connection.execute(text("UPDATE messages SET state = 'held' WHERE key = :key"), {"key": mail.key})
        connection.execute(
            text(
                "INSERT INTO incidents (tenant, id, subject, kind, cause, says, opened_at, fault) VALUES "
                "(1, 'N-0000-0001', :subject, 'mail_held', :cause, :says, :at, 'mail_held: x')"
            ),
            {
                "subject": mail.subject,
                "cause": f"message:{mail.key}/held",
                "says": '{"event":"message.x","fr":"x","en":"x"}',
                "at": "2024-03-01T09:00:00.000000Z",
            },
        )
    done = incidents.retry_incidents(world.installation, world.who("ada"), "n-0000-0001")
    assert outcomes(done) == ["retried"]
    assert next(row.state for row in rows(world, "messages") if row.key == mail.key) == "waiting"
    assert [(row.act, row.target) for row in acts(world)] == [
        ("incident.retry", "N-0000-0001"),
        ("mail.retry", mail.key),
    ]
    assert outcomes(incidents.retry_incidents(world.installation, world.who("ada"), "N-0000-0001")) == [
        "closed_already"
    ]


def test_where_nothing_can_be_tried_again_it_says_what_helps_and_is_dismissed(world: World) -> None:
    customer = world.invite()
    sale = world.authorize(customer)
    world.clock.move_to(world.clock.now() + 24 * HOUR)
    paid_at = world.clock.now()
    post(world, "1", "purchase_authorization.pay", f"authorizations/{sale}", paid_at)
    post(world, "2", "purchase_authorization.deactivate", f"authorizations/{sale}", paid_at)
    (row,) = rows(world, "incidents")
    done = incidents.retry_incidents(world.installation, world.who("ada"), row.id)
    assert outcomes(done) == ["nothing_to_retry"]
    assert "dismiss" in done.settled[0].says
    assert rows(world, "incidents")[0].closed_at is None
    gone = incidents.dismiss_incidents(world.installation, world.who("ada"), row.id, reason="they were mistaken")
    assert outcomes(gone) == ["dismissed"]
    (closed,) = rows(world, "incidents")
    assert (closed.outcome, closed.closed_by, closed.remark) == ("dismissed", "ada@north.example", "they were mistaken")
    assert [row.act for row in acts(world)] == ["incident.dismiss"]


def test_only_operators_and_admins_settle(world: World) -> None:
    assert incidents.dismiss_incidents(world.installation, world.who("bob"), "N-0000-0000", reason="no").refused
    with pytest.raises(NotFound):
        incidents.dismiss_incidents(world.installation, world.who("ada"), "N-0000-0000", reason="no")
    with pytest.raises(BadInput):
        incidents.retry_incidents(world.installation, world.who("ada"))
