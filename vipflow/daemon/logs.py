"""What the daemon says: one line per thing that happened, JSON where nobody sits at a terminal.

What libraries say through `logging` goes the same way. No secrets, no mail bodies; and should somebody's fault carry an
address in its text, it is taken out.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import msgspec
import structlog
from structlog.typing import Processor

Level = Literal["debug", "info", "warning", "error"]
Log = structlog.stdlib.BoundLogger

_ADDRESS = re.compile(r"(?<![\w.+/:'-])[\w.+'-]+@[\w-]+(?:\.[\w-]+)+")
_QUIET = ("asyncio", "alembic", "litestar", "sqlalchemy", "uvicorn")


def set_up(*, json: bool, level: Level = "info") -> None:
    """Sends everything that is logged in this process to stderr, from `level` on."""
    stamps: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    shown: list[Processor] = (
        [structlog.processors.format_exc_info, without_addresses, structlog.processors.JSONRenderer(_encoded)]
        if json
        else [without_addresses, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *stamps],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shown],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:  # they tell of every step
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns when a run is wanted that begins anyway
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *stamps[:2],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def log_of(name: str) -> Log:
    """The logger of a part of the daemon."""
    made: Log = structlog.stdlib.get_logger(f"vipflow.{name}")
    return made


def without_addresses(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor: e-mail addresses in texts become `<address>`, those in URLs stay what they are.

    >>> without_addresses(None, "info", {"event": "x", "says": "zoe@elan.example refused by postgresql://u@127.0.0.1"})
    {'event': 'x', 'says': '<address> refused by postgresql://u@127.0.0.1'}
    """
    for name, value in event.items():
        if isinstance(value, str) and "@" in value:
            event[name] = _ADDRESS.sub("<address>", value)
    return event


def _encoded(event: Any, **_: Any) -> str:
    first = ("timestamp", "level", "event")
    ordered = {name: event[name] for name in first if name in event} | event
    return msgspec.json.encode(ordered, enc_hook=str).decode()
