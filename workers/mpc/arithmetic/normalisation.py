"""Normalisation: the power of two that moves a secret's highest bit to a fixed place.

Keeping a reciprocal at a fixed number of fractional bits loses everything for large divisors: with
16 bits, 1 / 7874 has two digits. Division, roots and logarithms work on a mantissa in [1/2, 1) or
[1/4, 1) instead and shift afterwards, so their error is relative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.mpc.arithmetic import bits
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import BIT, Range
from workers.mpc.rings.base import Ring
from workers.mpc.rings.words import Z64
from workers.mpc.secret import Secret

MOST_BITS = 30
"""A mantissa has so many bits at the most, because products of two must stay below 2^62."""


@dataclass(frozen=True)
class HighestBit:
    """Which bit of a secret is its highest: one integer flag for each of ``bits`` places.

    *Shapes*: flags (bits, *s), lowest place first; all 0 where the secret is 0.
    """

    flags: Secret
    bits: int
    lowest: int
    """The lowest place that the secret's range allows; -1 if it may be 0."""

    def weighted(self, weights: list[int]) -> Secret:
        """Return the weight of the highest bit's place; 0 where the secret is 0. *Cost*: none."""
        ring = self.flags.ring
        shape = (self.bits,) + (1,) * (len(self.flags.shape) - 1)
        elements = ring.encode(np.array(weights, dtype=object).reshape(shape))
        possible = weights[max(0, self.lowest) :] + ([0] if self.lowest < 0 else [])
        # One flag at the most is 1, so the sum is one of the weights.
        return self.flags.with_parts(
            lambda part: ring.sum(ring.multiply(part, elements), 0),
            Range(min(possible), max(possible)),
        )

    def not_zero(self) -> Secret:
        """Return 1 where the secret is not 0, else 0. *Cost*: none."""
        return self.weighted([1] * self.bits)


def highest_bit(engine: Engine, x: Secret, ring: Ring = Z64) -> Protocol[HighestBit]:
    """Return which bit of a secret that is not negative is its highest, as flags in a ring.

    *Cost*: :func:`bits.bit_decomposition`, log2(w) products of words of w bits, and the
    conversion of as many bits to integers as x's range has.
    *Raises* LocalProtocolError if x could be negative.
    """
    if x.range.low < 0:
        raise LocalProtocolError(
            f"{engine.where}a number in {x.range} may be negative: no root, no logarithm of it is "
            "taken, and nothing is divided by it"
        )
    count = max(1, x.range.high.bit_length())
    word = yield from bits.bit_decomposition(engine, x)
    filled, distance = word, 1
    while distance < count:
        shifted = filled >> distance
        both = yield from engine.multiply(filled, shifted)
        filled, distance = filled ^ shifted ^ both, 2 * distance
    highest = filled ^ (filled >> 1)
    flags = yield from engine.bit_to_arithmetic(bits.bits_of(highest, count), ring)
    return HighestBit(flags.declared(BIT), count, x.range.low.bit_length() - 1)


def mantissa(
    engine: Engine, x: Secret, factor: Secret, place: int, fraction: int
) -> Protocol[Secret]:
    """Return x * factor / 2^place with ``fraction`` bits, where that is known to be below 1.

    *Cost*: 1 product, truncated if more bits than ``fraction`` come out.
    """
    below_one = Range(0, (1 << place) - 1)
    drop = max(0, place - fraction)
    result = yield from engine.multiply(x, factor, shift=drop, declared=below_one)
    result = result * (1 << max(0, fraction - place))
    return result.scaled(fraction).declared(Range(0, (1 << fraction) + 1))
