"""`vipflow customer …` as people at the reseller's use it."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

INVITE = (
    *("customer", "invite", "--company", "Élan Vert", "--segment", "commercial", "--contact", "Zoé Roux"),
    *("--email", "zoe@elan.example", "--address", "1 rue des Lilas", "--postal-code", "44000"),
    *("--city", "Nantes", "--country", "fr", "--as", "bob@nord.example"),
)


@pytest.fixture
def customer(cli: Cli, nord: int) -> str:
    """A customer that Bob invited."""
    return str(cli(*INVITE, "--json").json["verdict"]["subject"])


def test_inviting_tells_reference_number_mail_and_what_is_next(cli: Cli, nord: int) -> None:
    done = cli(*INVITE)
    assert done.code == 0
    assert "Invited Élan Vert: C-" in done.out
    assert "VIP-PROV-" in done.out
    assert "mail: invitation, to Zoé Roux, leaves" in done.out
    assert "vipflow authorization create C-" in done.err
    assert "cannot be changed after sending" in done.err


def test_a_company_that_looks_like_one_we_have_is_warned_of_and_invited(cli: Cli, customer: str) -> None:
    again = cli(*INVITE)
    assert again.code == 0
    assert "Two memberships cannot be merged" in " ".join(again.err.split())
    assert customer in again.err


def test_wrong_fields_end_with_two_and_say_which(cli: Cli, nord: int) -> None:
    wrong = cli(*(each if each != "44000" else "4400" for each in INVITE))
    assert wrong.code == 2
    assert "postal_code: '4400' is none of FR" in wrong.err


def test_the_page_shows_what_it_holds_and_what_comes(cli: Cli, customer: str) -> None:
    cli("authorization", "create", customer, "--product", "photoshop=5", "--po", "PO-77", "--as", "bob@nord.example")
    page = cli("customer", "show", "zoe@elan.example")
    assert page.code == 0
    for told in ("Élan Vert", customer, "Managed by  Bob", "Place the order with Adobe: 5 licences", "PO PO-77"):
        assert told in page.out, told
    assert "What comes next" in page.out
    assert "authorization becomes late" in page.out
    assert page.err == ""
    assert cli("customer", "show", customer, "--json").json["summary"]["ref"] == customer


def test_no_state_is_shown_by_its_name(cli: Cli, customer: str) -> None:
    cli("authorization", "create", customer, "--product", "photoshop=5", "--as", "bob@nord.example")
    for page in (cli("customer", "show", customer).out, cli("customer", "list").out, cli("authorization", "list").out):
        assert "_" not in page, page


def test_the_list_counts_and_pages(cli: Cli, customer: str) -> None:
    cli(*(each.replace("Élan", "Zèle").replace("zoe@elan", "z@zele") for each in INVITE))
    page = cli("customer", "list", "--limit", "1")
    assert "All 2   No products 2" in page.out
    assert "There are more: --after " in page.err
    first = cli("customer", "list", "--limit", "1", "--json").json
    second = cli("customer", "list", "--limit", "1", "--after", first["next"], "--json").json
    assert [row["company"] for row in (*first["items"], *second["items"])] == ["Élan Vert", "Zèle Vert"]
    assert second["next"] is None
    assert cli("customer", "list", "--search", "nobody").out.endswith("No customer fits.\n")
    assert cli("customer", "list", "--list", "laet").code == 2


def test_a_refusal_ends_with_three_and_says_what_helps(cli: Cli, customer: str) -> None:
    refused = cli("customer", "withdraw", customer, "--as", "bob@nord.example")
    assert refused.code == 3
    assert refused.err.startswith("Refused: ")
    assert "What helps: " in refused.err
    told = cli("customer", "withdraw", customer, "--as", "vic@nord.example", "--json")
    assert (told.code, told.json["verdict"]["verdict"]) == (3, "refused")
    assert told.json["verdict"]["reasons"][0]["code"] == "not_allowed"


def test_who_is_not_there_is_not_found(cli: Cli, nord: int) -> None:
    for command in (("show", "C-0000-0000"), ("assign", "C-0000-0000", "--to", "ada"), ("note", "nobody", "x")):
        assert cli("customer", *command).code == 4, command


def test_changes_are_told_in_a_sentence(cli: Cli, customer: str) -> None:
    me = ("--as", "bob@nord.example")
    assert "managed by ada@nord.example" in cli("customer", "assign", customer, "--to", "Ada", *me).out
    assert cli("customer", "note", customer, "Calls on Mondays.", *me).code == 0
    copied = cli("customer", "recipients", customer, "--add", "Max Weber <max@elan.example>", *me)
    assert "Max Weber <max@elan.example>" in copied.out
    assert cli("customer", "recipients", customer, *me).code == 2
    assert cli("customer", "offer-type", customer, "enterprise", *me).code == 0
    assert cli("customer", "vip-number", customer, "1A2B", "--as", "ada@nord.example").code == 0
    page = cli("customer", "show", "1A2B").out
    for told in ("Calls on Mondays.", "Max Weber", "teams, enterprise", "Managed by  Ada"):
        assert told in page, told


def test_an_existing_member_is_taken_over_silently(cli: Cli, nord: int) -> None:
    done = cli(
        *("customer", "adopt", "--vip-number", "9Z", "--company", "Ancien", "--segment", "commercial"),
        *("--contact", "Luc", "--email", "luc@ancien.example", "--address", "1 rue", "--city", "Paris"),
        *("--postal-code", "75011", "--country", "FR", "--anniversary", "2030-01-15", "--licence", "photoshop=3"),
    )
    assert done.code == 0, done.err
    assert "mail:" not in done.out
    page = cli("customer", "show", "9Z", "--json").json
    assert (page["licences"], page["summary"]["invitation"]) == (3, "accepted")


def test_an_import_tells_line_by_line_and_ends_with_the_worst(cli: Cli, nord: int, tmp_path: Path) -> None:
    file = tmp_path / "members.csv"
    file.write_text(
        "VIP;société;adresse;code postal;ville;pays;contact;e-mail\n"
        "1A;Bon;1 rue;75011;Paris;FR;Luc;luc@bon.example\n"
        "2B;Mauvais;1 rue;x!;Paris;FR;Luc;luc@mauvais.example\n",
        encoding="cp1252",
    )
    planned = cli("customer", "import", str(file), "--dry-run")
    assert planned.code == 2
    assert "1 would be taken over, 1 to be put right" in planned.out
    unasked = cli("customer", "import", str(file))
    assert (unasked.code, cli("customer", "list", "--json").json["items"]) == (2, [])
    assert "it would take over 1 customer; add --yes to do it" in unasked.err
    done = cli("customer", "import", str(file), "--yes")
    assert done.code == 2
    assert "1 taken over, 1 to be put right" in done.out
    assert "postal_code: 'X!' is none of FR" in done.out
    again = cli("customer", "import", str(file), "--json").json
    assert [line["outcome"] for line in again["lines"]] == ["there already", "wrong"]


def test_an_act_repeated_with_its_id_says_so(cli: Cli, nord: int) -> None:
    first = cli(*INVITE, "--id", "form-7", "--json").json
    again = cli(*INVITE, "--id", "form-7")
    assert "done before" in again.out
    assert first["verdict"]["subject"] in again.out
    other = cli(*(each if each != "Nantes" else "Brest" for each in INVITE), "--id", "form-7", "--json")
    assert other.code == 5
    assert other.error["code"] == 5
