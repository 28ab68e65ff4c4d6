"""Ring vectors as bytes: raw little-endian ``uint64``, nothing else.

The number of elements is not on the wire: sender and receiver know it from the protocol. Every
8 bytes are a ring element, so each vector has one encoding and each encoding one vector::

    [1, 2^64 - 1]   <->   01 00 00 00 00 00 00 00  ff ff ff ff ff ff ff ff
"""

import numpy as np

from workers.mpc.errors import LocalProtocolError
from workers.mpc.ring import RingVector

ELEMENT_BYTES = 8


def to_bytes(elements: RingVector) -> bytes:
    """Return the encoding of a ring vector: 8 bytes an element."""
    if elements.dtype != np.uint64 or elements.ndim != 1:
        raise LocalProtocolError(
            f"expected a vector of uint64, got {elements.dtype} of shape {elements.shape}"
        )
    return elements.astype("<u8", copy=False).tobytes()


def from_bytes(encoded: bytes, size: int) -> RingVector:
    """Return the ring vector of exactly ``size`` elements that the bytes encode.

    *Raises* LocalProtocolError if the bytes have another length; a round has checked it before.
    """
    if len(encoded) != size * ELEMENT_BYTES:
        raise LocalProtocolError(
            f"expected {size * ELEMENT_BYTES} bytes for {size} ring elements, got {len(encoded)}"
        )
    return np.frombuffer(encoded, dtype="<u8").astype(np.uint64)
