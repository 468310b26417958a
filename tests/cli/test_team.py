"""`vipflow team …` and `vipflow reseller …`."""

from pathlib import Path

from tests.cli.conftest import Cli


def test_a_first_reseller_and_its_team_from_nothing(cli: Cli, place: Path) -> None:
    assert cli("reseller", "list").out == "There is none yet: vipflow reseller add KEY --name NAME\n"
    added = cli("reseller", "add", "nord", "--name", "Nord Licences", "--number", "order_due_days=21")
    assert added.code == 0, added.err
    assert "vipflow team add" in added.err
    assert cli("team", "add", "ada@nord.example", "--name", "Ada", "--role", "admin").code == 0
    assert "ada@nord.example" in cli("team", "list").out
    shown = cli("reseller", "show", "nord")
    assert "order_due_days = 21" in shown.out
    assert "Europe/Paris" in shown.out


def test_a_resellers_logo_and_colour_are_kept_and_can_be_taken_back(cli: Cli, nord: int) -> None:
    me = ("--as", "ada@nord.example")
    brand = ("--logo", "https://nord.example/logo.png", "--colour", "#0d6e6e")
    assert cli("reseller", "set", *brand, *me).code == 0
    shown = cli("reseller", "show", "nord", "--json").json
    assert (shown["logo"], shown["colour"]) == ("https://nord.example/logo.png", "#0d6e6e")
    assert cli("reseller", "set", "--logo", "", *me).code == 0
    assert cli("reseller", "show", "nord", "--json").json["logo"] is None


def test_a_logo_and_a_colour_that_mails_could_not_show_are_refused(cli: Cli, nord: int) -> None:
    wrong = cli(
        "reseller", "set", "--logo", "http://nord.example/l.png", "--colour", "teal",
        "--invitation-link", "javascript:alert(1)", "--as", "ada@nord.example",
    )  # fmt: skip
    assert wrong.code == 2
    for says in (
        "logo: its address begins with https://",
        "colour: 'teal' is none; write # and six digits, such as #2f5d8a",
        "invitation_link: write an address on the web",
    ):
        assert says in wrong.err
    for logo in ("data:image/png;base64,x", 'https://a.example/"><script>', "https://a.example/a b.png", "logo.png"):
        assert cli("reseller", "set", "--logo", logo, "--as", "ada@nord.example").code == 2


def test_a_reseller_is_changed_and_what_changed_is_told(cli: Cli, nord: int) -> None:
    me = ("--as", "ada@nord.example")
    changed = cli("reseller", "set", "--policy", "vip-2019", "--signature", "Nord\\nParis", *me)
    assert 'policy: "vip-2024" → "vip-2019"' in changed.out
    assert cli("reseller", "show", "nord", "--json").json["signature"] == "Nord\nParis"
    wrong = cli("policy", "set", "order_due_day=3", *me)
    assert wrong.code == 2
    assert "did you mean order_due_days?" in wrong.err
    assert cli("reseller", "set", "--policy", "vip-2019", "--as", "bob@nord.example").code == 3
    assert cli("reseller", "show", "south").code == 4
    assert cli("reseller", "add", "nord", "--name", "Again").code == 5


def test_roles_and_leaving(cli: Cli, nord: int) -> None:
    me = ("--as", "ada@nord.example")
    assert cli("team", "role", "bob@nord.example", "support", *me).code == 0
    assert cli("team", "role", "bob@nord.example", "boss", *me).code == 2
    assert cli("team", "role", "zed@nord.example", "support", *me).code == 4
    assert cli("team", "add", "bob@nord.example", "--name", "Bob", *me).code == 5
    assert cli("team", "role", "bob@nord.example", "admin", "--as", "vic@nord.example").code == 3
    assert cli("team", "change", "bob@nord.example", "--phone", "+33 1 23", *me).code == 0
    assert cli("team", "deactivate", "ada@nord.example", *me).code == 2
    assert cli("team", "deactivate", "bob@nord.example", *me).code == 0
    assert "bob@nord.example" not in cli("team", "list").out
    assert "bob@nord.example" in cli("team", "list", "--all").out
