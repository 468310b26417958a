"""The outbox: a mail leaves once, or is shown; nothing that fails stops the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.engine.worlds import World
from vipflow.delivery.outbox import Delivery, DeliveryReport
from vipflow.delivery.render import Templates
from vipflow.delivery.transport import Parcel
from vipflow.engine.plain import PlainTrade
from vipflow.operations.installation import load_workflow_files
from vipflow.store.database import Database
from vipflow.store.outgoing import LEASE

LIBRARY = Path(__file__).parents[2] / "examples" / "library"
WORKFLOWS = load_workflow_files(LIBRARY / "workflows")


class Interrupted(BaseException):
    """The process is stopped in the middle of a round."""


class Postman:
    """Keeps what it is given; before each parcel it asks `first` whether something happens to it."""

    def __init__(self) -> None:
        self.delivered: list[Parcel] = []
        self.first: Callable[[Parcel], None] = lambda parcel: None

    def send(self, parcel: Parcel) -> None:
        self.first(parcel)
        self.delivered.append(parcel)


class Library:
    """A library that lends, and the mails to its readers."""

    def __init__(self, database: Database) -> None:
        self.world = World(database, WORKFLOWS, PlainTrade())
        with database.write() as connection:
            connection.execute(text("""UPDATE tenants SET settings = '{"sender":"desk@library.example"}'"""))
        self.postman = Postman()
        templates = Templates([LIBRARY / "email_templates"])
        self.delivery = Delivery(self.world.engine, templates, self.postman, "library.example")

    def lend(self, *titles: str) -> None:
        for title in titles:
            data = {"title": title, "reader": "Ann", "email": f"{title.lower()}@readers.example"}
            self.world.applied("loan.lend", f"loans/{title}", data)

    def after(self, **time: float) -> DeliveryReport:
        self.world.advance_to(self.world.clock.now() + timedelta(**time))
        return self.delivery.deliver()

    def mails(self) -> list[Any]:
        return [row for row in self.world.rows("messages") if row.state != "superseded"]

    def states(self) -> list[str]:
        return sorted(row.state for row in self.mails())


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


def break_at(number: int, fault: BaseException) -> Callable[[Parcel], None]:
    """Raises `fault` at the `number`th parcel, once."""
    seen: list[Parcel] = []

    def first(parcel: Parcel) -> None:
        seen.append(parcel)
        if len(seen) == number:
            raise fault

    return first


def test_a_mail_leaves_once_and_its_bytes_are_kept(library: Library) -> None:
    library.lend("Emma")
    assert library.after(days=20).sent == 1
    assert library.delivery.deliver() == DeliveryReport()

    (parcel,) = library.postman.delivered
    (row,) = library.mails()
    assert (row.state, row.copies, row.attempts, bytes(row.body)) == ("sent", 1, 1, parcel.content)
    mail = message_from_bytes(parcel.content)
    assert mail["To"] == '"Ann" <emma@readers.example>'
    assert mail["Message-ID"] == parcel.message_id == row.message_id


def test_a_mail_that_the_transport_does_not_take_leaves_later_and_is_the_same(library: Library) -> None:
    library.lend("Emma", "Persuasion", "Sanditon")
    library.postman.first = break_at(2, OSError("no space left on device"))
    report = library.after(days=20)
    assert (report.sent, report.failed) == (2, 1)
    assert library.states() == ["sent", "sent", "waiting"]
    (waiting,) = [row for row in library.mails() if row.state == "waiting"]
    assert "no space left" in waiting.note
    kept = bytes(waiting.body)

    assert library.delivery.deliver().claimed == 0, "not at once"
    assert library.after(minutes=5).sent == 1
    assert library.postman.delivered[-1].content == kept
    assert library.states() == ["sent"] * 3


def test_however_often_the_transport_fails_the_others_are_marked(library: Library) -> None:
    """The pause before the next try grows to six hours, and no farther."""
    library.lend("Emma", "Persuasion")
    library.world.advance_to(library.world.clock.now() + timedelta(days=20))
    with library.world.database.write() as connection:
        connection.execute(text("UPDATE messages SET attempts = 60"))
    library.postman.first = break_at(1, OSError("no space left on device"))
    report = library.delivery.deliver()
    assert (report.sent, report.failed) == (1, 1)
    assert library.states() == ["sent", "waiting"]
    (waiting,) = [row for row in library.mails() if row.state == "waiting"]
    assert waiting.not_before == library.world.clock.now() + timedelta(hours=6)


def test_what_a_stopped_round_had_in_hand_leaves_when_its_lease_is_over(library: Library) -> None:
    library.lend("Emma", "Persuasion", "Sanditon")
    library.postman.first = break_at(2, Interrupted())
    with pytest.raises(Interrupted):
        library.after(days=20)
    assert library.states() == ["sending", "sending", "sent"], "what had left is marked"
    kept = {row.key: bytes(row.body) for row in library.mails()}

    assert library.after(minutes=1).claimed == 0, "whoever has them may still send them"
    assert library.after(seconds=LEASE.total_seconds()).sent == 2
    assert library.states() == ["sent"] * 3
    assert {parcel.key: parcel.content for parcel in library.postman.delivered} == kept
    assert len(library.postman.delivered) == 3


def test_a_mail_of_which_a_copy_may_have_left_is_uncertain_once_it_need_not_leave(library: Library) -> None:
    library.lend("Emma")
    library.postman.first = break_at(1, Interrupted())
    with pytest.raises(Interrupted):
        library.after(days=20)
    assert library.states() == ["sending"]
    assert library.after(days=10).sent == 1, "a newer one of its ladder, after both its beats"
    assert library.states() == ["sent", "uncertain"]


def test_who_lost_the_lease_marks_nothing(library: Library) -> None:
    library.lend("Emma")
    other = Postman()
    rival = Delivery(library.world.engine, library.delivery.templates, other, "library.example")

    def overslept(parcel: Parcel) -> None:
        library.postman.first = lambda parcel: None
        library.world.advance_to(library.world.clock.now() + LEASE)
        assert rival.deliver().sent == 1
        raise OSError("the line was cut")

    library.postman.first = overslept
    library.after(days=20)
    assert library.states() == ["sent"]
    (row,) = library.mails()
    assert (row.copies, row.attempts) == (1, 2)
    assert library.after(days=1).claimed == 0


def test_a_tick_takes_up_what_a_stopped_round_had_in_hand(library: Library) -> None:
    library.lend("Emma")
    library.postman.first = break_at(1, Interrupted())
    with pytest.raises(Interrupted):
        library.after(days=20)
    taken_at = library.world.clock.now()
    assert library.delivery.next_leaving() == taken_at + LEASE


def test_a_mail_that_cannot_be_written_is_held_and_shown_and_the_others_leave(library: Library) -> None:
    library.lend("Emma", "Persuasion")
    library.world.advance_to(library.world.clock.now() + timedelta(days=20))
    with library.world.database.write() as connection:
        connection.execute(text("UPDATE messages SET context = '{}' WHERE person LIKE '%emma%'"))
    report = library.delivery.deliver()
    assert (report.sent, report.held) == (1, 1)
    assert library.states() == ["held", "sent"]
    (incident,) = library.world.rows("incidents")
    assert incident.kind == "mail_held"


def test_a_reader_whose_record_cannot_be_read_keeps_no_other_from_getting_mail(library: Library) -> None:
    library.lend("Emma", "Persuasion", "Sanditon")
    library.world.advance_to(library.world.clock.now() + timedelta(days=20))
    with library.world.database.write() as connection:
        connection.execute(text("UPDATE cases SET facts = '{}' WHERE facts LIKE '%Emma%'"))
    report = library.delivery.deliver()
    assert (report.sent, report.held) == (2, 1)
    assert library.delivery.deliver().claimed == 0


def test_of_a_ladder_only_the_newest_leaves_and_nothing_that_is_no_longer_true(library: Library) -> None:
    library.lend("Emma", "Persuasion")
    library.world.advance_to(library.world.clock.now() + timedelta(days=40))
    waiting = len(library.world.rows("messages"))
    report = library.delivery.deliver()
    assert waiting > 2
    assert (report.sent, report.superseded) == (2, waiting - 2)
    assert {
        message_from_bytes(parcel.content)["X-Vipflow-Message"].split(":")[2] for parcel in library.postman.delivered
    } == {"loan_overdue"}
