"""What a daemon does so that the next one learns what killed it: notes what it has in hand, and watches itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from vipflow.engine.in_hand import InHand, Key
from vipflow.engine.quarantine import count_crashes
from vipflow.engine.watchdog import LIMIT, Watchdog
from vipflow.errors import BadInput
from vipflow.operations.installation import Installation


@contextmanager
def crashes_noted(
    installation: Installation, last_words: Callable[[str], None], *, limit: timedelta = LIMIT
) -> Iterator[dict[Key, int]]:
    """Within the block the installation's engine notes what it has in hand, in the folder `daemon.folder`, and a batch
    that takes longer than `limit` ends the process (exit code 70) after its `last_words`. Gives what processes before
    this one died with (a tenant, and a subject or the cause of an event), and how often: it runs alone, and after the
    third time not at all. To be entered before anything is applied; raises BadInput where the folder cannot be written.
    """
    folder = installation.settings.daemon.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        crashed = count_crashes(installation.engine, folder)
        in_hand = installation.engine.in_hand = InHand(folder)
    except OSError as wrong:
        problem = f"a daemon cannot write its notes there: {wrong.strerror}"
        raise BadInput(
            f"the folder {folder}", problem, "let it be written, or set daemon.folder in config.toml"
        ) from wrong
    watchdog = Watchdog(in_hand, last_words, limit=limit)
    watchdog.start()
    try:
        yield crashed
    finally:
        watchdog.stop()
        installation.engine.in_hand = None
        in_hand.close()
