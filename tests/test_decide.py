"""Which of several waiting mails leave: a pure question."""

from dataclasses import dataclass

from vipflow.decide import superseded


@dataclass(frozen=True)
class Waiting:
    key: str
    ladder: str | None
    case: str = "M-1"
    audience: str = "contact"


def test_of_a_ladder_only_the_newest_leaves() -> None:
    old, new = (
        Waiting("M-1:3:renewal_reminder:contact", "renewal"),
        Waiting("M-1:12:renewal_reminder:contact", "renewal"),
    )
    assert superseded([new, old]) == {old.key}


def test_a_confirmation_overtakes_the_reminders_before_it_and_is_overtaken_by_none_after_it() -> None:
    before = Waiting("M-1:3:renewal_reminder:contact", "renewal")
    confirmed = Waiting("M-1:4:renewal_partly_confirmed:contact", "renewal/outcome")
    after = Waiting("M-1:5:renewal_reminder:contact", "renewal")
    assert superseded([before, confirmed]) == {before.key}
    assert superseded([before, confirmed, after]) == {before.key}


def test_ladders_of_other_cases_people_and_mails_without_one_stand_apart() -> None:
    mails = [
        Waiting("M-1:3:renewal_reminder:contact", "renewal"),
        Waiting("M-2:4:renewal_reminder:contact", "renewal", case="M-2"),
        Waiting("M-1:5:renewal_to_follow:account_manager", "renewal", audience="account_manager"),
        Waiting("M-1:6:payment_received:contact", None),
    ]
    assert superseded(mails) == frozenset()
