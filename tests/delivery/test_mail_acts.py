"""What people do with mails by hand: who may, from which state, once, and never unseen."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from tests.delivery.shop import Shop, no_such_user
from vipflow.delivery.transport import Outcome
from vipflow.engine.verify import verify
from vipflow.errors import NotFound
from vipflow.operations.inspection import message_text
from vipflow.operations.mails import Wanted
from vipflow.store.database import Database

ZOE = "elan@elan-vert.example"
NO_ANSWER = Outcome("uncertain", "answer", "the line dropped")


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


@pytest.fixture
def dead(shop: Shop) -> str:
    """The key of Zoé's invitation, which her server refused."""
    shop.invite("Élan Vert")
    shop.postman.answers = lambda parcel: (
        Outcome("permanent", "content", "554 5.7.1 spam", 554) if parcel.recipients == (ZOE,) else None
    )
    shop.deliver_all()
    shop.postman.answers = lambda parcel: None
    return str(shop.mail("invitation").key)


def test_a_dead_mail_that_is_retried_leaves_the_same_and_its_incident_is_closed(shop: Shop, dead: str) -> None:
    kept = bytes(shop.mail("invitation").body)
    acted = shop.act("retry", dead, reason="their filter is mended")
    (moved,) = acted.moved
    assert (moved.before, moved.after, moved.recipient) == ("dead", "waiting", "Zoé Roux")
    assert shop.deliver_all() == 1
    assert shop.postman.delivered[-1].content == kept
    assert shop.mail("invitation").state == "sent"
    (incident,) = shop.rows("incidents")
    assert (incident.outcome, incident.closed_by, incident.remark) == (
        "retried",
        "ada@north.example",
        "their filter is mended",
    )
    (act,) = shop.acts()
    assert (act.act, act.target, act.actor, act.reason) == (
        "mail.retry",
        dead,
        "ada@north.example",
        "their filter is mended",
    )
    assert json.loads(act.details)["from"] == "dead"
    (told,) = message_text(shop.installation, shop.who("vic"), dead).acts
    assert (told.act, told.by, told.details["to"]) == ("mail.retry", "ada@north.example", "waiting")
    assert shop.clean()


def test_what_goes_back_without_an_act_is_found(shop: Shop, dead: str) -> None:
    with shop.database.write() as connection:
        connection.execute(text("UPDATE messages SET state = 'waiting' WHERE state = 'dead'"))
    report = verify(shop.database, shop.installation.workflows, shop.installation.trade, now=shop.clock.now())
    (finding,) = report.found("I7")
    assert finding.record == f"message {dead}"
    assert "it was dead, and is waiting again, and nobody asked for it" in finding.problem


def test_an_act_done_twice_counts_once(shop: Shop, dead: str) -> None:
    assert len(shop.act("retry", dead).moved) == 1
    again = shop.act("retry", dead)
    assert again.moved == ()
    assert [(left.why, left.done) for left in again.left] == [("it is waiting already", True)]
    assert len(shop.acts()) == 1


def test_what_was_sent_is_never_sent_again(shop: Shop) -> None:
    shop.invite("Élan Vert")
    shop.deliver_all()
    key = shop.mail("invitation").key
    for act in ("retry", "hold", "discard"):
        acted = shop.act(act, key, reason="why not")
        assert acted.moved == ()
        assert shop.mail("invitation").state == "sent"
    assert shop.acts() == []


def test_an_uncertain_mail_that_is_retried_gets_one_more_copy(shop: Shop) -> None:
    shop.invite("Élan Vert")
    shop.postman.answers = lambda parcel: NO_ANSWER
    for _ in range(3):
        shop.deliver()
        shop.pass_(hours=2)
    invitation = shop.mail("invitation")
    assert (invitation.state, invitation.copies) == ("uncertain", 3)
    assert shop.act("retry", invitation.key).moved[0].copies == 3
    shop.deliver()
    invitation = shop.mail("invitation")
    assert (invitation.state, invitation.copies) == ("uncertain", 4)
    assert len({parcel.content for parcel in shop.postman.delivered}) == 1
    (incident,) = shop.rows("incidents")
    assert (incident.kind, incident.closed_at) == ("mail_uncertain", None), "it is open again"
    assert shop.clean()


def test_a_mail_that_is_held_stays_until_it_is_released(shop: Shop) -> None:
    shop.invite("Élan Vert")
    key = shop.mail("invitation").key
    shop.act("hold", key, name="bob", reason="wrong address?")
    assert shop.deliver_all() == 0
    held = shop.mail("invitation")
    assert (held.state, held.note) == ("held", "held by bob@north.example: wrong address?")
    assert "release it" in shop.act("retry", key, name="bob").left[0].why
    assert shop.act("release", key, name="bob", reason="it is right").refused is not None
    assert shop.act("release", key, name="otto").refused is not None, "a reason is needed"
    shop.act("release", key, name="otto", reason="it is right")
    assert shop.deliver_all() == 1
    assert [row.act for row in shop.acts()] == ["mail.hold", "mail.release"]
    assert shop.clean()


def test_a_mail_that_is_discarded_never_leaves(shop: Shop) -> None:
    shop.invite("Élan Vert")
    key = shop.mail("invitation").key
    assert shop.act("discard", key, name="otto").refused is not None, "a reason is needed"
    shop.act("discard", key, name="otto", reason="invited by mistake")
    assert shop.deliver_all() == 0
    discarded = shop.mail("invitation")
    assert (discarded.state, discarded.note) == ("discarded", "discarded by otto@north.example: invited by mistake")
    assert shop.act("retry", key).moved == ()
    assert shop.clean()


@pytest.mark.parametrize(
    ("act", "may"),
    [
        ("retry", {"ada", "bob", "sam"}),
        ("hold", {"ada", "bob", "sam", "otto"}),
        ("release", {"ada", "otto"}),
        ("discard", {"ada", "otto"}),
    ],
)
def test_each_role_may_do_its_acts(shop: Shop, act: str, may: set[str]) -> None:
    shop.invite("Élan Vert")
    shop.postman.answers = no_such_user(ZOE)
    if act in ("retry", "release"):
        shop.deliver_all()
    if act == "release":
        shop.act("retry", shop.mail("invitation").key)
        shop.act("hold", shop.mail("invitation").key)
    key = shop.mail("invitation").key
    allowed = set()
    for name in ("ada", "bob", "cleo", "sam", "otto", "vic"):
        acted = shop.act(act, key, name=name, reason="so", dry_run=True)  # type: ignore[arg-type] # one of the four
        if acted.moved:
            allowed.add(name)
        elif name == "cleo" and acted.refused is None:
            assert acted.left[0].why == "its customer is managed by somebody else"
    assert allowed == may


def test_all_that_fit_are_moved_and_a_dry_run_moves_none(shop: Shop) -> None:
    elan = shop.invite("Élan Vert")
    shop.authorize(elan)
    shop.authorize(shop.invite("Mer Bleue"))
    wanted = Wanted(template="products_added")
    assert len(shop.act("hold", wanted=wanted, dry_run=True).moved) == 2
    assert {row.state for row in shop.rows("messages")} == {"waiting"}
    assert len(shop.act("hold", wanted=Wanted(template="products_added", customer=elan)).moved) == 1
    assert len(shop.act("hold", wanted=wanted).moved) == 1
    assert len(shop.act("release", wanted=Wanted(), reason="go").moved) == 2
    assert len(shop.acts()) == 4
    assert shop.clean()


def test_a_key_that_no_mail_has_is_said(shop: Shop) -> None:
    with pytest.raises(NotFound, match="there is no message X-1"):
        shop.act("retry", "X-1")
