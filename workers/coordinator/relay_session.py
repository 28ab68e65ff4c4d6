"""One session at the relay: who is connected, which epoch it is, and when it is over.

Life of a session: parties join; when all are there, each hears ``ready`` with a new epoch; when
one is lost the others hear ``waiting``, and ``ready`` again under the next epoch when it is back.
A party that closes normally has ``left`` and is not missed. A party missing for longer than its
grace, or one that gives up, ends the session for all.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from workers.coordinator.relay_connection import Connection
from workers.transport import notices

_TIMER_SLACK_SECONDS = 0.001


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
