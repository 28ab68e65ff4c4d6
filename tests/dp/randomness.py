"""Random bytes that a test can repeat, and an arithmetic that shares nothing with the product's."""

import hashlib
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

import numpy as np


class SeededBytes:
    """The bytes of SHAKE-256 of a seed, in order."""

    def __init__(self, seed):
        self.seed, self.calls = seed, 0

    def __call__(self, size_bytes):
        self.calls += 1
        return hashlib.shake_256(f"{self.seed}/{self.calls}".encode()).digest(size_bytes)


def decimal_cumulative(scale: Fraction, shares: int, cells: int, digits: int = 120):
    """P(X <= k) for k < cells, X negative binomial of shape 1/shares, within 10^-(digits - 10).

    Fractions, because a Decimal would round to 28 digits in the arithmetic of whoever reads it.
    """
    with localcontext() as context:
        context.prec = digits
        ratio = (-Decimal(scale.denominator) / Decimal(scale.numerator)).exp()
        term = ((1 - ratio).ln() / shares).exp()
        total, cumulative = Decimal(0), []
        for k in range(cells):
            total += term
            cumulative.append(Fraction(total))
            term = term * ratio * (Decimal(k) + Decimal(1) / shares) / (k + 1)
        return cumulative


def share_probabilities(scale: Fraction, shares: int):
    """The pmf of one noise share as floats, from the independent table; centre at index size//2."""
    cells = int(40 * scale) + 40
    cumulative = decimal_cumulative(scale, shares, cells, digits=50)
    one_sided = np.array([float(b - a) for a, b in pairwise([Fraction(0), *cumulative])])
    return np.convolve(one_sided, one_sided[::-1])


def sum_probabilities(scale: Fraction, shares: int, added: int):
    """The pmf of ``added`` noise shares together; centre at index size//2."""
    one = share_probabilities(scale, shares)
    total = one
    for _ in range(added - 1):
        total = np.convolve(total, one)
    return total


def discrete_laplace(scale: Fraction, reach: int):
    """The closed form (1 - a) / (1 + a) a^|k| for |k| <= reach."""
    ratio = np.exp(-1 / float(scale))
    return (1 - ratio) / (1 + ratio) * ratio ** np.abs(np.arange(-reach, reach + 1))


def chi_squared(draws, probabilities, least=10):
    """Chi-squared of integer draws against a centred pmf, as deviations from its mean.

    Cells that expect fewer than ``least`` draws are pooled with the tail on their side.
    """
    centre = len(probabilities) // 2
    expected = probabilities * len(draws)
    kept = np.flatnonzero(expected >= least)
    low, high = kept[0], kept[-1]
    clipped = np.clip(draws + centre, low, high) - low
    observed = np.bincount(clipped, minlength=high - low + 1)
    pooled = expected[low : high + 1].copy()
    pooled[0] += expected[:low].sum()
    pooled[-1] += expected[high + 1 :].sum()
    freedom = len(pooled) - 1
    statistic = float(((observed - pooled) ** 2 / pooled).sum())
    return (statistic - freedom) / (2 * freedom) ** 0.5
