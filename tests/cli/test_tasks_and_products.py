"""`vipflow task` and `vipflow catalogue`: what there is to do, and what there is to sell."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.rehearsed import NOW, build


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tasks") / "vipflow.db"
    build(f"sqlite:///{file}")
    return file


@pytest.fixture
def shop(cli: Cli, played: Path, tmp_path: Path) -> Cli:
    shutil.copy(played, tmp_path / "vipflow.db")
    (tmp_path / "config.toml").write_text(
        f'[database]\nurl = "sqlite:///{tmp_path / "vipflow.db"}"\n[clock]\nstands_at = {NOW.isoformat()}\n'
    )
    return cli


def test_tasks_come_overdue_first_with_the_command_that_settles_each(shop: Cli) -> None:
    listed = shop("task", "list", "--json").json
    assert listed["counts"] == {"order_to_place": 3, "late_customer": 2, "renewal_to_order": 2}
    assert [(task["kind"], task["overdue"], task["urgent"]) for task in listed["items"][:2]] == [
        ("order_to_place", True, True),
        ("late_customer", False, True),
    ]
    first = listed["items"][0]
    assert (first["company"], first["due_on"], first["manager"]) == ("Late", "2024-03-15", "bob@north.example")
    shown = " ".join(shop("task", "list").out.split())
    assert "15 Mar 2024 Place the order with Adobe: 5 licences Late bob@north.example" in shown
    assert "6 days late" in shown
    for task in listed["items"]:
        words = {"order_to_place": "order place --authorization", "late_customer": "authorization remind"}
        named = (
            f"{words[task['kind']]} {task['case']}" if task["kind"] in words else f"renewal order {task['customer']}"
        )
        assert f"vipflow {named}" in shown
    assert shop("order", "place", "--authorization", first["case"]).code == 0
    assert shop("task", "list", "--customer", "late").out == "No task fits.\n"


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["--kind", "renewal_to_order"], 2),
        (["--customer", "late"], 2),
        (["--mine", "--as", "bob@north.example"], 7),
        (["--manager", "ada@north.example"], 0),
        (["--due-before", "2024-03-21"], 1),
    ],
)
def test_tasks_are_narrowed(shop: Cli, filters: list[str], count: int) -> None:
    assert len(shop("task", "list", *filters, "--json").json["items"]) == count


def test_tasks_come_page_by_page_each_once(shop: Cli) -> None:
    whole = shop("task", "list", "--json").json["items"]
    found: list[dict[str, object]] = []
    after: list[str] = []
    while True:
        page = shop("task", "list", "--limit", "2", *after, "--json").json
        found += page["items"]
        if page["next"] is None:
            break
        after = ["--after", page["next"]]
    assert found == whole


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["task", "list", "--kind", "order_to_plce"], 2, "did you mean order_to_place?"),
        (["task", "list", "--due-before", "soon"], 2, "'soon' is no day"),
        (["task", "list", "--after", "x"], 2, "no page ends there"),
        (["task", "list", "--mine"], 2, "nobody said who you are"),
        (["catalogue", "list", "--segment", "comercial"], 2, "did you mean commercial?"),
        (["catalogue", "list", "--category", "cc"], 2, "choose acrobat-enterprise"),
        (["catalogue", "list", "--search", "photoshp"], 4, "did you mean photoshop?"),
        (
            ["catalogue", "list", "--search", "65305156CA01A13"],
            4,
            "did you mean 65305156CA01A12 (Photoshop for Teams)",
        ),
        (["catalogue", "list", "--search", " "], 2, "it is empty"),
        (["catalogue", "list", "--customer", "C-0000-0000"], 4, "there is no customer"),
        (["catalogue", "show", "photoshop"], 2, "it fits 2: Photoshop for Teams (65305156CA01A12), "),
        (["catalogue", "show", "xyz"], 4, "there are: "),
    ],
)
def test_what_is_not_there_is_said_with_what_comes_close(shop: Cli, arguments: list[str], code: int, says: str) -> None:
    found = shop(*arguments)
    assert (found.code, found.out) == (code, "")
    assert says in found.err


def test_the_catalogue_says_who_may_buy_and_how_by_the_resellers_policy(shop: Cli) -> None:
    listed = shop("catalogue", "list", "--json").json["items"]
    assert len({product["segment"] for product in listed}) == 3
    direct = {product["category"] for product in listed if not product["by_authorization"]}
    assert direct
    assert "acrobat-enterprise" not in direct
    shop("policy", "set", 'categories_without_authorization=["acrobat-enterprise"]')
    listed = shop("catalogue", "list", "--search", "Acrobat Pro", "--json").json["items"]
    assert {product["by_authorization"] for product in listed if product["category"] == "acrobat-enterprise"} == {False}
    shown = shop("catalogue", "show", "65322648")
    assert "direct order only (policy vip-2024 of north)" in " ".join(shown.out.split())
    assert "To buy: vipflow order place --direct CUSTOMER --product 65322648CA01A12=QUANTITY" in shown.err


def test_of_a_customer_its_segment_is_listed_what_it_is_offered_first(shop: Cli) -> None:
    listed = shop("catalogue", "list", "--customer", "pending", "--json").json["items"]
    assert {product["segment"] for product in listed} == {"commercial"}
    families = [product["family"] == "teams" for product in listed]
    assert families == sorted(families, reverse=True)
    assert any(families)
    assert not all(families)


# --- what a hold means for what may be done, and for what comes -----------------------------------------------------


def test_explain_says_that_nothing_is_possible_under_a_hold_and_from_when_it_is(shop: Cli) -> None:
    free = {each["event"]: each for each in shop("explain", "PENDING", "--json").json["possibilities"]}
    hold = shop("hold", "customer", "pending", "--reason", "a complaint", "--until", "2024-03-28", "--json").json[
        "hold"
    ]
    told = shop("explain", "PENDING", "--json").json
    assert [each["id"] for each in told["holds"] if not each["mail_only"]] == [hold["id"]]
    for each in told["possibilities"]:
        assert (each["possible"], each["reasons"][0]["code"]) == (False, "on_hold")
        opens_at = "2024-03-27T23:00:00Z" if free[each["event"]]["possible"] else each["opens_at"]
        assert each["opens_at"] == opens_at
    shown = " ".join(shop("explain", "PENDING").out.split())
    assert f"is on hold since 2024-03-21 10:00, until 2024-03-28, by operator: a complaint ({hold['id']})." in shown
    assert "staff are refused; what systems report is kept." in shown
    assert f"purchase_authorization.cancel On hold by {hold['id']}. 2024-03-28" in shown
    shop("hold", "everything", "--reason", "moving")
    endless = shop("explain", "PENDING", "--json").json
    assert {each["opens_at"] for each in endless["possibilities"]} == {None}
    assert "Everything is on hold since" in shop("explain", "PENDING").out


def test_next_says_of_each_line_whether_it_waits_for_a_hold(shop: Cli) -> None:
    shop("release", "--all", "--reason", "settled")
    shop("catchup", "approve", "--reason", "read")
    assert not any(
        step["waits_for"] or step["mails_wait_for"] for step in shop("next", "pending", "--json").json["steps"]
    )
    hold = shop("hold", "customer", "pending", "--reason", "a complaint", "--until", "2024-03-28", "--json").json[
        "hold"
    ]
    steps = shop("next", "pending", "--json").json["steps"]
    assert {step["waits_for"] for step in steps if step["at"] < "2024-03-27T23:00:00Z"} == {hold["id"]}
    assert {step["waits_for"] for step in steps if step["at"] >= "2024-03-27T23:00:00Z"} == {None}
    shown = shop("next", "pending").out
    assert "a complaint" in shown.partition("\n")[0]
    assert f"waits for {hold['id']}" in shown
    shop("release", hold["id"], "--reason", "settled")
    mails = shop("hold", "everything", "--mail-only", "--reason", "moving", "--json").json["hold"]
    steps = shop("next", "pending", "--json").json["steps"]
    assert {(step["waits_for"], step["mails_wait_for"]) for step in steps} == {
        (None, mails["id"] if step["mails"] else None) for step in steps
    }
    assert f"mails wait for {mails['id']}" in shop("next", "pending").out
    assert "The year goes on; its mails wait." in shop("next", "pending").out
