"""`vipflow policy`: whose numbers are whose, and what becomes of running cases when they change."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from vipflow.vip.numbers import SHIPPED_POLICIES

ME = ("--as", "ada@nord.example")
STORY = "[clock]\nstands_at = 2024-03-15T10:00:00Z\n"


@pytest.fixture
def elan_in_march(place: Path, elan: str) -> str:
    """Élan Vert on 15 March 2024: its authorization of 4 March is due on the 18th."""
    (place / "config.toml").write_text(STORY)
    return elan


def test_policies_are_listed_and_shown_without_a_database(cli: Cli) -> None:
    listed = cli("policy", "list", "--json").json["items"]
    assert [each["name"] for each in listed] == ["vip-2019", "vip-2024", "vip-marketplace"]
    shown = cli("policy", "show", "vip-2019", "--words")
    assert shown.code == 0
    assert "order_due_days" in shown.out
    assert "An authorization is due so many days" in " ".join(shown.out.split())


def test_a_policy_that_is_not_there_is_named_with_the_nearest(cli: Cli) -> None:
    found = cli("policy", "show", "vip-2025")
    assert found.code == 4
    assert "did you mean vip-20" in found.err


def test_check_tells_of_a_reseller_whose_policy_no_file_has(cli: Cli, place: Path, elan: str) -> None:
    (place / "config.toml").write_text(f'{STORY}[folders]\npolicies = "ours"\n')
    (place / "ours").mkdir()
    shipped = (SHIPPED_POLICIES / "vip-2024.toml").read_text(encoding="utf-8")
    (place / "ours" / "mine.toml").write_text(shipped.replace('name = "vip-2024"', 'name = "mine-2024"'))
    assert cli("reseller", "set", "--policy", "mine-2024", *ME).code == 0
    assert cli("check").code == 0
    (place / "ours" / "mine.toml").unlink()
    found = cli("check")
    assert found.code == 1
    assert "the reseller nord follows the policy mine-2024, which no file has (did you mean vip-2024?)" in found.err


def test_the_numbers_of_a_reseller_say_who_decided_them(cli: Cli, elan_in_march: str) -> None:
    cli("policy", "set", "order_due_days=10", *ME)
    cli("policy", "set", "return_days=30", "--customer", elan_in_march, *ME)
    numbers = cli("policy", "show", "--customer", elan_in_march, "--json").json["numbers"]
    by_name = {each["name"]: each for each in numbers}
    told = {name: (by_name[name]["value"], by_name[name]["layer"], by_name[name]["by"]) for name in by_name}
    assert told["order_due_days"] == (10, "reseller", "nord")
    assert told["return_days"] == (30, "customer", elan_in_march)
    assert told["first_term_months"] == (12, "version", "vip-2024 from 2024-01-01")


def test_setting_a_number_says_whom_it_would_concern_and_how_they_may_follow(cli: Cli, elan_in_march: str) -> None:
    found = cli("policy", "set", "order_due_days=10", *ME)
    assert found.code == 0
    assert found.out == "order_due_days: the policy's → 10\n"
    assert "4 running cases have other numbers pinned" in found.err
    assert "None is touched." in found.err
    assert "vipflow policy apply --reason TEXT" in found.err
    back = cli("policy", "unset", "order_due_days", *ME)
    assert back.out == "order_due_days: 10 → the policy's\n"
    assert back.err == "No running case has other numbers pinned.\n"


def test_another_policy_for_a_reseller_says_so_too(cli: Cli, elan_in_march: str) -> None:
    found = cli("reseller", "set", "--policy", "vip-2019", *ME)
    assert found.code == 0
    assert "4 running cases have other numbers pinned" in found.err


def test_programs_are_told_too_whom_it_concerns(cli: Cli, elan_in_march: str) -> None:
    told = cli("policy", "set", "order_due_days=10", "--customer", "k-1", "--json", *ME).json
    assert sum(each["cases"] for each in told["concerned"]) == 4
    assert told["changed"]["verdict"]["verdict"] == "applied"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("set", "order_due_dais=3"), 2, "did you mean order_due_days?"),
        (("set", "order_due_days"), 2, "write NAME=VALUE"),
        (("set", "order_due_days=0"), 2, "order_due_days = 0: must be at least 1"),
        (("set", "authorization_expires_days=7"), 2, "give either order_due_days or authorization_expires_days"),
        (("set", "order_due_days=3", "order_due_days=4"), 2, "order_due_days is given twice"),
        (("set", "order_due_days=0", "--customer", "k-1"), 2, "order_due_days = 0"),
        (("unset", "order_due_days"), 2, "order_due_days is none of its own"),
        (("diff", "vip-2023"), 4, "there is no policy vip-2023"),
        (("diff", "edited.toml"), 2, "edited.toml is not there"),
        (("diff", "--after", "x"), 2, "is no place in this list"),
        (("diff", "--workflow", "orders"), 4, "did you mean order?"),
        (("apply", "--reason", " ", "--yes"), 2, "--reason: it is empty"),
        (("apply", "--reason", "why not"), 2, "there is nobody to ask"),
        (("show", "vip-2024", "--customer", "k-1"), 2, "a policy by name is nobody's"),
        (("show", "--on", "2024-02-30"), 2, "is no day of the calendar"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_changed(
    cli: Cli, elan_in_march: str, arguments: tuple[str, ...], code: int, says: str
) -> None:
    if arguments[0] == "apply":
        cli("policy", "set", "order_due_days=10", *ME)
    before = cli("history", elan_in_march).out, cli("audit", "list").out
    found = cli("policy", *arguments, *ME)
    assert (found.code, says in " ".join(found.err.split())) == (code, True), found.err
    assert (cli("history", elan_in_march).out, cli("audit", "list").out) == before


def test_who_may_not_change_numbers_is_refused(cli: Cli, elan_in_march: str) -> None:
    for arguments in (
        ("set", "order_due_days=10"),
        ("set", "order_due_days=10", "--customer", elan_in_march),
        ("apply", "--reason", "I like it", "--yes"),
    ):
        found = cli("policy", *arguments, "--as", "bob@nord.example")
        assert found.code == 3
        assert "Your role (account_manager) does not allow this." in found.err


def test_the_difference_is_shown_and_applied_when_asked_and_once(cli: Cli, elan_in_march: str) -> None:
    cli("policy", "set", "order_due_days=7", *ME)
    shown = cli("policy", "diff")
    assert "4 running cases of 1 customer have other numbers pinned than are in force" in shown.out
    assert "authorization becomes late" in shown.out
    assert "payment overdue" in shown.out
    dry = cli("policy", "apply", "--reason", "Adobe's letter", "--dry-run", *ME)
    assert dry.code == 0
    assert "Nothing is changed. Without --dry-run it is." in dry.err
    done = cli("policy", "apply", "--reason", "Adobe's letter", "--yes", *ME)
    assert done.out == "4 running cases follow the numbers in force.\n"
    again = cli("policy", "apply", "--reason", "Adobe's letter", "--yes", *ME)
    assert again.out == "All running cases have the numbers in force pinned: nothing changed.\n"
    history: Any = cli("history", elan_in_march, "--json").json["items"]
    labels = [each["label"] for each in history if each["event"] == "amend"]
    assert labels[0]["en"] == "other numbers: order_due_days 14 → 7"
    assert labels[0]["fr"] == "autres nombres\u00a0: order_due_days 14 → 7"
    with_facts = cli("history", elan_in_march, "--facts").out
    assert "timer fall_due due_on+1d: 2024-03-19 → 2024-03-12" in with_facts
    assert cli("verify").code == 0


def test_what_other_numbers_would_do_may_be_asked(cli: Cli, elan_in_march: str) -> None:
    found = cli("policy", "diff", "--number", "order_due_days=30", "--cases", "--workflow", "purchase_authorization")
    assert found.code == 0
    assert "Would be" in found.out
    assert "due_on 2024-03-18 → 2024-04-03" in found.out
    assert "these numbers are not in force" in found.err
    assert cli("policy", "diff").out.startswith("All running cases looked at have the numbers pinned that are in force")


def test_check_tells_calmly_of_a_policy_that_was_edited_in_its_place(cli: Cli, place: Path, elan_in_march: str) -> None:
    assert "keep the numbers" not in cli("check").err
    shipped = Path(__file__).parents[2] / "vipflow" / "vip" / "policies" / "vip-2024.toml"
    (place / "ours").mkdir()
    mine = place / "ours" / "ours.toml"
    mine.write_text(
        shipped.read_text().replace("vip-2024", "ours").replace("order_due_days = 14", "order_due_days = 13")
    )
    (place / "config.toml").write_text(STORY + '[folders]\npolicies = ["ours"]\n')
    assert cli("reseller", "set", "--policy", "ours", *ME).code == 0
    cli("policy", "apply", "--reason", "our own policy", "--yes", *ME)
    assert "keep the numbers" not in cli("check").err
    mine.write_text(mine.read_text().replace("order_due_days = 13", "order_due_days = 12"))
    found = cli("check")
    assert found.code == 0
    said = " ".join(found.err.split())
    assert "4 running cases keep the numbers that nord had before a policy file" in said
    assert "vipflow policy diff --reseller nord" in said
