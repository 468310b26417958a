"""What went wrong, as RFC 9457 has it: `application/problem+json`, whatever it was, and never more than is needed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

PROBLEM = "application/problem+json"


def problem(status: int, detail: str = "", **more: Any) -> Response[dict[str, object]]:
    """An answer that says what is wrong; `more` are members of its own."""
    title = HTTPStatus(status).phrase
    body: dict[str, object] = {"type": "about:blank", "title": title, "status": status}
    if detail and detail != title:
        body["detail"] = detail
    return Response({**body, **more}, status_code=status, media_type=PROBLEM)


def http_problem(request: Request[Any, Any, Any], fault: HTTPException) -> Response[dict[str, object]]:
    """What the framework refuses: an unknown path, a method that a path does not have, a body that is too large."""
    made = problem(fault.status_code, fault.detail)
    for name, value in (fault.headers or {}).items():
        made.set_header(name, value)
    return made


def unforeseen(request: Request[Any, Any, Any], fault: Exception) -> Response[dict[str, object]]:
    """A fault of ours: the log has it, the answer does not."""
    return problem(500, "something went wrong inside vipflow; its log says more")
