"""One party's side of a session, without I/O: rounds in, relay messages out, and the reverse.

Whoever owns a connection asks :meth:`Session.next_message` what to send, hands over what arrives
and what the relay says, and looks whether the round is complete. Every rule of the channel (what
is refused, what is sent again, how much is buffered) is here, where it can be tested without a
network; the network's part is in :mod:`workers.transport.connection`.
"""

from collections.abc import Mapping

from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import PartyId, Round
from workers.transport.errors import SessionAborted
from workers.transport.frames import (
    ENVELOPE_BYTES,
    MAX_FRAME_BYTES,
    Kind,
    format_count,
    parse_count,
    parse_envelope,
    wrap,
)
from workers.transport.inbox import Inbox
from workers.transport.outbox import Outbox, SealChunk
from workers.transport.secure import SessionCipher, SessionSecrets

WINDOW_BYTES = 4 * MAX_FRAME_BYTES
"""The most that one party may have unacknowledged towards another. A receiver enforces it, so it
is part of the wire protocol. Four frames keep a local relay busy, carry 50 MB/s at 80 ms round
trip, and drain in half a minute at 1 Mbit/s, well before a keepalive gives up."""

_ACKNOWLEDGE_AT_BYTES = WINDOW_BYTES // 4


class Session:
    """The state of one party's channels to all others in one attempt.

    *Security*: every frame is authenticated before anything about it is believed. Frames received
    before are ignored and counted; any other frame out of its place is an error, after which the
    session must not be used any more.
    """

    def __init__(self, secrets: SessionSecrets, *, buffer_bytes: int) -> None:
        self._cipher = SessionCipher(secrets)
        peers = self._cipher.peers
        window_bytes = min(WINDOW_BYTES, max(MAX_FRAME_BYTES, buffer_bytes // len(peers)))
        self._outboxes = {
            peer: Outbox(peer, self._sealer(peer), window_bytes=window_bytes) for peer in peers
        }
        self._inboxes = {peer: Inbox(peer, window_bytes=WINDOW_BYTES) for peer in peers}
        # Acknowledgements travel late, with many frames in one, unless much is owed.
        self._acknowledged = dict.fromkeys(peers, 0)
        self._acknowledged_bytes = dict.fromkeys(peers, 0)
        self._due: set[int] = set()
        self._epoch: int | None = None
        self._turn = 0
        self._round: Round | None = None
        self._left: set[int] = set()
        self._dropped: set[int] = set()

    # Towards the protocol

    def begin(self, round_: Round) -> None:
        """Start one round: its messages are queued, what it expects is put together.

        *Raises* LocalProtocolError for a party outside the session or a round begun too early,
        RemoteProtocolError when what already arrived does not fit, SessionAborted when a party
        that the round needs has left.
        """
        strangers = sorted({*round_.send, *round_.expect} - self._inboxes.keys())
        if strangers:
            raise LocalProtocolError(f"party {strangers[0]} is not another party of this session")
        if self._round is not None:
            raise LocalProtocolError("a round was begun before the one before it was finished")
        self._round = round_
        for peer, message in round_.send.items():
            self._outboxes[peer].put(message)
        for peer, size_bytes in round_.expect.items():
            if peer not in self._dropped:
                self._inboxes[peer].expect(size_bytes)
        self._check_nobody_needed_has_left()

    @property
    def round_complete(self) -> bool:
        """Whether all that is expected has come and all that is sent is in the buffer."""
        round_ = self._round
        return round_ is not None and (
            all(self._inboxes[peer].complete for peer in round_.expect if peer not in self._dropped)
            and all(self._outboxes[peer].buffered for peer in round_.send)
        )

    def take(self) -> Mapping[PartyId, bytes]:
        """End the round and return what arrived, by sender; dropouts that it allows are missing."""
        round_, self._round = self._round, None
        if round_ is None:
            raise LocalProtocolError("no round was begun")
        arrived = [peer for peer in round_.expect if peer not in self._dropped]
        return {peer: self._inboxes[peer].take() for peer in arrived}

    @property
    def awaited(self) -> tuple[int, ...]:
        """The parties that the round still waits for, to send or to make room."""
        return tuple(
            peer
            for peer in self._cipher.peers
            if (self._inboxes[peer].waiting and peer not in self._dropped)
            or not self._outboxes[peer].buffered
        )

    @property
    def settled(self) -> bool:
        """Whether every other party has consumed what was sent to it, or has finished."""
        return all(outbox.settled for outbox in self._outboxes.values())

    @property
    def duplicates(self) -> int:
        """How many frames came more than once and were ignored."""
        return sum(inbox.duplicates for inbox in self._inboxes.values())

    @property
    def buffered_bytes(self) -> int:
        """How many bytes of frames are kept to be sent again."""
        return sum(outbox.kept_bytes for outbox in self._outboxes.values())

    def transcript_digests(self) -> dict[int, dict[str, str]]:
        """For every peer the digests of both directions; each is equal at both ends."""
        return {
            peer: {"sent": self._outboxes[peer].digest, "received": self._inboxes[peer].digest}
            for peer in self._cipher.peers
        }

    # Towards the relay

    def ready(self, epoch: int) -> None:
        """The relay has all parties: send again what is unacknowledged, then go on."""
        self._epoch = epoch
        for outbox in self._outboxes.values():
            outbox.rewind()
        # An acknowledgement may have been lost with the connection: state the newest again.
        self._due = {peer for peer, inbox in self._inboxes.items() if inbox.consumed}

    def interrupt(self) -> None:
        """The connection is gone or a party is missing: send nothing until ready."""
        self._epoch = None

    def left(self, party: int) -> None:
        """A party has finished.

        *Raises* SessionAborted when the round still waits for it and cannot do without.
        """
        if party in self._outboxes:
            self._left.add(party)
            self._outboxes[party].release()
            self._check_nobody_needed_has_left()

    def next_message(self) -> bytes | None:
        """The next message for the relay, or None while there is nothing to send."""
        if self._epoch is None:
            return None
        self._due -= self._left
        if self._due:
            peer = self._due.pop()
            return wrap(peer, self._epoch, self._acknowledge(peer))
        peers = self._cipher.peers
        for _ in peers:
            # In turn, chunk by chunk, so that no peer waits for another's long message.
            self._turn = (self._turn + 1) % len(peers)
            frame = self._outboxes[peers[self._turn]].next_frame()
            if frame is not None:
                return wrap(peers[self._turn], self._epoch, frame)
        return None

    def receive(self, message: bytes) -> bool:
        """Take one message from the relay; whether it brought anything new.

        *Raises* FrameError or RemoteProtocolError; the session is over then.
        """
        parse_envelope(message)
        frame = memoryview(message)[ENVELOPE_BYTES:]
        header, payload = self._cipher.open(frame)
        sender = header.sender
        if header.kind is Kind.DATA:
            new = self._inboxes[sender].accept(header, frame, payload)
            self._note_consumption(sender)
            return new
        # Counts only grow: an acknowledgement that is replayed or overtaken changes nothing.
        return self._outboxes[sender].acknowledge(parse_count(payload))

    @property
    def owes_acknowledgements(self) -> bool:
        """Whether something was consumed that its sender does not know of yet."""
        return any(
            inbox.consumed > self._acknowledged[peer] for peer, inbox in self._inboxes.items()
        )

    def release_acknowledgements(self) -> None:
        """Let all owed acknowledgements go out now."""
        self._due |= {
            peer
            for peer, inbox in self._inboxes.items()
            if inbox.consumed > self._acknowledged[peer]
        }

    def _note_consumption(self, peer: int) -> None:
        consumed_bytes = self._inboxes[peer].consumed_bytes
        if consumed_bytes - self._acknowledged_bytes[peer] >= _ACKNOWLEDGE_AT_BYTES:
            self._due.add(peer)

    def _acknowledge(self, peer: int) -> bytes:
        inbox = self._inboxes[peer]
        self._acknowledged[peer] = inbox.consumed
        self._acknowledged_bytes[peer] = inbox.consumed_bytes
        return self._cipher.seal(Kind.ACK, peer, format_count(inbox.consumed), more=False)

    def _sealer(self, peer: int) -> SealChunk:
        return lambda chunk, more: self._cipher.seal(Kind.DATA, peer, chunk, more=more)

    def _check_nobody_needed_has_left(self) -> None:
        gone = tuple(sorted(peer for peer in self._left if self._inboxes[peer].waiting))
        missing = {*gone, *self._dropped}
        if self._round is not None and len(missing) <= self._round.missing_allowed:
            self._dropped = missing
        elif gone or (self._round is not None and self._dropped & self._round.expect.keys()):
            raise SessionAborted(
                f"party {min(missing)} has left while its message is still expected",
                missing=tuple(sorted(missing)),
            )
