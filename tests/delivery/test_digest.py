"""One mail a day for whoever prefers it: gathered under a lead, and from then on one fate for all that is in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from tests.delivery.library import Interrupted, Postman, at_the
from tests.delivery.shop import Shop, read, text_of
from vipflow.delivery.transport import Outcome, Parcel
from vipflow.operations import holds, orders
from vipflow.store.database import Database
from vipflow.store.outgoing import LEASE

PUT_OFF = Outcome("temporary", "recipients", "451 4.7.1 greylisted", 451)
BOB = "bob@north.example"


@pytest.fixture
def shop(database: Database) -> Shop:
    """On a Friday Bob, who prefers one mail a day, authorizes products for three customers: he is to order them."""
    made = Shop(database)
    made.prefer("daily")
    for company in ("Élan Vert", "Mer Bleue", "Sable Fin"):
        made.authorize(made.invite(company))
    return made


def to_bob(shop: Shop) -> list[Parcel]:
    return [parcel for parcel in shop.postman.delivered if parcel.recipients == (BOB,)]


def test_what_is_due_for_him_leaves_in_one_mail_the_next_working_morning(shop: Shop) -> None:
    shop.deliver_all()
    assert to_bob(shop) == [], "his are for Monday; his customers' have left"
    shop.move_to("2024-03-04 07:59")
    assert shop.deliver_all() == 0
    shop.move_to("2024-03-04 08:00")
    assert shop.deliver_all() == 3
    (digest,) = to_bob(shop)
    assert read(digest)["Subject"] == "Your customers on 4 March 2024: 3 messages"
    text = text_of(digest)
    for company in ("Élan Vert", "Mer Bleue", "Sable Fin"):
        assert company in text
    rows = shop.rows("messages", template="order_to_place")
    assert {row.state for row in rows} == {"sent"}
    lead = min(row.key for row in rows)
    assert {row.digest for row in rows} == {lead}
    assert digest.key == lead
    assert [row.key for row in rows if row.body is not None] == [lead]
    assert {row.message_id for row in rows} == {digest.message_id}
    assert shop.clean()


def test_one_message_alone_is_sent_as_itself(database: Database) -> None:
    shop = Shop(database)
    shop.prefer("daily")
    shop.authorize(shop.invite("Élan Vert"))
    shop.move_to("2024-03-04 08:00")
    shop.deliver_all()
    (mail,) = to_bob(shop)
    assert "Élan Vert" in read(mail)["Subject"]
    assert shop.mail("order_to_place").digest is None
    assert shop.clean()


def test_before_eight_it_is_today_and_his_colleague_is_told_at_once(database: Database) -> None:
    shop = Shop(database)
    shop.prefer("daily")
    shop.move_to("2024-03-04 06:30")
    shop.authorize(shop.invite("Élan Vert"))
    shop.authorize(shop.invite("Mer Bleue", name="cleo"), name="cleo")
    shop.deliver_all()
    assert [parcel.recipients for parcel in shop.postman.delivered] == [("cleo@north.example",)]
    shop.move_to("2024-03-04 08:00")
    shop.deliver_all()
    assert len(to_bob(shop)) == 1


def test_what_is_no_longer_true_in_the_morning_is_not_in_it(shop: Shop) -> None:
    done = shop.rows("messages", template="order_to_place")[0].case_ref
    orders.place_for_authorizations(shop.installation, shop.who(), [done])
    shop.move_to("2024-03-04 08:00")
    shop.deliver_all()
    (digest,) = to_bob(shop)
    assert read(digest)["Subject"] == "Your customers on 4 March 2024: 2 messages"
    assert done not in text_of(digest)
    assert shop.clean()


def test_it_is_put_off_and_sent_again_as_one_and_what_comes_meanwhile_is_another(shop: Shop) -> None:
    shop.deliver_all()
    shop.move_to("2024-03-04 08:00")
    shop.postman.answers = lambda parcel: PUT_OFF
    shop.deliver_all()
    rows = shop.rows("messages", template="order_to_place")
    assert {(row.state, row.failures, row.attempts) for row in rows} == {("waiting", 1, 1)}
    (tried,) = [parcel for parcel in shop.postman.tried if parcel.recipients == (BOB,)]

    shop.prefer("single")
    shop.authorize(shop.invite("Rive Gauche"))
    shop.prefer("daily")
    shop.postman.answers = lambda parcel: None
    shop.pass_(minutes=1)
    shop.deliver_all()
    first, second = sorted(to_bob(shop), key=lambda parcel: len(parcel.content), reverse=True)
    assert first.content == tried.content
    assert "Rive Gauche" in text_of(second)
    assert {row.state for row in shop.rows("messages")} == {"sent"}
    assert shop.clean()


def test_a_crash_between_keeping_and_marking_loses_and_doubles_nothing(shop: Shop) -> None:
    shop.deliver_all()
    shop.move_to("2024-03-04 08:00")
    shop.postman.answers = at_the(1, Interrupted())
    with pytest.raises(Interrupted):
        shop.deliver()
    assert {row.state for row in shop.rows("messages", template="order_to_place")} == {"sending"}
    shop.postman.answers = lambda parcel: None
    shop.pass_(seconds=LEASE.total_seconds())
    shop.prefer("single")
    assert shop.deliver_all() == 3
    (digest,) = to_bob(shop)
    assert digest.content == next(p for p in shop.postman.tried if p.recipients == (BOB,)).content
    assert {row.copies for row in shop.rows("messages", template="order_to_place")} == {2}
    assert shop.clean()


def test_a_crash_before_anything_was_kept_leaves_it_to_be_gathered_anew(shop: Shop) -> None:
    shop.deliver_all()
    shop.move_to("2024-03-04 08:00")
    claims = shop.delivery._claiming.claim(200)
    assert len(claims.leaving) == 3
    shop.pass_(seconds=LEASE.total_seconds())
    assert shop.deliver_all() == 3
    (digest,) = to_bob(shop)
    assert "3 messages" in read(digest)["Subject"]
    assert {row.copies for row in shop.rows("messages", template="order_to_place", state="sent")} == {1}
    assert shop.clean()


def test_who_changes_his_mind_gets_what_waits_singly(shop: Shop) -> None:
    shop.prefer("single")
    shop.move_to("2024-03-04 08:00")
    shop.deliver_all()
    assert len(to_bob(shop)) == 3
    assert {row.digest for row in shop.rows("messages", template="order_to_place")} == {None}


def test_a_morning_that_was_missed_is_made_good_in_the_day_and_not_at_night(shop: Shop) -> None:
    shop.move_to("2024-03-04 23:00")
    assert shop.deliver_all() == 0
    assert {row.not_before.isoformat() for row in shop.rows("messages", template="order_to_place")} == {
        "2024-03-05T07:00:00+00:00"
    }
    shop.move_to("2024-03-05 11:30")
    shop.deliver_all()
    assert len(to_bob(shop)) == 1


def test_an_act_on_one_of_them_is_one_on_all(shop: Shop) -> None:
    shop.move_to("2024-03-04 08:00")
    shop.postman.answers = lambda parcel: PUT_OFF if parcel.recipients == (BOB,) else None
    shop.deliver_all()
    one = shop.rows("messages", template="order_to_place")[1].key
    assert len(shop.act("hold", one).moved) == 3
    shop.pass_(hours=1)
    shop.postman.answers = lambda parcel: None
    assert shop.deliver_all() == 0
    assert len(shop.act("release", one, reason="all is well").moved) == 3
    assert shop.deliver_all() == 3
    assert len(to_bob(shop)) == 1
    assert shop.clean()


def test_two_who_deliver_at_once_send_one_digest(shop: Shop) -> None:
    """One is in the middle of its round when the other begins."""
    shop.deliver_all()
    shop.move_to("2024-03-04 08:00")
    other = Postman()
    rival = shop.hand("rival", other)

    class Slow(Postman):
        async def send(self, parcels: Sequence[Parcel], now: datetime) -> Sequence[Outcome]:
            report = await rival.deliver()
            assert report.claimed == 0
            return await super().send(parcels, now)

    shop.delivery.transport = shop.postman = Slow()
    assert shop.deliver_all() == 3
    assert len(to_bob(shop)) == 1
    assert other.delivered == []
    assert shop.clean()


def test_a_rest_of_the_transport_lets_one_mail_go_ahead_and_a_digest_is_one(shop: Shop) -> None:
    shop.deliver_all()
    shop.move_to("2024-03-04 08:00")
    shop.postman.rests_until = shop.clock.now() + timedelta(minutes=1)
    assert asyncio.run(shop.delivery.deliver()).claimed == 0
    shop.pass_(minutes=1)
    assert shop.deliver().sent == 3


def test_a_message_that_cannot_be_read_is_held_and_the_others_are_in_the_digest(shop: Shop) -> None:
    shop.deliver_all()
    shop.move_to("2024-03-04 08:00")
    bad = shop.rows("messages", template="order_to_place")[0].key
    for context in ('{"customer": 3}', "no JSON"):
        with shop.database.write() as connection:
            asked = {"context": context, "key": bad}
            connection.execute(text("UPDATE messages SET context = :context WHERE key = :key"), asked)
        shop.postman.answers = lambda parcel: PUT_OFF
        assert shop.deliver().held == 1
        assert shop.rows("messages", key=bad)[0].state == "held"
        shop.act("retry", bad)
    shop.postman.answers = lambda parcel: None
    shop.pass_(minutes=5)
    assert shop.deliver_all() == 2
    assert len(to_bob(shop)) == 1


def test_a_hold_on_one_of_its_customers_keeps_a_digest_that_is_written_until_it_ends(shop: Shop) -> None:
    """Its bytes hold that customer's news: it leaves neither without it nor twice."""
    shop.deliver_all()
    shop.move_to("2024-03-04 08:00")
    shop.postman.answers = lambda parcel: PUT_OFF
    shop.deliver_all()
    shop.postman.answers = lambda parcel: None
    held = shop.rows("messages", template="order_to_place")[1].subject
    made = holds.hold_customer(shop.installation, shop.who("otto"), held, mail_only=True, reason="a complaint")
    assert made.hold is not None
    shop.pass_(minutes=2)
    assert shop.deliver_all() == 0
    again = shop.delivery.next_leaving()
    assert again is not None
    assert again > shop.clock.now(), "nobody turns in circles over it"
    shop.pass_(minutes=30)
    holds.release_hold(shop.installation, shop.who("otto"), made.hold.id, reason="settled")
    shop.pass_(minutes=30)
    assert shop.deliver_all() == 3
    assert len(to_bob(shop)) == 1
    assert shop.clean()
