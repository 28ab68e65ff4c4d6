"""Products of one party's secret scalars with another's secret rows, shared between the two.

A product says how many transfers a scalar takes, what the sender of transfers offers in them, and
what both sides keep. Its results are shares: the sender's plus the receiver's is scalar * row.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from workers.mpc.preprocessing.bit_matrix import (
    WORD,
    WORD_BITS,
    Words,
    bit_planes,
    pack_lowest_bits,
)
from workers.mpc.preprocessing.correlation_hash import BLOCK_BYTES
from workers.mpc.preprocessing.transfer_extension import BLOCK_WORD_COUNT
from workers.mpc.protocol import Buffer
from workers.mpc.randomness import word_bytes
from workers.mpc.rings.base import Elements
from workers.mpc.rings.words import IntegersModuloPowerOfTwo

BLOCK_PADS = 2**18
"""The most AES blocks of pads that are made at once, so that they stay near the cache."""


class Product(Protocol):
    """What a kind of product does with the pads of its transfers.

    *Shapes*: for ``words`` choice words in each of ``planes`` planes there are ``scale * words``
    scalars of shape (scale * words,), and rows and shares of shape (scale * words, columns).
    """

    @property
    def planes(self) -> int:
        """How many choice bits a scalar has."""

    @property
    def scale(self) -> int:
        """How many scalars one choice word of every plane holds a bit of."""

    @property
    def pad_blocks(self) -> int:
        """How many AES blocks a transfer's pad needs."""

    @property
    def most_words(self) -> int:
        """How many words to extend at once, so that everything stays in the cache."""

    def payload_bytes(self, words: int) -> int:
        """Return the size of what the sender offers."""

    def choices(self, scalars: Elements) -> Words:
        """Return the scalars' bits, (planes, words)."""

    def offer(self, first: Words, second: Words, rows: Elements) -> tuple[list[Buffer], Elements]:
        """Return what the sender sends, and its share."""

    def begin(self, pads: Words) -> Elements:
        """Return the part of the receiver's share that its pads determine."""

    def finish(self, begun: Elements, scalars: Elements, payload: Buffer) -> Elements:
        """Return the receiver's share."""


