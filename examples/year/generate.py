"""Writes the example year: three made-up resellers, their members of today as CSV, eighteen months of events.

    python examples/year/generate.py [FOLDER]     default: beside this file; the same bytes every time

Each line of `events/*.jsonl` is a CloudEvent with one attribute more, `deliveredat`: when it reaches the reseller's
vipflow. What happened (`time`) and what arrives are two things: some lines come late, some twice, some before the one
that they speak of.
"""

from __future__ import annotations

import sys
from pathlib import Path

from exports import authorizations_file, events_file, members_file, resellers_file
from resellers import RESELLERS
from year import Year


def generate(folder: Path) -> None:
    """Writes every file of the year into `folder`."""
    files = {"resellers.toml": resellers_file()}
    for reseller in RESELLERS:
        year = Year(reseller)
        year.pass_by()
        files[f"members/{reseller.key}.csv"] = members_file(year)
        files[f"members/{reseller.key}-authorizations.csv"] = authorizations_file(year)
        files[f"events/{reseller.key}.jsonl"] = events_file(year)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
