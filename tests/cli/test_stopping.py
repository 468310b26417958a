"""Holds, releases, incidents and catching up, as they are asked for at the command line."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.cli.conftest import Cli, event, json_lines
from vipflow.clock import HostClock
from vipflow.store.database import open_database
from vipflow.store.types import instant_text

WHY = ("--reason", "a complaint")


def post(cli: Cli, id: str, type: str, subject: str, **data: object) -> dict[str, object]:
    posted = cli("event", "post", "-", "--json", stdin=json_lines(event(id, type, subject, **data)).encode())
    assert posted.code == 0, posted.err
    return dict(posted.json)


# --- holds ---------------------------------------------------------------------------------------------------------


def test_a_customer_is_held_listed_and_released(cli: Cli, elan: str) -> None:
    made = cli("hold", "customer", elan, *WHY, "--until", "2099-06-01", "--as", "ada@nord.example")
    assert made.code == 0, made.err
    assert f"{elan} is on hold until 2099-06-01" in made.out
    assert "1 customer" in made.out
    assert "vipflow release H-" in made.err
    listed = cli("hold", "list")
    assert elan in listed.out
    assert "a complaint" in listed.out
    (hold,) = cli("hold", "list", "--json").json["items"]
    assert (hold["customer"], hold["reseller"], hold["made_by"]) == (elan, "nord", "ada@nord.example")
    assert f"all, by ada@nord.example: a complaint ({hold['id']})" in cli("customer", "show", elan).out
    again = cli("hold", "customer", elan, *WHY)
    assert "is on hold already" in again.out
    assert post(cli, "9", "customer.note", "customers/k-1", text="hello")["outcomes"] == {"parked": 1}
    shown = cli("release", hold["id"].lower(), "--reason", "settled", "--dry-run")
    assert "would be released" in shown.out
    assert "Events that were kept, applied: 1." in shown.out
    assert "note" in shown.out
    released = cli("release", hold["id"], "--reason", "settled")
    assert f"{hold['id']} ({elan}) is released." in released.out
    assert "applied now: 1." in released.out
    assert cli("hold", "list").out == "Nothing is on hold.\n"
    assert "settled" in cli("hold", "list", "--all").out
    assert cli("release", hold["id"], "--reason", "again").code == 5


def test_staff_read_why_they_cannot_act(cli: Cli, elan: str) -> None:
    cli("hold", "customer", elan, *WHY)
    done = cli("customer", "note", elan, "they called")
    assert done.code == 3
    assert "on hold, by operator: a complaint" in done.err
    assert "Release the hold H-" in done.err


def test_everything_and_a_reseller_are_held_and_all_is_released(cli: Cli, elan: str) -> None:
    preview = cli("hold", "everything", "--mail-only", *WHY, "--dry-run")
    assert "All mail would be put on hold until released.\n  It would stop 1 customer" in preview.out
    assert cli("hold", "list").out == "Nothing is on hold.\n"
    assert cli("hold", "everything", *WHY, "--json").json["outcome"] == "made"
    assert cli("hold", "reseller", "nord", "--mail-only", *WHY).code == 0
    assert cli("release", "--reason", "no").code == 2
    released = cli("release", "--all", "--reason", "go on")
    assert released.out.count("is released.") == 2
    assert cli("release", "--all", "--reason", "go on").out == "Nothing is on hold.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["hold", "customer", "C-0000-0000", "--reason", "x"], 4, "there is no customer"),
        (["hold", "everything", "--reason", " "], 2, "it is empty"),
        (["hold", "everything", "--reason", "x", "--until", "2020-01-01"], 2, "has begun already"),
        (["hold", "everything", "--reason", "x", "--until", "soon"], 2, "is no day"),
        (["hold", "everything", "--reason", "x", "--as", "vic@nord.example"], 3, "Your role (viewer)"),
        (["hold", "reseller", "sud", "--reason", "x"], 4, "there is no reseller sud"),
        (["release", "H-0000-0000", "--reason", "x"], 4, "there is no hold H-0000-0000"),
        (["incident", "retry"], 2, "name one, or a group with --cause"),
        (["incident", "dismiss", "N-0000-0000", "--reason", "x"], 4, "there is no incident"),
        (["incident", "show", "G-0000-0000"], 4, "there is no group of incidents"),
        (["catchup", "approve", "--reason", "x", "--as", "bob@nord.example"], 3, "Your role"),
        (["catchup", "skip-grace", "--as", "bob@nord.example"], 3, "Your role"),
    ],
)
def test_what_cannot_be_is_said(cli: Cli, elan: str, arguments: list[str], code: int, says: str) -> None:
    found = cli(*arguments)
    assert (found.code, says in found.err) == (code, True), found
    as_json = cli(*arguments, "--json")
    assert as_json.code == code


def test_of_several_resellers_one_is_held_alone_and_everything_by_no_team(
    cli: Cli, elan: str, add_reseller: Callable[..., int]
) -> None:
    add_reseller("sud", zoe="admin")
    assert cli("hold", "everything", *WHY, "--reseller", "sud", "--as", "zoe@sud.example").code == 3
    assert "The reseller sud is on hold" in cli("hold", "reseller", "sud", *WHY).out
    assert cli("hold", "list", "--reseller", "nord").out == "Nothing is on hold.\n"
    assert "reseller sud" in cli("hold", "list").out


# --- incidents -----------------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(cli: Cli, elan: str, place: Path) -> str:
    """A customer whose facts cannot be read: an event for it is quarantined. Its facts."""
    database = open_database(f"sqlite:///{place / 'var' / 'vipflow.db'}")
    with database.write() as connection:
        facts = connection.execute(text("SELECT facts FROM cases WHERE ref = :ref"), {"ref": elan}).scalar_one()
        connection.execute(text("UPDATE cases SET facts = '{}' WHERE ref = :ref"), {"ref": elan})
    database.dispose()
    found = cli("event", "post", "-", stdin=json_lines(event("9", "customer.note", "customers/k-1", text="x")).encode())
    assert found.code == 1
    return str(facts)


def test_incidents_are_seen_by_cause_and_tried_again(cli: Cli, elan: str, stopped: str, place: Path) -> None:
    (group,) = cli("incident", "list", "--json").json["items"]
    assert (group["kind"], group["count"]) == ("quarantined", 1)
    listed = cli("incident", "list")
    assert group["group"] in listed.out
    assert "Mend the cause" in listed.out
    shown = cli("incident", "show", group["group"])
    assert group["example"] in shown.out
    assert cli("incident", "list", "--each", "--json").json["items"][0]["id"] == group["example"]
    failed = cli("incident", "retry", group["example"])
    assert "failed again, and its incident is open again" in failed.out
    database = open_database(f"sqlite:///{place / 'var' / 'vipflow.db'}")
    with database.write() as connection:
        connection.execute(text("UPDATE cases SET facts = :facts WHERE ref = :ref"), {"facts": stopped, "ref": elan})
    database.dispose()
    done = cli("incident", "retry", "--cause", group["group"], "--reason", "mended")
    assert "Its event is applied now." in done.out
    assert cli("incident", "list").out == "No incident is open.\n"
    assert "retried: mended" in cli("incident", "list", "--all").out


def test_an_incident_is_dismissed_with_a_reason(cli: Cli, elan: str, stopped: str) -> None:
    ident = cli("incident", "list", "--each", "--json").json["items"][0]["id"]
    assert cli("incident", "dismiss", ident).code == 2
    assert cli("incident", "dismiss", ident, "--reason", "they erred", "--as", "vic@nord.example").code == 3
    assert "dismissed" in cli("incident", "dismiss", ident, "--reason", "they erred").out
    assert "closed already" in cli("incident", "dismiss", ident, "--reason", "they erred").out
    shown = cli("incident", "show", ident)
    assert "dismissed" in shown.out
    assert "they erred" in shown.out


# --- catching up ---------------------------------------------------------------------------------------------------


def test_catching_up_is_shown_and_approved(cli: Cli, elan: str, place: Path) -> None:
    assert cli("catchup", "show").out.startswith("No mail waits for an approval.\n")
    assert cli("catchup", "approve", *WHY).out == "No mail waited for an approval.\n"
    assert cli("catchup", "skip-grace").out == "No timer waits.\n"
    from vipflow.config import load_settings
    from vipflow.operations.catchup import CatchUp
    from vipflow.operations.installation import open_installation

    installation = open_installation(load_settings(place / "config.toml"))
    long_ago = (installation.clock.now() - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with installation.database.write() as connection:
        connection.execute(
            text(
                "INSERT INTO daemons (id, host, pid, version, started_at, beat_at, details) "
                "VALUES ('d', 'here', 1, '0', :at, :at, '{}')"
            ),
            {"at": long_ago},
        )
    CatchUp(installation).begin()
    installation.close()
    shown = cli("catchup", "show")
    assert "Timers wait until" in shown.out
    assert "Mail of everything waits for an approval" in shown.out
    assert "the clock stands" in shown.out
    assert "Would leave now" in shown.out or "Would not leave" in shown.out
    assert cli("catchup", "show", "--json").json["holds"][0]["kind"] == "clock"
    assert "Timers fire at once" in cli("catchup", "skip-grace").out
    approved = cli("catchup", "approve", *WHY, "--discard-older-than", "1")
    assert "Mails may leave" in approved.out
    assert cli("hold", "list").out == "Nothing is on hold.\n"


def test_a_daemon_that_cannot_write_its_notes_says_so_and_does_not_start(cli: Cli, place: Path) -> None:
    (place / "var" / "daemon").write_text("a file, where the folder should be")
    found = cli("serve", "--port", "0")
    assert found.code == 2
    assert f"the folder {place}/var/daemon: a daemon cannot write its notes there" in found.err
    assert "set daemon.folder in config.toml" in found.err


def test_a_daemon_killed_a_moment_ago_can_be_told_by_when_it_was_last_seen(cli: Cli, nord: int, place: Path) -> None:
    database = open_database(f"sqlite:///{place / 'var' / 'vipflow.db'}")
    now = HostClock().now()
    with database.write() as connection:
        for name, ago in (("a", 25), ("b", 300), ("c", 86_400)):
            connection.execute(
                text(
                    "INSERT INTO daemons (id, host, pid, version, started_at, beat_at, details) "
                    "VALUES (:id, 'here', 1, '0', :at, :at, '{}')"
                ),
                {"id": name, "at": instant_text(now - timedelta(seconds=ago))},
            )
    database.dispose()
    found = {each["id"]: each for each in cli("daemon", "list", "--json").json["items"]}
    assert (found["a"]["state"], found["b"]["state"]) == ("alive", "stale")
    assert 25 <= found["a"]["silent_for"] < 60
    shown = cli("daemon", "list").out
    assert " s ago" in shown
    assert "5 min ago" in shown
    assert f"{now - timedelta(days=1):%Y-%m-%d %H:%M:%S} UTC" in shown
