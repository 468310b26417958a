"""A reseller's system under test: posts events batch after batch, and writes down what it was told was saved.

    python -m tests.chaos.client CONFIG JOURNAL FIRST BATCHES

Killed at any moment and started again with the same arguments it goes on with the first batch that its journal does
not have, under the same ids: what it was never told of it posts once more.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vipflow.config import load_settings
from vipflow.engine import read_envelope
from vipflow.engine.envelope import Verdict
from vipflow.errors import Busy
from vipflow.operations.installation import Installation, open_installation
from vipflow.store.database import DatabaseUnusable

SIZE = 20
APART = 500_000
"""Each client has batches of its own, numbered from a multiple of this."""
TENANT = 1


def main(config: Path, journal: Path, first: int, batches: int) -> None:
    """Posts batches `first` to `first + batches - 1`."""
    done = _written_down(journal)
    installation = open_installation(load_settings(config))
    with journal.open("a", encoding="utf-8") as ledger:
        for number in range(first, first + batches):
            if number in done:
                continue
            lines = _batch(number)
            saved = _post(installation, lines)
            ledger.write(json.dumps({"batch": number, "saved": saved}) + "\n")
            ledger.flush()
            os.fsync(ledger.fileno())


def _post(installation: Installation, lines: list[str]) -> list[str]:
    """The ids that were acknowledged. A busy or absent database is asked again, as any client would."""
    envelopes = [read_envelope(line, installation.workflows) for line in lines]
    while True:
        try:
            answers = installation.engine.post(TENANT, envelopes)
        except (Busy, DatabaseUnusable):
            time.sleep(0.2)  # why: another process is being killed, and its lock goes with it
            continue
        return [answer.id for answer in answers if isinstance(answer, Verdict)]


def _batch(number: int) -> list[str]:
    """The same batch whenever it is asked for, instants apart: a kettle put on, and stirrings of those before it."""
    chance = random.Random(number)
    # An instant must be the same in a repeat: it is counted from the number, beside a beginning that all share.
    boils_at = BEGUN + timedelta(seconds=number % APART * 0.02 + chance.uniform(0.2, 3))
    lines = [_event(number, 0, "put_on", number, {"boils_at": boils_at.isoformat()})]
    first = max(number - number % APART, number - 5)
    for index in range(1, SIZE):
        lines.append(_event(number, index, "stir", chance.randint(first, number), {}))
    return lines


def _event(batch: int, index: int, name: str, kettle: int, data: dict[str, str]) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "type": f"kettle.{name}",
            "source": "chaos",
            "id": f"{batch:06}-{index:02}",
            "subject": f"kettles/k{kettle:06}",
            "data": data,
        }
    )


def _written_down(journal: Path) -> set[int]:
    if not journal.exists():
        return set()
    found = set()
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            found.add(json.loads(line)["batch"])
        except ValueError:  # it was killed while it wrote the line: what it says was never read by anybody
            continue
    return found


if __name__ == "__main__":
    BEGUN = datetime.fromisoformat(os.environ["CHAOS_BEGUN"]).astimezone(UTC)
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
