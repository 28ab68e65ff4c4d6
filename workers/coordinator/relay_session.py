"""One session at the relay: who is connected, which epoch it is, and when it is over.

Life of a session: parties join; when all are there, each hears ``ready`` with a new epoch; when
one is lost the others hear ``waiting``, and ``ready`` again under the next epoch when it is back.
A party that closes normally has ``left`` and is not missed. A party missing for longer than its
grace, or one that gives up, ends the session for all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from workers.transport import notices

AsgiEvent: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[AsgiEvent], Awaitable[None]]

_TIMER_SLACK_SECONDS = 0.001
_FAREWELL_SECONDS = 1.0


class Member(NamedTuple):
    """A site's place in a session."""

    party: int
    public_key: bytes


SessionMembers: TypeAlias = Mapping[str, Member]
"""Site to its party number and Ed25519 identity key (raw, 32 bytes)."""


@dataclass(frozen=True)
class Patience:
    """How long the relay waits: for all to join, for a lost party, for one that reads nothing."""

    join_seconds: float
    grace_seconds: float
    stall_seconds: float


class Connection:
    """One party's websocket, and everything that waits on it.

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
            self._life.reschedule(asyncio.get_running_loop().time())

    def _end_deliveries(self) -> None:
        self._gone = True
        now = asyncio.get_running_loop().time()
        for delivery in self._deliveries:
            delivery.reschedule(now)
        self._deliveries.clear()

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


class RelaySession:
    """Who is connected to one session. All methods run in the relay's event loop."""

    def __init__(
        self,
        members: SessionMembers,
        patience: Patience,
        *,
        ended: Callable[[tuple[int, ...]], None],
    ) -> None:
        """``ended`` is called once, with the parties that were lost; none if all have left."""
        self._parties = frozenset(party for party, _ in members.values())
        self._patience = patience
        self._ended = ended
        self._connections: dict[int, Connection] = {}
        self._left: set[int] = set()
        self._missing_until: dict[int, float] = {}
        self._epoch = 0
        self._is_ready = False
        self._over = False
        self._tasks: set[asyncio.Task[None]] = set()
        for party in self._parties:
            self._miss(party, patience.join_seconds)

    def receiver(self, addressee: int, epoch: int) -> Connection | None:
        """Where a frame of that epoch goes now; None: nowhere, its sender will send it again."""
        if not self._is_ready or epoch != self._epoch:
            return None
        return self._connections.get(addressee)

    def join(self, connection: Connection) -> None:
        """A party has connected; an older connection of its is replaced."""
        party = connection.party
        older = self._connections.get(party)
        self._connections[party] = connection
        self._missing_until.pop(party, None)
        self._left.discard(party)
        self._is_ready = False
        if older is not None:
            self._spawn(older.dismiss(notices.CLOSE_REPLACED))
        for finished in sorted(self._left):
            self._spawn(connection.notify(notices.Left(finished)))
        if not self._start_if_complete():
            self._spawn(connection.notify(notices.Waiting(self._missing())))

    def leave(self, connection: Connection, code: int) -> None:
        """A party's connection has ended, with that close code."""
        party = connection.party
        connection.drop()
        if self._connections.get(party) is not connection:
            return
        del self._connections[party]
        if self._over:
            return
        if code == notices.CLOSE_LEFT:
            self._left.add(party)
            self._tell_all(notices.Left(party))
            if self._left == self._parties:
                self._end(())
            else:
                self._start_if_complete()
        elif code == notices.CLOSE_GAVE_UP:
            self._end((party,))
        else:
            self._is_ready = False
            patience = self._patience
            self._miss(party, patience.grace_seconds if self._epoch else patience.join_seconds)
            self._tell_all(notices.Waiting(self._missing()))

    def _missing(self) -> tuple[int, ...]:
        return tuple(sorted(self._missing_until))

    def _miss(self, party: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._missing_until[party] = until = loop.time() + seconds
        loop.call_at(until, self._check_missing)

    def _check_missing(self) -> None:
        now = asyncio.get_running_loop().time() + _TIMER_SLACK_SECONDS
        lost = tuple(sorted(p for p, until in self._missing_until.items() if until <= now))
        if lost:
            self._end(lost)

    def _start_if_complete(self) -> bool:
        if self._missing_until:
            return False
        if not self._is_ready:
            self._is_ready = True
            self._epoch += 1
            self._tell_all(notices.Ready(self._epoch))
        return True

    def _end(self, lost: tuple[int, ...]) -> None:
        self._over = True
        self._is_ready = False
        self._missing_until.clear()
        for connection in self._connections.values():
            self._spawn(connection.dismiss(notices.CLOSE_ABORTED, notices.Aborted(lost)))
        self._ended(lost)

    def _tell_all(self, notice: notices.Notice) -> None:
        for connection in self._connections.values():
            self._spawn(connection.notify(notice))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # The loop keeps only weak references to its tasks.
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
