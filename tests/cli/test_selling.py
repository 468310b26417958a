"""`vipflow authorization|order|return|renewal …`."""

import pytest

from tests.cli.conftest import Cli

ME = ("--as", "bob@nord.example")
INVITE = (
    *("customer", "invite", "--company", "Élan Vert", "--segment", "commercial", "--contact", "Zoé Roux"),
    *("--email", "zoe@elan.example", "--address", "1 rue des Lilas", "--postal-code", "44000"),
    *("--city", "Nantes", "--country", "fr"),
)


@pytest.fixture
def authorization(cli: Cli, nord: int) -> str:
    """An authorization of 5 × Photoshop with the PO number PO-77."""
    customer = cli(*INVITE, *ME, "--json").json["verdict"]["subject"]
    made = cli("authorization", "create", customer, "--product", "photoshop=5", "--po", "PO-77", *ME, "--json")
    return str(made.json["verdict"]["case"])


def test_creating_one_reminds_to_order(cli: Cli, authorization: str) -> None:
    done = cli("authorization", "create", "zoe@elan.example", "--product", "acrobat pro=2", *ME)
    assert done.code == 0
    assert "2 × Acrobat Pro for Teams at the disposal of Élan Vert; to be ordered by " in done.out
    assert "Remember to place the order with Adobe" in done.err
    assert "vipflow order place --authorization PA-" in done.err


def test_a_product_that_fits_several_is_asked_back(cli: Cli, authorization: str) -> None:
    asked = cli("authorization", "create", "zoe@elan.example", "--product", "all apps=2", *ME)
    assert asked.code == 2
    assert "it fits 3" in asked.err
    assert cli("authorization", "create", "zoe@elan.example", "--product", "nonsense=2", *ME).code == 4


def test_an_authorization_is_listed_shown_and_cancelled(cli: Cli, authorization: str) -> None:
    assert authorization in cli("authorization", "list").out
    shown = cli("authorization", "show", "po-77".upper())
    for told in (authorization, "Élan Vert", "5 × Photoshop for Teams", "Order by"):
        assert told in shown.out
    assert "the customer loses its products" in cli("authorization", "cancel", "PO-77", *ME).out
    assert cli("authorization", "list").out == "No authorization waits for an order.\n"
    assert "cancelled" in cli("authorization", "list", "--all").out


def test_the_road_from_order_to_return(cli: Cli, authorization: str) -> None:
    placed = cli("order", "place", "--authorization", "PO-77", "--order-number", "AO-1", *ME)
    assert "ordered 5 × Photoshop for Teams for Élan Vert" in placed.out
    refused = cli("authorization", "cancel", "PO-77", *ME)
    assert refused.code == 3
    assert "Ask for a return authorization" in refused.err
    assert "AO-1" in cli("order", "list").out
    accepted = cli("order", "accept", "AO-1", *ME)
    assert "returnable until " in accepted.out
    assert "mail: payment received, to Zoé Roux" in accepted.out
    assert "Nothing to do" in cli("order", "accept", "AO-1", *ME).out
    opened = cli("return", "open", "AO-1", "--product", "photoshop=2", *ME, "--json").json["verdict"]["case"]
    assert opened in cli("return", "list").out
    assert "granted" in cli("return", "approve", opened, *ME).out
    assert "3 × Photoshop for Teams" in cli("order", "show", "AO-1").out
    assert "approved" in cli("return", "show", opened).out


def test_an_order_is_for_one_thing(cli: Cli, authorization: str) -> None:
    assert cli("order", "place", *ME).code == 2
    assert cli("order", "place", "--authorization", "PO-77", "--renewal", "zoe@elan.example", *ME).code == 2
    assert cli("order", "place", "--authorization", "PO-77", "--product", "photoshop=1", *ME).code == 2
    assert cli("order", "place", "--direct", "zoe@elan.example", *ME).code == 2


def test_a_promise_and_what_opens_by_itself(cli: Cli, authorization: str) -> None:
    assert cli("authorization", "extend", "PO-77", "--until", "2030-01-15", *ME).code == 3
    told = cli("authorization", "extend", "PO-77", "--until", "2030-01-15", "--reason", "called", *ME)
    assert "promised until 15 January 2030" in told.out
    refused = cli("authorization", "remind", "PO-77", *ME)
    assert refused.code == 3
    assert "By itself: from Wednesday 16 January 2030" in refused.err
    assert cli("authorization", "extend", "PO-77", "--until", "soon", *ME).code == 2


def test_a_renewal_that_is_not_open_yet_says_when(cli: Cli, authorization: str) -> None:
    cli("order", "place", "--authorization", "PO-77", "--order-number", "AO-1", *ME)
    cli("order", "accept", "AO-1", *ME)
    status = cli("renewal", "status", "zoe@elan.example")
    assert "The renewal window opens in " in status.out
    refused = cli("renewal", "order", "zoe@elan.example", *ME)
    assert refused.code == 3
    assert "The renewal window opens on " in refused.err
    assert cli("renewal", "list").out == "Nobody is ready for renewal.\n"
    assert cli("renewal", "decline", "zoe@elan.example", *ME).code == 3
