"""Whatever command the operators' pages name is one (those of findings are looked at in every story)."""

import re

import pytest

from tests.docs.pages import DOCS, blocks
from tests.doctor.named import what_is_wrong
from vipflow.operations.doctor.findings import Finding


@pytest.mark.parametrize("page", ["how-to/operate.md", "how-to/mail.md", "reference/settings.md"])
def test_every_command_that_a_page_names_can_be_typed(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    lines = [line for block in blocks(DOCS / page, "sh") for line in block.text.splitlines()]
    lines += re.findall(r"`(vipflow [^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
    wrong = [problem for line in lines if line.startswith("vipflow ") and (problem := what_is_wrong(line))]
    assert wrong == []


@pytest.mark.parametrize("status", ["note", "warning", "error", "not checked"])
def test_a_finding_that_is_not_well_cannot_be_made_without_a_remedy(status: str) -> None:
    with pytest.raises(ValueError, match="has no remedy"):
        Finding("database", "disk", status, "The disk is full.")  # type: ignore[arg-type]  # why: each in turn
