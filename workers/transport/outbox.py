"""What one party still owes another: chunks to seal, frames to send again until acknowledged."""

import hashlib
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.protocol import Buffer
from workers.transport.frames import (
    HEADER_BYTES,
    MAX_CHUNK_BYTES,
    TAG_BYTES,
)

SealChunk: TypeAlias = Callable[[memoryview, bool], bytes]
"""(chunk, more) to the next DATA frame for this peer."""


class Outbox:
    """One direction of one pair, sending side.

    A chunk is sealed once, when the window has room for it; from then on its frame is kept and
    only ever sent byte for byte, so a sequence number never stands for two payloads.
    """

    def __init__(self, peer: int, seal: SealChunk, *, window_bytes: int) -> None:
        self._peer = peer
        self._seal = seal
        self._window_bytes = window_bytes
        self._unsealed = memoryview(b"")
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._sent_again = 0
        self._acknowledged = 0
        self._left = False
        self._digest = hashlib.sha256()

    def put(self, message: Buffer) -> None:
        """Take the next message; the one before must be buffered.

        A peer that has finished needs nothing more: what is meant for it is dropped.
        """
        if self._left:
            return
        if not self.buffered:
            raise LocalProtocolError("a message is put before the one before it was buffered")
        self._unsealed = memoryview(message).cast("B")

    def next_frame(self) -> bytes | None:
        """The next frame to send under the present epoch, or None: nothing to do, or no room."""
        if self._left:
            return None
        if self._sent_again < len(self._kept):
            frame = self._kept[self._sent_again]
            self._sent_again += 1
            return frame
        if not self._unsealed:
            return None
        chunk = self._unsealed[:MAX_CHUNK_BYTES]
        frame_bytes = HEADER_BYTES + len(chunk) + TAG_BYTES
        if self._kept and self._kept_bytes + frame_bytes > self._window_bytes:
            return None
        self._unsealed = self._unsealed[len(chunk) :]
        frame = self._seal(chunk, len(self._unsealed) > 0)
        self._digest.update(frame)
        self._kept.append(frame)
        self._kept_bytes += frame_bytes
        self._sent_again += 1
        return frame

    def rewind(self) -> None:
        """Begin a new epoch: every kept frame is to be sent again first."""
        self._sent_again = 0

    def acknowledge(self, count: int) -> bool:
        """Forget the first ``count`` frames of all; whether any was still kept.

        *Raises* RemoteProtocolError when the peer acknowledges what was never sealed.
        """
        if count > self._acknowledged + len(self._kept):
            raise RemoteProtocolError(
                f"party {self._peer} acknowledges {count} frames; "
                f"{self._acknowledged + len(self._kept)} were sent to it",
                party=self._peer,
            )
        progress = count > self._acknowledged
        while self._acknowledged < count:
            self._kept_bytes -= len(self._kept.popleft())
            self._acknowledged += 1
            self._sent_again = max(0, self._sent_again - 1)
        return progress

    def release(self) -> None:
        """The peer has finished: what it did not acknowledge, it does not need."""
        self._left = True
        self._kept.clear()
        self._kept_bytes = 0
        self._unsealed = memoryview(b"")

    @property
    def buffered(self) -> bool:
        """Whether every message was sealed into the buffer."""
        return not self._unsealed

    @property
    def settled(self) -> bool:
        """Whether every message was sealed, sent and acknowledged."""
        return self.buffered and not self._kept

    @property
    def kept_bytes(self) -> int:
        """How much the buffer holds."""
        return self._kept_bytes

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, over all DATA frames so far in sequence order."""
        return self._digest.hexdigest()
