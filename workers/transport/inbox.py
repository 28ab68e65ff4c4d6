"""What one party has received from another, put back together into messages of known size."""

import hashlib
from collections import deque

from workers.mpc.errors import RemoteProtocolError
from workers.transport.errors import OutOfOrder
from workers.transport.frames import Header


class Inbox:
    """One direction of one pair, receiving side.

    Frames that come before their message is expected wait here, within the window; a frame counts
    as consumed, and will be acknowledged, only when its message is being put together. That is the
    flow control: a peer that runs ahead fills its window and stops.
    """

    def __init__(self, peer: int, *, window_bytes: int) -> None:
        self._peer = peer
        self._window_bytes = window_bytes
        self._next_sequence = 0
        self._early: deque[tuple[bytes, bool]] = deque()
        self._early_bytes = 0
        self._expected_bytes: int | None = None
        self._chunks: list[bytes] = []
        self._chunks_bytes = 0
        self._message: bytes | None = None
        self._digest = hashlib.sha256()
        self.consumed = 0
        """How many frames were consumed; what an ACK says."""
        self.consumed_bytes = 0
        self.duplicates = 0
        """How many frames came again, after a reconnect or by the relay's doing."""

    def expect(self, size_bytes: int) -> None:
        """Begin to put together the next message.

        *Raises* RemoteProtocolError when what already came does not fit.
        """
        self._expected_bytes = size_bytes
        while self._early and self._expected_bytes is not None:
            chunk, more = self._early.popleft()
            self._early_bytes -= len(chunk)
            self._consume(chunk, more)

    def accept(self, header: Header, frame: bytes | memoryview, chunk: bytes) -> bool:
        """Take one authentic DATA frame; whether it is new.

        *Raises* OutOfOrder, or RemoteProtocolError for a message of another size than expected
        or a peer that does not wait for acknowledgements.
        """
        if header.sequence < self._next_sequence:
            self.duplicates += 1
            return False
        if header.sequence > self._next_sequence:
            raise OutOfOrder(
                f"frame {self._next_sequence} of party {self._peer} was expected, frame "
                f"{header.sequence} arrived: the relay dropped or reordered frames",
                party=self._peer,
            )
        self._next_sequence += 1
        self._digest.update(frame)
        if self._expected_bytes is not None:
            self._consume(chunk, header.more)
            return True
        self._early.append((chunk, header.more))
        self._early_bytes += len(chunk)
        if self._early_bytes > self._window_bytes:
            raise RemoteProtocolError(
                f"party {self._peer} sent {self._early_bytes} bytes ahead; at most "
                f"{self._window_bytes} may be unacknowledged",
                party=self._peer,
            )
        return True

    def take(self) -> bytes:
        """The message that is complete."""
        message, self._message = self._message, None
        if message is None:
            raise RuntimeError("the message is not complete")
        return message

    @property
    def complete(self) -> bool:
        """Whether the expected message is there to be taken."""
        return self._message is not None

    @property
    def waiting(self) -> bool:
        """Whether a message is expected and not yet complete."""
        return self._expected_bytes is not None

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, over all DATA frames so far in sequence order."""
        return self._digest.hexdigest()

    def _consume(self, chunk: bytes, more: bool) -> None:
        self._chunks.append(chunk)
        self._chunks_bytes += len(chunk)
        self.consumed += 1
        self.consumed_bytes += len(chunk)
        expected = self._expected_bytes
        if (
            expected is None
            or self._chunks_bytes > expected
            or (not more and self._chunks_bytes < expected)
            or (more and self._chunks_bytes == expected)
        ):
            raise RemoteProtocolError(
                f"party {self._peer} sent a message of {self._chunks_bytes} bytes"
                f"{' or more' if more else ''}; the round expects {expected}",
                party=self._peer,
            )
        if not more:
            self._message = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks = []
            self._chunks_bytes = 0
            self._expected_bytes = None
