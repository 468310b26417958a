"""A policy's numbers: dated, overridable, checked as a whole, pinned by their content. No trade is needed for that."""

import copy
import pickle
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from vipflow.errors import PolicyError
from vipflow.policy import Number, Policy, PolicyBook, Schema, policy, resolve

SPRING, SUMMER, WINTER = date(2024, 4, 1), date(2024, 8, 1), date(2024, 12, 1)


class Loans(Schema, frozen=True, kw_only=True):
    """The numbers of a lending library."""

    loan_days: Annotated[int, Meta(ge=1, le=365)]
    reminder_days: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(max_length=5)]
    fine_days: Annotated[int, Meta(ge=1)] | None = None
    renewable: bool = True
    longest: dict[str, int] = {}

    def problems(self) -> Iterator[str]:
        if any(days >= self.loan_days for days in self.reminder_days):
            yield "reminder_days must be below loan_days"


TOWN = """
name = "town"
description = "The town's library."

[[versions]]
from = 2024-01-01
[versions.numbers]
loan_days = 28
reminder_days = [7, 1]
longest = { books = 84, films = 14 }

[[versions]]
from = 2024-07-01
[versions.numbers]
fine_days = 60
longest = { films = 7 }

[[versions]]
from = 2024-11-01
[versions.numbers]
fine_days = "none"
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    (tmp_path / "town.toml").write_text(TOWN, encoding="utf-8")
    return tmp_path


@pytest.fixture
def book(shelf: Path) -> PolicyBook:
    return PolicyBook.load(Loans, shelf)


def problems_of(shelf: Path, text: str) -> tuple[str, ...]:
    (shelf / "town.toml").write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as refused:
        PolicyBook.load(Loans, shelf)
    return refused.value.problems


# Versions


def test_a_number_is_an_attribute_of_the_policy(book: PolicyBook) -> None:
    town = book.in_force("town", SPRING)

    assert (town.loan_days, town.reminder_days, town.fine_days, town.renewable) == (28, (7, 1), None, True)
    assert town.longest["books"] == 84


def test_a_later_version_states_only_what_changes(book: PolicyBook) -> None:
    town = book.in_force("town", SUMMER)

    assert (town.loan_days, town.fine_days) == (28, 60)
    assert dict(town.longest) == {"books": 84, "films": 7}


def test_none_in_words_sets_a_number_back_to_null(book: PolicyBook) -> None:
    assert book.in_force("town", SUMMER).fine_days == 60
    assert book.in_force("town", WINTER).fine_days is None
    assert book.in_force("town", SUMMER, {"fine_days": "none"}).fine_days is None
    assert book.in_force("town", SUMMER, {"fine_days": None}).fine_days is None


def test_a_version_holds_from_its_first_day(book: PolicyBook) -> None:
    assert book.in_force("town", date(2024, 6, 30)).valid_from == date(2024, 1, 1)
    assert book.in_force("town", date(2024, 7, 1)).valid_from == date(2024, 7, 1)


def test_before_the_first_version_the_first_one_holds(book: PolicyBook) -> None:
    assert book.in_force("town", date(1999, 1, 1)) == book.versions("town")[0]


# Identity


def test_no_override_gives_the_shipped_id(book: PolicyBook) -> None:
    town = book.in_force("town", SPRING)

    assert book.in_force("town", SPRING, {}, {"loan_days": 28}).id == town.id
    assert book.in_force("town", SPRING, {"loan_days": 14}).id != town.id


def test_the_same_question_gives_the_same_object(book: PolicyBook) -> None:
    assert book.in_force("town", SPRING) is book.in_force("town", SPRING, {})
    assert book.in_force("town", SPRING, {"loan_days": 14}) is book.in_force("town", SPRING, {"loan_days": 14})


def test_a_customer_s_override_goes_over_the_reseller_s(book: PolicyBook) -> None:
    reseller, customer = {"loan_days": 14, "longest": {"books": 60}}, {"loan_days": 21}
    town = book.in_force("town", SPRING, reseller, customer)

    assert (town.loan_days, dict(town.longest)) == (21, {"books": 60, "films": 14})


def test_changing_an_override_afterwards_changes_no_policy(book: PolicyBook) -> None:
    override: dict[str, Any] = {"reminder_days": [3]}
    town = book.in_force("town", SPRING, override)
    override["reminder_days"].append(2)

    assert town.reminder_days == (3,)
    assert book.in_force("town", SPRING, override).reminder_days == (3, 2)


def test_a_policy_is_frozen_all_the_way_down(book: PolicyBook) -> None:
    town = book.in_force("town", SPRING)

    with pytest.raises(AttributeError, match="is frozen: loan_days cannot change"):
        town.loan_days = 1
    with pytest.raises(AttributeError, match="is frozen"):
        del town.loan_days
    with pytest.raises(TypeError):
        town.longest["books"] = 1
    with pytest.raises(TypeError):
        town.numbers["loan_days"] = 1  # type: ignore[index]  # why: that the type says so too is the point


def test_equal_content_is_one_key_in_a_set(book: PolicyBook) -> None:
    town = book.in_force("town", SPRING)
    again = Policy("town", SPRING, town.numbers)

    assert {town, again} == {town}
    assert Policy("village", SPRING, town.numbers) != town


def test_an_unknown_number_names_the_policy_and_what_was_meant(book: PolicyBook) -> None:
    with pytest.raises(
        AttributeError, match=r"policy town@\w{12} has no number loan_dais \(did you mean loan_days\?\)"
    ):
        _ = book.in_force("town", SPRING).loan_dais


@pytest.mark.parametrize("name", ["id", "numbers", "to_json", "not a word"])
def test_a_number_cannot_take_a_name_of_the_policy_s_own(name: str) -> None:
    with pytest.raises(PolicyError, match="cannot name a number"):
        Policy("town", SPRING, {name: 1})


def test_a_number_without_a_json_form_is_refused() -> None:
    with pytest.raises(PolicyError, match="since is a date"):
        Policy("town", SPRING, {"since": SPRING})


# Storage

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"[a-z]{3,8}_days", fullmatch=True), values, max_size=5), st.dates())
def test_a_stored_policy_comes_back_with_its_id(numbers: dict[str, Any], since: date) -> None:
    stored = Policy("town", since, numbers)
    again = Policy.from_json(stored.to_json())

    assert (again.id, again.valid_from, again.numbers) == (stored.id, since, stored.numbers)


def test_the_id_of_a_policy_is_the_same_in_every_release() -> None:
    assert Policy("town", SPRING, {"loan_days": 28, "note": "prêt"}).id == "town@3b6553ac5610"


def test_a_policy_survives_copy_and_pickle(book: PolicyBook) -> None:
    town = book.in_force("town", SPRING)

    assert copy.deepcopy(town) == copy.copy(town) == pickle.loads(pickle.dumps(town)) == town


def test_a_policy_stored_by_an_older_release_answers_for_numbers_added_since(book: PolicyBook) -> None:
    old = Policy("town", SPRING, {"loan_days": 28, "reminder_days": [7]})
    restored = book.restore(old.to_json())

    assert (restored.id, restored.renewable, restored.fine_days) == (old.id, True, None)
    assert restored.to_json() == old.to_json()
    assert pickle.loads(pickle.dumps(restored)).renewable is True


def test_text_that_is_no_stored_policy_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"expected the JSON that Policy\.to_json wrote"):
        Policy.from_json('{"name": "town"}')


# The word of workflow authors


def test_a_workflow_names_a_number_that_each_policy_answers_for_itself(book: PolicyBook) -> None:
    days = policy.loan_days

    assert days == Number("loan_days")
    assert str(days) == "policy.loan_days"
    assert days.of(book.in_force("town", SPRING)) == 28
    assert days.of(book.in_force("town", SPRING, {"loan_days": 9})) == 9


def test_a_plain_value_may_stand_wherever_a_number_may(book: PolicyBook) -> None:
    town = book.in_force("town", SPRING)

    assert [resolve(value, town) for value in (3, (7, 2), None, policy.loan_days)] == [3, (7, 2), None, 28]


def test_the_book_knows_which_numbers_a_workflow_may_name(book: PolicyBook) -> None:
    assert policy.loan_days.name in book.numbers
    assert policy.lone_days.name not in book.numbers


# What is wrong


def test_an_override_hears_of_all_its_problems_at_once(book: PolicyBook) -> None:
    with pytest.raises(PolicyError) as refused:
        book.in_force("town", SPRING, {"lone_days": 3, "loan_days": "14", "fine_days": 0, "renewable": 1})

    assert refused.value.name == "town"
    assert refused.value.problems == (
        "lone_days is not a number of this policy (did you mean loan_days?)",
        'loan_days = "14": write a whole number, not a text',
        "fine_days = 0: must be at least 1",
        "renewable = 1: write true or false, not a whole number",
    )
    assert refused.value.exit_code == 2


def test_numbers_that_are_right_alone_and_wrong_together_are_refused(book: PolicyBook) -> None:
    with pytest.raises(PolicyError, match="reminder_days must be below loan_days"):
        book.in_force("town", SPRING, {"loan_days": 5})


def test_a_true_is_not_taken_for_a_one(book: PolicyBook) -> None:
    with pytest.raises(PolicyError, match="loan_days = true: write a whole number, not true or false"):
        book.in_force("town", SPRING, {"loan_days": True})


def test_an_override_without_a_json_form_is_refused(book: PolicyBook) -> None:
    with pytest.raises(PolicyError, match="the overrides have no JSON form"):
        book.in_force("town", SPRING, {"loan_days": {1, 2}})


def test_an_unknown_policy_names_those_that_there_are(book: PolicyBook) -> None:
    with pytest.raises(PolicyError, match=r"no such policy \(did you mean town\?\); there are: town"):
        book.in_force("toown", SPRING)


def test_a_file_hears_of_the_problems_of_all_its_versions(shelf: Path) -> None:
    found = problems_of(shelf, TOWN.replace("loan_days = 28\n", "").replace("fine_days = 60", "fine_dais = 60"))

    town = shelf / "town.toml"
    assert f"{town} line 6: version 2024-01-01: loan_days is missing" in found
    says = "version 2024-07-01: fine_dais is not a number of this policy (did you mean fine_days?)"
    assert any(each.startswith(f"{town} line ") and each.endswith(says) for each in found)


def test_two_faulty_files_are_named_together(shelf: Path) -> None:
    village = TOWN.replace('"town"', '"village"').replace("loan_days = 28", "loan_days = 0")
    (shelf / "village.toml").write_text(village, encoding="utf-8")
    found = problems_of(shelf, TOWN.replace("loan_days = 28", 'loan_days = "28"'))

    says = 'version 2024-01-01: loan_days = "28": write a whole number, not a text'
    assert f"{shelf / 'town.toml'} line 8: {says}" in found
    assert f"{shelf / 'village.toml'} line 8: version 2024-01-01: loan_days = 0: must be at least 1" in found


def test_versions_stand_in_the_order_of_their_dates(shelf: Path) -> None:
    for earlier in ("2024-02-01", "2024-07-01"):
        found = problems_of(shelf, TOWN.replace("2024-11-01", earlier))

        says = f"version {earlier} stands after version 2024-07-01; order them by date"
        assert found == (f"{shelf / 'town.toml'} line 19: {says}",)


def test_a_policy_needs_a_version(shelf: Path) -> None:
    assert "it has no version" in problems_of(shelf, 'name = "town"\ndescription = ""\nversions = []')[0]


def test_two_files_cannot_bear_one_name(shelf: Path) -> None:
    (shelf / "twin.toml").write_text(TOWN, encoding="utf-8")

    assert problems_of(shelf, TOWN) == (f"{shelf / 'twin.toml'} line 2: two files bear this name; rename one",)


@pytest.mark.parametrize("text", ["name = ", "name = 'town'", TOWN + "\n[surprise]\n"])
def test_a_file_that_is_no_policy_is_named(shelf: Path, text: str) -> None:
    (shelf / "town.toml").write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError, match=r"policy town\.toml: "):
        PolicyBook.load(Loans, shelf)


def test_the_schema_refuses_what_it_does_not_know() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"loan_days": 1, "reminder_days": [], "surprise": 1}, Loans)
