"""Exit codes, errors, resellers, who acts, and for which day."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import AUTHORIZE, CUSTOMER, INVITE, Cli, event, json_lines
from vipflow.cli import version as version_module
from vipflow.store.database import open_database


def test_a_fault_is_one_message_on_stderr_and_one(cli: Cli, place: Path) -> None:
    (place / "var" / "vipflow.db").unlink()
    found = cli("timers")
    assert found.code == 1
    assert found.out == ""
    assert found.err == f"the database {place}/var/vipflow.db: there is none yet; make it with `vipflow db migrate`\n"
    assert not (place / "var" / "vipflow.db").exists()


def test_with_json_a_fault_is_json_on_stderr(cli: Cli, place: Path) -> None:
    (place / "var" / "vipflow.db").unlink()
    found = cli("timers", "--json")
    assert found.code == 1
    assert found.out == ""
    assert found.error["code"] == 1
    assert found.error["kind"] == "DatabaseUnusable"
    assert found.error["remedy"] == "make it with `vipflow db migrate`"


def test_what_nobody_foresaw_is_no_traceback_either(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks() -> str:
        raise KeyError("due_on")

    monkeypatch.setattr(version_module, "_sqlite", breaks)
    found = cli("version")
    assert found.code == 1
    assert found.err.startswith("something went wrong inside vipflow: KeyError: 'due_on'\n")
    assert "Traceback" not in found.err
    monkeypatch.setenv("VIPFLOW_TRACEBACK", "1")
    with pytest.raises(KeyError):
        cli("version")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["calendar", "renewl"], "No such command 'renewl'. Did you mean 'renewal'?"),
        (["calendar", "renewal", "--aniversary", "x"], "No such option: --aniversary"),
        (["calendar", "renewal"], "Missing option '--anniversary'."),
        (["timers", "--limit", "0"], "Invalid value for '--limit'"),
        (["serve", "--log-level", "loud"], "Invalid value for '--log-level': 'loud' is not one of 'debug', 'info', "),
    ],
)
def test_wrong_usage_is_two_and_says_the_right_one(cli: Cli, arguments: list[str], says: str) -> None:
    found = cli(*arguments)
    assert found.code == 2
    assert found.err.startswith(says)
    assert "Usage: vipflow" in found.err
    as_json = cli(*arguments, "--json")
    assert as_json.code == 2
    assert as_json.error["message"].startswith(says)


def test_bad_input_is_two(cli: Cli) -> None:
    found = cli("calendar", "renewal", "--anniversary", "2025-02-30")
    assert found.code == 2
    assert found.err == "--anniversary: '2025-02-30' is no day of the calendar; write it as 2024-03-01\n"


def test_refused_is_three_and_says_why(cli: Cli, nord: int) -> None:
    found = cli("event", "post", "-", "--as", "vic@nord.example", stdin=json_lines(INVITE).encode())
    assert found.code == 3
    assert found.err == "Refused: Your role (viewer) does not allow this. Ask an admin.\n"
    assert cli("history", "k-1").code == 4


def test_not_found_is_four(cli: Cli, nord: int) -> None:
    assert cli("history", "C-7K3F-9QTD").code == 4
    assert cli("history", "C-7K3F-9QTD").err == (
        "there is no record C-7K3F-9QTD; `vipflow customer list --search TEXT` looks for customers\n"
    )
    assert cli("incident", "show", "N-7K3F-9QTD").code == 4
    assert cli("mail", "show", "x").code == 4
    assert cli("calendar", "renewal", "--anniversary", "2025-01-16", "--policy", "vip-2023").code == 4


def test_the_same_id_with_another_body_is_five(cli: Cli, elan: str) -> None:
    other = {**INVITE, "data": {**CUSTOMER, "company": "Other"}}
    found = cli("event", "post", "-", stdin=json_lines(other).encode())
    assert found.code == 5
    assert "line 1: conflict: event shop/1: it was received before with another body" in found.err


def test_busy_is_six_and_says_what_to_do(cli: Cli, nord: int, place: Path) -> None:
    other = open_database(f"sqlite:///{place / 'var' / 'vipflow.db'}")
    try:
        with other.write():
            found = cli("event", "post", "-", stdin=json_lines(INVITE).encode())
    finally:
        other.dispose()
    assert found.code == 6
    assert "the first 0 lines are on disk" in found.err
    assert "post the same file again" in found.err


def test_whoever_reads_a_part_only_ends_it_quietly(tmp_path: Path) -> None:
    program = f"{shlex.quote(sys.executable)} -m vipflow workflow show purchase_authorization | head -1"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stderr == ""


# --- resellers and who ----------------------------------------------------------------------------------------------


def test_without_a_reseller_one_is_told_to_add_one(cli: Cli, place: Path) -> None:
    found = cli("timers")
    assert found.code == 2
    assert "add one: vipflow reseller add" in found.err


def test_one_reseller_needs_no_name_several_do(
    cli: Cli, nord: int, add_reseller: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("timers").code == 0
    add_reseller("sud")
    found = cli("timers")
    assert found.code == 2
    assert found.err == "the reseller: there are several; say which: --reseller nord | sud\n"
    assert cli("timers", "--reseller", "sud").code == 0
    wrong = cli("timers", "--reseller", "nrod")
    assert wrong.code == 4
    assert "did you mean nord?" in wrong.err
    monkeypatch.setenv("VIPFLOW_RESELLER", "sud")
    assert cli("timers").code == 0


def test_who_names_a_reseller_is_told_commands_that_name_it(cli: Cli, elan: str) -> None:
    shown = cli("authorization", "show", "PO-77", "--reseller", "nord")
    assert "vipflow explain --reseller nord PA-" in shown.err
    assert "vipflow history --reseller nord PA-" in shown.err
    assert "vipflow explain PA-" in cli("authorization", "show", "PO-77").err
    wrong = cli("mail", "show", "x", "--reseller", "nord")
    assert "`vipflow mail list --reseller nord`" in wrong.err


def test_one_reseller_does_not_see_the_records_of_another(
    cli: Cli, elan: str, add_reseller: Callable[..., int]
) -> None:
    add_reseller("sud")
    assert cli("history", elan, "--reseller", "nord").code == 0
    for command in ("history", "explain", "next", "timers"):
        assert cli(command, elan, "--reseller", "sud").code == 4
    key = cli("mail", "list", "--reseller", "nord", "--json").json["items"][0]["key"]
    assert cli("mail", "show", key, "--reseller", "sud").code == 4
    assert cli("mail", "list", "--reseller", "sud", "--json").json["items"] == []
    assert cli("timers", "--reseller", "sud", "--json").json["items"] == []


def test_one_acts_as_a_member_of_the_team(cli: Cli, nord: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cli("timers", "--as", "ad@nord.example")
    assert found.code == 4
    assert "did you mean ada@nord.example?" in found.err
    assert cli("timers", "--as", "Ada@nord.example").code == 0
    monkeypatch.setenv("VIPFLOW_AS", "eve@nord.example")
    assert cli("timers").code == 4


@pytest.mark.parametrize("name", ["k-1", "zoe@elan.example", "ZOE@elan.example", "PO-77"])
def test_records_are_found_by_all_their_names(cli: Cli, elan: str, name: str) -> None:
    found = cli("history", name, "--json")
    assert found.code == 0
    assert elan in {item["case"] for item in found.json["items"]} or name == "PO-77"


def test_a_reference_may_be_typed_as_one_hears_it(cli: Cli, elan: str) -> None:
    assert cli("history", elan.lower().replace("0", "o").replace("1", "l")).code == 0


def test_a_name_that_fits_two_lists_both(cli: Cli, elan: str) -> None:
    twin = event("9", "customer.invite", "customers/k-2", None, **{**CUSTOMER, "company": "Élan Bleu"})
    assert cli("event", "post", "-", stdin=json_lines(twin).encode()).code == 0
    found = cli("history", "zoe@elan.example")
    assert found.code == 2
    assert "it names several" in found.err
    assert elan in found.err


def test_times_are_of_the_reseller_and_utc_in_json(cli: Cli, elan: str) -> None:
    assert "2024-03-01 10:00" in cli("history", elan).out
    assert cli("history", elan, "--json").json["items"][0]["effective_at"] == "2024-03-01T09:00:00Z"


def test_an_authorization_of_yesterday_posted_again_changes_nothing(cli: Cli, elan: str) -> None:
    again = cli("event", "post", "-", "--json", stdin=json_lines(AUTHORIZE).encode())
    assert again.code == 0
    assert again.json["replayed"] == 1
