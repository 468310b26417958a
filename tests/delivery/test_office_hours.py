"""In the moment of sending it is asked once more whether a mail may leave: who comes back on a Sunday storms nobody."""

from __future__ import annotations

import pytest

from tests.delivery.shop import Shop
from vipflow.delivery.transport import Outcome
from vipflow.store.database import Database

PUT_OFF = Outcome("temporary", "recipients", "451 4.7.1 greylisted", 451)
ZOE = "elan@elan-vert.example"


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


def test_a_retry_in_the_night_waits_for_the_morning(shop: Shop) -> None:
    shop.invite("Élan Vert")
    shop.move_to("2024-03-04 18:58")
    shop.postman.answers = lambda parcel: PUT_OFF
    assert shop.deliver().failed == 1
    shop.pass_(minutes=1)
    assert shop.deliver().failed == 1
    shop.pass_(minutes=4)  # 19:03
    report = shop.deliver()
    assert (report.postponed, report.claimed) == (1, 0)
    invitation = shop.mail("invitation")
    assert invitation.not_before.isoformat() == "2024-03-05T07:00:00+00:00"
    assert (invitation.state, invitation.attempts, invitation.failures) == ("waiting", 2, 2)
    shop.postman.answers = lambda parcel: None
    shop.move_to("2024-03-05 08:00")
    assert shop.deliver().sent == 1
    assert shop.clean()


def test_the_account_manager_is_told_at_any_hour(shop: Shop) -> None:
    customer = shop.invite("Élan Vert")
    shop.deliver_all()
    shop.move_to("2024-03-09 23:00")  # a Saturday
    shop.authorize(customer)
    shop.deliver_all()
    assert [parcel.recipients for parcel in shop.postman.delivered[1:]] == [("bob@north.example",)]


def test_after_weeks_without_mails_one_reminder_leaves_in_office_hours_and_the_rest_is_superseded(shop: Shop) -> None:
    """Invited on 1 March; no mail leaves until Sunday 26 May: by then four reminders were written."""
    shop.invite("Élan Vert")
    shop.deliver_all()
    for day in ("2024-03-08", "2024-03-22", "2024-04-21", "2024-05-21", "2024-05-26"):
        shop.move_to(f"{day} 15:00")
        shop.sweep()
    reminders = shop.rows("messages", template="invitation_reminder")
    assert len(reminders) == 4
    assert shop.deliver_all() == 0, "it is Sunday"
    shop.move_to("2024-05-27 08:00")
    assert shop.deliver_all() == 1
    states = [row.state for row in sorted(shop.rows("messages", template="invitation_reminder"), key=_sequence)]
    assert states == ["superseded", "superseded", "superseded", "sent"]
    assert [parcel.recipients for parcel in shop.postman.delivered] == [(ZOE,), (ZOE,)]
    assert shop.clean()


def _sequence(row: object) -> int:
    return int(row.key.split(":")[1])  # type: ignore[attr-defined] # rows are typed by their columns alone


def test_a_daemon_that_comes_back_at_night_sends_in_the_morning(shop: Shop) -> None:
    customer = shop.invite("Élan Vert")
    shop.deliver_all()
    shop.authorize(customer)
    shop.move_to("2024-03-04 22:00")
    assert shop.deliver_all() == 1, "Bob's own"
    assert shop.mail("products_added").state == "waiting"
    shop.move_to("2024-03-05 08:00")
    assert shop.deliver_all() == 1
