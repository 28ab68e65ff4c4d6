"""Public polynomials at secret fixed-point numbers of [-1, 1], in logarithmic depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from workers.mpc.engine import Engine
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret, concatenate, stack

COEFFICIENT_BITS = 30


def evaluate(engine: Engine, t: Secret, coefficients: Sequence[float]) -> Protocol[Secret]:
    """Return the sum of c_i t^i, lowest power first, for t in [-1, 1].

    *Units*: fixed point, the fraction of t, at most 29 bits.
    *Cost*: for degree d, ceil(log2 d) truncated products one after the other, d - 1 in all; then
    one truncation.
    *Error*: at most (2 + sum of (i - 1) |c_i| for i > 1) times one truncation's, and what the
    rounding of the coefficients to 30 bits does: d 2^-31.
    """
    degree = len(coefficients) - 1
    one = 1 << t.fraction
    unit = Range.symmetric(one + 2 * degree)
    powers = stack([t])
    while (known := powers.shape[0]) < degree:
        highest = powers[known - 1 :].broadcast_to((min(known, degree - known), *t.shape))
        lower = powers[: min(known, degree - known)]
        higher = yield from engine.multiply(highest, lower, shift=t.fraction)
        powers = concatenate([powers, higher.declared(unit)])
    scale = 1 << COEFFICIENT_BITS
    bound = round(sum(abs(c) for c in coefficients) * scale + len(coefficients)) * unit.bound
    weights = np.array([round(c * scale) for c in coefficients[1:]], dtype=np.int64)
    shape = (degree,) + (1,) * len(t.shape)
    total = (powers * weights.reshape(shape)).sum(axis=0)
    total = (total + round(coefficients[0] * scale) * one).declared(Range.symmetric(bound))
    result = yield from engine.truncate(
        total.scaled(t.fraction + COEFFICIENT_BITS), COEFFICIENT_BITS
    )
    return result


def chebyshev(function: Callable[[float], float], degree: int) -> list[float]:
    """Return the coefficients, by powers, of the Chebyshev interpolant of a function on [-1, 1]."""
    points = np.polynomial.chebyshev.chebpts1(degree + 1)
    values = np.array([function(float(point)) for point in points])
    series = np.polynomial.chebyshev.chebfit(points, values, degree)
    return [float(c) for c in np.polynomial.chebyshev.cheb2poly(series)]
