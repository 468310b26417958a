"""`vipflow simulate`: what a file would lead to, with nothing kept."""

from pathlib import Path

import pytest

from tests.cli.conftest import AUTHORIZE, INVITE, LINES, Cli, event, json_lines

LATE = event(
    "7", "purchase_authorization.create", "customers/k-1/authorizations/PO-78", "2024-04-04T09:00:00Z", lines=LINES
)
NEXT_YEAR = event("8", "customer.note", "customers/k-1", "2025-04-04T09:00:00Z", text="called")


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "events.jsonl").write_text(json_lines(INVITE, AUTHORIZE, LATE, NEXT_YEAR), encoding="utf-8")
    return "events.jsonl"


PERIOD = ("--from", "2024-03-01", "--until", "2024-05-10")


def test_it_tells_transitions_mails_and_final_states(cli: Cli, file: str) -> None:
    found = cli("simulate", file, *PERIOD, "--json")
    assert found.code == 3
    told = found.json
    assert told["transitions"]["purchase_authorization.suspend"] == 1
    assert told["mails"]["payment_reminder"] == 1
    assert told["mails"]["licences_deactivated"] == 1
    assert told["states"]["purchase_authorization.suspended"] == 1
    assert told["events"]["outcomes"] == {"applied": 2, "refused": 1}
    assert told["ignored"] == 1
    late = next(step for step in told["steps"] if step["event"] == "purchase_authorization.fall_due")
    assert (late["at"], late["from"], late["to"]) == ("2024-03-18T23:00:00Z", "pending", "late")


def test_people_read_it_as_tables(cli: Cli, file: str) -> None:
    found = cli("simulate", file, *PERIOD)
    assert "pending → late" in found.out
    assert "Mails sent" in found.out
    assert "Cases at the end" in found.out
    assert "left out, being after the last day: 1 event" in found.out
    assert "line 3: refused" in found.err


def test_the_policy_and_the_zone_are_those_asked_for(cli: Cli, file: str) -> None:
    def late_at(*options: str) -> str:
        steps = cli("simulate", file, *PERIOD, *options, "--json").json["steps"]
        return str(next(step["at"] for step in steps if step["event"] == "purchase_authorization.fall_due"))

    assert late_at("--policy", "vip-2019") == "2024-04-03T22:00:00Z"
    assert late_at("--zone", "Pacific/Noumea") == "2024-03-18T13:00:00Z"


def test_nothing_is_kept_and_no_database_is_needed(cli: Cli, file: str, tmp_path: Path) -> None:
    cli("simulate", file, *PERIOD)
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def test_the_same_file_gives_the_same_answer(cli: Cli, file: str) -> None:
    assert cli("simulate", file, *PERIOD, "--json").out == cli("simulate", file, *PERIOD, "--json").out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["events.jsonl", "--from", "2024-03-01", "--until", "2024-02-01"], 2),
        (["events.jsonl", "--from", "March", "--until", "2024-04-01"], 2),
        (["nowhere.jsonl", *PERIOD], 2),
        (["events.jsonl", *PERIOD, "--policy", "vip-2023"], 4),
        (["events.jsonl", *PERIOD, "--zone", "Paris"], 2),
        (["events.jsonl", *PERIOD, "--language", "de"], 2),
    ],
)
def test_what_makes_no_sense_is_refused(cli: Cli, file: str, arguments: list[str], code: int) -> None:
    assert cli("simulate", *arguments).code == code
