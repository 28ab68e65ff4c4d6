"""How much noise an event adds: its scale, its standard deviation, its intervals.

Noise is made by the parties, not by one hand. Each of n parties adds a share such that the shares
of the h = n - t parties assumed honest (t is the noise-collusion bound) sum to one discrete
Laplace variable; see :mod:`dp.noise`. All n shares together, over c cells added up, are a
*generalised discrete Laplace* variable of shape c n / h [HM25]: somewhat wider than the event
demands, and that is what a reader of the result has to be told.

With 1 / scale = x the characteristic function at angle u is (1 + 2 v sin^2(u / 2))^-shape, where
v = 1 / (2 sinh^2(x / 2)) is the variance of one discrete Laplace variable.

Everything here describes noise; nothing draws it, so floats are in order.
"""

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from dp.events import DiscreteLaplace

SMALLEST_SCALE = Fraction(1, 64)
LARGEST_SCALE = Fraction(2**14)


def scale(event: DiscreteLaplace) -> Fraction:
    """Return the noise scale that the event demands: sensitivity / epsilon.

    *Raises* ValueError for a scale outside 1/64 .. 16384: less noise is none, and under more no
    result could be read.
    """
    return check_scale(Fraction(event.sensitivity) / event.epsilon)


def check_scale(noise_scale: Fraction) -> Fraction:
    """Return a noise scale that is supported. *Raises* ValueError for any other."""
    if not isinstance(noise_scale, Fraction):
        raise TypeError(f"a noise scale is a Fraction, not a {type(noise_scale).__name__}")
    if not SMALLEST_SCALE <= noise_scale <= LARGEST_SCALE:
        raise ValueError(
            f"the noise scale (sensitivity / epsilon) lies in {SMALLEST_SCALE} .. {LARGEST_SCALE}, "
            f"not at {noise_scale}"
        )
    return noise_scale


def shares_needed(parties: int, collusion_bound: int) -> int:
    """Return h = n - t: how many noise shares make up the whole noise.

    *Raises* ValueError unless at least one party is assumed honest.
    """
    if not 0 <= collusion_bound < parties:
        raise ValueError(
            f"of {parties} parties 0 .. {parties - 1} may collude, not {collusion_bound}"
        )
    return parties - collusion_bound


def variance(
    event: DiscreteLaplace, *, parties: int = 1, collusion_bound: int = 0, cells: int = 1
) -> float:
    """Return the variance of the noise in a sum of cells, all parties' shares included.

    With the defaults this is one discrete Laplace variable: 2 a / (1 - a)^2, a = exp(-1 / scale).
    n parties of which t may collude make it n / (n - t) times as much. *Units*: persons squared.
    """
    shape = _shape(parties, collusion_bound, cells)
    return float(shape) * _variance_of_one(scale(event))


def standard_deviation(
    event: DiscreteLaplace, *, parties: int = 1, collusion_bound: int = 0, cells: int = 1
) -> float:
    """Return the standard deviation of the noise in a sum of cells; see :func:`variance`."""
    return math.sqrt(variance(event, parties=parties, collusion_bound=collusion_bound, cells=cells))


def probability_within(
    half_width: int,
    event: DiscreteLaplace,
    *,
    parties: int = 1,
    collusion_bound: int = 0,
    cells: int = 1,
) -> float:
    """Return the probability that the noise in a sum of cells is at most ``half_width`` in size."""
    if half_width < 0:
        return 0.0
    within = _probabilities_within(scale(event), _shape(parties, collusion_bound, cells))
    return float(within[min(half_width, within.size - 1)])


def interval_half_width(
    confidence: float,
    event: DiscreteLaplace,
    *,
    parties: int = 1,
    collusion_bound: int = 0,
    cells: int = 1,
) -> int:
    """Return the smallest w for which the noise lies in -w .. w with the given confidence.

    A noised count y then gives the interval y - w .. y + w for the exact count.
    *Raises* ValueError unless 0 < confidence <= 1 - 1e-9.
    """
    if not 0 < confidence <= 1 - 1e-9:
        raise ValueError(f"a confidence lies between 0 and 1 - 1e-9, not at {confidence}")
    within = _probabilities_within(scale(event), _shape(parties, collusion_bound, cells))
    return int(np.searchsorted(within, confidence))


def _shape(parties: int, collusion_bound: int, cells: int) -> Fraction:
    if cells < 1:
        raise ValueError(f"a sum has 1 cell or more, not {cells}")
    return Fraction(cells * parties, shares_needed(parties, collusion_bound))


def _variance_of_one(noise_scale: Fraction) -> float:
    return 0.5 / math.sinh(float(1 / noise_scale) / 2) ** 2


def _probabilities_within(noise_scale: Fraction, shape: Fraction) -> npt.NDArray[np.float64]:
    """Return P(|noise| <= w) for w = 0, 1, ... up to where it is 1 within 1e-15 or so.

    The probabilities are the Fourier coefficients of the characteristic function. Sampling it at
    ``size`` angles folds the tails back, so ``size`` leaves 48 scales and 8 standard deviations
    on either side: exp(-48) is below the rounding of a float.
    """
    one = _variance_of_one(noise_scale)
    reach = 48 * float(noise_scale) + 8 * math.sqrt(float(shape) * one) + 8
    size = 2 ** math.ceil(math.log2(2 * reach))
    half_angles = np.pi * np.arange(size // 2 + 1) / size
    characteristic = (1 + 2 * one * np.sin(half_angles) ** 2) ** -float(shape)
    probabilities = np.fft.irfft(characteristic, size)[: size // 2]
    probabilities[1:] *= 2  # -w and w
    within: npt.NDArray[np.float64] = np.minimum(np.cumsum(np.maximum(probabilities, 0)), 1)
    return within
