"""Acts that contradict what is known, were known already, or are dated when there was nothing to act on."""

from datetime import timedelta

import pytest

from tests.cli.conftest import Cli
from tests.cli.test_selling import INVITE, ME
from vipflow.cli.acting import unfitting_text
from vipflow.clock import HostClock
from vipflow.engine.envelope import Verdict
from vipflow.operations.done import Done, Happened
from vipflow.workflow import Text

ADOPT = (
    *("customer", "adopt", "--vip-number", "9Z", "--company", "Ancien", "--segment", "commercial"),
    *("--contact", "Luc", "--email", "luc@ancien.example", "--address", "1 rue", "--city", "Paris"),
    *("--postal-code", "75011", "--country", "FR", "--anniversary", "2030-01-15", "--licence", "photoshop=3"),
)


@pytest.fixture
def customer(cli: Cli, nord: int) -> str:
    """A customer with the authorization PO-77."""
    made = str(cli(*INVITE, *ME, "--json").json["verdict"]["subject"])
    assert cli("authorization", "create", made, "--product", "photoshop=5", "--po", "PO-77", *ME).code == 0
    return made


@pytest.fixture
def order(cli: Cli, customer: str) -> str:
    done = cli("order", "place", "--authorization", "PO-77", "--order-number", "AO-1", *ME)
    assert "vipflow order accept O-" in done.err
    assert "--order-number NUMBER" not in done.err
    return str(cli("order", "show", "AO-1", "--json").json["ref"])


def test_a_report_that_contradicts_is_told_as_such(cli: Cli, order: str) -> None:
    assert cli("order", "accept", order, *ME).code == 0
    done = cli("order", "refuse", order, *ME, "--id", "form-1")
    assert done.code == 0
    assert f"Recorded, but it contradicts what is known: {order} is accepted and stays so." in done.out
    assert "is refused" not in done.out
    incident = cli("incident", "list", "--each", "--json").json["items"][0]["id"]
    assert f"An incident was opened: {incident} (vipflow incident show {incident})." in done.out
    assert cli("incident", "show", incident).code == 0
    again = cli("order", "refuse", order, *ME, "--id", "form-1")
    assert f"{order} is accepted and stays so." in again.out
    assert "done before" in again.out
    told = cli("order", "refuse", order, *ME, "--json").json
    assert [each["kind"] for each in told["incidents"]] == ["contradiction"]


def test_a_contradiction_proposes_nothing_to_do_next(cli: Cli, customer: str) -> None:
    assert cli("authorization", "cancel", "PO-77", *ME).code == 0
    done = cli("authorization", "customer-paid", "PO-77", *ME)
    assert done.code == 0
    assert "is cancelled and stays so.\n  An incident was opened: N-" in done.out
    assert "Now order" not in done.out + done.err


def test_a_report_of_what_is_known_changes_nothing() -> None:
    step = Happened(
        sequence=9,
        case="PA-1",
        event="purchase_authorization.mark_paid",
        says=Text("", ""),
        from_state="paid",
        to_state="paid",
        label=Text("payée", "paid"),
        at=HostClock().now(),
        recorded_at=HostClock().now(),
        by="bob",
        by_kind="staff",
        note={"data": {}, "note": "repeated"},
    )
    done = Done(Verdict("cli", "1", step.event, "applied"), happened=(step,))
    assert done.fits == "repeated"
    assert unfitting_text(done) == "This was known already; nothing changed."


def test_no_act_is_dated_before_there_was_what_it_acts_on(cli: Cli, order: str, customer: str) -> None:
    today = HostClock().now()
    day = (today - timedelta(days=3)).date().isoformat()
    for command in (
        ("order", "accept", order),
        ("authorization", "customer-paid", "PO-77"),
        ("authorization", "create", customer, "--product", "photoshop=1"),
        ("customer", "resend", customer),
        ("customer", "note", customer, "called"),
    ):
        done = cli(*command, "--on", day, *ME)
        assert done.code == 2, command
        assert f"--on: on {day} there was no" in " ".join(done.err.split())
        assert "it exists since" in done.err
    assert cli("order", "show", order, "--json").json["state"] == "placed"


def test_the_day_on_which_a_record_began_is_good(cli: Cli, nord: int) -> None:
    assert cli(*ADOPT, "--on", "2024-03-04T15:00:00+01:00", *ME).code == 0
    assert cli("customer", "note", "9Z", "called", "--on", "2024-03-04", *ME).code == 0
    early = cli("customer", "note", "9Z", "called", "--on", "2024-03-04T14:00:00+01:00", *ME)
    assert early.code == 2
    assert "since 2024-03-04, 15:00" in " ".join(early.err.split())


@pytest.mark.parametrize("day", ["9999-12-31", "9999-12-31T23:59:59-14:00", "0001-01-01", "0001-01-01T00:00:00+14:00"])
def test_a_day_on_which_nothing_can_have_happened_is_named(cli: Cli, nord: int, day: str) -> None:
    done = cli(*INVITE, *ME, "--on", day)
    assert done.code == 2
    assert "--on" in done.err
    assert "customer.invite" not in done.err


def test_a_member_taken_over_was_never_invited(cli: Cli, nord: int) -> None:
    made = cli(*ADOPT, *ME, "--json").json["verdict"]["subject"]
    for command in (["resend"], ["remind"], ["withdraw", "--reason", "x"]):
        done = cli("customer", command[0], made, *command[1:], *ME)
        assert done.code == 3
        assert f"{made} was a member before it came here; it was never invited." in " ".join(done.err.split())


def test_what_is_only_expected_is_not_said_as_a_fact(cli: Cli, nord: int) -> None:
    made = cli(*INVITE, *ME, "--on", "2024-03-01", "--json").json["verdict"]["subject"]
    created = ("authorization", "create", made, "--product", "photoshop=5", "--po", "PO-77", "--on", "2024-03-04")
    assert cli(*created, *ME).code == 0
    assert cli("customer", "note", made, "called", "--on", "2024-04-25", *ME).code == 0
    assert cli("authorization", "show", "PO-77", "--json").json["state"] == "suspended"
    for command in (("explain", "PO-77"), ("authorization", "list"), ("customer", "show", made, "--history", "0")):
        told = " ".join(cli(*command).out.split())
        for end in ("Not now", "What comes next", "Mails on their way"):  # below, guards and templates are named
            told = told.partition(end)[0]
        assert "licences deactivated" not in told, command
        assert "may be deactivated" in told, command
