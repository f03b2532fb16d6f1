"""Reloads over HTTP: one at a time, and one for all who wait."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class SharedReload:
    """For one event loop; the reload runs in a thread of its own."""

    def __init__(self, reload: Callable[[], None]) -> None:
        self._reload = reload
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reload")
        self._running: asyncio.Future[None] | None = None
        self._next: asyncio.Future[None] | None = None

    async def __call__(self) -> None:
        """Wait for a reload that begins after this call: the one under way may have read the file before it changed.

        Raises what the reload raises.
        """
        if self._next is None:
            self._next = asyncio.ensure_future(self._after(self._running))
        await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Future[None] | None) -> None:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        await asyncio.get_running_loop().run_in_executor(self._thread, self._reload)
