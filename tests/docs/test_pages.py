"""What the pages say is so: links lead somewhere, generated parts are current, examples and commands run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import DOCS, PAGES, README, ROOT, Block, blocks, commands, expected_code, run, told
from vipflow.clock import StillClock
from vipflow.config import Settings, load_settings
from vipflow.engine import Engine, Verdict, read_envelope
from vipflow.operations.installation import load_files
from vipflow.store.database import open_database
from vipflow.store.schema import create_all
from vipflow.store.tenants import add_tenant

_REFERENCE = re.compile(r"\b[A-Z]{1,2}-[0-9A-Z]{4}-[0-9A-Z]{4}\b")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in _LINK.findall(text):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page_name(page)} links to {link}"
        assert target.is_relative_to(ROOT), f"{page_name(page)} links to {link}, outside the project"
        if anchor:
            assert anchor in anchors(target), f"{page_name(page)} links to {link}: no such heading"


def anchors(page: Path) -> set[str]:
    """The headings of a page as its links call them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_what_is_generated_is_current() -> None:
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_decision_is_in_the_index_with_its_sentence() -> None:
    index = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    records = sorted((DOCS / "decisions").glob("0*.md"))
    assert [record.name[:4] for record in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for record in records:
        quoted = re.search(r"^> (.+)$", record.read_text(encoding="utf-8"), re.MULTILINE)
        assert quoted, f"{record.name} has no line that can be quoted"
        assert f"| [{record.name[:4]}]({record.name}) | {quoted[1]} |" in index


def test_the_example_events_are_applied_as_they_stand(tmp_path: Path) -> None:
    files = load_files(Settings())
    database = open_database(f"sqlite:///{tmp_path}/vipflow.db", durability="off")
    create_all(database)
    clock = StillClock(datetime(2024, 6, 1, 12, tzinfo=UTC))
    with database.write() as connection:
        tenant = add_tenant(
            connection,
            key="north",
            name="North Software",
            language="fr",
            zone="Europe/Paris",
            policy="vip-2024",
            settings=json.dumps({"sender": "licences@north.example"}),
            created_at=clock.now(),
        )
    lines = [line for block in blocks(DOCS / "reference" / "events.md", "json") for line in block.text.splitlines()]
    answers = Engine(database, files.workflows, files.trade, clock).post(
        tenant.id, [read_envelope(line, files.workflows) for line in lines]
    )
    assert len(lines) == 8
    for line, answer in zip(lines, answers, strict=True):
        assert isinstance(answer, Verdict), f"{answer}: {line}"
        assert answer.verdict == "applied", f"{answer}: {line}"
    database.dispose()


def test_every_test_that_reliability_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (DOCS / "explanation" / "reliability.md").read_text(encoding="utf-8")))
    known = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert named
    assert not named - known


SETTINGS = [
    pytest.param(block, id=f"{page_name(page)}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page, "toml"))
    if "[[" not in block.text
]


@pytest.mark.parametrize("block", SETTINGS)
def test_every_example_of_settings_can_be_written_so(block: Block, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(block.text, encoding="utf-8")
    load_settings(tmp_path / "config.toml")


def test_the_example_policy_is_a_policy_file() -> None:
    (block,) = blocks(DOCS / "reference" / "policies.md", "toml")
    written = tomllib.loads(block.text)
    assert [version["from"].year for version in written["versions"]] == [2025, 2025]


# --- commands ------------------------------------------------------------------------------------------------------

TOUR = "Five minutes"
OWN = DOCS / "how-to" / "write-your-own-workflow.md"


def test_the_tour_of_the_readme_works_line_by_line(tmp_path: Path) -> None:
    tour = [block for block in blocks(README, "sh") if block.heading == TOUR]
    assert tour
    assert not any(block.not_run for block in tour), "the tour leaves nothing out"
    lines = commands(tour)
    for name in (".venv", "docs"):  # a clone of its own, that `dev.py demo` prepared
        (tmp_path / name).symlink_to(Path(sys.prefix) if name == ".venv" else ROOT / name)
    for word in (
        "reseller",
        "team",
        "invite",
        "create",
        "explain",
        "next",
        "place",
        "accept",
        "list",
        "history",
        "simulate",
        "verify",
    ):
        assert any(f" {word}" in line for line in lines), f"the tour says nothing of {word}"
    results = run(lines, tmp_path)
    assert [code for _, code, _ in results] == [expected_code(line) for line in lines], told(results, lines)
    said = "".join(text for _, _, text in results)
    shown = [block.text for block in blocks(README, "text") if block.heading == TOUR]
    assert {ref for text in shown for ref in _REFERENCE.findall(text)} <= set(_REFERENCE.findall(said))


def test_the_library_runs_as_the_page_says(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    shutil.copytree(ROOT / "examples" / "library", folder, ignore=shutil.ignore_patterns("var", "__pycache__"))
    (folder / "workflows" / "loan.py").write_text(_code_of_the_page(), encoding="utf-8")
    lines = commands(blocks(OWN, "sh"))
    results = run(lines, folder)
    assert [code for _, code, _ in results] == [expected_code(line) for line in lines], told(results, lines)


def test_the_page_shows_the_whole_file_of_the_example() -> None:
    kept = (ROOT / "examples" / "library" / "workflows" / "loan.py").read_text(encoding="utf-8")
    assert _without_blank_lines(_code_of_the_page()) == _without_blank_lines(kept)


def test_the_page_shows_a_template_as_it_is() -> None:
    (template,) = blocks(OWN, "text")
    kept = ROOT / "examples" / "library" / "email_templates" / "loan_reminder" / "en" / "body.txt"
    assert template.text == kept.read_text(encoding="utf-8")


OTHERS = [page for page in PAGES if page not in (README, OWN)]


@pytest.mark.parametrize("page", OTHERS, ids=page_name)
def test_every_command_of_other_pages_runs_or_the_page_says_why_not(page: Path, tmp_path: Path) -> None:
    lines = commands(blocks(page, "sh", "given"))
    results = run(lines, tmp_path)
    assert [code for _, code, _ in results] == [expected_code(line) for line in lines], told(results, lines)


def test_commands_outside_the_tour_of_the_readme_are_marked() -> None:
    for block in blocks(README, "sh"):
        assert block.heading == TOUR or block.not_run, block.text


def test_no_block_of_commands_goes_by_another_name() -> None:
    for page in PAGES:
        for block in blocks(page):
            known = ("sh", "given", "text", "json", "toml", "python", "mermaid")
            assert block.kind in known, f"{page_name(page)}: a block of kind {block.kind!r} that no test knows"


def _code_of_the_page() -> str:
    return "\n\n".join(block.text for block in blocks(OWN, "python"))


def _without_blank_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
