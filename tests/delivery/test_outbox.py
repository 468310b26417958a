"""The outbox: a mail leaves once, or is shown; nothing that fails stops the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import text

from tests.delivery.library import SENT, TEMPLATES, Interrupted, Library, Postman, at_the
from vipflow.delivery.outbox import Delivery, DeliveryReport, Taken
from vipflow.delivery.settling import MAYBE_LEFT
from vipflow.delivery.transport import FileTransport, Outcome, Parcel
from vipflow.errors import Busy, VipflowError
from vipflow.store.database import ConnectionLost, Database
from vipflow.store.outgoing import LEASE
from vipflow.store.tables import messages

PUT_OFF = Outcome("temporary", "recipients", "451 4.7.1 greylisted, come back later", 451)
REFUSED = Outcome("permanent", "content", "554 5.7.1 we do not like this", 554)
NO_ANSWER = Outcome("uncertain", "answer", "the line dropped")
NOT_TRIED = Outcome("not_tried", "connect", "there was no time left to begin it")


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


def test_a_mail_leaves_once_and_its_bytes_are_kept(library: Library) -> None:
    library.lend("Emma")
    assert library.after(days=20).sent == 1
    assert library.deliver() == DeliveryReport()

    (parcel,) = library.postman.delivered
    (row,) = library.mails()
    assert (row.state, row.copies, row.attempts, bytes(row.body)) == ("sent", 1, 1, parcel.content)
    assert (row.stage, row.daemon, row.failures) == ("answer", "library", 0)
    mail = message_from_bytes(parcel.content)
    assert mail["To"] == '"Ann" <emma@readers.example>'
    assert mail["Message-ID"] == parcel.message_id == row.message_id
    assert (parcel.sender, parcel.recipients) == ("desk@library.example", ("emma@readers.example",))
    assert library.clean()


def test_a_mail_that_the_server_puts_off_leaves_later_and_is_the_same(library: Library) -> None:
    library.lend("Emma", "Persuasion", "Sanditon")
    library.postman.answers = at_the(2, PUT_OFF)
    report = library.after(days=20)
    assert (report.sent, report.failed) == (2, 1)
    assert library.states() == ["sent", "sent", "waiting"]
    (waiting,) = [row for row in library.mails() if row.state == "waiting"]
    assert "put off at recipients: 451 4.7.1 greylisted" in waiting.note
    kept = bytes(waiting.body)

    assert library.deliver().claimed == 0, "not at once"
    assert library.after(minutes=5).sent == 1
    assert library.postman.delivered[-1].content == kept
    assert library.states() == ["sent"] * 3
    assert library.clean()


def test_the_pause_grows_to_six_hours_and_after_five_days_the_mail_is_dead_and_shown(library: Library) -> None:
    library.lend("Emma", "Persuasion")
    library.pass_(days=20)
    begun = library.world.clock.now()
    library.postman.answers = lambda parcel: PUT_OFF if "emma" in parcel.recipients[0] else None
    library.deliver()
    pauses = []
    while (emma := next(row for row in library.mails() if "emma" in row.person and row.attempts)).state == "waiting":
        pauses.append(emma.not_before - library.world.clock.now())
        library.world.move_to(emma.not_before)
        library.deliver()
    minutes = [1, 4, 16, 64, 256, 360]
    assert pauses[:6] == [timedelta(minutes=each) for each in minutes]
    assert set(pauses[6:]) == {timedelta(hours=6)}
    assert timedelta(days=5) <= library.world.clock.now() - begun < timedelta(days=5, hours=6)
    assert (emma.state, emma.copies) == ("dead", 0)
    assert emma.failures == emma.attempts == len(pauses) + 1
    assert library.world.incidents() == ["mail_dead"]
    assert library.clean()


def test_an_uncertain_mail_leaves_in_three_identical_copies_at_most_and_is_shown(library: Library) -> None:
    library.lend("Emma")
    library.postman.answers = lambda parcel: NO_ANSWER
    assert library.after(days=20).uncertain == 1
    for pause in (timedelta(minutes=30), timedelta(hours=2)):
        (row,) = library.mails()
        assert (row.state, row.not_before) == ("waiting", library.world.clock.now() + pause)
        assert "a copy may have arrived" in row.note
        library.world.move_to(row.not_before)
        library.deliver()
    (row,) = library.mails()
    assert (row.state, row.copies, row.attempts) == ("uncertain", 3, 3)
    copies = library.postman.delivered
    assert len(copies) == 3
    assert len({(copy.content, copy.message_id) for copy in copies}) == 1
    assert library.world.incidents() == ["mail_uncertain"]
    assert library.after(days=1).claimed == 0
    assert library.clean()


def test_a_refusal_after_a_copy_that_may_have_arrived_does_not_say_that_none_did(library: Library) -> None:
    library.lend("Emma")
    library.postman.answers = at_the(1, NO_ANSWER)
    library.after(days=20)
    library.postman.answers = lambda parcel: REFUSED
    library.after(minutes=30)
    (row,) = library.mails()
    assert (row.state, row.copies, row.attempts) == ("dead", 1, 2)
    assert row.note == "refused at content: 554 5.7.1 we do not like this; a copy may have arrived before"
    assert library.clean()


def test_what_was_not_tried_waits_as_before_and_was_no_attempt(library: Library) -> None:
    library.lend("Emma")
    library.postman.answers = at_the(1, NOT_TRIED)
    report = library.after(days=20)
    assert (report.not_tried, report.came_to_nothing) == (1, True)
    (row,) = library.mails()
    assert (row.state, row.attempts, row.failures, row.first_tried_at) == ("waiting", 0, 0, None)
    assert row.not_before <= library.world.clock.now()
    assert library.deliver().sent == 1
    assert library.clean()


def test_while_the_transport_rests_nothing_is_claimed_and_then_one_goes_ahead(library: Library) -> None:
    library.lend("Emma", "Persuasion", "Sanditon")
    library.pass_(days=20)
    library.postman.rests_until = library.world.clock.now() + timedelta(minutes=1)
    report = library.deliver()
    assert (report.claimed, report.paused_until) == (0, library.postman.rests_until)
    assert library.states() == ["waiting"] * 3
    assert {row.attempts for row in library.mails()} == {0}

    library.world.move_to(library.postman.rests_until)
    assert library.deliver().sent == 1
    assert library.deliver().sent == 2
    assert library.clean()


def test_a_transport_that_breaks_its_word_leaves_uncertain_mails_and_says_so(library: Library) -> None:
    library.lend("Emma")
    library.postman.answers = at_the(1, RuntimeError("a fault of ours"))
    with pytest.raises(RuntimeError):
        library.after(days=20)
    (row,) = library.mails()
    assert (row.state, row.copies) == ("waiting", 1)
    assert "a fault of ours" in row.note
    assert library.clean()


# --- hands that go -------------------------------------------------------------------------------------------------


def test_what_a_dead_process_had_in_hand_leaves_when_its_lease_is_over(library: Library) -> None:
    library.lend("Emma", "Persuasion", "Sanditon")
    library.postman.answers = at_the(2, Interrupted())
    with pytest.raises(Interrupted):
        library.after(days=20)
    assert library.states() == ["sending"] * 3
    kept = {row.key: bytes(row.body) for row in library.mails()}

    library.postman.answers = lambda parcel: None
    assert library.after(minutes=1).claimed == 0, "whoever has them may still send them"
    assert library.after(seconds=LEASE.total_seconds()).sent == 3
    assert library.states() == ["sent"] * 3
    assert {row.copies for row in library.mails()} == {2}, "one of each may have left before"
    assert {parcel.key: parcel.content for parcel in library.postman.delivered} == kept
    assert library.clean()


def test_a_mail_on_which_the_process_dies_each_time_leaves_three_copies_at_most(library: Library) -> None:
    library.lend("Emma")
    library.pass_(days=20)
    library.postman.answers = at_the(1, Interrupted(), always=True)
    for _ in range(3):
        with pytest.raises(Interrupted):
            library.deliver()
        library.world.move_to(library.world.clock.now() + LEASE)
    assert library.deliver().claimed == 0
    (row,) = library.mails()
    assert (row.state, row.copies, row.note) == ("uncertain", 3, MAYBE_LEFT)
    assert library.world.incidents() == ["mail_uncertain"]
    assert library.clean()


def test_a_mail_of_which_a_copy_may_have_left_is_uncertain_once_it_need_not_leave(library: Library) -> None:
    library.lend("Emma")
    library.postman.answers = at_the(1, Interrupted())
    with pytest.raises(Interrupted):
        library.after(days=20)
    assert library.states() == ["sending"]
    assert library.after(days=10).sent == 1, "a newer one of its ladder, after both its beats"
    assert library.states() == ["sent", "uncertain"]
    assert library.clean()


def test_who_lost_the_lease_marks_nothing_and_it_is_counted(library: Library) -> None:
    library.lend("Emma")
    told: list[int] = []
    rival = library.hand("rival", Postman())
    library.delivery = library.hand("library", library.postman, told_refused=told.append)

    class Overslept(Postman):
        async def send(self, parcels: Sequence[Parcel], now: datetime) -> Sequence[Outcome]:
            library.world.advance_to(library.world.clock.now() + LEASE)
            assert (await rival.deliver()).sent == 1
            return [PUT_OFF] * len(parcels)

    library.delivery.transport = Overslept()
    report = library.after(days=20)
    assert (report.failed, report.refused, library.delivery.refused_writes, told) == (0, 1, 1, [1])
    (row,) = library.mails()
    assert (row.state, row.copies, row.attempts, row.daemon) == ("sent", 2, 2, "rival")
    assert library.after(days=1).claimed == 0
    assert library.clean()


def test_a_parcel_says_until_when_it_may_begin(library: Library) -> None:
    library.lend("Emma")
    begun = asyncio.run(_monotonic())
    library.after(days=20)
    (parcel,) = library.postman.delivered
    assert begun + 60 < parcel.until < begun + LEASE.total_seconds()


async def _monotonic() -> float:
    return asyncio.get_running_loop().time()


def test_a_tick_takes_up_what_a_stopped_round_had_in_hand(library: Library) -> None:
    library.lend("Emma")
    library.postman.answers = at_the(1, Interrupted())
    with pytest.raises(Interrupted):
        library.after(days=20)
    taken_at = library.world.clock.now()
    assert library.delivery.next_leaving() == taken_at + LEASE


def test_a_round_that_is_cancelled_marks_what_has_left(library: Library) -> None:
    library.lend("Emma", "Persuasion")

    class Stopping(Postman):
        """Sends the first, and is then asked to stop: it says what became of both."""

        async def send(self, parcels: Sequence[Parcel], now: datetime) -> Sequence[Outcome]:
            self.delivered.append(parcels[0])
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return [SENT, NOT_TRIED]
            raise AssertionError("nobody asked it to stop")

    begun = asyncio.Event()
    library.delivery.transport = Stopping()

    async def stopped() -> None:
        task = asyncio.create_task(library.delivery.deliver())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    library.pass_(days=20)
    asyncio.run(stopped())
    assert library.states() == ["sent", "waiting"]
    assert library.clean()


def test_files_that_were_being_written_when_it_stopped_are_known_to_be_there(library: Library, tmp_path: Path) -> None:
    library.lend("Emma", "Persuasion")
    begun, go_on = threading.Event(), threading.Event()
    asked: list[threading.Event] = []

    class Slow(FileTransport):
        def _write_all(self, parcels: Sequence[Parcel], stopped: threading.Event, now: datetime) -> Sequence[Outcome]:
            asked.append(stopped)
            return super()._write_all(parcels, stopped, now)

        def _write(self, parcel: Parcel, now: datetime) -> Outcome:
            begun.set()
            assert go_on.wait(10)
            return super()._write(parcel, now)

    library.delivery.transport = Slow(tmp_path / "mails")

    async def stopped() -> None:
        task = asyncio.create_task(library.delivery.deliver())
        assert await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        assert await asyncio.to_thread(asked[0].wait, 10)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    library.pass_(days=20)
    asyncio.run(stopped())
    assert library.states() == ["sent", "waiting"]
    assert len(list(tmp_path.rglob("*.eml"))) == 1
    assert library.clean()


def test_what_left_is_marked_though_the_database_is_busy_for_a_while(library: Library) -> None:
    """Else every mail of the round would leave twice."""
    library.lend("Emma", "Persuasion")

    class Interfered(Delivery):
        faults: ClassVar[list[VipflowError]] = [
            Busy("the database", "another process has been writing for 5 s", "try again"),
            ConnectionLost("the database", "no connection", "check that the server runs"),
        ]

        def put_down(self, taken: Taken, outcomes: Sequence[Outcome]) -> DeliveryReport:
            if self.faults:
                raise self.faults.pop()
            return super().put_down(taken, outcomes)

    engine, patience = library.world.engine, (0.0, 0.0)
    library.delivery = Interfered(
        engine, TEMPLATES, library.postman, "library.example", daemon="library", pauses=patience
    )
    assert library.after(days=20).sent == 2
    assert library.states() == ["sent", "sent"]
    assert library.clean()


def test_a_database_that_stays_busy_is_told_and_what_left_counts_as_a_copy(library: Library) -> None:
    library.lend("Emma")

    class Interfered(Delivery):
        def put_down(self, taken: Taken, outcomes: Sequence[Outcome]) -> DeliveryReport:
            raise Busy("the database", "another process has been writing for 5 s", "try again")

    well = library.delivery
    library.delivery = Interfered(
        library.world.engine, TEMPLATES, library.postman, "library.example", daemon="library", pauses=(0.0,)
    )
    with pytest.raises(Busy):
        library.after(days=20)
    library.delivery = well
    library.pass_(seconds=LEASE.total_seconds())
    assert library.deliver().sent == 1
    first, second = library.postman.delivered
    assert first.content == second.content
    (row,) = library.mails()
    assert (row.state, row.copies) == ("sent", 2)
    assert library.clean()


def test_kept_bytes_that_were_damaged_do_not_leave(library: Library) -> None:
    library.lend("Emma")
    library.postman.answers = lambda parcel: Outcome("temporary", "recipients", "451 later", 451)
    library.after(days=20)
    with library.world.database.write() as connection:
        connection.execute(messages.update().values(content_hash="0" * 64))
    library.postman.answers = lambda parcel: None
    library.pass_(hours=1)
    library.deliver()
    (row,) = library.mails()
    assert (row.state, row.copies) == ("held", 0)
    assert "damaged" in row.note


# --- what cannot be written ----------------------------------------------------------------------------------------


def test_a_mail_that_cannot_be_written_is_held_and_shown_and_the_others_leave(library: Library) -> None:
    library.lend("Emma", "Persuasion")
    library.pass_(days=20)
    with library.world.database.write() as connection:
        connection.execute(text("UPDATE messages SET context = '{}' WHERE person LIKE '%emma%'"))
    report = library.deliver()
    assert (report.sent, report.held) == (1, 1)
    assert library.states() == ["held", "sent"]
    assert library.world.incidents() == ["mail_held"]
    assert library.clean()


def test_a_reader_whose_record_cannot_be_read_keeps_no_other_from_getting_mail(library: Library) -> None:
    library.lend("Emma", "Persuasion", "Sanditon")
    library.pass_(days=20)
    with library.world.database.write() as connection:
        connection.execute(text("UPDATE cases SET facts = '{}' WHERE facts LIKE '%Emma%'"))
    report = library.deliver()
    assert (report.sent, report.held) == (2, 1)
    assert library.deliver().claimed == 0


def test_of_a_ladder_only_the_newest_leaves_and_nothing_that_is_no_longer_true(library: Library) -> None:
    library.lend("Emma", "Persuasion")
    library.pass_(days=40)
    waiting = len(library.world.rows("messages"))
    report = library.deliver()
    assert waiting > 2
    assert (report.sent, report.superseded) == (2, waiting - 2)
    assert {
        message_from_bytes(parcel.content)["X-Vipflow-Message"].split(":")[2] for parcel in library.postman.delivered
    } == {"loan_overdue"}
    assert library.clean()
