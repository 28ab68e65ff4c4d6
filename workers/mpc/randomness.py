"""A party's private randomness: an AES-256-CTR keystream expanded into ring vectors."""

import os
import secrets
from typing import NoReturn

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from workers.mpc.errors import LocalProtocolError
from workers.mpc.ring import RingVector

SEED_BYTES = 32
PIECE_BYTES = 2**20


class Randomness:
    """A stream of uniform ring elements, determined by a 32-byte seed.

    *Security*: indistinguishable from uniform as long as AES-256 is a pseudo-random permutation
    and the seed is secret and used for one stream only. Not for several threads. A forked child
    would repeat its parent's stream, so the object refuses to work in any process but its own.
    *See* [SP800-38A] section 6.5.
    """

    __slots__ = ("_keystream", "_process", "_zeros")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise LocalProtocolError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
        # A seed keys one stream only, so the counter may start at zero.
        self._keystream = Cipher(algorithms.AES256(seed), modes.CTR(bytes(16))).encryptor()
        self._zeros = bytes(PIECE_BYTES)
        self._process = os.getpid()

    @classmethod
    def fresh(cls) -> "Randomness":
        """Return a new stream, seeded by the operating system."""
        return cls(secrets.token_bytes(SEED_BYTES))

    def ring_vector(self, size: int) -> RingVector:
        """Return the next ``size`` elements of the stream. *Shapes*: (size,) uint64.

        *Raises* LocalProtocolError for a negative size, and in a process forked after creation.
        """
        if size < 0:
            raise LocalProtocolError(f"the size of a vector is not negative: {size}")
        if os.getpid() != self._process:
            raise LocalProtocolError(
                "this randomness belongs to the process that forked this one: create fresh "
                "randomness after a fork"
            )
        elements = np.empty(size, dtype="<u8")
        target = elements.view(np.uint8).data
        for start in range(0, len(target), PIECE_BYTES):
            piece = target[start : start + PIECE_BYTES]
            self._keystream.update_into(self._zeros[: len(piece)], piece)
        return elements.astype(np.uint64, copy=False)

    def __repr__(self) -> str:
        return "<Randomness>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("randomness is never pickled: it would be used twice")
