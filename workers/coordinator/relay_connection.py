"""One party's websocket at the relay, and everything that waits on it."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from workers.transport import notices

AsgiEvent: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[AsgiEvent], Awaitable[None]]

_FAREWELL_SECONDS = 1.0


class Connection:
    """A socket that can be given up while others wait to send to it.

    All waiting is done inside ``asyncio.timeout`` blocks that this object can end: a dead socket
    with a full buffer must not hold up whoever forwards to it.
    """

    def __init__(self, party: int, send: Send, stall_seconds: float) -> None:
        self.party = party
        self._send = send
        self._stall_seconds = stall_seconds
        self._gone = False
        self._deliveries: set[asyncio.Timeout] = set()
        self._life: asyncio.Timeout | None = None

    async def live(self, work: Awaitable[int]) -> int:
        """Await the reading of this socket, which returns its close code, until it is dropped."""
        try:
            async with asyncio.timeout(None) as self._life:
                return await work
        except TimeoutError:
            return notices.CLOSE_LOST
        finally:
            self._life = None

    async def deliver(self, event: AsgiEvent) -> None:
        """Hand one event to the socket; a socket that fails or reads nothing is dropped.

        The await is the back-pressure on the caller.
        """
        if not self._gone:
            await self._hand(event, self._stall_seconds)

    async def notify(self, notice: notices.Notice) -> None:
        """Hand a notice to the socket."""
        await self.deliver({"type": "websocket.send", "text": notices.format_notice(notice)})

    async def dismiss(self, code: int, *farewell: notices.Notice) -> None:
        """Stop deliveries, say why if the socket still takes it, close, and drop."""
        self._end_deliveries()
        for notice in farewell:
            text = notices.format_notice(notice)
            await self._hand({"type": "websocket.send", "text": text}, _FAREWELL_SECONDS)
        await self._hand({"type": "websocket.close", "code": code}, _FAREWELL_SECONDS)
        self.drop()

    def drop(self) -> None:
        """End every wait on this connection, its reading too, at once and for good."""
        self._end_deliveries()
        if self._life is not None:
            _end(self._life)

    def _end_deliveries(self) -> None:
        self._gone = True
        for delivery in self._deliveries:
            _end(delivery)

    async def _hand(self, event: AsgiEvent, limit_seconds: float) -> None:
        try:
            async with asyncio.timeout(limit_seconds) as delivery:
                self._deliveries.add(delivery)
                try:
                    await self._send(event)
                finally:
                    self._deliveries.discard(delivery)
        except (TimeoutError, OSError, RuntimeError):
            # OSError: the client is gone. RuntimeError: the server closed the socket before us.
            self.drop()


def _end(wait: asyncio.Timeout) -> None:
    # One that is expiring by itself cannot be rescheduled, and need not be.
    if not wait.expired():
        wait.reschedule(asyncio.get_running_loop().time())
