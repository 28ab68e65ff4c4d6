"""Quotients whose error is relative, however large the divisor [CS10]."""

from __future__ import annotations

from workers.mpc.arithmetic.normalisation import MOST_BITS, highest_bit, mantissa
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret

MANTISSA_BITS = 28
"""Fractional bits of the reciprocal's mantissa: its relative error is below 2^-25."""

_START, _SLOPE = 2.9142135623730951, 2.0
_START_ERROR = 0.0858
"""1 / x = 2.914 - 2 x on [1/2, 1] with this relative error."""


def divide(
    engine: Engine, a: Secret, b: Secret, *, fraction: int, quotient: Range
) -> Protocol[Secret]:
    """Return a / b with ``fraction`` bits, for b >= 0; where b is 0 the result is 0.

    ``quotient`` bounds a / b, rounded away from 0 to integers: it is what keeps a times b's power
    of two in the ring. a and b have equal fractions.

    *Cost*: :func:`highest_bit` of b, then 2 products (the mantissa and a's), 3 Newton steps of 2
    truncated products each, 1 truncated product.
    *Error*: 2^-25 of the quotient and one unit in the last place, where quotient * b fits 30 bits;
    beyond that 2^-(56 - bits of quotient * b).
    *Raises* LocalProtocolError, naming the step, if b may be negative or the sizes do not fit.
    *See* [CS10] for Newton's method on shares.
    """
    if a.fraction != b.fraction:
        raise LocalProtocolError(f"{engine.where}a quotient takes two numbers of equal fractions")
    with engine.step("division"):
        found = yield from highest_bit(engine, b)
        power = found.weighted([1 << (found.bits - 1 - place) for place in range(found.bits)])
        inverse = yield from _inverse_mantissa(engine, b, power, found.bits)
        bound = quotient.bound
        scaled = yield from engine.multiply(a, power, declared=Range.symmetric(bound << found.bits))
        # Of a * power, as many bits are kept as its product with the mantissa has room for.
        surplus = max(0, found.bits + bound.bit_length() + MANTISSA_BITS + 1 - 61)
        if surplus:
            scaled = yield from engine.truncate(scaled, surplus)
        have = found.bits - surplus + MANTISSA_BITS
        if not have - fraction >= 0:
            raise LocalProtocolError(
                f"{engine.where}a quotient of so large a divisor has {have} fractional bits, not "
                f"{fraction}"
            )
        # Where b is 0, a * power is 0; elsewhere the mantissas' product is 1 but for last places.
        product = yield from engine.multiply(
            scaled.scaled(have - MANTISSA_BITS),
            inverse,
            shift=have - fraction,
            declared=Range.symmetric(bound << (have + 1)),
        )
        slack = 2 + ((bound << fraction) >> 24)
        low, high = quotient.low << fraction, quotient.high << fraction
        return product.declared(Range(low - slack, high + slack))


def reciprocal(engine: Engine, b: Secret, *, fraction: int) -> Protocol[Secret]:
    """Return 1 / b with ``fraction`` bits, for b >= 1 (an integer or fixed point); 0 for 0.

    *Cost*: as :func:`divide`; for integers below 2^20, 43 rounds, 414 bytes an element and party.
    *Error*, *Raises*: as :func:`divide`.
    """
    one = engine.constant(1 << b.fraction, b.ring, b.fraction).broadcast_to(b.shape)
    smallest = max(1, b.range.low)
    largest = -(-(1 << b.fraction) // smallest)
    return (yield from divide(engine, one, b, fraction=fraction, quotient=Range(0, largest)))


def divide_by_public(engine: Engine, a: Secret, divisor: int) -> Protocol[Secret]:
    """Return a / divisor, with a's fraction, for a public integer divisor >= 1.

    *Cost*: 1 truncation: 2 rounds.
    *Error*: one unit in the last place, and |a| 2^-(s + 1), s the largest number for which
    |a| 2^s / divisor stays below 2^61.
    """
    if divisor < 1:
        raise LocalProtocolError(f"{engine.where}a public divisor is 1 or more, not {divisor}")
    shift = 0
    while shift < 60 and a.range.bound * ((2 << shift) // divisor + 1) < 1 << 61:
        shift += 1
    factor = ((2 << shift) // divisor + 1) // 2
    scaled = (a * factor).scaled(a.fraction + shift)
    return (yield from engine.truncate(scaled, shift)) if shift else a


def inverse_near_one(engine: Engine, x: Secret) -> Protocol[Secret]:
    """Return 1 / x for x in [1/2, 1], with x's fraction f <= 30.

    *Cost*: 3 Newton steps (4 from 29 bits on) of 2 truncated products each.
    *Error*: 8 units in the last place.
    """
    fraction = x.fraction
    one = 1 << fraction
    # Where x is 0 (a divisor that is 0) every step doubles y; whatever it is meets a factor 0.
    steps, error = 0, _START_ERROR
    while error > 2.0 ** -(fraction + 1):
        steps, error = steps + 1, error * error
    top = round(_START * one) << (steps if x.range.low < one // 4 else 0)
    y = (round(_START * one) - x * int(_SLOPE)).declared(Range(one // 2, 3 * one))
    for step in range(steps):
        product = yield from engine.multiply(x, y, shift=fraction, declared=Range(0, 3 * one * one))
        rest = (2 * one - product.declared(Range(0, 2 * one))).declared(Range(0, 2 * one))
        y = yield from engine.multiply(y, rest, shift=fraction)
        y = y.declared(Range(0, min(top, 3 * one << (step + 1))))
    return y


def _inverse_mantissa(engine: Engine, b: Secret, power: Secret, place: int) -> Protocol[Secret]:
    assert MANTISSA_BITS <= MOST_BITS
    x = yield from mantissa(engine, b, power, place, MANTISSA_BITS)
    low = (1 << (MANTISSA_BITS - 1)) - 1 if b.range.low > 0 else 0
    x = x.declared(Range(low, x.range.high))
    return (yield from inverse_near_one(engine, x))
