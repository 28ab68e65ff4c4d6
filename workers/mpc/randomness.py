"""A party's randomness: an AES-256-CTR keystream expanded straight into numpy arrays."""

import math
import os
import secrets
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from workers.mpc.errors import LocalProtocolError

SEED_BYTES = 32
PIECE_BYTES = 2**20

_ZEROS = bytes(PIECE_BYTES)


class Randomness:
    """A stream of uniform words, determined by a 32-byte seed.

    *Security*: indistinguishable from uniform as long as AES-256 is a pseudo-random permutation
    and the seed is secret and used for one stream only. Not for several threads. A forked child
    would repeat its parent's stream, so the object refuses to work in any process but its own.
    *See* [SP800-38A] section 6.5.
    """

    __slots__ = ("_keystream", "_process")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise LocalProtocolError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
        # A seed keys one stream only, so the counter may start at zero.
        self._keystream = Cipher(algorithms.AES256(seed), modes.CTR(bytes(16))).encryptor()
        self._process = os.getpid()

    @classmethod
    def fresh(cls) -> "Randomness":
        """Return a new stream, seeded by the operating system."""
        return cls(secrets.token_bytes(SEED_BYTES))

    def words(self, shape: tuple[int, ...], bits: int = 64) -> npt.NDArray[Any]:
        """Return the next words of the stream, uniform below 2^bits, 1 <= bits <= 64.

        *Shapes*: ``shape``, in the narrowest of uint8, 16, 32, 64 that holds ``bits``.
        *Raises* LocalProtocolError for a negative size, and in a process forked after creation.
        """
        if not 1 <= bits <= 64:
            raise LocalProtocolError(f"a word has 1 to 64 bits, not {bits}")
        words = np.empty(_size(shape), dtype=f"<u{word_bytes(bits)}")
        self._fill(words)
        words = words.astype(words.dtype.newbyteorder("="), copy=False).reshape(shape)
        if bits not in (8, 16, 32, 64):
            words &= words.dtype.type(2**bits - 1)
        return words

    def below(self, modulus: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return the next uniform integers 0 .. modulus - 1, by rejection; uint64.

        *Cost*: words of the width of the modulus; how many, depends on the stream alone.
        """
        bits = (modulus - 1).bit_length()
        words = self.words((_size(shape),), bits)
        while (rejected := words >= modulus).any():
            words[rejected] = self.words((int(rejected.sum()),), bits)
        return words.astype(np.uint64, copy=False).reshape(shape)

    def bytes(self, size: int) -> bytes:
        """Return the next ``size`` bytes of the stream."""
        return self.words((size,), 8).tobytes()

    def _fill(self, words: npt.NDArray[Any]) -> None:
        if os.getpid() != self._process:
            raise LocalProtocolError(
                "this randomness belongs to the process that forked this one: create fresh "
                "randomness after a fork"
            )
        target = words.view(np.uint8).data
        for start in range(0, len(target), PIECE_BYTES):
            piece = target[start : start + PIECE_BYTES]
            zeros = _ZEROS if len(piece) == PIECE_BYTES else _ZEROS[: len(piece)]
            self._keystream.update_into(zeros, piece)

    def __repr__(self) -> str:
        return "<Randomness>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("randomness is never pickled: it would be used twice")


def word_bytes(bits: int) -> int:
    """Return the bytes of the narrowest word (1, 2, 4 or 8) that holds so many bits."""
    return next(size for size in (1, 2, 4, 8) if 8 * size >= bits)


def _size(shape: tuple[int, ...]) -> int:
    if any(length < 0 for length in shape):
        raise LocalProtocolError(f"the size of a vector is not negative: {shape}")
    return math.prod(shape)
