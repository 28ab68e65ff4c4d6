"""The exponential function of secret fixed-point numbers: 2 to an integer times 2 to a rest."""

from __future__ import annotations

import math

import numpy as np

from workers.mpc.arithmetic import bits, comparison
from workers.mpc.arithmetic.polynomial import chebyshev, evaluate
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import BIT, Range
from workers.mpc.secret import Secret

REST_BITS = 24
_LOG2_E_BITS = 30
_MARGIN = 2.0 ** (6 - REST_BITS)
_COEFFICIENTS = chebyshev(lambda t: math.exp2((t + 1) / 2), 6)
"""2^r for r = (t + 1) / 2 in [0, 1]; 6 parts in 10^10 off."""


def exponential(engine: Engine, x: Secret, *, fraction: int) -> Protocol[Secret]:
    """Return e^x with ``fraction`` bits.

    What is smaller than a quarter of the last place comes out as 0 or 1 of it.

    *Cost*: 1 truncation, 1 :func:`bits.bit_decomposition`, 1 conversion of bits, up to 3 products
    of powers, 1 polynomial of degree 6, 1 truncated product; 1 comparison and selection before,
    if x can be so small that e^x is 0. With 16 fractional bits in and out and that comparison: 40
    rounds, 275 bytes an element and party.
    *Error*: 2^-20 of the result, and two units in the last place.
    *Raises* LocalProtocolError, naming the step, if more than 35 powers of 2 lie between the
    largest e^x and the smallest, or 2^-(fraction + 3) if that is larger; or if x has so many
    fractional bits that x * 2^31 leaves the ring.
    """
    with engine.step("exponential"):
        largest = math.ceil(x.range.high / 2**x.fraction / math.log(2)) + 1
        smallest = max(math.floor(x.range.low / 2**x.fraction / math.log(2)) - 1, -fraction - 3)
        largest = max(largest, smallest + 1)
        x = yield from _not_below(engine, x, smallest)
        t = yield from _times_log2_e(engine, x)
        lifted = (t - smallest * (1 << REST_BITS)).declared(
            Range(0, (largest - smallest + 1) << REST_BITS)
        )
        count = max(1, (largest - smallest).bit_length())
        if largest - smallest + REST_BITS + 2 > 61:
            raise LocalProtocolError(
                f"{engine.where}e^x spans {largest - smallest} powers of 2; with {fraction} "
                f"fractional bits {59 - REST_BITS} fit"
            )
        word = yield from bits.bit_decomposition(engine, lifted)
        flags = yield from engine.bit_to_arithmetic(bits.bits_of(word >> REST_BITS, count))
        flags = flags.declared(BIT)
        shape = (count,) + (1,) * len(x.shape)
        places = np.array([1 << place for place in range(count)], dtype=np.int64).reshape(shape)
        whole = (flags * places).sum(axis=0)
        rest = (lifted.scaled(0) - whole * (1 << REST_BITS)).declared(Range(0, 1 << REST_BITS))
        power = yield from _power_of_two(engine, flags, largest - smallest)
        mantissa = yield from evaluate(
            engine, (rest * 2 - (1 << REST_BITS)).scaled(REST_BITS), _COEFFICIENTS
        )
        mantissa = mantissa.declared(Range(0, 2 << REST_BITS))
        # e^x = mantissa * power * 2^smallest
        drop = REST_BITS - fraction - smallest
        if drop < 0:
            power, drop = power * (1 << -drop), 0
        result = yield from engine.multiply(mantissa, power, shift=drop)
        return result.scaled(fraction)


def _not_below(engine: Engine, x: Secret, smallest: int) -> Protocol[Secret]:
    """Return x, or the smallest exponent of 2 that matters where x is below it."""
    # Above the power itself: a truncation's error must not make x * log2(e) smaller than it.
    floor = math.ceil((smallest + _MARGIN) * math.log(2) * 2**x.fraction)
    if x.range.low >= floor:
        return x
    below = yield from comparison.less(engine, x, floor)
    lowest = engine.constant(floor, x.ring, x.fraction).broadcast_to(x.shape)
    chosen = yield from comparison.select(engine, below, lowest, x)
    return chosen.declared(Range(floor, max(floor, x.range.high)))


def _times_log2_e(engine: Engine, x: Secret) -> Protocol[Secret]:
    """Return x * log2(e), with REST_BITS fractional bits."""
    factor = round(math.log2(math.e) * 2**_LOG2_E_BITS)
    drop = x.fraction + _LOG2_E_BITS - REST_BITS
    scaled = yield from engine.truncate(x * factor, drop)
    return scaled.scaled(0)


def _power_of_two(engine: Engine, flags: Secret, most: int) -> Protocol[Secret]:
    """Return 2^n of the number n <= most whose bits are the flags."""
    factors = [
        flags[place] * ((1 << (1 << place)) - 1) + 1
        for place in range(flags.shape[0])
        if 1 << place <= most
    ]
    while len(factors) > 1:
        # The largest with the smallest: no product exceeds 2^most.
        first, last = factors[0], factors[-1]
        bound = min(1 << most, first.range.high * last.range.high)
        product = yield from engine.multiply(first, last, declared=Range(1, bound))
        factors = [*factors[1:-1], product]
    return factors[0]
