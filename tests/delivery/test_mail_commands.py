"""`vipflow mail …` as people type it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, add_reseller, cli, elan, empty_database, event, json_lines, nord, place
from tests.delivery.library import Postman
from tests.delivery.shop import no_such_user
from vipflow.clock import StillClock
from vipflow.config import load_settings
from vipflow.delivery.outbox import Delivery
from vipflow.operations.installation import open_installation

__all__ = ["add_reseller", "cli", "elan", "empty_database", "nord", "place"]


IN_OFFICE_HOURS = datetime(2040, 1, 3, 10, tzinfo=UTC)


@pytest.fixture
def dead(cli: Cli, elan: str, place: Path) -> str:
    """The key of the invitation, which the server refused."""
    installation = open_installation(load_settings(place / "config.toml"), clock=StillClock(IN_OFFICE_HOURS))
    refuse = no_such_user("zoe@elan.example")
    postman = Postman(lambda parcel: refuse(parcel) if ":invitation:" in parcel.key else None)
    delivery = Delivery(installation.engine, installation.templates, postman, "nord.example")

    async def rounds() -> None:
        while not (await delivery.deliver()).came_to_nothing:
            pass

    asyncio.run(rounds())
    installation.close()
    (mail,) = mails(cli, state="dead")
    return str(mail["key"])


def mails(cli: Cli, **filters: str) -> list[dict[str, Any]]:
    options = [part for name, value in filters.items() for part in (f"--{name}", value)]
    found: list[dict[str, Any]] = cli("mail", "list", *options, "--json").json["items"]
    return found


def test_a_mail_is_looked_at_retried_and_shows_who_did_so(cli: Cli, dead: str) -> None:
    assert "recipients" in cli("mail", "list", "--state", "dead").out
    again = cli("mail", "retry", dead, "--as", "ada@nord.example", "--reason", "she has a new mailbox")
    assert (again.code, again.err) == (0, "")
    assert "dead → waiting" in again.out
    shown = cli("mail", "show", dead)
    assert "mail.retry by ada@nord.example: she has a new mailbox" in shown.err
    assert cli("mail", "show", dead, "--json").json["acts"][0]["act"] == "mail.retry"
    assert cli("mail", "retry", dead).code == 0, "done before: nothing to do"
    assert "it is waiting already" in cli("mail", "retry", dead).err


def test_who_may_not_is_told_why(cli: Cli, dead: str) -> None:
    found = cli("mail", "retry", dead, "--as", "vic@nord.example")
    assert found.code == 3
    assert "Your role (viewer) does not allow this" in found.err
    assert "managed by somebody else" in cli("mail", "retry", dead, "--as", "bob@nord.example").err
    without = cli("mail", "discard", dead)
    assert (without.code, "needs a reason" in without.err) == (3, True)
    assert cli("mail", "discard", dead, "--json").json["refused"]["code"] == "reason_required"


def test_many_are_moved_only_when_that_is_meant(cli: Cli, dead: str) -> None:
    asked = cli("mail", "retry", "--all-matching", "--state", "dead")
    assert asked.code == 2
    assert "it fits 1 mails; add --yes to do it, or --dry-run to see them" in asked.err
    dry = cli("mail", "retry", "--all-matching", "--state", "dead", "--dry-run", "--json").json
    assert ([each["key"] for each in dry["moved"]], dry["dry_run"]) == ([dead], True)
    assert [each["key"] for each in mails(cli, state="dead")] == [dead]
    done = cli("mail", "retry", "--all-matching", "--state", "dead", "--yes", "--json").json
    assert [(each["from"], each["to"]) for each in done["moved"]] == [("dead", "waiting")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "none is named"),
        (["x", "--all-matching"], "there are keys as well"),
        (["--state", "dead"], "--all-matching is missing"),
        (["--all-matching", "--state", "deda"], "no mail has it (did you mean dead?)"),
    ],
)
def test_what_makes_no_sense_is_said(cli: Cli, nord: int, arguments: list[str], says: str) -> None:
    found = cli("mail", "retry", *arguments)
    assert found.code == 2
    assert says in found.err


def test_an_address_that_bounced_is_listed_and_let_go_with_a_reason(cli: Cli, dead: str) -> None:
    (listed,) = cli("mail", "suppressed", "--json").json["items"]
    assert (listed["address"], listed["message"]) == ("zoe@elan.example", dead)
    assert cli("mail", "unsuppress", "zoe@elan.example").code == 3
    lifted = cli("mail", "unsuppress", "zoe@elan.example", "--reason", "a new mailbox")
    assert lifted.out == "zoe@elan.example is written to again.\n"
    assert cli("mail", "unsuppress", "zoe@elan.example", "--reason", "again").code == 4
    assert cli("mail", "suppressed").out == "Every address may be written to.\n"


def test_a_bounce_that_is_posted_is_counted_as_what_it_was_called(cli: Cli, dead: str) -> None:
    bounce = event("b-1", "message.bounce", "", address="zoe@elan.example", diagnosis="550 no", message=dead)
    posted = cli("event", "post", "-", "--json", stdin=json_lines(bounce).encode())
    assert posted.code == 0
    assert (posted.json["outcomes"], posted.json["replayed"]) == ({"applied": 1}, 1), "it was known already"


def test_a_member_says_how_often_it_is_written_to(cli: Cli, nord: int) -> None:
    assert cli("team", "change", "bob@nord.example", "--mails", "daily").code == 0
    team = {each["email"]: each["mails"] for each in cli("team", "list", "--json").json["items"]}
    assert (team["bob@nord.example"], team["ada@nord.example"]) == ("daily", "single")
    wrong = cli("team", "change", "bob@nord.example", "--mails", "weekly")
    assert wrong.code == 2
    assert "choose single, daily" in wrong.err
