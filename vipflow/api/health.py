"""How a daemon is, as whoever watches over it asks: alive, ready, in numbers. Nothing of a tenant is in the answers."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec
from litestar import MediaType, Response, Router, get
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

from vipflow.api.problems import problem

NUMBERS = "text/plain; version=0.0.4"  # Litestar adds the charset


class RunningTick(msgspec.Struct, frozen=True):
    """A tick that has not finished yet, and for how long."""

    tick: str
    seconds: float


class Health(msgspec.Struct, frozen=True):
    """`stuck`: ticks that have been running for longer than any should."""

    status: Literal["alive", "stuck"]
    stuck: tuple[RunningTick, ...]
    running: tuple[RunningTick, ...]


class Unready(msgspec.Struct, frozen=True):
    """One reason why a daemon should not be sent work: a word for programs and a sentence."""

    reason: Literal["starting", "stopping", "database", "schema", "files"]
    says: str


class Pulse(Protocol):
    """Whoever runs the daemon, as far as it is asked here."""

    def health(self) -> Health:
        """At once, from memory: that the event loop answers at all is half of the answer."""

    async def unready(self) -> tuple[Unready, ...]:
        """Why it is not ready; empty when it is."""

    async def numbers_text(self) -> bytes:
        """Prometheus' text format."""


def health_router(pulse: Pulse) -> Router:
    """`/healthz`, `/readyz`, `/metrics`."""

    @get("/healthz", media_type=MediaType.JSON)
    async def healthz() -> Response[Health]:
        health = pulse.health()
        return Response(health, status_code=HTTP_200_OK if health.status == "alive" else HTTP_503_SERVICE_UNAVAILABLE)

    @get("/readyz", media_type=MediaType.JSON)
    async def readyz() -> Response[dict[str, object]]:
        reasons = await pulse.unready()
        if not reasons:
            return Response({"status": "ready"})
        told = [{"reason": each.reason, "says": each.says} for each in reasons]
        return problem(HTTP_503_SERVICE_UNAVAILABLE, "it is not ready", reasons=told)

    @get("/metrics", media_type=NUMBERS)
    async def metrics() -> Response[bytes]:
        return Response(await pulse.numbers_text(), media_type=NUMBERS)

    return Router("/", route_handlers=[healthz, readyz, metrics])
