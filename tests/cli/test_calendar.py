"""`vipflow calendar` gives what the vectors say, under the names of their fields."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "calendar.json").read_text(encoding="utf-8"))


def said(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "source"}


def policy_of(entry: dict[str, Any]) -> list[str]:
    return ["--policy", entry["policy"]] if "policy" in entry else []


@pytest.mark.parametrize("entry", VECTORS["renewal"], ids=str)
def test_renewal(cli: Cli, entry: dict[str, Any]) -> None:
    found = cli("calendar", "renewal", "--anniversary", entry["anniversary"], *policy_of(entry), "--json")
    assert found.code == 0
    assert found.json.items() >= said(entry).items()


@pytest.mark.parametrize("entry", VECTORS["purchase_authorization"], ids=str)
def test_authorization(cli: Cli, entry: dict[str, Any]) -> None:
    zone = ["--zone", entry["zone"]] if "zone" in entry else []
    found = cli("calendar", "authorization", "--created", entry["created"], *policy_of(entry), *zone, "--json")
    assert found.code == 0
    assert found.json.items() >= said(entry).items()


@pytest.mark.parametrize("entry", VECTORS["seat_duration"], ids=str)
def test_seats(cli: Cli, entry: dict[str, Any]) -> None:
    days = ["--anniversary", entry["anniversary"], "--added", entry["added"]]
    found = cli("calendar", "seats", *days, *policy_of(entry), "--json")
    assert found.code == 0
    assert found.json.items() >= said(entry).items()


@pytest.mark.parametrize("entry", VECTORS["first_anniversary"], ids=str)
def test_first_anniversary(cli: Cli, entry: dict[str, Any]) -> None:
    found = cli("calendar", "first-anniversary", "--order", entry["first_order"], "--json").json
    following = entry.get("following", [])
    assert (found["first_order"], found["anniversary"]) == (entry["first_order"], entry["anniversary"])
    assert found["following"][: len(following)] == following


def test_the_first_authorization_starts_the_term_where_the_policy_says_so(cli: Cli) -> None:
    days = ["calendar", "first-anniversary", "--order", "2024-03-10", "--first-authorization", "2024-02-29"]
    assert cli(*days, "--policy", "vip-2019", "--json").json["anniversary"] == "2025-02-28"
    assert cli(*days, "--policy", "vip-2019", "--json").json["following"][2] == "2028-02-29"
    assert cli(*days, "--policy", "vip-2024", "--json").json["anniversary"] == "2025-03-10"


def test_people_read_it_as_lines(cli: Cli) -> None:
    found = cli("calendar", "renewal", "--anniversary", "2025-01-16", "--policy", "vip-2019").out
    assert "window opens" in found
    assert "2025-02-15 (that day still in)" in found


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["authorization", "--created", "yesterday"], "is neither a day nor an instant"),
        (["authorization", "--created", "2024-03-01", "--zone", "Europe/Pari"], "did you mean Europe/Paris?"),
        (["seats", "--anniversary", "2024-03-01", "--added", "2024-03-01"], "is not before the anniversary"),
        (["first-anniversary", "--order", "01/02/2024"], "write it as 2024-03-01"),
    ],
)
def test_what_is_no_date_says_so(cli: Cli, arguments: list[str], says: str) -> None:
    found = cli("calendar", *arguments)
    assert found.code == 2
    assert says in found.err
