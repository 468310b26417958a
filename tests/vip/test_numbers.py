"""The three shipped policies say what the programme says, and an override cannot make them contradict themselves."""

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vipflow.errors import PolicyError
from vipflow.vip.numbers import DEFAULT_POLICY, Numbers, load_policies

BOOK = load_policies()
DAY = date(2024, 3, 1)
NAMES = ("vip-2019", "vip-2024", "vip-marketplace")

DIFFERENCES: list[tuple[str, Any, Any, Any]] = [
    ("order_due_days", 30, 14, None),
    ("authorization_expires_days", None, None, 7),
    ("deactivation_after_due_days", 31, 16, None),
    ("window_closes_after_days", 30, 0, 14),
    ("renews_by_itself", False, False, True),
    ("first_anniversary_from", "authorization_or_order", "order", "order"),
    ("seat_duration_unit", "months", "months", "days"),
    (
        "categories_without_authorization",
        *(("acrobat-enterprise-device", "cc-enterprise", "cc-education", "cc-education-device"),) * 2,
        (),
    ),
]

SAME: dict[str, Any] = {
    "window_opens_before_days": 30,
    "upcoming_before_days": 60,
    "upcoming_strict": False,
    "return_days": 14,
    "invitation_life_days": None,
    "first_term_months": 12,
    "longest_first_term_months": {"commercial": 36, "government": 48, "education": 48},
    "seat_part_month": "next",
    "invitation_reminder_days": (7, 21, 51, 81),
    "payment_reminder_days": 3,
    "overdue_every_days": 7,
    "deactivation_notice_days": (7, 2),
    "order_reminder_after_days": 2,
    "order_reminder_every_days": 3,
    "renewal_reminder_after_opening_days": 1,
    "renewal_reminder_in_the_middle": True,
    "renewal_reminder_before_closing_days": (7, 1),
    "parked_hours": 72,
    "office_opens": "08:00",
    "office_closes": "19:00",
    "office_days": (1, 2, 3, 4, 5),
    "adobe_mails_before_anniversary_days": (30, 0),
    "discount_levels": ((1, 1, 0), (10, 2, 5), (50, 3, 10), (100, 4, 15)),
    "discount_look_back_days": 31,
    "lines_at_most": 499,
    "quantity_at_most": 10000,
    "enterprise_quantity_at_most": 599000,
}


def test_three_policies_are_shipped_and_one_is_the_default() -> None:
    assert BOOK.names == NAMES
    assert DEFAULT_POLICY == "vip-2024"
    assert all(BOOK.description(name) for name in NAMES)


@pytest.mark.parametrize(("number", "vip_2019", "vip_2024", "marketplace"), DIFFERENCES)
def test_the_policies_differ_where_the_programme_does(
    number: str, vip_2019: object, vip_2024: object, marketplace: object
) -> None:
    assert [getattr(BOOK.in_force(name, DAY), number) for name in NAMES] == [vip_2019, vip_2024, marketplace]


@pytest.mark.parametrize("name", NAMES)
def test_the_policies_agree_on_everything_else(name: str) -> None:
    numbers = BOOK.in_force(name, DAY).numbers
    differing = {row[0] for row in DIFFERENCES}

    assert {number: value for number, value in numbers.items() if number not in differing} == SAME


def test_every_number_says_where_it_comes_from() -> None:
    lines = Path(Numbers.__module__.replace(".", "/") + ".py")
    source = (Path(__file__).parents[2] / lines).read_text(encoding="utf-8")
    for field in msgspec.structs.fields(Numbers):
        after = source.split(f"\n    {field.name}: ", 1)[1].split("\n")[1]
        assert after.strip().startswith('"""'), field.name
        assert any(tag in after for tag in ("[seed", "[adobe", "[ours]")), field.name


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_policy_comes_back_from_storage_with_its_id(name: str) -> None:
    policy = BOOK.in_force(name, DAY)

    assert BOOK.restore(policy.to_json()).id == policy.id


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ({"authorization_expires_days": 7}, "give either order_due_days or authorization_expires_days"),
        ({"order_due_days": None}, "give either order_due_days or authorization_expires_days"),
        ({"order_due_days": None, "authorization_expires_days": 7}, "deactivation_after_due_days needs order_due_days"),
        ({"order_due_days": 2}, "payment_reminder_days = 3 must be at most order_due_days = 2"),
        ({"deactivation_after_due_days": 1}, "deactivation_after_due_days = 1: must be at least 2"),
        ({"deactivation_notice_days": [16]}, "deactivation_notice_days must be below deactivation_after_due_days = 16"),
        ({"deactivation_notice_days": [2, 7]}, "deactivation_notice_days must fall"),
        ({"invitation_reminder_days": [21, 7]}, "invitation_reminder_days must rise"),
        ({"renewal_reminder_before_closing_days": [31]}, "must lie in the renewal window of 30 days"),
        ({"renewal_reminder_after_opening_days": 31}, "must lie in the renewal window of 30 days"),
        ({"first_term_months": 37}, "longest_first_term_months.commercial = 36 must be at least"),
        ({"longest_first_term_months": {"commerce": 36}}, "there is no field commerce (did you mean commercial?)"),
        ({"office_opens": "8:00"}, "office_opens = "),
        ({"office_opens": "08:00\n"}, "office_opens = "),
        ({"office_opens": "20:00"}, "office_opens = 20:00 must come before office_closes = 19:00"),
        ({"office_days": [1, 8]}, "office_days = "),
        ({"office_days": []}, "office_days = "),
        ({"office_days": [1, 1]}, "office_days names a day twice"),
        ({"discount_levels": [[2, 1, 0]]}, "discount_levels must begin with 1 licence"),
        ({"discount_levels": [[1, 1, 0], [50, 2, 5], [10, 3, 10]]}, "discount_levels must rise"),
        ({"enterprise_quantity_at_most": 9}, "enterprise_quantity_at_most must be at least quantity_at_most"),
        ({"categories_without_authorization": ["CC Enterprise"]}, "categories_without_authorization = "),
    ],
)
def test_an_override_cannot_make_the_numbers_contradict_each_other(override: dict[str, Any], problem: str) -> None:
    with pytest.raises(PolicyError) as refused:
        BOOK.in_force("vip-2024", DAY, override)

    assert problem in refused.value.problem


def test_one_segment_s_longest_term_may_be_overridden_alone() -> None:
    policy = BOOK.in_force("vip-2024", DAY, {"longest_first_term_months": {"commercial": 24}})

    assert policy.longest_first_term_months == {"commercial": 24, "government": 48, "education": 48}


def test_a_reseller_may_add_a_policy_of_its_own(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "vipflow" / "vip" / "policies" / "vip-2024.toml"
    text = shipped.read_text(encoding="utf-8").replace('name = "vip-2024"', 'name = "ours"')
    (tmp_path / "ours.toml").write_text(text, encoding="utf-8")

    assert load_policies(tmp_path).names == (*NAMES, "ours")
