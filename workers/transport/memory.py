"""Channels between threads of one process: for tests and rehearsals without a network."""

from collections.abc import Mapping
from queue import Empty, SimpleQueue

from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.protocol import PartyId, Round
from workers.transport.errors import ChannelLost


class MemoryChannel:
    """One party's end; see :func:`memory_channels`."""

    def __init__(
        self,
        own: int,
        mailboxes: Mapping[tuple[int, int], "SimpleQueue[bytes]"],
        deadline_seconds: float,
    ) -> None:
        self._own = own
        self._mailboxes = mailboxes
        self._deadline_seconds = deadline_seconds
        self._dropped: set[int] = set()

    def exchange(self, round: Round) -> Mapping[PartyId, bytes]:  # noqa: A002
        """As :class:`workers.transport.channel.BlockingChannel` says."""
        for peer in (*round.send, *round.expect):
            if (self._own, peer) not in self._mailboxes:
                raise LocalProtocolError(f"party {peer} is not another party of this session")
        for receiver, message in round.send.items():
            self._mailboxes[self._own, receiver].put(bytes(message))
        arrived: dict[PartyId, bytes] = {}
        for sender, size_bytes in round.expect.items():
            missing_allowed = len(self._dropped) < round.missing_allowed
            content = self._take(sender, size_bytes, missing_allowed=missing_allowed)
            if content is not None:
                arrived[sender] = content
        return arrived

    def _take(self, sender: int, size_bytes: int, *, missing_allowed: bool) -> bytes | None:
        if sender in self._dropped:
            return None
        try:
            message = self._mailboxes[sender, self._own].get(timeout=self._deadline_seconds)
        except Empty:
            if missing_allowed:
                self._dropped.add(sender)
                return None
            raise ChannelLost(
                f"party {sender} sent nothing for {self._deadline_seconds:g} s"
            ) from None
        if len(message) != size_bytes:
            raise RemoteProtocolError(
                f"party {sender} sent a message of {len(message)} bytes; "
                f"the round expects {size_bytes}",
                party=sender,
            )
        return message


def memory_channels(parties: int, *, deadline_seconds: float = 30.0) -> list[MemoryChannel]:
    """One channel for each party, in party order; each is to be used in a thread of its own."""
    mailboxes: dict[tuple[int, int], SimpleQueue[bytes]] = {
        (sender, receiver): SimpleQueue()
        for sender in range(parties)
        for receiver in range(parties)
        if sender != receiver
    }
    return [MemoryChannel(party, mailboxes, deadline_seconds) for party in range(parties)]
