"""Server-sent events: what changed in a study, told to every page that has it open."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

HEARTBEAT_S = 15
WAITING = 1000
"""Events that a slow page may lag behind; then it is cut off and asks for the whole state again."""


class Broadcaster:
    """Sends to pages by study; may be called from any thread."""

    def __init__(self) -> None:
        self._pages: dict[str, set[asyncio.Queue[dict[str, Any] | None]]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None

    def tell(self, study: str, kind: str, **content: Any) -> None:
        """Send one event to everybody who has the study open; never waits."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, study, {"kind": kind, **content})

    async def listen(self, study: str) -> AsyncIterator[str]:
        """The events of a study as text/event-stream."""
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(WAITING)
        self._pages[study].add(queue)
        try:
            yield "retry: 1000\n\n"
            while True:
                try:
                    event = await asyncio.wait_for(queue.get(), HEARTBEAT_S)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if event is None:
                    return
                yield f"data: {json.dumps(event, ensure_ascii=False, allow_nan=False)}\n\n"
        finally:
            self._pages[study].discard(queue)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        for pages in self._pages.values():
            for queue in pages:
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(None)

    def _put(self, study: str, event: dict[str, Any]) -> None:
        for queue in list(self._pages[study]):
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(None)
                self._pages[study].discard(queue)
            else:
                queue.put_nowait(event)
