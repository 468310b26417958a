"""After a silence: events before timers, timers before mails, and no storm."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from tests.operations.conftest import START, World, shipped_files
from tests.operations.test_holds import acts, is_sound, lived, post, rows
from vipflow.clock import StillClock
from vipflow.delivery.outbox import Delivery
from vipflow.delivery.transport import FileTransport
from vipflow.operations import catchup, resellers, team
from vipflow.operations.installation import with_database
from vipflow.operations.ticks import tick_delivery, tick_parked, tick_timers
from vipflow.operations.who import who_asks
from vipflow.store.database import open_database
from vipflow.store.schema import create_all
from vipflow.workflow import Reason

SENDER = '{"sender": "licences@north.example"}'
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def world(world: World, tmp_path: Path) -> World:
    """The reseller with its team; a daemon writes into a folder of the test, and five late mails are a backlog."""
    settings = world.installation.settings
    daemon = settings.daemon.model_copy(update={"folder": tmp_path / "daemon", "catch_up_mails": 5})
    audit = settings.audit.model_copy(update={"seals": tmp_path / "seals.jsonl"})
    settings = settings.model_copy(update={"daemon": daemon, "audit": audit})
    world.installation = replace(world.installation, settings=settings)
    _give_sender(world)
    return world


def _give_sender(world: World) -> None:
    with world.installation.database.write() as connection:
        connection.execute(text("UPDATE tenants SET settings = :settings"), {"settings": SENDER})


def beat(world: World, at: datetime | None = None, me: str = "d1") -> None:
    """A daemon that lived at that instant."""
    with world.installation.database.write() as connection:
        connection.execute(text("DELETE FROM daemons WHERE id = :me"), {"me": me})
        shown = (at or world.clock.now()).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        connection.execute(
            text(
                "INSERT INTO daemons (id, host, pid, version, started_at, beat_at, details) "
                "VALUES (:me, 'here', 1, '0', :at, :at, '{}')"
            ),
            {"me": me, "at": shown},
        )


def away(world: World, passed: timedelta) -> catchup.CatchUp:
    """The last daemon ended now; that much later another begins."""
    beat(world)
    world.clock.move_to(world.clock.now() + passed)
    made = catchup.CatchUp(world.installation)
    made.begin()
    return made


def kinds(world: World) -> list[tuple[str, int | None]]:
    return sorted((row.kind, row.tenant) for row in rows(world, "holds") if row.released_at is None)


def mailing(world: World, folder: Path) -> Delivery:
    return Delivery(world.installation.engine, world.installation.templates, FileTransport(folder), "test.invalid")


# --- grace ---------------------------------------------------------------------------------------------------------


def test_after_a_silence_timers_wait_a_quarter_of_an_hour_and_events_do_not(world: World) -> None:
    customer = world.invite()
    sale = world.authorize(customer)
    start = world.clock.now()
    catching_up = away(world, 5 * DAY)
    until = start + 5 * DAY + 15 * MINUTE
    assert tick_timers(world.installation).next_at == until
    assert catchup.show(world.installation, None).grace_until == until
    assert catching_up.before_delivery() == catchup.Gate(False, until)
    paid = post(world, "1", "purchase_authorization.pay", f"authorizations/{sale}", start + 3 * DAY)
    assert paid.verdict == "applied"
    world.clock.move_to(until)
    tick_timers(world.installation)
    assert catching_up.before_delivery().is_open
    assert is_sound(world)


def test_the_first_start_of_all_and_one_soon_after_the_last_wait_for_nothing(world: World) -> None:
    assert catchup.CatchUp(world.installation).begin() == catchup.Began(None, None, None)
    assert away(world, 9 * MINUTE).before_delivery().is_open
    assert catchup.show(world.installation, None).grace_until is None


def test_a_grace_can_be_skipped_by_who_may(world: World) -> None:
    catching_up = away(world, 1 * DAY)
    assert isinstance(catchup.skip_grace(world.installation, world.who("bob")), Reason)
    until = catchup.skip_grace(world.installation, world.who("ada"), reason="nothing comes")
    assert until == world.clock.now() + 15 * MINUTE
    assert catchup.skip_grace(world.installation, None) is None
    assert catching_up.before_delivery().is_open
    assert [row.act for row in acts(world)] == ["catchup.skip_grace"]


def test_a_silence_while_running_begins_a_grace_too(world: World) -> None:
    catching_up = away(world, MINUTE)
    beat(world, me="me")
    world.clock.move_to(world.clock.now() + 5 * MINUTE)
    assert catching_up.before_beat("me") is None
    world.clock.move_to(world.clock.now() + 10 * MINUTE)
    began = catching_up.before_beat("me")
    assert began is not None
    assert began.grace_until == world.clock.now() + 15 * MINUTE


def test_a_second_daemon_that_starts_beside_keeps_to_the_grace_of_the_first(world: World) -> None:
    away(world, 5 * DAY)
    until = world.clock.now() + 15 * MINUTE
    beat(world, me="first")
    world.clock.move_to(world.clock.now() + MINUTE)
    second = catchup.CatchUp(world.installation)
    assert second.begin().grace_until == until
    assert second.before_delivery() == catchup.Gate(False, until)


# --- backlog -------------------------------------------------------------------------------------------------------


def test_a_backlog_of_late_mails_waits_until_somebody_approves(world: World, tmp_path: Path) -> None:
    for n in range(6):
        world.invite(f"Élan {n}")
    catching_up = away(world, 3 * DAY)
    catchup.skip_grace(world.installation, None)
    tick_timers(world.installation)
    assert catching_up.before_delivery().is_open
    assert kinds(world) == [("backlog", None)]
    assert catching_up.before_delivery().is_open
    standing = catchup.show(world.installation, world.who("ada"))
    assert standing.leaving.mails >= 6
    (hold,) = standing.holds
    assert hold.details is not None
    assert hold.details["by_reseller"] == {"north": standing.leaving.mails}
    assert hold.details["late"] >= 6
    assert standing.leaving.groups[0].samples
    approved = catchup.approve(world.installation, world.who("ada"), reason="they are all right")
    assert approved.released == (hold.id,)
    assert kinds(world) == []
    assert [row.act for row in acts(world)][-1] == "catchup.approve"
    assert asyncio.run(tick_delivery(world.installation, mailing(world, tmp_path))).done == standing.leaving.mails
    assert is_sound(world)


def test_mails_that_are_true_no_more_make_no_backlog(world: World) -> None:
    customers = [world.invite(f"Élan {n}") for n in range(6)]
    beat(world)
    world.clock.move_to(START + 3 * DAY)
    for n, customer in enumerate(customers):
        post(world, f"{n}", "invitation.accept", f"customers/{customer}", START + DAY)
    world.clock.move_to(START + 6 * DAY)
    catching_up = catchup.CatchUp(world.installation)
    catching_up.begin()
    catchup.skip_grace(world.installation, None)
    tick_timers(world.installation)
    leaving = catchup.what_would_leave(world.installation)
    assert sum(leaving.superseded.values()) >= 6
    late = sum(group.late for group in leaving.groups)
    assert catching_up.before_delivery().is_open
    assert kinds(world) == ([("backlog", None)] if late >= 5 else [])


def test_what_is_approved_for_one_reseller_still_waits_for_the_others(world: World) -> None:
    resellers.add_reseller(world.installation, key="south", name="South")
    resellers.add_reseller(world.installation, key="west", name="West")
    away(world, 30 * DAY)
    assert kinds(world) == [("clock", None)]
    approved = catchup.approve(world.installation, world.who("ada"), reason="ours may leave")
    assert len(approved.still_held) == 2
    assert kinds(world) == [("clock", 2), ("clock", 3)]
    again = catchup.approve(world.installation, world.who("ada"), reason="ours may leave")
    assert (again.released, again.still_held) == ((), ())
    assert catchup.approve(world.installation, world.who("bob"), reason="no").refused is not None
    assert len(catchup.approve(world.installation, None, reason="all may leave").released) == 2
    assert kinds(world) == []


def test_what_is_too_old_is_given_up_when_it_is_approved(world: World) -> None:
    world.invite("Élan")
    away(world, 30 * DAY)
    world.invite("Bleu")
    waiting = len([row for row in rows(world, "messages") if row.state == "waiting"])
    approved = catchup.approve(world.installation, None, reason="too old", discard_older_than=10)
    assert 0 < approved.discarded < waiting
    states = {row.state for row in rows(world, "messages")}
    assert states == {"waiting", "discarded"}
    tick_timers(world.installation)
    catchup.skip_grace(world.installation, None)
    tick_timers(world.installation)
    assert is_sound(world)


# --- clock and backups ---------------------------------------------------------------------------------------------


def test_a_clock_before_the_last_heartbeat_or_a_week_after_it_holds_mail(world: World) -> None:
    beat(world, START + 3 * timedelta(hours=1))
    began = catchup.CatchUp(world.installation).begin()
    assert "before the last heartbeat" in began.why[0]
    assert kinds(world) == [("clock", None)]
    assert catchup.CatchUp(world.installation).begin().held == ()  # there already
    catchup.approve(world.installation, None, reason="mended")
    beat(world, START - 8 * DAY)
    assert "8 days after" in catchup.CatchUp(world.installation).begin().why[0]


class Wall:
    """A clock on a wall that people set."""

    tells_a_story = False

    def __init__(self) -> None:
        self.shows = START

    def now(self) -> datetime:
        return self.shows


def test_a_clock_that_somebody_sets_while_the_daemon_runs_holds_mail(world: World) -> None:
    wall, seconds = Wall(), [0.0]
    world.installation = replace(world.installation, clock=wall)  # the engine's stands still meanwhile
    catching_up = catchup.CatchUp(world.installation, elapsed=lambda: seconds[0])
    catching_up.begin()
    wall.shows += timedelta(minutes=5)
    seconds[0] += 300
    assert catching_up.before_beat("me") is None
    wall.shows += timedelta(hours=2)
    seconds[0] += 60
    began = catching_up.before_beat("me")
    assert began is not None
    assert began.why == ("the clock was set forward by 1:59:00 while the daemon ran",)
    assert kinds(world) == [("clock", None)]


def test_who_slept_looks_up_before_anything_else_and_who_did_not_asks_nobody(world: World) -> None:
    seconds = [0.0]
    catching_up = catchup.CatchUp(world.installation, elapsed=lambda: seconds[0])
    assert catching_up.look_up("me") is None  # it has not begun
    catching_up.begin()
    beat(world, me="me")
    world.clock.move_to(world.clock.now() + 9 * MINUTE)
    seconds[0] += 9 * 60
    assert catching_up.look_up("me") is None
    world.clock.move_to(world.clock.now() + 8 * timedelta(hours=1))
    seconds[0] += 8 * 3600
    began = catching_up.look_up("me")
    assert began is not None
    assert began.grace_until == world.clock.now() + 15 * MINUTE
    assert catching_up.look_up("me") is None


def test_who_slept_beside_others_who_did_not_goes_on_at_once(world: World) -> None:
    seconds = [0.0]
    catching_up = catchup.CatchUp(world.installation, elapsed=lambda: seconds[0])
    catching_up.begin()
    world.clock.move_to(world.clock.now() + 8 * timedelta(hours=1))
    seconds[0] += 8 * 3600
    beat(world, me="another")
    assert catching_up.look_up("me") is None


def test_a_database_that_was_further_once_is_a_restored_backup(world: World) -> None:
    world.invite()
    catching_up = catchup.CatchUp(world.installation)
    catching_up.note_progress()
    assert catching_up.begin().why == ()
    path = world.installation.settings.daemon.folder / "last_seen.json"
    note = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(note | {"position": note["position"] + 7}))
    began = catching_up.begin()
    assert "was a backup restored?" in began.why[0]
    assert kinds(world) == [("restored", None)]
    catchup.approve(world.installation, None, reason="it was")
    assert catching_up.begin().held == ()
    path.write_bytes(msgspec.json.encode(note | {"position": 10_000, "database": "another"}))
    assert catching_up.begin().held == ()


def test_without_a_note_the_last_seal_tells_how_far_the_database_was(world: World) -> None:
    world.invite()
    seals = world.installation.settings.audit.seals
    seals.write_text('{"history_to":1,"made_at":"2024-01-01T00:00:00Z"}\n')
    assert catchup.CatchUp(world.installation).begin().held == ()
    with seals.open("a") as file:
        file.write('{"history_to":5000,"made_at":"2024-02-01T00:00:00Z","mac":"x"}\n')
    assert "2024-02-01" in catchup.CatchUp(world.installation).begin().why[0]
    assert kinds(world) == [("restored", None)]


# --- a year --------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Callable[[], World]]:
    """Another world, to compare with."""
    database = open_database(f"sqlite:///{tmp_path / 'elsewhere.db'}", durability="off")

    def make() -> World:
        create_all(database)
        clock = StillClock(START)
        made = World(with_database(shipped_files(), database, clock), clock)
        resellers.add_reseller(made.installation, key="north", name="North Licences")
        everybody = who_asks(made.installation, reseller="north", email=None)
        for name, role in (("ada", "admin"), ("bob", "account_manager")):
            email = f"{name}@north.example"
            team.add_member(made.installation, everybody, email=email, name=name.title(), role=role)
        _give_sender(made)
        return made

    yield make
    database.dispose()


OUTAGE = (START + 16 * DAY, START + 21 * DAY)
"""Over the end of the fortnight in which orders are due."""
Story = list[tuple[datetime, str, str, dict[str, Any]]]


def _lives(world: World, folder: Path, outage: tuple[datetime, datetime] | None) -> dict[str, list[Any]]:
    """Three customers from March to the next spring, a tick every three hours; with an outage, what happened in it
    arrives when all is up again.
    """
    form = {"segment": "commercial", "country": "FR", "address": "1 rue", "city": "Nantes", "postal_code": "44000"}
    products = [{"sku": "65304579CA01A12", "quantity": 5}]
    story: Story = []
    for n, paid_on in enumerate((15, 19, None)):
        company = f"Élan {n}"
        contact = {"name": "Zoé Roux", "email": f"zoe@elan{n}.example"}
        given = {**form, "company": company, "language": "fr", "owner": "bob@north.example", "contact": contact}
        sale = f"customers/k{n}/authorizations/PO{n}"
        story.append((START + timedelta(hours=n), "customer.invite", f"customers/k{n}", given))
        story.append((START + DAY, "invitation.accept", f"customers/k{n}", {}))
        words = {"lines": products, "po_number": f"PO{n}"}
        story.append((START + 3 * DAY, "purchase_authorization.create", sale, words))
        if paid_on is not None:
            story.append((START + paid_on * DAY, "purchase_authorization.pay", sale, {}))
    delivery = mailing(world, folder)
    left = sorted(enumerate(story), key=lambda each: (each[1][0], each[0]))
    gate: catchup.CatchUp | None = None
    while world.clock.now() < START + 400 * DAY:
        now = world.clock.now()
        if outage is not None and outage[0] <= now < outage[1]:
            beat(world, outage[0])
            world.clock.move_to(outage[1])
            gate = catchup.CatchUp(world.installation)
            gate.begin()
            continue
        while left and left[0][1][0] <= now:
            n, (at, type, subject, data) = left.pop(0)
            verdict = post(world, f"{n}", type, subject, at, **data)
            assert verdict.verdict == "applied", verdict
        tick_parked(world.installation)
        tick_timers(world.installation)
        if gate is None or gate.before_delivery().is_open:
            asyncio.run(tick_delivery(world.installation, delivery))
        world.clock.move_to(now + timedelta(minutes=15 if gate is not None and now < OUTAGE[1] + DAY else 180))
    assert is_sound(world)
    found: dict[str, list[Any]] = {
        "mails": sorted((r.template, r.effective_at, r.state) for r in rows(world, "messages"))
    }
    for row in rows(world, "subjects"):
        found[row.name] = lived(world, row.ref)
    return found


def test_a_year_with_five_days_of_outage_has_the_same_states_and_dates_and_fewer_mails(
    world: World, elsewhere: Callable[[], World], tmp_path: Path
) -> None:
    """Paid before the deadline, paid after it in the outage, and never: reported when all is up again."""
    healthy = _lives(elsewhere(), tmp_path / "healthy", None)
    broken = _lives(world, tmp_path / "broken", OUTAGE)
    for name in ("Élan 0", "Élan 1", "Élan 2"):
        assert broken[name] == healthy[name]
    sent = {"healthy": _sent(healthy), "broken": _sent(broken)}
    assert sent["broken"] < sent["healthy"], "the outage fell into a quiet time and proves nothing"
    assert "superseded" in {state for _, _, state in broken["mails"]}
    assert rows(world, "holds") == []


def _sent(found: dict[str, list[Any]]) -> set[Any]:
    return {(template, at) for template, at, state in found["mails"] if state == "sent"}


def test_a_payment_dated_before_the_deadline_undoes_a_lateness_that_was_concluded_for_want_of_it(world: World) -> None:
    customer = world.invite()
    sale = world.authorize(customer)
    paid_at = world.clock.now() + 3 * DAY
    catching_up = away(world, 20 * DAY)
    catchup.skip_grace(world.installation, None)
    tick_timers(world.installation)
    assert ("fall_due", "pending", "late") in [each[:3] for each in lived(world, customer)]
    post(world, "1", "purchase_authorization.pay", f"authorizations/{sale}", paid_at)
    assert next(row.state for row in rows(world, "cases", ref=sale)) == "paid"
    assert catching_up.before_delivery().is_open
    leaving = catchup.what_would_leave(world.installation, held=True)
    assert leaving.superseded, "nobody was going to be told"
    told = {group.template for group in leaving.groups}
    assert not {template for template in told if "late" in template or "overdue" in template}
