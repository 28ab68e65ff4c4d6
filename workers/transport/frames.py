"""Frames: what one party seals for another, and the envelope that takes it to the relay.

A *frame* goes from party to party. All but the payload is in the clear and is authenticated as
associated data::

    offset  size  field
         0     2  magic and version, b"Q" 0x01
         2    16  session id
        18     1  kind: 1 DATA, 2 ACK
        19     1  sender
        20     1  receiver
        21     8  sequence, unsigned, big-endian
        29     1  more: 1 if the message goes on in the next frame, else 0
        30   n+16 AES-256-GCM ciphertext of n bytes, then its tag

The header of the first DATA frame from party 0 to party 2 of session 00010203...0f, last of its
message::

    51 01  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  01  00  02  00 00 00 00 00 00 00 00  00

An ACK carries 8 bytes, big-endian: how many DATA frames of the other direction were consumed.

An *envelope* exists between a party and the relay only, in front of the frame. When a frame is
sent again only the epoch differs::

    offset  size  field
         0     1  addressee
         1     4  epoch, unsigned, big-endian
         5        the frame

Envelope and frame together are one binary websocket message of at most 1 MiB. All but the last
chunk of a message are of full size, so that sizes on the wire depend on message sizes only.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from workers.transport.errors import MalformedFrame

MAX_RELAY_MESSAGE_BYTES = 1 << 20
ENVELOPE_BYTES = 5
HEADER_BYTES = 30
TAG_BYTES = 16
ACKNOWLEDGEMENT_BYTES = 8
MAX_FRAME_BYTES = MAX_RELAY_MESSAGE_BYTES - ENVELOPE_BYTES
MAX_CHUNK_BYTES = MAX_FRAME_BYTES - HEADER_BYTES - TAG_BYTES
MAX_SEQUENCE = (1 << 64) - 1
SESSION_ID_BYTES = 16

_MAGIC = b"Q\x01"
_HEADER = struct.Struct(">2s16sBBBQB")
_ENVELOPE = struct.Struct(">BI")
_COUNT = struct.Struct(">Q")


class Kind(IntEnum):
    """What a frame carries; each kind has its own keys and its own sequence."""

    DATA = 1
    ACK = 2


@dataclass(frozen=True)
class Header:
    """The clear part of a frame."""

    session_id: bytes
    kind: Kind
    sender: int
    receiver: int
    sequence: int
    more: bool

    def to_bytes(self) -> bytes:
        """The header's 30 bytes; also the associated data of the payload."""
        return _HEADER.pack(
            _MAGIC,
            self.session_id,
            self.kind,
            self.sender,
            self.receiver,
            self.sequence,
            self.more,
        )


def parse_header(frame: bytes | memoryview) -> Header:
    """The header of a whole frame, whose size is checked too.

    *Raises* MalformedFrame.
    """
    size = len(frame)
    if not HEADER_BYTES + TAG_BYTES < size <= MAX_FRAME_BYTES:
        raise MalformedFrame(
            f"a frame has {HEADER_BYTES + TAG_BYTES + 1} to {MAX_FRAME_BYTES} bytes, not {size}"
        )
    magic, session_id, kind, sender, receiver, sequence, more = _HEADER.unpack_from(frame)
    if magic != _MAGIC:
        raise MalformedFrame(f"a frame begins with {_MAGIC.hex()}, not {magic.hex()}")
    if more > 1:
        raise MalformedFrame(f"the field more is 0 or 1, not {more}", party=sender)
    payload_bytes = size - HEADER_BYTES - TAG_BYTES
    if kind == Kind.ACK and (payload_bytes != ACKNOWLEDGEMENT_BYTES or more):
        raise MalformedFrame(
            f"an ACK is one frame of {ACKNOWLEDGEMENT_BYTES} bytes, not {payload_bytes}",
            party=sender,
        )
    if kind == Kind.DATA and more and payload_bytes != MAX_CHUNK_BYTES:
        raise MalformedFrame(
            f"a chunk that goes on has {MAX_CHUNK_BYTES} bytes, not {payload_bytes}", party=sender
        )
    if kind not in (Kind.DATA, Kind.ACK):
        raise MalformedFrame(f"a frame is of kind 1 or 2, not {kind}", party=sender)
    return Header(session_id, Kind(kind), sender, receiver, sequence, bool(more))


def format_count(count: int) -> bytes:
    """The payload of an ACK."""
    return _COUNT.pack(count)


def parse_count(payload: bytes) -> int:
    """How many frames an ACK acknowledges."""
    (count,) = _COUNT.unpack(payload)
    return int(count)


def wrap(addressee: int, epoch: int, frame: bytes) -> bytes:
    """A frame in its envelope: one websocket message."""
    return _ENVELOPE.pack(addressee, epoch) + frame


def parse_envelope(message: bytes) -> tuple[int, int]:
    """The addressee and the epoch of a websocket message; the frame follows at ENVELOPE_BYTES.

    *Raises* MalformedFrame.
    """
    if not ENVELOPE_BYTES < len(message) <= MAX_RELAY_MESSAGE_BYTES:
        raise MalformedFrame(
            f"a relay message has {ENVELOPE_BYTES + 1} to {MAX_RELAY_MESSAGE_BYTES} bytes, "
            f"not {len(message)}"
        )
    addressee, epoch = _ENVELOPE.unpack_from(message)
    return addressee, epoch
