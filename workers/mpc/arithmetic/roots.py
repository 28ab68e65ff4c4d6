"""Square roots and their reciprocals, normalised: the error is relative to the root."""

from __future__ import annotations

from workers.mpc.arithmetic.normalisation import HighestBit, highest_bit, mantissa
from workers.mpc.engine import Engine
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret

MANTISSA_BITS = 28

_START = 1.93
"""1 / sqrt(x) = 1.93 - x on [1/4, 1], at most 16 percent off."""
_STEPS = 4
"""An error e becomes 1.5 e^2: 0.16, 0.04, 2e-3, 8e-6, 8e-11."""
_BOUNDS = (2, 3, 5, 7, 10)
"""What y stays below after so many steps, if x is 0 and every step adds half to it."""


def reciprocal_square_root(engine: Engine, x: Secret, *, fraction: int) -> Protocol[Secret]:
    """Return 1 / sqrt(x) with ``fraction`` bits, for x >= 1 unit in its last place; 0 for 0.

    *Cost*: :func:`highest_bit`, 1 product, 4 Newton steps of 3 truncated products, 1 truncated
    product; below 2^60 and for 3 parts, 58 rounds and 983 bytes an element and party.
    *Error*: 2^-24 of the result and two units in the last place.
    *See* [CS10] on Newton's method on shares.
    """
    with engine.step("reciprocal square root"):
        x = _even_fraction(x)
        found, place = yield from _highest_bit(engine, x)
        _, root = yield from _mantissa_root(engine, x, found, place)
        # sqrt(power) weighs 2^(shift / 2); 1 / sqrt(x) = root * that * 2^((f - place) / 2).
        halves = found.weighted([1 << (_even(place, i) // 2) for i in range(found.bits)])
        drop = MANTISSA_BITS + (place - x.fraction) // 2 - fraction
        return (yield from _assembled(engine, root, halves, drop, fraction))


def square_root(engine: Engine, x: Secret, *, fraction: int) -> Protocol[Secret]:
    """Return sqrt(x) with ``fraction`` bits, for x >= 0.

    *Cost*: as :func:`reciprocal_square_root`, and 1 truncated product: 61 rounds.
    *Error*: 2^-24 of the result and two units in the last place.
    """
    with engine.step("square root"):
        x = _even_fraction(x)
        found, place = yield from _highest_bit(engine, x)
        m, root = yield from _mantissa_root(engine, x, found, place)
        of_mantissa = yield from engine.multiply(m, root, shift=MANTISSA_BITS)
        of_mantissa = of_mantissa.declared(Range(0, (1 << MANTISSA_BITS) + 8))
        halves = found.weighted([1 << ((place - _even(place, i)) // 2) for i in range(found.bits)])
        drop = MANTISSA_BITS + x.fraction // 2 - fraction
        return (yield from _assembled(engine, of_mantissa, halves, drop, fraction))


def _highest_bit(engine: Engine, x: Secret) -> Protocol[tuple[HighestBit, int]]:
    found = yield from highest_bit(engine, x)
    return found, found.bits + found.bits % 2


def _even_fraction(x: Secret) -> Secret:
    """Return x with an even number of fractional bits, whose root is a whole power of 2."""
    return (x * 2).scaled(x.fraction + 1) if x.fraction % 2 else x


def _even(place: int, position: int) -> int:
    """The even shift that moves a number whose highest bit is ``position`` to [1/4, 1) 2^place."""
    shift = place - 1 - position
    return shift - shift % 2


def _mantissa_root(
    engine: Engine, x: Secret, found: HighestBit, place: int
) -> Protocol[tuple[Secret, Secret]]:
    """Return the mantissa m of x in [1/4, 1) and 1 / sqrt(m)."""
    power = found.weighted([1 << _even(place, i) for i in range(found.bits)])
    m = yield from mantissa(engine, x, power, place, MANTISSA_BITS)
    one = 1 << MANTISSA_BITS
    y = (round(_START * one) - m).declared(Range(0, 2 * one))
    for bound in _BOUNDS[1:]:
        square = yield from engine.square(y, shift=MANTISSA_BITS)
        # m is 0, or y is below 1 / sqrt(m) but for its last places.
        product = yield from engine.multiply(
            m, square, shift=MANTISSA_BITS, declared=Range(0, 2 * one * one)
        )
        rest = (3 * one - product).declared(Range(one, 3 * one))
        y = yield from engine.multiply(y, rest, shift=MANTISSA_BITS + 1)
        y = y.scaled(MANTISSA_BITS).declared(Range(0, bound * one))
    return m, y


def _assembled(
    engine: Engine, root: Secret, halves: Secret, drop: int, fraction: int
) -> Protocol[Secret]:
    """Return root * halves / 2^drop, read with ``fraction`` bits."""
    if drop <= 0:
        halves, drop = halves * (1 << -drop), 0
    # Where x is 0, halves is 0; elsewhere the root is 2 at most, and its last places.
    declared = Range(0, ((2 << MANTISSA_BITS) + 64) * halves.range.high)
    product = yield from engine.multiply(root, halves, shift=drop, declared=declared)
    return product.scaled(fraction)
