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


def test_a_reseller_is_changed_and_what_changed_is_told(cli: Cli, nord: int) -> None:
    me = ("--as", "ada@nord.example")
    changed = cli("reseller", "set", "--policy", "vip-2019", "--signature", "Nord\\nParis", *me)
    assert 'policy: "vip-2024" → "vip-2019"' in changed.out
    assert cli("reseller", "show", "nord", "--json").json["signature"] == "Nord\nParis"
    wrong = cli("reseller", "set", "--number", "order_due_day=3", *me)
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
