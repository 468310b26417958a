"""The Litestar application: routes, problems, and the headers that every answer carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Litestar
from litestar.datastructures import MutableScopeHeaders
from litestar.exceptions import HTTPException
from litestar.types import Message, Scope

from vipflow.api.health import Pulse, health_router
from vipflow.api.problems import http_problem, unforeseen

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def make_app(pulse: Pulse, told: Callable[[Exception], None]) -> Litestar:
    """The application of a daemon. `told` hears of every fault that is ours."""

    async def fault(exception: Exception, scope: Scope) -> None:
        if not isinstance(exception, HTTPException) or exception.status_code >= 500:
            told(exception)

    return Litestar(
        [health_router(pulse)],
        exception_handlers={HTTPException: http_problem, Exception: unforeseen},
        after_exception=[fault],
        before_send=[_headers],
        openapi_config=None,  # its pages come from elsewhere, and there is nothing to document yet
        logging_config=None,
        debug=False,
    )


async def _headers(message: Message, scope: Scope) -> None:
    """Also on problems, which no hook of a route sees."""
    if message["type"] == "http.response.start":
        headers: Any = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
