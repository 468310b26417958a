"""Mails that come back: the address is not written to any more, and the account manager learns of it, once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.delivery.library import Library
from tests.delivery.shop import Shop, no_such_user, text_of
from vipflow.delivery.transport import Outcome, Parcel
from vipflow.operations import customers, mails
from vipflow.store.database import Database
from vipflow.vip.records import Recipient

ZOE = "elan@elan-vert.example"
MAX = Recipient("Max Petit", "max@elan-vert.example")


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


def test_an_address_that_is_refused_for_good_is_not_written_to_any_more(shop: Shop) -> None:
    elan = shop.invite("Élan Vert")
    shop.postman.answers = no_such_user(ZOE)
    report = shop.deliver()
    assert (report.sent, report.dead) == (0, 1)
    invitation = shop.mail("invitation")
    assert (invitation.state, invitation.copies) == ("dead", 0)
    assert invitation.note == "refused at recipients: 5.1.1 no such user"
    (suppressed,) = shop.rows("suppressions")
    assert (suppressed.address, suppressed.message, suppressed.says) == (ZOE, invitation.key, "550 5.1.1 no such user")

    shop.authorize(elan)
    shop.deliver_all()
    added = shop.mail("products_added")
    assert (added.state, added.attempts) == ("held", 0), "not even tried"
    assert f"vipflow mail unsuppress {ZOE}" in added.note
    assert shop.incidents() == ["mail_dead", "mail_held"]
    assert shop.clean()


def test_the_account_manager_learns_of_a_bounce_once(shop: Shop) -> None:
    shop.invite("Élan Vert")
    shop.postman.answers = no_such_user(ZOE)
    shop.deliver()
    shop.deliver_all()
    (told,) = [parcel for parcel in shop.postman.delivered if parcel.recipients == ("bob@north.example",)]
    assert ZOE in text_of(told)
    assert "no such user" in text_of(told)
    key = shop.mail("invitation").key

    # The mailbox of bounces tells of the same one, twice.
    for ident in ("1", "2"):
        posted = shop.post("message.bounce", id=ident, address=ZOE.upper(), diagnosis="550 unknown", message=key)
        assert (posted.outcomes, posted.replayed, posted.types) == ({"applied": 1}, 1, {"message.bounce": 1})
    shop.deliver_all()
    assert len(shop.rows("messages", template="mail_bounced")) == 1
    assert shop.clean()


@pytest.mark.parametrize("named", ["key", "Message-ID"])
def test_a_bounce_that_comes_later_finds_its_customer_by_the_mail(shop: Shop, named: str) -> None:
    shop.invite("Élan Vert")
    shop.deliver_all()
    row = shop.mail("invitation")
    name = row.key if named == "key" else row.message_id
    posted = shop.post("message.bounce", "customers/?", address=ZOE, diagnosis="550 5.1.1 user unknown", message=name)
    assert (posted.outcomes, posted.replayed) == ({"applied": 1}, 0)
    assert shop.deliver_all() == 1
    assert ZOE in text_of(shop.postman.delivered[-1])
    row = shop.mail("invitation")
    assert (row.state, row.note) == ("sent", f"it came back from {ZOE}: 550 5.1.1 user unknown")
    assert [each.address for each in shop.rows("suppressions")] == [ZOE]
    assert shop.clean()


def test_a_delay_is_told_and_the_address_is_still_written_to(shop: Shop) -> None:
    elan = shop.invite("Élan Vert")
    posted = shop.post("message.bounce", f"customers/{elan}", address=ZOE, diagnosis="delayed", permanent=False)
    assert posted.outcomes == {"applied": 1}
    assert shop.rows("suppressions") == []
    assert shop.post("message.bounce", f"customers/{elan}", address=ZOE, diagnosis="delayed", permanent=False).replayed
    assert shop.clean()


def test_a_bounce_that_speaks_of_a_policy_leaves_the_address_alone(shop: Shop) -> None:
    elan = shop.invite("Élan Vert")
    blocked = "550 5.7.1 blocked by a list"
    assert shop.post("message.bounce", f"customers/{elan}", address=ZOE, diagnosis=blocked).outcomes == {"applied": 1}
    assert shop.rows("suppressions") == []


@pytest.mark.parametrize(
    "diagnosis",
    [
        "smtp; 550 client 5.1.97.3 is blocked",
        "550 10.5.1.2 is listed at a list",
        "smtp; 452 4.2.2 mailbox full",
        "smtp; 552 mailbox full",
        "421 try again later",
    ],
)
def test_a_bounce_that_says_nothing_of_the_mailbox_itself_leaves_the_address_alone(shop: Shop, diagnosis: str) -> None:
    elan = shop.invite("Élan Vert")
    posted = shop.post("message.bounce", f"customers/{elan}", address=ZOE, diagnosis=diagnosis)
    assert posted.outcomes == {"applied": 1}
    assert shop.rows("suppressions") == []


@pytest.mark.parametrize("diagnosis", ["smtp; 550 5.1.1 no such user", "550-5.1.1 no such user", "no such user", ""])
def test_a_bounce_that_says_it_of_the_mailbox_does_not(shop: Shop, diagnosis: str) -> None:
    elan = shop.invite("Élan Vert")
    shop.post("message.bounce", f"customers/{elan}", address=ZOE, diagnosis=diagnosis)
    assert [row.address for row in shop.rows("suppressions")] == [ZOE]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"address": ZOE}, "it names no mail of ours"),
        ({"address": ZOE, "message": "X-1:2:y:z"}, "no mail of ours is 'X-1:2:y:z'"),
        ({"address": "zoe"}, "'zoe' is no e-mail address"),
        ({"address": "zoe@elan.example\0"}, "holds the character U+0000"),
        ({"adress": ZOE}, "message.bounce takes address, diagnosis, message, permanent"),
    ],
)
def test_a_bounce_of_nothing_is_bad_input(shop: Shop, data: dict[str, Any], says: str) -> None:
    posted = shop.post("message.bounce", **data)
    (line,) = posted.bad
    assert line.outcome == "bad_input"
    assert says in str(line.problem)


def test_a_bounce_about_a_bounce_goes_round_in_no_circle(shop: Shop) -> None:
    shop.invite("Élan Vert")
    shop.postman.answers = no_such_user(ZOE, "bob@north.example")
    for _ in range(5):
        shop.deliver_all()
        shop.pass_(hours=2)
    assert {row.template: row.state for row in shop.rows("messages")} == {"invitation": "dead", "mail_bounced": "dead"}
    assert {row.address for row in shop.rows("suppressions")} == {ZOE, "bob@north.example"}
    assert shop.incidents() == ["mail_dead", "mail_dead"]
    assert shop.clean()


def test_a_refusal_of_the_content_says_nothing_of_the_address(shop: Shop) -> None:
    shop.invite("Élan Vert")
    spam = Outcome("permanent", "content", "554 5.7.1 this looks like spam", 554)
    shop.postman.answers = lambda parcel: spam if parcel.recipients == (ZOE,) else None
    shop.deliver_all()
    assert shop.mail("invitation").state == "dead"
    assert shop.mail("mail_bounced").state == "sent"
    assert shop.rows("suppressions") == []
    assert shop.clean()


def test_a_copy_that_bounced_is_left_out_and_the_others_get_theirs(shop: Shop) -> None:
    elan = shop.invite("Élan Vert", recipients=[{"name": MAX.name, "email": MAX.email}])
    shop.postman.answers = no_such_user(MAX.email)
    shop.deliver_all()
    invitation = shop.mail("invitation")
    assert invitation.state == "sent"
    assert invitation.note == "not to max@elan-vert.example: 5.1.1 no such user"
    assert shop.mail("mail_bounced").state == "sent"
    shop.authorize(elan)
    shop.deliver_all()
    (added,) = [parcel for parcel in shop.postman.delivered if "products_added" in parcel.key]
    assert added.recipients == (ZOE,)
    assert b"max@elan-vert.example" not in added.content
    assert shop.clean()


def test_where_the_contact_bounced_the_copies_are_written_to(shop: Shop) -> None:
    elan = shop.invite("Élan Vert")
    shop.postman.answers = no_such_user(ZOE)
    shop.deliver_all()
    customers.set_recipients(shop.installation, shop.who(), elan, add=[MAX])
    shop.authorize(elan)
    shop.deliver_all()
    (added,) = [parcel for parcel in shop.postman.delivered if "products_added" in parcel.key]
    assert added.recipients == ("max@elan-vert.example",)
    assert shop.clean()


def test_an_address_is_written_to_again_when_somebody_says_why(shop: Shop) -> None:
    elan = shop.invite("Élan Vert")
    shop.postman.answers = no_such_user(ZOE)
    shop.deliver_all()
    shop.authorize(elan)
    shop.deliver_all()
    (listed,) = mails.suppressed_addresses(shop.installation, shop.who("vic")).items
    assert listed.address == ZOE
    assert mails.unsuppress(shop.installation, shop.who("vic"), ZOE, reason="called").refused is not None
    assert mails.unsuppress(shop.installation, shop.who("sam"), ZOE).refused is not None, "a reason is needed"
    lifted = mails.unsuppress(shop.installation, shop.who("sam"), ZOE.upper(), reason="their server is mended")
    assert lifted.suppressed == listed
    (act,) = shop.acts()
    assert (act.act, act.target, act.reason) == ("mail.unsuppress", ZOE, "their server is mended")

    shop.postman.answers = lambda parcel: None
    shop.act("retry", wanted=mails.Wanted(customer=elan))
    assert shop.deliver_all() == 2
    assert {row.state for row in shop.rows("messages")} == {"sent"}
    assert shop.clean()


def test_a_workflow_that_does_not_ask_for_bounces_shows_them_as_incidents(database: Database) -> None:
    library = Library(database)
    library.lend("Emma")
    library.postman.answers = no_such_user("emma@readers.example")
    assert library.after(days=20).dead == 1
    assert library.world.incidents() == ["mail_dead"]
    assert library.clean()


def test_a_refused_sender_is_our_own_trouble_and_no_bounce_of_the_customer(shop: Shop) -> None:
    shop.invite("Élan Vert")

    def refused(_parcel: Parcel) -> Outcome:
        return Outcome("permanent", "sender", "550 5.1.8 unknown sender", 550)

    shop.postman.answers = refused
    shop.deliver_all()
    assert shop.mail("invitation").state == "dead"
    assert shop.rows("messages", template="mail_bounced") == []
    assert shop.rows("suppressions") == []
    assert shop.incidents() == ["mail_dead"]


def test_a_mail_of_which_a_copy_may_have_arrived_stays_the_same_whoever_was_named_since(shop: Shop) -> None:
    elan = shop.invite("Élan Vert")
    shop.postman.answers = lambda parcel: Outcome("uncertain", "answer", "the line dropped")
    shop.deliver()
    shop.postman.answers = lambda parcel: None
    customers.set_recipients(shop.installation, shop.who(), elan, add=[MAX])
    shop.pass_(hours=1)
    shop.deliver_all()
    first, second = [parcel for parcel in shop.postman.delivered if parcel.key == shop.mail("invitation").key]
    assert (second.content, second.recipients) == (first.content, (ZOE,))
    assert shop.clean()


def test_a_mail_that_was_refused_leaves_to_a_recipient_who_was_named_since(shop: Shop) -> None:
    """No copy of it may have arrived: it is written anew, to whom its customer has now."""
    elan = shop.invite("Élan Vert")
    shop.postman.answers = no_such_user(ZOE)
    shop.deliver()
    key = shop.mail("invitation").key
    shop.act("retry", key)
    shop.deliver()
    held = shop.mail("invitation")
    assert (held.state, held.copies) == ("held", 0)
    assert "name a notice recipient" in held.note

    customers.set_recipients(shop.installation, shop.who(), elan, add=[MAX])
    shop.act("retry", key)
    shop.deliver_all()
    (parcel,) = [parcel for parcel in shop.postman.delivered if parcel.key == key]
    assert parcel.recipients == (MAX.email,)
    sent = shop.mail("invitation")
    assert (sent.state, bytes(sent.body)) == ("sent", parcel.content)
    assert shop.clean()


def test_an_accented_domain_that_is_dead_is_dead_however_it_is_written(shop: Shop) -> None:
    elan = shop.invite("Élan Vert", contact={"name": "Zoé Roux", "email": "zoe@élan.example"})
    gone = "550 5.1.1 no such user"
    shop.post("message.bounce", f"customers/{elan}", address="zoe@xn--lan-9la.example", diagnosis=gone)
    shop.deliver_all()
    assert shop.mail("invitation").state == "held"
    assert all("zoe@xn--lan-9la.example" not in parcel.recipients for parcel in shop.postman.delivered)
