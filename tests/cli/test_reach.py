"""Every operation, and every act that a role allows, can be reached from the command line."""

import ast
from pathlib import Path

import pytest

import vipflow
from vipflow.vip.roles import ACT_OF

ROOT = Path(vipflow.__file__).parent
OPERATIONS = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "operations").glob("*.py")}
CLI = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "cli").glob("*.py")]

NOT_ASKED_FOR = {
    "acts.act": "a part of every act",
    "done.done": "a part of every act",
    "forms.checked": "a part of every act",
    "story.go_on": "`vipflow serve`",
    "allowed.not_allowed": "a part of every act",
    "bounces.read_bounce": "a line of `vipflow event post`",
    "case_lists.case_page": "a part of every list of cases",
    "case_lists.one_case": "a part of every page of a case",
    "building.verified": "a part of `vipflow restore` and `vipflow db import`",
    "catchup.note_progress": "`vipflow serve`",
    "catchup.what_would_leave": "a part of `vipflow catchup show`",
    "crashes.crashes_noted": "`vipflow serve`",
    "customer_lists.customer_row": "a part of every list of customers",
    "customers.buyer_of": "a part of what names products",
    "customers.override_policy": "a part of `vipflow policy set --customer`",
    "done.followed": "a part of every act",
    "done.perform": "a part of every act",
    "done.step_of": "a part of every act",
    "holds.let_go": "a part of `vipflow release`",
    "holds.tick_holds": "`vipflow serve`",
    "importing.import_members": "plan and commit in one, for whoever asks nobody: `vipflow demo`",
    "importlikeness.differences": "a part of `vipflow customer import`",
    "importprofiles.profile_of": "a part of `vipflow customer import`",
    "importprofiles.profile_problems": "a part of `vipflow check`",
    "installation.with_database": "a part of `open_installation`",
    "policies.known_policy": "a part of `vipflow policy show`",
    "policies.own_numbers": "a part of the noun policy",
    "policies.trade_of": "a part of the noun policy",
    "policy_notice.cases_with_older_numbers": "`vipflow serve`",
    "policy_notice.older_than_files": "a part of `vipflow check` and `vipflow doctor`",
    "references.find": "a part of whatever takes a name",
    "references.find_customer": "a part of whatever takes a name",
    "rows.authorization_row": "a part of lists and pages",
    "rows.facts_of": "a part of lists and pages",
    "rows.order_row": "a part of lists and pages",
    "rows.return_row": "a part of lists and pages",
    "story.clock_of": "a part of `open_installation`",
    "templates.template_problems": "a part of `vipflow check`",
    "ticks.tick_delivery": "`vipflow serve`",
    "ticks.tick_parked": "`vipflow serve`",
    "ticks.tick_seal": "`vipflow serve`",
    "ticks.tick_timers": "`vipflow serve`",
}
SENT_BY_OTHERS = {
    "customer.correct": "always refused once it would change anything (a rule of the programme); `event post` says so",
    "customer.learn_of_bounce": "what a `message.bounce` of `vipflow event post` becomes",
    "message.bounce": "`vipflow event post`",
    "history.undo": "not there yet",
}


def asked_for(tree: ast.AST) -> set[str]:
    """`module.function` of every operation that a module of commands imports, or names as that."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vipflow.operations."):
            found |= {f"{str(node.module).rpartition('.')[2]}.{each.name}" for each in node.names}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
    return found


def operations() -> set[str]:
    """Public functions of an installation, its files or its settings."""
    return {
        f"{module}.{each.name}"
        for module, tree in OPERATIONS.items()
        for each in tree.body
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and not each.name.startswith("_")
        and each.args.args
        and each.args.args[0].arg in ("installation", "files", "settings")
    }


def test_every_operation_has_a_command() -> None:
    assert operations() - set().union(*map(asked_for, CLI)) == set(NOT_ASKED_FOR)


@pytest.mark.parametrize("event", sorted(set(ACT_OF) - set(SENT_BY_OTHERS)))
def test_every_event_that_a_role_may_send_is_sent_by_an_operation(event: str) -> None:
    workflow, _, name = event.partition(".")
    sent = {
        node.value
        for tree in OPERATIONS.values()
        if any(isinstance(node, ast.Constant) and str(node.value).startswith(f"{workflow}.") for node in ast.walk(tree))
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
    }
    assert sent & {name, event}
