"""Batches of products, cut into blocks that stay in the cache and chunks that bound the memory."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from workers.mpc.preprocessing.bit_matrix import WORD_BITS
from workers.mpc.preprocessing.products import Product, RingProduct
from workers.mpc.preprocessing.transfer_extension import CORRECTION_BYTES
from workers.mpc.rings.base import Elements, Ring
from workers.mpc.rings.words import IntegersModuloPowerOfTwo

CHUNK_BYTES = 2**23
"""What a party sends for one chunk in one direction, over all its peers together, at the most
(unless one block is larger). About six such pieces exist at once."""

P = TypeVar("P", bound=Product)


@dataclass(frozen=True)
class Block:
    """Scalars start .. start + scale * words - 1 times columns column .. of their rows."""

    start: int
    words: int
    column: int = 0


class Batch(ABC, Generic[P]):
    """Scalars, rows, and the sums into which both sides' shares of their products go."""

    def __init__(self, product: P, scalars: int, columns: int = 1) -> None:
        """Cut ``scalars`` scalars, rounded up to whole words, times ``columns`` columns."""
        self.product = product
        words = -(-scalars // product.scale)
        width = product.columns if isinstance(product, RingProduct) else 1
        self.blocks = [
            Block(start * product.scale, min(product.most_words, words - start), column)
            for column in range(0, columns, width)
            for start in range(0, words, product.most_words)
        ]

    def correction_bytes(self, block: Block) -> int:
        """Return what the receiver of the transfers sends for a block."""
        return self.product.planes * block.words * CORRECTION_BYTES

    def payload_bytes(self, block: Block) -> int:
        """Return what their sender sends."""
        return self.product.payload_bytes(block.words)

    def chunks(self, peers: int) -> Sequence[Sequence[Block]]:
        """Return the blocks in groups, each for one round, for a party with so many peers."""
        if not self.blocks:
            return []
        largest = self.correction_bytes(self.blocks[0]) + self.payload_bytes(self.blocks[0])
        size = max(1, CHUNK_BYTES // (largest * peers))
        return [self.blocks[at : at + size] for at in range(0, len(self.blocks), size)]

    @abstractmethod
    def scalars(self, block: Block) -> Elements:
        """Return the receiver's scalars of a block."""

    @abstractmethod
    def rows(self, block: Block) -> Elements:
        """Return the sender's rows."""

    @abstractmethod
    def collect(self, block: Block, shares: Elements) -> None:
        """Add a block's shares to the sums."""


class Elementwise(Batch[P]):
    """scalars[e] * rows[e, :] for every e, added to sums[e, :].

    *Shapes*: (m,), (m, columns) and (m, columns), m a multiple of the product's scale.
    """

    def __init__(
        self, product: P, ring: Ring, scalars: Elements, rows: Elements, sums: Elements
    ) -> None:
        super().__init__(product, len(scalars))
        self._ring = ring
        self._scalars, self._rows, self.sums = scalars, rows, sums

    def scalars(self, block: Block) -> Elements:
        """Return a part of the vector."""
        return self._scalars[self._part(block)]

    def rows(self, block: Block) -> Elements:
        """Return a part of the rows."""
        return self._rows[self._part(block)]

    def collect(self, block: Block, shares: Elements) -> None:
        """Add to the same part of the sums."""
        part = self._part(block)
        self.sums[part] = self._ring.add(self.sums[part], shares)

    def _part(self, block: Block) -> slice:
        return slice(block.start, block.start + block.words * self.product.scale)


COLUMN_BYTES = 512
"""The most of a row that is offered in one transfer."""


class MatrixProduct(Batch[RingProduct]):
    """left @ right, added to sums: every element of left scales a row of right.

    *Shapes*: (m, k), (k, n), (m, n), none of them empty. *Cost*: for each of f parts of the rows,
    f = ceil(n * bytes of an element / 512), one transfer for every bit of left.
    """

    def __init__(
        self,
        ring: IntegersModuloPowerOfTwo,
        left: Elements,
        right: Elements,
        sums: Elements,
    ) -> None:
        parts = -(-right.shape[1] * ring.element_bytes // COLUMN_BYTES)
        columns = -(-right.shape[1] // parts)
        padded = parts * columns
        super().__init__(RingProduct(ring, ring.bits, columns), left.size, padded)
        self._ring, self._terms = ring, left.shape[1]
        self._left = np.zeros(-(-left.size // WORD_BITS) * WORD_BITS, dtype=ring.dtype)
        self._left[: left.size] = left.reshape(-1)
        self._count = left.size
        self._right = np.zeros((len(right), padded), dtype=ring.dtype)
        self._right[:, : right.shape[1]] = right
        self.sums = sums

    def scalars(self, block: Block) -> Elements:
        """Return elements of the left matrix, row by row."""
        return self._left[block.start : block.start + block.words * WORD_BITS]

    def rows(self, block: Block) -> Elements:
        """Return, for each of them, its row of the right matrix."""
        terms = np.arange(block.start, block.start + block.words * WORD_BITS) % self._terms
        return self._right[terms, block.column : block.column + self.product.columns]

    def collect(self, block: Block, shares: Elements) -> None:
        """Sum over the terms of each element of the product."""
        stop = min(block.start + block.words * WORD_BITS, self._count)
        rows = np.arange(block.start, stop) // self._terms
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        totals = np.add.reduceat(
            shares[: stop - block.start], starts, axis=0, dtype=self._ring.dtype
        )
        target = self.sums[rows[0] : rows[-1] + 1, block.column : block.column + totals.shape[1]]
        target[...] = self._ring.add(target, totals[:, : target.shape[1]])
