"""Quotients whose error is relative, however large the divisor [CS10]."""

from __future__ import annotations

from workers.mpc.arithmetic.normalisation import MOST_BITS, HighestBit, highest_bit, mantissa
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret, stack

MANTISSA_BITS = 28
"""Fractional bits of the reciprocal's mantissa: its relative error is below 2^-25."""

_PRODUCT_BITS = 61
"""What is truncated stays below 2^62; a bit is left for the errors of what was computed before."""
_INVERSE_BITS = 31

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
    truncated products each, 1 truncated product. Where quotient * b has more than 32 bits, that
    last product is made of two halves: 4 rounds more.
    *Error*: 2^-25 of the quotient, however large b is, and one truncation's (two where the product
    is made of halves).
    *Raises* LocalProtocolError, naming the step, if b may be negative, or if quotient * b or the
    quotient with its fraction leaves no room in the ring.
    *See* [CS10] for Newton's method on shares.
    """
    if a.fraction != b.fraction:
        raise LocalProtocolError(f"{engine.where}a quotient takes two numbers of equal fractions")
    with engine.step("division"):
        found = yield from highest_bit(engine, b)
        power = found.weighted([1 << (found.bits - 1 - place) for place in range(found.bits)])
        inverse = yield from _inverse_mantissa(engine, b, power, found)
        bound = quotient.bound
        # a * power = (a / b) * (b * power), and b * power is below 2^bits; 0 where b is 0.
        scaled = yield from engine.multiply(a, power, declared=Range.symmetric(bound << found.bits))
        have = found.bits + MANTISSA_BITS
        surplus = max(0, have + bound.bit_length() + 1 - _PRODUCT_BITS)
        kept = have - surplus
        drop = max(0, kept - fraction)
        # The two mantissas' product is 1 but for last places.
        near = Range.symmetric(bound << (kept + 1))
        x, y = scaled.scaled(0), inverse.scaled(0)
        if surplus:
            product = yield from _product_of_halves(engine, x, y, surplus)
            product = product.declared(near)
            product = (yield from engine.truncate(product, drop)) if drop else product
        else:
            product = yield from engine.multiply(x, y, shift=drop, declared=near)
        product = product * (1 << max(0, fraction - kept))
        slack = 2 + len(engine.compute) + ((bound << fraction) >> 24)
        low, high = quotient.low << fraction, quotient.high << fraction
        return product.scaled(fraction).declared(Range(low - slack, high + slack))


def _product_of_halves(engine: Engine, x: Secret, y: Secret, shift: int) -> Protocol[Secret]:
    """Return x * y / 2^shift, where x * y may leave the ring.

    Dropping x's low bits instead would leave nothing of a quotient far below its bound. Whatever
    the truncation of x errs, the low half makes up for.
    """
    high = yield from engine.truncate(x, shift)
    high = high.scaled(0)
    low = (x - high * (1 << shift)).declared(Range.symmetric(len(engine.compute) << shift))
    products = yield from engine.multiply(stack([high, low]), y)
    rest = yield from engine.truncate(products[1].declared(low.range * y.range), shift)
    return products[0].declared(high.range * y.range) + rest.scaled(0)


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
    """Return a / divisor, with a's fraction, for a public integer divisor of 1 .. 2^32.

    *Cost*: 1 truncation for each r bits of the rounded inverse's 31, where |a| < 2^(61 - r): one
    below 2^30, two (4 rounds on the profile replicated) below 2^45; none by 1.
    *Error*: 2^-31 of the quotient and one truncation's.
    *Raises* LocalProtocolError, naming the step, for another divisor or |a| >= 2^60.
    """
    with engine.step("division by a public number"):
        if not 1 <= divisor <= 1 << 32:
            raise LocalProtocolError(
                f"{engine.where}a public divisor is 1 or more, and at most 2^32, not {divisor}"
            )
        shift = _INVERSE_BITS - 1 + divisor.bit_length()
        inverse = ((2 << shift) // divisor + 1) // 2
        zeros = (inverse & -inverse).bit_length() - 1
        inverse, shift = inverse >> zeros, shift - zeros
        if not shift:
            return a
        room = _PRODUCT_BITS - a.range.bound.bit_length()
        if room < 1:
            raise LocalProtocolError(f"{engine.where}a number in {a.range} leaves no room")
        # Horner's rule in digits of as many bits as a leaves room for, the lowest first.
        integers = a.scaled(0)
        total = integers * 0
        while inverse >> room:
            total = yield from engine.truncate(integers * (inverse % (1 << room)) + total, room)
            total, inverse, shift = total.scaled(0), inverse >> room, shift - room
        total = yield from engine.truncate(integers * inverse + total, shift)
        return total.scaled(a.fraction)


def inverse_near_one(engine: Engine, x: Secret) -> Protocol[Secret]:
    """Return 1 / x for x in [1/2, 1], with x's fraction f <= 30.

    *Cost*: 3 Newton steps (4 from 29 bits on) of 2 truncated products each.
    *Error*: 8 units in the last place.
    """
    fraction = x.fraction
    one = 1 << fraction
    steps, error = 0, _START_ERROR
    while error > 2.0 ** -(fraction + 1):
        steps, error = steps + 1, error * error
    y = (round(_START * one) - x * int(_SLOPE)).declared(Range(one // 2, 2 * one))
    for _ in range(steps):
        # x * y is 1 and at most _START_ERROR off, so it stays far below 2.
        product = yield from engine.multiply(x, y, shift=fraction, declared=Range(0, 2 * one * one))
        rest = (2 * one - product).declared(Range(0, 2 * one))
        y = yield from engine.multiply(y, rest, shift=fraction, declared=Range(0, 3 * one * one))
        y = y.declared(Range(0, 2 * one + 64))
    return y


def _inverse_mantissa(
    engine: Engine, b: Secret, power: Secret, found: HighestBit
) -> Protocol[Secret]:
    """Return 1 / (b * power / 2^bits), in [1, 2]; 2 where b is 0."""
    assert MANTISSA_BITS <= MOST_BITS
    x = yield from mantissa(engine, b, power, found.bits, MANTISSA_BITS)
    half = 1 << (MANTISSA_BITS - 1)
    # Newton's steps need a number near 1 even where b is 0 and the result is not used.
    x = x + ((1 - found.not_zero()) * half).scaled(MANTISSA_BITS)
    return (yield from inverse_near_one(engine, x.declared(Range(0, 2 * half + 2))))
