"""Beaver triples from oblivious transfers: additive shares of random a, b and of their product.

Every party draws its own shares of a and b. The product of the sums is the sum, over all ordered
pairs of parties, of one's share of a times the other's share of b; each such cross product is
shared between the two by :mod:`workers.mpc.preprocessing.pairwise`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workers.mpc.errors import LocalProtocolError
from workers.mpc.preprocessing.batches import Batch, Elementwise, MatrixProduct
from workers.mpc.preprocessing.bit_matrix import WORD_BITS, Words
from workers.mpc.preprocessing.pairwise import receive_products, send_products
from workers.mpc.preprocessing.products import BitProduct, RingProduct
from workers.mpc.preprocessing.transfers import Transfers
from workers.mpc.protocol import Protocol, in_parallel
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.rings.words import BitWords, IntegersModuloPowerOfTwo


@dataclass(frozen=True, eq=False)
class Triples:
    """A party's shares of a, b and c, where c = a * b or, for matrices, c = a @ b."""

    ring: Ring
    a: Elements = field(repr=False)
    b: Elements = field(repr=False)
    c: Elements = field(repr=False)


def multiplication_triples(transfers: Transfers, ring: Ring, shape: Shape) -> Protocol[Triples]:
    """Return shares of triples, c = a * b element by element.

    ``ring`` is :class:`IntegersModuloPowerOfTwo` or :class:`BitWords`.

    *Cost*: m elements count as the next multiple of 64 (words: m k bits as the next multiple of
    64 bits). Every party sends to every other one ``m (4 k + s)`` bytes, s the sum of
    word_bytes(k - i) for i = 0 .. k - 1: 600 bytes for k = 64, 216 for 32, 88 for 16, 40 for 8;
    words: 264 bytes for every 64 bits. Rounds: 1 + ceil(blocks / c), none for m = 0; a block has
    64 floor(1024 / k) elements (words: 2^16 bits), and c = floor(8 MiB / bytes of a block and all
    peers), at least 1. Memory: 64 MiB at the most beside the result.
    *Security*: semi-honest, all parties but one corrupt; nothing is revealed.
    *Raises* LocalProtocolError for other rings and for transfers that are dead.
    *See* [Bea91], [Gil99], [DSZ15].
    """
    if isinstance(ring, BitWords):
        return _bit_triples(transfers, ring, shape)
    return _ring_triples(transfers, _integers(ring), shape)


def matrix_triples(
    transfers: Transfers, ring: Ring, rows: int, terms: int, columns: int
) -> Protocol[Triples]:
    """Return shares of one matrix triple, c = a @ b: rows x terms times terms x columns.

    *Cost*: with x the smaller and y the larger of rows and columns, z = x * terms as the next
    multiple of 64, f = ceil(y * bytes of an element / 512) and w = ceil(y / f), every party sends
    to every other one ``z f (4 k + w s)`` bytes, s as in :func:`multiplication_triples`: about 348
    bytes per product of two elements for k = 64, where single triples take 600. Rounds:
    1 + ceil(blocks / c) as there; a block has 64 min(floor(1024 / k), max(1, floor(4096 / (k p))))
    scalars, p = ceil(w * bytes of an element / 16).
    *Security*: semi-honest, all parties but one corrupt; nothing is revealed.
    *Raises* LocalProtocolError for other rings than integers modulo 2^k and dead transfers.
    *See* [MZ17] on matrix triples from transfers of rows.
    """
    integers = _integers(ring)
    randomness = transfers.party.randomness
    a = integers.random(randomness, (rows, terms))
    b = integers.random(randomness, (terms, columns))
    c = integers.matmul(a, b)
    if a.size and b.size:
        # The longer rows are scaled, by the fewer scalars: each bit of a scalar is a transfer.
        factors = (a, b, c) if rows <= columns else (b.T, a.T, c.T)
        yield from _cross_products(transfers, MatrixProduct(integers, *factors))
    return Triples(integers, a, b, c)


def _ring_triples(
    transfers: Transfers, ring: IntegersModuloPowerOfTwo, shape: Shape
) -> Protocol[Triples]:
    count = int(np.prod(shape, dtype=int))
    padded = -(-count // WORD_BITS) * WORD_BITS
    a = ring.random(transfers.party.randomness, (padded,))
    b = ring.random(transfers.party.randomness, (padded,))
    c = ring.multiply(a, b)
    batch = Elementwise(RingProduct(ring, ring.bits), ring, b, a[:, np.newaxis], c[:, np.newaxis])
    yield from _cross_products(transfers, batch)
    return Triples(ring, *(part[:count].reshape(shape) for part in (a, b, c)))


def _bit_triples(transfers: Transfers, ring: BitWords, shape: Shape) -> Protocol[Triples]:
    count = int(np.prod(shape, dtype=int))
    words = -(-count * ring.bits // WORD_BITS)
    a = transfers.party.randomness.words((words,))
    b = transfers.party.randomness.words((words,))
    c = a & b
    batch = Elementwise(BitProduct(), BitWords(WORD_BITS), b, a[:, np.newaxis], c[:, np.newaxis])
    yield from _cross_products(transfers, batch)
    return Triples(ring, *(_bits_as(part, ring, count).reshape(shape) for part in (a, b, c)))


def _cross_products(transfers: Transfers, batch: Batch[Any]) -> Protocol[None]:
    """Add our shares of all cross products with all other parties to the batch's sums."""
    if not batch.blocks:
        return
    with transfers.in_use():
        own = transfers.party.id
        # Both parties of a pair put the direction from the lower to the higher number first.
        rising, falling = (send_products, receive_products), (receive_products, send_products)
        yield from in_parallel(
            *(
                run(transfers, peer, batch)
                for peer in transfers.party.others
                for run in (rising if own < peer else falling)
            )
        )


def _integers(ring: Ring) -> IntegersModuloPowerOfTwo:
    if not isinstance(ring, IntegersModuloPowerOfTwo):
        raise LocalProtocolError(f"there are no such triples in {ring}: integers modulo 2^k only")
    return ring


def _bits_as(words: Words, ring: BitWords, count: int) -> Elements:
    """Return consecutive bits as ``count`` words of the ring."""
    if ring.bits == 8 * ring.dtype.itemsize:
        return words.view(ring.dtype)[:count]
    bits = np.unpackbits(words.view(np.uint8), count=count * ring.bits, bitorder="little")
    filled = np.zeros((count, 8 * ring.dtype.itemsize), dtype=np.uint8)
    filled[:, : ring.bits] = bits.reshape(count, ring.bits)
    return np.packbits(filled, axis=1, bitorder="little").view(ring.dtype).reshape(count)
