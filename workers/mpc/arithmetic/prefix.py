"""Running sums and products of secrets along the first axis."""

from __future__ import annotations

import numpy as np

from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements
from workers.mpc.rings.words import IntegersModuloPowerOfTwo
from workers.mpc.secret import Secret, concatenate


def prefix_sum(x: Secret, declared: Range | None = None) -> Secret:
    """Return the sums of the first 1, 2, ... elements. *Cost*: none, it is local.

    ``declared`` is the range of every such sum, where a narrower one is known than n times x's.
    """
    ring, count = x.ring, x.shape[0]

    def summed(part: Elements) -> Elements:
        if isinstance(ring, IntegersModuloPowerOfTwo):
            return ring.from_words(np.cumsum(part, axis=0, dtype=part.dtype))
        # Elsewhere numpy's sum is not the ring's: a field reduces, words of bits carry nothing.
        total, distance = part, 1
        while distance < count:
            moved = np.concatenate([ring.zeros((distance, *x.shape[1:])), total[:-distance]])
            total, distance = ring.add(total, moved), 2 * distance
        return total

    whole = Range(min(x.range.low, x.range.low * count), max(x.range.high, x.range.high * count))
    return x.with_parts(summed, declared or whole)


def suffix_sum(x: Secret, declared: Range | None = None) -> Secret:
    """Return the sums of the elements from each one to the last. *Cost*: none, it is local."""
    return prefix_sum(x[::-1], declared)[::-1]


def prefix_product(engine: Engine, x: Secret, *, products: Range | None = None) -> Protocol[Secret]:
    """Return the products of the first 1, 2, ... fixed-point elements.

    ``products`` is the range of every product of neighbouring elements. It may be left out for
    factors of [-1, 1], such as conditional probabilities of survival: no product is larger.

    *Cost*: ceil(log2 n) truncated products one after the other, of n - 1, n - 2, n - 4, ...: on
    profile replicated 3 rounds for each doubling.
    *Error*: n m^2 units in the last place, m the largest of 1 and the absolute products.
    *Raises* LocalProtocolError if factors may leave [-1, 1] and ``products`` is left out.
    """
    one = 1 << x.fraction
    if products is None and x.range.bound > one:
        raise LocalProtocolError(
            f"{engine.where}factors in {x.range} may leave -1 .. 1: declare their products' range"
        )
    bound = products or Range(min(x.range.low, -one if x.range.low < 0 else 0), one)
    # An early error is multiplied by what stands on both sides of it, each below ``largest``.
    slack = (1 + x.shape[0]) * max(1, -(-bound.bound // one)) ** 2
    distance = 1
    while distance < x.shape[0]:
        product = yield from engine.multiply(x[distance:], x[:-distance], shift=x.fraction)
        product = product.declared(Range(bound.low - slack, bound.high + slack))
        x = concatenate([x[:distance], product])
        distance *= 2
    return x
