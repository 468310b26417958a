"""The example year goes on: a copy of what was played, with a clock that continues it, for a daemon to run."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from vipflow.config import ClockSettings, DatabaseSettings, MailSettings, Settings, load_settings
from vipflow.errors import BadInput
from vipflow.store.schema import migrate

SPEED = 3600.0
"""An hour a second: a day takes 24 seconds."""

_OURS = "# Written by `vipflow serve --demo`: a copy of the demo, with a clock that goes on."
_CONFIG = f"""{_OURS}
# Look around in it with the variable VIPFLOW_CONFIG, or with --config.

[database]
url = "sqlite:///vipflow.db"

[mail]
folder = "mails"
domain = "demo.invalid"

[daemon]
folder = "daemon"

[audit]
key = "audit.key"
seals = "audit-seals.jsonl"

[clock]
continues_from = {{instant}}
speed = {{speed:g}}
"""


def continued(played: Path, folder: Path, *, speed: float | None = None, fresh: bool = False) -> Settings:
    """The settings of an installation in `folder` that goes on with the year `played`. It is copied where there is no
    copy yet, or a `fresh` one is wanted. Raises BadInput where no year was played, or the folder holds something else.
    """
    ends_at = _end_of(played)
    config = folder / "config.toml"
    if folder.is_dir() and any(folder.iterdir()):
        if not config.is_file() or not config.read_text(encoding="utf-8").startswith(_OURS):
            problem = "it is not empty, and not a copy of the demo"
            raise BadInput(f"the folder {folder}", problem, "move it away, or copy the demo elsewhere")
        if fresh:
            shutil.rmtree(folder)
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)  # customers' data, as any
    if speed is None:
        speed = load_settings(config).clock.speed if config.is_file() else SPEED
    config.write_text(_CONFIG.format(instant=ends_at.isoformat(), speed=speed), encoding="utf-8")
    database = folder.resolve() / "vipflow.db"
    if not database.exists():
        _copy(played / "vipflow.db", database)
    migrate(f"sqlite:///{database}")  # a demo of an earlier release goes on, too
    # Whatever the environment says of databases and mails: the demo touches its own alone, and sends nothing.
    return load_settings(config).model_copy(
        update={
            "database": DatabaseSettings(url=f"sqlite:///{database}"),
            "mail": MailSettings(folder=folder.resolve() / "mails", domain="demo.invalid"),
            "clock": ClockSettings(continues_from=ends_at, speed=speed),
        }
    )


def _end_of(played: Path) -> datetime:
    config = played / "config.toml"
    if not config.is_file() or not (played / "vipflow.db").is_file():
        raise BadInput(f"the folder {played}", "no demo was played in it", "play it: vipflow demo")
    ends_at = load_settings(config).clock.stands_at
    if ends_at is None:
        raise BadInput(f"the folder {played}", "the demo in it did not come to its end", "play it again: vipflow demo")
    return ends_at


def _copy(source: Path, copy: Path) -> None:
    """Whole or not at all, also while somebody works on the source."""
    draft = copy.with_suffix(".part")
    draft.unlink(missing_ok=True)
    from_there = sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
    with closing(from_there) as reading, closing(sqlite3.connect(draft)) as writing:
        reading.backup(writing)
    draft.replace(copy)
