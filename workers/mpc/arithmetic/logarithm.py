"""The natural logarithm of secret positive numbers: of the mantissa, and of its power of two."""

from __future__ import annotations

import math

from workers.mpc.arithmetic.normalisation import highest_bit, mantissa
from workers.mpc.arithmetic.polynomial import chebyshev, evaluate
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret

MANTISSA_BITS = 28
_COEFFICIENTS = chebyshev(lambda t: math.log((t + 3) / 4), 9)
"""ln of m = (t + 3) / 4 in [1/2, 1]; 3 parts in 10^9 off."""


def logarithm(engine: Engine, x: Secret, *, fraction: int) -> Protocol[Secret]:
    """Return ln(x) with ``fraction`` <= 26 bits, for x > 0.

    *Cost*: :func:`highest_bit`, 1 product, 1 polynomial of degree 9, 1 truncation; below 2^60,
    35 rounds and 933 bytes an element and party.
    *Error*: 2^-22 and one truncation's: one unit in the last place, two with three additive parts.
    *Raises* LocalProtocolError if x may be 0 or negative.
    """
    with engine.step("logarithm"):
        if x.range.low < 1:
            raise LocalProtocolError(f"{engine.where}no logarithm of a number in {x.range}")
        found = yield from highest_bit(engine, x)
        places = range(found.bits)
        power = found.weighted([1 << (found.bits - 1 - place) for place in places])
        m = yield from mantissa(engine, x, power, found.bits, MANTISSA_BITS)
        one = 1 << MANTISSA_BITS
        t = (m * 4 - 3 * one).scaled(MANTISSA_BITS).declared(Range(-one - 8, one + 8))
        of_mantissa = yield from evaluate(engine, t, _COEFFICIENTS)
        weights = [round((place + 1 - x.fraction) * math.log(2) * one) for place in places]
        total = of_mantissa + found.weighted(weights).scaled(MANTISSA_BITS)
        return (yield from engine.truncate(total, MANTISSA_BITS - fraction))