@dataclass(frozen=True)
class RingProduct:
    """Products in Z/2^k of scalars below 2^``planes`` with rows of ``columns`` elements.

    For bit i of a scalar b the receiver gets pad_0 + b_i row, the sender keeps -pad_0, and both
    sum with weight 2^i. Only the lowest k - i bits of that matter, so only a word that holds them
    is sent.

    *Cost*: one transfer for each bit of a scalar; for each scalar and column the sum over i of
    word_bytes(k - i) bytes: 344 for k = planes = 64, 88 for 32, 24 for 16, 8 for 8.
    *See* [Gil99].
    """

    ring: IntegersModuloPowerOfTwo
    planes: int
    columns: int = 1
    scale: int = WORD_BITS

    @property
    def pad_blocks(self) -> int:
        """How many AES blocks hold a row."""
        return math.ceil(self.columns * self.ring.element_bytes / BLOCK_BYTES)

    @property
    def most_words(self) -> int:
        """As many as fit in one extension, fewer where long rows make many pads of each."""
        few = BLOCK_PADS // (WORD_BITS * self.planes * self.pad_blocks)
        return min(BLOCK_WORD_COUNT // self.planes, max(1, few))

    def payload_bytes(self, words: int) -> int:
        """Return the size of the offer for ``words`` words."""
        return (
            WORD_BITS
            * words
            * self.columns
            * sum((stop - start) * width.itemsize for start, stop, width in self._widths)
        )

    def choices(self, scalars: Elements) -> Words:
        """Return the scalars' bits as planes."""
        return bit_planes(scalars, self.planes)

    def offer(self, first: Words, second: Words, rows: Elements) -> tuple[list[Buffer], Elements]:
        """Return pad_0 - pad_1 + row for every bit, lowest first, and the sender's share."""
        zero, one = self._elements(first), self._elements(second)
        differences = zero - one
        differences += rows
        payload: list[Buffer] = [
            differences[start:stop].astype(width).reshape(-1).view(np.uint8).data
            for start, stop, width in self._widths
        ]
        return payload, self.ring.negate(self._weighted(zero))

    def begin(self, pads: Words) -> Elements:
        """Return the weighted sum of the receiver's pads."""
        return self._weighted(self._elements(pads))

    def finish(self, begun: Elements, scalars: Elements, payload: Buffer) -> Elements:
        """Return the receiver's share: its pads, and what was offered where its bit is 1."""
        total = np.zeros_like(begun)
        bits = scalars[:, np.newaxis]
        one = self.ring.dtype.type(1)
        for position, offered in self._planes_of(payload, begun.shape):
            np.left_shift(total, one, out=total)
            chosen = np.negative(bits >> self.ring.dtype.type(position) & one)
            total += offered & chosen
        return self.ring.add(begun, total)

    @cached_property
    def _widths(self) -> list[tuple[int, int, np.dtype[Any]]]:
        """Runs of scalar bits whose offers have words of the same width: start, stop, word."""
        needed = [word_bytes(self.ring.bits - position) for position in range(self.planes)]
        runs = []
        for size in (8, 4, 2, 1):
            if size in needed:
                start = needed.index(size)
                runs.append((start, start + needed.count(size), np.dtype(f"<u{size}")))
        return runs

    def _planes_of(
        self, payload: Buffer, shape: tuple[int, ...]
    ) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield every bit's position and its offers, highest bit first."""
        end = len(payload)
        for start, stop, width in reversed(self._widths):
            size = (stop - start) * math.prod(shape) * width.itemsize
            offers = np.frombuffer(payload[end - size : end], dtype=width)
            planes = offers.astype(self.ring.dtype, copy=False).reshape(stop - start, *shape)
            for position in reversed(range(start, stop)):
                yield position, planes[position - start]
            end -= size

    def _elements(self, pads: Words) -> Elements:
        return pads.view(self.ring.dtype)[..., : self.columns]

    def _weighted(self, planes: Elements) -> Elements:
        """Return sum(2^i * planes[i]), by Horner's rule."""
        total: Elements = planes[-1].copy()
        one = self.ring.dtype.type(1)
        for plane in planes[-2::-1]:
            np.left_shift(total, one, out=total)
            total += plane
        return total


@dataclass(frozen=True)
class BitProduct:
    """ANDs of single bits, 64 in a word: the receiver's word with the sender's word.

    *Cost*: 64 transfers and 8 bytes for each word.
    """

    planes: int = 1
    scale: int = 1
    pad_blocks: int = 1
    most_words: int = BLOCK_WORD_COUNT

    def payload_bytes(self, words: int) -> int:
        """Return the size of the offer for ``words`` words."""
        return words * WORD.itemsize

    def choices(self, scalars: Elements) -> Words:
        """Return the words themselves."""
        return scalars.reshape(1, -1)

    def offer(self, first: Words, second: Words, rows: Elements) -> tuple[list[Buffer], Elements]:
        """Return bit_0 + bit_1 + row, and bit_0."""
        zero, one = self.begin(first), self.begin(second)
        return [(zero ^ one ^ rows).reshape(-1).view(np.uint8).data], zero

    def begin(self, pads: Words) -> Elements:
        """Return one bit of every pad."""
        return pack_lowest_bits(pads[0, :, 0])[:, np.newaxis]

    def finish(self, begun: Elements, scalars: Elements, payload: Buffer) -> Elements:
        """Return the receiver's share."""
        offered = np.frombuffer(payload, dtype=WORD)[:, np.newaxis]
        return cast(Elements, begun ^ (offered & scalars[:, np.newaxis]))
