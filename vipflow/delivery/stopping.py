"""Being asked to stop: what was begun is brought to its end first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from vipflow.delivery.transport import Outcome

Answer = TypeVar("Answer")


class Stopped:
    """Whether somebody cancelled meanwhile: what was begun is brought to its end first."""

    def __init__(self) -> None:
        self._asked = False

    def __bool__(self) -> bool:
        return self._asked

    async def to_the_end(self, work: Awaitable[Answer]) -> Answer:
        """Waits for it, however often it is asked to stop: a transaction in a thread cannot be left."""
        task = asyncio.ensure_future(work)
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                self._asked = True
        return task.result()

    async def pause(self, seconds: float) -> None:
        """Waits so long, or until somebody asks to stop."""
        try:
            await asyncio.sleep(seconds)  # why: the caller's pause before a retry
        except asyncio.CancelledError:
            self._asked = True

    async def sending(self, work: Awaitable[Sequence[Outcome]]) -> Sequence[Outcome]:
        """Asks it to stop when it is asked to: a transport then says what became of what it had in hand."""
        task = asyncio.ensure_future(work)
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.done():
                    break
                self._asked = True
                task.cancel()
        return task.result()
