"""`vipflow workflow` and `vipflow check`: what people wrote, shown and checked."""

import shutil
from pathlib import Path

from tests.cli.conftest import Cli

SHIPPED = Path(__file__).parents[2]
LIBRARY = SHIPPED / "examples" / "library"


def test_workflows_are_listed_with_their_events(cli: Cli) -> None:
    items = {item["name"]: item for item in cli("workflow", "list", "--json").json["items"]}
    assert items["purchase_authorization"]["prefix"] == "PA"
    assert "cancel" in items["purchase_authorization"]["requests"]
    assert "pay" in items["purchase_authorization"]["reports"]
    assert "fall_due" in items["purchase_authorization"]["internal"]


def test_a_workflow_is_shown_with_all_it_declares(cli: Cli) -> None:
    found = cli("workflow", "show", "purchase_authorization").out
    for word in (
        "pending",
        "opened by create",
        "payment_reminder_days before due on",
        "payment_overdue",
        "late payment",
    ):
        assert word in found
    told = cli("workflow", "show", "purchase_authorization", "--json").json
    create = next(each for each in told["events"] if each["name"] == "create")
    assert create["opens"] is True
    assert create["takes"] == ["lines", "[po_number]"]


def test_a_workflow_is_drawn_with_its_openings_from_a_virtual_start(cli: Cli) -> None:
    drawn = cli("workflow", "graph", "purchase_authorization").out
    assert drawn.startswith("stateDiagram-v2")
    starts = [line.strip() for line in drawn.splitlines() if line.strip().startswith("[*] -->")]
    assert any(line.startswith("[*] --> pending : create") for line in starts)
    assert "pending --> late : fall_due" in drawn
    assert cli("workflow", "graph", "purchase_authorization", "--json").json["mermaid"] + "\n" == drawn


def test_an_unknown_workflow_is_answered_with_the_one_meant(cli: Cli) -> None:
    found = cli("workflow", "show", "purchase_autorization")
    assert found.code == 4
    assert "did you mean purchase_authorization?" in found.err


# --- check ---------------------------------------------------------------------------------------------------------


def test_all_that_is_shipped_is_well(cli: Cli) -> None:
    found = cli("check")
    assert (found.code, found.err) == (0, "")
    assert found.out.endswith("All is well.\n")
    assert cli("check", "--json").json["ok"] is True


def test_every_problem_of_every_kind_is_reported_at_once(cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "email_templates", tmp_path / "t")
    (tmp_path / "t" / "payment_reminder" / "fr" / "body.txt").write_text("{{ due }}")
    (tmp_path / "t" / "invitation" / "en" / "body.txt").unlink()
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "mine.toml").write_text('name = "mine"\n')
    (tmp_path / "products.toml").write_text('[[products]]\nsku = "x"\n')
    (tmp_path / "config.toml").write_text(
        '[folders]\nemail_templates = "t"\npolicies = "p"\ncatalogues = "products.toml"\n'
    )
    found = cli("check")
    assert found.code == 1
    assert "policies:" in found.err
    assert "mine.toml" in found.err
    assert "catalogue:" in found.err
    assert "products.toml line 1: product 1 (x)" in found.err
    (tmp_path / "config.toml").write_text('[folders]\nemail_templates = "t"\n')
    found = cli("check")
    assert found.code == 1
    assert "payment_reminder/fr/body.txt line 1: mails of payment_reminder know no fact 'due'" in found.err
    assert "invitation/en/body.txt: is missing" in found.err
    assert found.err.endswith("\n2 problems.\n")
    assert len(cli("check", "--json").json["problems"]["e-mail templates"]) == 2


def test_faults_of_two_workflow_files_are_told_together(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    text = (LIBRARY / "workflows" / "loan.py").read_text(encoding="utf-8")
    for name in ("one", "two"):
        (tmp_path / "w" / f"{name}.py").write_text(
            text.replace("labels = {", "_labels = {").replace('"loan"', f'"{name}"')
        )
    (tmp_path / "config.toml").write_text('[folders]\nworkflows = "w"\n')
    found = cli("check")
    assert found.code == 1
    assert "w/one.py line 94: state 'lent' has no label" in found.err
    assert "w/two.py line 94: state 'lent' has no label" in found.err


def test_a_folder_that_is_not_there_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[folders]\nworkflows = "nowhere"\n')
    found = cli("check")
    assert found.code == 1
    assert f"the folder {tmp_path}/nowhere: it is not there" in found.err


def test_wrong_settings_are_reported_by_check_too(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[databse]\n")
    found = cli("check")
    assert found.code == 1
    assert "did you mean database?" in found.err
