"""The logistic function, accurate enough for inference, and a cubic that is not.

In logistic regression the approximation of the sigmoid decides the error of the coefficients, not
the fixed point: a least-squares cubic on [-8, 8] moves them by 0.3, which serves classification.
"""

from __future__ import annotations

from workers.mpc.arithmetic import comparison
from workers.mpc.arithmetic.division import inverse_near_one
from workers.mpc.arithmetic.exponential import exponential
from workers.mpc.engine import Engine
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret

WORKING_BITS = 26

CUBIC = (0.5, 0.15012, 0.0, -0.001593)
"""The least-squares cubic on [-8, 8] ([KSK+18]): at most 0.12 off there, and no use outside."""


def sigmoid(engine: Engine, x: Secret, *, fraction: int) -> Protocol[Secret]:
    """Return 1 / (1 + e^-x) with ``fraction`` <= 24 bits, for any x.

    *Cost*: 1 comparison, the exponential of -|x|, 3 Newton steps of 2 truncated products, 2
    selections: with 16 fractional bits, 70 rounds and 378 bytes an element and party.
    *Error*: 2^-20 and two units in the last place, everywhere.
    """
    with engine.step("sigmoid"):
        negative = yield from comparison.is_negative(engine, x)
        flag = yield from engine.bit_to_arithmetic(negative)
        product = yield from engine.multiply(flag, x.scaled(0))
        bound = x.range.bound
        size = (x.scaled(0) - product * 2).scaled(x.fraction).declared(Range(0, bound))
        small = yield from exponential(engine, -size, fraction=WORKING_BITS)
        one = 1 << WORKING_BITS
        small = small.declared(Range(0, one + 64))
        # (1 + e^-|x|) / 2 has one more fractional bit and lies in [1/2, 1].
        half_sum = (small + one).scaled(WORKING_BITS + 1)
        inverse = yield from inverse_near_one(engine, half_sum)
        positive = yield from engine.truncate(inverse, WORKING_BITS + 2 - fraction)
        positive = positive.scaled(fraction).declared(Range(0, (1 << fraction) + 2))
        mirrored = (1 << fraction) - positive
        return (yield from comparison.select_by_integer(engine, flag, mirrored, positive))


def sigmoid_cubic(engine: Engine, x: Secret) -> Protocol[Secret]:
    """Return 0.5 + 0.15012 x - 0.001593 x^3, with x's fraction; |x| at most about 8.

    *Cost*: 2 truncated products and 1 truncation: 8 rounds, 31 bytes an element and party.
    *Error*: 40 units in the last place of the polynomial; 0.12 of the sigmoid on [-8, 8].
    *See* [KSK+18].
    """
    with engine.step("cubic sigmoid"):
        scale_bits = 28
        square = yield from engine.square(x, shift=x.fraction)
        one = 1 << (x.fraction + scale_bits)
        slope = square * round(CUBIC[3] * 2**scale_bits) + round(CUBIC[1] * one)
        factor = yield from engine.truncate(slope.scaled(x.fraction + scale_bits), scale_bits)
        product = yield from engine.multiply(factor, x, shift=x.fraction)
        return product + round(CUBIC[0] * (1 << x.fraction))
