"""Garbage collection paused while a batch is in hand: it makes many small values that all die at its end."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_pausing = 0
_was_enabled = False


@contextmanager
def collection_paused() -> Iterator[None]:
    """Within the block nothing is collected; several threads may be in one at once."""
    global _pausing, _was_enabled  # noqa: PLW0603 - the collector is the process's own
    with _lock:
        if _pausing == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pausing += 1
    try:
        yield
    finally:
        with _lock:
            _pausing -= 1
            if _pausing == 0 and _was_enabled:
                gc.enable()
